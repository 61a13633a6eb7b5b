package plan

import (
	"context"
	"errors"
	"maps"
	"math"
	"slices"
	"strconv"
	"time"

	"gonum.org/v1/gonum/stat/distuv"

	"zujian/domain"
	plans "zujian/domain/plan"
	"zujian/projections"
)

// ErrUnknown means there is no such plan, or the year is outside it.
var ErrUnknown = errors.New("plan: unknown plan or year")

// Query asks how a plan stands.
type Query struct {
	Plan string
	Area string     // Reporting unit, or city.
	Year int        // 0 is the whole period.
	On   domain.Day // What was known to hold by this day.
}

// Status of an indicator.
const (
	Met     = "MET"      // The target is reached.
	OnTrack = "ON_TRACK" // The forecast reaches it.
	AtRisk  = "AT_RISK"  // Only the upper end of the interval does.
	Behind  = "BEHIND"   // Not even that.
	Missed  = "MISSED"   // The period is over.
	NoData  = "NO_DATA"  // Nothing was reported, or there is no target.
)

// Row is one indicator's progress. Values are in its measure.
type Row struct {
	Indicator plans.Indicator `json:"indicator"`
	Area      string          `json:"area"`
	Target    *int64          `json:"target,omitempty"` // Absent: none for this area and year.
	Filed     bool            `json:"filed"`            // The target was set after the plan was loaded.
	Actual    *int64          `json:"actual,omitempty"`
	ActualOn  domain.Day      `json:"actual_on,omitzero"`
	ShareBP   int64           `json:"share_bp,omitempty"` // Of the target.
	ElapsedBP int64           `json:"elapsed_bp"`         // Of the period, by On.
	Forecast  *Forecast       `json:"forecast,omitempty"` // To the end of the period.
	Status    string          `json:"status"`             //
	Points    []Point         `json:"points,omitempty"`   // What it was computed from: counts since the period's start.
	Of        []string        `json:"of,omitempty"`       // Areas whose reports were added up.
	Uneven    bool            `json:"uneven,omitempty"`   // Some of them reported later than others.
}

// Forecast is where the count leads.
type Forecast struct {
	Value int64 `json:"value"`
	Low   int64 `json:"low"` // 95 % interval.
	High  int64 `json:"high"`
}

// Plans are the plans on record.
func Plans(ctx context.Context, r projections.Reader) (out []Record, err error) {
	for p, err := range r.Scan(ctx, projections.Prefix(keyPlan), projections.PrefixEnd(keyPlan), false) {
		if err != nil {
			return nil, err
		}
		rec, err := projections.Get[Record](ctx, r, p.Key)
		if err != nil {
			return nil, err
		}
		out = append(out, rec)
	}
	return out, nil
}

// Progress is how each indicator of a plan stands, in the plan's order.
func Progress(ctx context.Context, r projections.Reader, q Query) (rec Record, rows []Row, err error) {
	if rec, err = projections.Get[Record](ctx, r, projections.Key(keyPlan, q.Plan)); err != nil {
		return rec, nil, err
	}
	p := rec.Plan
	if p.ID == "" || (q.Year != 0 && (q.Year < p.From || q.Year > p.To)) {
		return rec, nil, ErrUnknown
	}
	span := span{from: domain.Date(p.From, time.January, 1), to: domain.Date(p.To, time.December, 31)}
	if q.Year != 0 {
		span.from, span.to = domain.Date(q.Year, time.January, 1), domain.Date(q.Year, time.December, 31)
	}
	span.on = min(q.On, span.to)
	for _, i := range p.Indicators {
		row := Row{Indicator: i, Area: q.Area, ElapsedBP: span.elapsed()}
		if row.Target, row.Filed, err = target(ctx, r, p.ID, i, q); err != nil {
			return rec, nil, err
		}
		if err := row.count(ctx, r, p.ID, span); err != nil {
			return rec, nil, err
		}
		row.judge(span, q.On)
		rows = append(rows, row)
	}
	return rec, rows, nil
}

// span is the period asked for, both days included, and the day it is seen from.
type span struct{ from, to, on domain.Day }

func (s span) elapsed() int64 {
	return max(0, int64(s.on-s.from)+1) * 10_000 / (int64(s.to-s.from) + 1)
}

// target is what was filed, else what the plan says.
func target(ctx context.Context, r projections.Reader, plan string, i plans.Indicator, q Query) (*int64, bool, error) {
	raw, ok, err := r.Get(ctx, projections.Key(keyTarget, plan, i.Code, q.Area, strconv.Itoa(q.Year)))
	if err != nil {
		return nil, false, err
	}
	if ok {
		v, err := strconv.ParseInt(string(raw), 10, 64)
		return &v, true, err
	}
	switch {
	case q.Area == plans.AreaCity && q.Year == 0:
		return &i.Target, false, nil
	case q.Area == plans.AreaCity:
		if v, ok := i.Yearly[strconv.Itoa(q.Year)]; ok {
			return &v, false, nil
		}
	case q.Year == 0:
		if v, ok := i.Areas[q.Area]; ok {
			return &v, false, nil
		}
	}
	return nil, false, nil
}

// count finds the points of the span: what was derived or reported, since its start.
func (row *Row) count(ctx context.Context, r projections.Reader, plan string, s span) (err error) {
	if row.Indicator.Derived != "" {
		row.Points, err = derived(ctx, r, row.Indicator.Derived, row.Area, s)
		return err
	}
	all, err := reports(ctx, r, plan, row.Indicator.Code, s)
	if err != nil {
		return err
	}
	total := row.Indicator.Kind == plans.KindTotal
	for area := range all {
		if total {
			all[area] = cumulated(all[area])
		}
	}
	if own := all[row.Area]; len(own) > 0 || row.Area != plans.AreaCity || !total {
		row.Points = own
		return nil
	}
	row.Of = slices.Sorted(maps.Keys(all))
	row.Points, row.Uneven = added(all)
	return nil
}

// derived counts up to the end of each month of the span.
func derived(ctx context.Context, r projections.Reader, name, area string, s span) (out []Point, err error) {
	sum := int64(0)
	for m := s.from.Month(); m <= s.on.Month() && s.on >= s.from; m++ {
		c, err := projections.Get[projections.Counters](ctx, r, projections.Key(keyDerived, name, area, m.String()))
		if err != nil {
			return nil, err
		}
		sum += c["n"]
		out = append(out, Point{On: min((m + 1).First().AddDays(-1), s.on), Value: sum})
	}
	return out, nil
}

// reports are the reports of an indicator within the span, by area and day.
func reports(ctx context.Context, r projections.Reader, plan, code string, s span) (map[string][]Point, error) {
	out := map[string][]Point{}
	for pair, err := range r.Scan(ctx, projections.Prefix(keyReport, plan, code), projections.PrefixEnd(keyReport, plan, code), false) {
		if err != nil {
			return nil, err
		}
		p, err := projections.Get[Point](ctx, r, pair.Key)
		if err != nil {
			return nil, err
		}
		area := projections.Parts(pair.Key)[3]
		if p.On >= s.from && p.On <= s.on {
			out[area] = append(out[area], p)
		}
	}
	return out, nil
}

// cumulated turns counts since each year's start into counts since the first year's.
func cumulated(points []Point) []Point {
	out := slices.Clone(points)
	before, year := int64(0), 0
	for n, p := range points {
		y, _, _ := p.On.Date()
		if n > 0 && y != year {
			before += points[n-1].Value
		}
		year = y
		out[n].Value += before
	}
	return out
}

// added is the sum of the areas' latest counts on each day that any of them reported.
func added(all map[string][]Point) (out []Point, uneven bool) {
	days := map[domain.Day]bool{}
	last := domain.Day(0)
	for _, points := range all {
		for _, p := range points {
			days[p.On] = true
		}
		last = max(last, points[len(points)-1].On)
	}
	for _, day := range slices.Sorted(maps.Keys(days)) {
		sum := int64(0)
		for _, points := range all {
			for _, p := range slices.Backward(points) {
				if p.On <= day {
					sum += p.Value
					break
				}
			}
		}
		out = append(out, Point{On: day, Value: sum})
	}
	for _, points := range all {
		uneven = uneven || points[len(points)-1].On != last
	}
	return out, uneven
}

// judge fills in the rest from target and points.
func (row *Row) judge(s span, today domain.Day) {
	row.Status = NoData
	if len(row.Points) == 0 {
		return
	}
	last := row.Points[len(row.Points)-1]
	row.Actual, row.ActualOn = &last.Value, last.On
	row.Forecast = forecast(row.Points, row.Indicator, s)
	if row.Target == nil {
		return
	}
	t := *row.Target
	if t > 0 {
		row.ShareBP = int64(math.Round(float64(last.Value) / float64(t) * 10_000))
	}
	f := row.Forecast
	switch {
	case last.Value >= t && row.Indicator.Kind == plans.KindTotal, today > s.to && last.Value >= t:
		row.Status = Met
	case today > s.to:
		row.Status = Missed
	case f == nil:
		row.Status = NoData
	case f.Value >= t:
		row.Status = OnTrack
	case f.High >= t:
		row.Status = AtRisk
	default:
		row.Status = Behind
	}
}

const (
	incrementsMin = 3      // Fewer say nothing of their unevenness.
	coverage      = 0.975  // Of one side: a 95 % interval.
	measureShare  = "bp"   // A share stays within 0 and 10,000.
	shareMax      = 10_000 //
)

// forecast goes on at the mean rate of the points to the end of the span. The variance of the increments is taken a day,
// so that points may stand at irregular days; the interval is Student's, and counts never fall below what they reached.
func forecast(points []Point, i plans.Indicator, s span) *Forecast {
	days, values := []float64{}, []float64{}
	if i.Kind == plans.KindTotal {
		days, values = append(days, float64(s.from)-1), append(values, 0)
	}
	for _, p := range points {
		days, values = append(days, float64(p.On)), append(values, float64(p.Value))
	}
	n := len(days) - 1
	if n < incrementsMin || days[n] <= days[0] {
		return nil
	}
	length := days[n] - days[0]
	rate := (values[n] - values[0]) / length
	variance := 0.0
	for k := 1; k <= n; k++ {
		dt := days[k] - days[k-1]
		off := values[k] - values[k-1] - rate*dt
		variance += off * off / dt
	}
	variance /= float64(n - 1)
	ahead := max(0, float64(s.to)-days[n])
	half := distuv.StudentsT{Mu: 0, Sigma: 1, Nu: float64(n - 1)}.Quantile(coverage) * math.Sqrt(variance*(ahead+ahead*ahead/length))
	at := values[n] + rate*ahead
	low, high := at-half, at+half
	if i.Kind == plans.KindTotal {
		low, at, high = max(low, values[n]), max(at, values[n]), max(high, values[n])
	}
	top := math.MaxInt64 / 2.0
	if i.Measure == measureShare {
		top = shareMax
	}
	whole := func(v float64) int64 { return int64(math.Round(min(max(v, 0), top))) }
	return &Forecast{Value: whole(at), Low: whole(low), High: whole(high)}
}
