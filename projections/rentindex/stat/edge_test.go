package stat_test

import (
	"errors"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"zujian/projections/rentindex/stat"
)

func cellOf(t *testing.T, obs ...stat.Observation) *stat.Cell {
	t.Helper()
	c := &stat.Cell{}
	for _, o := range obs {
		if err := c.Add(o); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

func bed(t *testing.T, y float64, level string) stat.Observation {
	return stat.Observation{Y: grid(t, y), Levels: []string{"bed=" + level}}
}

var byBed = stat.Design{Factors: []string{"bed"}}

func TestNoObservations(t *testing.T) {
	t.Parallel()
	for _, ps := range [][]stat.Period{nil, {{Name: "1"}}, {{Name: "1", Cell: &stat.Cell{}}}} {
		if _, err := stat.TimeDummy(byBed, ps); !errors.Is(err, stat.ErrNoObservations) {
			t.Errorf("%v: got %v", ps, err)
		}
	}
}

func TestOneObservation(t *testing.T) {
	t.Parallel()
	f, err := stat.TimeDummy(byBed, []stat.Period{{Name: "0"}, {Name: "1", Cell: cellOf(t, bed(t, 8, "2"))}, {Name: "2"}})
	if err != nil {
		t.Fatal(err)
	}
	if f.N != 1 || f.DF != 0 || f.Rank != 1 || f.Sigma != nil || f.R2 != nil || f.Coefficients[0].Estimate != 8 || f.Coefficients[0].SE != nil {
		t.Errorf("got %+v", f)
	}
	if p := f.Points[1]; len(f.Points) != 3 || p.LogIndex != 0 || *p.Index != 100 || p.SE != nil || f.Points[2].N != 0 || f.Points[2].Index != nil {
		t.Errorf("got %+v", f.Points)
	}
}

func TestAllRentsEqual(t *testing.T) {
	t.Parallel()
	month := cellOf(t, bed(t, 8, "1"), bed(t, 8, "2"), bed(t, 8, "2"))
	f, err := stat.TimeDummy(byBed, []stat.Period{{Name: "1", Cell: month}, {Name: "2", Cell: month.Clone()}})
	if err != nil {
		t.Fatal(err)
	}
	if *f.Sigma != 0 || f.R2 != nil || *f.Points[1].Index != 100 || *f.Points[1].SE != 0 {
		t.Errorf("got %+v", f)
	}
}

// TestRankDeficiency has a level that marks the same rows as another factor's, and a number that is constant.
func TestRankDeficiency(t *testing.T) {
	t.Parallel()
	obs := func(y float64, level string) stat.Observation {
		return stat.Observation{Y: grid(t, y), Levels: []string{"bed=" + level, "kind=" + level}, Values: []stat.Value{{Term: "age", X: 9 << 32}}}
	}
	ps := []stat.Period{
		{Name: "1", Cell: cellOf(t, obs(8, "1"), obs(8.5, "2"), obs(8.1, "1"))},
		{Name: "2", Cell: cellOf(t, obs(8.2, "1"), obs(8.6, "2"))},
	}
	f, err := stat.TimeDummy(stat.Design{Factors: []string{"bed", "kind"}, Numerics: []string{"age"}}, ps)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"kind2", "age"}; !slices.Equal(f.Dropped, want) || f.Rank != 3 || f.DF != 2 {
		t.Fatalf("dropped %v, rank %d, df %d", f.Dropped, f.Rank, f.DF)
	}
	if c := f.Coefficients[2]; c.Term != "kind2" || !c.Dropped || c.SE != nil {
		t.Errorf("got %+v", c)
	}
	plain := []stat.Period{
		{Name: "1", Cell: cellOf(t, bed(t, 8, "1"), bed(t, 8.5, "2"), bed(t, 8.1, "1"))},
		{Name: "2", Cell: cellOf(t, bed(t, 8.2, "1"), bed(t, 8.6, "2"))},
	}
	g, err := stat.TimeDummy(byBed, plain)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "δ without the dropped columns", f.Points[1].LogIndex, g.Points[1].LogIndex, 1e-12)
	nearSE(t, "δ without the dropped columns", f.Points[1].SE, *g.Points[1].SE)
}

// TestLevelInOneMonthOnly has a level whose rows are all of its month's: it is that month's dummy, and never varies.
func TestLevelInOneMonthOnly(t *testing.T) {
	t.Parallel()
	ps := []stat.Period{
		{Name: "1", Cell: cellOf(t, bed(t, 8, "1"), bed(t, 8.5, "2"), bed(t, 8.1, "1"))},
		{Name: "2", Cell: cellOf(t, bed(t, 8.2, "3"), bed(t, 8.6, "3"))},
	}
	f, err := stat.TimeDummy(byBed, ps)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"bed3"}; !slices.Equal(f.Dropped, want) {
		t.Errorf("dropped %v", f.Dropped)
	}
}

func TestDesignMustFitTheCells(t *testing.T) {
	t.Parallel()
	c := cellOf(t, bed(t, 8, "1"), stat.Observation{Y: 1})
	for name, d := range map[string]stat.Design{
		"a factor some lack":        byBed,
		"an unknown factor":         {Factors: []string{"kind"}},
		"an unknown number":         {Numerics: []string{"age"}},
		"a factor as a number":      {Numerics: []string{"bed=1"}},
		"an equals sign in a name":  {Factors: []string{"bed=1"}},
		"an empty name of a factor": {Factors: []string{""}},
	} {
		if _, err := stat.TimeDummy(d, []stat.Period{{Name: "1", Cell: c}}); !errors.Is(err, stat.ErrDesign) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	twice := []stat.Period{{Name: "1", Cell: c}, {Name: "1", Cell: c}}
	if _, err := stat.TimeDummy(stat.Design{}, twice); !errors.Is(err, stat.ErrDesign) {
		t.Errorf("a period twice: got %v", err)
	}
}

// TestNeverNaN fits whatever fits in a cell, extreme numbers included: every figure is a number or is absent.
func TestNeverNaN(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		cells := map[string]*stat.Cell{"1": {}, "2": {}, "3": {}}
		for range rapid.IntRange(1, 12).Draw(t, "n") {
			o := stat.Observation{
				Y:      rapid.Int64().Draw(t, "y"),
				Levels: []string{"bed=" + rapid.SampledFrom([]string{"1", "2", "3"}).Draw(t, "bed")},
				Values: []stat.Value{{Term: "age", X: rapid.SampledFrom([]int64{0, 1, 1 << 32, math.MinInt64, math.MaxInt64}).Draw(t, "age")}},
			}
			if err := cells[rapid.SampledFrom([]string{"1", "2", "3"}).Draw(t, "month")].Add(o); err != nil {
				t.Fatal(err)
			}
		}
		f, err := stat.TimeDummy(stat.Design{Factors: []string{"bed"}, Numerics: []string{"age"}}, inOrder(cells))
		if err != nil {
			t.Fatal(err)
		}
		finite := func(what string, v *float64) {
			if v != nil && (math.IsNaN(*v) || math.IsInf(*v, 0)) {
				t.Fatalf("%s is %v", what, *v)
			}
		}
		finite("sigma", f.Sigma)
		finite("R²", f.R2)
		for _, c := range f.Coefficients {
			finite(c.Term, &c.Estimate)
			finite(c.Term, c.SE)
		}
		for _, p := range f.Points {
			finite(p.Period, &p.LogIndex)
			finite(p.Period, p.SE)
			finite(p.Period, p.Index)
		}
	})
}

func TestLogAndExp(t *testing.T) {
	t.Parallel()
	ulps := func(got, want float64) float64 {
		return math.Abs(got-want) / (math.Nextafter(math.Abs(want), math.Inf(1)) - math.Abs(want))
	}
	rapid.Check(t, func(t *rapid.T) {
		x := rapid.Float64Range(1e-300, 1e300).Draw(t, "x")
		if got, ok := stat.Log(x); !ok || ulps(got, math.Log(x)) > 2 {
			t.Fatalf("log %v: got %v", x, got)
		}
		x = rapid.Float64Range(-700, 700).Draw(t, "exponent")
		if got, ok := stat.Exp(x); !ok || ulps(got, math.Exp(x)) > 2 {
			t.Fatalf("exp %v: got %v", x, got)
		}
	})
	for _, x := range []float64{0, -1, math.Inf(1), math.NaN()} {
		if _, ok := stat.Log(x); ok {
			t.Errorf("log %v is defined", x)
		}
	}
	for x, want := range map[float64]bool{710: false, math.Inf(1): false, math.NaN(): false, 0: true, -1e9: true} {
		if _, ok := stat.Exp(x); ok != want {
			t.Errorf("exp %v: defined is %v", x, ok)
		}
	}
	// These bits are the same on every machine.
	y, _ := stat.Log(470)
	e, _ := stat.Exp(0.00385881969602815)
	if math.Float64bits(y) != 0x40189c65f5a322e6 || math.Float64bits(e) != 0x3ff00fd6152a6304 {
		t.Errorf("log %#x, exp %#x", math.Float64bits(y), math.Float64bits(e))
	}
}

func TestQuantise(t *testing.T) {
	t.Parallel()
	const half = 1.0 / (1 << 33)
	for x, want := range map[float64]int64{0: 0, 1: 1 << 32, half: 0, 3 * half: 2, -half: 0, -3 * half: -2, 5 * half: 2} {
		if got, ok := stat.Quantise(x); !ok || got != want {
			t.Errorf("%v: got %d, %v; want %d", x, got, ok, want)
		}
	}
	for _, x := range []float64{1 << 31, -(1 << 31), math.Inf(1), math.Inf(-1), math.NaN()} {
		if _, ok := stat.Quantise(x); ok {
			t.Errorf("%v is on the grid", x)
		}
	}
}
