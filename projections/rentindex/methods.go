package rentindex

import (
	"encoding/hex"
	"errors"
	"fmt"
	"math"

	"zujian/domain"
	"zujian/projections/rentindex/stat"
)

var methodVersions = map[string]string{
	Hedonic: stat.MethodTimeDummy, Rolling: stat.MethodRolling, Imputation: stat.MethodImputation,
	Repeat: stat.MethodRepeat, Median: stat.MethodMedian,
}

// solve computes the series and fills the points that may be shown. The first month may.
func (s *series) solve(res *Result, months []monthData, points []Point) error {
	switch s.q.Method {
	case Repeat:
		return s.repeat(res, months, points)
	case Median:
		return s.median(res, months, points)
	}
	design, periods, err := s.pooled(res, months)
	if err != nil {
		return err
	}
	switch s.q.Method {
	case Rolling:
		return s.rolling(res, design, periods, points)
	case Imputation:
		return s.imputation(res, design, periods, points)
	}
	f, err := stat.TimeDummy(design, periods)
	if err != nil {
		return err
	}
	res.N, res.Sigma, res.R2, res.DF, res.Dropped = f.N, f.Sigma, f.R2, f.DF, f.Dropped
	for i, p := range f.Points {
		points[i].show(p.N, &p.LogIndex, p.SE, p.Index)
	}
	return nil
}

// show fills a point that is not withheld. A figure that is no number withholds it.
func (p *Point) show(n int64, log, se, index *float64) {
	switch {
	case p.Withheld != "":
		return
	case log == nil || index == nil:
		p.Withheld = WithheldNoFigure
		return
	}
	p.N, p.LogIndex, p.SE, p.Index = n, log, se, index
	p.Bounds()
}

// Bounds fills the interval from the log index and its error.
func (p *Point) Bounds() {
	if p.SE != nil && p.LogIndex != nil {
		p.Low, p.High = bound(*p.LogIndex-float64(normal95**p.SE)), bound(*p.LogIndex+float64(normal95**p.SE))
	}
}

// normal95 is the 97.5 % quantile of the normal distribution.
const normal95 = 1.959963984540054

func bound(log float64) *float64 {
	v, ok := stat.Exp(log)
	if !ok || v > math.MaxFloat64/100 {
		return nil
	}
	v *= 100
	return &v
}

// pooled is the design and one cell a month, units merged (and told apart by a dummy in the city's).
func (s *series) pooled(res *Result, months []monthData) (design stat.Design, periods []stat.Period, err error) {
	if s.unit == "" {
		design.Factors = append(design.Factors, s.m.AreaFactor)
	}
	for _, f := range s.m.Factors {
		design.Factors = append(design.Factors, f.Name)
	}
	var inputs []stat.Keyed
	for _, d := range months {
		whole := &stat.Cell{}
		for unit, cell := range d.units {
			inputs = append(inputs, stat.Keyed{Key: d.month.String() + "/" + unit, Cell: cell})
			if s.unit == "" {
				if cell, err = cell.WithLevel(stat.Level(s.m.AreaFactor, unit)); err != nil {
					return design, nil, err
				}
			}
			if err := whole.Merge(cell); err != nil { // Exact: the order of units does not matter.
				return design, nil, err
			}
		}
		periods = append(periods, stat.Period{Name: d.month.String(), Cell: whole})
	}
	res.hash(inputs)
	return design, periods, nil
}

func (r *Result) hash(inputs []stat.Keyed) {
	sum := stat.InputsSHA256(inputs)
	r.InputsSHA256 = hex.EncodeToString(sum[:])
}

func (s *series) rolling(res *Result, d stat.Design, periods []stat.Period, points []Point) error {
	window := s.m.WindowMonths()
	f, err := stat.Rolling(d, periods, window)
	if err != nil {
		return err
	}
	res.N, res.Sigma, res.DF, res.Window = f.N, f.Sigma, f.DF, window
	for i, p := range f.Points {
		points[i].show(p.N, &p.LogIndex, p.SE, p.Index)
	}
	return nil
}

func (s *series) imputation(res *Result, d stat.Design, periods []stat.Period, points []Point) error {
	f, err := stat.DoubleImputation(d, periods)
	if err != nil {
		return err
	}
	res.N = f.N
	for i, p := range f.Points {
		if points[i].Withheld != "" {
			continue
		}
		points[i].NotEstimable = p.Missing
		if p.Fisher == nil {
			points[i].Withheld = WithheldNoFigure
			continue
		}
		points[i].Laspeyres, points[i].Paasche = p.Laspeyres.Index, p.Paasche.Index
		points[i].show(p.N, &p.Fisher.LogIndex, p.Fisher.SE, p.Fisher.Index)
	}
	return nil
}

// median values the basket of the first shown month that has one at each month's medians. Strata are kept apart by reporting unit.
func (s *series) median(res *Result, months []monthData, points []Point) error {
	strata, err := s.levels(months)
	if err != nil {
		return err
	}
	var inputs []stat.Keyed
	var periods []stat.StrataPeriod
	for i, d := range months {
		inputs = append(inputs, stat.Keyed{Key: d.month.String(), Cell: strata[i]})
		periods = append(periods, stat.StrataPeriod{Name: d.month.String(), Strata: strata[i]})
	}
	res.hash(inputs)
	least := s.m.MinStratum
	if least == 0 {
		least = minStratumDefault
	}
	base := 0
	for base < len(periods) && (points[base].Withheld != "" || !periods[base].Strata.Any(least)) {
		base++
	}
	for i := range points[:base] {
		points[i].withhold(WithheldNoBasket)
	}
	if points = points[base:]; len(points) == 0 {
		return nil
	}
	f, err := stat.StratifiedMedian(periods[base:], least)
	if err != nil {
		return err
	}
	for i, p := range f {
		res.N += p.N
		if points[i].Withheld != "" {
			continue
		}
		if points[i].Strata = &p.Strata; p.Index == nil || *p.Index <= 0 {
			points[i].Withheld = WithheldNoBasket
			continue
		}
		log, ok := stat.Log(*p.Index / 100)
		if !ok {
			points[i].Withheld = WithheldNoFigure
			continue
		}
		points[i].show(p.N, &log, nil, p.Index)
	}
	return nil
}

// repeat solves the pairs of new lettings whose later month is in the window and whose earlier one is too.
func (s *series) repeat(res *Result, months []monthData, points []Point) error {
	var names []string
	at := map[string]int{}
	for i, d := range months {
		names = append(names, d.month.String())
		at[d.month.String()] = i
	}
	pairs, err := s.pairs(at)
	if err != nil {
		return err
	}
	res.hash([]stat.Keyed{{Key: s.q.Area, Cell: pairs}})
	f, err := stat.RepeatRent(names, pairs, func(from, to int) int64 { return int64(to - from) })
	if errors.Is(err, stat.ErrNoObservations) {
		for i := range points {
			points[i].withhold(WithheldPairs)
		}
		return nil
	}
	if err != nil {
		return err
	}
	res.N, res.Sigma, res.DF = f.N, f.Sigma, f.DF
	for i, p := range f.Points {
		if p.N < s.m.Disclosure.Contracts {
			points[i].withhold(WithheldPairs)
			continue
		}
		if points[i].Withheld == "" && s.unit == "" { // The units' less the city's would tell those withheld.
			n := p.N
			points[i].Pairs = &n
		}
		if points[i].show(months[i].n(), p.LogIndex, p.SE, p.Index); points[i].Withheld == "" {
			points[i].WeightedIndex, points[i].WeightedSE = p.WeightedIndex, p.WeightedSE
		}
	}
	return nil
}

func (p *Point) withhold(why string) {
	if p.Withheld == "" {
		p.Withheld = why
	}
}

// n is the number of contracts of the month.
func (d monthData) n() (n int64) {
	for _, c := range d.units {
		n += c.N()
	}
	return n
}

// pairs are those of the area with both months among at.
func (s *series) pairs(at map[string]int) (*stat.Pairs, error) {
	all := &stat.Pairs{}
	for pair, err := range s.r.Scan(s.ctx, "p/", "p/"+(s.q.To+1).String(), false) {
		if err != nil {
			return nil, err
		}
		place, err := parseCellKey("p/" + pair.Key)
		if err != nil {
			return nil, err
		}
		if _, mine, _ := s.sibling(place); !mine {
			continue
		}
		p, err := stat.DecodePairs(pair.Value)
		if err != nil {
			return nil, fmt.Errorf("pairs %s: %w", pair.Key, err)
		}
		all.Merge(p.Within(func(name string) bool { _, in := at[name]; return in }))
	}
	return all, nil
}

// levels are the strata of the area in each of months, the stock's as a running sum.
func (s *series) levels(months []monthData) ([]stat.Strata, error) {
	out := make([]stat.Strata, len(months))
	at := map[domain.Month]int{}
	for i, d := range months {
		at[d.month], out[i] = i, stat.Strata{}
	}
	if s.q.Population == New {
		err := s.eachLevel(setNew, months[0].month, func(m domain.Month, strata stat.Strata) error {
			if i, in := at[m]; in {
				out[i].Merge(strata)
			}
			return nil
		})
		return out, err
	}
	enter, leave := map[domain.Month]stat.Strata{}, map[domain.Month]stat.Strata{}
	for set, into := range map[string]map[domain.Month]stat.Strata{setIn: enter, setOut: leave} { // Two sums: no order between them.
		err := s.eachLevel(set, 0, func(m domain.Month, strata stat.Strata) error {
			m = max(m, months[0].month)
			if into[m] == nil {
				into[m] = stat.Strata{}
			}
			into[m].Merge(strata)
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	running := stat.Strata{}
	for i, d := range months { // Every month from the first on.
		running.Merge(enter[d.month])
		if err := running.Unmerge(leave[d.month]); err != nil {
			return nil, fmt.Errorf("stock of %s: %w", d.month, err)
		}
		out[i].Merge(running)
	}
	return out, nil
}

// eachLevel calls f with the strata of each of the area's cells from a month on, named by unit and stratum.
func (s *series) eachLevel(set string, from domain.Month, f func(domain.Month, stat.Strata) error) error {
	start := "q/" + set + "/"
	if from != 0 {
		start += from.String()
	}
	for pair, err := range s.r.Scan(s.ctx, start, "q/"+set+"/"+(s.q.To+1).String(), false) {
		if err != nil {
			return err
		}
		place, err := parseCellKey(pair.Key)
		if err != nil {
			return err
		}
		if _, mine, _ := s.sibling(place); !mine {
			continue
		}
		strata, err := stat.DecodeStrata(pair.Value)
		if err != nil {
			return fmt.Errorf("levels %s: %w", pair.Key, err)
		}
		named := stat.Strata{}
		for k, m := range strata {
			named[escaped(place.unit)+"/"+k] = m
		}
		if err := f(place.month, named); err != nil {
			return err
		}
	}
	return nil
}

// changes fills the changes on the month and on the year before, and the month's without the season once the series
// holds three changes of every month of the year.
func changes(points []Point) {
	byMonth := map[domain.Month]*Point{}
	for i := range points {
		if points[i].LogIndex != nil {
			byMonth[points[i].Month] = &points[i]
		}
	}
	var sum [12]float64
	var n [12]int
	for i := range points {
		p := &points[i]
		if p.LogIndex == nil {
			continue
		}
		if year := byMonth[p.Month-12]; year != nil {
			v := float64(10000 * (*p.LogIndex - *year.LogIndex))
			p.YearBP = &v
		}
		if last := byMonth[p.Month-1]; last != nil {
			v := float64(10000 * (*p.LogIndex - *last.LogIndex))
			p.MonthBP = &v
			sum[int(p.Month)%12] += v
			n[int(p.Month)%12]++
		}
	}
	mean := 0.0
	for m := range sum {
		if n[m] < yearsForSeason {
			return
		}
		sum[m] /= float64(n[m])
		mean += sum[m] / 12
	}
	for i := range points {
		if p := &points[i]; p.MonthBP != nil {
			v := *p.MonthBP - (sum[int(p.Month)%12] - mean)
			p.MonthAdjustedBP = &v
		}
	}
}

const yearsForSeason = 3 // Full years before a season is told from chance.

// Level is the rent level of one month: quartiles of the values themselves.
type Level struct {
	Month       domain.Month `json:"month"`
	N           int64        `json:"n"`
	P25Fen      *float64     `json:"p25_fen"` // Per ㎡ and month where the model is per area, else per its period.
	MedianFen   *float64     `json:"median_fen"`
	P75Fen      *float64     `json:"p75_fen"`
	Provisional bool         `json:"provisional,omitempty"`
	Withheld    string       `json:"withheld,omitempty"`
}

// Levels are the rent levels of an area, month by month.
type Levels struct {
	*Result
	Points  *struct{} `json:"series,omitempty"` // Hides the result's: these are levels, not an index.
	PerArea bool      `json:"per_area"`
	Levels  []Level   `json:"levels"`
}

func (s *series) rentLevels() (*Levels, error) {
	months, err := s.months()
	if err != nil {
		return nil, err
	}
	for len(months) > 0 && months[0].withheld == WithheldNone {
		months = months[1:]
	}
	out := &Levels{Result: s.blank(), PerArea: s.m.PerArea, Levels: []Level{}}
	if len(months) == 0 {
		return out, nil
	}
	strata, err := s.levels(months)
	if err != nil {
		return nil, err
	}
	var inputs []stat.Keyed
	for i, d := range months {
		l := Level{Month: d.month, Withheld: d.withheld, Provisional: int(s.last-d.month) < s.m.ProvisionalMonths}
		inputs = append(inputs, stat.Keyed{Key: d.month.String(), Cell: strata[i]})
		all := &stat.Multiset{}
		for _, m := range strata[i] {
			all.Merge(m)
		}
		if l.Withheld == "" {
			l.N = all.N()
			l.P25Fen, l.MedianFen, l.P75Fen = quantile(all, 1), quantile(all, 2), quantile(all, 3)
		}
		out.N += l.N
		out.Levels = append(out.Levels, l)
	}
	out.hash(inputs)
	return out, nil
}

func quantile(m *stat.Multiset, quarters int64) *float64 {
	v, ok := m.Quantile(quarters, 4)
	if !ok {
		return nil
	}
	return &v
}
