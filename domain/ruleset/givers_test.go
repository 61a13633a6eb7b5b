package ruleset_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"zujian/domain"
	"zujian/domain/contract"
	"zujian/domain/escrow"
	"zujian/domain/listing"
	"zujian/domain/ruleset"
	"zujian/domain/unit"
)

// TestContractGivesTheVocabulary holds facts.json to what package contract really gives: every path of the vocabulary is
// there with its kind.
func TestContractGivesTheVocabulary(t *testing.T) {
	q := contract.Question{
		Terms: contract.Terms{
			Lessors: []contract.PartyShare{{Party: "p1"}}, Lessees: []contract.PartyShare{{Party: "p2"}},
			Start: domain.Date(2026, time.December, 1), End: domain.Date(2027, time.November, 30),
			MonthlyRentFen: 350000, DepositReturnDays: new(int), PayCycleMonths: 3,
		},
		Subject: contract.Subject{Unit: contract.UnitFacts{
			ID: "u1", GrossAreaC: 8912, PlannedUse: "RESIDENTIAL", Owners: []contract.Owner{{Party: "p1", ShareBP: 10000}},
		}},
		SignedOn: domain.Date(2026, time.November, 23), Today: domain.Date(2026, time.November, 23),
		FiledOn: domain.Date(2026, time.November, 23), FiledBy: contract.ByLessor,
	}
	for _, g := range ruleset.Facts() {
		if g.From != "domain/contract" {
			continue
		}
		for path, kind := range g.Facts {
			if got := q.Fact(path).Kind(); got != kind {
				t.Errorf("%s: given as %q, the vocabulary says %s", path, got, kind)
			}
		}
	}
	// A rule of the signing stage never lacks a fact of an ordinary contract.
	for _, r := range ruleset.Shipped().Judge(domain.StageSign, q.SignedOn, &q) {
		if r.Outcome == domain.OutcomeUnknown && r.Rule != "S-01" { // Nobody here was verified: no party facts.
			t.Errorf("%s: %v", r.Rule, r.Params)
		}
	}
}

// TestVocabularyHasNoDoubleKinds: one path means one kind at every stage.
func TestVocabularyHasNoDoubleKinds(t *testing.T) {
	kinds := map[string]domain.FactKind{}
	all := []domain.FactKind{domain.KindBool, domain.KindInt, domain.KindText, domain.KindDay, domain.KindTexts, domain.KindRecords}
	for _, g := range ruleset.Facts() {
		for path, kind := range g.Facts {
			if old, seen := kinds[path]; seen && old != kind {
				t.Errorf("%s is %s and %s", path, old, kind)
			}
			if !slices.Contains(all, kind) {
				t.Errorf("%s is %q", path, kind)
			}
			kinds[path] = kind
		}
	}
}

func act[S, C any, E domain.Event](t *testing.T, d domain.Decider[S, C, E], role domain.Role, commands []C) (S, []E) {
	t.Helper()
	var s S
	var all []E
	for _, c := range commands {
		got, err := d.Decide(s, domain.Request[C]{
			ID: "r", At: at, Actor: domain.Actor{ID: "k", Role: role, Party: "p1"}, Policy: ruleset.Shipped(), Command: c,
		})
		if err != nil {
			t.Fatalf("%T: %v", c, err)
		}
		s, all = d.Fold(s, got...), append(all, got...)
	}
	return s, all
}

// TestOrdinaryListingIsPublished: the main path's listing is verified and published under the shipped rules.
func TestOrdinaryListingIsPublished(t *testing.T) {
	today := domain.DayOf(at)
	offer := listing.Offer{
		Unit: "u1", LetMode: "WHOLE", Publisher: "p1", PublisherRole: listing.PublisherOwner, Owner: "p1", RentFen: 350000, DepositFen: 350000,
		PayCycleMonths: 3, Channels: []string{"app"},
	}
	facts := listing.Facts{
		Unit:      listing.UnitFacts{AdminCode: "320115", GrossAreaC: 8912, PlannedUse: "RESIDENTIAL", Owners: []string{"p1"}},
		Publisher: listing.PartyFacts{Kind: "PERSON", Level: 2}, Owner: listing.PartyFacts{Kind: "PERSON", Level: 2},
	}
	s, events := act(t, listing.Decider, domain.RoleLandlord,
		[]listing.Command{
			listing.Draft{Offer: offer},
			listing.Submit{Facts: facts, Code: "HY3201152611000001B", ValidUntil: today.AddDays(60)},
			listing.Publish{Facts: facts},
		})
	if s.Stage != listing.StagePublished {
		t.Errorf("stage %v after %+v", s.Stage, events)
	}
	for _, e := range events {
		if v, ok := e.(listing.Verified); ok && (len(v.Rules) < 10 || len(v.Rules.Fired()) > 0) {
			t.Errorf("of %d rules fired %+v", len(v.Rules), v.Rules.Fired())
		}
	}
}

// TestOrdinaryMoneyIsReleased: an operator above the limit is routed, and nothing lacks a fact on the way out.
func TestOrdinaryMoneyIsReleased(t *testing.T) {
	today := domain.DayOf(at)
	plan := escrow.Plan{
		Contract: "c1", Unit: "u1", AdminCode: "320115", Lessor: "p1", Lessee: "p2", Operator: true, RentFen: 300000, DepositFen: 300000, PayCycleMonths: 6,
		Mode: escrow.ModeNone, Start: today, End: today.AddMonths(6).AddDays(-1), SignedOn: today, DeductionGrounds: []string{"ARREARS"},
	}
	_, events := act(t, escrow.Decider, domain.RoleSystem,
		[]escrow.Command{plan, escrow.Receive{Bank: "b1", BankTxnID: "t1", AmountFen: 2100000, ValueDate: today}, escrow.OrderRelease{Tranche: 1, On: today}})
	planned, ok := events[0].(escrow.FundsExpected)
	if !ok || planned.Mode != escrow.ModeMandatory || !planned.Rules.Routed("M-01") || !planned.Rules.Routed("C-10") {
		t.Fatalf("planned %+v", events[0])
	}
	ordered, ok := events[len(events)-1].(escrow.ReleaseOrdered)
	if !ok || len(ordered.Rules) != 3 || len(ordered.Rules.Fired()) > 0 {
		t.Errorf("ordered %+v", events[len(events)-1])
	}
	for _, r := range planned.Rules {
		if r.Outcome == domain.OutcomeUnknown {
			t.Errorf("%s lacks %v", r.Rule, r.Params)
		}
	}
}

// TestOrdinaryRoomsAreConfirmed: bedrooms as designed are let by room; a kitchen or a partition is not.
func TestOrdinaryRoomsAreConfirmed(t *testing.T) {
	home := unit.Home{
		Building: "b1", Street: "320115004", AdminCode: "320115", ReportUnit: "JN", UnitNo: "1201", GrossAreaC: 8912, InnerAreaC: 7000, Bedrooms: 2,
		PlannedUse: "RESIDENTIAL",
	}
	room := func(kind, origin string) unit.ProposeRooms {
		return unit.ProposeRooms{Rooms: []unit.Room{{ID: "r1", RoomNo: "A", Kind: kind, Origin: origin, UsableAreaC: 1200}}}
	}
	_, events := act(t, unit.Decider, domain.RoleLandlord, []unit.Command{unit.Register{Home: home}, room("BEDROOM", "DESIGNED"), unit.ConfirmRooms{}})
	confirmed, ok := events[len(events)-1].(unit.RoomsConfirmed)
	if !ok || len(confirmed.Rules) != 3 || len(confirmed.Rules.Fired()) > 0 {
		t.Errorf("confirmed %+v", events[len(events)-1])
	}
	s, _ := act(t, unit.Decider, domain.RoleLandlord, []unit.Command{unit.Register{Home: home}})
	for code, c := range map[string]unit.ProposeRooms{"unit.non_habitable": room("KITCHEN", "DESIGNED"), "unit.partition": room("BEDROOM", "PARTITION")} {
		_, err := unit.Decider.Decide(s, domain.Request[unit.Command]{ID: "r", At: at, Policy: ruleset.Shipped(), Command: c})
		if r, ok := errors.AsType[*domain.Rejection](err); !ok || r.Code != code || r.Pointer != "/rooms/0" {
			t.Errorf("%s: %v", code, err)
		}
	}
}
