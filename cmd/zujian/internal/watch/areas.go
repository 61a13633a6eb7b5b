package watch

import (
	"context"
	"fmt"

	"zujian/domain"
	"zujian/domain/alert"
	"zujian/domain/guidance"
	plans "zujian/domain/plan"
	"zujian/projections"
	prices "zujian/projections/guidance"
	"zujian/projections/housing"
	"zujian/projections/plan"
	"zujian/projections/process/warnings"
)

const yearMonths = 12

// market reads leases, filings and listings of each area.
func (x *reader) market(ctx context.Context) error {
	return x.read(ctx, housing.Projection{}, func(r projections.Reader, made projections.Made) error {
		for _, s := range x.areas() {
			if err := x.leases(ctx, r, s, made); err != nil {
				return err
			}
			if err := x.listings(ctx, r, s, made); err != nil {
				return err
			}
			if err := x.flows(ctx, r, s, made); err != nil {
				return err
			}
		}
		return nil
	})
}

func (x *reader) leases(ctx context.Context, r projections.Reader, s alert.Subject, made projections.Made) error {
	now, err := housing.ActiveOn(ctx, r, s.ID, x.day)
	if err != nil {
		return err
	}
	before, err := housing.ActiveOn(ctx, r, s.ID, x.day.AddMonths(-yearMonths))
	if err != nil {
		return err
	}
	x.add(warnings.Reading{
		Indicator: "ACTIVE_LEASES_YOY", Subject: s, Figure: alert.Figure{Num: now.Out - before.Out, Den: before.Out, N: before.Out},
		From: x.day.AddMonths(-yearMonths), To: x.day, Made: made, Inputs: map[string]int64{"leases": now.Out, "leases_before": before.Out},
		Rows: "/v1/views/housing/contracts?area=" + s.ID + "&on=" + x.day.String(),
	})
	return nil
}

// listings reads what was on the market at the ends of thirteen months, and how long what was let had been there.
func (x *reader) listings(ctx context.Context, r projections.Reader, s alert.Subject, made projections.Made) error {
	ends, err := housing.OnMarket(ctx, r, s.ID, x.m-yearMonths, x.m)
	if err != nil {
		return err
	}
	sum, now := int64(0), ends[yearMonths]
	for _, n := range ends[:yearMonths] {
		sum += n
	}
	board := "/v1/views/housing/listing-board?area=" + s.ID
	x.add(warnings.Reading{
		Indicator: "LISTING_STOCK", Subject: s, Figure: alert.Figure{Num: now * yearMonths, Den: sum, N: sum / yearMonths},
		From: (x.m - yearMonths).First(), To: x.lastDay(), Made: made, Inputs: map[string]int64{"listings": now, "listings_sum_12": sum},
		Rows: board + x.months(x.m-yearMonths),
	})
	filing, err := housing.FilingRate(ctx, r, s.ID, x.m, x.m)
	if err != nil {
		return err
	}
	lettings := int64(0)
	for _, m := range filing.Months {
		lettings += m.Counters["filed_new"]
	}
	x.add(warnings.Reading{
		Indicator: "MONTHS_OF_SUPPLY", Subject: s, Figure: alert.Figure{Num: now, Den: lettings, N: lettings},
		From: x.m.First(), To: x.lastDay(), Made: made, Inputs: map[string]int64{"listings": now, "lettings": lettings}, Rows: board + x.months(x.m),
	})
	median, n, err := housing.DaysOnMarket(ctx, r, s.ID, x.m)
	if err != nil {
		return err
	}
	medians, months := int64(0), int64(0)
	for m := x.m - yearMonths; m < x.m; m++ {
		d, n, err := housing.DaysOnMarket(ctx, r, s.ID, m)
		if err != nil {
			return err
		}
		if n > 0 {
			medians, months = medians+d, months+1
		}
	}
	x.add(warnings.Reading{
		Indicator: "TIME_ON_MARKET", Subject: s, Figure: alert.Figure{Num: median * months, Den: medians, N: n},
		From: (x.m - yearMonths).First(), To: x.lastDay(), Made: made,
		Inputs: map[string]int64{"median_days": median, "medians_sum": medians, "months": months}, Rows: board + x.months(x.m-yearMonths),
	})
	return nil
}

// flows reads the shares of what was filed, renewed and revised.
func (x *reader) flows(ctx context.Context, r projections.Reader, s alert.Subject, made projections.Made) error {
	f, err := housing.FilingRate(ctx, r, s.ID, x.m-yearMonths, x.m)
	if err != nil {
		return err
	}
	month, year, quarter := projections.Counters{}, projections.Counters{}, projections.Counters{}
	for _, m := range f.Months {
		for name, n := range m.Counters {
			if m.Month == x.m {
				month[name] += n
			} else {
				year[name] += n
			}
			if m.Month > x.m-3 {
				quarter[name] += n
			}
		}
	}
	rows := "/v1/views/housing/filings?area=" + s.ID
	share := func(indicator, part, whole string) {
		a, b, c, d := month[part], month[whole], year[part], year[whole]
		x.add(warnings.Reading{ // a/b − c/d
			Indicator: indicator, Subject: s, Figure: alert.Figure{Num: a*d - c*b, Den: b * d, N: min(b, d)},
			From: (x.m - yearMonths).First(), To: x.lastDay(), Made: made,
			Inputs: map[string]int64{part: a, whole: b, part + "_before": c, whole + "_before": d}, Rows: rows + x.months(x.m-yearMonths),
		})
	}
	share("SMALL_HOME_SHARE", "filed_small", "filed_sized")
	share("BY_ROOM_SHARE", "filed_by_room", "filed")
	renewed, expired := quarter["filed_renewal"], quarter["ended_EXPIRED"]
	x.add(warnings.Reading{
		Indicator: "RENEWAL_INTENT", Subject: s, Figure: alert.Figure{Num: renewed, Den: expired, N: expired}, From: (x.m - 2).First(), To: x.lastDay(),
		Made: made, Inputs: map[string]int64{"renewed": renewed, "expired": expired}, Rows: rows + x.months(x.m-2),
	})
	up, down := quarter["listings_rent_up"], quarter["listings_rent_down"]
	x.add(warnings.Reading{
		Indicator: "ASKING_REVISIONS", Subject: s, Figure: alert.Figure{Num: up, Den: up + down, N: up + down}, From: (x.m - 2).First(), To: x.lastDay(),
		Made: made, Inputs: map[string]int64{"up": up, "down": down}, Rows: "/v1/views/housing/listing-board?area=" + s.ID + x.months(x.m-2),
	})
	return nil
}

// lastDay is the last day of the month looked at.
func (x *reader) lastDay() domain.Day { return (x.m + 1).First().AddDays(-1) }

// months is a query from a month to the one looked at.
func (x *reader) months(from domain.Month) string { return fmt.Sprintf("&from=%s&to=%s", from, x.m) }

// guidance counts the rents of the month above the upper bound of their cell, in the guidance prices in force.
func (x *reader) guidance(ctx context.Context) error {
	period, version, ok, err := x.f.Desk.GuidanceInForce(ctx, x.lastDay())
	if err != nil || !ok {
		return err
	}
	type count struct{ above, n int64 }
	counts, book := map[string]*count{}, version.Book()
	for _, s := range x.areas() {
		counts[s.ID] = &count{}
	}
	return x.read(ctx, prices.Projection{}, func(r projections.Reader, made projections.Made) error {
		for rent, err := range prices.Rents(ctx, r, x.m) {
			if err != nil {
				return err
			}
			cell, ok := book.Price(rent.Street, rent.ReportUnit, guidance.CellID{LetMode: rent.LetMode, SizeBand: rent.SizeBand, Fitout: rent.Fitout})
			if !ok {
				continue
			}
			for _, area := range []string{alert.City, rent.ReportUnit} {
				c := counts[area]
				if c == nil {
					continue // No unit of this city.
				}
				c.n++
				if rent.Fen > int64(cell.P90) {
					c.above++
				}
			}
		}
		for _, s := range x.areas() {
			c := counts[s.ID]
			x.add(warnings.Reading{
				Indicator: "GUIDANCE_DEVIATION", Subject: s, Figure: alert.Figure{Num: c.above, Den: c.n, N: c.n}, From: x.m.First(), To: x.lastDay(),
				Made: made, Inputs: map[string]int64{"above": c.above, "lettings": c.n}, Rows: "/v1/guidance-prices/" + period,
			})
		}
		return nil
	})
}

// planARH is the plan indicator of guaranteed rental housing (保障性租赁住房).
const planARH = "PI-04"

// plans reads how far the year's target of guaranteed rental housing was reported to be reached.
func (x *reader) plans(ctx context.Context) error {
	year, _, _ := x.day.Date()
	return x.read(ctx, plan.Projection{}, func(r projections.Reader, made projections.Made) error {
		records, err := plan.Plans(ctx, r)
		if err != nil {
			return err
		}
		for _, rec := range records {
			if year < rec.Plan.From || year > rec.Plan.To || !has(rec.Plan, planARH) {
				continue
			}
			for _, s := range x.areas() {
				_, rows, err := plan.Progress(ctx, r, plan.Query{Plan: rec.Plan.ID, Area: s.ID, Year: year, On: x.day})
				if err != nil {
					return err
				}
				for _, row := range rows {
					if row.Indicator.Code == planARH && row.Target != nil && row.Actual != nil {
						x.progress(s, rec.Plan.ID, year, row, made)
					}
				}
			}
			break // One plan is in force.
		}
		return nil
	})
}

func has(p plans.Plan, code string) bool {
	for _, i := range p.Indicators {
		if i.Code == code {
			return true
		}
	}
	return false
}

// progress holds the count against the target's share up to the day it was counted for, not to today: a report is no
// worse for being a month old.
func (x *reader) progress(s alert.Subject, id string, year int, row plan.Row, made projections.Made) {
	first := domain.Date(year, 1, 1)
	elapsed, days := int64(row.ActualOn-first)+1, int64(domain.Date(year+1, 1, 1)-first)
	x.add(warnings.Reading{
		Indicator: "ARH_PROGRESS", Subject: s, Figure: alert.Figure{Num: *row.Actual * days, Den: *row.Target * elapsed, N: 1},
		From: first, To: row.ActualOn, Made: made, Inputs: map[string]int64{"reported": *row.Actual, "target": *row.Target, "days": elapsed},
		Rows: fmt.Sprintf("/v1/plan/%s?area=%s&year=%d", id, s.ID, year),
	})
}
