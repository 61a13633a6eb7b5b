package alert_test

import (
	"bytes"
	"os"
	"slices"
	"testing"

	"zujian/domain/alert"
)

func book(t *testing.T) (alert.Book, map[string]alert.Indicator) {
	t.Helper()
	b, err := alert.Shipped()
	if err != nil {
		t.Fatal(err)
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
		{"SHORTFALL", alert.Figure{Num: 1003, Den: 1000, N: 1}, alert.Red, alert.Red, ""}, // Clears at 1.004.
		{"SHORTFALL", alert.Figure{Num: 1004, Den: 1000, N: 1}, alert.Red, alert.Orange, ""},
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
	if _, missing, ok := b.Health(nil); ok || len(missing) != 7 {
		t.Errorf("nothing judged: %v %v", missing, ok)
	}
	// Price 20 × mean(0, 100) and risk 25 × 30, over the 45 points of weight that were judged: 1750/45.
	score, missing, ok := b.Health(map[string]alert.Level{"INDEX_MONTHLY": alert.Red, "INDEX_YEARLY": alert.None, "SHORTFALL": alert.Orange})
	if want := []string{"expectation", "protection", "scale", "structure", "supply"}; score != 3888 || !ok || !slices.Equal(missing, want) {
		t.Errorf("%d %v %v", score, missing, ok)
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
		{`"OPERATOR_GROWTH"`, `"ACTIVE_LEASES_YOY"`},
		{`"dimension": "supply"`, `"dimension": "other"`},
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
	for _, c := range []struct {
		s      []alert.Month
		out    bool
		reason string
	}{
		{nil, false, alert.NoCurve},
		{series(0, 1), false, alert.NoCurve},
		{series(11, 500), false, alert.NoCurve},
		{append(series(24), alert.Month{}), false, alert.NoCurve},
		{make([]alert.Month, 30), false, alert.NoCurve},
		{series(24, 130), false, ""}, // 25 / 7.413 = 3.37
		{series(24, 131), true, ""},  // 26 / 7.413 = 3.51
		{series(24, 79), true, ""},
		{series(0, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 9), false, alert.Flat},
	} {
		if z, out, reason := alert.Outlier(c.s); out != c.out || reason != c.reason || z != z {
			t.Errorf("%v: %v %v %q", c.s, z, out, reason)
		}
	}
}

func TestDrift(t *testing.T) {
	gap := append(series(24, 120, 120, 120), alert.Month{}) // z = 2.02: the sum gains 1.52 a month.
	gap = append(gap, alert.Month{Value: 120, Known: true})
	for _, c := range []struct {
		s             []alert.Month
		at, direction int
		reason        string
	}{
		{series(24), -1, 0, alert.NoCurve},
		{series(60), -1, 0, ""},
		{series(24, 120, 120, 120, 120), 27, 1, ""},
		{series(24, 90, 90, 90, 90), 27, -1, ""},
		{gap, 28, 1, ""},
	} {
		if at, direction, reason := alert.Drift(c.s); at != c.at || direction != c.direction || reason != c.reason {
			t.Errorf("%d %d %q, want %+v", at, direction, reason, c)
		}
	}
}

func TestBlowUp(t *testing.T) {
	both := alert.Signs{Shortfall: alert.Red, OwnerArrears: alert.Orange}
	days := slices.Repeat([]alert.Signs{both}, 7)
	if held, red := alert.BlowUp(days); !red || len(held) != 2 {
		t.Errorf("two for seven days: %v %v", held, red)
	}
	if held, red := alert.BlowUp(days[1:]); red || held != nil {
		t.Errorf("six days: %v %v", held, red)
	}
	days[3].OwnerArrears = alert.Yellow
	if held, red := alert.BlowUp(days); red || !slices.Equal(held, []string{"SHORTFALL"}) {
		t.Errorf("broken off on one day: %v %v", held, red)
	}
	if held, red := alert.BlowUp(slices.Repeat([]alert.Signs{{Growth: alert.Red, Shortfall: alert.Orange}}, 9)); red || held != nil {
		t.Errorf("growth without gap: %v %v", held, red)
	}
}
