package unit

import (
	"time"

	"zujian/domain"
)

// Event is a fact of a unit. JSON names are the storage format.
//
//sumtype:decl
type Event interface {
	domain.Event
	isEvent()
}

// Registered means the unit exists.
type Registered struct {
	Home
	Rooms       []Room      `json:"rooms,omitempty"`
	Lineage     []string    `json:"lineage,omitempty"` // Units it comes from.
	Occupancies []Occupancy `json:"occupancies,omitempty"`
}

// RoomsProposed means a subdivision waits for confirmation.
type RoomsProposed struct {
	Rooms []Room         `json:"rooms"`
	Rules domain.Verdict `json:"rules,omitempty"`
}

// RoomsConfirmed means these are the rooms.
type RoomsConfirmed struct {
	Rooms []Room         `json:"rooms"`
	Rules domain.Verdict `json:"rules,omitempty"`
}

// OwnershipRecorded means these parties own the unit from From on, until a later record.
type OwnershipRecorded struct {
	Owners  []Owner    `json:"owners"`
	TitleNo string     `json:"title_no"`
	From    domain.Day `json:"from"`
}

// RightSet means a flag is up.
type RightSet struct {
	Flag    string `json:"flag"`
	OrderNo string `json:"order_no"`
}

// RightCleared means a flag is down.
type RightCleared struct {
	Flag    string `json:"flag"`
	OrderNo string `json:"order_no"`
}

// SafetyRecorded means the unit was appraised.
type SafetyRecorded struct {
	Grade    string     `json:"grade"`
	ReportNo string     `json:"report_no,omitempty"`
	On       domain.Day `json:"on"`
}

// ConversionApproved means the unit may be let as a home despite its planned use.
type ConversionApproved struct {
	DecisionNo string `json:"decision_no"`
}

// Corrected means an attribute was wrong.
type Corrected struct {
	Field    string `json:"field"`
	Old      string `json:"old"`
	Value    string `json:"value"`
	Evidence string `json:"evidence"`
}

// Retired means the unit is no more.
type Retired struct {
	Reason string     `json:"reason"`
	On     domain.Day `json:"on"`
}

// WasSplit means the unit went on as its children; contracts follow Mapping.
type WasSplit struct {
	Children []Child           `json:"children"`
	Mapping  map[string]string `json:"mapping,omitempty"`
	From     domain.Day        `json:"from"`
}

// WasMerged means the unit went on in another; all its running contracts follow.
type WasMerged struct {
	Into      string     `json:"into"`
	Siblings  []Child    `json:"siblings"`
	Contracts []string   `json:"contracts,omitempty"`
	From      domain.Day `json:"from"`
}

// Reserved means the space is held until ExpiresAt.
type Reserved struct {
	Contract  string     `json:"contract"`
	Kind      string     `json:"kind"`
	Parent    string     `json:"parent,omitempty"`
	Rooms     []string   `json:"rooms,omitempty"`
	From      domain.Day `json:"from"`
	Until     domain.Day `json:"until"`
	ExpiresAt time.Time  `json:"expires_at"`
}

// Leased means the space belongs to the contract from From to Until.
type Leased struct {
	Contract string     `json:"contract"`
	Kind     string     `json:"kind"`
	Parent   string     `json:"parent,omitempty"`
	Rooms    []string   `json:"rooms,omitempty"`
	From     domain.Day `json:"from"`
	Until    domain.Day `json:"until"`
}

// ReservationLost means the reservation expired and another took the space: the contract can't stand.
type ReservationLost struct {
	Contract string `json:"contract"`
}

// Released means the contract holds nothing here any more.
type Released struct {
	Contract string `json:"contract"`
}

// LeaseEnded means On was or is the lease's last day.
type LeaseEnded struct {
	Contract string     `json:"contract"`
	On       domain.Day `json:"on"`
	Reason   string     `json:"reason,omitempty"`
}

// LeaseChanged means the lease has another last day.
type LeaseChanged struct {
	Contract string     `json:"contract"`
	Until    domain.Day `json:"until"`
}

func (Registered) EventType() string         { return "unit.registered" }
func (RoomsProposed) EventType() string      { return "unit.rooms_proposed" }
func (RoomsConfirmed) EventType() string     { return "unit.rooms_confirmed" }
func (OwnershipRecorded) EventType() string  { return "unit.ownership_recorded" }
func (RightSet) EventType() string           { return "unit.right_set" }
func (RightCleared) EventType() string       { return "unit.right_cleared" }
func (SafetyRecorded) EventType() string     { return "unit.safety_recorded" }
func (ConversionApproved) EventType() string { return "unit.conversion_approved" }
func (Corrected) EventType() string          { return "unit.corrected" }
func (Retired) EventType() string            { return "unit.retired" }
func (WasSplit) EventType() string           { return "unit.split" }
func (WasMerged) EventType() string          { return "unit.merged" }
func (Reserved) EventType() string           { return "unit.reserved" }
func (Leased) EventType() string             { return "unit.leased" }
func (ReservationLost) EventType() string    { return "unit.reservation_lost" }
func (Released) EventType() string           { return "unit.released" }
func (LeaseEnded) EventType() string         { return "unit.lease_ended" }
func (LeaseChanged) EventType() string       { return "unit.lease_changed" }

func (Registered) isEvent()         {}
func (RoomsProposed) isEvent()      {}
func (RoomsConfirmed) isEvent()     {}
func (OwnershipRecorded) isEvent()  {}
func (RightSet) isEvent()           {}
func (RightCleared) isEvent()       {}
func (SafetyRecorded) isEvent()     {}
func (ConversionApproved) isEvent() {}
func (Corrected) isEvent()          {}
func (Retired) isEvent()            {}
func (WasSplit) isEvent()           {}
func (WasMerged) isEvent()          {}
func (Reserved) isEvent()           {}
func (Leased) isEvent()             {}
func (ReservationLost) isEvent()    {}
func (Released) isEvent()           {}
func (LeaseEnded) isEvent()         {}
func (LeaseChanged) isEvent()       {}

// Types is the storage format. Names and past versions never change.
var Types = []domain.Type{
	domain.Stored[Registered](), domain.Stored[RoomsProposed](), domain.Stored[RoomsConfirmed](),
	domain.Stored[OwnershipRecorded](), domain.Stored[RightSet](), domain.Stored[RightCleared](),
	domain.Stored[SafetyRecorded](), domain.Stored[ConversionApproved](), domain.Stored[Corrected](),
	domain.Stored[Retired](), domain.Stored[WasSplit](), domain.Stored[WasMerged](),
	domain.Stored[Reserved](), domain.Stored[Leased](), domain.Stored[ReservationLost](),
	domain.Stored[Released](), domain.Stored[LeaseEnded](), domain.Stored[LeaseChanged](),
}
