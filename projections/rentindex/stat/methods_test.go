package stat_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"gonum.org/v1/gonum/mat"
	"pgregory.net/rapid"

	"zujian/projections/rentindex/stat"
)

// rent is one row of a small made-up register.
type rent struct {
	period int
	levels []string
	x, y   float64
}

// smallRegister has two factors, a number and four periods; every level occurs in each.
func smallRegister(n int) (rents []rent) {
	random := rand.New(rand.NewPCG(7, 11))
	for i := range n {
		bed, mode := i%3, i/3%2
		x := math.Round(random.Float64()*64) / 64
		rents = append(rents, rent{
			period: i / 6 % 4, levels: []string{fmt.Sprint("bed=", bed), fmt.Sprint("mode=", mode)}, x: x,
			y: 3 + 0.2*float64(bed) - 0.1*float64(mode) + 0.3*x + 0.02*float64(i/6%4) + 0.1*random.NormFloat64(),
		})
	}
	return rents
}

var smallDesign = stat.Design{Factors: []string{"bed", "mode"}, Numerics: []string{"x"}}

func periodsOf(t testing.TB, rents []rent) []stat.Period {
	cells := map[string]*stat.Cell{}
	for _, r := range rents {
		name := fmt.Sprint("p", r.period)
		if cells[name] == nil {
			cells[name] = &stat.Cell{}
		}
		o := stat.Observation{Y: grid(t, r.y), Levels: r.levels, Values: []stat.Value{{Term: "x", X: grid(t, r.x)}}}
		if err := cells[name].Add(o); err != nil {
			t.Fatal(err)
		}
	}
	return inOrder(cells)
}

// ols is dense least squares by QR: coefficients and the residual standard error.
func ols(t testing.TB, rows [][]float64, y []float64) (beta []float64, sigma float64) {
	x := mat.NewDense(len(rows), len(rows[0]), nil)
	for i, r := range rows {
		x.SetRow(i, r)
	}
	var qr mat.QR
	qr.Factorize(x)
	var b, fitted mat.VecDense
	if err := qr.SolveVecTo(&b, false, mat.NewVecDense(len(y), y)); err != nil {
		t.Fatal(err)
	}
	fitted.MulVec(x, &b)
	rss := 0.0
	for i := range y {
		rss += math.Pow(y[i]-fitted.AtVec(i), 2)
	}
	return b.RawVector().Data, math.Sqrt(rss / float64(len(y)-len(rows[0])))
}

func dummy(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

func (r rent) row() []float64 {
	return []float64{1, dummy(r.levels[0] == "bed=1"), dummy(r.levels[0] == "bed=2"), dummy(r.levels[1] == "mode=1"), r.x}
}

// windowDeltas fits periods from…to-1 densely: log index of each against the first.
func windowDeltas(t testing.TB, rents []rent, from, to int) (delta []float64, rss, df float64) {
	var rows [][]float64
	var y []float64
	for _, r := range rents {
		if r.period < from || r.period >= to {
			continue
		}
		row := r.row()
		for p := from + 1; p < to; p++ {
			row = append(row, dummy(r.period == p))
		}
		rows, y = append(rows, row), append(y, r.y)
	}
	beta, sigma := ols(t, rows, y)
	df = float64(len(y) - len(rows[0]))
	return append([]float64{0}, beta[5:]...), sigma * sigma * df, df
}

// TestRolling splices dense fits by hand. The published figure is linear in the rents, so its error follows from moving
// each rent in turn.
func TestRolling(t *testing.T) {
	t.Parallel()
	rents := smallRegister(48)
	splice := func(rents []rent) (published []float64, sigma float64) {
		published, rss, df := windowDeltas(t, rents, 0, 3)
		d, rss2, df2 := windowDeltas(t, rents, 1, 4)
		link := 0.0
		for v := range 2 {
			link += (published[1+v] + d[2] - d[v]) / 2
		}
		return append(published, link), math.Sqrt((rss + rss2) / (df + df2))
	}
	want, sigma := splice(rents)
	got, err := stat.Rolling(smallDesign, periodsOf(t, rents), 3)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "sigma", *got.Sigma, sigma, 1e-8)
	square := make([]float64, 4)
	for i := range rents {
		moved := slices.Clone(rents)
		moved[i].y++
		there, _ := splice(moved)
		for p := range square {
			square[p] += math.Pow(there[p]-want[p], 2)
		}
	}
	for p, pt := range got.Points {
		near(t, pt.Period, pt.LogIndex, want[p], 1e-8)
		near(t, pt.Period+" error", *pt.SE, sigma*math.Sqrt(square[p]), 1e-6)
	}
	one, err1 := stat.Rolling(smallDesign, periodsOf(t, rents), 4)
	pooled, err2 := stat.TimeDummy(smallDesign, periodsOf(t, rents))
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	for p := range one.Points { // One window is the pooled fit.
		near(t, "pooled", one.Points[p].LogIndex, pooled.Points[p].LogIndex, 1e-13)
		near(t, "pooled error", *one.Points[p].SE, *pooled.Points[p].SE, 1e-9)
	}
}

// TestRollingKeepsWhatIsPublished adds a month: no earlier figure moves by a bit.
func TestRollingKeepsWhatIsPublished(t *testing.T) {
	t.Parallel()
	ps := periodsOf(t, smallRegister(96))
	before, err1 := stat.Rolling(smallDesign, ps[:3], 2)
	after, err2 := stat.Rolling(smallDesign, ps, 2)
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	for i, p := range before.Points {
		if math.Float64bits(p.LogIndex) != math.Float64bits(after.Points[i].LogIndex) {
			t.Errorf("%s moved", p.Period)
		}
	}
}

// TestMethodsAreOrderFree adds the same rents in other orders: the same bits to the last figure of every method.
func TestMethodsAreOrderFree(t *testing.T) {
	t.Parallel()
	rents := smallRegister(192)
	for i := range rents { // More levels, so that an order of columns shows.
		rents[i].levels = []string{fmt.Sprint("bed=", i*i%11), rents[i].levels[1]}
	}
	text := func(rents []rent) string {
		ps := periodsOf(t, rents)
		r, err1 := stat.Rolling(smallDesign, ps, 2)
		i, err2 := stat.DoubleImputation(smallDesign, ps)
		if err1 != nil || err2 != nil {
			t.Fatal(err1, err2)
		}
		s := fmt.Sprint(*r.Sigma)
		for k, p := range r.Points {
			f := i.Points[k].Fisher
			s += fmt.Sprintln(p.LogIndex, *p.SE, *p.Index)
			if f != nil {
				s += fmt.Sprintln(f.LogIndex, *f.SE, *i.Points[k].Laspeyres.Index, *i.Points[k].Paasche.Index)
			}
		}
		return s
	}
	want := text(rents)
	rapid.Check(t, func(rt *rapid.T) {
		if got := text(rapid.Permutation(rents).Draw(rt, "order")); got != want {
			rt.Fatalf("got\n%s\nwant\n%s", got, want)
		}
	})
}

// TestDoubleImputation fits each month densely and values the homes one by one.
func TestDoubleImputation(t *testing.T) {
	t.Parallel()
	rents := smallRegister(72)
	type compared struct{ l, p, f float64 }
	impute := func(rents []rent) (out []compared, sigmas []float64) {
		var betas [][]float64
		for p := range 4 {
			var rows [][]float64
			var y []float64
			for _, r := range rents {
				if r.period == p {
					rows, y = append(rows, r.row()), append(y, r.y)
				}
			}
			beta, sigma := ols(t, rows, y)
			betas, sigmas = append(betas, beta), append(sigmas, sigma)
		}
		mean := func(period, at int) (m float64) { // Predicted mean of one period's homes at another's prices.
			n := 0.0
			for _, r := range rents {
				if r.period == period {
					for j, x := range r.row() {
						m += x * betas[at][j]
					}
					n++
				}
			}
			return m / n
		}
		for p := range 4 {
			l, q := mean(0, p)-mean(0, 0), mean(p, p)-mean(p, 0)
			out = append(out, compared{l, q, (l + q) / 2})
		}
		return out, sigmas
	}
	want, sigmas := impute(rents)
	square := make([]compared, 4)
	for i := range rents {
		moved := slices.Clone(rents)
		moved[i].y++
		there, _ := impute(moved)
		for p := range square {
			s := sigmas[rents[i].period]
			square[p].l += math.Pow(s*(there[p].l-want[p].l), 2)
			square[p].p += math.Pow(s*(there[p].p-want[p].p), 2)
			square[p].f += math.Pow(s*(there[p].f-want[p].f), 2)
		}
	}
	got, err := stat.DoubleImputation(smallDesign, periodsOf(t, rents))
	if err != nil || got.N != 72 {
		t.Fatal(got, err)
	}
	for p, pt := range got.Points {
		for _, c := range []struct {
			got       *stat.Imputed
			log, vary float64
		}{{pt.Laspeyres, want[p].l, square[p].l}, {pt.Paasche, want[p].p, square[p].p}, {pt.Fisher, want[p].f, square[p].f}} {
			near(t, pt.Period, c.got.LogIndex, c.log, 1e-8)
			near(t, pt.Period+" index", *c.got.Index, 100*math.Exp(c.log), 1e-8)
			if p > 0 {
				near(t, pt.Period+" error", *c.got.SE, math.Sqrt(c.vary), 1e-6)
			}
		}
	}
}

// TestImputationOfALevelThatVanishes refuses what a month cannot value, by name, and only that.
func TestImputationOfALevelThatVanishes(t *testing.T) {
	t.Parallel()
	first := cellOf(t, bed(t, 8, "1"), bed(t, 8.1, "1"), bed(t, 8.5, "2"), bed(t, 8.6, "2"))
	second := cellOf(t, bed(t, 8.2, "1"), bed(t, 8.3, "1"), bed(t, 8.3, "1"))
	f, err := stat.DoubleImputation(byBed, []stat.Period{{Name: "1", Cell: first}, {Name: "2", Cell: second}, {Name: "3"}})
	if err != nil {
		t.Fatal(err)
	}
	p := f.Points[1]
	if p.Laspeyres != nil || p.Fisher != nil || p.Paasche == nil || !slices.Equal(p.Missing, []string{"bed2 in 2"}) {
		t.Errorf("got %+v", p)
	}
	near(t, "Paasche", p.Paasche.LogIndex, (8.2+8.3+8.3)/3-8.05, 1e-9)
	if e := f.Points[2]; e.Fisher != nil || e.N != 0 {
		t.Errorf("an empty period: got %+v", e)
	}
}

// TestMethodsNeverNaN gives every method whatever fits in a cell.
func TestMethodsNeverNaN(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		cells := map[string]*stat.Cell{"1": {}, "2": {}, "3": {}}
		pairs := &stat.Pairs{}
		for range rapid.IntRange(1, 12).Draw(t, "n") {
			period := rapid.SampledFrom([]string{"1", "2", "3"}).Draw(t, "period")
			y := rapid.OneOf(rapid.Int64(), rapid.Int64Range(-2, 2)).Draw(t, "y")
			o := stat.Observation{Y: y, Levels: []string{"bed=" + rapid.SampledFrom([]string{"1", "2", "3"}).Draw(t, "bed")}}
			o.Values = []stat.Value{{Term: "age", X: rapid.SampledFrom([]int64{0, 1, 1 << 32, math.MinInt64, math.MaxInt64}).Draw(t, "age")}}
			if err := cells[period].Add(o); err != nil {
				t.Fatal(err)
			}
			_ = pairs.Add(period, "4", y, rapid.Int64().Draw(t, "next")) // Beyond the grid it refuses.
		}
		finite := func(what string, values ...*float64) {
			for _, v := range values {
				if v != nil && (math.IsNaN(*v) || math.IsInf(*v, 0)) {
					t.Fatalf("%s is %v", what, *v)
				}
			}
		}
		d := stat.Design{Factors: []string{"bed"}, Numerics: []string{"age"}}
		if f, err := stat.Rolling(d, inOrder(cells), 2); err == nil {
			for _, p := range f.Points {
				finite("rolling", &p.LogIndex, p.SE, p.Index)
			}
		}
		if f, err := stat.DoubleImputation(d, inOrder(cells)); err == nil {
			for _, p := range f.Points {
				for _, c := range []*stat.Imputed{p.Laspeyres, p.Paasche, p.Fisher} {
					if c != nil {
						finite("imputation", &c.LogIndex, c.SE, c.Index)
					}
				}
			}
		}
		if f, err := stat.RepeatRent([]string{"1", "2", "3", "4"}, pairs, func(a, b int) int64 { return int64(b - a) }); err == nil {
			for _, p := range f.Points {
				finite("repeat", p.LogIndex, p.SE, p.Index, p.WeightedIndex, p.WeightedLog, p.WeightedSE)
			}
		}
	})
}
