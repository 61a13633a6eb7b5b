package stat

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// MethodRolling names the rolling window with mean splice and the version of its arithmetic.
const MethodRolling = "rolling/1"

// WindowMin is the shortest window a splice has something to overlap in.
const WindowMin = 2

// RollingPoint is the index of one period against the first with observations.
type RollingPoint struct {
	Period   string
	N        int64
	LogIndex float64  // Meaningless where N is 0.
	SE       *float64 // Of LogIndex, splices included; nil where no degree of freedom is left, or N is 0.
	Index    *float64
}

// RollingFit is a spliced series.
type RollingFit struct {
	N, DF  int64 // DF is the sum over the windows.
	Sigma  *float64
	Points []RollingPoint
}

// spliced is a published log index as a linear function of the observations: its value, and the weight a of each
// observation i of period t: a_i = level[t] + slope[t]'(x_i − x̄_t). The error follows without a second look at them.
type spliced struct {
	value float64
	level []float64
	slope [][]float64 // By union of terms; nil where no window used the period.
}

// Rolling fits windows of w successive periods and links each new period by the mean, over the other periods v of its
// window, of published_v + δ_t − δ_v. Published periods stand. Periods without observations are passed over: a window is w
// periods that have some. Fewer than w periods are one pooled fit.
func Rolling(d Design, periods []Period, w int) (*RollingFit, error) {
	if w < WindowMin {
		return nil, fmt.Errorf("%w: a window of %d periods", ErrDesign, w)
	}
	used, err := usable(d, periods)
	if err != nil {
		return nil, err
	}
	if _, err := columns(d, used); err != nil { // Before any work: each window then chooses its own.
		return nil, err
	}
	r := &roller{used: used, union: map[string]int{}}
	kinds := map[string]bool{}
	for _, p := range used { // All levels, the windows' bases too: which is the base differs from window to window.
		for _, t := range p.Cell.terms {
			if t.n > 0 && inDesign(d, t.name) {
				kinds[t.name] = t.numeric
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(kinds)) { // One order, however the cells came to be.
		r.union[name] = len(r.terms)
		r.terms = append(r.terms, column{term: name, numeric: kinds[name]})
	}
	for start := 0; start == 0 || start+w <= len(used); start++ {
		if err := r.window(d, start, min(start+w, len(used))); err != nil {
			return nil, err
		}
	}
	return r.result(periods), nil
}

func inDesign(d Design, term string) bool {
	factor, _, level := strings.Cut(term, "=")
	if level {
		return slices.Contains(d.Factors, factor)
	}
	return slices.Contains(d.Numerics, term)
}

type roller struct {
	used      []Period
	union     map[string]int
	terms     []column
	published []spliced
	rss       float64
	df        int64
}

func (r *roller) window(d Design, start, end int) error {
	used := r.used[start:end]
	cols, err := columns(d, used)
	if err != nil {
		return err
	}
	sys := assemble(cols, used)
	ch := factor(sys.s, sys.k)
	z := ch.forward(sys.r)
	beta := ch.backward(z)
	r.rss += max(0, sys.within-dot(z, z))
	r.df += max(0, sys.observed-int64(ch.rank)-int64(len(used)))
	delta := func(t int) spliced { return r.delta(cols, sys, ch, beta, start, t) }
	if start == 0 {
		for t := range used {
			r.published = append(r.published, delta(t))
		}
		return nil
	}
	last, overlap := len(used)-1, len(used)-1
	next := delta(last)
	for v := range overlap {
		old := r.published[start+v]
		next.plus(old, 1/float64(overlap))
		next.plus(delta(v), -1/float64(overlap))
	}
	r.published = append(r.published, next)
	return nil
}

// delta is δ_t − δ_0 of a window: (ȳ_t − x̄_t'β) − (ȳ_0 − x̄_0'β), where β = S⁻¹r.
func (r *roller) delta(cols []column, sys *system, ch *cholesky, beta []float64, start, t int) spliced {
	s := spliced{level: make([]float64, len(r.used)), slope: make([][]float64, len(r.used))}
	if t == 0 {
		return s
	}
	diff := make([]float64, sys.k)
	for j := range diff {
		diff[j] = sys.meanX[t][j] - sys.meanX[0][j]
	}
	s.value = sys.meanY[t] - sys.meanY[0] - dot(diff, beta)
	s.level[start+t] = 1 / float64(sys.counts[t])
	s.level[start] = -1 / float64(sys.counts[0])
	g := ch.backward(ch.forward(diff))
	slope := make([]float64, len(r.terms))
	for j, c := range cols {
		slope[r.union[c.term]] = -g[j]
	}
	for v := range sys.counts {
		s.slope[start+v] = slope
	}
	return s
}

// plus adds o times f.
func (s *spliced) plus(o spliced, f float64) {
	s.value += float64(o.value * f)
	for t := range s.level {
		s.level[t] += float64(o.level[t] * f)
		if o.slope[t] == nil {
			continue
		}
		sum := make([]float64, len(o.slope[t])) // Slopes are shared between periods: never written in place.
		copy(sum, s.slope[t])
		for j, v := range o.slope[t] {
			sum[j] += float64(v * f)
		}
		s.slope[t] = sum
	}
}

// variances are Σ a_i² of each published period, from the cells; one period's products are held at a time.
func (r *roller) variances() []float64 {
	out := make([]float64, len(r.published))
	for t, p := range r.used {
		m := assemble(r.terms, []Period{p})
		for i, s := range r.published {
			out[i] += float64(float64(p.Cell.n) * float64(s.level[t]*s.level[t]))
			if s.slope[t] != nil {
				out[i] += max(0, m.quadratic(s.slope[t]))
			}
		}
	}
	return out
}

// quadratic is g'Sg.
func (sys *system) quadratic(g []float64) (sum float64) {
	for i, gi := range g {
		if gi == 0 {
			continue
		}
		row := float64(sys.s[i*sys.k+i] * gi)
		for j := range i {
			row += float64(float64(2*sys.s[i*sys.k+j]) * g[j])
		}
		sum += float64(row * gi)
	}
	return sum
}

func (r *roller) result(periods []Period) *RollingFit {
	out := &RollingFit{DF: r.df, Sigma: rootOver(r.rss, r.df)}
	variances := r.variances()
	t := 0
	for _, p := range periods {
		if p.Cell == nil || p.Cell.n == 0 {
			out.Points = append(out.Points, RollingPoint{Period: p.Name})
			continue
		}
		s := r.published[t]
		pt := RollingPoint{Period: p.Name, N: p.Cell.n, LogIndex: s.value, Index: indexOf(s.value)}
		pt.SE = scaled(out.Sigma, variances[t])
		out.N += p.Cell.n
		out.Points = append(out.Points, pt)
		t++
	}
	return out
}
