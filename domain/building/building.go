// Package building owns one building's register (楼盘表): which units stand in it on which day. A unit's own life, its
// rooms under contract and its owners, is package unit; the desk registers each unit there with the ids given here.
//
// # Decisions
//
// The ids of building and units come from the caller, which derives them from estate, street, numbers and entrance, so
// that registering twice is the same command. A unit that goes leaves its row with a last day: any day gives a table.
package building

import (
	"reflect"
	"slices"
	"strconv"
	"unicode/utf8"

	"zujian/domain"
)

// Decider is the building aggregate.
var Decider = domain.Decider[State, Command, Event]{Category: "building", Decide: decide, Evolve: evolve}

// Rejections. The codes are public API.
var (
	ErrNotFound          = domain.Reject("building.not_found", "there is no such building")
	ErrAlreadyRegistered = domain.Reject("building.already_registered", "the building is registered with other content")
	ErrField             = domain.Reject("building.field", "a field of the building or of a unit is missing or out of range")
	ErrUnitNoTaken       = domain.Reject("building.unit_no_taken", "the unit number stands in the register already")
	ErrUnitIDTaken       = domain.Reject("building.unit_id_taken", "the unit stands in the register already")
	ErrRooms             = domain.Reject("building.rooms", "the rooms of a unit are not valid")
	ErrAreaSum           = domain.Reject("building.area_sum", "the areas do not sum up")
	ErrTooLarge          = domain.Reject("building.too_large", "too many units in one command; add the rest later")
	ErrUnknownUnit       = domain.Reject("building.unknown_unit", "a unit to be removed does not stand in the register on that day")
)

// Limits. A command becomes one event, which may not pass a megabyte: a unit takes up to 1,200 bytes, a room 500.
const (
	textMax      = 60 // Characters of a number or short name.
	addressMax   = 200
	roomsMax     = 30
	countMax     = 50
	floorsMax    = 300
	areaMaxC     = 10_000_000 // 100,000 ㎡
	bytesMax     = 1_000_000
	unitBytes    = 1200
	roomBytes    = 500
	areaSumPerMi = 5 // A split or merger may lose or gain 0.5 % by measuring again.
)

var (
	plannedUses = []string{"RESIDENTIAL", "APARTMENT", "DORMITORY", "COMMERCIAL", "OFFICE", "INDUSTRIAL", "OTHER"}
	fitouts     = []string{"", "BARE", "SIMPLE", "FULL"}
	landKinds   = []string{"", "STATE", "COLLECTIVE"}
	roomKinds   = []string{
		"BEDROOM", "LIVING_ROOM", "STUDY", "KITCHEN", "BATHROOM", "BALCONY", "CORRIDOR", "UNDERGROUND_STORAGE", "GARAGE", "OTHER",
	}
)

// Row is one unit and the days it stands in the register.
type Row struct {
	Unit UnitPlan
	From domain.Day // Zero = since the building was registered.
	To   domain.Day // Last day, included; zero = still.
}

func (r Row) stands(on domain.Day) bool {
	return (r.From == 0 || r.From <= on) && (r.To == 0 || on <= r.To)
}

// State is the register. The zero State means no building.
type State struct {
	Registered Registered // As first registered.
	Address    string     // As corrected.
	Rows       []Row
}

// Exists reports whether the building is registered.
func (s State) Exists() bool { return s.Registered.Street != "" }

// Table is the register as it stood on a day.
func (s State) Table(on domain.Day) []UnitPlan {
	var out []UnitPlan
	for _, r := range s.Rows {
		if r.stands(on) {
			out = append(out, r.Unit)
		}
	}
	return out
}

func decide(s State, r domain.Request[Command]) ([]Event, error) {
	if c, ok := r.Command.(Register); ok {
		return register(s, c)
	}
	if !s.Exists() {
		return nil, ErrNotFound
	}
	switch c := r.Command.(type) {
	case AddUnits:
		return addUnits(s, r, c)
	case ReplaceUnits:
		return replaceUnits(s, r, c)
	case CorrectAddress:
		switch {
		case c.Address == "" || utf8.RuneCountInString(c.Address) > addressMax:
			return nil, ErrField.At("/address").With("field", "address")
		case c.Address == s.Address:
			return nil, nil
		case c.Evidence == "" || utf8.RuneCountInString(c.Evidence) > addressMax:
			return nil, ErrField.At("/evidence").With("field", "evidence")
		}
		return []Event{Corrected(c)}, nil
	}
	panic("building: unhandled command") // Sealed set: only a programming error gets here.
}

func register(s State, c Register) ([]Event, error) {
	e := Registered(c)
	if s.Exists() {
		if reflect.DeepEqual(s.Registered, e) {
			return nil, nil
		}
		return nil, ErrAlreadyRegistered
	}
	bad := func(field string) error { return ErrField.At("/"+field).With("field", field) }
	switch {
	case !short(c.Estate):
		return nil, bad("estate")
	case c.BuildingNo == "" || !short(c.BuildingNo):
		return nil, bad("building_no")
	case !domain.IsDigits(c.Street, 9):
		return nil, bad("street")
	case !domain.IsDigits(c.AdminCode, 6):
		return nil, bad("admin_code")
	case c.ReportUnit == "" || !short(c.ReportUnit):
		return nil, bad("report_unit")
	case c.Address == "" || utf8.RuneCountInString(c.Address) > addressMax:
		return nil, bad("address")
	case c.BuiltYear < 0 || c.BuiltYear > 2199:
		return nil, bad("built_year")
	case c.Floors < 0 || c.Floors > floorsMax:
		return nil, bad("floors")
	case c.MetroM < 0 || c.MetroM > 1_000_000:
		return nil, bad("metro_m")
	}
	if err := checkUnits(nil, c.Units, 0); err != nil {
		return nil, err
	}
	return []Event{e}, nil
}

func addUnits(s State, r domain.Request[Command], c AddUnits) ([]Event, error) {
	from := c.From
	if from == 0 {
		from = r.Today()
	}
	if len(c.Units) == 0 {
		return nil, ErrField.At("/units").With("field", "units")
	}
	if s.have(c.Units, c.From) {
		return nil, nil
	}
	if err := checkUnits(s.Rows, c.Units, from); err != nil {
		return nil, err
	}
	return []Event{UnitsAdded{Units: c.Units, From: from}}, nil
}

// have reports whether exactly these units stand in the register, from that day on if one is given.
func (s State) have(units []UnitPlan, from domain.Day) bool {
	for _, u := range units {
		i := slices.IndexFunc(s.Rows, func(r Row) bool { return r.Unit.ID == u.ID })
		if i < 0 || !reflect.DeepEqual(s.Rows[i].Unit, u) || (from != 0 && s.Rows[i].From != from) {
			return false
		}
	}
	return true
}

func replaceUnits(s State, r domain.Request[Command], c ReplaceUnits) ([]Event, error) {
	from := c.From
	if from == 0 {
		from = r.Today()
	}
	if len(c.Removed) == 0 || len(c.Added) == 0 {
		return nil, ErrField.At("/removed").With("field", "removed")
	}
	rows := slices.Clone(s.Rows)
	var before, after int64
	gone := 0
	for k, id := range c.Removed {
		i := slices.IndexFunc(rows, func(r Row) bool { return r.Unit.ID == id })
		if i < 0 || slices.Contains(c.Removed[:k], id) {
			return nil, ErrUnknownUnit.At("/removed").With("unit", id)
		}
		if rows[i].To != 0 {
			gone++
			continue
		}
		if !rows[i].stands(from - 1) {
			return nil, ErrUnknownUnit.At("/removed").With("unit", id)
		}
		before += rows[i].Unit.GrossAreaC
		rows[i].To = from - 1
	}
	switch {
	case gone == len(c.Removed) && s.have(c.Added, c.From):
		return nil, nil
	case gone > 0:
		return nil, ErrUnknownUnit.At("/removed")
	}
	if err := checkUnits(rows, c.Added, from); err != nil {
		return nil, err
	}
	for _, u := range c.Added {
		after += u.GrossAreaC
	}
	if max(after-before, before-after)*1000 > before*areaSumPerMi {
		return nil, ErrAreaSum.At("/added").With("before_c", before).With("after_c", after)
	}
	return []Event{UnitsReplaced{Removed: c.Removed, Added: c.Added, From: from}}, nil
}

// checkUnits tests units to be entered from a day on beside the rows that stand.
func checkUnits(rows []Row, units []UnitPlan, from domain.Day) error {
	size := 0
	ids, numbers := map[string]bool{}, map[string]bool{}
	key := func(u UnitPlan) string { return u.Entrance + "\x00" + u.UnitNo }
	for _, r := range rows {
		ids[r.Unit.ID] = true
		if r.To == 0 || r.To >= from {
			numbers[key(r.Unit)] = true
		}
	}
	for i, u := range units {
		at := "/units/" + strconv.Itoa(i)
		size += unitBytes + roomBytes*len(u.Rooms)
		switch {
		case size > bytesMax:
			return ErrTooLarge.At("/units")
		case u.ID == "" || len(u.ID) > 64:
			return ErrField.At(at+"/id").With("field", "id")
		case ids[u.ID]:
			return ErrUnitIDTaken.At(at+"/id").With("unit", u.ID)
		case numbers[key(u)]:
			return ErrUnitNoTaken.At(at+"/unit_no").With("unit_no", u.UnitNo)
		}
		ids[u.ID], numbers[key(u)] = true, true
		if err := checkUnit(u, at); err != nil {
			return err
		}
	}
	return nil
}

func checkUnit(u UnitPlan, at string) error {
	bad := func(field string) error { return ErrField.At(at+"/"+field).With("field", field) }
	switch {
	case u.UnitNo == "" || !short(u.UnitNo):
		return bad("unit_no")
	case !short(u.Entrance):
		return bad("entrance")
	case u.Floor < -20 || u.Floor > floorsMax:
		return bad("floor")
	case u.GrossAreaC < 1 || u.GrossAreaC > areaMaxC:
		return bad("gross_area_c")
	case u.InnerAreaC < 0 || u.InnerAreaC > u.GrossAreaC:
		return bad("inner_area_c")
	case u.Bedrooms < 0 || u.Bedrooms > countMax:
		return bad("bedrooms")
	case u.LivingRooms < 0 || u.LivingRooms > countMax:
		return bad("living_rooms")
	case u.Bathrooms < 0 || u.Bathrooms > countMax:
		return bad("bathrooms")
	case u.Kitchens < 0 || u.Kitchens > countMax:
		return bad("kitchens")
	case !slices.Contains(plannedUses, u.PlannedUse):
		return bad("planned_use")
	case !slices.Contains(fitouts, u.Fitout):
		return bad("fitout")
	case !slices.Contains(landKinds, u.LandKind):
		return bad("land_kind")
	case !short(u.TitleKind):
		return bad("title_kind")
	case !domain.IsRealEstateNo(u.RealEstateUnitNo):
		return bad("real_estate_unit_no")
	case len(u.Rooms) > roomsMax:
		return ErrRooms.At(at+"/rooms").With("max", int64(roomsMax))
	}
	return checkRooms(u, at)
}

func checkRooms(u UnitPlan, at string) error {
	var usable int64
	for i, r := range u.Rooms {
		here := at + "/rooms/" + strconv.Itoa(i)
		switch {
		case r.ID == "" || len(r.ID) > 64 || slices.ContainsFunc(u.Rooms[:i], func(x RoomPlan) bool { return x.ID == r.ID }):
			return ErrRooms.At(here + "/id")
		case r.RoomNo == "" || !short(r.RoomNo) || slices.ContainsFunc(u.Rooms[:i], func(x RoomPlan) bool { return x.RoomNo == r.RoomNo }):
			return ErrRooms.At(here+"/room_no").With("room_no", r.RoomNo)
		case !slices.Contains(roomKinds, r.Kind):
			return ErrRooms.At(here+"/kind").With("kind", r.Kind)
		case r.Origin != "DESIGNED" && r.Origin != "PARTITION":
			return ErrRooms.At(here+"/origin").With("origin", r.Origin)
		case r.UsableAreaC < 0 || r.UsableAreaC > areaMaxC:
			return ErrRooms.At(here + "/usable_area_c")
		}
		usable += r.UsableAreaC
	}
	limit := u.InnerAreaC
	if limit == 0 {
		limit = u.GrossAreaC
	}
	if usable > limit {
		return ErrAreaSum.At(at+"/rooms").With("usable_area_c", usable).With("limit_c", limit)
	}
	return nil
}

func short(s string) bool { return utf8.RuneCountInString(s) <= textMax }

func evolve(s State, e Event) State {
	switch e := e.(type) {
	case Registered:
		s.Registered, s.Address, s.Rows = e, e.Address, appendRows(nil, e.Units, 0)
	case UnitsAdded:
		s.Rows = appendRows(s.Rows, e.Units, e.From)
	case UnitsReplaced:
		rows := slices.Clone(s.Rows)
		for i := range rows {
			if slices.Contains(e.Removed, rows[i].Unit.ID) {
				rows[i].To = e.From - 1
			}
		}
		s.Rows = appendRows(rows, e.Added, e.From)
	case Corrected:
		s.Address = e.Address
	}
	return s
}

func appendRows(rows []Row, units []UnitPlan, from domain.Day) []Row {
	rows = slices.Clip(rows)
	for _, u := range units {
		rows = append(rows, Row{Unit: u, From: from})
	}
	return rows
}
