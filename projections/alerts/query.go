package alerts

import (
	"cmp"
	"context"
	"math"
	"slices"

	"zujian/domain"
	"zujian/domain/alert"
	"zujian/projections"
)

// Sees says whether a scope sees warnings about a subject: those of the city are the city's alone. Whoever is warned
// about, does not see it.
func Sees(s projections.Scope, x alert.Subject) bool {
	return s.All || s.District != "" && s.District == x.District
}

// Filter narrows List. Empty fields keep everything.
type Filter struct {
	Indicator, Dimension string
	Kind, Subject        string
	Level                alert.Level // This one or beyond.
	Open                 *bool       // Whether it is raised now.
	Unjudged             bool        // An episode without a verdict.
}

func (f Filter) keeps(r Row) bool {
	return (f.Indicator == "" || r.Indicator == f.Indicator) && (f.Dimension == "" || r.Dimension == f.Dimension) &&
		(f.Kind == "" || r.Subject.Kind == f.Kind) && (f.Subject == "" || r.Subject.ID == f.Subject) && r.Level >= f.Level &&
		(f.Open == nil || *f.Open == (r.Level > alert.None)) &&
		(!f.Unjudged || slices.ContainsFunc(r.Episodes, func(e Episode) bool { return e.Verdict == "" }))
}

// List lists alerts in order of their ids: by indicator.
func List(ctx context.Context, r projections.Reader, s projections.Scope, f Filter, p projections.Page) ([]Row, string, error) {
	prefix := []string{keyAlert}
	if !s.All {
		prefix = []string{keyDistrict, s.District}
	}
	return projections.List(ctx, r, prefix, false, p, func(pair projections.Pair) (Row, bool, error) {
		row, ok, err := Of(ctx, r, s, projections.Tail(pair.Key))
		return row, ok && f.keeps(row), err
	})
}

// Of reads one alert; ok is false when there is none or the scope does not see it.
func Of(ctx context.Context, r projections.Reader, s projections.Scope, id string) (Row, bool, error) {
	row, err := projections.Get[Row](ctx, r, projections.Key(keyAlert, id))
	if err != nil || row.ID == "" || !Sees(s, row.Subject) {
		return Row{}, false, err
	}
	if row.Episodes == nil {
		row.Episodes = []Episode{}
	}
	if row.Missed == nil {
		row.Missed = []Miss{}
	}
	return row, true, nil
}

// Changes lists every change of an alert's level with its evidence, oldest first.
func Changes(ctx context.Context, r projections.Reader, s projections.Scope, id string, p projections.Page) ([]Change, string, error) {
	if _, ok, err := Of(ctx, r, s, id); err != nil || !ok {
		return nil, "", err
	}
	return projections.List(ctx, r, []string{keyChange, id}, false, p, func(pair projections.Pair) (Change, bool, error) {
		c, err := projections.Get[Change](ctx, r, pair.Key)
		return c, true, err
	})
}

// scoresMax is twenty years of changes a day.
const scoresMax = 7500

// Scores are an area's health scores in force on the days from a day to a day, oldest first: that of the first day, and
// each change after it.
func Scores(ctx context.Context, r projections.Reader, s projections.Scope, x alert.Subject, from, to domain.Day) ([]alert.HealthScored, error) {
	if !Sees(s, x) {
		return nil, nil
	}
	prefix := []string{keyScore, x.Kind, x.ID}
	first := from.String()
	for pair, err := range r.Scan(ctx, projections.Prefix(prefix...), projections.Key(append(prefix, from.AddDays(1).String())...), true) {
		if err != nil {
			return nil, err
		}
		first = projections.Tail(pair.Key)
		break
	}
	out := []alert.HealthScored{}
	for pair, err := range r.Scan(ctx, projections.Key(append(prefix, first)...), projections.Key(append(prefix, to.AddDays(1).String())...), false) {
		if err != nil {
			return nil, err
		}
		h, err := projections.Get[alert.HealthScored](ctx, r, pair.Key)
		if err != nil {
			return nil, err
		}
		if out = append(out, h); len(out) == scoresMax {
			break
		}
	}
	return out, nil
}

// LastRound is the last day that was evaluated; ok is false before the first.
func LastRound(ctx context.Context, r projections.Reader) (d alert.RoundDone, ok bool, err error) {
	for pair, err := range r.Scan(ctx, projections.Prefix(keyRound), projections.PrefixEnd(keyRound), true) {
		if err != nil {
			return d, false, err
		}
		d, err = projections.Get[alert.RoundDone](ctx, r, pair.Key)
		return d, err == nil, err
	}
	return d, false, nil
}

// Quality is how right an indicator was, by the verdicts of regulators.
type Quality struct {
	Indicator string `json:"indicator"`
	Raised    int64  `json:"raised"` // Episodes.
	True      int64  `json:"true"`
	False     int64  `json:"false"`
	Unclear   int64  `json:"unclear"`
	Unjudged  int64  `json:"unjudged"`
	Missed    int64  `json:"missed"`    // Cases reported without an alert.
	Precision *Share `json:"precision"` // TRUE of TRUE and FALSE; null before the first.
	Recall    *Share `json:"recall"`    // TRUE of TRUE and missed; null before the first.
}

// Share is a share of counted cases, with its 95 % interval (Wilson), in basis points.
type Share struct {
	Of     int64 `json:"of"`
	BP     int64 `json:"bp"`
	LowBP  int64 `json:"low_bp"`
	HighBP int64 `json:"high_bp"`
}

// Qualities counts over the alerts a scope sees, in order of indicator.
func Qualities(ctx context.Context, r projections.Reader, s projections.Scope) ([]Quality, error) {
	by := map[string]*Quality{}
	out := []Quality{}
	for page := (projections.Page{Limit: projections.LimitMax}); ; {
		rows, next, err := List(ctx, r, s, Filter{}, page)
		if err != nil {
			return nil, err
		}
		for _, row := range rows {
			q := by[row.Indicator]
			if q == nil {
				q = &Quality{Indicator: row.Indicator}
				by[row.Indicator] = q
			}
			q.count(row)
		}
		if page.Cursor = next; next == "" {
			break
		}
	}
	for _, q := range by {
		q.Precision, q.Recall = share(q.True, q.True+q.False), share(q.True, q.True+q.Missed)
		out = append(out, *q)
	}
	slices.SortFunc(out, func(a, b Quality) int { return cmp.Compare(a.Indicator, b.Indicator) })
	return out, nil
}

func (q *Quality) count(row Row) {
	q.Missed += int64(len(row.Missed))
	for _, e := range row.Episodes {
		q.Raised++
		switch e.Verdict {
		case alert.True:
			q.True++
		case alert.False:
			q.False++
		case alert.Unclear:
			q.Unclear++
		default:
			q.Unjudged++
		}
	}
}

// share is part of whole with Wilson's interval; nil of nothing.
func share(part, whole int64) *Share {
	if whole == 0 {
		return nil
	}
	const z = 1.959963984540054
	n, p := float64(whole), float64(part)/float64(whole)
	middle, half := p+z*z/(2*n), z*math.Sqrt(p*(1-p)/n+z*z/(4*n*n))
	bp := func(v float64) int64 { return int64(math.Round(10_000 * max(0, min(1, v)))) }
	return &Share{Of: whole, BP: bp(p), LowBP: bp((middle - half) / (1 + z*z/n)), HighBP: bp((middle + half) / (1 + z*z/n))}
}
