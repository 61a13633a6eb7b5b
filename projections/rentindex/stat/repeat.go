package stat

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"slices"
)

// MethodRepeat names the repeat-rent index and the version of its arithmetic.
const MethodRepeat = "repeat/1"

// Span is the two periods of a pair, by name; names sort in time.
type Span struct{ From, To string }

// Pairs are the exact sums of the pairs of successive rents of the same homes, by the two periods. The zero Pairs is empty
// and ready.
type Pairs struct{ spans map[Span]pairSum }

type pairSum struct {
	n       int64
	sd, sdd Wide // Σ of the change in log rent, and of its square.
}

// N is the number of pairs held.
func (p *Pairs) N() (n int64) {
	for _, s := range p.spans {
		n += s.n
	}
	return n
}

// Add takes a pair in: y0 in from, y1 in to, on the grid. Two rents of one period are no pair and change nothing.
func (p *Pairs) Add(from, to string, y0, y1 int64) error { return p.change(from, to, y0, y1, +1) }

// Remove takes such a pair out again, or refuses with ErrNotHeld.
func (p *Pairs) Remove(from, to string, y0, y1 int64) error { return p.change(from, to, y0, y1, -1) }

func (p *Pairs) change(from, to string, y0, y1, sign int64) error {
	switch {
	case from == to:
		return nil
	case from > to:
		return fmt.Errorf("%w: a pair from %s to %s", ErrDesign, from, to)
	case sign < 0 && p.spans[Span{from, to}].n < 1:
		return ErrNotHeld
	}
	d := y1 - y0
	if (y1 >= y0) != (d >= 0) {
		return fmt.Errorf("%w: a change of rent beyond the grid", ErrDesign)
	}
	p.merge(Span{from, to}, pairSum{1, wideOf(d), product(d, d)}, sign)
	return nil
}

func (p *Pairs) merge(at Span, o pairSum, sign int64) {
	if p.spans == nil {
		p.spans = map[Span]pairSum{}
	}
	s := p.spans[at]
	s.n += sign * o.n
	s.sd, s.sdd = s.sd.signed(sign, o.sd), s.sdd.signed(sign, o.sdd)
	if s == (pairSum{}) {
		delete(p.spans, at)
	} else {
		p.spans[at] = s
	}
}

// Merge adds everything o holds.
func (p *Pairs) Merge(o *Pairs) {
	for at, s := range o.spans {
		p.merge(at, s, +1)
	}
}

// Within are the pairs whose two periods are both kept.
func (p *Pairs) Within(keep func(period string) bool) *Pairs {
	out := &Pairs{}
	for at, s := range p.spans {
		if keep(at.From) && keep(at.To) {
			out.merge(at, s, +1)
		}
	}
	return out
}

func (p *Pairs) sorted() []Span {
	return slices.SortedFunc(maps.Keys(p.spans), func(a, b Span) int {
		return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To))
	})
}

// Encode appends the canonical form: equal content, equal bytes.
func (p *Pairs) Encode(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(len(p.spans)))
	for _, at := range p.sorted() {
		s := p.spans[at]
		for _, name := range []string{at.From, at.To} {
			b = binary.AppendUvarint(b, uint64(len(name)))
			b = append(b, name...)
		}
		b = binary.AppendUvarint(b, uint64(s.n))
		b = s.sdd.append(s.sd.append(b))
	}
	return b
}

// DecodePairs reads what [Pairs.Encode] wrote, and nothing else.
func DecodePairs(b []byte) (*Pairs, error) {
	in := reader{b: b}
	p := &Pairs{spans: map[Span]pairSum{}}
	name := func() (s string) {
		if size := in.uvarint(); in.err == nil && size <= uint64(len(in.b)) {
			s, in.b = string(in.b[:size]), in.b[size:]
			return s
		}
		in.fail()
		return ""
	}
	for range in.count() {
		if in.err != nil {
			break
		}
		at := Span{name(), name()}
		p.spans[at] = pairSum{in.count(), in.wide(), in.wide()}
	}
	if in.err == nil && (len(in.b) != 0 || string(p.Encode(make([]byte, 0, len(b)))) != string(b)) {
		in.fail()
	}
	if in.err != nil {
		return nil, fmt.Errorf("pairs: %w", in.err)
	}
	return p, nil
}

// RepeatPoint is the index of one period against the first that has pairs.
type RepeatPoint struct {
	Period   string
	N        int64    // Pairs that begin or end in the period.
	LogIndex *float64 // nil where no chain of pairs leads from the base to the period.
	SE       *float64
	Index    *float64
	// The same weighted by the variance of a change over its length (three stages); nil where there are no weights.
	WeightedLog, WeightedSE, WeightedIndex *float64
}

// Repeat is a solved repeat-rent index.
type Repeat struct {
	N, DF         int64
	Sigma         *float64
	Points        []RepeatPoint
	Variance      *Growth  // By which the weighted figures are weighted; nil where there are none.
	Unweighted    string   // Why there are none.
	WeightedSigma *float64 // Residual standard error of the weighted fit.
}

// Growth is the variance of a change of log rent as fitted in the second stage: Base + PerPeriod·(periods between).
type Growth struct{ Base, PerPeriod float64 }

// RepeatRent solves the Bailey–Muth–Nourse regression: the change of log rent of a pair is δ_to − δ_from + ε. The normal
// equations are integer counts. periods are all periods in order of time; gap counts the periods between two of them, by
// their place, for the weights of the three-stage version (Case and Shiller).
func RepeatRent(periods []string, pairs *Pairs, gap func(from, to int) int64) (*Repeat, error) {
	at := make(map[string]int, len(periods))
	for i, p := range periods {
		if _, twice := at[p]; twice {
			return nil, fmt.Errorf("%w: period %s twice", ErrDesign, p)
		}
		at[p] = i
	}
	r := &repeatFit{k: len(periods)}
	for _, s := range pairs.sorted() {
		from, ok1 := at[s.From]
		to, ok2 := at[s.To]
		if !ok1 || !ok2 || from >= to {
			return nil, fmt.Errorf("%w: a pair from %s to %s", ErrDesign, s.From, s.To)
		}
		sum := pairs.spans[s]
		r.rows = append(r.rows, repeatRow{from: from, to: to, gap: gap(from, to), pairSum: sum})
	}
	if len(r.rows) == 0 {
		return nil, ErrNoObservations
	}
	if len(periods) > ColumnsMax {
		return nil, fmt.Errorf("%w: %d periods, at most %d", ErrTooManyColumns, len(periods), ColumnsMax)
	}
	return r.solve(periods), nil
}

type repeatRow struct {
	from, to int
	gap      int64
	pairSum
}

type repeatFit struct {
	k    int
	rows []repeatRow
}

// connected marks the periods a chain of pairs leads to from base.
func (r *repeatFit) connected(base int) []bool {
	in := make([]bool, r.k)
	in[base] = true
	for grown := true; grown; {
		grown = false
		for _, row := range r.rows {
			if in[row.from] != in[row.to] {
				in[row.from], in[row.to], grown = true, true, true
			}
		}
	}
	return in
}

func (r *repeatFit) solve(periods []string) *Repeat {
	base := r.k
	for _, row := range r.rows {
		base = min(base, row.from)
	}
	in := r.connected(base)
	r.rows = slices.DeleteFunc(r.rows, func(row repeatRow) bool { return !in[row.from] })
	out := &Repeat{Points: make([]RepeatPoint, r.k)}
	for i, p := range periods {
		out.Points[i].Period = p
	}
	for _, row := range r.rows {
		out.N += row.n
		out.Points[row.from].N += row.n
		out.Points[row.to].N += row.n
	}
	first := r.least(base, func(int64) float64 { return 1 })
	out.DF = out.N - int64(first.rank)
	out.Sigma = rootOver(first.rss, out.DF)
	for i := range out.Points {
		if in[i] {
			out.Points[i].LogIndex, out.Points[i].Index = finite(first.delta[i]), indexOf(first.delta[i])
			out.Points[i].SE = scaled(out.Sigma, first.quadratic(i))
		}
	}
	g, ok := r.growth(first)
	if !ok || out.Sigma == nil {
		out.Unweighted = "the squared residuals give no positive variance at every length of a pair"
		return out
	}
	third := r.least(base, func(gap int64) float64 { return 1 / g.at(gap) })
	out.Variance = &g
	out.WeightedSigma = rootOver(third.rss, out.DF)
	for i := range out.Points {
		if in[i] {
			out.Points[i].WeightedLog, out.Points[i].WeightedIndex = finite(third.delta[i]), indexOf(third.delta[i])
			out.Points[i].WeightedSE = scaled(out.WeightedSigma, third.quadratic(i))
		}
	}
	return out
}

func (g Growth) at(gap int64) float64 { return g.Base + float64(g.PerPeriod*float64(gap)) }

func rootOver(rss float64, df int64) *float64 {
	if df <= 0 {
		return nil
	}
	return finite(math.Sqrt(rss / float64(df)))
}

// leastFit is one weighted least squares; column i is period i, the base's is left out.
type leastFit struct {
	ch    *cholesky
	delta []float64
	rss   float64
	rank  int
}

// quadratic is the i-th diagonal element of (X'WX)⁻¹; 0 for the base.
func (l *leastFit) quadratic(i int) float64 {
	if l.ch.dropped[i] {
		return 0
	}
	unit := make([]float64, l.ch.k)
	unit[i] = 1
	z := l.ch.forward(unit)
	return dot(z, z)
}

func (r *repeatFit) least(base int, weight func(gap int64) float64) *leastFit {
	s, b := make([]float64, r.k*r.k), make([]float64, r.k)
	yy := 0.0
	for _, row := range r.rows {
		w := weight(row.gap)
		n, d := float64(w*float64(row.n)), float64(w*float(row.sd.Big(), gridSum, 1))
		yy += float64(w * float(row.sdd.Big(), gridProduct, 1))
		for _, end := range []struct {
			at   int
			sign float64
		}{{row.from, -1}, {row.to, +1}} {
			if end.at != base {
				s[end.at*r.k+end.at] += n
				b[end.at] += float64(end.sign * d)
			}
		}
		if row.from != base {
			s[row.to*r.k+row.from] -= n
		}
	}
	ch := factor(s, r.k)
	z := ch.forward(b)
	return &leastFit{ch: ch, delta: ch.backward(z), rss: max(0, yy-dot(z, z)), rank: ch.rank}
}

// growth regresses the squared residuals of the first stage on the length of the pair. ok is false where that gives no
// positive variance for each length, or nothing to tell lengths apart by.
func (r *repeatFit) growth(first *leastFit) (g Growth, ok bool) {
	var n, sg, se, sgg, sge float64
	for _, row := range r.rows {
		d := first.delta[row.to] - first.delta[row.from]
		c := float64(row.n)
		// Σ(dy − d)², centred at the mean change so that little cancels.
		mean := float(row.sd.Big(), gridSum, row.n)
		spread := float(centred(row.n, row.sdd, row.sd, row.sd), gridProduct, row.n)
		e := max(0, spread) + float64(c*float64((mean-d)*(mean-d)))
		x := float64(row.gap)
		n += c
		sg += float64(c * x)
		se += e
		sgg += float64(c * float64(x*x))
		sge += float64(x * e)
	}
	variance := float64(n*sgg) - float64(sg*sg)
	if !(variance > 0) || !(se > 0) {
		return g, false
	}
	g.PerPeriod = (float64(n*sge) - float64(sg*se)) / variance
	g.Base = (se - float64(g.PerPeriod*sg)) / n
	for _, row := range r.rows {
		if v := g.at(row.gap); !(v > se/n*1e-6) || math.IsInf(v, 0) {
			return g, false
		}
	}
	return g, true
}

// finite is v, or nil where it is no number.
func finite(v float64) *float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return nil
	}
	return &v
}

// indexOf is 100·exp(log), or nil where that is no finite number.
func indexOf(log float64) *float64 {
	v, ok := Exp(log)
	if !ok || v > math.MaxFloat64/100 {
		return nil
	}
	v *= 100
	return &v
}

// Chain keeps one home's rents in order of time and the pairs between successive ones, as rents come and go in any order.
type Chain []Link

// Link is one rent of a home. Order says where it stands among the home's rents; equal orders do not occur.
type Link struct {
	Order, Period string
	Where         string // What the pair that ends with it counts under; its caller's business.
	Y             int64
}

// With is the chain with l in its place, or without it where sign is negative; change is called for each pair that
// leaves (-1) or enters (+1).
func (c Chain) With(l Link, sign int64, change func(from, to Link, sign int64) error) (Chain, error) {
	i, found := slices.BinarySearchFunc(c, l, func(a, b Link) int { return cmp.Compare(a.Order, b.Order) })
	if found != (sign < 0) || found && c[i] != l {
		return c, ErrNotHeld
	}
	next := i // The place in c of what follows l.
	if found {
		next = i + 1
	}
	steps := []struct {
		a, b  *Link
		there bool
		sign  int64
	}{{nil, &l, i > 0, sign}, {&l, nil, next < len(c), sign}, {nil, nil, i > 0 && next < len(c), -sign}}
	for _, s := range steps {
		if !s.there {
			continue
		}
		if s.a == nil {
			s.a = &c[i-1]
		}
		if s.b == nil {
			s.b = &c[next]
		}
		if err := change(*s.a, *s.b, s.sign); err != nil {
			return c, err
		}
	}
	if found {
		return slices.Delete(slices.Clone(c), i, i+1), nil
	}
	return slices.Insert(slices.Clone(c), i, l), nil
}
