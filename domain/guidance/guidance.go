// Package guidance decides the guidance prices (租金指导价格) of a period: proposed by one person, approved by another,
// published as numbered versions that never change. It does not compute them; the projection of that name does, and a
// person proposes what it says.
//
// # Decisions
//
// A version counts from the day it was proposed for, but never from before the day it was approved: the price a
// contract was signed under is known on that day, and [State.InForce] gives the same answer for ever.
package guidance

import (
	"fmt"
	"regexp"
	"slices"

	"zujian/domain"
)

// Decider is the guidance aggregate, one stream per period.
var Decider = domain.Decider[State, Command, Event]{Category: "guidance", Decide: decide, Evolve: evolve}

// Rejections.
var (
	ErrNotFound  = domain.Reject("guidance.not_found", "no prices of this period or version were proposed")
	ErrPublished = domain.Reject("guidance.already_published", "the period is published; only a revision can follow")
	ErrVersion   = domain.Reject("guidance.wrong_version", "versions count up by one without a gap")
	ErrNoVersion = domain.Reject("guidance.not_published", "the period has no published version to revise")
	ErrFourEyes  = domain.Reject("guidance.four_eyes", "prices are approved by another person than proposed them")
	ErrReason    = domain.Reject("guidance.reason_required", "a revision or withdrawal needs its reason")
	ErrCells     = domain.Reject("guidance.invalid_cells", "prices need 1 to 20 000 cells, each once, with rising positive quantiles")
	ErrThin      = domain.Reject("guidance.thin_cell", "a cell of too few contracts borrows its parent's prices and says so")
	ErrEffective = domain.Reject("guidance.invalid_effective_from", "the day from which the prices count is missing or out of range")
)

// State is every published version and the proposal that is open.
type State struct {
	Versions []Version // In order; Versions[i].Version == i+1.
	Open     *Proposed
}

// Version is one published version. It never changes.
type Version struct {
	Version       int
	EffectiveFrom domain.Day
	Cells         []Cell
	ProposedBy    string
	ApprovedBy    string
}

// InForce is the version in force on a day: the last of those that count by then.
func (s State) InForce(on domain.Day) (Version, bool) {
	for _, v := range slices.Backward(s.Versions) {
		if v.EffectiveFrom <= on {
			return v, true
		}
	}
	return Version{}, false
}

// Reference is how a contract names a version: "2026Q3/1".
func Reference(period ID, version int) string { return fmt.Sprintf("%s/%d", period, version) }

// Limits, and the disclosure minimum when the rule set names none (P-02).
const (
	cellsMax         = 20_000
	contractsDefault = 10
)

var inputsForm = regexp.MustCompile(`^([0-9a-f]{64})?$`)

func decide(s State, r domain.Request[Command]) ([]Event, error) {
	switch c := r.Command.(type) {
	case Propose:
		if len(s.Versions) > 0 {
			if first := s.Versions[0]; c.Version == 1 && slices.Equal(first.Cells, c.Cells) {
				return nil, nil
			}
			return nil, ErrPublished
		}
		return propose(s, r, Proposed{
			Version: c.Version, Cells: c.Cells, EffectiveFrom: c.EffectiveFrom, Method: c.Method, Inputs: c.Inputs,
		})
	case Revise:
		switch n := len(s.Versions); {
		case n == 0:
			return nil, ErrNoVersion
		case c.Reason == "":
			return nil, ErrReason.At("/reason")
		case c.Version >= 1 && c.Version <= n && slices.Equal(s.Versions[c.Version-1].Cells, c.Cells):
			return nil, nil
		}
		return propose(s, r, Proposed{
			Version: c.Version, Cells: c.Cells, EffectiveFrom: c.EffectiveFrom, Reason: c.Reason, Method: c.Method,
			Inputs: c.Inputs,
		})
	case Approve:
		return approve(s, r, c)
	case Withdraw:
		switch {
		case s.Open == nil || s.Open.Version != c.Version:
			return nil, nil // Nothing of that version is open: it is as the asker wants it.
		case c.Reason == "":
			return nil, ErrReason.At("/reason")
		}
		return []Event{Withdrawn(c)}, nil
	}
	panic("guidance: unhandled command") // Sealed set: only a programming error gets here.
}

func propose(s State, r domain.Request[Command], p Proposed) ([]Event, error) {
	p.ProposedBy = r.Actor.ID
	switch {
	case p.Version != len(s.Versions)+1:
		return nil, ErrVersion.With("next", len(s.Versions)+1).At("/version")
	case p.EffectiveFrom < domain.DayMin || p.EffectiveFrom > domain.DayMax || p.EffectiveFrom == 0:
		return nil, ErrEffective.At("/effective_from")
	case !inputsForm.MatchString(p.Inputs):
		return nil, ErrCells.At("/inputs")
	}
	if err := checkCells(r.Policy, p); err != nil {
		return nil, err
	}
	if s.Open != nil && sameProposal(*s.Open, p) {
		return nil, nil
	}
	return []Event{p}, nil
}

func sameProposal(a, b Proposed) bool {
	return a.Version == b.Version && a.EffectiveFrom == b.EffectiveFrom && a.Reason == b.Reason &&
		a.Method == b.Method && a.Inputs == b.Inputs && slices.Equal(a.Cells, b.Cells)
}

func checkCells(policy domain.Policy, p Proposed) error {
	if len(p.Cells) == 0 || len(p.Cells) > cellsMax {
		return ErrCells.At("/cells")
	}
	least, ok := policy.Param("P-02", "min_contracts", p.EffectiveFrom)
	if !ok {
		least = contractsDefault
	}
	type key struct{ area, mode, size, fitout string }
	seen := make(map[key]bool, len(p.Cells))
	for i, c := range p.Cells {
		pointer := fmt.Sprintf("/cells/%d", i)
		k := key{c.Area, c.LetMode, c.SizeBand, c.Fitout}
		rising := slices.IsSorted([]domain.Fen{1, c.P10, c.P25, c.Median, c.P75, c.P90, domain.FenMax})
		if c.Area == "" || seen[k] || !rising || c.N < 0 {
			return ErrCells.At(pointer)
		}
		seen[k] = true
		if int64(c.N) < least && c.BorrowedFrom == "" {
			return ErrThin.With("n", c.N).With("min", least).At(pointer)
		}
	}
	return nil
}

func approve(s State, r domain.Request[Command], c Approve) ([]Event, error) {
	switch {
	case c.Version >= 1 && c.Version <= len(s.Versions):
		return nil, nil
	case s.Open == nil || s.Open.Version != c.Version:
		return nil, ErrNotFound
	case s.Open.ProposedBy == r.Actor.ID:
		return nil, ErrFourEyes
	}
	return []Event{Published{
		Version: s.Open.Version, EffectiveFrom: max(s.Open.EffectiveFrom, r.Today()), Cells: s.Open.Cells,
		ProposedBy: s.Open.ProposedBy, ApprovedBy: r.Actor.ID,
	}}, nil
}

func evolve(s State, e Event) State {
	switch e := e.(type) {
	case Proposed:
		s.Open = &e
	case Published:
		s.Open = nil
		s.Versions = append(slices.Clip(s.Versions), Version(e))
	case Withdrawn:
		s.Open = nil
	}
	return s
}
