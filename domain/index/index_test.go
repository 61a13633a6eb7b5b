package index_test

import (
	"strings"
	"testing"
	"time"

	"zujian/domain"
	"zujian/domain/domaintest"
	. "zujian/domain/index"
)

type tc = domaintest.Case[Command, Event]

var (
	now    = time.Date(2026, 7, 1, 2, 0, 0, 0, time.UTC)
	today  = domain.DayOf(now)
	maker  = domain.Actor{ID: "maker", Role: domain.RoleCity}
	second = domain.Actor{ID: "second", Role: domain.RoleCity}
	third  = domain.Actor{ID: "third", Role: domain.RoleCity}
)

func edit[T any](v T, f func(*T)) T { f(&v); return v }

func vintage() Vintage {
	index := 101.5
	return Vintage{
		Month: today.Month() - 1, Model: "test", ModelVersion: 1, ViewVersion: 2001, Position: 77,
		Series: []Series{{
			Area: "city", Population: "new", Method: "hedonic", MethodVersion: "hedonic/1", N: 40, InputsSHA256: strings.Repeat("0a", 32),
			Points: []Point{{Month: today.Month() - 1, N: 40, Index: &index}},
		}},
	}
}

func TestDecide(t *testing.T) {
	ask := domain.Request[Command]{At: now, Actor: maker}
	computed := Computed{Version: 1, Vintage: vintage(), ComputedBy: "maker"}
	reviewed := Reviewed{Version: 1, ReviewedBy: "second", Note: "plausible"}
	released := Released{Version: 1, On: today, Vintage: vintage(), ComputedBy: "maker", ReviewedBy: "second", ApprovedBy: "third"}
	open, seen, v1 := []Event{computed}, []Event{computed, reviewed}, []Event{computed, reviewed, released}
	other := func(f func(*Vintage)) Compute { return Compute{Version: 1, Vintage: edit(vintage(), f)} }
	later := edit(vintage(), func(v *Vintage) { v.Position = 99 })
	domaintest.Run(t, Decider, ask, []tc{
		{Name: "compute", When: Compute{Version: 1, Vintage: vintage()}, Then: open},
		{Name: "compute again", Given: open, When: Compute{Version: 1, Vintage: vintage()}},
		{
			Name: "compute anew before approval", Given: seen, When: Compute{Version: 1, Vintage: later},
			Then: []Event{Computed{Version: 1, Vintage: later, ComputedBy: "maker"}},
		},
		{Name: "a month that is not over", When: other(func(v *Vintage) { v.Month++ }), Err: ErrVintage},
		{Name: "no figures", When: other(func(v *Vintage) { v.Series = nil }), Err: ErrVintage},
		{Name: "no hash", When: other(func(v *Vintage) { v.Series[0].InputsSHA256 = "" }), Err: ErrVintage},
		{Name: "a figure that is withheld", When: other(func(v *Vintage) { v.Series[0].Points[0].Withheld = "FEW_CONTRACTS" }), Err: ErrVintage},
		{Name: "a version left out", When: Compute{Version: 2, Vintage: vintage()}, Err: ErrVersion},
		{Name: "the published version again", Given: v1, When: Compute{Version: 1, Vintage: vintage()}, Err: ErrVersion},
		{Name: "a revision without its reason", Given: v1, When: Compute{Version: 2, Vintage: later}, Err: ErrReason},
		{
			Name: "a revision", Given: v1, When: Compute{Version: 2, Vintage: later, Reason: "late filings"},
			Then: []Event{Computed{Version: 2, Vintage: later, Reason: "late filings", ComputedBy: "maker"}},
		},
		{Name: "review by the same hand", Given: open, When: Review{Version: 1}, Err: ErrFourEyes},
		{Name: "review", Given: open, As: second, When: Review{Version: 1, Note: "plausible"}, Then: []Event{reviewed}},
		{Name: "review again", Given: seen, As: second, When: Review{Version: 1}},
		{Name: "review nothing", As: second, When: Review{Version: 1}, Err: ErrNotFound},
		{Name: "approve by the same hand", Given: seen, When: Approve{Version: 1}, Err: ErrFourEyes},
		{Name: "approve unreviewed", Given: open, As: second, When: Approve{Version: 1}, Err: ErrReview},
		{Name: "approve", Given: seen, As: third, When: Approve{Version: 1}, Then: []Event{released}},
		{Name: "approve again", Given: v1, As: third, When: Approve{Version: 1}},
		{Name: "a new computation is reviewed anew", Given: append(seen, Computed{Version: 1, Vintage: later, ComputedBy: "maker"}), As: third, When: Approve{Version: 1}, Err: ErrReview},
		{Name: "withdraw", Given: open, When: Withdraw{Version: 1, Reason: "error"}, Then: []Event{Withdrawn{Version: 1, Reason: "error"}}},
		{Name: "withdraw without a reason", Given: open, When: Withdraw{Version: 1}, Err: ErrReason},
		{Name: "withdraw what is published", Given: v1, When: Withdraw{Version: 1, Reason: "error"}},
	})
}

func TestGolden(t *testing.T) { domaintest.Golden(t, Types, "testdata/events") }
