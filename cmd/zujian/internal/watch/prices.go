package watch

import (
	"context"
	"fmt"
	"math"

	"zujian/domain"
	"zujian/domain/alert"
	"zujian/projections"
	"zujian/projections/process/warnings"
	"zujian/projections/rentindex"
)

// seriesMonths of the index are read: five years.
const seriesMonths = 60

// known is how many contracts a month needs to stand in a series.
const known = 30

// prices reads the rent index and what is asked and signed, of each area.
func (x *reader) prices(ctx context.Context) error {
	p := x.f.Index
	return x.read(ctx, p, func(r projections.Reader, made projections.Made) error {
		for _, s := range x.areas() {
			q := rentindex.Query{Area: s.ID, Population: rentindex.New, Method: rentindex.Hedonic, From: x.m - seriesMonths, To: x.m}
			res, err := p.Series(ctx, r, q)
			if err != nil && !unknown(err) {
				return err
			}
			if err == nil && res.BorrowedFrom == "" {
				x.index(s, res, made)
			}
			rows, err := p.Comparison(ctx, r, rentindex.Query{Area: s.ID, From: x.m, To: x.m})
			if err != nil && !unknown(err) {
				return err
			}
			for _, c := range rows {
				if c.Month == x.m {
					x.comparison(s, c, made)
				}
			}
		}
		return nil
	})
}

// index gives the changes of the last month that is over, and where the series' tests stand.
func (x *reader) index(s alert.Subject, res *rentindex.Result, made projections.Made) {
	rows := fmt.Sprintf("/v1/rent-index?area=%s&from=%s&to=%s", s.ID, x.m-seriesMonths, x.m)
	add := func(indicator string, f alert.Figure, reason string) {
		x.add(warnings.Reading{
			Indicator: indicator, Subject: s, Figure: f, Reason: reason, From: (x.m - seriesMonths).First(), To: x.lastDay(), Made: made, Rows: rows,
		})
	}
	points := map[domain.Month]rentindex.Point{}
	for _, p := range res.Points {
		points[p.Month] = p
	}
	change := func(bp *float64, back domain.Month) (alert.Figure, string) {
		now, before := points[x.m], points[x.m-back]
		if now.Withheld != "" || before.Withheld != "" || bp == nil || math.IsNaN(*bp) || math.IsInf(*bp, 0) {
			return alert.Figure{}, alert.Withheld
		}
		f := alert.Figure{Num: rounded(*bp), Den: 10_000, N: min(now.N, before.N)}
		if now.SE != nil && before.SE != nil { // Both are of the distance to the base month: at least the error of the change.
			f.SE = rounded(math.Hypot(*now.SE, *before.SE) * 10_000)
		}
		return f, ""
	}
	now := points[x.m]
	monthly := func(p rentindex.Point) *float64 {
		if p.MonthAdjustedBP != nil {
			return p.MonthAdjustedBP
		}
		return p.MonthBP
	}
	f, reason := change(monthly(now), 1)
	add("INDEX_MONTHLY", f, reason)
	f, reason = change(now.YearBP, yearMonths)
	add("INDEX_YEARLY", f, reason)

	var series []alert.Month
	for m := x.m - seriesMonths; m <= x.m; m++ {
		p := points[m]
		bp := monthly(p)
		if len(series) == 0 && bp == nil {
			continue // Before the first change.
		}
		v := alert.Month{Known: bp != nil && p.Withheld == "" && p.N >= known && !math.IsNaN(*bp) && !math.IsInf(*bp, 0)}
		if v.Known {
			v.Value = rounded(*bp)
		}
		series = append(series, v)
	}
	f, reason = x.book.Series.Outlier(series)
	add("INDEX_OUTLIER", f, reason)
	f, reason = x.book.Series.Drift(series)
	add("INDEX_DRIFT", f, reason)
}

func (x *reader) comparison(s alert.Subject, c rentindex.Comparison, made projections.Made) {
	rows := fmt.Sprintf("/v1/rent-index/comparison?area=%s&from=%s&to=%s", s.ID, x.m, x.m)
	add := func(indicator string, bp *float64, n int64) {
		r := warnings.Reading{
			Indicator: indicator, Subject: s, Figure: alert.Figure{Den: 10_000, N: n}, From: x.m.First(), To: x.lastDay(), Made: made, Rows: rows,
			Inputs: map[string]int64{"asking": c.Asking.N, "new_tenants": c.NewTenants.N, "sitting_tenants": c.Sitting.N},
		}
		if bp == nil {
			r.Reason = alert.Withheld
		} else {
			r.Figure.Num = rounded(*bp)
		}
		x.add(r)
	}
	add("RENEWAL_RISE", c.RiseBP, c.Sitting.N)
	add("ASKING_SIGNED_GAP", c.GapBP, min(c.Asking.N, c.NewTenants.N+c.Sitting.N))
}

// rounded is a number of basis points as a whole one, at most ±10^12.
func rounded(v float64) int64 { return int64(math.RoundToEven(max(-1e12, min(1e12, v)))) }
