package stat_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"zujian/projections/rentindex/stat"
)

// simulated is a small city with a known truth: twelve reporting units and the effects of the demo city on log rent,
// estates the model does not know, noise of 12 %, and rents rounded to 10 yuan.
type simulated struct {
	random  *rand.Rand
	estates []float64
	months  int
}

func (c *simulated) truth(month int) float64 {
	season := map[int]float64{1: 0.008, 2: 0.008, 5: 0.015, 6: 0.015, 10: -0.007, 11: -0.007}
	drift := 0.01 * float64(month) / 12
	if month >= 9 {
		drift -= 0.04 // The shock.
	}
	return drift + season[month%12] - season[0]
}

// effect draws a level and adds its effect.
func (c *simulated) effect(log *float64, levels *[]string, factor string, effects ...float64) {
	i := c.random.IntN(len(effects))
	*log += effects[i]
	*levels = append(*levels, stat.Level(factor, fmt.Sprint(i)))
}

func (c *simulated) contract(month int) (levels []string, y float64) {
	log := math.Log(40) + c.truth(month) + c.estates[c.random.IntN(len(c.estates))] + 0.12*c.random.NormFloat64()
	c.effect(&log, &levels, "unit", 0.44, 0.37, 0.35, 0.41, 0.18, -0.05, -0.16, -0.36, -0.22, -0.69, -0.80, -0.86)
	c.effect(&log, &levels, "size", 0.22, 0.10, 0.03, 0, -0.04, -0.08)
	c.effect(&log, &levels, "fitout", -0.25, -0.08, 0.10)
	c.effect(&log, &levels, "floor", 0, 0.02, 0.03, -0.06)
	c.effect(&log, &levels, "age", 0.06, 0, -0.05, -0.10)
	c.effect(&log, &levels, "metro", 0.06, 0.03, 0)
	const area = 75
	rent := math.Max(10, math.Round(math.Exp(log)*area/10)*10)
	y, _ = stat.Log(rent / area)
	return levels, y
}

func simulate(seed uint64, months int) *simulated {
	c := &simulated{random: rand.New(rand.NewPCG(seed, 3)), months: months}
	for range 60 {
		c.estates = append(c.estates, 0.06*c.random.NormFloat64())
	}
	return c
}

// covered counts how often the 95 % interval holds the truth, and how far the figures are from it.
type covered struct {
	in, n int
	off   float64
}

func (c *covered) add(log float64, se *float64, truth float64) {
	if c.n++; math.Abs(log-truth) <= 1.959963984540054**se {
		c.in++
	}
	c.off += math.Abs(log - truth)
}

// TestCoverage holds the interval of each method to its promise over 200 seeds.
func TestCoverage(t *testing.T) {
	t.Parallel()
	const seeds, months, each = 200, 12, 90
	design := stat.Design{Factors: []string{"unit", "size", "fitout", "floor", "age", "metro"}}
	results := map[string]*covered{"hedonic": {}, "rolling": {}, "double-imputation": {}, "repeat": {}}
	for seed := range uint64(seeds) {
		c := simulate(seed, months)
		var periods []stat.Period
		var names []string
		for m := range months {
			cell := &stat.Cell{}
			for range each {
				levels, y := c.contract(m)
				if err := cell.Add(stat.Observation{Y: grid(t, y), Levels: levels}); err != nil {
					t.Fatal(err)
				}
			}
			names = append(names, fmt.Sprintf("%02d", m))
			periods = append(periods, stat.Period{Name: names[m], Cell: cell})
		}
		pooled, err1 := stat.TimeDummy(design, periods)
		window, err2 := stat.Rolling(design, periods, 6)
		imputed, err3 := stat.DoubleImputation(design, periods)
		repeated, err4 := stat.RepeatRent(names, c.pairs(t, names, 300), func(a, b int) int64 { return int64(b - a) })
		if err1 != nil || err2 != nil || err3 != nil || err4 != nil {
			t.Fatal(err1, err2, err3, err4)
		}
		for m := 1; m < months; m++ {
			truth := c.truth(m) - c.truth(0)
			results["hedonic"].add(pooled.Points[m].LogIndex, pooled.Points[m].SE, truth)
			results["rolling"].add(window.Points[m].LogIndex, window.Points[m].SE, truth)
			results["repeat"].add(*repeated.Points[m].LogIndex, repeated.Points[m].SE, truth)
			if f := imputed.Points[m].Fisher; f != nil { // A month of 90 may lack a level.
				results["double-imputation"].add(f.LogIndex, f.SE, truth)
			}
		}
	}
	for method, r := range results {
		share := float64(r.in) / float64(r.n)
		t.Logf("%-18s %5d intervals, %.1f %% hold the truth, mean distance %.2f %%", method, r.n, 100*share, 100*r.off/float64(r.n))
		if share < 0.93 || share > 0.97 {
			t.Errorf("%s: the 95 %% interval holds the truth in %.1f %%", method, 100*share)
		}
	}
}

// pairs are homes let twice, in two months.
func (c *simulated) pairs(t *testing.T, names []string, homes int) *stat.Pairs {
	pairs := &stat.Pairs{}
	for range homes {
		a, b := c.random.IntN(c.months), c.random.IntN(c.months)
		home := c.random.NormFloat64()
		y := func(m int) int64 { return grid(t, 3+home+c.truth(m)+0.12*c.random.NormFloat64()) }
		if err := pairs.Add(names[min(a, b)], names[max(a, b)], y(min(a, b)), y(max(a, b))); err != nil {
			t.Fatal(err)
		}
	}
	return pairs
}
