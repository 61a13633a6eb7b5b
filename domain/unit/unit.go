// Package unit owns one flat (户): its description, rooms, owners and rights, and above all who holds which of its
// rooms on which days. Two letting contracts can never hold the same space on the same day (一房一约): a contract reserves
// its space here, is filed, and then confirms. Rooms live in their flat's stream, so a lease of the whole flat meets
// every lease of a room.
//
// It does not know what a contract says or who a party is. A building's table of units is package building.
//
// # Facts
//
// Proposing and confirming rooms is judged at stage UNIT, room by room, with: space.kind ("ROOM"), space.space_kind,
// space.origin, space.usable_area_c, space.gross_area_c, space.inner_area_c (absent when unknown), space.planned_use,
// space.conversion_approved, space.is_complete_home, space.land_kind, space.safety_grade ("" = never appraised),
// space.flags, space.admin_code, space.report_unit, space.street.
//
// # Decisions
//
// Whether a seized or unsafe flat may be let is judged where the contract is, with the documents it has; Reserve only
// guards the space. A reservation's expiry is compared with the time of each request, so no timer is needed, and a
// confirmation looks for a conflict even in time: requests may arrive in another order than their clocks say.
package unit

import (
	"slices"

	"zujian/domain"
)

// Decider is the unit aggregate.
var Decider = domain.Decider[State, Command, Event]{Category: "unit", Decide: decide, Evolve: evolve}

// Rejections. The codes are public API.
var (
	ErrNotFound          = domain.Reject("unit.not_found", "there is no such unit")
	ErrWrongState        = domain.Reject("unit.wrong_state", "the unit is not in a state for this")
	ErrAlreadyRegistered = domain.Reject("unit.already_registered", "the unit is registered with other content")
	ErrField             = domain.Reject("unit.field", "a field of the unit is missing or out of range")
	ErrRooms             = domain.Reject("unit.rooms", "the rooms are not a valid subdivision")
	ErrAreaSum           = domain.Reject("unit.area_sum", "the areas do not sum up")
	ErrNoProposal        = domain.Reject("unit.no_proposal", "no rooms are proposed")
	ErrSpaceInUse        = domain.Reject("unit.space_in_use", "a room that would vanish is under contract")
	ErrShareSum          = domain.Reject("unit.share_sum", "the owners' shares do not sum to 10,000 basis points")
	ErrOwners            = domain.Reject("unit.owners", "owners are missing or named twice")
	ErrFlag              = domain.Reject("unit.flag", "this is not a right or ban flag")
	ErrGrade             = domain.Reject("unit.safety_grade", "a safety grade is A, B, C or D")
	ErrOrderNo           = domain.Reject("unit.order_no", "an order or decision number is required")
	ErrCorrection        = domain.Reject("unit.correction", "this field can't be corrected to this value")
	ErrRetireReason      = domain.Reject("unit.retire_reason", "a unit retires as DEMOLISHED, MISREGISTERED or CHANGED_USE")
	ErrHasActiveContract = domain.Reject("unit.has_active_contract", "a contract runs or is being filed on the unit")
	ErrLineageRequired   = domain.Reject("unit.lineage_required", "a running contract has no unit to follow to")
	ErrPeriod            = domain.Reject("unit.period", "the last day is missing or before the first")
	ErrUnknownRoom       = domain.Reject("unit.unknown_room", "the unit has no such room")
	ErrOccupancy         = domain.Reject("unit.occupancy", "contract and kind of an occupancy are required")
	ErrSpaceOverlap      = domain.Reject("unit.space_overlap", "the space is under contract on some of these days")
	ErrUnderHeadLease    = domain.Reject("unit.under_head_lease", "the space is under another's head lease on some of these days")
	ErrAlreadyLeased     = domain.Reject("unit.already_leased", "the contract already holds a space here on other terms")
	ErrNotReserved       = domain.Reject("unit.not_reserved", "the contract has no reservation here")
	ErrLeaseNotFound     = domain.Reject("unit.lease_not_found", "the contract holds nothing here")
	ErrLeaseEnded        = domain.Reject("unit.lease_over", "the lease has ended")
)

// Stage is how a unit stands.
type Stage string

// Stages. The zero Stage means no unit.
const (
	StageNone    Stage = ""
	StageActive  Stage = "ACTIVE"
	StageSplit   Stage = "SPLIT"
	StageMerged  Stage = "MERGED"
	StageRetired Stage = "RETIRED"
)

// State is what later decisions need, and what the desk copies to other aggregates as facts.
type State struct {
	Stage       Stage
	Registered  Event `json:"-"` // As first registered, only to tell a repeat: views keep none of it.
	Home        Home
	Rooms       []Room
	Proposed    []Room // Rooms waiting for confirmation.
	Ownership   []OwnershipRecorded
	Flags       []string // Sorted.
	Safety      SafetyRecorded
	Conversion  string // Decision that approved it; "" = none.
	Occupancies []Occupancy
	Successors  []string // Units it went on in.
}

// OwnersOn are the owners on a day; none when ownership was never recorded for it.
func (s State) OwnersOn(day domain.Day) []Owner {
	i := s.ownershipOn(day)
	if i < 0 {
		return nil
	}
	return s.Ownership[i].Owners
}

func (s State) ownershipOn(day domain.Day) int {
	at := -1
	for i, o := range s.Ownership {
		if o.From <= day && (at < 0 || o.From >= s.Ownership[at].From) {
			at = i
		}
	}
	return at
}

func decide(s State, r domain.Request[Command]) ([]Event, error) {
	switch c := r.Command.(type) {
	case Register:
		return register(s, c)
	case End:
		return end(s, c)
	case Release:
		return release(s, c)
	case Confirm:
		return confirm(s, r, c)
	case Retire:
		return retire(s, r, c)
	case Split:
		return split(s, r, c)
	case Merge:
		return merge(s, r, c)
	}
	if err := s.inStage(StageActive); err != nil {
		return nil, err
	}
	switch c := r.Command.(type) {
	case ProposeRooms:
		return proposeRooms(s, r, c)
	case ConfirmRooms:
		return confirmRooms(s, r)
	case RecordOwnership:
		return recordOwnership(s, c)
	case SetRight:
		return setRight(s, c)
	case ClearRight:
		return clearRight(s, c)
	case RecordSafety:
		return recordSafety(s, r, c)
	case ApproveConversion:
		return approveConversion(s, c)
	case Correct:
		return correct(s, c)
	case Reserve:
		return reserve(s, r, c)
	case Lease:
		return lease(s, r, Reserve(c))
	case Change:
		return change(s, r, c)
	}
	panic("unit: unhandled command") // Sealed set: only a programming error gets here.
}

func (s State) inStage(allowed ...Stage) error {
	if s.Stage == StageNone {
		return ErrNotFound
	}
	if slices.Contains(allowed, s.Stage) {
		return nil
	}
	names := make([]string, len(allowed))
	for i, a := range allowed {
		names[i] = string(a)
	}
	return ErrWrongState.With("from", string(s.Stage)).With("allowed", names)
}

func evolve(s State, event Event) State {
	switch e := event.(type) {
	case Registered:
		s.Stage, s.Registered, s.Home, s.Rooms = StageActive, event, e.Home, e.Rooms
		s.Occupancies = slices.Clone(e.Occupancies)
	case RoomsProposed:
		s.Proposed = e.Rooms
	case RoomsConfirmed:
		s.Rooms, s.Proposed = e.Rooms, nil
	case OwnershipRecorded:
		s.Ownership = append(slices.Clip(s.Ownership), e)
	case RightSet:
		flags := append(slices.Clone(s.Flags), e.Flag)
		slices.Sort(flags)
		s.Flags = slices.Compact(flags)
	case RightCleared:
		s.Flags = slices.DeleteFunc(slices.Clone(s.Flags), func(f string) bool { return f == e.Flag })
	case SafetyRecorded:
		s.Safety = e
	case ConversionApproved:
		s.Conversion = e.DecisionNo
	case Corrected:
		s.Home = corrected(s.Home, e.Field, e.Value)
	case Retired:
		s.Stage = StageRetired
	case WasSplit:
		s.Stage, s.Successors = StageSplit, childIDs(e.Children)
	case WasMerged:
		s.Stage, s.Successors = StageMerged, []string{e.Into}
	default:
		s.Occupancies = evolveOccupancies(s.Occupancies, e)
	}
	return s
}
