package alert_test

import (
	"bytes"
	"math"
	"os"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"zujian/domain"
	"zujian/domain/alert"
	"zujian/domain/ruleset"
)

func book(t *testing.T) (alert.Book, map[string]alert.Indicator) {
	t.Helper()
	books, err := alert.Shipped()
	if err != nil {
		t.Fatal(err)
	}
	b, ok := books.On(domain.Date(2026, time.November, 23))
	if !ok {
		t.Fatal("no book in force")
	}
	by := map[string]alert.Indicator{}
	for _, i := range b.Indicators {
		by[i.ID] = i
	}
	return b, by
}

func TestJudge(t *testing.T) {
	b, by := book(t)
	for _, c := range []struct {
		id     string
		f      alert.Figure
		prev   alert.Level
		want   alert.Level
		reason string
	}{
		{"INDEX_YEARLY", alert.Figure{Num: 5, Den: 100, N: 30}, alert.None, alert.Blue, ""},
		{"INDEX_YEARLY", alert.Figure{Num: 49999, Den: 1000000, N: 30}, alert.None, alert.None, ""},
		{"INDEX_YEARLY", alert.Figure{Num: 41, Den: 1000, N: 30}, alert.Blue, alert.Blue, ""}, // Clears at 4 %.
		{"INDEX_YEARLY", alert.Figure{Num: 40, Den: 1000, N: 30}, alert.Blue, alert.None, ""},
		{"INDEX_YEARLY", alert.Figure{Num: 7, Den: 100, N: 30}, alert.Red, alert.Yellow, ""},
		{"INDEX_YEARLY", alert.Figure{Num: 1, Den: 1, N: 29}, alert.Blue, alert.Blue, alert.TooFew},
		{"INDEX_YEARLY", alert.Figure{Num: 1, Den: 0, N: 30}, alert.Blue, alert.Blue, alert.NoBase},
		{"SHORTFALL", alert.Figure{Num: 100, Den: 100, N: 1}, alert.None, alert.Yellow, ""}, // Below is strict.
		{"SHORTFALL", alert.Figure{Num: 97, Den: 100, N: 1}, alert.None, alert.Red, ""},
		{"SHORTFALL", alert.Figure{Num: 979, Den: 1000, N: 1}, alert.Red, alert.Red, ""},
		{"SHORTFALL", alert.Figure{Num: 100, Den: 100, N: 1}, alert.Red, alert.Yellow, ""},     // Clears at its trigger, as M-14 does.
		{"RENEWAL_INTENT", alert.Figure{Num: 399, Den: 1000, N: 30}, alert.Red, alert.Red, ""}, // Clears at 40 %.
		{"RENEWAL_INTENT", alert.Figure{Num: 400, Den: 1000, N: 30}, alert.Red, alert.Orange, ""},
		{"ACTIVE_LEASES_YOY", alert.Figure{Num: -31, Den: 100, N: 30}, alert.None, alert.Red, ""},
		{"ACTIVE_LEASES_YOY", alert.Figure{Num: 1 << 62, Den: 1, N: 30}, alert.None, alert.Red, ""},
		{"LISTING_STOCK", alert.Figure{Num: 1, Den: 1, N: 30}, alert.None, alert.None, ""},
	} {
		if got, reason := b.Judge(by[c.id], c.f, c.prev); got != c.want || reason != c.reason {
			t.Errorf("%s %+v after %s: %s %q, want %s %q", c.id, c.f, c.prev, got, reason, c.want, c.reason)
		}
	}
}

func TestHealth(t *testing.T) {
	b, _ := book(t)
	if _, _, missing, ok := b.Health(nil); ok || len(missing) != 7 {
		t.Errorf("nothing judged: %v %v", missing, ok)
	}
	// Price 20 × mean(0, 100) and risk 25 × 30, over the 45 points of weight that were judged: 1750/45.
	levels := map[string]alert.Level{"INDEX_MONTHLY": alert.Red, "INDEX_YEARLY": alert.None, "SHORTFALL": alert.Orange, "INDEX_DRIFT": alert.Red}
	score, parts, missing, ok := b.Health(levels)
	if want := []string{"scale", "structure", "supply", "protection", "expectation"}; score != 3888 || !ok || !slices.Equal(missing, want) {
		t.Errorf("%d %v %v", score, missing, ok)
	}
	if len(parts) != 2 || parts[0].Score != 5000 || parts[1].Score != 3000 || len(parts[0].Inputs) != 2 {
		t.Errorf("parts: %+v", parts)
	}
}

func TestParseRefuses(t *testing.T) {
	good, err := os.ReadFile("indicators.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range [][2]string{
		{`"clear_percent": 80`, `"clear_percent": 0`},
		{`"risk": 25`, `"risk": 26`},
		{`[100, 150, 200, 300]`, `[100, 150, 150, 300]`},
		{`[100, 150, 200, 300]`, `[100, 150, 200]`},
		{`"id": "OPERATOR_GROWTH"`, `"id": "ACTIVE_LEASES_YOY"`},
		{`"dimension": "supply"`, `"dimension": "other"`},
		{`"subjects": ["street"]`, `"subjects": ["moon"]`},
		{`"level": "RED"}]}`, `"level": "PINK"}]}`},
		{`{"indicator": "OWNER_ARREARS"`, `{"indicator": "OWNERS"`},
		{`"least": 2`, `"least": 9`},
		{`"known_min": 12`, `"known_min": 25`},
		{`"version"`, `"verse"`},
	} {
		bad := bytes.Replace(good, []byte(c[0]), []byte(c[1]), 1)
		if bytes.Equal(bad, good) {
			t.Fatalf("%s does not occur", c[0])
		}
		if _, err := alert.Parse(bad); err == nil {
			t.Errorf("%s passes", c[1])
		}
	}
}

// series alternates 100 and 110 (median 105, MAD 5) for n months, then goes on with tail.
func series(n int, tail ...int64) (s []alert.Month) {
	for i := range n {
		s = append(s, alert.Month{Value: 100 + 10*int64(i%2), Known: true})
	}
	for _, v := range tail {
		s = append(s, alert.Month{Value: v, Known: true})
	}
	return s
}

func TestOutlier(t *testing.T) {
	b, _ := book(t)
	for _, c := range []struct {
		s      []alert.Month
		z      int64 // In thousandths.
		reason string
	}{
		{nil, 0, alert.NoCurve},
		{series(0, 1), 0, alert.NoCurve},
		{series(11, 500), 0, alert.NoCurve},
		{append(series(24), alert.Month{}), 0, alert.NoCurve},
		{make([]alert.Month, 30), 0, alert.NoCurve},
		{series(24, 130), 3372, ""}, // 25 / 7.413
		{series(24, 131), 3507, ""},
		{series(24, 79), -3507, ""},
		{series(24, 100_000_000), 13_489_801_025, ""}, // A typing error of 10^6 and more is an outlier like another.
		{series(24, 1<<62), (1 << 40) / 10, ""},
		{series(0, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 9), 0, alert.Flat},
	} {
		if f, reason := b.Series.Outlier(c.s); f.Num/10 != c.z || reason != c.reason {
			t.Errorf("%v: %+v %q", c.s, f, reason)
		}
	}
}

func TestDrift(t *testing.T) {
	b, _ := book(t)
	gap := append(series(24, 120, 120, 120), alert.Month{}) // z = 2.02: the sum gains 1.52 a month.
	gap = append(gap, alert.Month{Value: 120, Known: true})
	for _, c := range []struct {
		s      []alert.Month
		sum    int64 // In tenths.
		reason string
	}{
		{nil, 0, alert.NoCurve},
		{series(24), 0, alert.NoCurve},
		{series(60), 1, ""}, // ±0.67 a month: the slack takes it.
		{series(24, 120, 120, 120), 45, ""},
		{series(24, 120, 120, 120, 120), 60, ""},
		{series(24, 90, 90, 90, 90), -60, ""},
		{gap, 60, ""},
		{series(24, 120, 120, 120, 120, 105, 105, 105, 105, 105, 105), 30, ""}, // Comes back at the pace of the slack.
		{append(slices.Repeat([]alert.Month{{Value: 7, Known: true}}, 24), alert.Month{Value: 9, Known: true}), 0, alert.Flat},
	} {
		if f, reason := b.Series.Drift(c.s); f.Num/1000 != c.sum || reason != c.reason {
			t.Errorf("%+v %q, want %+v", f, reason, c)
		}
	}
}

// TestNoisy: an estimate whose error reaches the first threshold says nothing.
func TestNoisy(t *testing.T) {
	b, by := book(t)
	for se, want := range map[int64]string{0: "", 51: "", 52: alert.TooNoisy, 1 << 50: alert.TooNoisy} {
		if l, reason := b.Judge(by["INDEX_MONTHLY"], alert.Figure{Num: 350, Den: 10_000, N: 40, SE: se}, alert.None); reason != want || (reason == "") != (l == alert.Red) {
			t.Errorf("error %d: %s %q", se, l, reason)
		}
	}
}

// TestRuleIsTheSource: the shortfall's ORANGE begins exactly where rule M-14 alerts, whatever its parameter is.
func TestRuleIsTheSource(t *testing.T) {
	b, by := book(t)
	day := domain.Date(2026, time.November, 23)
	rapid.Check(t, func(t *rapid.T) {
		p := ruleset.Shipped()
		share := rapid.Int64Range(500, 30_000).Draw(t, "share_bp")
		for n, r := range p.Rules {
			if r.ID == "M-14" || r.ID == "C-13" {
				p.Rules = slices.Clone(p.Rules)
				p.Rules[n].Params = map[string]domain.Param{"share_bp": {Value: share, Unit: "bp"}}
			}
		}
		owed := rapid.Int64Range(1, 1_000_000_000_000).Draw(t, "owed")
		has := rapid.OneOf(rapid.Int64Range(0, 3*owed), rapid.Just(owed*share/10_000), rapid.Just(owed*share/10_000-1)).Draw(t, "has")
		facts := domain.Facts{"operator": domain.Facts{"balance_fen": has, "liabilities_fen": owed}}
		fired := slices.ContainsFunc(p.Judge(domain.StagePeriodic, day, facts).Fired(), func(r *domain.RuleResult) bool { return r.Rule == "M-14" && r.Outcome == domain.OutcomeAlert })
		level, reason := b.Judge(by["SHORTFALL"].Resolve(p, day), alert.Figure{Num: has, Den: owed, N: 1}, alert.None)
		if reason != "" || fired && level < alert.Orange || !fired && level >= alert.Orange && has != owed*share/10_000 { // The rule's limit is whole fen.
			t.Errorf("%d of %d at %d bp: rule %v, level %s %s", has, owed, share, fired, level, reason)
		}
	})
	i := by["LOAN_SHARE"].Resolve(ruleset.Shipped(), day)
	if !slices.Equal(i.Up, []int64{2000, 2500, 2800, 3000}) {
		t.Errorf("loan share: %v", i.Up)
	}
}

// TestWild: whatever the figures and series are, each answer is a level, a bounded number or a reason.
func TestWild(t *testing.T) {
	b, _ := book(t)
	const bound = 1 << 40
	rapid.Check(t, func(t *rapid.T) {
		wild := rapid.OneOf(rapid.Int64(), rapid.SampledFrom([]int64{0, 1, -1, math.MaxInt64, math.MinInt64}))
		f := alert.Figure{Num: wild.Draw(t, "num"), Den: wild.Draw(t, "den"), N: wild.Draw(t, "n"), SE: wild.Draw(t, "se")}
		prev := alert.Level(rapid.IntRange(0, 4).Draw(t, "prev"))
		i := rapid.SampledFrom(b.Indicators).Draw(t, "indicator")
		level, reason := b.Judge(i, f, prev)
		if level < alert.None || level > alert.Red || reason != "" && level != prev {
			t.Errorf("%s %+v after %s: %s %s", i.ID, f, prev, level, reason)
		}
		if v := f.Value(); v > bound || v < -bound {
			t.Errorf("%+v is %d", f, v)
		}
		months := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) alert.Month {
			return alert.Month{Value: wild.Draw(t, "value"), Known: rapid.Bool().Draw(t, "known")}
		}), 0, 80).Draw(t, "months")
		for _, test := range []func([]alert.Month) (alert.Figure, string){b.Series.Outlier, b.Series.Drift} {
			f, reason := test(months)
			if f.Num > bound || f.Num < -bound || reason == "" && (f.Den != 10_000 || f.N < int64(b.Series.KnownMin)) || reason != "" && f != (alert.Figure{}) {
				t.Errorf("%v: %+v %q", months, f, reason)
			}
		}
	})
}
