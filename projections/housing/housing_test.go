package housing_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"zujian/domain"
	"zujian/domain/building"
	"zujian/domain/contract"
	"zujian/domain/listing"
	"zujian/domain/unit"
	"zujian/projections"
	"zujian/projections/housing"
	"zujian/projections/projectiontest"
)

var (
	at   = time.Date(2026, 3, 2, 2, 0, 0, 0, time.UTC)
	day  = domain.DayOf(at)
	all  = projections.Scope{All: true}
	home = unit.Home{Building: "b1", Estate: "E", BuildingNo: "3", Street: "320115004", AdminCode: "320115", ReportUnit: "320115", UnitNo: "1201", Floor: 12, GrossAreaC: 8912, Bedrooms: 2, PlannedUse: "RESIDENTIAL"}
)

func terms(id string, rooms ...string) contract.Drafted {
	return contract.Drafted{
		Terms: contract.Terms{
			Kind: contract.KindOut, Unit: "u1", Rooms: rooms, LetMode: contract.LetWhole, Lessors: []contract.PartyShare{{Party: "own"}},
			Lessees: []contract.PartyShare{{Party: "ten-" + id}}, Start: day.AddDays(7), End: day.AddDays(7).AddMonths(12).AddDays(-1), MonthlyRentFen: 350_000, PayCycleMonths: 3,
		},
		Subject: contract.Subject{Unit: contract.UnitFacts{ID: "u1", AdminCode: "320115", ReportUnit: "320115", Street: "320115004"}}, ContentHash: "h",
	}
}

func filed(d contract.Drafted, no string, signed, on domain.Day) contract.Filed {
	t := d.Terms
	return contract.Filed{
		FilingNo: no, ByRole: contract.ByLessee, SignedOn: signed, FiledOn: on, Summary: contract.Summary{
			Kind: t.Kind, Unit: t.Unit, Rooms: t.Rooms, LetMode: t.LetMode, Start: t.Start, End: t.End, MonthlyRentFen: t.MonthlyRentFen, PayCycleMonths: t.PayCycleMonths,
			ReportUnit: "320115", Street: "320115004", AdminCode: "320115", Lessors: []string{"own"}, Lessees: []string{t.Lessees[0].Party},
		},
	}
}

func scenario() *projectiontest.Log {
	l := &projectiontest.Log{}
	l.Add("building-b1", at, building.Registered{Estate: "E", BuildingNo: "3", Street: "320115004", AdminCode: "320115", ReportUnit: "320115", Address: "A", Floors: 18, Units: []building.UnitPlan{
		{ID: "u1", UnitNo: "1201", Floor: 12}, {ID: "u2", UnitNo: "1301", Floor: 13}, {ID: "u3", UnitNo: "0101", Floor: 1},
	}})
	l.Add("unit-u1", at, unit.Registered{Home: home, Rooms: []unit.Room{{ID: "r1", Kind: "BEDROOM", Origin: unit.OriginDesigned}, {ID: "r2", Kind: "BEDROOM", Origin: unit.OriginPartition}}})
	l.Add("unit-u1", at, unit.OwnershipRecorded{Owners: []unit.Owner{{Party: "own", ShareBP: 10_000}}, TitleNo: "t", From: day.AddDays(-100)})
	l.Add("unit-u2", at, unit.Registered{Home: home})
	l.Add("unit-u2", at, unit.SafetyRecorded{Grade: "D", On: day})
	l.Add("building-b1", at, building.UnitsReplaced{Removed: []string{"u3"}, Added: []building.UnitPlan{{ID: "u4", UnitNo: "0102", Floor: 1}}, From: day.AddDays(10)})

	l.Add("listing-l1", at, listing.Drafted{Offer: listing.Offer{Unit: "u1", LetMode: listing.LetWhole, Publisher: "own", PublisherRole: listing.PublisherOwner, Owner: "own", RentFen: 350_000}})
	l.Add("listing-l1", at, listing.Submitted{AdminCode: "320115", ReportUnit: "320115", Street: "320115004"}, listing.Verified{Code: "HY1", ValidUntil: day.AddDays(60)}, listing.Published{On: day})

	c1 := terms("1")
	l.Add("contract-c1", at, c1, contract.SignedByParty{Party: "own", ContentHash: "h", At: at}, contract.SignedByParty{Party: "ten-1", ContentHash: "h", At: at}, contract.Signed{SignedOn: day, ContentHash: "h"})
	l.Add("unit-u1", at, unit.Leased{Contract: "c1", Kind: unit.KindOut, From: c1.Terms.Start, Until: c1.Terms.End})
	l.Add("contract-c1", at.AddDate(0, 0, 4), filed(c1, "BA1", day, day.AddDays(4)))
	l.Add("listing-l1", at.AddDate(0, 0, 4), listing.Let{Contract: "c1"})

	late := terms("2")
	l.Add("contract-c2", at, late, contract.Signed{SignedOn: day, ContentHash: "h"})
	gone := terms("3")
	l.Add("contract-c3", at, gone, contract.Signed{SignedOn: day}, filed(gone, "BA3", day, day.AddDays(1)), contract.FilingCancelled{FilingNo: "BA3", Reason: "x", DecisionNo: "d", CancelledOn: day.AddDays(2)})
	l.Add("contract-c4", at, contract.LegacyRecorded{Source: contract.LegacySource{Name: "a.csv", Row: 2}, Kind: contract.KindOut, Observation: domain.Observation{Month: domain.Date(2020, 5, 1).Month(), ReportUnit: "320115"}, FiledOn: domain.Date(2020, 5, 9), Start: domain.Date(2020, 5, 1), End: domain.Date(2021, 4, 30), MonthlyRentFen: 1})
	l.Add("contract-c1", at.AddDate(0, 2, 0), contract.Terminated{By: contract.Agreed, Ground: "MUTUAL", On: day.AddMonths(2), Kind: contract.KindOut, Unit: "u1"})
	l.Add("unit-u1", at.AddDate(0, 2, 0), unit.LeaseEnded{Contract: "c1", On: day.AddMonths(2)})
	return l
}

func ids(cs []housing.Contract) (out []string) {
	for _, c := range cs {
		out = append(out, c.ID)
	}
	return out
}

func TestView(t *testing.T) {
	r := projectiontest.Laws(t, housing.Projection{}, scenario())
	projectiontest.Golden(t, r)
	ctx, page := t.Context(), projections.Page{}

	f, err := housing.FilingRate(ctx, r, "320115", day.Month(), day.Month())
	if err != nil || f.Signed != 2 || f.Filed != 1 || f.InTime != 1 || f.RateBP != 5000 || f.MedianDays != 4 || f.SelfFiled != 1 {
		t.Errorf("filing %+v, %v", f, err)
	}
	lists := map[string]func() ([]housing.Contract, string, error){
		"of the unit": func() ([]housing.Contract, string, error) {
			return housing.Contracts(ctx, r, all, housing.ContractFilter{Unit: "u1"}, page)
		},
		"of the tenant": func() ([]housing.Contract, string, error) {
			return housing.Contracts(ctx, r, projections.Scope{Party: "ten-1"}, housing.ContractFilter{}, page)
		},
		"in force": func() ([]housing.Contract, string, error) {
			return housing.Contracts(ctx, r, all, housing.ContractFilter{Unit: "u1", On: day.AddDays(20)}, page)
		},
		"unfiled": func() ([]housing.Contract, string, error) {
			return housing.Unfiled(ctx, r, all, "320115", day.AddDays(31), page)
		},
		"not yet overdue": func() ([]housing.Contract, string, error) {
			return housing.Unfiled(ctx, r, all, "320115", day.AddDays(30), page)
		},
		"signed in the month": func() ([]housing.Contract, string, error) {
			return housing.SignedIn(ctx, r, all, housing.AreaCity, day.Month(), page)
		},
		"filed in May 2020": func() ([]housing.Contract, string, error) {
			return housing.FiledIn(ctx, r, all, "320115", domain.Date(2020, 5, 1).Month(), page)
		},
		"another's unit": func() ([]housing.Contract, string, error) {
			return housing.Contracts(ctx, r, projections.Scope{Party: "ten-2"}, housing.ContractFilter{Unit: "u1"}, page)
		},
		"another district": func() ([]housing.Contract, string, error) {
			return housing.Contracts(ctx, r, projections.Scope{District: "320106"}, housing.ContractFilter{Area: "320115"}, page)
		},
	}
	want := map[string][]string{
		"of the unit": {"c1", "c2", "c3"}, "of the tenant": {"c1"}, "in force": {"c1"}, "unfiled": {"c2"}, "not yet overdue": nil, "signed in the month": {"c1", "c2"},
		"filed in May 2020": {"c4"}, "another's unit": {"c2"}, "another district": nil,
	}
	for name, list := range lists {
		got, _, err := list()
		if d := cmp.Diff(ids(got), want[name]); d != "" || err != nil {
			t.Errorf("%s: %s %v", name, d, err)
		}
	}
	for d, n := range map[domain.Day]int64{day: 0, day.AddDays(7): 1, day.AddMonths(2): 1, day.AddMonths(2).AddDays(1): 0, domain.Date(2021, 4, 30): 1, domain.Date(2021, 5, 1): 0} {
		if a, err := housing.ActiveOn(ctx, r, "320115", d); err != nil || a.Out != n {
			t.Errorf("active on %s: %+v, %v; want %d", d, a, err, n)
		}
	}
	if c, ok, err := housing.ContractByFilingNo(ctx, r, all, "BA1"); err != nil || !ok || c.ID != "c1" || c.Trail.Events != 6 {
		t.Errorf("by number: %+v %v %v", c, ok, err)
	}
	if l, ok, err := housing.ListingByCode(ctx, r, "HY1"); err != nil || !ok || l.State != listing.StageLet {
		t.Errorf("by code: %+v %v %v", l, ok, err)
	}
	stock, err := housing.Stock(ctx, r, housing.AreaCity)
	if err != nil || stock["units"] != 2 || stock["buildings"] != 1 || stock["units_safety_cd"] != 1 || stock["rooms_partition"] != 1 || stock["listings_LET"] != 1 {
		t.Errorf("stock %v, %v", stock, err)
	}
	if stock["units_rentable"] != 1 || stock["units_titled"] != 1 {
		t.Errorf("a home of grade D, or one nobody owns: %v", stock)
	}
	if n, err := housing.Estates(ctx, r, housing.AreaCity); err != nil || n != 1 {
		t.Errorf("%d estates, %v", n, err)
	}
	if f.MeanTerm != 11 && f.MeanTerm != 12 || f.LongTermBP != 10_000 && f.LongTermBP != 0 || f.Ended != 0 {
		t.Errorf("terms and ends of March: %+v", f)
	}
	may, err := housing.FilingRate(ctx, r, "320115", (day.Month() + 2), (day.Month() + 2))
	if err != nil || may.Ended != 1 || may.EndedBy[contract.Agreed] != 1 || may.EndedGround["MUTUAL"] != 1 {
		t.Errorf("ends of May: %+v, %v", may, err)
	}
	late, _, err := housing.UnfiledByLessor(ctx, r, "320115", day.AddDays(31), page)
	if d := cmp.Diff(late, []housing.Overdue{{Lessor: "own", N: 1, Oldest: day.AddDays(30)}}); d != "" || err != nil {
		t.Errorf("overdue: %s %v", d, err)
	}
	if late, _, err := housing.UnfiledByLessor(ctx, r, "320115", day.AddDays(30), page); err != nil || len(late) != 0 {
		t.Errorf("overdue a day early: %v %v", late, err)
	}
}

// TestContractsOfThoseWhoLeft: whoever was named in a contract once is found by it, also after another took the place.
func TestContractsOfThoseWhoLeft(t *testing.T) {
	l := &projectiontest.Log{}
	d := terms("1")
	f := filed(d, "BA1", day, day)
	after := f.Summary
	after.Lessees = []string{"ten-2"}
	l.Add("contract-c1", at, d, contract.Signed{SignedOn: day, ContentHash: "h"}, f, contract.Amended{After: after})
	r := projectiontest.Laws(t, housing.Projection{}, l)
	for _, party := range []string{"own", "ten-1", "ten-2"} {
		var got []string
		for id, err := range housing.ContractsOf(t.Context(), r, party) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, id)
		}
		if d := cmp.Diff(got, []string{"c1"}); d != "" {
			t.Errorf("of %s: %s", party, d)
		}
	}
	now, _, err := housing.Contracts(t.Context(), r, all, housing.ContractFilter{Party: "ten-1"}, projections.Page{})
	if err != nil || len(now) != 0 {
		t.Errorf("the one who left is still listed: %v, %v", ids(now), err)
	}
	for party, sees := range map[string]int{"own": 1, "ten-1": 0, "ten-2": 1} {
		for _, s := range []projections.Scope{{Party: party}, {Party: party, District: "320115"}} {
			now, _, err := housing.Contracts(t.Context(), r, s, housing.ContractFilter{}, projections.Page{})
			if err != nil || len(now) != sees {
				t.Errorf("%+v lists %v, %v", s, ids(now), err)
			}
		}
	}
}

func TestListingBoard(t *testing.T) {
	l := &projectiontest.Log{}
	l.Add("unit-u1", at, unit.Registered{Home: home})
	place := listing.Submitted{AdminCode: "320115", ReportUnit: "320115", Street: "320115004"}
	offer := func(id string, minutes int, events ...listing.Event) {
		l.Add("listing-"+id, at, listing.Drafted{Offer: listing.Offer{Unit: "u1", LetMode: listing.LetWhole, Publisher: "own"}}, place)
		for _, e := range events {
			l.Add("listing-"+id, at.Add(time.Duration(minutes)*time.Minute), e)
		}
	}
	code := func(no string, days int) listing.Verified {
		return listing.Verified{Code: no, ValidUntil: day.AddDays(days)}
	}
	double := domain.Verdict{{Rule: "L-06", Version: 1, Outcome: domain.OutcomeReject}}
	offer("fast", 0, code("a", 60), listing.Published{On: day})
	offer("slow", 90, code("b", 10), listing.Published{On: day})
	offer("slower", 300, code("c", 60), listing.Published{On: day}, listing.Revoked{Finding: "x"})
	offer("twice", 5, listing.Rejected{Reasons: []string{"L-06"}, Rules: double}, listing.Objected{Text: "x"}, listing.ObjectionDecided{Upheld: true}, code("d", 60))
	offer("open", 5, listing.Held{Rules: domain.Verdict{{Rule: "L-01", Version: 1, Outcome: domain.OutcomeHold}}})
	r := projectiontest.Laws(t, housing.Projection{}, l)
	b, err := housing.Listed(t.Context(), r, "320115", day.Month(), day.Month(), day.AddDays(11))
	if err != nil {
		t.Fatal(err)
	}
	if b.MedianMinutes == nil || *b.MedianMinutes != 5 {
		t.Errorf("median of 0, 5, 90 and 300 minutes, the lower: %v", b.MedianMinutes)
	}
	b.MedianMinutes, b.Months = nil, nil
	want := housing.ListingBoard{
		Area: "320115", On: day.AddDays(11), Submitted: 5, Verified: 4, Published: 3, PassRateBP: 8000, Rejections: 1, Stale: 1, DuplicatesStopped: 1,
		FakeConfirmed: 1, Objections: 1, Overturned: 1, OverturnBP: 10_000,
		States: projections.Counters{"PUBLISHED": 2, "REVOKED": 1, "VERIFIED": 1, "HELD": 1},
	}
	if d := cmp.Diff(b, want); d != "" {
		t.Error(d)
	}
}

func TestMatrix(t *testing.T) {
	r := projectiontest.Fold(t, housing.Projection{}, scenario().Events, 100)
	states := func(on domain.Day) (out []string) {
		cells, ok, err := housing.Matrix(t.Context(), r, projections.Scope{District: "320115"}, "b1", on)
		if err != nil || !ok {
			t.Fatal(ok, err)
		}
		for _, c := range cells {
			out = append(out, c.UnitNo+" "+c.State)
		}
		return out
	}
	if d := cmp.Diff(states(day), []string{"1301 VACANT", "1201 VACANT", "0101 VACANT"}); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(states(day.AddDays(12)), []string{"1301 VACANT", "1201 LET", "0102 VACANT"}); d != "" {
		t.Error(d)
	}
	if _, ok, _ := housing.Matrix(t.Context(), r, projections.Scope{Party: "own"}, "b1", day); ok {
		t.Error("an owner reads the whole building's state")
	}
}
