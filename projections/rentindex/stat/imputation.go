package stat

import (
	"fmt"
	"math"
)

// MethodImputation names the double imputation and the version of its arithmetic.
const MethodImputation = "double-imputation/1"

// Imputed is one comparison of a period with the base, in logs, with its standard error.
type Imputed struct {
	LogIndex float64
	SE       *float64 // nil where a month leaves no degree of freedom.
	Index    *float64 // 100·exp(LogIndex).
}

// ImputedPoint compares one period with the base period. A comparison is nil where a period's own regression cannot
// value the other period's homes: a level it has none of, or characteristics it cannot tell apart.
type ImputedPoint struct {
	Period    string
	N         int64
	Laspeyres *Imputed // The base period's homes at both periods' prices.
	Paasche   *Imputed // The period's own homes at both periods' prices.
	Fisher    *Imputed // Their mean in logs.
	Missing   []string // Columns that stand in the way.
}

// Imputation is a double imputation.
type Imputation struct {
	N      int64
	Points []ImputedPoint
}

// monthFit is the regression of one period alone.
type monthFit struct {
	sys   *system
	ch    *cholesky
	beta  []float64
	sigma *float64
}

// estimable tolerance: a direction a regression leaves open shows at about 1, one it determines at rounding.
const estimableMax = 1e-8

// DoubleImputation fits each period alone and values the homes of the base period (the first with observations) and of
// each period at the prices of both: geometric Laspeyres, Paasche and Fisher indices. With an intercept in every regression
// the predicted mean of a period's own homes is its mean, so Laspeyres is x̄₀'β_t − ȳ₀ and Paasche ȳ_t − x̄_t'β₀.
func DoubleImputation(d Design, periods []Period) (*Imputation, error) {
	used, err := usable(d, periods)
	if err != nil {
		return nil, err
	}
	cols, err := columns(d, used)
	if err != nil {
		return nil, err
	}
	out := &Imputation{}
	var base *monthFit
	for _, p := range periods {
		if p.Cell == nil || p.Cell.n == 0 {
			out.Points = append(out.Points, ImputedPoint{Period: p.Name})
			continue
		}
		f := fitMonth(cols, p)
		if base == nil {
			base = f
		}
		out.N += p.Cell.n
		out.Points = append(out.Points, compareMonths(cols, p, base, f))
	}
	return out, nil
}

func fitMonth(cols []column, p Period) *monthFit {
	sys := assemble(cols, []Period{p})
	ch := factor(sys.s, sys.k)
	z := ch.forward(sys.r)
	f := &monthFit{sys: sys, ch: ch, beta: ch.backward(z)}
	if df := sys.observed - int64(ch.rank) - 1; df > 0 {
		v := math.Sqrt(max(0, sys.within-dot(z, z)) / float64(df))
		f.sigma = &v
	}
	return f
}

// reach solves S·w = d in the period's regression and names the columns along which it cannot value d.
func (f *monthFit) reach(cols []column, d []float64) (quadratic float64, missing []string) {
	z := f.ch.forward(d)
	w := f.ch.backward(z)
	for j := range cols {
		if !f.ch.dropped[j] {
			continue
		}
		own, scale := d[j], math.Abs(d[j])
		if f.sys.s[j*f.sys.k+j] > 0 { // Varies in this period, together with others.
			for i := range cols {
				term := float64(f.sys.at(i, j) * w[i])
				own -= term
				scale += math.Abs(term)
			}
		}
		if math.Abs(own) > estimableMax*max(scale, 1e-12) {
			missing = append(missing, cols[j].label)
		}
	}
	return dot(z, z), missing
}

// at is S at any place of the symmetric matrix.
func (sys *system) at(i, j int) float64 {
	if i < j {
		i, j = j, i
	}
	return sys.s[i*sys.k+j]
}

func compareMonths(cols []column, p Period, base, now *monthFit) ImputedPoint {
	pt := ImputedPoint{Period: p.Name, N: p.Cell.n}
	d := make([]float64, len(cols))
	for j := range d {
		d[j] = base.sys.meanX[0][j] - now.sys.meanX[0][j]
	}
	if base == now {
		zero, hundred := 0.0, 100.0
		same := &Imputed{SE: scaled(now.sigma, 0), Index: &hundred, LogIndex: zero}
		pt.Laspeyres, pt.Paasche, pt.Fisher = same, same, same
		return pt
	}
	dy := now.sys.meanY[0] - base.sys.meanY[0]
	qNow, missNow := now.reach(cols, d)
	qBase, missBase := base.reach(cols, d)
	own := func(f *monthFit) float64 { return 1 / float64(f.sys.counts[0]) }
	if missNow == nil {
		pt.Laspeyres = imputed(dy+dot(d, now.beta), now.sigma, own(now)+qNow, base.sigma, own(base))
	}
	if missBase == nil {
		pt.Paasche = imputed(dy+dot(d, base.beta), now.sigma, own(now), base.sigma, own(base)+qBase)
	}
	if missNow == nil && missBase == nil {
		pt.Fisher = imputed((pt.Laspeyres.LogIndex+pt.Paasche.LogIndex)/2, now.sigma, own(now)+float64(qNow/4), base.sigma, own(base)+float64(qBase/4))
	}
	for _, m := range missNow {
		pt.Missing = append(pt.Missing, fmt.Sprintf("%s in %s", m, p.Name))
	}
	for _, m := range missBase {
		pt.Missing = append(pt.Missing, m+" in the base period")
	}
	return pt
}

// imputed is an index with the error of two independent regressions.
func imputed(log float64, s1 *float64, v1 float64, s2 *float64, v2 float64) *Imputed {
	out := &Imputed{LogIndex: log, Index: indexOf(log)}
	if s1 != nil && s2 != nil {
		a, b := float64(*s1**s1)*v1, float64(*s2**s2)*v2
		out.SE = finite(math.Sqrt(float64(a) + float64(b)))
	}
	return out
}
