package stat

import (
	"maps"
	"math/big"
	"slices"
)

// MethodMedian names the stratified median and the version of its arithmetic.
const MethodMedian = "stratified-median/1"

// StrataPeriod is one period's values by stratum. Periods are in order of time.
type StrataPeriod struct {
	Name   string
	Strata Strata
}

// MedianPoint is the index of one period on the base period's basket.
type MedianPoint struct {
	Period string
	N      int64    // Values of the period.
	Strata int      // Strata compared: with at least the least number of values in both periods.
	Index  *float64 // 100·Σ n₀·median_t / Σ n₀·median₀ over them; nil where none can be compared.
}

// StratifiedMedian values the base period's basket (its strata of at least least values, weighted by their number) at the
// medians of each period. The base is the first period with any values.
func StratifiedMedian(periods []StrataPeriod, least int64) ([]MedianPoint, error) {
	least = max(least, 1)
	base := slices.IndexFunc(periods, func(p StrataPeriod) bool { return p.Strata.N() > 0 })
	if base < 0 {
		return nil, ErrNoObservations
	}
	basket := periods[base].Strata
	names := slices.Sorted(maps.Keys(basket))
	out := make([]MedianPoint, 0, len(periods))
	for _, p := range periods {
		pt := MedianPoint{Period: p.Name, N: p.Strata.N()}
		now, then := new(big.Int), new(big.Int)
		for _, k := range names {
			m := p.Strata[k]
			if basket[k].n < least || m == nil || m.n < least {
				continue
			}
			pt.Strata++
			addMiddle(now, m, basket[k].n)
			addMiddle(then, basket[k], basket[k].n)
		}
		pt.Index = percent(now, then)
		out = append(out, pt)
	}
	return out, nil
}

// addMiddle adds n times twice the median of m to sum.
func addMiddle(sum *big.Int, m *Multiset, n int64) {
	low, high, _ := m.Middle()
	twice := new(big.Int).Add(big.NewInt(low), big.NewInt(high))
	sum.Add(sum, twice.Mul(twice, big.NewInt(n)))
}

// percent is 100·a/b, or nil where b is not positive or the ratio no number.
func percent(a, b *big.Int) *float64 {
	if b.Sign() <= 0 {
		return nil
	}
	x, _ := a.Float64()
	y, _ := b.Float64()
	v := 100 * (x / y)
	return finite(v)
}
