package guidance

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"zujian/domain"
)

// cellsMax bounds a version: every street of a large city by every kind of letting.
const cellsMax = 20_000

var inputsForm = regexp.MustCompile(`^[0-9a-f]{64}$`)

func propose(s State, r domain.Request[Command], c Propose) ([]Event, error) {
	p := Proposed{
		Version: c.Version, Cells: c.Draft.Cells, EffectiveFrom: c.EffectiveFrom, Reason: strings.TrimSpace(c.Reason), Method: c.Draft.Method,
		Inputs: c.Draft.Inputs, ProposedBy: r.Actor.ID, Position: c.Draft.Position, Parameters: c.Draft.Parameters,
		Comparables: c.Draft.Comparables, Answers: c.Answers,
	}
	switch n := len(s.Versions); {
	case p.Version >= 1 && p.Version <= n:
		return nil, ErrPublished.With("next", n+1).At("/version")
	case n == 0 && p.Version > 1:
		return nil, ErrNoVersion.At("/version")
	case p.Version != n+1:
		return nil, ErrVersion.With("next", n+1).At("/version")
	case p.Version > 1 && p.Reason == "":
		return nil, ErrReason.At("/reason")
	case p.EffectiveFrom < domain.DayMin || p.EffectiveFrom > domain.DayMax || p.EffectiveFrom == 0:
		return nil, ErrEffective.At("/effective_from")
	}
	if err := s.checkAnswers(p); err != nil {
		return nil, err
	}
	if err := checkClaim(c.Draft, c.Claim); err != nil {
		return nil, err
	}
	if err := checkCells(p); err != nil {
		return nil, err
	}
	if s.Open != nil && sameProposal(s.Open.Proposed, p) {
		return nil, nil
	}
	return []Event{p}, nil
}

// sameProposal compares all but where the log stood: the same prices computed again are the same.
func sameProposal(a, b Proposed) bool {
	a.Position, b.Position = 0, 0
	a.Parameters.On, b.Parameters.On = 0, 0
	return reflect.DeepEqual(a, b)
}

// checkClaim holds what the proposer saw to what was computed: no number gets in but by an adjustment.
func checkClaim(d Draft, c Claim) error {
	if c.Inputs != d.Inputs {
		return ErrStale.With("inputs", d.Inputs).At("/inputs")
	}
	if len(c.Cells) == 0 {
		return nil
	}
	computed := make(map[CellID]Cell, len(d.Cells))
	for _, x := range d.Cells {
		computed[x.CellID] = x
	}
	for i, x := range c.Cells {
		pointer := fmt.Sprintf("/cells/%d", i)
		want, known := computed[x.CellID]
		switch {
		case !known:
			return ErrUnknown.At(pointer) // Or named a second time.
		case x != want:
			return ErrDiffers.With("computed_median", want.Median).With("computed_n", want.N).At(pointer)
		}
		delete(computed, x.CellID)
	}
	for _, x := range d.Cells {
		if _, missing := computed[x.CellID]; missing {
			return ErrMissing.With("area", x.Area).With("let_mode", x.LetMode).With("size_band", x.SizeBand).With("fitout", x.Fitout).At("/cells")
		}
	}
	return nil
}

// checkCells holds the draft itself to what a version is.
func checkCells(p Proposed) error {
	switch {
	case len(p.Cells) == 0:
		return ErrEmpty
	case len(p.Cells) > cellsMax, !inputsForm.MatchString(p.Inputs):
		return ErrCells.At("/cells")
	}
	seen := make(map[CellID]bool, len(p.Cells))
	for i, c := range p.Cells {
		pointer := fmt.Sprintf("/cells/%d", i)
		if c.Area == "" || seen[c.CellID] || !c.rising() || c.N < 0 {
			return ErrCells.At(pointer)
		}
		seen[c.CellID] = true
		if c.BorrowedFrom == "" && int64(c.N) < p.Parameters.Contracts {
			return ErrThin.With("n", c.N).With("min", p.Parameters.Contracts).At(pointer)
		}
	}
	return nil
}

func (p Prices) rising() bool {
	return slices.IsSorted([]domain.Fen{1, p.P10, p.P25, p.Median, p.P75, p.P90, domain.FenMax})
}

func (p Prices) all() [5]domain.Fen { return [5]domain.Fen{p.P10, p.P25, p.Median, p.P75, p.P90} }

// changeBP is the largest relative change of a quantile, in basis points rounded up.
func (p Prices) changeBP(from Prices) (bp int64) {
	for i, old := range from.all() {
		off := int64(p.all()[i] - old)
		bp = max(bp, (max(off, -off)*10_000+int64(old)-1)/int64(old))
	}
	return bp
}

func find(cells []Cell, id CellID) (Cell, bool) {
	i := slices.IndexFunc(cells, func(c Cell) bool { return c.CellID == id })
	if i < 0 {
		return Cell{}, false
	}
	return cells[i], true
}

// open finds the proposal a command speaks of; nil and no error when that version is published.
func (s State) open(version int) (*Proposal, error) {
	switch {
	case s.Open != nil && s.Open.Version == version:
		return s.Open, nil
	case version >= 1 && version <= len(s.Versions):
		return nil, nil
	}
	return nil, ErrNotFound.At("/version")
}

// made says whether an actor had a hand in the proposal's numbers.
func (p *Proposal) made(actor string) bool {
	return p.ProposedBy == actor || slices.ContainsFunc(p.Adjustments, func(a CellAdjusted) bool { return a.AdjustedBy == actor })
}

// Adjusted are the proposal's cells with every adjustment. A cell that borrows an adjusted cell's prices follows it.
func (p *Proposal) Adjusted() []Cell {
	if len(p.Adjustments) == 0 {
		return p.Cells
	}
	set := map[CellID]Prices{}
	for _, a := range p.Adjustments {
		set[a.Cell] = a.New
	}
	cells := slices.Clone(p.Cells)
	for i := range cells {
		id := cells[i].CellID
		prices, ok := set[id]
		if !ok && cells[i].BorrowedFrom != "" {
			id.Area = cells[i].BorrowedFrom
			prices, ok = set[id]
		}
		if ok {
			cells[i].Prices, cells[i].Adjusted = prices, true
		}
	}
	return cells
}

func adjust(s State, r domain.Request[Command], c Adjust) ([]Event, error) {
	p, err := s.open(c.Version)
	if err != nil {
		return nil, err
	}
	if p == nil {
		return nil, ErrPublished.With("next", len(s.Versions)+1).At("/version")
	}
	reason := strings.TrimSpace(c.Reason)
	computed, known := find(p.Cells, c.Cell)
	now, _ := find(p.Adjusted(), c.Cell)
	switch {
	case !known:
		return nil, ErrUnknown.At("/cell")
	case reason == "":
		return nil, ErrReason.At("/reason")
	case !c.Prices.rising():
		return nil, ErrPrices.At("/prices")
	case now.Prices == c.Prices && (now.Adjusted || computed.Prices == c.Prices):
		return nil, nil
	}
	change := c.Prices.changeBP(computed.Prices)
	verdict, err := judge(r, domain.Facts{"adjustment": domain.Facts{"change_bp": change}})
	if err != nil {
		return nil, err
	}
	return []Event{CellAdjusted{
		Version: c.Version, Cell: c.Cell, Old: now.Prices, New: c.Prices, ChangeBP: change, Reason: reason, AdjustedBy: r.Actor.ID,
		Rules: verdict,
	}}, nil
}

// judge keeps what the rules of the stage say that have their facts here.
func judge(r domain.Request[Command], facts domain.Facts) (domain.Verdict, error) {
	v := slices.DeleteFunc(r.Policy.Judge(domain.StageGuidance, r.Today(), facts), func(x *domain.RuleResult) bool {
		return x.Outcome == domain.OutcomeUnknown
	})
	return v, v.Err()
}

func review(s State, r domain.Request[Command], c Review) ([]Event, error) {
	p, err := s.open(c.Version)
	switch {
	case err != nil || p == nil:
		return nil, err
	case p.made(r.Actor.ID):
		return nil, ErrFourEyes
	case p.ReviewedBy == r.Actor.ID:
		return nil, nil
	}
	return []Event{Reviewed{Version: c.Version, ReviewedBy: r.Actor.ID, Note: strings.TrimSpace(c.Note)}}, nil
}

func approve(s State, r domain.Request[Command], c Approve) ([]Event, error) {
	p, err := s.open(c.Version)
	switch {
	case err != nil || p == nil:
		return nil, err
	case p.made(r.Actor.ID):
		return nil, ErrFourEyes
	case p.ReviewedBy == "":
		return nil, ErrReview
	}
	e := Published{
		Version: p.Version, EffectiveFrom: max(p.EffectiveFrom, r.Today()), Cells: p.Adjusted(), ProposedBy: p.ProposedBy,
		ApprovedBy: r.Actor.ID, ReviewedBy: p.ReviewedBy, PublishedOn: r.Today(),
	}
	if n := len(s.Versions); n > 0 {
		if last := s.Versions[n-1]; last.EffectiveFrom < e.EffectiveFrom && last.Until == 0 {
			e.Closes = e.EffectiveFrom - 1
		}
	}
	return []Event{e}, nil
}

func withdraw(s State, r domain.Request[Command], c Withdraw) ([]Event, error) {
	reason := strings.TrimSpace(c.Reason)
	p, err := s.open(c.Version)
	switch {
	case err != nil && s.Open == nil && c.Version == s.Dropped && c.Version > 0:
		return nil, nil // Dropped before.
	case err != nil:
		return nil, err
	case reason == "":
		return nil, ErrReason.At("/reason")
	case p != nil:
		return []Event{Withdrawn{Version: c.Version, Reason: reason}}, nil
	}
	switch v := s.Versions[c.Version-1]; {
	case v.Withdrawn != "", v.Withdrawal != nil && v.Withdrawal.Reason == reason && v.Withdrawal.ProposedBy == r.Actor.ID:
		return nil, nil
	case v.Until != 0:
		return nil, ErrClosed.With("until", v.Until.String()).At("/version")
	}
	return []Event{WithdrawalProposed{Version: c.Version, Reason: reason, ProposedBy: r.Actor.ID}}, nil
}

func approveWithdrawal(s State, r domain.Request[Command], c ApproveWithdrawal) ([]Event, error) {
	v, ok := s.Version(c.Version)
	switch {
	case !ok || v.Withdrawal == nil:
		return nil, ErrNotFound.At("/version")
	case v.Withdrawn != "":
		return nil, nil
	case v.Until != 0:
		return nil, ErrClosed.With("until", v.Until.String()).At("/version")
	case v.Withdrawal.ProposedBy == r.Actor.ID:
		return nil, ErrFourEyes
	}
	return []Event{Ended{
		Version: c.Version, LastDay: max(r.Today(), v.EffectiveFrom-1), Reason: v.Withdrawal.Reason,
		ProposedBy: v.Withdrawal.ProposedBy, ApprovedBy: r.Actor.ID,
	}}, nil
}
