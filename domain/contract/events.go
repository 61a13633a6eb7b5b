package contract

import (
	"time"

	"zujian/domain"
)

// Event is a fact of this aggregate. JSON names are the storage format.
//
//sumtype:decl
type Event interface {
	EventType() string
	isEvent()
}

// Drafted means terms were recorded for signature.
type Drafted struct {
	Terms           Terms          `json:"terms"`
	Subject         Subject        `json:"subject"`
	GuidanceVersion string         `json:"guidance_version,omitempty"`
	ContentHash     string         `json:"content_hash"`
	Rules           domain.Verdict `json:"rules,omitempty"`
}

// Abandoned means the draft was given up.
type Abandoned struct {
	Reason string `json:"reason,omitempty"`
}

// SignedByParty means one party is bound to the content hash.
type SignedByParty struct {
	Party       string    `json:"party"`
	ContentHash string    `json:"content_hash"`
	Method      string    `json:"method"`
	Evidence    string    `json:"evidence,omitempty"`
	By          string    `json:"by,omitempty"` // Party that signed for it under a mandate.
	At          time.Time `json:"at"`
}

// Signed means all parties are bound: the content never changes again but by amendment.
type Signed struct {
	SignedOn        domain.Day     `json:"signed_on"` // The day whose rules apply.
	ContentHash     string         `json:"content_hash"`
	Escrow          Escrow         `json:"escrow,omitzero"` // As agreed, or MANDATORY when a rule routes the money.
	GuidanceVersion string         `json:"guidance_version,omitempty"`
	Paper           bool           `json:"paper,omitempty"`
	Rules           domain.Verdict `json:"rules,omitempty"`
}

// Declined means a party refused to sign.
type Declined struct {
	Party  string `json:"party"`
	Reason string `json:"reason,omitempty"`
}

// PaperRecorded means a contract signed on paper was taken in.
type PaperRecorded struct {
	ScanSHA256  string `json:"scan_sha256"`
	ContentHash string `json:"content_hash"`
	ByRole      string `json:"by_role"`
	By          string `json:"by,omitempty"`
}

// Filed means the authority accepted the filing (已备案). It repeats what views need of the terms.
type Filed struct {
	FilingNo        string             `json:"filing_no"`
	ByRole          string             `json:"by_role"`
	By              string             `json:"by,omitempty"`
	SignedOn        domain.Day         `json:"signed_on"`
	FiledOn         domain.Day         `json:"filed_on"`
	Late            bool               `json:"late,omitempty"` // After the deadline of C-14.
	Authority       string             `json:"authority,omitempty"`
	CertificateHash string             `json:"certificate_hash"`
	ContentHash     string             `json:"content_hash"`
	Summary         Summary            `json:"summary"`
	Observation     domain.Observation `json:"observation"`
	GuidanceVersion string             `json:"guidance_version,omitempty"`
	Rules           domain.Verdict     `json:"rules,omitempty"`
}

// Summary is what a view keeps of the terms in force.
type Summary struct {
	Kind           string     `json:"kind"`
	Unit           string     `json:"unit"`
	Building       string     `json:"building,omitempty"`
	Rooms          []string   `json:"rooms,omitempty"`
	LetMode        string     `json:"let_mode"`
	Parent         string     `json:"parent,omitempty"`
	Start          domain.Day `json:"start"`
	End            domain.Day `json:"end"`
	MonthlyRentFen domain.Fen `json:"monthly_rent_fen"`
	PayCycleMonths int        `json:"pay_cycle_months"`
	DepositFen     domain.Fen `json:"deposit_fen"`
	Escrow         Escrow     `json:"escrow,omitzero"`
	ReportUnit     string     `json:"report_unit,omitempty"`
	Street         string     `json:"street,omitempty"`
	AdminCode      string     `json:"admin_code,omitempty"`
	Lessors        []string   `json:"lessors"`
	Lessees        []string   `json:"lessees"`
	Brokerage      string     `json:"brokerage,omitempty"`
	Occupants      int        `json:"occupants,omitempty"` // Head count.
}

// FilingHeld means a human must look before the filing is accepted.
type FilingHeld struct {
	FilingNo string         `json:"filing_no"`
	ByRole   string         `json:"by_role"`
	By       string         `json:"by,omitempty"`
	HeldOn   domain.Day     `json:"held_on"` // Counts as the day of filing for the deadline.
	Subject  Subject        `json:"subject"`
	Reasons  []string       `json:"reasons"` // Rule ids, in rule order.
	Rules    domain.Verdict `json:"rules,omitempty"`
}

// FilingReturned means the district sent a held filing back.
type FilingReturned struct {
	Reason string `json:"reason"`
}

// AmendmentProposed means changed terms are open for signature.
type AmendmentProposed struct {
	AmendmentID   string         `json:"amendment_id"`
	By            string         `json:"by,omitempty"`
	Changes       Changes        `json:"changes"`
	EffectiveFrom domain.Day     `json:"effective_from"`
	Hash          string         `json:"hash"`
	Rules         domain.Verdict `json:"rules,omitempty"`
}

// AmendmentSigned is one party's signature under an amendment.
type AmendmentSigned struct {
	AmendmentID string `json:"amendment_id"`
	Party       string `json:"party"`
	Hash        string `json:"hash"`
}

// Amended means all signed and the terms in force changed (变更备案).
//
// Observation is the contract's rent from Observation.From on; ObservationBefore stands until the month before. When
// both start in the same month the one replaces the other, in the new-lettings figures too; otherwise those keep the
// rent of signing. Both are absent while the contract is not filed.
type Amended struct {
	AmendmentID       string              `json:"amendment_id"`
	Changes           Changes             `json:"changes"`
	Before            Summary             `json:"before"`
	After             Summary             `json:"after"`
	EffectiveFrom     domain.Day          `json:"effective_from"`
	AmendedOn         domain.Day          `json:"amended_on"`
	ContentHash       string              `json:"content_hash"`               // Of the amended terms.
	CertificateHash   string              `json:"certificate_hash,omitempty"` // Of the certificate's next version; none while not filed.
	ObservationBefore *domain.Observation `json:"observation_before,omitempty"`
	Observation       *domain.Observation `json:"observation,omitempty"`
	Rules             domain.Verdict      `json:"rules,omitempty"`
}

// LessorReplaced means a new title put new lessors in the place of the old; the lease goes on (民法典第七百二十五条).
type LessorReplaced struct {
	Lessors         []PartyShare `json:"lessors"`
	TitleNo         string       `json:"title_no"`
	From            domain.Day   `json:"from"`
	Subject         Subject      `json:"subject"`
	Before          Summary      `json:"before"`
	After           Summary      `json:"after"`
	ReplacedOn      domain.Day   `json:"replaced_on"`
	ContentHash     string       `json:"content_hash"`
	CertificateHash string       `json:"certificate_hash,omitempty"`
}

// HandoverRecorded is one side's inventory, open for the other's word.
type HandoverRecorded struct {
	Party    string   `json:"party"`
	Handover Handover `json:"handover"`
	Hash     string   `json:"hash"`
}

// HandoverConfirmed means both sides agree on the inventory.
type HandoverConfirmed struct {
	Party     string `json:"party"`
	Direction string `json:"direction"`
	Hash      string `json:"hash"`
}

// OccupantAdded means somebody was registered as living there.
type OccupantAdded struct {
	Occupant  Occupant       `json:"occupant"`
	Occupants int            `json:"occupants"` // Head count after.
	Rules     domain.Verdict `json:"rules,omitempty"`
}

// OccupantRemoved means an occupant moved out.
type OccupantRemoved struct {
	OccupantID string     `json:"occupant_id"`
	On         domain.Day `json:"on"`
	Occupants  int        `json:"occupants"` // Head count after.
}

// NoticeGiven means one side announced the end.
type NoticeGiven struct {
	By         string     `json:"by"`
	Party      string     `json:"party,omitempty"`
	Ground     string     `json:"ground"`
	NoticeDate domain.Day `json:"notice_date"`
	VacateBy   domain.Day `json:"vacate_by"`
	Held       bool       `json:"held,omitempty"` // Shorter than the reasonable time of C-20: a human looks before it counts.
}

// TerminationAgreed is one party's word for ending by agreement.
type TerminationAgreed struct {
	Party  string     `json:"party"`
	Ground string     `json:"ground,omitempty"`
	On     domain.Day `json:"on"`
}

// Terminated means the contract ended before its last day. Observation is what stays of the rent in force.
type Terminated struct {
	By                string              `json:"by"`
	Party             string              `json:"party,omitempty"`
	Ground            string              `json:"ground,omitempty"`
	DecisionNo        string              `json:"decision_no,omitempty"`
	On                domain.Day          `json:"on"` // Last day of the lease.
	Unit              string              `json:"unit,omitempty"`
	Kind              string              `json:"kind"`
	ObservationBefore *domain.Observation `json:"observation_before,omitempty"`
	Observation       *domain.Observation `json:"observation,omitempty"`
}

// Expired means the last day passed.
type Expired struct {
	On   domain.Day `json:"on"` // Last day of the lease.
	Unit string     `json:"unit,omitempty"`
	Kind string     `json:"kind"`
}

// Renewed links to the contract that continues this one.
type Renewed struct {
	NewContract string `json:"new_contract"`
}

// CancellationProposed waits for a second pair of eyes.
type CancellationProposed struct {
	Reason     string `json:"reason"`
	DecisionNo string `json:"decision_no"`
	ProposedBy string `json:"proposed_by"` // Actor id.
}

// CancellationRejected means the filing stands.
type CancellationRejected struct {
	DecisionNo string `json:"decision_no"`
	Reason     string `json:"reason,omitempty"`
}

// FilingCancelled means the filing never counts (注销备案). Observations are all to be removed from the figures.
type FilingCancelled struct {
	FilingNo     string               `json:"filing_no"`
	Reason       string               `json:"reason"`
	DecisionNo   string               `json:"decision_no"`
	CancelledOn  domain.Day           `json:"cancelled_on"`
	Unit         string               `json:"unit,omitempty"`
	Observation  *domain.Observation  `json:"observation,omitempty"`  // The first, as filed.
	Observations []domain.Observation `json:"observations,omitempty"` // Every segment, the first included.
}

// UpstreamEnded means the HEAD contract above this sublease is over.
type UpstreamEnded struct {
	Head string     `json:"head"`
	On   domain.Day `json:"on"`
}

// Annulled means the contract's space was lost before it was secured.
type Annulled struct {
	Reason       string               `json:"reason"`
	FilingNo     string               `json:"filing_no,omitempty"`
	Unit         string               `json:"unit,omitempty"`
	Observation  *domain.Observation  `json:"observation,omitempty"`
	Observations []domain.Observation `json:"observations,omitempty"`
}

// LegacyRecorded means a filing of an older system was taken over.
type LegacyRecorded struct {
	Source         LegacySource       `json:"source"`
	Missing        []string           `json:"missing,omitempty"`
	Observation    domain.Observation `json:"observation"`
	Kind           string             `json:"kind"`
	FilingNo       string             `json:"filing_no,omitempty"`
	FiledOn        domain.Day         `json:"filed_on,omitzero"`
	Start          domain.Day         `json:"start,omitzero"`
	End            domain.Day         `json:"end,omitzero"`
	MonthlyRentFen domain.Fen         `json:"monthly_rent_fen"`
	DepositFen     domain.Fen         `json:"deposit_fen,omitempty"`
	UnitText       string             `json:"unit_text,omitempty"`
}

// Types is the storage format. Order is free; names and past versions never change.
var Types = []domain.Type{
	domain.Stored[Drafted](), domain.Stored[Abandoned](), domain.Stored[SignedByParty](), domain.Stored[Signed](),
	domain.Stored[Declined](), domain.Stored[PaperRecorded](), domain.Stored[Filed](), domain.Stored[FilingHeld](),
	domain.Stored[FilingReturned](), domain.Stored[AmendmentProposed](), domain.Stored[AmendmentSigned](),
	domain.Stored[Amended](), domain.Stored[LessorReplaced](), domain.Stored[HandoverRecorded](), domain.Stored[HandoverConfirmed](),
	domain.Stored[OccupantAdded](), domain.Stored[OccupantRemoved](),
	domain.Stored[NoticeGiven](), domain.Stored[TerminationAgreed](), domain.Stored[Terminated](),
	domain.Stored[Expired](), domain.Stored[Renewed](), domain.Stored[CancellationProposed](),
	domain.Stored[CancellationRejected](), domain.Stored[FilingCancelled](), domain.Stored[UpstreamEnded](),
	domain.Stored[Annulled](), domain.Stored[LegacyRecorded](),
}

func (Drafted) EventType() string              { return "contract.drafted" }
func (Abandoned) EventType() string            { return "contract.abandoned" }
func (SignedByParty) EventType() string        { return "contract.signed_by_party" }
func (Signed) EventType() string               { return "contract.signed" }
func (Declined) EventType() string             { return "contract.declined" }
func (PaperRecorded) EventType() string        { return "contract.paper_recorded" }
func (Filed) EventType() string                { return "contract.filed" }
func (FilingHeld) EventType() string           { return "contract.filing_held" }
func (FilingReturned) EventType() string       { return "contract.filing_returned" }
func (AmendmentProposed) EventType() string    { return "contract.amendment_proposed" }
func (AmendmentSigned) EventType() string      { return "contract.amendment_signed" }
func (Amended) EventType() string              { return "contract.amended" }
func (LessorReplaced) EventType() string       { return "contract.lessor_replaced" }
func (HandoverRecorded) EventType() string     { return "contract.handover_recorded" }
func (HandoverConfirmed) EventType() string    { return "contract.handover_confirmed" }
func (OccupantAdded) EventType() string        { return "contract.occupant_added" }
func (OccupantRemoved) EventType() string      { return "contract.occupant_removed" }
func (NoticeGiven) EventType() string          { return "contract.notice_given" }
func (TerminationAgreed) EventType() string    { return "contract.termination_agreed" }
func (Terminated) EventType() string           { return "contract.terminated" }
func (Expired) EventType() string              { return "contract.expired" }
func (Renewed) EventType() string              { return "contract.renewed" }
func (CancellationProposed) EventType() string { return "contract.cancellation_proposed" }
func (CancellationRejected) EventType() string { return "contract.cancellation_rejected" }
func (FilingCancelled) EventType() string      { return "contract.filing_cancelled" }
func (UpstreamEnded) EventType() string        { return "contract.upstream_ended" }
func (Annulled) EventType() string             { return "contract.annulled" }
func (LegacyRecorded) EventType() string       { return "contract.legacy_recorded" }

func (Drafted) isEvent()              {}
func (Abandoned) isEvent()            {}
func (SignedByParty) isEvent()        {}
func (Signed) isEvent()               {}
func (Declined) isEvent()             {}
func (PaperRecorded) isEvent()        {}
func (Filed) isEvent()                {}
func (FilingHeld) isEvent()           {}
func (FilingReturned) isEvent()       {}
func (AmendmentProposed) isEvent()    {}
func (AmendmentSigned) isEvent()      {}
func (Amended) isEvent()              {}
func (LessorReplaced) isEvent()       {}
func (HandoverRecorded) isEvent()     {}
func (HandoverConfirmed) isEvent()    {}
func (OccupantAdded) isEvent()        {}
func (OccupantRemoved) isEvent()      {}
func (NoticeGiven) isEvent()          {}
func (TerminationAgreed) isEvent()    {}
func (Terminated) isEvent()           {}
func (Expired) isEvent()              {}
func (Renewed) isEvent()              {}
func (CancellationProposed) isEvent() {}
func (CancellationRejected) isEvent() {}
func (FilingCancelled) isEvent()      {}
func (UpstreamEnded) isEvent()        {}
func (Annulled) isEvent()             {}
func (LegacyRecorded) isEvent()       {}
