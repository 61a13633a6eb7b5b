package guidance_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"zujian/domain"
	"zujian/domain/domaintest"
	. "zujian/domain/guidance"
)

type tc = domaintest.Case[Command, Event]

var (
	now    = time.Date(2026, 7, 1, 2, 0, 0, 0, time.UTC)
	today  = domain.DayOf(now)
	maker  = domain.Actor{ID: "maker", Role: domain.RoleCity}
	second = domain.Actor{ID: "second", Role: domain.RoleCity}
)

func cell(median domain.Fen) Cell {
	return Cell{
		Area: "320115", LetMode: "WHOLE", SizeBand: domain.Size90, Fitout: "SIMPLE", N: 40,
		P10: median - 1000, P25: median - 500, Median: median, P75: median + 500, P90: median + 1000,
	}
}

func edit[T any](v T, f func(*T)) T { f(&v); return v }

func TestDecide(t *testing.T) {
	ask := domain.Request[Command]{At: now, Actor: maker}
	cells := []Cell{cell(3400)}
	proposed := Proposed{Version: 1, Cells: cells, EffectiveFrom: today, ProposedBy: "maker"}
	published := Published{Version: 1, EffectiveFrom: today, Cells: cells, ProposedBy: "maker", ApprovedBy: "second"}
	v1 := []Event{proposed, published}
	revise := Revise{Version: 2, Cells: []Cell{cell(3500)}, EffectiveFrom: today + 30, Reason: "late filings"}
	revised := Proposed{Version: 2, Cells: revise.Cells, EffectiveFrom: today + 30, Reason: "late filings", ProposedBy: "maker"}
	propose := func(f func(*Cell)) Propose {
		return Propose{Version: 1, Cells: []Cell{edit(cell(3400), f)}, EffectiveFrom: today}
	}
	domaintest.Run(t, Decider, ask, []tc{
		{Name: "propose", When: Propose{Version: 1, Cells: cells, EffectiveFrom: today}, Then: []Event{proposed}},
		{Name: "propose again", Given: []Event{proposed}, When: Propose{Version: 1, Cells: cells, EffectiveFrom: today}},
		{
			Name: "propose other prices before approval", Given: []Event{proposed}, When: Propose{Version: 1, Cells: revise.Cells, EffectiveFrom: today},
			Then: []Event{edit(proposed, func(p *Proposed) { p.Cells = revise.Cells })},
		},
		{Name: "a second first version", Given: v1, When: Propose{Version: 1, Cells: revise.Cells, EffectiveFrom: today}, Err: ErrPublished},
		{Name: "a version left out", When: Propose{Version: 2, Cells: cells, EffectiveFrom: today}, Err: ErrVersion},
		{Name: "no cells", When: Propose{Version: 1, EffectiveFrom: today}, Err: ErrCells},
		{Name: "no day", When: Propose{Version: 1, Cells: cells}, Err: ErrEffective},
		{Name: "a cell twice", When: Propose{Version: 1, Cells: []Cell{cell(1500), cell(1600)}, EffectiveFrom: today}, Err: ErrCells},
		{Name: "quantiles out of order", When: propose(func(c *Cell) { c.P75 = c.P90 + 1 }), Err: ErrCells},
		{Name: "a price of nothing", When: propose(func(c *Cell) { c.P10 = 0 }), Err: ErrCells},
		{Name: "a thin cell", When: propose(func(c *Cell) { c.N = 9 }), Err: ErrThin},
		{
			Name: "a thin cell that borrows", When: propose(func(c *Cell) { c.N, c.BorrowedFrom = 9, "city" }),
			Then: []Event{edit(proposed, func(p *Proposed) {
				p.Cells = []Cell{edit(cell(3400), func(c *Cell) { c.N, c.BorrowedFrom = 9, "city" })}
			})},
		},
		{Name: "approve by the same hand", Given: []Event{proposed}, When: Approve{Version: 1}, Err: ErrFourEyes},
		{Name: "approve by another", Given: []Event{proposed}, As: second, When: Approve{Version: 1}, Then: []Event{published}},
		{Name: "approve again", Given: v1, As: second, When: Approve{Version: 1}},
		{Name: "approve nothing", When: Approve{Version: 1}, Err: ErrNotFound},
		{
			Name: "approved late, it counts from then", Given: []Event{proposed}, As: second, At: now.AddDate(0, 0, 5), When: Approve{Version: 1},
			Then: []Event{edit(published, func(p *Published) { p.EffectiveFrom = today + 5 })},
		},
		{Name: "revise", Given: v1, When: revise, Then: []Event{revised}},
		{Name: "revise without a reason", Given: v1, When: edit(revise, func(r *Revise) { r.Reason = "" }), Err: ErrReason},
		{Name: "revise what was never published", When: revise, Err: ErrNoVersion},
		{Name: "rewrite the published version", Given: v1, When: edit(revise, func(r *Revise) { r.Version = 1 }), Err: ErrVersion},
		{Name: "withdraw", Given: []Event{proposed}, When: Withdraw{Version: 1, Reason: "error"}, Then: []Event{Withdrawn{Version: 1, Reason: "error"}}},
		{Name: "withdraw what is published", Given: v1, When: Withdraw{Version: 1, Reason: "error"}},
	})
}

func TestAContractKeepsTheVersionOfItsSigning(t *testing.T) { // Scenario 20.
	s := Decider.Fold(State{},
		Published{Version: 1, EffectiveFrom: today, Cells: []Cell{cell(3400)}},
		Published{Version: 2, EffectiveFrom: today + 30, Cells: []Cell{cell(3500)}})
	for on, want := range map[domain.Day]int{today - 1: 0, today: 1, today + 29: 1, today + 30: 2, today + 365: 2} {
		v, _ := s.InForce(on)
		if v.Version != want {
			t.Errorf("on %s version %d, want %d", on, v.Version, want)
		}
	}
	if got := Reference("2026Q2", 1); got != "2026Q2/1" {
		t.Error(got)
	}
}

func TestLaws(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		var s State
		var events []Event
		at := now
		for range rapid.IntRange(1, 20).Draw(r, "steps") {
			at = at.AddDate(0, 0, rapid.IntRange(0, 40).Draw(r, "days"))
			n := rapid.IntRange(0, 4).Draw(r, "version")
			cells := []Cell{cell(domain.Fen(3000 + rapid.IntRange(0, 2).Draw(r, "median")))}
			from := domain.DayOf(at) + domain.Day(rapid.IntRange(-50, 50).Draw(r, "from"))
			c := rapid.SampledFrom([]Command{
				Propose{Version: n, Cells: cells, EffectiveFrom: from},
				Revise{Version: n, Cells: cells, EffectiveFrom: from, Reason: "r"},
				Approve{Version: n},
				Withdraw{Version: n, Reason: "r"},
			}).Draw(r, "command")
			req := domain.Request[Command]{At: at, Actor: rapid.SampledFrom([]domain.Actor{maker, second}).Draw(r, "actor"), Command: c}
			got, err := Decider.Decide(s, req)
			if err != nil {
				continue
			}
			before := s
			s = Decider.Fold(s, got...)
			events = append(events, got...)
			if len(s.Versions) < len(before.Versions) || !slices.EqualFunc(s.Versions[:len(before.Versions)], before.Versions, func(a, b Version) bool { return cmp.Equal(a, b) }) {
				r.Fatalf("%T changed a published version", c)
			}
			for i, v := range s.Versions {
				if v.Version != i+1 || v.ProposedBy == v.ApprovedBy {
					r.Fatalf("versions %+v", s.Versions)
				}
			}
			if again, err := Decider.Decide(s, req); err != nil || len(again) > 0 {
				r.Fatalf("%T again: %v, %v", c, again, err)
			}
		}
		cut := rapid.IntRange(0, len(events)).Draw(r, "cut")
		if diff := cmp.Diff(Decider.Fold(Decider.Fold(State{}, events[:cut]...), events[cut:]...), s); diff != "" {
			r.Fatalf("folded in pieces:\n%s", diff)
		}
	})
}

func TestGolden(t *testing.T) { domaintest.Golden(t, Types, "testdata/events") }
