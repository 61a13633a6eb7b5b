// Package listing owns one listing (房源): drafted, verified (核验), published, and ended by a contract, a wish, time or a
// finding. A listing is shown only with a valid verification code (核验码), which vouches for publisher, home and rent.
// That one publisher shows a home once on one platform (L-05) is a claim of package claim, made before publishing.
//
// # Facts
//
// Submission and publication are judged at stage LISTING with listing.publisher_role, listing.code, listing.code_until,
// listing.today, listing.rent_fen, listing.area_c (null = not said), listing.rent_fen_m2 (absent when no area is known),
// listing.account_shown, listing.prechecks.{identity,title,visit,contract,statement}, listing.under_head_of_other,
// listing.others[{rent_fen,area_c}]; party.{kind, org_kind, verification_level, suspended, on_black_list,
// opening_reported, licence_issued, market_entity, subletting_homes, accounts} of the publisher; space.{kinds, origins} of the rooms
// offered, space.let_area_c (gross area of a flat, usable area of rooms; absent when unknown), space.{flags, retired,
// safety_grade, planned_use, conversion_approved, land_kind, is_complete_home, admin_code, report_unit, street};
// guidance.{median_fen, p25_fen, p75_fen} (null when none is published); scope.let_mode, scope.subject_kinds.
//
// # Decisions
//
// What the publisher can mend at once (a missing pre-check, a home that may not be let) refuses the command and leaves
// no trace. What the authority must answer for (identity, title, mandate) is an event, and may be objected to. An
// officer who accepts a held listing clears the rules that held it; they do not hold it again at publication.
package listing

import (
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"

	"zujian/domain"
)

// Decider is the listing aggregate.
var Decider = domain.Decider[State, Command, Event]{Category: "listing", Decide: decide, Evolve: evolve}

// Rejections. The codes are public API.
var (
	ErrNotFound      = domain.Reject("listing.not_found", "there is no such listing")
	ErrWrongState    = domain.Reject("listing.wrong_state", "the listing is not in a state for this")
	ErrExists        = domain.Reject("listing.already_drafted", "the listing exists with other content")
	ErrField         = domain.Reject("listing.field", "a field of the listing is missing or out of range")
	ErrRooms         = domain.Reject("listing.rooms", "a whole home is offered without rooms, rooms and beds with them")
	ErrUnknownRoom   = domain.Reject("listing.unknown_room", "the unit has no such room")
	ErrUnitFixed     = domain.Reject("listing.unit_fixed", "a listing keeps its unit and publisher")
	ErrChannelsFixed = domain.Reject("listing.channels_fixed", "withdraw the listing before changing its channels")
	ErrCode          = domain.Reject("listing.code", "the verification code or its last day is not valid")
	ErrCodeExpired   = domain.Reject("listing.code_expired", "the verification code has expired")
	ErrSpaceLet      = domain.Reject("listing.space_let", "the space is already let")
	ErrReason        = domain.Reject("listing.reason", "a reason is required")
	ErrAuthority     = domain.Reject("listing.suspended_by_authority", "what the authority suspended only the authority resumes")
)

// Limits of a listing.
const (
	textMax       = 2000 // Characters of the advertisement.
	reasonMax     = 500  // Characters.
	channelsMax   = 20
	roomsMax      = 30
	cycleMax      = 240        // Months.
	areaMaxC      = 10_000_000 // 100,000 ㎡
	identityLevel = 2          // Identity and name match.
	objectionDays = 3          // Working days to decide an objection, unless L-12 says otherwise.
)

// Stage is how far a listing has come.
type Stage string

// Stages. The zero Stage means no listing.
const (
	StageNone      Stage = ""
	StageDraft     Stage = "DRAFT"
	StageHeld      Stage = "HELD"
	StageRejected  Stage = "REJECTED"
	StageObjected  Stage = "OBJECTED"
	StageVerified  Stage = "VERIFIED"
	StagePublished Stage = "PUBLISHED"
	StageSuspended Stage = "SUSPENDED"
	StageWithdrawn Stage = "WITHDRAWN"
	StageLet       Stage = "LET"
	StageExpired   Stage = "EXPIRED"
	StageRevoked   Stage = "REVOKED"
)

var ended = []Stage{StageWithdrawn, StageLet, StageExpired, StageRevoked}

// State is what later decisions need. The zero State means no listing.
type State struct {
	Stage      Stage
	Drafted    Offer // As first drafted.
	Offer      Offer
	Place      Submitted
	Code       string
	ValidUntil domain.Day
	Recalled   bool // It had a code that an edit took.
	Held       Held
	Rejected   Rejected
	Cleared    []string // Rules an officer has looked at and let pass.
	Suspended  Suspended
	Objection  string
	Contract   string // That let it.
}

// Ended reports whether nothing more can come of it.
func (s State) Ended() bool { return slices.Contains(ended, s.Stage) }

func decide(s State, r domain.Request[Command]) ([]Event, error) {
	if c, ok := r.Command.(Draft); ok {
		return draft(s, c)
	}
	if s.Stage == StageNone {
		return nil, ErrNotFound
	}
	switch c := r.Command.(type) {
	case Edit:
		return edit(s, c)
	case Submit:
		return submit(s, r, c)
	case Review:
		return review(s, r, c)
	case Publish:
		return publish(s, r, c)
	case Suspend:
		return suspend(s, r, c)
	case Resume:
		return resume(s, r)
	case Withdraw:
		return withdraw(s, c)
	case MarkLet:
		if s.Ended() {
			return nil, nil
		}
		return []Event{Let{Contract: c.Contract, RentFen: c.RentFen, Rules: s.judgeDeal(r, c.RentFen)}}, nil
	case Expire:
		if !s.coded() || c.On <= s.ValidUntil || c.On > r.Today() {
			return nil, nil
		}
		return []Event{Expired(c)}, nil
	case Revoke:
		return revoke(s, c)
	case Renew:
		return renew(s, r, c)
	case Object:
		return object(s, r, c)
	case DecideObjection:
		return decideObjection(s, r, c)
	}
	panic("listing: unhandled command") // Sealed set: only a programming error gets here.
}

// coded reports whether the listing has a code that counts.
func (s State) coded() bool {
	return s.Stage == StageVerified || s.Stage == StagePublished || s.Stage == StageSuspended
}

func (s State) inStage(allowed ...Stage) error {
	if slices.Contains(allowed, s.Stage) {
		return nil
	}
	names := make([]string, len(allowed))
	for i, a := range allowed {
		names[i] = string(a)
	}
	return ErrWrongState.With("from", string(s.Stage)).With("allowed", names)
}

func draft(s State, c Draft) ([]Event, error) {
	if s.Stage != StageNone {
		if reflect.DeepEqual(s.Drafted, c.Offer) {
			return nil, nil
		}
		return nil, ErrExists
	}
	if err := check(c.Offer); err != nil {
		return nil, err
	}
	return []Event{Drafted{Offer: c.Offer}}, nil
}

func check(o Offer) error {
	bad := func(field string) error { return ErrField.At("/"+field).With("field", field) }
	switch {
	case o.Unit == "":
		return bad("unit_id")
	case o.Publisher == "":
		return bad("publisher_id")
	case o.Owner == "":
		return bad("owner_id")
	case !slices.Contains([]string{PublisherOwner, PublisherCompany, PublisherBroker}, o.PublisherRole):
		return bad("publisher_role")
	case !slices.Contains([]string{LetWhole, LetByRoom, LetByBed}, o.LetMode):
		return bad("let_mode")
	case (o.LetMode == LetWhole) != (len(o.Rooms) == 0) || len(o.Rooms) > roomsMax || repeats(o.Rooms):
		return ErrRooms.At("/rooms")
	case o.RentFen < 1 || o.RentFen > domain.FenMax:
		return bad("rent_fen")
	case o.DepositFen < 0 || o.DepositFen > domain.FenMax:
		return bad("deposit_fen")
	case o.PayCycleMonths < 0 || o.PayCycleMonths > cycleMax:
		return bad("pay_cycle_months")
	case o.AreaC < 0 || o.AreaC > areaMaxC:
		return bad("area_c")
	case len(o.Channels) > channelsMax || repeats(o.Channels):
		return bad("channels")
	case o.AccountRef.Last4 != "" && (len(o.AccountRef.Last4) != 4 || strings.Trim(o.AccountRef.Last4, "0123456789") != ""):
		return bad("account_ref/last4")
	case utf8.RuneCountInString(o.Text) > textMax:
		return bad("text")
	}
	for _, channel := range o.Channels {
		if channel == "" || len(channel) > 64 {
			return bad("channels")
		}
	}
	return nil
}

func repeats(texts []string) bool {
	for i, t := range texts {
		if slices.Contains(texts[:i], t) {
			return true
		}
	}
	return false
}

func edit(s State, c Edit) ([]Event, error) {
	if err := s.inStage(StageDraft, StageHeld, StageRejected, StageVerified, StagePublished, StageSuspended); err != nil {
		return nil, err
	}
	now, was := c.Offer, s.Offer
	shown := s.Stage == StagePublished || s.Stage == StageSuspended
	switch {
	case reflect.DeepEqual(now, was):
		return nil, nil
	case s.Rejected.Final && s.Stage == StageRejected:
		return nil, s.inStage(StageDraft)
	case now.Unit != was.Unit || now.Publisher != was.Publisher || now.PublisherRole != was.PublisherRole:
		return nil, ErrUnitFixed
	case shown && !slices.Equal(now.Channels, was.Channels):
		return nil, ErrChannelsFixed.At("/channels")
	}
	if err := check(now); err != nil {
		return nil, err
	}
	material := now.RentFen != was.RentFen || now.DepositFen != was.DepositFen || now.AreaC != was.AreaC || now.LetMode != was.LetMode ||
		now.Owner != was.Owner || now.AccountRef != was.AccountRef || !slices.Equal(now.Rooms, was.Rooms)
	return []Event{Edited{Offer: now, Reverify: s.Stage != StageDraft && (material || !s.coded())}}, nil
}

func withdraw(s State, c Withdraw) ([]Event, error) {
	switch {
	case s.Stage == StageWithdrawn:
		return nil, nil
	case s.Ended():
		return nil, s.inStage(StageDraft, StageHeld, StageRejected, StageObjected, StageVerified, StagePublished, StageSuspended)
	case utf8.RuneCountInString(c.Reason) > reasonMax:
		return nil, ErrReason.At("/reason")
	}
	return []Event{Withdrawn(c)}, nil
}

func revoke(s State, c Revoke) ([]Event, error) {
	switch {
	case s.Stage == StageRevoked:
		return nil, nil
	case c.Finding == "" || utf8.RuneCountInString(c.Finding) > reasonMax:
		return nil, ErrReason.At("/reason")
	}
	return []Event{Revoked(c)}, nil
}

func suspend(s State, r domain.Request[Command], c Suspend) ([]Event, error) {
	if err := s.inStage(StagePublished, StageSuspended); err != nil {
		return nil, err
	}
	authority := r.Actor.Role == domain.RoleDistrict || r.Actor.Role == domain.RoleCity
	switch {
	case c.Cause == "" || utf8.RuneCountInString(c.Cause) > reasonMax:
		return nil, ErrReason.At("/reason")
	case s.Stage == StageSuspended && (s.Suspended.Authority || !authority):
		return nil, nil
	}
	return []Event{Suspended{Cause: c.Cause, Authority: authority}}, nil
}

func resume(s State, r domain.Request[Command]) ([]Event, error) {
	if err := s.inStage(StagePublished, StageSuspended); err != nil {
		return nil, err
	}
	authority := r.Actor.Role == domain.RoleDistrict || r.Actor.Role == domain.RoleCity
	switch {
	case s.Stage == StagePublished:
		return nil, nil
	case s.Suspended.Authority && !authority:
		return nil, ErrAuthority
	case r.Today() > s.ValidUntil:
		return nil, ErrCodeExpired.With("valid_until", s.ValidUntil)
	}
	return []Event{Resumed{}}, nil
}

func evolve(s State, e Event) State {
	switch e := e.(type) {
	case Drafted:
		s.Stage, s.Drafted, s.Offer = StageDraft, e.Offer, e.Offer
	case Edited:
		s.Offer = e.Offer
		if e.Reverify {
			s.Recalled = s.Recalled || s.Code != ""
			s.Stage, s.Code, s.ValidUntil, s.Cleared, s.Rejected = StageDraft, "", 0, nil, Rejected{}
		}
	case Submitted:
		s.Place = e
	case Verified:
		s.Stage, s.Code, s.ValidUntil = StageVerified, e.Code, e.ValidUntil
		if len(s.Held.Rules) > 0 {
			s.Cleared = append(slices.Clip(s.Cleared), holding(s.Held.Rules)...)
		}
		s.Held = Held{}
	case Rejected:
		s.Stage, s.Rejected, s.Held = StageRejected, e, Held{}
	case Held:
		s.Stage, s.Held = StageHeld, e
	case Published:
		s.Stage = StagePublished
	case Suspended:
		s.Stage, s.Suspended = StageSuspended, e
	case Resumed:
		s.Stage, s.Suspended = StagePublished, Suspended{}
	case Withdrawn:
		s.Stage = StageWithdrawn
	case Let:
		s.Stage, s.Contract = StageLet, e.Contract
	case Expired:
		s.Stage = StageExpired
	case Revoked:
		s.Stage = StageRevoked
	case CodeRenewed:
		s.Code, s.ValidUntil = e.Code, e.ValidUntil
	case Objected:
		s.Stage, s.Objection = StageObjected, e.Text
	case ObjectionDecided: // The decision's own event follows.
	}
	return s
}
