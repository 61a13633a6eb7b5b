package unit

import (
	"time"

	"zujian/domain"
)

// Home is a flat (户) with everything later decisions and views need of it. Areas are hundredths of a square metre.
type Home struct {
	Building   string `json:"building"`
	Estate     string `json:"estate,omitempty"`
	BuildingNo string `json:"building_no,omitempty"`
	Street     string `json:"street"`            // Nine digits.
	AdminCode  string `json:"admin_code"`        // Six digits.
	ReportUnit string `json:"report_unit"`       // 统计单元
	Address    string `json:"address,omitempty"` // To building level.
	BuiltYear  int    `json:"built_year,omitempty"`
	Floors     int    `json:"floors,omitempty"`
	MetroM     int    `json:"metro_m,omitempty"` // Metres to the nearest metro station; 0 = unknown.

	UnitNo           string `json:"unit_no"`
	Entrance         string `json:"entrance,omitempty"`
	Floor            int    `json:"floor,omitempty"`
	GrossAreaC       int64  `json:"gross_area_c"`
	InnerAreaC       int64  `json:"inner_area_c,omitempty"` // 0 = unknown.
	Bedrooms         int    `json:"bedrooms,omitempty"`
	LivingRooms      int    `json:"living_rooms,omitempty"`
	Bathrooms        int    `json:"bathrooms,omitempty"`
	Kitchens         int    `json:"kitchens,omitempty"`
	PlannedUse       string `json:"planned_use"`                   // RESIDENTIAL, APARTMENT, DORMITORY, COMMERCIAL, OFFICE, INDUSTRIAL, OTHER.
	Fitout           string `json:"fitout,omitempty"`              // BARE, SIMPLE, FULL.
	RealEstateUnitNo string `json:"real_estate_unit_no,omitempty"` // 不动产单元号
	TitleKind        string `json:"title_kind,omitempty"`
	LandKind         string `json:"land_kind,omitempty"`  // STATE (default) or COLLECTIVE.
	Incomplete       bool   `json:"incomplete,omitempty"` // 非成套住宅
}

// Room is one room (间): the smallest space that may be let (U-05).
type Room struct {
	ID          string `json:"id"`
	RoomNo      string `json:"room_no"`
	Kind        string `json:"kind"`   // BEDROOM, LIVING_ROOM, STUDY, KITCHEN, BATHROOM, BALCONY, CORRIDOR, UNDERGROUND_STORAGE, GARAGE, OTHER.
	Origin      string `json:"origin"` // DESIGNED or PARTITION.
	UsableAreaC int64  `json:"usable_area_c,omitempty"`
}

// Origins of a room.
const (
	OriginDesigned  = "DESIGNED"
	OriginPartition = "PARTITION" // 隔断
)

// Right and ban flags (权利状态).
const (
	FlagSeized      = "SEIZED"       // 查封
	FlagMortgaged   = "MORTGAGED"    // 抵押
	FlagObjection   = "OBJECTION"    // 异议登记
	FlagIllegal     = "ILLEGAL"      // 违法建筑
	FlagNotLettable = "NOT_LETTABLE" // 其他禁止出租
	FlagUseChanged  = "USE_CHANGED"  // 擅自改变用途
)

// Kinds of occupancy.
const (
	KindHead = "HEAD" // 收房合同
	KindOut  = "OUT"  // 出房合同
)

// Occupancy is the space and days one contract holds, or reserves until ExpiresAt.
type Occupancy struct {
	Contract  string     `json:"contract"`
	Kind      string     `json:"kind"`
	Parent    string     `json:"parent,omitempty"` // HEAD contract it stands under.
	Rooms     []string   `json:"rooms,omitempty"`  // None = the whole flat.
	From      domain.Day `json:"from"`
	Until     domain.Day `json:"until"` // Last day, included; before From when it never began.
	Confirmed bool       `json:"confirmed,omitempty"`
	Ended     bool       `json:"ended,omitempty"`     // Of a lease: Until is final. Of a reservation: lost to another.
	ExpiresAt time.Time  `json:"expires_at,omitzero"` // Of a reservation.
}

// Owner is a registered owner.
type Owner struct {
	Party   string `json:"party"`
	ShareBP int    `json:"share_bp"` // Basis points of the title.
}

// Child is a unit that follows another in a split, or joins in a merger.
type Child struct {
	ID         string `json:"id"`
	GrossAreaC int64  `json:"gross_area_c"`
}

// Command asks for a change of one unit.
//
//sumtype:decl
type Command interface{ isCommand() }

// Register enters the unit. Lineage and Occupancies carry over what a split or merger leaves to this unit.
type Register struct {
	Home        Home
	Rooms       []Room // As designed, or measured by the register.
	Lineage     []string
	Occupancies []Occupancy
}

// ProposeRooms proposes a subdivision into rooms (分间) by the lessor; it replaces the rooms when confirmed.
type ProposeRooms struct{ Rooms []Room }

// ConfirmRooms accepts the proposal after a look at the flat (U-01, U-05).
type ConfirmRooms struct{}

// RecordOwnership records who owns the unit from a day on. Shares sum to 10 000.
type RecordOwnership struct {
	Owners  []Owner
	TitleNo string
	From    domain.Day
}

// SetRight raises a flag by an order or register entry.
type SetRight struct{ Flag, OrderNo string }

// ClearRight lowers it.
type ClearRight struct{ Flag, OrderNo string }

// RecordSafety records an appraisal grade A to D (房屋安全鉴定等级).
type RecordSafety struct {
	Grade    string
	ReportNo string
}

// ApproveConversion records the approval to let a non-residential building as homes (非居改租, U-11).
type ApproveConversion struct{ DecisionNo string }

// Correct replaces one attribute on evidence. Field is a JSON name of Home, of those in CorrectableFields.
type Correct struct{ Field, Value, Evidence string }

// Retire ends the unit: DEMOLISHED, MISREGISTERED, CHANGED_USE. Refused while a contract runs.
type Retire struct{ Reason string }

// Split ends the unit in favour of Children (分割). Every contract still running needs its child in Mapping.
type Split struct {
	Children []Child
	Mapping  map[string]string // Contract → child.
	From     domain.Day        // First day of the children; zero = today.
}

// Merge ends the unit in favour of Into (合并), a unit of IntoAreaC; Siblings are the other units that merge.
type Merge struct {
	Into      string
	IntoAreaC int64
	Siblings  []Child
	Contracts []string // Running contracts that follow to Into; all of them, or it is refused.
	From      domain.Day
}

// Reserve holds a space for a contract for fifteen minutes, so that it can be filed (一房一约, U-10).
type Reserve struct {
	Contract string
	Kind     string // HEAD, OUT
	Parent   string
	Rooms    []string // None = the whole flat.
	From     domain.Day
	Until    domain.Day // Last day, included.
}

// Lease takes a space for good, as Reserve and Confirm would: for who files the contract in the same append, so that there is
// nothing to hold it for in between.
type Lease Reserve

// Confirm makes a reservation a lease. After its expiry it still succeeds if nobody else took the space.
type Confirm struct {
	Contract string
	Space    *Reserve // What a filed contract holds, should its reservation have been released meanwhile; nil = not known.
}

// Release gives a reservation or a lease that never stood back. Unknown contracts hold nothing: nothing happens.
type Release struct {
	Contract string
	Unfiled  bool // Only what is not confirmed: the contract may have been filed since.
}

// End records the last day of a lease. A contract only reserved is released; one that holds nothing changes nothing.
type End struct {
	Contract string
	On       domain.Day // Last day, included; after the agreed end it counts as the agreed end.
	Reason   string
}

// Change moves the last day of a lease.
type Change struct {
	Contract string
	Until    domain.Day
}

func (Register) isCommand()          {}
func (ProposeRooms) isCommand()      {}
func (ConfirmRooms) isCommand()      {}
func (RecordOwnership) isCommand()   {}
func (SetRight) isCommand()          {}
func (ClearRight) isCommand()        {}
func (RecordSafety) isCommand()      {}
func (ApproveConversion) isCommand() {}
func (Correct) isCommand()           {}
func (Retire) isCommand()            {}
func (Split) isCommand()             {}
func (Merge) isCommand()             {}
func (Reserve) isCommand()           {}
func (Lease) isCommand()             {}
func (Confirm) isCommand()           {}
func (Release) isCommand()           {}
func (End) isCommand()               {}
func (Change) isCommand()            {}
