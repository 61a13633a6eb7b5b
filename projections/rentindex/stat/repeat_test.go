package stat_test

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"gonum.org/v1/gonum/mat"
	"pgregory.net/rapid"

	"zujian/projections/rentindex/stat"
)

// sale is one row of a made-up register of repeated rents.
type sale struct {
	unit   string
	period int
	y      float64
}

func sales() (all []sale) {
	random := rand.New(rand.NewPCG(5, 9))
	for u := range 60 {
		level, at := random.NormFloat64(), 0
		for at < 8 {
			at += random.IntN(4)
			if at < 8 {
				all = append(all, sale{fmt.Sprint("u", u), at, 7 + level + 0.01*float64(at) + 0.05*math.Sqrt(float64(1+at))*random.NormFloat64()})
			}
			if random.IntN(3) == 0 {
				at++
			}
		}
	}
	return all
}

func periodName(p int) string { return fmt.Sprint("2026-0", p+1) }

// TestRepeatRent solves the same regression densely, and its weighted third stage.
func TestRepeatRent(t *testing.T) {
	t.Parallel()
	all := sales()
	pairs := &stat.Pairs{}
	var rows [][]float64
	var dy, gaps []float64
	for i := 1; i < len(all); i++ {
		a, b := all[i-1], all[i]
		if a.unit != b.unit {
			continue
		}
		if err := pairs.Add(periodName(a.period), periodName(b.period), grid(t, a.y), grid(t, b.y)); err != nil {
			t.Fatal(err)
		}
		if a.period == b.period {
			continue
		}
		row := make([]float64, 7)
		for p := range row {
			row[p] = dummy(b.period == p+1) - dummy(a.period == p+1)
		}
		rows, dy, gaps = append(rows, row), append(dy, b.y-a.y), append(gaps, float64(b.period-a.period))
	}
	names := make([]string, 8)
	for p := range names {
		names[p] = periodName(p)
	}
	got, err := stat.RepeatRent(names, pairs, func(from, to int) int64 { return int64(to - from) })
	if err != nil {
		t.Fatal(err)
	}
	if got.N != int64(len(rows)) || got.DF != int64(len(rows)-7) || got.Variance == nil {
		t.Fatalf("got %+v of %d pairs", got, len(rows))
	}
	beta, se, sigma := olsErrors(t, rows, dy)
	near(t, "sigma", *got.Sigma, sigma, 1e-8)
	for p := range 7 {
		near(t, names[p+1], *got.Points[p+1].LogIndex, beta[p], 1e-8)
		nearSE(t, names[p+1], got.Points[p+1].SE, se[p])
	}
	var second [][]float64
	var square []float64
	for i, row := range rows {
		e := dy[i]
		for j, x := range row {
			e -= x * beta[j]
		}
		second, square = append(second, []float64{1, gaps[i]}), append(square, e*e)
	}
	growth, _ := ols(t, second, square)
	near(t, "variance", got.Variance.Base, growth[0], 1e-6)
	near(t, "growth", got.Variance.PerPeriod, growth[1], 1e-6)
	for i := range rows {
		w := 1 / math.Sqrt(growth[0]+growth[1]*gaps[i])
		dy[i] *= w
		for j := range rows[i] {
			rows[i][j] *= w
		}
	}
	beta, se, sigma = olsErrors(t, rows, dy)
	near(t, "weighted sigma", *got.WeightedSigma, sigma, 1e-7)
	for p := range 7 {
		near(t, names[p+1], *got.Points[p+1].WeightedLog, beta[p], 1e-7)
		nearSE(t, names[p+1], got.Points[p+1].WeightedSE, se[p])
	}
}

func olsErrors(t testing.TB, rows [][]float64, y []float64) (beta, se []float64, sigma float64) {
	beta, sigma = ols(t, rows, y)
	x := mat.NewDense(len(rows), len(rows[0]), nil)
	for i, r := range rows {
		x.SetRow(i, r)
	}
	var xx, inverse mat.Dense
	xx.Mul(x.T(), x)
	if err := inverse.Inverse(&xx); err != nil {
		t.Fatal(err)
	}
	for j := range rows[0] {
		se = append(se, sigma*math.Sqrt(inverse.At(j, j)))
	}
	return beta, se, sigma
}

// TestRepeatRentOfSplitPeriods gives no figure where no chain of pairs leads.
func TestRepeatRentOfSplitPeriods(t *testing.T) {
	t.Parallel()
	pairs := &stat.Pairs{}
	for _, p := range [][2]string{{"2", "3"}, {"4", "5"}} {
		if err := pairs.Add(p[0], p[1], 1<<32, 2<<32); err != nil {
			t.Fatal(err)
		}
	}
	one := func(from, to int) int64 { return int64(to - from) }
	got, err := stat.RepeatRent([]string{"1", "2", "3", "4", "5"}, pairs, one)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []bool{false, true, true, false, false} {
		if p := got.Points[i]; (p.Index != nil) != want || p.SE != nil {
			t.Errorf("got %+v", p)
		}
	}
	if got.Unweighted == "" || got.Sigma != nil || got.DF != 0 {
		t.Errorf("got %+v", got)
	}
	if _, err := stat.RepeatRent([]string{"1"}, &stat.Pairs{}, one); !errors.Is(err, stat.ErrNoObservations) {
		t.Errorf("no pairs: %v", err)
	}
	if _, err := stat.RepeatRent([]string{"2", "3"}, pairs, one); !errors.Is(err, stat.ErrDesign) {
		t.Errorf("unknown periods: %v", err)
	}
	if err := pairs.Remove("2", "4", 0, 0); !errors.Is(err, stat.ErrNotHeld) {
		t.Errorf("a pair never added: %v", err)
	}
	if err := pairs.Add("1", "2", math.MinInt64, math.MaxInt64); !errors.Is(err, stat.ErrDesign) {
		t.Errorf("a change beyond the grid: %v", err)
	}
}

// TestChains holds pairs kept as rents come and go in any order to those of the sorted rents that stand.
func TestChains(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var chain stat.Chain
		standing := map[string]stat.Link{}
		kept := &stat.Pairs{}
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			l := stat.Link{Order: fmt.Sprintf("%02d", rapid.IntRange(0, 12).Draw(t, "order")), Y: int64(rapid.IntRange(0, 9).Draw(t, "y"))}
			l.Period = string('a' + rune(l.Order[1]-'0')/3 + 4*rune(l.Order[0]-'0'))
			sign := 1
			if old, there := standing[l.Order]; there {
				l, sign = old, -1
			}
			var err error
			chain, err = chain.With(l, int64(sign), func(a, b stat.Link, sign int64) error {
				if sign < 0 {
					return kept.Remove(a.Period, b.Period, a.Y, b.Y)
				}
				return kept.Add(a.Period, b.Period, a.Y, b.Y)
			})
			if err != nil {
				t.Fatal(err)
			}
			if sign < 0 {
				delete(standing, l.Order)
			} else {
				standing[l.Order] = l
			}
		}
		var links []stat.Link
		for _, l := range standing {
			links = append(links, l)
		}
		slices.SortFunc(links, func(a, b stat.Link) int { return cmp.Compare(a.Order, b.Order) })
		fresh := &stat.Pairs{}
		for i := 1; i < len(links); i++ {
			if err := fresh.Add(links[i-1].Period, links[i].Period, links[i-1].Y, links[i].Y); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(kept.Encode(nil), fresh.Encode(nil)) || !slices.Equal(links, []stat.Link(chain)) {
			t.Fatalf("got %v, want %v", chain, links)
		}
		again, err := stat.DecodePairs(kept.Encode(nil))
		if err != nil || !bytes.Equal(again.Encode(nil), kept.Encode(nil)) {
			t.Fatal(err)
		}
	})
}

// TestMultisets holds medians and quantiles to sorted values, through merges, removals and encodings.
func TestMultisets(t *testing.T) {
	t.Parallel()
	values := rapid.SliceOfN(rapid.OneOf(rapid.Int64Range(-5, 5), rapid.Int64()), 1, 40)
	rapid.Check(t, func(t *rapid.T) {
		all, extra := values.Draw(t, "all"), values.Draw(t, "extra")
		m, other := stat.Strata{}, stat.Strata{}
		for i, v := range all {
			if i%2 == 0 {
				m.Of("s").Add(v)
			} else {
				other.Of("s").Add(v)
			}
		}
		m.Merge(other)
		before := m.Encode(nil)
		out := stat.Strata{}
		for i, v := range extra {
			out.Of(fmt.Sprint("s", i%2)).Add(v)
			m.Of("s").Add(v)
		}
		m.Merge(out)
		if err := m.Unmerge(out); err != nil {
			t.Fatal(err)
		}
		for _, v := range extra {
			if err := m.Of("s").Remove(v); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(before, m.Encode(nil)) {
			t.Fatal("bits differ")
		}
		if err := m.Of("s").Unmerge(out.Of("s")); out.Of("s").N() > 0 && err == nil {
			t.Fatal("took out what it did not hold")
		}
		again, err := stat.DecodeStrata(before)
		if err != nil || !bytes.Equal(again.Encode(nil), before) {
			t.Fatal(err)
		}
		sorted := slices.Sorted(slices.Values(all))
		low, high, ok := again["s"].Middle()
		if !ok || low != sorted[(len(all)-1)/2] || high != sorted[len(all)/2] {
			t.Fatalf("middle %d and %d of %v", low, high, sorted)
		}
		num := rapid.Int64Range(0, 10).Draw(t, "tenths")
		at := float64(len(all)-1) * float64(num) / 10
		i := int((int64(len(all)-1) * num) / 10)
		want := float64(sorted[i]) + (at-float64(i))*(float64(sorted[min(i+1, len(all)-1)])-float64(sorted[i]))
		if q, ok := again["s"].Quantile(num, 10); !ok || math.Abs(q-want) > 1e-9*(1+math.Abs(float64(sorted[0]))+math.Abs(float64(sorted[len(all)-1]))) {
			t.Fatalf("quantile %d/10 of %v: got %v, want %v", num, sorted, q, want)
		}
	})
}

func TestStratifiedMedian(t *testing.T) {
	t.Parallel()
	fill := func(values map[string][]int64) stat.Strata {
		s := stat.Strata{}
		for k, vs := range values {
			for _, v := range vs {
				s.Of(k).Add(v)
			}
		}
		return s
	}
	ps := []stat.StrataPeriod{
		{Name: "0"},
		{Name: "1", Strata: fill(map[string][]int64{"a": {10, 20, 30}, "b": {100, 200}, "thin": {7}})},
		{Name: "2", Strata: fill(map[string][]int64{"a": {21, 23}, "b": {180}, "new": {1, 2}})}, // b is thin now.
		{Name: "3", Strata: fill(map[string][]int64{"a": {40, 40, 50}, "b": {150, 150}, "thin": {9, 9}})},
		{Name: "4"},
	}
	got, err := stat.StratifiedMedian(ps, 2)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []struct {
		strata int
		index  float64
	}{{0, 0}, {2, 100}, {1, 110}, {2, 100 * (3*40 + 2*150) / (3*20 + 2*150.0)}, {0, 0}} {
		if p := got[i]; p.Strata != want.strata || (p.Index == nil) != (want.strata == 0) || p.Index != nil && math.Abs(*p.Index-want.index) > 1e-12 {
			t.Errorf("%s: got %+v, want %+v", p.Period, p, want)
		}
	}
	if _, err := stat.StratifiedMedian(ps[:1], 2); !errors.Is(err, stat.ErrNoObservations) {
		t.Errorf("nothing: %v", err)
	}
}
