package building

import "zujian/domain"

// UnitPlan is one flat (户) of the building register (楼盘表) as measured and titled. Areas are hundredths of a square metre;
// zero is unknown, except GrossAreaC, which must be known.
type UnitPlan struct {
	ID               string     `json:"id"`
	UnitNo           string     `json:"unit_no"` // 室, unique in its entrance.
	Entrance         string     `json:"entrance,omitempty"`
	Floor            int        `json:"floor,omitempty"`
	GrossAreaC       int64      `json:"gross_area_c"`
	InnerAreaC       int64      `json:"inner_area_c,omitempty"`
	Bedrooms         int        `json:"bedrooms,omitempty"`
	LivingRooms      int        `json:"living_rooms,omitempty"`
	Bathrooms        int        `json:"bathrooms,omitempty"`
	Kitchens         int        `json:"kitchens,omitempty"`
	PlannedUse       string     `json:"planned_use"`                   // RESIDENTIAL, APARTMENT, DORMITORY, COMMERCIAL, OFFICE, INDUSTRIAL, OTHER.
	Fitout           string     `json:"fitout,omitempty"`              // BARE, SIMPLE, FULL.
	RealEstateUnitNo string     `json:"real_estate_unit_no,omitempty"` // 不动产单元号, 28 characters.
	TitleKind        string     `json:"title_kind,omitempty"`
	LandKind         string     `json:"land_kind,omitempty"` // STATE (default) or COLLECTIVE.
	Incomplete       bool       `json:"incomplete,omitempty"`
	Rooms            []RoomPlan `json:"rooms,omitempty"`
}

// RoomPlan is one room (间) of a flat.
type RoomPlan struct {
	ID          string `json:"id"`
	RoomNo      string `json:"room_no"`
	Kind        string `json:"kind"`   // BEDROOM, LIVING_ROOM, STUDY, KITCHEN, BATHROOM, BALCONY, CORRIDOR, UNDERGROUND_STORAGE, GARAGE, OTHER.
	Origin      string `json:"origin"` // DESIGNED or PARTITION.
	UsableAreaC int64  `json:"usable_area_c,omitempty"`
}

// Command asks for a change of one building's register.
//
//sumtype:decl
type Command interface{ isCommand() }

// Register enters the building with its units.
type Register struct {
	Estate     string // 楼盘 (小区)
	BuildingNo string // 幢
	Street     string // Nine digits.
	AdminCode  string // Six digits.
	ReportUnit string
	Address    string // Door plate, to building level.
	BuiltYear  int    // 0 = unknown.
	Floors     int
	MetroM     int // Metres to the nearest metro station; 0 = unknown.
	Units      []UnitPlan
}

// AddUnits enters more units, from a day on (zero = today).
type AddUnits struct {
	Units []UnitPlan
	From  domain.Day
}

// ReplaceUnits takes units off the table and puts others in their place from From on: a split (分割) or merger (合并).
type ReplaceUnits struct {
	Removed []string
	Added   []UnitPlan
	From    domain.Day
}

// CorrectAddress replaces the door plate on evidence.
type CorrectAddress struct{ Address, Evidence string }

func (Register) isCommand()       {}
func (AddUnits) isCommand()       {}
func (ReplaceUnits) isCommand()   {}
func (CorrectAddress) isCommand() {}

// Event is a fact of a building. JSON names are the storage format.
//
//sumtype:decl
type Event interface {
	domain.Event
	isEvent()
}

// Registered means the building and its units stand in the register.
type Registered struct {
	Estate     string     `json:"estate"`
	BuildingNo string     `json:"building_no"`
	Street     string     `json:"street"`
	AdminCode  string     `json:"admin_code"`
	ReportUnit string     `json:"report_unit"`
	Address    string     `json:"address"`
	BuiltYear  int        `json:"built_year,omitempty"`
	Floors     int        `json:"floors,omitempty"`
	MetroM     int        `json:"metro_m,omitempty"`
	Units      []UnitPlan `json:"units,omitempty"`
}

// UnitsAdded means more units stand in the register from From on.
type UnitsAdded struct {
	Units []UnitPlan `json:"units"`
	From  domain.Day `json:"from"`
}

// UnitsReplaced means Removed end on the day before From and Added begin on it.
type UnitsReplaced struct {
	Removed []string   `json:"removed"`
	Added   []UnitPlan `json:"added"`
	From    domain.Day `json:"from"`
}

// Corrected means the address was wrong.
type Corrected struct {
	Address  string `json:"address"`
	Evidence string `json:"evidence"`
}

func (Registered) EventType() string    { return "building.registered" }
func (UnitsAdded) EventType() string    { return "building.units_added" }
func (UnitsReplaced) EventType() string { return "building.units_replaced" }
func (Corrected) EventType() string     { return "building.corrected" }
func (Registered) isEvent()             {}
func (UnitsAdded) isEvent()             {}
func (UnitsReplaced) isEvent()          {}
func (Corrected) isEvent()              {}

// Types is the storage format. Names and past versions never change.
var Types = []domain.Type{
	domain.Stored[Registered](), domain.Stored[UnitsAdded](), domain.Stored[UnitsReplaced](), domain.Stored[Corrected](),
}
