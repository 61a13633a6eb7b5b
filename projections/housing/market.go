package housing

import (
	"context"
	"slices"
	"strconv"

	"zujian/domain"
	"zujian/domain/contract"
	"zujian/projections"
)

// OnMarket counts the listings on the market at the end of each month from a month to a month, both included: published
// once and not ended.
func OnMarket(ctx context.Context, r projections.Reader, area string, from, to domain.Month) ([]int64, error) {
	if to < from {
		return nil, nil
	}
	out := make([]int64, to-from+1)
	for pair, err := range r.Scan(ctx, projections.Prefix(keyMarket, area), projections.Key(keyMarket, area, (to+1).String()), false) {
		if err != nil {
			return nil, err
		}
		m, err := domain.ParseMonth(projections.Tail(pair.Key))
		if err != nil {
			return nil, err
		}
		c, err := projections.Get[projections.Counters](ctx, r, pair.Key)
		if err != nil {
			return nil, err
		}
		for at := max(m, from); at <= to; at++ {
			out[at-from] += c["n"]
		}
	}
	return out, nil
}

// DaysOnMarket is the lower median of the days from publication to letting, of the listings let in a month; n is how many.
func DaysOnMarket(ctx context.Context, r projections.Reader, area string, m domain.Month) (median, n int64, err error) {
	type bar struct{ days, n int64 }
	var bars []bar
	for pair, err := range r.Scan(ctx, projections.Prefix(keyMarketFor, area, m.String()), projections.PrefixEnd(keyMarketFor, area, m.String()), false) {
		if err != nil {
			return 0, 0, err
		}
		days, err := strconv.ParseInt(projections.Tail(pair.Key), 10, 64)
		if err != nil {
			return 0, 0, err
		}
		c, err := projections.Get[projections.Counters](ctx, r, pair.Key)
		if err != nil {
			return 0, 0, err
		}
		bars = append(bars, bar{days, c["n"]})
		n += c["n"]
	}
	seen := int64(0)
	for _, b := range bars { // In order of days.
		if seen += b.n; seen*2 >= n {
			return b.days, n, nil
		}
	}
	return 0, 0, nil
}

// Lease is one filed letting of an operator in force on a day.
type Lease struct {
	Contract Contract
	HeadFen  domain.Fen // Rent of the head lease above it, a month; 0 = none in force.
}

// Portfolio is what a company lets and rents on a day.
type Portfolio struct {
	Lettings []Lease          // In order of contract.
	Homes    map[string]int64 // Area (city, reporting unit, street) → homes it holds or lets.
	Owners   []string         // Distinct lessors of its head leases.
	Filed    map[string]bool  // Lettings of its that are or were filed, whenever they run.

	CollectMonths int64 // Σ of its lettings' cycles of payment, in months.
	PayMonths     int64 // Σ of its head leases'.
	Heads         int64 // Head leases in force.
}

// PortfolioOf reads the filed contracts of a company in force on a day that a scope sees, one by one.
func PortfolioOf(ctx context.Context, r projections.Reader, s projections.Scope, company string, on domain.Day) (Portfolio, error) {
	p := Portfolio{Homes: map[string]int64{}, Filed: map[string]bool{}}
	heads, homes, owners := map[string]domain.Fen{}, map[string]bool{}, map[string]bool{}
	for pair, err := range r.Scan(ctx, projections.Prefix(keyConParty, company), projections.PrefixEnd(keyConParty, company), false) {
		if err != nil {
			return p, err
		}
		c, ok, err := ContractOf(ctx, r, s, projections.Tail(pair.Key))
		if err != nil {
			return p, err
		}
		head, out := c.Kind == contract.KindHead && slices.Contains(c.Lessees, company), c.Kind == contract.KindOut && slices.Contains(c.Lessors, company)
		if ok && out && c.filed() {
			p.Filed[c.ID] = true
		}
		if !ok || !c.RunsOn(on) || !head && !out {
			continue
		}
		if !homes[c.Unit] {
			homes[c.Unit] = true
			for _, a := range (locality{reportUnit: c.ReportUnit, street: c.Street}).areas() {
				p.Homes[a]++
			}
		}
		if !head {
			p.CollectMonths += int64(c.PayCycleMonths)
			p.Lettings = append(p.Lettings, Lease{Contract: c})
			continue
		}
		p.Heads++
		p.PayMonths += int64(c.PayCycleMonths)
		heads[c.ID] = c.MonthlyRentFen
		for _, o := range c.Lessors {
			if !owners[o] {
				owners[o] = true
				p.Owners = append(p.Owners, o)
			}
		}
	}
	for n, l := range p.Lettings {
		p.Lettings[n].HeadFen = heads[l.Contract.Parent]
	}
	return p, nil
}

// LetBy lists a company's lettings: filed, in force on a day, with the company as lessor, seen by a scope.
func LetBy(ctx context.Context, r projections.Reader, s projections.Scope, company string, on domain.Day, p projections.Page) ([]Contract, string, error) {
	return projections.List(ctx, r, []string{keyConParty, company}, false, p, func(pair projections.Pair) (Contract, bool, error) {
		c, ok, err := ContractOf(ctx, r, s, projections.Tail(pair.Key))
		return c, ok && c.Kind == contract.KindOut && c.RunsOn(on) && slices.Contains(c.Lessors, company), err
	})
}
