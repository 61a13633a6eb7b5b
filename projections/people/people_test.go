package people_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"zujian/domain"
	"zujian/domain/contract"
	"zujian/domain/escrow"
	"zujian/domain/party"
	"zujian/projections"
	"zujian/projections/people"
	"zujian/projections/projectiontest"
)

var (
	at  = time.Date(2026, 3, 2, 2, 0, 0, 0, time.UTC)
	day = domain.DayOf(at)
	all = projections.Scope{All: true}
)

func lease(kind, lessor, lessee, agent string, rooms ...string) contract.Drafted {
	return contract.Drafted{
		Terms: contract.Terms{
			Kind: kind, Unit: "u", Rooms: rooms, Lessors: []contract.PartyShare{{Party: lessor}}, Lessees: []contract.PartyShare{{Party: lessee}},
			Brokerage: "bro", Practitioner: agent,
		},
		Subject: contract.Subject{Unit: contract.UnitFacts{AdminCode: "320115"}},
	}
}

func filed(d contract.Drafted) contract.Filed {
	t := d.Terms
	return contract.Filed{SignedOn: day, FiledOn: day, Summary: contract.Summary{
		Kind: t.Kind, Unit: t.Unit, Rooms: t.Rooms, Lessors: []string{t.Lessors[0].Party}, Lessees: []string{t.Lessees[0].Party}, Brokerage: t.Brokerage, AdminCode: "320115",
	}}
}

func scenario() *projectiontest.Log {
	l := &projectiontest.Log{}
	l.Add("party-own", at, party.Registered{Kind: party.KindPerson, Name: "sealed-own", DocType: domain.DocCNID, DocNo: "sealed-doc", DocIndex: "ix-own", Phone: "sealed-phone"}, party.IdentityVerified{Level: 2, Method: party.MethodIDNameMatch})
	l.Add("party-ten", at, party.Registered{Kind: party.KindPerson, Name: "sealed-ten", DocIndex: "ix-ten"})
	l.Add("party-op", at, party.Registered{Kind: party.KindOrg, OrgKind: party.OrgSubleaseOperator, OrgName: "Op", USCC: "91320115MA27YYY95J", AdminCode: "320106"})
	l.Add("party-op", at, party.OpeningReported{Opening: party.Opening{AdminCode: "320115", Place: "P"}}, party.OpeningPublished{On: day})
	l.Add("party-bro", at, party.Registered{Kind: party.KindOrg, OrgKind: party.OrgBrokerage, OrgName: "Bro", AdminCode: "320115"}, party.OpeningReported{Opening: party.Opening{AdminCode: "320115"}})
	l.Add("party-ann", at, party.Registered{Kind: party.KindPerson, Name: "sealed-ann"}, party.PractitionerRostered{Brokerage: "bro", From: day})
	l.Add("party-bob", at, party.Registered{Kind: party.KindPerson, Name: "sealed-bob"}, party.PractitionerRostered{Brokerage: "bro", From: day}, party.PractitionerRemoved{Brokerage: "bro", On: day}, party.PractitionerBanned{Until: day.AddDays(365), OrderNo: "o"})
	l.Add("party-own", at, party.MandateGranted{Mandate: party.Mandate{MandateID: "m1", To: "bro", Scope: []string{party.ScopeSign}, Until: day.AddDays(30)}})

	head, out := lease(contract.KindHead, "own", "op", ""), lease(contract.KindOut, "op", "ten", "ann", "r1", "r2")
	l.Add("contract-h", at, head, contract.Signed{SignedOn: day}, filed(head))
	l.Add("contract-o", at, out, contract.Signed{SignedOn: day}, filed(out))
	l.Add("escrow-o", at, escrow.FundsExpected{Contract: "o", Lessor: "op"}, escrow.Frozen{OrderNo: "F"})
	l.Add("contract-h", at, contract.Terminated{By: contract.Agreed, On: day})
	l.Add("contract-o", at, contract.UpstreamEnded{Head: "h", On: day})
	l.Add("party-ten", at, party.PersonalDataErased{Reason: "r", DecisionNo: "d"})
	return l
}

func names(ss []people.Subject) (out []string) {
	for _, s := range ss {
		out = append(out, s.ID)
	}
	return out
}

func TestView(t *testing.T) {
	r := projectiontest.Laws(t, people.Projection{}, scenario())
	projectiontest.Golden(t, r)
	ctx, page := t.Context(), projections.Page{}
	if strings.Contains(projectiontest.Dump(t, r), "sealed-ten") {
		t.Error("an erased person's sealed name stays in the view")
	}
	op, ok, err := people.SubjectOf(ctx, r, all, "op", day)
	want := projections.Counters{"lessor_out": 1, "rooms": 2, "upstream_ended": 1, "ledgers": 1, "ledgers_open": 1, "ledgers_frozen": 1}
	if d := cmp.Diff(op.Tally, want); d != "" || err != nil || !ok || op.OpeningState != people.OpeningPublished {
		t.Errorf("operator %+v %v %v\n%s", op, ok, err, d)
	}
	for _, c := range []struct {
		name   string
		scope  projections.Scope
		filter people.Filter
		want   []string
	}{
		{"all", all, people.Filter{}, []string{"ann", "bob", "bro", "op", "own", "ten"}},
		{"nobody's", projections.Scope{}, people.Filter{}, nil},
		{"of a district: registered, reporting or contracting there", projections.Scope{District: "320115"}, people.Filter{}, []string{"bro", "op", "own", "ten"}},
		{"of another district", projections.Scope{District: "320106"}, people.Filter{District: "320115"}, []string{"op"}},
		{"opening reports to decide", all, people.Filter{OpeningState: people.OpeningReported}, []string{"bro"}},
		{"verified persons", all, people.Filter{Kind: party.KindPerson, LevelMin: 2}, []string{"own"}},
		{"itself", projections.Scope{Party: "ten"}, people.Filter{}, []string{"ten"}},
	} {
		got, _, err := people.Subjects(ctx, r, c.scope, c.filter, page)
		if d := cmp.Diff(names(got), c.want); d != "" || err != nil {
			t.Errorf("%s: %s %v", c.name, d, err)
		}
	}
	staff, _, err := people.Practitioners(ctx, r, projections.Scope{Party: "bro"}, "bro", day.AddDays(10), page)
	if err != nil || len(staff) != 1 || staff[0].Party != "ann" || staff[0].Deals90 != 1 {
		t.Errorf("roster %+v, %v", staff, err)
	}
	if p, ok, err := people.PractitionerOf(ctx, r, all, "bob", day.AddDays(10)); err != nil || !ok || !p.Banned || p.Brokerage != "" {
		t.Errorf("banned %+v %v %v", p, ok, err)
	}
	for on, n := range map[domain.Day]int{day.AddDays(30): 1, day.AddDays(31): 0} {
		got, _, err := people.Mandators(ctx, r, projections.Scope{Party: "bro"}, "bro", on, page)
		if err != nil || len(got) != n {
			t.Errorf("mandators on %s: %+v, %v", on, got, err)
		}
	}
	for uscc, want := range map[string]string{"91320115MA27YYY95J": "op", "x": ""} {
		if id, err := people.Find(ctx, r, uscc, ""); err != nil || id != want {
			t.Errorf("find %s: %q, %v", uscc, id, err)
		}
	}
	if id, err := people.Find(ctx, r, "", "ix-ten"); err != nil || id != "" {
		t.Errorf("an erased identity is found: %q %v", id, err)
	}
}
