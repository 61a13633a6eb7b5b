package guidance_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"zujian/domain"
	"zujian/domain/domaintest"
	. "zujian/domain/guidance"
	"zujian/domain/ruleset"
)

type tc = domaintest.Case[Command, Event]

var (
	now    = time.Date(2026, 7, 1, 2, 0, 0, 0, time.UTC)
	today  = domain.DayOf(now)
	maker  = domain.Actor{ID: "maker", Role: domain.RoleCity}
	second = domain.Actor{ID: "second", Role: domain.RoleCity}
	third  = domain.Actor{ID: "third", Role: domain.RoleCity}
)

var policy = ruleset.Shipped()

func parameters(t rapid.TB) Parameters {
	t.Helper()
	p, err := ParametersOn(policy, today)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func prices(median domain.Fen) Prices {
	return Prices{P10: median - 1000, P25: median - 500, Median: median, P75: median + 500, P90: median + 1000}
}

var whole = CellID{Area: "320115", LetMode: "WHOLE", SizeBand: domain.Size90, Fitout: "SIMPLE"}

func cell(median domain.Fen) Cell { return Cell{CellID: whole, N: 40, Prices: prices(median)} }

// thin is a street's cell that borrows the unit's prices.
func thin(median domain.Fen) Cell {
	return edit(cell(median), func(c *Cell) { c.Area, c.N, c.BorrowedFrom = "320115004", 0, "320115" })
}

func edit[T any](v T, f func(*T)) T { f(&v); return v }

func inputs(n int) string { return fmt.Sprintf("%064x", n) }

// put is a proposal of a draft as its proposer saw it.
func put(t rapid.TB, version int, cells ...Cell) Propose {
	d := Draft{
		Method: "weighted-quantile/2", Inputs: inputs(int(cells[0].Median)), Position: 7, Parameters: parameters(t), Cells: cells,
		Comparables: []Comparables{{CellID: whole, Rents: []Comparable{{Signed: "2026Q2", Fen: 3400}}}},
	}
	p := Propose{Version: version, EffectiveFrom: today, Draft: d, Claim: Claim{Inputs: d.Inputs}}
	if version > 1 {
		p.Reason = "late filings"
	}
	return p
}

func proposed(p Propose) Proposed {
	return Proposed{
		Version: p.Version, Cells: p.Draft.Cells, EffectiveFrom: p.EffectiveFrom, Reason: p.Reason, Method: p.Draft.Method, Inputs: p.Draft.Inputs,
		ProposedBy: "maker", Position: p.Draft.Position, Parameters: p.Draft.Parameters, Comparables: p.Draft.Comparables, Answers: p.Answers,
	}
}

func published(p Propose) Published {
	return Published{
		Version: p.Version, EffectiveFrom: p.EffectiveFrom, Cells: p.Draft.Cells, ProposedBy: "maker", ApprovedBy: "third",
		ReviewedBy: "second", PublishedOn: today,
	}
}

func TestDecide(t *testing.T) {
	ask := domain.Request[Command]{At: now, Actor: maker, Policy: policy}
	first := put(t, 1, cell(3400), thin(3400))
	open := []Event{proposed(first)}
	seen := append(slices.Clip(open), Reviewed{Version: 1, ReviewedBy: "second", Note: "plausible"})
	v1 := append(slices.Clip(seen), published(first))
	revision := put(t, 2, cell(3500), thin(3500))
	revision.EffectiveFrom = today + 30
	v2 := append(slices.Clip(v1), proposed(revision), Reviewed{Version: 2, ReviewedBy: "second"},
		edit(published(revision), func(p *Published) { p.Closes = today + 29 }))
	change := Adjust{Version: 1, Cell: whole, Prices: prices(3500), Reason: "survey of June"}
	verdict := domain.Verdict{{Rule: "P-05", Version: 1, Outcome: domain.OutcomePass}}
	changed := CellAdjusted{
		Version: 1, Cell: whole, Old: prices(3400), New: prices(3500), ChangeBP: 417, Reason: "survey of June", AdjustedBy: "maker", Rules: verdict,
	}
	adjusted := append(slices.Clip(open), changed)
	claim := func(f func([]Cell)) Propose {
		return edit(first, func(p *Propose) { p.Claim.Cells = slices.Clone(p.Draft.Cells); f(p.Claim.Cells) })
	}
	computed := func(f func(*Cell)) Propose {
		return edit(first, func(p *Propose) { p.Draft.Cells = []Cell{edit(cell(3400), f)} })
	}
	domaintest.Run(t, Decider, ask, []tc{
		{Name: "propose", When: first, Then: open},
		{Name: "propose again", Given: open, When: edit(first, func(p *Propose) { p.Draft.Position = 8 })},
		{Name: "propose with every cell", When: claim(func([]Cell) {}), Then: open},
		{Name: "a number of one's own", When: claim(func(c []Cell) { c[1].P90++ }), Err: ErrDiffers},
		{Name: "a count of one's own", When: claim(func(c []Cell) { c[0].N++ }), Err: ErrDiffers},
		{Name: "a cell that was not computed", When: claim(func(c []Cell) { c[0].Area = "320116" }), Err: ErrUnknown},
		{Name: "a cell twice", When: claim(func(c []Cell) { c[1] = c[0] }), Err: ErrUnknown},
		{Name: "a cell left out", When: edit(first, func(p *Propose) { p.Claim.Cells = p.Draft.Cells[:1] }), Err: ErrMissing},
		{Name: "a draft of before", When: edit(first, func(p *Propose) { p.Claim.Inputs = inputs(1) }), Err: ErrStale},
		{
			Name: "another draft before approval is reviewed anew", Given: seen, When: put(t, 1, cell(3500)), Then: []Event{proposed(put(t, 1, cell(3500)))},
		},
		{Name: "a second first version", Given: v1, When: put(t, 1, cell(3500)), Err: ErrPublished},
		{Name: "a version left out", Given: v1, When: put(t, 3, cell(3500)), Err: ErrVersion},
		{Name: "nothing computed", When: edit(first, func(p *Propose) { p.Draft.Cells = nil }), Err: ErrEmpty},
		{Name: "no day", When: edit(first, func(p *Propose) { p.EffectiveFrom = 0 }), Err: ErrEffective},
		{Name: "quantiles out of order", When: computed(func(c *Cell) { c.P75 = c.P90 + 1 }), Err: ErrCells},
		{Name: "a price of nothing", When: computed(func(c *Cell) { c.P10 = 0 }), Err: ErrCells},
		{Name: "a thin cell", When: computed(func(c *Cell) { c.N = 9 }), Err: ErrThin},

		{Name: "adjust", Given: open, When: change, Then: []Event{changed}},
		{Name: "adjust again", Given: adjusted, When: change},
		{Name: "adjust to what was computed", Given: open, When: edit(change, func(c *Adjust) { c.Prices = prices(3400) })},
		{
			Name: "adjust back", Given: adjusted, When: edit(change, func(c *Adjust) { c.Prices = prices(3400) }), Then: []Event{CellAdjusted{
				Version: 1, Cell: whole, Old: prices(3500), New: prices(3400), Reason: "survey of June", AdjustedBy: "maker", Rules: verdict,
			}},
		},
		{Name: "adjust without a reason", Given: open, When: edit(change, func(c *Adjust) { c.Reason = " " }), Err: ErrReason},
		{Name: "adjust what is not there", Given: open, When: edit(change, func(c *Adjust) { c.Cell.Area = "320102" }), Err: ErrUnknown},
		{Name: "adjust to falling quantiles", Given: open, When: edit(change, func(c *Adjust) { c.Prices.P10 = 9000 }), Err: ErrPrices},
		{Name: "adjust beyond the rule", Given: open, When: edit(change, func(c *Adjust) { c.Prices.P90 = 4841 }), Err: domain.Reject("guidance.adjusted_too_far", "")},
		{
			Name: "adjust to the edge of the rule, of what was computed", Given: adjusted, When: edit(change, func(c *Adjust) { c.Prices = prices(3400); c.Prices.P90 = 4840 }),
			Then: []Event{CellAdjusted{
				Version: 1, Cell: whole, Old: prices(3500), New: edit(prices(3400), func(p *Prices) { p.P90 = 4840 }), ChangeBP: 1000,
				Reason: "survey of June", AdjustedBy: "maker", Rules: verdict,
			}},
		},
		{Name: "adjust nothing", When: change, Err: ErrNotFound},
		{Name: "adjust what is published", Given: v1, When: change, Err: ErrPublished},

		{Name: "review by the same hand", Given: open, When: Review{Version: 1}, Err: ErrFourEyes},
		{Name: "review", Given: open, As: second, When: Review{Version: 1, Note: "plausible"}, Then: seen[1:]},
		{Name: "review again", Given: seen, As: second, When: Review{Version: 1}},
		{Name: "review nothing", As: second, When: Review{Version: 1}, Err: ErrNotFound},
		{Name: "approve unreviewed", Given: open, As: third, When: Approve{Version: 1}, Err: ErrReview},
		{Name: "approve by the same hand", Given: seen, When: Approve{Version: 1}, Err: ErrFourEyes},
		{Name: "approve", Given: seen, As: third, When: Approve{Version: 1}, Then: v1[2:]},
		{
			Name: "approve by who reviewed", Given: seen, As: second, When: Approve{Version: 1},
			Then: []Event{edit(published(first), func(p *Published) { p.ApprovedBy = "second" })},
		},
		{Name: "approve again", Given: v1, As: third, When: Approve{Version: 1}},
		{Name: "approve nothing", When: Approve{Version: 1}, Err: ErrNotFound},
		{Name: "an adjustment wants a new review", Given: append(slices.Clip(seen), changed), As: third, When: Approve{Version: 1}, Err: ErrReview},
		{
			Name: "who adjusted does not approve", As: third, When: Approve{Version: 1}, Err: ErrFourEyes,
			Given: append(slices.Clip(open), edit(changed, func(c *CellAdjusted) { c.AdjustedBy = "third" }), seen[1]),
		},
		{
			Name: "what borrows follows the adjustment", Given: append(slices.Clip(adjusted), seen[1]), As: third, When: Approve{Version: 1},
			Then: []Event{edit(published(first), func(p *Published) {
				by := func(c *Cell) { c.Adjusted = true }
				p.Cells = []Cell{edit(cell(3500), by), edit(thin(3500), by)}
			})},
		},
		{
			Name: "approved late, it counts from then", Given: seen, As: third, At: now.AddDate(0, 0, 5), When: Approve{Version: 1},
			Then: []Event{edit(published(first), func(p *Published) { p.EffectiveFrom, p.PublishedOn = today+5, today+5 })},
		},

		{Name: "revise", Given: v1, When: revision, Then: []Event{proposed(revision)}},
		{Name: "revise without a reason", Given: v1, When: edit(revision, func(r *Propose) { r.Reason = "" }), Err: ErrReason},
		{Name: "revise what was never published", When: revision, Err: ErrNoVersion},
		{Name: "a revision closes the version before", Given: v2[:len(v2)-1], As: third, When: Approve{Version: 2}, Then: v2[len(v2)-1:]},

		{Name: "withdraw", Given: open, When: Withdraw{Version: 1, Reason: "error"}, Then: []Event{Withdrawn{Version: 1, Reason: "error"}}},
		{Name: "withdraw again", Given: append(slices.Clip(open), Withdrawn{Version: 1}), When: Withdraw{Version: 1, Reason: "error"}},
		{Name: "withdraw without a reason", Given: open, When: Withdraw{Version: 1}, Err: ErrReason},
		{Name: "withdraw nothing", When: Withdraw{Version: 1, Reason: "error"}, Err: ErrNotFound},
		{
			Name: "withdraw what is published", Given: v1, When: Withdraw{Version: 1, Reason: "error"},
			Then: []Event{WithdrawalProposed{Version: 1, Reason: "error", ProposedBy: "maker"}},
		},
		{Name: "withdraw what is closed", Given: v2, When: Withdraw{Version: 1, Reason: "error"}, Err: ErrClosed},
		{Name: "end what nobody withdrew", Given: v1, As: second, When: ApproveWithdrawal{Version: 1}, Err: ErrNotFound},
		{
			Name: "end by the same hand", Given: append(slices.Clip(v1), WithdrawalProposed{Version: 1, Reason: "error", ProposedBy: "maker"}),
			When: ApproveWithdrawal{Version: 1}, Err: ErrFourEyes,
		},
		{
			Name: "end", Given: append(slices.Clip(v1), WithdrawalProposed{Version: 1, Reason: "error", ProposedBy: "maker"}), As: second,
			At: now.AddDate(0, 0, 3), When: ApproveWithdrawal{Version: 1},
			Then: []Event{Ended{Version: 1, LastDay: today + 3, Reason: "error", ProposedBy: "maker", ApprovedBy: "second"}},
		},
	})
}

func TestObjections(t *testing.T) {
	ask := domain.Request[Command]{At: now, Actor: maker, Policy: policy}
	first := put(t, 1, cell(3400), thin(3400))
	v1 := []Event{proposed(first), Reviewed{Version: 1, ReviewedBy: "second"}, published(first)}
	tenant := domain.Actor{ID: "key", Role: domain.RoleTenant, Party: "p1"}
	public := domain.Actor{Role: domain.RolePublic}
	file := FileObjection{Objection: "o1", Version: 1, Cell: whole, Subject: "p1", Text: "sealed", Evidence: []string{inputs(9)}}
	filed := ObjectionFiled{
		Objection: "o1", Version: 1, Cell: whole, Party: "p1", Subject: "p1", Text: "sealed", Evidence: []string{inputs(9)},
		FiledOn: today, AnswerBy: policy.Calendar.AddWorkdays(today, 15),
	}
	objected := append(slices.Clip(v1), filed)
	late := filed.AnswerBy + 1
	upheld := ObjectionAnswered{Objection: "o1", Upheld: true, Reason: "a typing error", AnsweredBy: "second", On: today}
	revision := edit(put(t, 2, cell(3500)), func(p *Propose) { p.Answers = []string{"o1"} })
	var crowd []Event
	for n := range 200 {
		crowd = append(crowd, edit(filed, func(f *ObjectionFiled) { f.Objection, f.Party = fmt.Sprint("a", n), "" }))
	}
	domaintest.Run(t, Decider, ask, []tc{
		{Name: "object", Given: v1, As: tenant, When: file, Then: []Event{filed}},
		{Name: "object again", Given: objected, As: tenant, When: file},
		{Name: "object twice", Given: objected, As: tenant, When: edit(file, func(f *FileObjection) { f.Objection = "o2" }), Err: ErrObjected},
		{
			Name: "the public objects beside", Given: objected, As: public, When: edit(file, func(f *FileObjection) { f.Objection = "o2" }),
			Then: []Event{edit(filed, func(f *ObjectionFiled) { f.Objection, f.Party = "o2", "" })},
		},
		{Name: "a crowd without a name", Given: append(slices.Clip(v1), crowd...), As: public, When: file, Err: ErrObjectors},
		{Name: "one with a name in the crowd", Given: append(slices.Clip(v1), crowd...), As: tenant, When: file, Then: []Event{filed}},
		{Name: "object to nothing", As: tenant, When: file, Err: ErrNotFound},
		{Name: "object to a cell that is not there", Given: v1, As: tenant, When: edit(file, func(f *FileObjection) { f.Cell.Fitout = "FULL" }), Err: ErrUnknown},
		{Name: "object without a reason", Given: v1, As: tenant, When: edit(file, func(f *FileObjection) { f.Text = "" }), Err: ErrObjectionDoc},
		{Name: "evidence that is no hash", Given: v1, As: tenant, When: edit(file, func(f *FileObjection) { f.Evidence = []string{"x"} }), Err: ErrObjectionDoc},
		{Name: "object on the last day", Given: v1, As: tenant, At: now.AddDate(0, 0, 60), When: file, Then: []Event{edit(filed, func(f *ObjectionFiled) {
			f.FiledOn, f.AnswerBy = today+60, policy.Calendar.AddWorkdays(today+60, 15)
		})}},
		{Name: "object too late", Given: v1, As: tenant, At: now.AddDate(0, 0, 61), When: file, Err: domain.Reject("guidance.objection_too_late", "")},

		{Name: "uphold", Given: objected, As: second, When: AnswerObjection{Objection: "o1", Uphold: true, Reason: "a typing error"}, Then: []Event{upheld}},
		{Name: "uphold again", Given: append(slices.Clip(objected), upheld), As: second, When: AnswerObjection{Objection: "o1", Uphold: true, Reason: "a typing error"}},
		{Name: "dismiss what was upheld", Given: append(slices.Clip(objected), upheld), When: AnswerObjection{Objection: "o1", Reason: "no"}, Err: ErrAnswered},
		{Name: "dismiss without a reason", Given: objected, When: AnswerObjection{Objection: "o1"}, Err: ErrReason},
		{Name: "answer nothing", Given: v1, When: AnswerObjection{Objection: "o1", Reason: "no"}, Err: ErrObjection},
		{Name: "answer one's own", Given: objected, As: tenant, When: AnswerObjection{Objection: "o1", Reason: "no"}, Err: ErrFourEyes},
		{Name: "on its last day it is not overdue", Given: objected, At: filed.AnswerBy.Start(), When: MarkOverdue{Objection: "o1"}},
		{Name: "overdue", Given: objected, At: late.Start(), When: MarkOverdue{Objection: "o1"}, Then: []Event{ObjectionOverdue{Objection: "o1", AnswerBy: filed.AnswerBy}}},
		{Name: "answered in time", Given: append(slices.Clip(objected), upheld), At: late.Start(), When: MarkOverdue{Objection: "o1"}},

		{Name: "a revision follows it", Given: append(slices.Clip(objected), upheld), When: revision, Then: []Event{proposed(revision)}},
		{Name: "a revision of what was not upheld", Given: objected, When: revision, Err: ErrObjection},
		{
			Name: "a revision of what was revised", Given: append(slices.Clip(objected), upheld, proposed(revision), published(revision)),
			When: edit(put(t, 3, cell(3600)), func(p *Propose) { p.Answers = []string{"o1"} }), Err: ErrObjection,
		},
	})
	for want, events := range map[string][]Event{
		ObjectionOpen: objected, ObjectionLate: append(slices.Clip(objected), ObjectionOverdue{Objection: "o1"}),
		ObjectionUpheld:    append(slices.Clip(objected), ObjectionOverdue{Objection: "o1"}, upheld),
		ObjectionDismissed: append(slices.Clip(objected), edit(upheld, func(a *ObjectionAnswered) { a.Upheld = false })),
		ObjectionRevised:   append(slices.Clip(objected), upheld, proposed(revision), published(revision)),
	} {
		if got := Decider.Fold(State{}, events...).Objections[0].State(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestAContractKeepsTheVersionOfItsSigning(t *testing.T) { // Scenario 20.
	s := Decider.Fold(State{},
		Published{Version: 1, EffectiveFrom: today, Cells: []Cell{cell(3400)}},
		Published{Version: 2, EffectiveFrom: today + 30, Cells: []Cell{cell(3500)}},
		Ended{Version: 2, LastDay: today + 50})
	for on, want := range map[domain.Day]struct {
		version          int
		inForce, decided bool
	}{
		today - 1: {0, false, false}, today: {1, true, true}, today + 29: {1, true, true}, today + 30: {2, true, true}, today + 50: {2, true, true},
		today + 51: {2, false, true},
	} {
		v, inForce, decided := s.InForce(on)
		if v.Version != want.version || inForce != want.inForce || decided != want.decided {
			t.Errorf("on %s version %d %v %v, want %v", on, v.Version, inForce, decided, want)
		}
	}
	if s.Versions[0].Until != today+29 {
		t.Errorf("version 1 ends on %s", s.Versions[0].Until)
	}
	if got := Reference("2026Q2", 1); got != "2026Q2/1" {
		t.Error(got)
	}
	never := Decider.Fold(State{}, Published{Version: 1, EffectiveFrom: today + 9}, Ended{Version: 1, LastDay: today})
	if _, inForce, decided := never.InForce(today + 10); inForce || decided {
		t.Error("what never was in force displaces the period before")
	}
}

func TestABookPricesByTheNearestArea(t *testing.T) {
	v := Version{Cells: []Cell{cell(3400), edit(cell(3000), func(c *Cell) { c.Area = City }), thin(3400)}}
	for _, c := range []struct{ street, unit, want string }{
		{"320115004", "320115", "320115004"}, {"320115009", "320115", "320115"}, {"", "320115", "320115"}, {"", "320102", City}, {"", "", City},
	} {
		if got, ok := v.Book().Price(c.street, c.unit, whole); !ok || got.Area != c.want {
			t.Errorf("%+v: got %+v", c, got)
		}
	}
	if got, ok := v.Book().Price("320115004", "320115", CellID{LetMode: "BY_BED"}); ok {
		t.Errorf("a price of another kind: %+v", got)
	}
}

// TestParametersFollowTheRulesOfTheDay: a dated change counts from its day and not before; what no price can be computed by
// is refused with the rule and the parameter.
func TestParametersFollowTheRulesOfTheDay(t *testing.T) {
	change := func(id, name string, value any) domain.Policy {
		p := policy
		for _, r := range policy.InForce(today) {
			if r.ID == id {
				r.Version, r.EffectiveFrom, r.Params = 2, today+10, maps.Clone(r.Params)
				r.Params[name] = domain.Param{Value: value}
				p.Rules = append(slices.Clip(p.Rules), r)
			}
		}
		return p
	}
	p := change("P-02", "min_contracts", int64(20))
	for on, want := range map[domain.Day]int64{today: 10, today + 9: 10, today + 10: 20, today + 99: 20} {
		got, err := ParametersOn(p, on)
		if err != nil || got.Contracts != want || got.On != on || (got.Show == "P-02@2") != (want == 20) || got.Base != "P-03@1" {
			t.Errorf("on %s: %+v %v", on, got, err)
		}
	}
	for _, bad := range []domain.Policy{
		change("P-02", "min_contracts", int64(0)), change("P-02", "min_lessors", int64(2)), change("P-02", "max_lessor_bp", int64(10_001)),
		change("P-03", "window_months", int64(0)), change("P-03", "half_life_months", int64(-1)), change("P-03", "fence_pct", "much"),
		change("P-03", "window_months", int64(1_000_000)),
		{},
	} {
		if _, err := ParametersOn(bad, today+10); !errors.Is(err, ErrParameters) {
			t.Errorf("got %v", err)
		}
	}
}

func TestLaws(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		var s State
		var events []Event
		at := now
		for range rapid.IntRange(1, 30).Draw(r, "steps") {
			at = at.AddDate(0, 0, rapid.IntRange(0, 40).Draw(r, "days"))
			n := rapid.IntRange(0, 4).Draw(r, "version")
			median := domain.Fen(3000 + rapid.IntRange(0, 2).Draw(r, "median"))
			p := put(r, n, cell(median), thin(median))
			p.EffectiveFrom = domain.DayOf(at) + domain.Day(rapid.IntRange(-50, 50).Draw(r, "from"))
			id := rapid.SampledFrom([]string{"o1", "o2"}).Draw(r, "objection")
			c := rapid.SampledFrom([]Command{
				p, p,
				Approve{Version: n},
				Approve{Version: n},
				Review{Version: n},
				Review{Version: n},
				Withdraw{Version: n, Reason: "r"},
				ApproveWithdrawal{Version: n},
				Adjust{Version: n, Cell: whole, Prices: prices(median + 1), Reason: "r"},
				FileObjection{Objection: id, Version: n, Cell: whole, Text: "t"},
				AnswerObjection{Objection: id, Uphold: true, Reason: "r"},
				MarkOverdue{Objection: id},
			}).Draw(r, "command")
			req := domain.Request[Command]{
				At: at, Actor: rapid.SampledFrom([]domain.Actor{maker, second, third}).Draw(r, "actor"), Policy: policy, Command: c,
			}
			got, err := Decider.Decide(s, req)
			if err != nil {
				continue
			}
			before := s
			s = Decider.Fold(s, got...)
			events = append(events, got...)
			if len(s.Versions) < len(before.Versions) {
				r.Fatalf("%T took a version away", c)
			}
			for i, v := range before.Versions {
				now := s.Versions[i]
				now.Until, now.Withdrawal, now.Withdrawn = v.Until, v.Withdrawal, v.Withdrawn
				if !cmp.Equal(now, v) {
					r.Fatalf("%T changed a published version", c)
				}
			}
			for i, v := range s.Versions {
				if v.Version != i+1 || v.ProposedBy == v.ApprovedBy || v.ProposedBy == v.ReviewedBy ||
					slices.ContainsFunc(v.Adjustments, func(a CellAdjusted) bool { return a.AdjustedBy == v.ApprovedBy || a.AdjustedBy == v.ReviewedBy }) {
					r.Fatalf("versions %+v", s.Versions)
				}
				if i+1 < len(s.Versions) && (v.Until == 0 || v.Until >= s.Versions[i+1].EffectiveFrom) {
					r.Fatalf("version %d ends on %s, the next begins on %s", i+1, v.Until, s.Versions[i+1].EffectiveFrom)
				}
			}
			if again, err := Decider.Decide(s, req); err != nil || len(again) > 0 {
				if _, p := c.(Propose); !p {
					r.Fatalf("%T again: %v, %v", c, again, err)
				}
			}
		}
		cut := rapid.IntRange(0, len(events)).Draw(r, "cut")
		if diff := cmp.Diff(Decider.Fold(Decider.Fold(State{}, events[:cut]...), events[cut:]...), s); diff != "" {
			r.Fatalf("folded in pieces:\n%s", diff)
		}
	})
}

func TestGolden(t *testing.T) { domaintest.Golden(t, Types, "testdata/events") }
