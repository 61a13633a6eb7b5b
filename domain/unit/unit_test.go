package unit_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"zujian/domain"
	"zujian/domain/domaintest"
	. "zujian/domain/unit"
)

var (
	at   = time.Date(2026, 11, 23, 2, 0, 0, 0, time.UTC)
	ask  = domain.Request[Command]{At: at}
	home = Home{
		Building: "b1", Street: "320115004", AdminCode: "320115", ReportUnit: "320115", UnitNo: "1201", Floor: 12,
		GrossAreaC: 8912, InnerAreaC: 7000, Bedrooms: 2, PlannedUse: "RESIDENTIAL",
	}
	rooms = []Room{
		{ID: "r1", RoomNo: "A", Kind: "BEDROOM", Origin: OriginDesigned, UsableAreaC: 1500},
		{ID: "r2", RoomNo: "B", Kind: "BEDROOM", Origin: OriginDesigned, UsableAreaC: 1200},
	}
	unit = []Event{Registered{Home: home, Rooms: rooms}}
)

func day(m time.Month, d int) domain.Day { return domain.Date(2026, m, d) }
func given(events ...Event) []Event      { return append(slices.Clone(unit), events...) }
func expiry() time.Time                  { return at.Add(15 * time.Minute) }
func leasedBy(c string, rooms ...string) Event {
	return Leased{Contract: c, Kind: KindOut, Rooms: rooms, From: day(1, 1), Until: day(12, 31)}
}

func TestRegister(t *testing.T) {
	with := func(f func(*Home)) Register { h := home; f(&h); return Register{Home: h} }
	domaintest.Run(t, Decider, ask, []domaintest.Case[Command, Event]{
		{Name: "register", When: Register{Home: home, Rooms: rooms}, Then: unit},
		{Name: "register again", Given: unit, When: Register{Home: home, Rooms: rooms}},
		{Name: "register other content", Given: unit, When: Register{Home: home}, Err: ErrAlreadyRegistered},
		{Name: "no area", When: with(func(h *Home) { h.GrossAreaC = 0 }), Err: ErrField},
		{Name: "inner above gross", When: with(func(h *Home) { h.InnerAreaC = h.GrossAreaC + 1 }), Err: ErrField},
		{Name: "unknown use", When: with(func(h *Home) { h.PlannedUse = "PALACE" }), Err: ErrField},
		{Name: "street with letters", When: with(func(h *Home) { h.Street = "32011500x" }), Err: ErrField},
		{Name: "too many bedrooms", When: with(func(h *Home) { h.Bedrooms = 51 }), Err: ErrField},
		{Name: "real-estate unit number too short", When: with(func(h *Home) { h.RealEstateUnitNo = "320115" }), Err: ErrField},
		{Name: "room twice", When: Register{Home: home, Rooms: []Room{rooms[0], rooms[0]}}, Err: ErrRooms},
		{
			Name: "rooms larger than the flat", Err: ErrAreaSum,
			When: Register{Home: home, Rooms: []Room{{ID: "r1", RoomNo: "A", Kind: "BEDROOM", Origin: OriginDesigned, UsableAreaC: 7001}}},
		},
		{
			Name: "carried leases must not overlap", Err: ErrSpaceOverlap,
			When: Register{Home: home, Rooms: rooms, Occupancies: []Occupancy{
				{Contract: "c1", Kind: KindOut, From: day(1, 1), Until: day(2, 1), Confirmed: true},
				{Contract: "c2", Kind: KindOut, From: day(2, 1), Until: day(3, 1), Rooms: []string{"r1"}, Confirmed: true},
			}},
		},
		{
			Name: "a reservation is not carried", Err: ErrOccupancy,
			When: Register{Home: home, Occupancies: []Occupancy{{Contract: "c1", Kind: KindOut, From: day(1, 1), Until: day(2, 1)}}},
		},
		{Name: "nothing without a unit", When: ConfirmRooms{}, Err: ErrNotFound},
		{Name: "no reservation without a unit", When: Reserve{Contract: "c1", Kind: KindOut, From: day(1, 1), Until: day(1, 2)}, Err: ErrNotFound},
	})
}

func TestReserveAndConfirm(t *testing.T) {
	c1 := Reserve{Contract: "c1", Kind: KindOut, From: day(1, 1), Until: day(12, 31)}
	room := Reserve{Contract: "c2", Kind: KindOut, Rooms: []string{"r1"}, From: day(12, 31), Until: day(12, 31)}
	held := Reserved{Contract: "c1", Kind: KindOut, From: day(1, 1), Until: day(12, 31), ExpiresAt: expiry()}
	head := Leased{Contract: "h1", Kind: KindHead, From: day(1, 1), Until: day(12, 31)}
	chain := Leased{Contract: "h2", Kind: KindHead, Parent: "h1", From: day(1, 1), Until: day(12, 31)}
	under := func(parent string) Reserve { c := c1; c.Parent = parent; return c }
	longer := c1
	longer.Until++
	late := expiry()

	domaintest.Run(t, Decider, ask, []domaintest.Case[Command, Event]{
		{Name: "reserve the flat", Given: unit, When: c1, Then: []Event{held}},
		{Name: "reserve again", Given: given(held), When: c1},
		{Name: "reserve again after expiry", Given: given(held), When: c1, At: late, Then: []Event{
			Reserved{Contract: "c1", Kind: KindOut, From: c1.From, Until: c1.Until, ExpiresAt: late.Add(15 * time.Minute)},
		}},
		{Name: "reserve on other terms before filing", Given: given(held), When: longer, Then: []Event{
			Reserved{Contract: "c1", Kind: KindOut, From: longer.From, Until: longer.Until, ExpiresAt: expiry()},
		}},
		{Name: "a leased contract reserves again", Given: given(leasedBy("c1")), When: c1},
		{Name: "a leased contract on other terms", Given: given(leasedBy("c1")), When: longer, Err: ErrAlreadyLeased},
		{Name: "a room of a reserved flat", Given: given(held), When: room, Err: ErrSpaceOverlap},
		{Name: "a room of a let flat", Given: given(leasedBy("c1")), When: room, Err: ErrSpaceOverlap},
		{Name: "the flat above a let room", Given: given(leasedBy("c2", "r1")), When: c1, Err: ErrSpaceOverlap},
		{Name: "the room beside a let room", Given: given(leasedBy("c1", "r2")), When: room, Then: []Event{
			Reserved{Contract: "c2", Kind: KindOut, Rooms: []string{"r1"}, From: day(12, 31), Until: day(12, 31), ExpiresAt: expiry()},
		}},
		{Name: "the day after", Given: given(leasedBy("c1")), When: Reserve{Contract: "c2", Kind: KindOut, From: domain.Date(2027, 1, 1), Until: domain.Date(2027, 1, 1)}, Then: []Event{
			Reserved{Contract: "c2", Kind: KindOut, From: domain.Date(2027, 1, 1), Until: domain.Date(2027, 1, 1), ExpiresAt: expiry()},
		}},
		{Name: "the last day", Given: given(leasedBy("c1")), When: Reserve{Contract: "c2", Kind: KindOut, From: day(12, 31), Until: domain.Date(2027, 1, 1)}, Err: ErrSpaceOverlap},
		{Name: "an expired reservation keeps nobody off", Given: given(held), When: room, At: late, Then: []Event{
			Reserved{Contract: "c2", Kind: KindOut, Rooms: []string{"r1"}, From: day(12, 31), Until: day(12, 31), ExpiresAt: late.Add(15 * time.Minute)},
		}},
		{Name: "unknown room", Given: unit, When: Reserve{Contract: "c1", Kind: KindOut, Rooms: []string{"r9"}, From: day(1, 1), Until: day(1, 2)}, Err: ErrUnknownRoom},
		{Name: "the same room twice", Given: unit, When: Reserve{Contract: "c1", Kind: KindOut, Rooms: []string{"r1", "r1"}, From: day(1, 1), Until: day(1, 2)}, Err: ErrUnknownRoom},
		{Name: "ends before it begins", Given: unit, When: Reserve{Contract: "c1", Kind: KindOut, From: day(1, 2), Until: day(1, 1)}, Err: ErrPeriod},
		{Name: "unknown kind", Given: unit, When: Reserve{Contract: "c1", From: day(1, 2), Until: day(1, 3)}, Err: ErrOccupancy},

		{Name: "lease the flat", Given: unit, When: Lease(c1), Then: []Event{leasedBy("c1")}},
		{Name: "lease what it holds", Given: given(held), When: Lease(c1), Then: []Event{leasedBy("c1")}},
		{Name: "lease what it held", Given: given(held), When: Lease(c1), At: late, Then: []Event{leasedBy("c1")}},
		{Name: "lease again", Given: given(leasedBy("c1")), When: Lease(c1)},
		{Name: "lease on other terms", Given: given(leasedBy("c1")), When: Lease(longer), Err: ErrAlreadyLeased},
		{Name: "lease a room of a reserved flat", Given: given(held), When: Lease(room), Err: ErrSpaceOverlap},
		{Name: "lease a room of a let flat", Given: given(leasedBy("c1")), When: Lease(room), Err: ErrSpaceOverlap},
		{Name: "lease an unknown room", Given: unit, When: Lease{Contract: "c1", Kind: KindOut, Rooms: []string{"r9"}, From: day(1, 1), Until: day(1, 2)}, Err: ErrUnknownRoom},
		{Name: "lease without a unit", When: Lease(c1), Err: ErrNotFound},

		{Name: "sublet under the operator's own head lease", Given: given(head), When: under("h1"), Then: []Event{
			Reserved{Contract: "c1", Kind: KindOut, Parent: "h1", From: c1.From, Until: c1.Until, ExpiresAt: expiry()},
		}},
		{Name: "sublet under a chain of head leases", Given: given(head, chain), When: under("h2"), Then: []Event{
			Reserved{Contract: "c1", Kind: KindOut, Parent: "h2", From: c1.From, Until: c1.Until, ExpiresAt: expiry()},
		}},
		{Name: "sublet beside the chain", Given: given(head, chain), When: under("h1"), Err: ErrUnderHeadLease},
		{Name: "owner lets under another's head lease", Given: given(head), When: c1, Err: ErrUnderHeadLease},
		{Name: "second tenant under one head lease", Given: given(head, Leased{Contract: "c9", Kind: KindOut, Parent: "h1", From: day(3, 1), Until: day(4, 1)}), When: under("h1"), Err: ErrSpaceOverlap},
		{Name: "second head lease", Given: given(head), When: Reserve{Contract: "h9", Kind: KindHead, From: day(12, 1), Until: domain.Date(2027, 1, 1)}, Err: ErrUnderHeadLease},
		{Name: "head lease over a tenant", Given: given(leasedBy("c1")), When: Reserve{Contract: "h1", Kind: KindHead, From: day(12, 1), Until: day(12, 2)}, Err: ErrSpaceOverlap},

		{Name: "confirm", Given: given(held), When: Confirm{Contract: "c1"}, Then: []Event{leasedBy("c1")}},
		{Name: "confirm after expiry, nobody else came", Given: given(held), When: Confirm{Contract: "c1"}, At: late, Then: []Event{leasedBy("c1")}},
		{
			Name: "confirm after another took it", When: Confirm{Contract: "c1"}, At: late,
			Given: given(held, Leased{Contract: "c2", Kind: KindOut, Rooms: []string{"r1"}, From: day(5, 1), Until: day(5, 2)}),
			Then:  []Event{ReservationLost{Contract: "c1"}},
		},
		{
			Name: "confirm while another reserves", When: Confirm{Contract: "c1"}, At: late,
			Given: given(held, Reserved{Contract: "c2", Kind: KindOut, From: day(5, 1), Until: day(5, 2), ExpiresAt: late.Add(time.Minute)}),
			Then:  []Event{ReservationLost{Contract: "c1"}},
		},
		{Name: "confirm again", Given: given(leasedBy("c1")), When: Confirm{Contract: "c1"}},
		{Name: "confirm nothing", Given: unit, When: Confirm{Contract: "c1"}, Err: ErrNotReserved},
		{Name: "confirm what was released", Given: given(held, Released{Contract: "c1"}), When: Confirm{Contract: "c1", Space: &c1}, Then: []Event{leasedBy("c1")}},
		{
			Name: "confirm what was released and taken", When: Confirm{Contract: "c1", Space: &c1},
			Given: given(held, Released{Contract: "c1"}, leasedBy("c2", "r1")), Then: []Event{ReservationLost{Contract: "c1"}},
		},
		{Name: "confirm in a home that is gone", Given: given(Retired{}), When: Confirm{Contract: "c1", Space: &c1}, Err: ErrNotReserved},
		{Name: "release", Given: given(held), When: Release{Contract: "c1"}, Then: []Event{Released{Contract: "c1"}}},
		{Name: "release a lease", Given: given(leasedBy("c1")), When: Release{Contract: "c1"}, Then: []Event{Released{Contract: "c1"}}},
		{Name: "release an unfiled reservation", Given: given(held), When: Release{Contract: "c1", Unfiled: true}, Then: []Event{Released{Contract: "c1"}}},
		{Name: "release what was filed since", Given: given(leasedBy("c1")), When: Release{Contract: "c1", Unfiled: true}},
		{Name: "release nothing", Given: unit, When: Release{Contract: "c1"}},
	})
}

func TestEndAndChange(t *testing.T) {
	head := Leased{Contract: "h1", Kind: KindHead, From: day(1, 1), Until: day(6, 30)}
	sub := Leased{Contract: "c1", Kind: KindOut, Parent: "h1", From: day(1, 1), Until: day(6, 30)}
	domaintest.Run(t, Decider, ask, []domaintest.Case[Command, Event]{
		{Name: "end early", Given: given(leasedBy("c1")), When: End{Contract: "c1", On: day(6, 30), Reason: "AGREED"}, Then: []Event{LeaseEnded{Contract: "c1", On: day(6, 30), Reason: "AGREED"}}},
		{Name: "end on its last day", Given: given(leasedBy("c1")), When: End{Contract: "c1", On: day(12, 31)}, Then: []Event{LeaseEnded{Contract: "c1", On: day(12, 31)}}},
		{Name: "end after its last day counts as the last day", Given: given(leasedBy("c1")), When: End{Contract: "c1", On: domain.Date(2027, 5, 1)}, Then: []Event{LeaseEnded{Contract: "c1", On: day(12, 31)}}},
		{Name: "end before it began", Given: given(leasedBy("c1")), When: End{Contract: "c1", On: domain.Date(2025, 5, 1)}, Then: []Event{LeaseEnded{Contract: "c1", On: domain.Date(2025, 5, 1)}}},
		{Name: "end without a day", Given: given(leasedBy("c1")), When: End{Contract: "c1"}, Err: ErrPeriod},
		{Name: "end a reservation", Given: given(Reserved{Contract: "c1", Kind: KindOut, From: day(1, 1), Until: day(2, 1), ExpiresAt: expiry()}), When: End{Contract: "c1", On: day(1, 5)}, Then: []Event{Released{Contract: "c1"}}},
		{Name: "end nothing", Given: unit, When: End{Contract: "c1", On: day(1, 5)}},
		{Name: "an ended lease frees the rest", Given: given(leasedBy("c1"), LeaseEnded{Contract: "c1", On: day(6, 30)}), When: Reserve{Contract: "c2", Kind: KindOut, From: day(7, 1), Until: day(8, 1)}, Then: []Event{
			Reserved{Contract: "c2", Kind: KindOut, From: day(7, 1), Until: day(8, 1), ExpiresAt: expiry()},
		}},
		{Name: "a lease that never began frees everything", Given: given(leasedBy("c1"), LeaseEnded{Contract: "c1", On: domain.Date(2025, 12, 31)}), When: Reserve{Contract: "c2", Kind: KindOut, From: day(1, 1), Until: day(8, 1)}, Then: []Event{
			Reserved{Contract: "c2", Kind: KindOut, From: day(1, 1), Until: day(8, 1), ExpiresAt: expiry()},
		}},
		{Name: "an ended contract can't come back", Given: given(leasedBy("c1"), LeaseEnded{Contract: "c1", On: day(6, 30)}), When: Reserve{Contract: "c1", Kind: KindOut, From: day(7, 1), Until: day(8, 1)}, Err: ErrAlreadyLeased},

		{Name: "extend", Given: given(head, sub), When: Change{Contract: "h1", Until: day(12, 31)}, Then: []Event{LeaseChanged{Contract: "h1", Until: day(12, 31)}}},
		{Name: "extend into another's term", Given: given(sub, Leased{Contract: "c2", Kind: KindOut, From: day(7, 1), Until: day(8, 1)}), When: Change{Contract: "c1", Until: day(7, 1)}, Err: ErrSpaceOverlap},
		{Name: "shorten", Given: given(sub), When: Change{Contract: "c1", Until: day(3, 1)}, Then: []Event{LeaseChanged{Contract: "c1", Until: day(3, 1)}}},
		{Name: "before it begins", Given: given(sub), When: Change{Contract: "c1", Until: domain.Date(2025, 3, 1)}, Err: ErrPeriod},
		{Name: "change an ended lease", Given: given(sub, LeaseEnded{Contract: "c1", On: day(3, 1)}), When: Change{Contract: "c1", Until: day(4, 1)}, Err: ErrLeaseEnded},
		{Name: "change nothing", Given: unit, When: Change{Contract: "c1", Until: day(4, 1)}, Err: ErrLeaseNotFound},
	})
}

func TestOverlapHidesTheContractAndSaysWhenFree(t *testing.T) {
	policy := domain.Policy{Rules: []domain.Rule{{ID: "U-10", Version: 2, EffectiveFrom: day(1, 1)}}}
	s := Decider.Fold(State{}, given(leasedBy("c1"), Leased{Contract: "c2", Kind: KindOut, From: domain.Date(2027, 1, 1), Until: domain.Date(2027, 3, 31)})...)
	_, err := Decider.Decide(s, domain.Request[Command]{At: at, Policy: policy, Command: Reserve{Contract: "c3", Kind: KindOut, Rooms: []string{"r1"}, From: day(5, 1), Until: day(5, 2)}})
	got, ok := errors.AsType[*domain.Rejection](err)
	if !ok {
		t.Fatal(err)
	}
	want := map[string]any{"free_from": domain.Date(2027, 4, 1)}
	if diff := cmp.Diff(want, got.Params); diff != "" || got.Rule != "U-10" || got.RuleVersion != 2 {
		t.Errorf("%s rule %s@%d", diff, got.Rule, got.RuleVersion)
	}
}

func TestQueries(t *testing.T) {
	s := Decider.Fold(State{}, given(
		Leased{Contract: "h2", Kind: KindHead, Parent: "h1", From: day(2, 1), Until: day(6, 30)},
		Leased{Contract: "h1", Kind: KindHead, From: day(1, 1), Until: day(6, 30)},
		Reserved{Contract: "c9", Kind: KindOut, Parent: "h2", From: day(2, 1), Until: day(6, 30), ExpiresAt: expiry()},
		OwnershipRecorded{Owners: []Owner{{"p1", 10_000}}, TitleNo: "t1", From: day(1, 1)},
		OwnershipRecorded{Owners: []Owner{{"p3", 10_000}}, TitleNo: "t3", From: day(3, 1)},
		OwnershipRecorded{Owners: []Owner{{"p2", 10_000}}, TitleNo: "t2", From: day(2, 1)},
	)...)
	for _, c := range []struct {
		day      domain.Day
		head     string
		occupied int
		owner    string
	}{
		{domain.Date(2025, 12, 31), "", 0, ""},
		{day(1, 1), "h1", 1, "p1"},
		{day(2, 28), "h2", 2, "p2"},
		{day(6, 30), "h2", 2, "p3"},
		{day(7, 1), "", 0, "p3"},
	} {
		head, _ := s.HeadOn(c.day)
		owner := ""
		for _, o := range s.OwnersOn(c.day) {
			owner = o.Party
		}
		if got := len(s.OccupiedOn(c.day)); head.Contract != c.head || got != c.occupied || owner != c.owner {
			t.Errorf("%v: head %q, %d occupancies, owner %q", c.day, head.Contract, got, owner)
		}
	}
}

func TestGolden(t *testing.T) { domaintest.Golden(t, Types, "testdata/events") }
