package unit

import (
	"reflect"
	"slices"
	"strconv"
	"unicode/utf8"

	"zujian/domain"
)

// Limits of a description. They keep an event well under a megabyte and catch typing errors.
const (
	roomsMax     = 30
	ownersMax    = 200
	areaMaxC     = 10_000_000 // 100,000 ㎡ in hundredths.
	textMax      = 200        // Characters of one text.
	childrenMax  = 100
	floorsMax    = 300
	countMax     = 50 // Bedrooms and the like.
	areaSumPerMi = 5  // A split or merger may lose or gain 0.5 % by measuring again.
)

var (
	plannedUses = []string{"RESIDENTIAL", "APARTMENT", "DORMITORY", "COMMERCIAL", "OFFICE", "INDUSTRIAL", "OTHER"}
	fitouts     = []string{"", "BARE", "SIMPLE", "FULL"}
	landKinds   = []string{"", "STATE", "COLLECTIVE"}
	roomKinds   = []string{
		"BEDROOM", "LIVING_ROOM", "STUDY", "KITCHEN", "BATHROOM", "BALCONY", "CORRIDOR", "UNDERGROUND_STORAGE", "GARAGE", "OTHER",
	}
	flags         = []string{FlagSeized, FlagMortgaged, FlagObjection, FlagIllegal, FlagNotLettable, FlagUseChanged}
	retireReasons = []string{"DEMOLISHED", "MISREGISTERED", "CHANGED_USE"}
)

func register(s State, c Register) ([]Event, error) {
	e := Registered{Home: c.Home, Rooms: c.Rooms, Lineage: c.Lineage, Occupancies: c.Occupancies}
	if s.Stage != StageNone {
		if reflect.DeepEqual(s.Registered, e) {
			return nil, nil
		}
		return nil, ErrAlreadyRegistered
	}
	if err := checkHome(c.Home); err != nil {
		return nil, err
	}
	if err := checkRooms(c.Home, c.Rooms); err != nil {
		return nil, err
	}
	// What a split or merger carries over must stand here as it would have been reserved here.
	next := State{Home: c.Home, Rooms: c.Rooms}
	for _, o := range c.Occupancies {
		if !o.Confirmed || find(next.Occupancies, o.Contract) >= 0 {
			return nil, ErrOccupancy.At("/occupancies")
		}
		if err := next.checkOccupancy(o); err != nil {
			return nil, err
		}
		next.Occupancies = append(next.Occupancies, o)
	}
	for _, o := range next.Occupancies {
		if _, taken := next.Conflict(o, o.ExpiresAt); taken {
			return nil, ErrSpaceOverlap.At("/occupancies")
		}
	}
	return []Event{e}, nil
}

func checkHome(h Home) error {
	bad := func(field string) error { return ErrField.At("/"+field).With("field", field) }
	switch {
	case h.Building == "":
		return bad("building")
	case h.UnitNo == "" || !short(h.UnitNo):
		return bad("unit_no")
	case !domain.IsDigits(h.Street, 9):
		return bad("street")
	case !domain.IsDigits(h.AdminCode, 6):
		return bad("admin_code")
	case h.ReportUnit == "" || !short(h.ReportUnit):
		return bad("report_unit")
	case h.GrossAreaC < 1 || h.GrossAreaC > areaMaxC:
		return bad("gross_area_c")
	case h.InnerAreaC < 0 || h.InnerAreaC > h.GrossAreaC:
		return bad("inner_area_c")
	case !slices.Contains(plannedUses, h.PlannedUse):
		return bad("planned_use")
	case !slices.Contains(fitouts, h.Fitout):
		return bad("fitout")
	case !slices.Contains(landKinds, h.LandKind):
		return bad("land_kind")
	case !domain.IsRealEstateNo(h.RealEstateUnitNo):
		return bad("real_estate_unit_no")
	case h.Floors < 0 || h.Floors > floorsMax || h.Floor < -20 || h.Floor > floorsMax:
		return bad("floor")
	case h.BuiltYear < 0 || h.BuiltYear > 2199:
		return bad("built_year")
	case h.MetroM < 0 || h.MetroM > 1_000_000:
		return bad("metro_m")
	case !short(h.Estate) || !short(h.BuildingNo) || !short(h.Address) || !short(h.Entrance) || !short(h.TitleKind):
		return bad("address")
	}
	for _, field := range []string{"bedrooms", "living_rooms", "bathrooms", "kitchens"} {
		if n := *number(&h, field); n < 0 || n > countMax {
			return bad(field)
		}
	}
	return nil
}

func short(s string) bool { return utf8.RuneCountInString(s) <= textMax }

func checkRooms(h Home, rooms []Room) error {
	if len(rooms) > roomsMax {
		return ErrRooms.At("/rooms").With("max", int64(roomsMax))
	}
	var usable int64
	for i, room := range rooms {
		at := "/rooms/" + strconv.Itoa(i)
		switch {
		case room.ID == "" || slices.ContainsFunc(rooms[:i], func(r Room) bool { return r.ID == room.ID }):
			return ErrRooms.At(at + "/id")
		case room.RoomNo == "" || !short(room.RoomNo) || slices.ContainsFunc(rooms[:i], func(r Room) bool { return r.RoomNo == room.RoomNo }):
			return ErrRooms.At(at+"/room_no").With("room_no", room.RoomNo)
		case !slices.Contains(roomKinds, room.Kind):
			return ErrRooms.At(at+"/kind").With("kind", room.Kind)
		case room.Origin != OriginDesigned && room.Origin != OriginPartition:
			return ErrRooms.At(at+"/origin").With("origin", room.Origin)
		case room.UsableAreaC < 0 || room.UsableAreaC > areaMaxC:
			return ErrRooms.At(at + "/usable_area_c")
		}
		usable += room.UsableAreaC
	}
	limit := h.InnerAreaC
	if limit == 0 {
		limit = h.GrossAreaC
	}
	if usable > limit {
		return ErrAreaSum.At("/rooms").With("usable_area_c", usable).With("limit_c", limit)
	}
	return nil
}

func proposeRooms(s State, r domain.Request[Command], c ProposeRooms) ([]Event, error) {
	switch {
	case len(c.Rooms) == 0:
		return nil, ErrRooms.At("/rooms")
	case slices.Equal(s.Proposed, c.Rooms), s.Proposed == nil && slices.Equal(s.Rooms, c.Rooms):
		return nil, nil
	}
	verdict, err := s.judgeRooms(r, c.Rooms)
	if err != nil {
		return nil, err
	}
	return []Event{RoomsProposed{Rooms: c.Rooms, Rules: verdict}}, nil
}

func confirmRooms(s State, r domain.Request[Command]) ([]Event, error) {
	if s.Proposed == nil {
		if len(s.Rooms) > 0 {
			return nil, nil
		}
		return nil, ErrNoProposal
	}
	verdict, err := s.judgeRooms(r, s.Proposed)
	if err != nil {
		return nil, err
	}
	return []Event{RoomsConfirmed{Rooms: s.Proposed, Rules: verdict}}, nil
}

// judgeRooms tests a subdivision: its own shape, the rooms under contract, and the rules on each room.
func (s State) judgeRooms(r domain.Request[Command], rooms []Room) (domain.Verdict, error) {
	if err := checkRooms(s.Home, rooms); err != nil {
		return nil, err
	}
	for _, o := range s.running(r.Today(), r.At) {
		for _, held := range o.Rooms {
			if !slices.ContainsFunc(rooms, func(room Room) bool { return room.ID == held }) {
				return nil, ErrSpaceInUse.At("/rooms").With("room", held)
			}
		}
	}
	var all domain.Verdict
	for i, room := range rooms {
		v := r.Policy.Judge(domain.StageUnit, r.Today(), domain.Facts{"space": s.spaceFacts(room)})
		if err := v.Err(); err != nil {
			return nil, blame(err, "/rooms/"+strconv.Itoa(i))
		}
		if all == nil {
			all = v
			continue
		}
		for k := range v { // The same rules for each room: the worst answer of each is kept.
			if all[k].Outcome == domain.OutcomePass {
				all[k] = v[k]
			}
		}
	}
	return all, nil
}

func blame(err error, pointer string) error {
	if rejection, ok := err.(*domain.Rejection); ok {
		return rejection.At(pointer)
	}
	return err
}

func (s State) spaceFacts(room Room) domain.Facts {
	f := domain.Facts{
		"kind": "ROOM", "space_kind": room.Kind, "origin": room.Origin, "planned_use": s.Home.PlannedUse,
		"conversion_approved": s.Conversion != "", "is_complete_home": !s.Home.Incomplete, "land_kind": landKind(s.Home.LandKind),
		"safety_grade": s.Safety.Grade, "flags": slices.Clone(s.Flags), "gross_area_c": s.Home.GrossAreaC,
		"admin_code": s.Home.AdminCode, "report_unit": s.Home.ReportUnit, "street": s.Home.Street,
	}
	if s.Home.InnerAreaC > 0 {
		f["inner_area_c"] = s.Home.InnerAreaC
	}
	if room.UsableAreaC > 0 {
		f["usable_area_c"] = room.UsableAreaC
	}
	return f
}

func landKind(s string) string {
	if s == "" {
		return "STATE"
	}
	return s
}

// CorrectableFields are the JSON names of Home that Correct accepts.
var CorrectableFields = []string{
	"gross_area_c", "inner_area_c", "bedrooms", "living_rooms", "bathrooms", "kitchens", "floor", "metro_m", "built_year",
	"planned_use", "fitout", "land_kind", "title_kind", "real_estate_unit_no", "address",
}

func correct(s State, c Correct) ([]Event, error) {
	next := corrected(s.Home, c.Field, c.Value)
	old, known := value(s.Home, c.Field)
	now, _ := value(next, c.Field)
	switch {
	case !known:
		return nil, ErrCorrection.At("/field").With("field", c.Field)
	case now != c.Value || checkHome(next) != nil || checkRooms(next, s.Rooms) != nil:
		return nil, ErrCorrection.At("/value").With("field", c.Field)
	case old == c.Value:
		return nil, nil
	case c.Evidence == "" || !short(c.Evidence):
		return nil, ErrField.At("/evidence").With("field", "evidence")
	}
	return []Event{Corrected{Field: c.Field, Old: old, Value: c.Value, Evidence: c.Evidence}}, nil
}

// value is a correctable field as text.
func value(h Home, field string) (string, bool) {
	if n := number(&h, field); n != nil {
		return strconv.Itoa(*n), true
	}
	if a := area(&h, field); a != nil {
		return strconv.FormatInt(*a, 10), true
	}
	if t := text(&h, field); t != nil {
		return *t, true
	}
	return "", false
}

// corrected is h with one field replaced; a value out of form leaves it as it is.
func corrected(h Home, field, v string) Home {
	if n := number(&h, field); n != nil {
		if x, err := strconv.Atoi(v); err == nil {
			*n = x
		}
	} else if a := area(&h, field); a != nil {
		if x, err := strconv.ParseInt(v, 10, 64); err == nil {
			*a = x
		}
	} else if t := text(&h, field); t != nil {
		*t = v
	}
	return h
}

func number(h *Home, field string) *int {
	switch field {
	case "bedrooms":
		return &h.Bedrooms
	case "living_rooms":
		return &h.LivingRooms
	case "bathrooms":
		return &h.Bathrooms
	case "kitchens":
		return &h.Kitchens
	case "floor":
		return &h.Floor
	case "metro_m":
		return &h.MetroM
	case "built_year":
		return &h.BuiltYear
	}
	return nil
}

func area(h *Home, field string) *int64 {
	switch field {
	case "gross_area_c":
		return &h.GrossAreaC
	case "inner_area_c":
		return &h.InnerAreaC
	}
	return nil
}

func text(h *Home, field string) *string {
	switch field {
	case "planned_use":
		return &h.PlannedUse
	case "fitout":
		return &h.Fitout
	case "land_kind":
		return &h.LandKind
	case "title_kind":
		return &h.TitleKind
	case "real_estate_unit_no":
		return &h.RealEstateUnitNo
	case "address":
		return &h.Address
	}
	return nil
}
