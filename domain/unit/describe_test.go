package unit_test

import (
	"errors"
	"testing"
	"time"

	"zujian/domain"
	"zujian/domain/domaintest"
	. "zujian/domain/unit"
)

func TestRooms(t *testing.T) {
	next := []Room{rooms[0], {ID: "r3", RoomNo: "C", Kind: "BEDROOM", Origin: OriginDesigned, UsableAreaC: 900}}
	big := []Room{{ID: "r1", RoomNo: "A", Kind: "BEDROOM", Origin: OriginDesigned, UsableAreaC: 8000}}
	proposed := given(RoomsProposed{Rooms: next})
	domaintest.Run(t, Decider, ask, []domaintest.Case[Command, Event]{
		{Name: "propose", Given: unit, When: ProposeRooms{Rooms: next}, Then: []Event{RoomsProposed{Rooms: next}}},
		{Name: "propose what is", Given: unit, When: ProposeRooms{Rooms: rooms}},
		{Name: "propose nothing", Given: unit, When: ProposeRooms{}, Err: ErrRooms},
		{Name: "larger than the flat", Given: unit, When: ProposeRooms{Rooms: big}, Err: ErrAreaSum},
		{Name: "a room under contract stays", Given: given(leasedBy("c1", "r2")), When: ProposeRooms{Rooms: next}, Err: ErrSpaceInUse},
		{Name: "confirm", Given: proposed, When: ConfirmRooms{}, Then: []Event{RoomsConfirmed{Rooms: next}}},
		{Name: "confirm, but a room was let meanwhile", Given: append(proposed, leasedBy("c1", "r2")), When: ConfirmRooms{}, Err: ErrSpaceInUse},
		{Name: "confirm nothing", Given: []Event{Registered{Home: home}}, When: ConfirmRooms{}, Err: ErrNoProposal},
	})
}

// nonHabitable is U-01 in two versions: the list of 2011 has no garage.
func nonHabitable(t *testing.T) domain.Policy {
	t.Helper()
	var p domain.Policy
	for i, list := range []string{`["list","KITCHEN"]`, `["list","KITCHEN","GARAGE"]`} {
		r := domain.Rule{
			ID: "U-01", Version: i + 1, EffectiveFrom: []domain.Day{domain.Date(2011, 2, 1), domain.Date(2025, 9, 15)}[i],
			Status: domain.RuleActive, Stages: []domain.Stage{domain.StageUnit}, Outcome: domain.OutcomeReject, Code: "unit.non_habitable",
		}
		if err := r.Predicate.UnmarshalJSON([]byte(`["in","$space.space_kind",` + list + `]`)); err != nil {
			t.Fatal(err)
		}
		p.Rules = append(p.Rules, r)
	}
	return p
}

func TestANonHabitableRoomIsRefusedByTheRuleOfItsDay(t *testing.T) {
	room := func(kind string) ProposeRooms {
		return ProposeRooms{Rooms: []Room{rooms[0], {ID: "r9", RoomNo: "X", Kind: kind, Origin: OriginDesigned}}}
	}
	for _, c := range []struct {
		kind    string
		at      time.Time
		refused int // Version of U-01; 0 = accepted.
	}{
		{"KITCHEN", time.Date(2024, 1, 1, 4, 0, 0, 0, time.UTC), 1},
		{"GARAGE", time.Date(2024, 1, 1, 4, 0, 0, 0, time.UTC), 0},
		{"GARAGE", time.Date(2025, 9, 14, 15, 59, 0, 0, time.UTC), 0},
		{"GARAGE", time.Date(2025, 9, 14, 16, 0, 0, 0, time.UTC), 2}, // Midnight in Shanghai.
		{"KITCHEN", at, 2},
		{"BEDROOM", at, 0},
	} {
		events, err := Decider.Decide(Decider.Fold(State{}, unit...), domain.Request[Command]{At: c.at, Policy: nonHabitable(t), Command: room(c.kind)})
		no, _ := errors.AsType[*domain.Rejection](err)
		switch {
		case c.refused == 0 && (err != nil || len(events[0].(RoomsProposed).Rules) != 1):
			t.Errorf("%s at %v: %v %v", c.kind, c.at, events, err)
		case c.refused > 0 && (no == nil || no.Code != "unit.non_habitable" || no.RuleVersion != c.refused || no.Pointer != "/rooms/1"):
			t.Errorf("%s at %v: %v, want U-01@%d", c.kind, c.at, err, c.refused)
		}
	}
}

func TestRights(t *testing.T) {
	own := RecordOwnership{Owners: []Owner{{"p1", 6000}, {"p2", 4000}}, TitleNo: "t1", From: day(1, 1)}
	with := func(f func(*RecordOwnership)) RecordOwnership { c := own; f(&c); return c }
	owned := OwnershipRecorded(own)
	later := OwnershipRecorded{Owners: []Owner{{"p3", 10_000}}, TitleNo: "t2", From: day(1, 1)}
	safe := SafetyRecorded{Grade: "C", ReportNo: "a1", On: day(11, 23)}
	domaintest.Run(t, Decider, ask, []domaintest.Case[Command, Event]{
		{Name: "ownership", Given: unit, When: own, Then: []Event{owned}},
		{Name: "ownership again", Given: given(owned), When: own},
		{Name: "back to the first owners", Given: given(owned, later), When: own, Then: []Event{owned}},
		{Name: "shares short", Given: unit, When: with(func(c *RecordOwnership) { c.Owners = []Owner{{"p1", 9999}} }), Err: ErrShareSum},
		{Name: "a share below nothing", Given: unit, When: with(func(c *RecordOwnership) { c.Owners = []Owner{{"p1", 10_001}, {"p2", -1}} }), Err: ErrShareSum},
		{Name: "owner twice", Given: unit, When: with(func(c *RecordOwnership) { c.Owners = []Owner{{"p1", 5000}, {"p1", 5000}} }), Err: ErrOwners},
		{Name: "no owners", Given: unit, When: with(func(c *RecordOwnership) { c.Owners = nil }), Err: ErrOwners},
		{Name: "no title", Given: unit, When: with(func(c *RecordOwnership) { c.TitleNo = "" }), Err: ErrField},
		{Name: "no day", Given: unit, When: with(func(c *RecordOwnership) { c.From = 0 }), Err: ErrField},
		{Name: "seize", Given: unit, When: SetRight{Flag: FlagSeized, OrderNo: "o1"}, Then: []Event{RightSet{Flag: FlagSeized, OrderNo: "o1"}}},
		{Name: "unknown flag", Given: unit, When: SetRight{Flag: "HAUNTED", OrderNo: "o1"}, Err: ErrFlag},
		{Name: "no order", Given: unit, When: SetRight{Flag: FlagSeized}, Err: ErrOrderNo},
		{Name: "clear", Given: given(RightSet{Flag: FlagSeized}), When: ClearRight{Flag: FlagSeized, OrderNo: "o2"}, Then: []Event{RightCleared{Flag: FlagSeized, OrderNo: "o2"}}},
		{Name: "clear what is not set", Given: unit, When: ClearRight{Flag: FlagSeized, OrderNo: "o2"}},
		{Name: "safety", Given: unit, When: RecordSafety{Grade: "C", ReportNo: "a1"}, Then: []Event{safe}},
		{Name: "safety again on another day", Given: given(safe), At: at.AddDate(0, 0, 3), When: RecordSafety{Grade: "C", ReportNo: "a1"}},
		{Name: "no grade", Given: unit, When: RecordSafety{Grade: "E"}, Err: ErrGrade},
		{Name: "conversion", Given: unit, When: ApproveConversion{DecisionNo: "d1"}, Then: []Event{ConversionApproved{DecisionNo: "d1"}}},
		{Name: "conversion without a decision", Given: unit, When: ApproveConversion{}, Err: ErrOrderNo},
		{Name: "correct the area", Given: unit, When: Correct{"gross_area_c", "9000", "survey 7"}, Then: []Event{Corrected{"gross_area_c", "8912", "9000", "survey 7"}}},
		{Name: "correct it below the rooms", Given: unit, When: Correct{"inner_area_c", "2699", "survey 7"}, Err: ErrCorrection},
		{Name: "correct it to words", Given: unit, When: Correct{"gross_area_c", "big", "survey 7"}, Err: ErrCorrection},
		{Name: "correct the use", Given: unit, When: Correct{"planned_use", "OFFICE", "title"}, Then: []Event{Corrected{"planned_use", "RESIDENTIAL", "OFFICE", "title"}}},
		{Name: "correct what can't be", Given: unit, When: Correct{"building", "b2", "x"}, Err: ErrCorrection},
		{Name: "correct without evidence", Given: unit, When: Correct{"planned_use", "OFFICE", ""}, Err: ErrField},
	})
}

func TestLineage(t *testing.T) {
	children := []Child{{"u1", 5000}, {"u2", 3900}} // 8,900 of 8,912: within 0.5 %.
	runs := leasedBy("c1")
	next := domain.Date(2027, 1, 1)
	mapped := map[string]string{"c1": "u1"}
	domaintest.Run(t, Decider, ask, []domaintest.Case[Command, Event]{
		{Name: "split an empty flat", Given: unit, When: Split{Children: children}, Then: []Event{WasSplit{Children: children, From: day(11, 23)}}},
		{Name: "split again tomorrow", Given: given(WasSplit{Children: children, From: day(11, 22)}), When: Split{Children: children}},
		{Name: "split under a lease without mapping", Given: given(runs), When: Split{Children: children}, Err: ErrLineageRequired},
		{Name: "split mapped to a stranger", Given: given(runs), When: Split{Children: children, Mapping: map[string]string{"c1": "u9"}}, Err: ErrLineageRequired},
		{Name: "split under a lease with mapping", Given: given(runs), When: Split{Children: children, Mapping: mapped}, Then: []Event{WasSplit{Children: children, Mapping: mapped, From: day(11, 23)}}},
		{Name: "split after the lease", Given: given(runs), When: Split{Children: children, From: next}, Then: []Event{WasSplit{Children: children, From: next}}},
		{Name: "split while a contract is being filed", Given: given(Reserved{Contract: "c1", Kind: KindOut, From: day(1, 1), Until: day(12, 31), ExpiresAt: expiry()}), When: Split{Children: children, Mapping: mapped}, Err: ErrHasActiveContract},
		{Name: "areas that do not sum up", Given: unit, When: Split{Children: []Child{{"u1", 5000}, {"u2", 3800}}}, Err: ErrAreaSum},
		{Name: "one child", Given: unit, When: Split{Children: []Child{{"u1", 8912}}}, Err: ErrField},
		{Name: "merge", Given: unit, When: Merge{Into: "u9", IntoAreaC: 13_000, Siblings: []Child{{"u2", 4100}}}, Then: []Event{WasMerged{Into: "u9", Siblings: []Child{{"u2", 4100}}, From: day(11, 23)}}},
		{Name: "merge under a lease that stays behind", Given: given(runs), When: Merge{Into: "u9", IntoAreaC: 13_000, Siblings: []Child{{"u2", 4100}}}, Err: ErrLineageRequired},
		{Name: "retire", Given: unit, When: Retire{Reason: "DEMOLISHED"}, Then: []Event{Retired{Reason: "DEMOLISHED", On: day(11, 23)}}},
		{Name: "retire under a lease", Given: given(runs), When: Retire{Reason: "DEMOLISHED"}, Err: ErrHasActiveContract},
		{Name: "retire for no reason", Given: unit, When: Retire{}, Err: ErrRetireReason},
		{Name: "let a retired flat", Given: given(Retired{}), When: Reserve{Contract: "c1", Kind: KindOut, From: day(1, 1), Until: day(1, 2)}, Err: ErrWrongState},
		{Name: "confirm on a flat retired meanwhile", Given: given(Reserved{Contract: "c1", Kind: KindOut, From: day(1, 1), Until: day(1, 2), ExpiresAt: at}, Retired{}), When: Confirm{Contract: "c1"}, Then: []Event{ReservationLost{Contract: "c1"}}},
		{Name: "a lease on a split flat still ends there", Given: given(runs, WasSplit{Children: children}), When: End{Contract: "c1", On: day(12, 1)}, Then: []Event{LeaseEnded{Contract: "c1", On: day(12, 1)}}},
	})
}
