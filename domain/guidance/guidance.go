// Package guidance decides the guidance prices (租金指导价格) of a period: computed, adjusted cell by cell with a reason,
// reviewed, approved by a person who did not make them, published as numbered versions that never change, revised,
// withdrawn, and contested by objections (异议) which the regulator answers. It does not compute prices; the projection of
// that name does, and the server brings what it computed: nobody proposes numbers of their own.
//
// # Facts
//
// Stage GUIDANCE is judged on the day of the act, with: adjustment.change_bp when a cell is adjusted, objection.published
// and objection.today when one is filed. cell.contracts, cell.lessors, cell.top_lessor_bp, rent.age_months and
// rent.beyond_quartile_pct are what P-02 and P-03 speak of; see [Parameters].
//
// # Decisions
//
// A version counts from the day it was proposed for, but never from before the day it was approved: the price a
// contract was signed under is known on that day, and [State.InForce] gives the same answer for ever. The next version
// closes it the day before it begins itself.
//
// Whoever computed the prices or adjusted a cell of them is their maker; review and approval are of others. A change after
// the review wants a new one. An adjustment is of one version: the next begins with what was computed.
//
// What an objector writes is sealed; the cell, the state and the regulator's answer are public.
package guidance

import (
	"fmt"
	"slices"

	"zujian/domain"
)

// Decider is the guidance aggregate, one stream per period.
var Decider = domain.Decider[State, Command, Event]{Category: "guidance", Decide: decide, Evolve: evolve}

// Rejections.
var (
	ErrNotFound  = domain.Reject("guidance.not_found", "no prices of this period or version were proposed")
	ErrPublished = domain.Reject("guidance.already_published", "the version is published; only a revision can follow")
	ErrVersion   = domain.Reject("guidance.wrong_version", "versions count up by one without a gap")
	ErrNoVersion = domain.Reject("guidance.not_published", "the period has no published version to revise")
	ErrFourEyes  = domain.Reject("guidance.four_eyes", "prices are reviewed and approved by another person than made them")
	ErrReview    = domain.Reject("guidance.not_reviewed", "a proposal is reviewed before it is approved")
	ErrReason    = domain.Reject("guidance.reason_required", "a revision, adjustment, withdrawal or answer needs its reason")
	ErrCells     = domain.Reject("guidance.invalid_cells", "prices need 1 to 20 000 cells, each once, with rising positive quantiles")
	ErrEmpty     = domain.Reject("guidance.nothing_to_publish", "the rents on file of this period give no price that may be shown")
	ErrThin      = domain.Reject("guidance.thin_cell", "a cell of too few contracts borrows its parent's prices and says so")
	ErrEffective = domain.Reject("guidance.invalid_effective_from", "the day from which the prices count is missing or out of range")
	ErrStale     = domain.Reject("guidance.stale_draft", "the rents on file have changed since this draft")
	ErrUnknown   = domain.Reject("guidance.unknown_cell", "the prices have no such cell")
	ErrDiffers   = domain.Reject("guidance.cell_differs", "the cell is not what was computed; adjust it instead, with a reason")
	ErrMissing   = domain.Reject("guidance.cell_missing", "a cell that was computed is missing")
	ErrPrices    = domain.Reject("guidance.invalid_prices", "the quantiles of a cell are positive and rise")
	ErrClosed    = domain.Reject("guidance.closed", "the version is closed already")
)

// State is every published version, the proposal that is open, and the objections.
type State struct {
	Versions   []Version // In order; Versions[i].Version == i+1.
	Open       *Proposal
	Dropped    int // Version of the proposal dropped last.
	Objections []Objection
}

// Proposal is what awaits review or approval.
type Proposal struct {
	Proposed
	Adjustments []CellAdjusted
	ReviewedBy  string // "" = nobody yet.
}

// Version is one published version. Only Until, and the withdrawal that sets it, ever changes.
type Version struct {
	Version       int
	EffectiveFrom domain.Day
	Until         domain.Day // Last day in force; 0 = not closed, before EffectiveFrom = it never was.
	PublishedOn   domain.Day
	Cells         []Cell
	Computed      []Cell // Before they were adjusted.
	Comparables   []Comparables
	Adjustments   []CellAdjusted
	Method        string
	Inputs        string
	Position      uint64
	Parameters    Parameters
	Reason        string
	Answers       []string
	ProposedBy    string
	ReviewedBy    string
	ApprovedBy    string
	Withdrawal    *WithdrawalProposed
	Withdrawn     string // Why it was; "" = it was not.
}

// Cell finds a cell of the version.
func (v Version) Cell(id CellID) (Cell, bool) { return find(v.Cells, id) }

// Compared are the comparables of a cell that is shown.
func (v Version) Compared(id CellID) []Comparable {
	for _, c := range v.Comparables {
		if c.CellID == id {
			return c.Rents
		}
	}
	return nil
}

// Book finds the cells of a version.
type Book map[CellID]Cell

// Book indexes the version's cells.
func (v Version) Book() Book {
	b := make(Book, len(v.Cells))
	for _, c := range v.Cells {
		b[c.CellID] = c
	}
	return b
}

// Price is the cell that prices what is let in a street of a reporting unit: the street's, else the unit's, else the city's.
// Area of what is let is not read.
func (b Book) Price(street, unit string, let CellID) (Cell, bool) {
	for _, let.Area = range []string{street, unit, City} {
		if c, ok := b[let]; ok && let.Area != "" {
			return c, true
		}
	}
	return Cell{}, false
}

// City is the area of what counts the whole city.
const City = "city"

// InForce is the version in force on a day: the last of those that count by then, unless it was withdrawn. decided is true
// when no earlier period's prices are in force then: one of this period was, even if it was withdrawn since.
func (s State) InForce(on domain.Day) (v Version, inForce, decided bool) {
	for _, v := range slices.Backward(s.Versions) {
		if v.EffectiveFrom <= on {
			return v, v.Until == 0 || on <= v.Until, v.Until == 0 || v.Until >= v.EffectiveFrom || v.Version > 1
		}
	}
	return Version{}, false, false
}

// Version finds a published version.
func (s State) Version(n int) (Version, bool) {
	if n < 1 || n > len(s.Versions) {
		return Version{}, false
	}
	return s.Versions[n-1], true
}

// Reference is how a contract names a version: "2026Q3/1".
func Reference(period ID, version int) string { return fmt.Sprintf("%s/%d", period, version) }

func decide(s State, r domain.Request[Command]) ([]Event, error) {
	switch c := r.Command.(type) {
	case Propose:
		return propose(s, r, c)
	case Adjust:
		return adjust(s, r, c)
	case Review:
		return review(s, r, c)
	case Approve:
		return approve(s, r, c)
	case Withdraw:
		return withdraw(s, r, c)
	case ApproveWithdrawal:
		return approveWithdrawal(s, r, c)
	case FileObjection:
		return fileObjection(s, r, c)
	case AnswerObjection:
		return answerObjection(s, r, c)
	case MarkOverdue:
		return markOverdue(s, r, c)
	}
	panic("guidance: unhandled command") // Sealed set: only a programming error gets here.
}

func evolve(s State, e Event) State {
	switch e := e.(type) {
	case Proposed:
		s.Open = &Proposal{Proposed: e}
	case CellAdjusted:
		s.Open = s.Open.with(func(p *Proposal) { p.Adjustments, p.ReviewedBy = append(slices.Clip(p.Adjustments), e), "" })
	case Reviewed:
		s.Open = s.Open.with(func(p *Proposal) { p.ReviewedBy = e.ReviewedBy })
	case Published:
		s = publish(s, e)
	case Withdrawn:
		s.Open, s.Dropped = nil, e.Version
	case WithdrawalProposed:
		s.Versions = withVersion(s.Versions, e.Version, func(v *Version) { v.Withdrawal = &e })
	case Ended:
		s.Versions = withVersion(s.Versions, e.Version, func(v *Version) { v.Until, v.Withdrawn = e.LastDay, e.Reason })
	case ObjectionFiled:
		s.Objections = append(slices.Clip(s.Objections), Objection{ObjectionFiled: e})
	case ObjectionAnswered:
		s.Objections = with(s.Objections, e.Objection, func(o *Objection) { o.Answer = &e })
	case ObjectionOverdue:
		s.Objections = with(s.Objections, e.Objection, func(o *Objection) { o.Overdue = true })
	}
	return s
}

// with changes a copy of the proposal; of none there is none.
func (p *Proposal) with(f func(*Proposal)) *Proposal {
	if p == nil {
		return nil
	}
	changed := *p
	f(&changed)
	return &changed
}

// withVersion changes one version in a copy.
func withVersion(all []Version, n int, f func(*Version)) []Version {
	all = slices.Clone(all)
	for i := range all {
		if all[i].Version == n {
			f(&all[i])
		}
	}
	return all
}

// publish closes the version before and adds the new one.
func publish(s State, e Published) State {
	v := Version{
		Version: e.Version, EffectiveFrom: e.EffectiveFrom, PublishedOn: e.PublishedOn, Cells: e.Cells, Computed: e.Cells,
		ProposedBy: e.ProposedBy, ReviewedBy: e.ReviewedBy, ApprovedBy: e.ApprovedBy,
	}
	if v.PublishedOn == 0 { // An event of before objections: it counts from the day of approval on.
		v.PublishedOn = e.EffectiveFrom
	}
	if o := s.Open; o != nil {
		v.Computed, v.Comparables, v.Adjustments, v.Method, v.Inputs = o.Cells, o.Comparables, o.Adjustments, o.Method, o.Inputs
		v.Position, v.Parameters, v.Reason, v.Answers = o.Position, o.Parameters, o.Reason, o.Answers
	}
	s.Versions = slices.Clone(s.Versions)
	for i := range s.Versions {
		if old := &s.Versions[i]; old.Until == 0 || old.Until >= e.EffectiveFrom {
			old.Until = e.EffectiveFrom - 1
		}
	}
	s.Versions, s.Open = append(s.Versions, v), nil
	for _, id := range v.Answers {
		s.Objections = with(s.Objections, id, func(o *Objection) { o.RevisedBy = v.Version })
	}
	return s
}
