package building_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"zujian/domain"
	. "zujian/domain/building"
	"zujian/domain/domaintest"
)

var (
	at    = time.Date(2026, 11, 23, 2, 0, 0, 0, time.UTC)
	today = domain.Date(2026, time.November, 23)
	ask   = domain.Request[Command]{At: at}
	plan  = Register{
		Estate: "玄武苑", BuildingNo: "3", Street: "320115004", AdminCode: "320115", ReportUnit: "320115", Address: "某路1号3幢",
		BuiltYear: 2010, Floors: 18, Units: []UnitPlan{flat("u1", "101", 5000), flat("u2", "102", 6000)},
	}
	registered = []Event{Registered(plan)}
)

func flat(id, no string, area int64) UnitPlan {
	return UnitPlan{ID: id, UnitNo: no, GrossAreaC: area, PlannedUse: "RESIDENTIAL"}
}

func TestDecide(t *testing.T) {
	with := func(f func(*Register)) Register { c := plan; c.Units = slices.Clone(plan.Units); f(&c); return c }
	rooms := func(area int64, kinds ...string) []RoomPlan {
		var out []RoomPlan
		for i, k := range kinds {
			id := string(rune('a' + i))
			out = append(out, RoomPlan{ID: id, RoomNo: id, Kind: k, Origin: "DESIGNED", UsableAreaC: area})
		}
		return out
	}
	added := UnitsAdded{Units: []UnitPlan{flat("u3", "103", 4000)}, From: today}
	merged := UnitsReplaced{Removed: []string{"u1", "u2"}, Added: []UnitPlan{flat("u9", "101", 11_000)}, From: today}
	two := with(func(c *Register) { c.Units[0].Entrance, c.Units[1].Entrance, c.Units[1].UnitNo = "1", "2", "101" })

	domaintest.Run(t, Decider, ask, []domaintest.Case[Command, Event]{
		{Name: "register", When: plan, Then: registered},
		{Name: "register again", Given: registered, When: plan},
		{Name: "register again after a correction", Given: append(registered, added, Corrected{Address: "x"}), When: plan},
		{Name: "register other content", Given: registered, When: with(func(c *Register) { c.Units[0].Floor = 2 }), Err: ErrAlreadyRegistered},
		{Name: "the same number in two entrances", When: two, Then: []Event{Registered(two)}},
		{Name: "the same number twice", When: with(func(c *Register) { c.Units[1].UnitNo = "101" }), Err: ErrUnitNoTaken},
		{Name: "the same id twice", When: with(func(c *Register) { c.Units[1].ID = "u1" }), Err: ErrUnitIDTaken},
		{Name: "street of eight digits", When: with(func(c *Register) { c.Street = "32011500" }), Err: ErrField},
		{Name: "no address", When: with(func(c *Register) { c.Address = "" }), Err: ErrField},
		{Name: "a flat without area", When: with(func(c *Register) { c.Units[0].GrossAreaC = 0 }), Err: ErrField},
		{Name: "an area beyond reason", When: with(func(c *Register) { c.Units[0].GrossAreaC = 1 << 62 }), Err: ErrField},
		{Name: "a room of unknown kind", When: with(func(c *Register) { c.Units[0].Rooms = rooms(1, "DUNGEON") }), Err: ErrRooms},
		{Name: "rooms larger than their flat", When: with(func(c *Register) { c.Units[0].Rooms = rooms(2501, "BEDROOM", "BEDROOM") }), Err: ErrAreaSum},
		{Name: "too many units", When: with(func(c *Register) {
			for i := range 1000 {
				c.Units = append(c.Units, flat(string(rune(0x4e00+i)), string(rune(0x4e00+i)), 1))
			}
		}), Err: ErrTooLarge},

		{Name: "add", Given: registered, When: AddUnits{Units: added.Units}, Then: []Event{added}},
		{Name: "add again tomorrow", Given: append(registered, added), At: at.AddDate(0, 0, 1), When: AddUnits{Units: added.Units}},
		{Name: "add a number that is taken", Given: registered, When: AddUnits{Units: []UnitPlan{flat("u3", "102", 1)}}, Err: ErrUnitNoTaken},
		{Name: "add nothing", Given: registered, When: AddUnits{}, Err: ErrField},
		{Name: "add to no building", When: AddUnits{Units: added.Units}, Err: ErrNotFound},

		{Name: "merge", Given: registered, When: ReplaceUnits{Removed: merged.Removed, Added: merged.Added}, Then: []Event{merged}},
		{Name: "merge again tomorrow", Given: append(registered, merged), At: at.AddDate(0, 0, 1), When: ReplaceUnits{Removed: merged.Removed, Added: merged.Added}},
		{Name: "merge what is gone into something else", Given: append(registered, merged), When: ReplaceUnits{Removed: []string{"u1"}, Added: []UnitPlan{flat("u8", "1", 5000)}}, Err: ErrUnknownUnit},
		{Name: "remove a stranger", Given: registered, When: ReplaceUnits{Removed: []string{"u7"}, Added: merged.Added}, Err: ErrUnknownUnit},
		{Name: "lose more than half a percent", Given: registered, When: ReplaceUnits{Removed: merged.Removed, Added: []UnitPlan{flat("u9", "101", 10_944)}}, Err: ErrAreaSum},
		{Name: "lose half a percent", Given: registered, When: ReplaceUnits{Removed: merged.Removed, Added: []UnitPlan{flat("u9", "101", 10_945)}}, Then: []Event{
			UnitsReplaced{Removed: merged.Removed, Added: []UnitPlan{flat("u9", "101", 10_945)}, From: today},
		}},
		{Name: "replace before it stood", Given: append(registered, added), When: ReplaceUnits{Removed: []string{"u3"}, Added: []UnitPlan{flat("u9", "103", 4000)}, From: today}, Err: ErrUnknownUnit},

		{Name: "correct the address", Given: registered, When: CorrectAddress{Address: "某路2号3幢", Evidence: "plate"}, Then: []Event{Corrected{Address: "某路2号3幢", Evidence: "plate"}}},
		{Name: "correct without evidence", Given: registered, When: CorrectAddress{Address: "某路2号3幢"}, Err: ErrField},
		{Name: "correct to nothing", Given: registered, When: CorrectAddress{Evidence: "plate"}, Err: ErrField},
	})
}

func TestTheTableByDate(t *testing.T) {
	s := Decider.Fold(State{}, Registered(plan),
		UnitsReplaced{Removed: []string{"u1"}, Added: []UnitPlan{flat("u3", "101A", 2500), flat("u4", "101B", 2500)}, From: today})
	ids := func(on domain.Day) (out string) {
		for _, u := range s.Table(on) {
			out += u.ID + " "
		}
		return strings.TrimSpace(out)
	}
	for on, want := range map[domain.Day]string{today - 1: "u1 u2", today: "u2 u3 u4", today + 1000: "u2 u3 u4", domain.DayMin: "u1 u2"} {
		if got := ids(on); got != want {
			t.Errorf("%v: %s, want %s", on, got, want)
		}
	}
}

// TestEveryDayHasOneTable: whatever is added and replaced, no day shows a number twice, and splitting moves no area.
func TestEveryDayHasOneTable(t *testing.T) {
	changes := 0
	rapid.Check(t, func(t *rapid.T) {
		s := Decider.Fold(State{}, registered...)
		for i := range rapid.IntRange(1, 15).Draw(t, "steps") {
			no := rapid.SampledFrom([]string{"101", "102", "103", "104"})
			from := today.AddDays(rapid.IntRange(-5, 5).Draw(t, "from"))
			id := "n" + string(rune('a'+i))
			var c Command = AddUnits{Units: []UnitPlan{flat(id, no.Draw(t, "no"), 5000)}, From: from}
			if rapid.Bool().Draw(t, "replace") {
				row := rapid.SampledFrom(s.Rows).Draw(t, "row")
				half := row.Unit.GrossAreaC / 2
				c = ReplaceUnits{
					Removed: []string{row.Unit.ID}, From: from,
					Added: []UnitPlan{flat(id, no.Draw(t, "no"), half), flat(id+"2", no.Draw(t, "no2"), row.Unit.GrossAreaC-half)},
				}
			}
			events, err := Decider.Decide(s, domain.Request[Command]{At: at, Command: c})
			if err != nil {
				continue
			}
			changes += len(events)
			s = Decider.Fold(s, events...)
			for day := today - 7; day <= today+7; day++ {
				seen := map[string]bool{}
				for _, u := range s.Table(day) {
					if seen[u.UnitNo] {
						t.Fatalf("%s stands twice on %v", u.UnitNo, day)
					}
					seen[u.UnitNo] = true
				}
			}
		}
	})
	if changes == 0 {
		t.Error("nothing ever changed: the law was not tried")
	}
}

func TestTheLargestCommandFitsAnEvent(t *testing.T) {
	wide := strings.Repeat("宽", 60)
	c := plan
	c.Units = nil
	for i := range 5000 {
		u := flat(strings.Repeat("x", 60)+string(rune(0x4e00+i)), wide[:177]+string(rune(0x4e00+i)), 9_999_999)
		u.Entrance, u.TitleKind, u.RealEstateUnitNo = wide, wide, strings.Repeat("9", 28)
		u.InnerAreaC, u.Bedrooms, u.LivingRooms, u.Bathrooms, u.Kitchens, u.Floor = 9_999_999, 50, 50, 50, 50, 300
		u.Fitout, u.LandKind, u.Incomplete = "SIMPLE", "COLLECTIVE", true
		u.Rooms = []RoomPlan{{ID: strings.Repeat("y", 64), RoomNo: wide, Kind: "UNDERGROUND_STORAGE", Origin: "PARTITION", UsableAreaC: 9_999_999}}
		c.Units = append(c.Units, u)
		events, err := Decider.Decide(State{}, domain.Request[Command]{At: at, Command: c})
		if err != nil {
			if i < 500 {
				t.Fatalf("%d units: %v", i+1, err)
			}
			return
		}
		if i%100 != 99 && i < 580 {
			continue
		}
		if b, _ := json.Marshal(events[0]); len(b) > 1<<20 {
			t.Fatalf("%d units take %d bytes", i+1, len(b))
		}
	}
	t.Error("no limit")
}

func TestGolden(t *testing.T) { domaintest.Golden(t, Types, "testdata/events") }
