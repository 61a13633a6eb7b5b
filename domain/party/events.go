package party

import "zujian/domain"

// Event is a fact of a party. JSON names are the storage format.
//
//sumtype:decl
type Event interface {
	domain.Event
	isEvent()
}

// Registered means the party is known (主体登记).
type Registered struct {
	Kind    string `json:"kind"`
	OrgKind string `json:"org_kind,omitempty"`

	Name     domain.Sealed     `json:"name,omitempty"`
	DocType  string            `json:"doc_type,omitempty"`
	DocNo    domain.Sealed     `json:"doc_no,omitempty"`
	DocIndex domain.BlindIndex `json:"doc_index,omitempty"`
	Phone    domain.Sealed     `json:"phone,omitempty"`
	Birth    domain.Sealed     `json:"birth,omitempty"`

	OrgName       string         `json:"org_name,omitempty"`
	USCC          string         `json:"uscc,omitempty"`
	ScopeText     string         `json:"scope_text,omitempty"`
	LicenceIssued domain.Day     `json:"licence_issued,omitzero"`
	AdminCode     string         `json:"admin_code,omitempty"`
	Rules         domain.Verdict `json:"rules,omitempty"`
}

// IdentityVerified means who the party says it is was confirmed (实名认证通过).
type IdentityVerified struct {
	Level  int    `json:"level"`
	Method string `json:"method"`
}

// VerificationFailed is one attempt that did not match.
type VerificationFailed struct {
	Method string     `json:"method"`
	On     domain.Day `json:"on"`
}

// OpeningReported means an opening report waits for the district.
type OpeningReported struct {
	Opening Opening        `json:"opening"`
	Rules   domain.Verdict `json:"rules,omitempty"`
}

// OpeningPublished means the report was accepted and is public.
type OpeningPublished struct {
	On domain.Day `json:"on"`
}

// OpeningReturned means the report was sent back.
type OpeningReturned struct {
	Reason string `json:"reason"`
}

// PractitionerRostered means the person may act for the brokerage.
type PractitionerRostered struct {
	Brokerage string         `json:"brokerage"`
	From      domain.Day     `json:"from"`
	Rules     domain.Verdict `json:"rules,omitempty"`
}

// PractitionerRemoved means the person left the roster; On is the last day on it.
type PractitionerRemoved struct {
	Brokerage string     `json:"brokerage"`
	On        domain.Day `json:"on"`
}

// PractitionerBanned means no brokerage may roster the person through Until.
type PractitionerBanned struct {
	Until   domain.Day `json:"until"`
	OrderNo string     `json:"order_no"`
}

// Mandate is one power of attorney (委托书).
type Mandate struct {
	MandateID string     `json:"mandate_id"`
	To        string     `json:"to"`
	Scope     []string   `json:"scope"`
	Units     []string   `json:"units,omitempty"` // None = all.
	Until     domain.Day `json:"until"`           // Last day, included.
}

// MandateGranted means To may act for the party.
type MandateGranted struct{ Mandate }

// MandateRevoked means the mandate ended before its day.
type MandateRevoked struct {
	MandateID string `json:"mandate_id"`
}

// RepresentativeBound means the person may act for the organisation.
type RepresentativeBound struct {
	Representative string     `json:"representative"`
	Until          domain.Day `json:"until"`
}

// DataCorrected replaces data; what was before stays in the earlier events.
type DataCorrected struct {
	Name      domain.Sealed  `json:"name,omitempty"`
	Phone     domain.Sealed  `json:"phone,omitempty"`
	OrgName   string         `json:"org_name,omitempty"`
	ScopeText string         `json:"scope_text,omitempty"`
	Evidence  string         `json:"evidence"`
	Rules     domain.Verdict `json:"rules,omitempty"`
}

// Suspended means no new business.
type Suspended struct {
	Reason  string `json:"reason"`
	OrderNo string `json:"order_no"`
}

// Reinstated means the suspension is lifted.
type Reinstated struct {
	OrderNo string `json:"order_no"`
}

// SublettingScaleReached means a person must register as an enterprise (S-09).
type SublettingScaleReached struct {
	Count int `json:"count"`
}

// MergerProposed waits for a second pair of eyes.
type MergerProposed struct {
	Survivor   string `json:"survivor"`
	Reason     string `json:"reason"`
	DecisionNo string `json:"decision_no"`
	ProposedBy string `json:"proposed_by"` // Actor id.
}

// Merged means the party is a duplicate of Survivor and acts no more.
type Merged struct {
	Survivor   string `json:"survivor"`
	DecisionNo string `json:"decision_no"`
}

// ErasureProposed waits for a second pair of eyes.
type ErasureProposed struct {
	Reason     string `json:"reason"`
	DecisionNo string `json:"decision_no"`
	ProposedBy string `json:"proposed_by"` // Actor id.
}

// PersonalDataErased means the subject's key is to be destroyed; sealed fields are unreadable from then on.
type PersonalDataErased struct {
	Reason     string `json:"reason"`
	DecisionNo string `json:"decision_no"`
}

func (Registered) EventType() string             { return "party.registered" }
func (IdentityVerified) EventType() string       { return "party.identity_verified" }
func (VerificationFailed) EventType() string     { return "party.verification_failed" }
func (OpeningReported) EventType() string        { return "party.opening_reported" }
func (OpeningPublished) EventType() string       { return "party.opening_published" }
func (OpeningReturned) EventType() string        { return "party.opening_returned" }
func (PractitionerRostered) EventType() string   { return "party.practitioner_rostered" }
func (PractitionerRemoved) EventType() string    { return "party.practitioner_removed" }
func (PractitionerBanned) EventType() string     { return "party.practitioner_banned" }
func (MandateGranted) EventType() string         { return "party.mandate_granted" }
func (MandateRevoked) EventType() string         { return "party.mandate_revoked" }
func (RepresentativeBound) EventType() string    { return "party.representative_bound" }
func (DataCorrected) EventType() string          { return "party.data_corrected" }
func (Suspended) EventType() string              { return "party.suspended" }
func (Reinstated) EventType() string             { return "party.reinstated" }
func (SublettingScaleReached) EventType() string { return "party.subletting_scale_reached" }
func (MergerProposed) EventType() string         { return "party.merger_proposed" }
func (Merged) EventType() string                 { return "party.merged" }
func (ErasureProposed) EventType() string        { return "party.erasure_proposed" }
func (PersonalDataErased) EventType() string     { return "party.personal_data_erased" }

func (Registered) isEvent()             {}
func (IdentityVerified) isEvent()       {}
func (VerificationFailed) isEvent()     {}
func (OpeningReported) isEvent()        {}
func (OpeningPublished) isEvent()       {}
func (OpeningReturned) isEvent()        {}
func (PractitionerRostered) isEvent()   {}
func (PractitionerRemoved) isEvent()    {}
func (PractitionerBanned) isEvent()     {}
func (MandateGranted) isEvent()         {}
func (MandateRevoked) isEvent()         {}
func (RepresentativeBound) isEvent()    {}
func (DataCorrected) isEvent()          {}
func (Suspended) isEvent()              {}
func (Reinstated) isEvent()             {}
func (SublettingScaleReached) isEvent() {}
func (MergerProposed) isEvent()         {}
func (Merged) isEvent()                 {}
func (ErasureProposed) isEvent()        {}
func (PersonalDataErased) isEvent()     {}

// Types is the storage format. Names and past versions never change.
var Types = []domain.Type{
	domain.Stored[Registered](), domain.Stored[IdentityVerified](), domain.Stored[VerificationFailed](),
	domain.Stored[OpeningReported](), domain.Stored[OpeningPublished](), domain.Stored[OpeningReturned](),
	domain.Stored[PractitionerRostered](), domain.Stored[PractitionerRemoved](), domain.Stored[PractitionerBanned](),
	domain.Stored[MandateGranted](), domain.Stored[MandateRevoked](), domain.Stored[RepresentativeBound](),
	domain.Stored[DataCorrected](), domain.Stored[Suspended](), domain.Stored[Reinstated](),
	domain.Stored[SublettingScaleReached](), domain.Stored[ErasureProposed](), domain.Stored[PersonalDataErased](), domain.Stored[MergerProposed](), domain.Stored[Merged](),
}
