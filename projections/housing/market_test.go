package housing_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"zujian/domain"
	"zujian/domain/contract"
	"zujian/domain/listing"
	"zujian/domain/unit"
	"zujian/projections"
	"zujian/projections/housing"
	"zujian/projections/projectiontest"
)

// TestTheMarket follows listings from month to month: what stands at each month's end, how long what was let had stood,
// and which asking rents were revised.
func TestTheMarket(t *testing.T) {
	l := &projectiontest.Log{}
	on := func(m time.Month, d int) time.Time { return time.Date(2026, m, d, 2, 0, 0, 0, time.UTC) }
	l.Add("unit-u1", on(1, 1), unit.Registered{Home: home})
	offer := func(fen domain.Fen) listing.Offer {
		return listing.Offer{Unit: "u1", LetMode: listing.LetWhole, Publisher: "own", PublisherRole: listing.PublisherOwner, Owner: "own", RentFen: fen}
	}
	shown := func(id string, at time.Time) {
		l.Add("listing-"+id, at, listing.Drafted{Offer: offer(100)}, listing.Edited{Offer: offer(90)}, // Not shown yet: no revision.
			listing.Submitted{AdminCode: "320115", ReportUnit: "320115", Street: "320115004"}, listing.Verified{Code: id}, listing.Published{On: domain.DayOf(at)})
	}
	shown("a", on(1, 5))
	shown("b", on(1, 6))
	shown("c", on(2, 1))
	l.Add("listing-d", on(2, 1), listing.Drafted{Offer: offer(100)}, listing.Withdrawn{}) // Never on the market.
	l.Add("listing-a", on(2, 14), listing.Let{Contract: "c1"})                            // 40 days.
	l.Add("listing-b", on(2, 7), listing.Edited{Offer: offer(95)}, listing.Edited{Offer: offer(80), Reverify: true})
	l.Add("listing-b", on(3, 1), listing.Withdrawn{})
	l.Add("listing-c", on(3, 3), listing.Let{Contract: "c2"}) // 30 days.
	r := projectiontest.Laws(t, housing.Projection{}, l)
	m := domain.Date(2026, 1, 1).Month()
	for _, area := range []string{housing.AreaCity, "320115", "320115004"} {
		ends, err := housing.OnMarket(t.Context(), r, area, m-1, m+2)
		if err != nil || !slices.Equal(ends, []int64{0, 2, 2, 0}) {
			t.Errorf("%s: %v %v", area, ends, err)
		}
		if tail, err := housing.OnMarket(t.Context(), r, area, m+1, m+1); err != nil || !slices.Equal(tail, []int64{2}) {
			t.Errorf("%s in one month: %v %v", area, tail, err)
		}
	}
	if none, err := housing.OnMarket(t.Context(), r, "320102", m, m); err != nil || !slices.Equal(none, []int64{0}) {
		t.Errorf("another area: %v %v", none, err)
	}
	for month, want := range map[domain.Month][2]int64{m: {0, 0}, m + 1: {40, 1}, m + 2: {30, 1}} {
		if days, n, err := housing.DaysOnMarket(t.Context(), r, "city", month); err != nil || days != want[0] || n != want[1] {
			t.Errorf("%s: %d days of %d, %v", month, days, n, err)
		}
	}
	f, err := housing.FilingRate(t.Context(), r, "city", m+1, m+1)
	if err != nil || len(f.Months) != 1 || f.Months[0].Counters["listings_rent_up"] != 1 || f.Months[0].Counters["listings_rent_down"] != 1 {
		t.Errorf("revisions: %+v %v", f.Months, err)
	}
}

// TestPortfolio: an operator's homes are those it holds or lets on the day; a letting knows its head rent; scopes cut rows.
func TestPortfolio(t *testing.T) {
	l := &projectiontest.Log{}
	file := func(id, unitID, kind, parent, lessor, lessee, district string, start domain.Day, rent domain.Fen, cycle int, rooms ...string) {
		d := contract.Drafted{Terms: contract.Terms{
			Kind: kind, Unit: unitID, Rooms: rooms, LetMode: contract.LetWhole, Parent: parent, Lessors: []contract.PartyShare{{Party: lessor}},
			Lessees: []contract.PartyShare{{Party: lessee}}, Start: start, End: start.AddMonths(12), MonthlyRentFen: rent, PayCycleMonths: cycle,
		}}
		f := filed(d, "BA"+id, start, start)
		f.Summary.Lessors, f.Summary.Lessees, f.Summary.Parent = []string{lessor}, []string{lessee}, parent
		f.Summary.AdminCode, f.Summary.ReportUnit, f.Summary.Street = district, district, district+"004"
		f.Observation.AreaC = 6000
		l.Add("contract-"+id, start.Start(), d, contract.Signed{SignedOn: start}, f)
	}
	day := domain.Date(2026, 6, 1)
	file("h1", "u1", contract.KindHead, "", "ann", "op", "320115", day-100, 300, 1)
	file("h2", "u2", contract.KindHead, "", "ann", "op", "320102", day-100, 300, 3)
	file("o1", "u1", contract.KindOut, "h1", "op", "t1", "320115", day-90, 290, 6)
	file("o2", "u3", contract.KindOut, "", "op", "t2", "320115", day-10, 500, 3) // Its own.
	file("o3", "u4", contract.KindOut, "", "op", "t3", "320115", day-500, 500, 3)
	file("o4", "u5", contract.KindOut, "", "ann", "op", "320115", day-10, 500, 3) // Its own office: as a tenant.
	r := projectiontest.Laws(t, housing.Projection{}, l)
	read := func(s projections.Scope, on domain.Day) housing.Portfolio {
		t.Helper()
		p, err := housing.PortfolioOf(t.Context(), r, s, "op", on)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	p := read(all, day)
	if want := map[string]int64{"city": 3, "320115": 2, "320115004": 2, "320102": 1, "320102004": 1}; cmp.Diff(want, p.Homes) != "" {
		t.Errorf("homes: %v", p.Homes)
	}
	if len(p.Lettings) != 2 || p.Lettings[0].Contract.ID != "o1" || p.Lettings[0].HeadFen != 300 || p.Lettings[1].HeadFen != 0 ||
		p.Heads != 2 || p.PayMonths != 4 || p.CollectMonths != 9 || !slices.Equal(p.Owners, []string{"ann"}) || len(p.Filed) != 3 || !p.Filed["o3"] {
		t.Errorf("%+v", p)
	}
	if p := read(projections.Scope{District: "320102"}, day); len(p.Lettings) != 0 || p.Homes["city"] != 1 {
		t.Errorf("a district's part: %+v", p)
	}
	if p := read(all, day-600); len(p.Lettings) != 0 || len(p.Homes) != 0 {
		t.Errorf("before the first: %+v", p)
	}
	rows, _, err := housing.LetBy(t.Context(), r, all, "op", day, projections.Page{})
	if got := ids(rows); err != nil || !slices.Equal(got, []string{"o1", "o2"}) {
		t.Errorf("let: %v %v", got, err)
	}
	f, err := housing.FilingRate(t.Context(), r, "320115", (day - 100).Month(), day.Month())
	sum := projections.Counters{}
	for _, m := range f.Months {
		for name, n := range m.Counters {
			sum[name] += n
		}
	}
	if err != nil || sum["filed_sized"] != 3 || sum["filed_small"] != 3 || sum["filed_new"] != 3 {
		t.Errorf("%v %v", sum, err)
	}
}
