package stat

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"slices"
	"strings"
)

// MethodTimeDummy names the method and the version of its arithmetic; a change of any bit of a result is a new one.
const MethodTimeDummy = "hedonic/1"

// ColumnsMax bounds the columns of a solve beside the periods: 2,048 take some seconds and 64 MiB.
const ColumnsMax = 2048

// pivotMin is the share of its diagonal a pivot must keep; below, the column is a combination of those before it.
const pivotMin = 1e-10

// Refusals of fits.
var (
	ErrNoObservations = errors.New("stat: no observations")
	ErrDesign         = errors.New("stat: the cells do not fit the design")
	ErrTooManyColumns = errors.New("stat: too many columns")
)

// Design names what a model uses of its cells: factors, whose first level (in bytewise order) that occurs is the base,
// and numeric regressors. Every observation carries one level of each factor and each numeric regressor.
type Design struct {
	Factors  []string
	Numerics []string
}

// Period is the cell of one month, or whatever the periods are. Periods are in order of time and their names differ.
type Period struct {
	Name string
	Cell *Cell
}

// Coefficient is one coefficient as R's lm reports it. A dropped column has neither estimate nor error.
type Coefficient struct {
	Term     string // "(Intercept)", factor and level ("bed2"), or the numeric regressor.
	Estimate float64
	SE       *float64 // nil where no degree of freedom is left, or the column was dropped.
	Dropped  bool
}

// Point is the index of one period against the first that has observations.
type Point struct {
	Period   string
	N        int64
	LogIndex float64  // δ, 0 in the base period. Meaningless where N is 0.
	SE       *float64 // Standard error of δ; nil where no degree of freedom is left.
	Index    *float64 // 100·exp(δ); nil where that is no finite number.
}

// Fit is a solved model.
type Fit struct {
	N, DF   int64
	Rank    int      // Columns kept, periods and intercept included.
	Sigma   *float64 // Residual standard error; nil when DF is 0.
	R2      *float64 // nil when all values are equal.
	Dropped []string // Columns left out as combinations of earlier ones, in order.
	// Coefficients in the order of lm: intercept, factors, numeric regressors. Those of the periods are Points.
	Coefficients []Coefficient
	Points       []Point // One for each period given, empty ones with N 0.
}

// column is one column of the design that is not a period.
type column struct {
	label, term string
	numeric     bool
}

// TimeDummy fits y = Xβ + δ_period + ε by least squares, pooled over the periods, which are eliminated. The answer is
// what dense least squares on all rows gives; the cost does not depend on their number. Empty periods are passed over.
func TimeDummy(d Design, periods []Period) (*Fit, error) {
	used, err := usable(d, periods)
	if err != nil {
		return nil, err
	}
	cols, err := columns(d, used)
	if err != nil {
		return nil, err
	}
	sys := assemble(cols, used)
	return sys.fit(cols, periods, used), nil
}

// usable are the periods with observations, checked against the design.
func usable(d Design, periods []Period) ([]Period, error) {
	var used []Period
	names := map[string]bool{}
	for _, p := range periods {
		if names[p.Name] {
			return nil, fmt.Errorf("%w: period %s twice", ErrDesign, p.Name)
		}
		names[p.Name] = true
		if p.Cell == nil || p.Cell.n == 0 {
			continue
		}
		used = append(used, p)
		held := map[string]int64{}
		for _, t := range p.Cell.terms {
			if t.numeric {
				held[t.name] += t.n
			} else {
				factor, _, _ := strings.Cut(t.name, "=")
				held[factor+"="] += t.n
			}
		}
		for _, f := range d.Factors {
			if held[f+"="] != p.Cell.n {
				return nil, fmt.Errorf("%w: %s: %d of %d observations have a level of %q", ErrDesign, p.Name, held[f+"="], p.Cell.n, f)
			}
		}
		for _, x := range d.Numerics {
			if held[x] != p.Cell.n {
				return nil, fmt.Errorf("%w: %s: %d of %d observations have a value of %q", ErrDesign, p.Name, held[x], p.Cell.n, x)
			}
		}
	}
	if len(used) == 0 {
		return nil, ErrNoObservations
	}
	return used, nil
}

// columns are the design's columns in order: for each factor its levels that occur, sorted, without the first; then
// the numeric regressors.
func columns(d Design, used []Period) ([]column, error) {
	levels := map[string]map[string]bool{}
	for _, f := range d.Factors {
		if levels[f] != nil {
			return nil, fmt.Errorf("%w: factor %q twice", ErrDesign, f)
		}
		levels[f] = map[string]bool{}
	}
	for _, p := range used {
		for _, t := range p.Cell.terms {
			if factor, level, ok := strings.Cut(t.name, "="); ok && t.n > 0 && levels[factor] != nil {
				levels[factor][level] = true
			}
		}
	}
	var cols []column
	for _, f := range d.Factors {
		names := make([]string, 0, len(levels[f]))
		for l := range levels[f] {
			names = append(names, l)
		}
		slices.Sort(names)
		for _, l := range names[1:] {
			cols = append(cols, column{label: f + l, term: Level(f, l)})
		}
	}
	for i, x := range d.Numerics {
		if slices.Contains(d.Numerics[:i], x) {
			return nil, fmt.Errorf("%w: numeric regressor %q twice", ErrDesign, x)
		}
		cols = append(cols, column{label: x, term: x, numeric: true})
	}
	if len(cols) > ColumnsMax {
		return nil, fmt.Errorf("%w: %d, at most %d", ErrTooManyColumns, len(cols), ColumnsMax)
	}
	return cols, nil
}

// system is the normal equations with the periods eliminated, in floats.
type system struct {
	k        int
	s        []float64   // k×k, lower triangle: Σ_t within-period products of columns.
	r        []float64   // k: Σ_t within-period products with y.
	within   float64     // Within-period sum of squares of y.
	total    float64     // Sum of squares of y about its mean.
	meanX    [][]float64 // Period × column.
	meanY    []float64
	counts   []int64
	observed int64
}

const (
	gridSum     = 1.0 / (1 << FracBits)                   // Scale of one grid number.
	gridProduct = 1.0 / (1 << FracBits) / (1 << FracBits) // Scale of a product of two.
)

// float is z scaled by a power of two and divided by n.
func float(z *big.Int, scale float64, n int64) float64 {
	f, _ := z.Float64()
	return float64(f*scale) / float64(n)
}

func assemble(cols []column, used []Period) *system {
	k := len(cols)
	sys := &system{k: k, s: make([]float64, k*k), r: make([]float64, k)}
	all := &Cell{}
	for _, p := range used {
		c := p.Cell
		sys.counts = append(sys.counts, c.n)
		sys.observed += c.n
		sys.meanY = append(sys.meanY, float(c.sy.Big(), gridSum, c.n))
		sys.within += float(centred(c.n, c.syy, c.sy, c.sy), gridProduct, c.n)
		all.n, all.sy, all.syy = all.n+c.n, all.sy.plus(c.sy), all.syy.plus(c.syy)
		sys.meanX = append(sys.meanX, sys.addPeriod(cols, c))
	}
	sys.total = float(centred(all.n, all.syy, all.sy, all.sy), gridProduct, all.n)
	return sys
}

// centred is n·Σab − Σa·Σb.
func centred(n int64, ab, a, b Wide) *big.Int {
	z := new(big.Int).Mul(big.NewInt(n), ab.Big())
	return z.Sub(z, new(big.Int).Mul(a.Big(), b.Big()))
}

// addPeriod adds one period's centred products and returns its means.
func (sys *system) addPeriod(cols []column, c *Cell) []float64 {
	mean := make([]float64, sys.k)
	ids := make([]int32, 0, sys.k) // Columns present, as the cell numbers them, and…
	at := make([]int, 0, sys.k)    // …as the system does.
	for j, col := range cols {
		i, known := c.index[col.term]
		if !known || c.terms[i].n == 0 {
			continue
		}
		ids, at = append(ids, i), append(at, j)
		t := &c.terms[i]
		if col.numeric {
			mean[j] = float(t.sx.Big(), gridSum, c.n)
			sys.r[j] += float(centred(c.n, t.sxy, t.sx, c.sy), gridProduct, c.n)
		} else {
			mean[j] = float64(t.n) / float64(c.n)
			sys.r[j] += float(centred(c.n, t.sxy, wideOf(t.n), c.sy), gridSum, c.n)
		}
	}
	for p, i := range ids {
		for q, j := range ids[:p+1] {
			sys.s[at[p]*sys.k+at[q]] += c.within(i, j)
		}
	}
	return mean
}

// within is the centred product of terms i and j, divided by n.
func (c *Cell) within(i, j int32) float64 {
	a, b := &c.terms[i], &c.terms[j]
	switch {
	case a.numeric && b.numeric:
		return float(centred(c.n, c.sums[pairKey(i, j)], a.sx, b.sx), gridProduct, c.n)
	case a.numeric:
		return float(centred(c.n, c.sums[pairKey(i, j)], a.sx, wideOf(b.n)), gridSum, c.n)
	case b.numeric:
		return float(centred(c.n, c.sums[pairKey(i, j)], b.sx, wideOf(a.n)), gridSum, c.n)
	}
	both := c.counts[pairKey(i, j)]
	if i == j {
		both = a.n
	}
	if c.n <= math.MaxInt32 { // Both products stay below 2⁶².
		return float64(c.n*both-a.n*b.n) / float64(c.n)
	}
	return float(centred(c.n, wideOf(both), wideOf(a.n), wideOf(b.n)), 1, c.n)
}

func (sys *system) fit(cols []column, periods, used []Period) *Fit {
	ch := factor(sys.s, sys.k)
	z := ch.forward(sys.r)
	beta := ch.backward(z)
	explained := 0.0
	for _, v := range z {
		explained += float64(v * v)
	}
	rss := max(0, sys.within-explained)
	f := &Fit{N: sys.observed, Rank: ch.rank + len(used)}
	f.DF = f.N - int64(f.Rank)
	var sigma *float64
	if f.DF > 0 {
		v := math.Sqrt(rss / float64(f.DF))
		sigma, f.Sigma = &v, &v
	}
	if sys.total > 0 {
		v := 1 - rss/sys.total
		f.R2 = &v
	}
	sys.coefficients(f, cols, ch, beta, sigma)
	sys.points(f, periods, ch, beta, sigma)
	return f
}

// scaled is sigma·√v, or nil without a sigma.
func scaled(sigma *float64, v float64) *float64 {
	if sigma == nil {
		return nil
	}
	se := float64(*sigma * math.Sqrt(v))
	return &se
}

func dot(a, b []float64) float64 {
	sum := 0.0
	for i, v := range a {
		sum += float64(v * b[i])
	}
	return sum
}

func (sys *system) coefficients(f *Fit, cols []column, ch *cholesky, beta []float64, sigma *float64) {
	z := ch.forward(sys.meanX[0])
	f.Coefficients = append(f.Coefficients, Coefficient{
		Term: "(Intercept)", Estimate: sys.meanY[0] - dot(sys.meanX[0], beta),
		SE: scaled(sigma, 1/float64(sys.counts[0])+dot(z, z)),
	})
	unit := make([]float64, sys.k)
	for j, col := range cols {
		if ch.dropped[j] {
			f.Dropped = append(f.Dropped, col.label)
			f.Coefficients = append(f.Coefficients, Coefficient{Term: col.label, Dropped: true})
			continue
		}
		unit[j] = 1
		z := ch.forward(unit)
		unit[j] = 0
		f.Coefficients = append(f.Coefficients, Coefficient{Term: col.label, Estimate: beta[j], SE: scaled(sigma, dot(z, z))})
	}
}

func (sys *system) points(f *Fit, periods []Period, ch *cholesky, beta []float64, sigma *float64) {
	t := 0
	diff := make([]float64, sys.k)
	for _, p := range periods {
		if p.Cell == nil || p.Cell.n == 0 {
			f.Points = append(f.Points, Point{Period: p.Name})
			continue
		}
		pt := Point{Period: p.Name, N: p.Cell.n}
		if t == 0 {
			pt.SE = scaled(sigma, 0)
		} else {
			for j := range diff {
				diff[j] = sys.meanX[t][j] - sys.meanX[0][j]
			}
			pt.LogIndex = sys.meanY[t] - sys.meanY[0] - dot(diff, beta)
			z := ch.forward(diff)
			pt.SE = scaled(sigma, 1/float64(sys.counts[t])+1/float64(sys.counts[0])+dot(z, z))
		}
		pt.Index = indexOf(pt.LogIndex)
		f.Points = append(f.Points, pt)
		t++
	}
}
