package guidance

import "zujian/domain"

// Event is a fact of this aggregate. JSON names are the storage format.
//
//sumtype:decl
type Event interface {
	EventType() string
	isEvent()
}

// Proposed means prices were computed and await review.
type Proposed struct {
	Version       int        `json:"version"`
	Cells         []Cell     `json:"cells"`
	EffectiveFrom domain.Day `json:"effective_from"`
	Reason        string     `json:"reason,omitempty"` // Of a revision.
	Method        string     `json:"method,omitempty"`
	Inputs        string     `json:"inputs,omitempty"`
	ProposedBy    string     `json:"proposed_by"` // Actor id.

	Position    uint64        `json:"position,omitzero"` // Since version 2 of the format, and all below.
	Parameters  Parameters    `json:"parameters,omitzero"`
	Comparables []Comparables `json:"comparables,omitempty"`
	Answers     []string      `json:"answers,omitempty"` // Objections.
}

// CellAdjusted means a person set a cell's prices otherwise than they were computed.
type CellAdjusted struct {
	Version    int            `json:"version"`
	Cell       CellID         `json:"cell"`
	Old        Prices         `json:"old"`
	New        Prices         `json:"new"`
	ChangeBP   int64          `json:"change_bp"` // Of the computed prices, the largest of the five.
	Reason     string         `json:"reason"`
	AdjustedBy string         `json:"adjusted_by"`
	Rules      domain.Verdict `json:"rules,omitempty"`
}

// Reviewed means somebody who did not make the proposal went over it.
type Reviewed struct {
	Version    int    `json:"version"`
	ReviewedBy string `json:"reviewed_by"`
	Note       string `json:"note,omitempty"`
}

// Published means the proposed version is in force from a day on and never changes.
type Published struct {
	Version       int        `json:"version"`
	EffectiveFrom domain.Day `json:"effective_from"`
	Cells         []Cell     `json:"cells"` // As adjusted.
	ProposedBy    string     `json:"proposed_by"`
	ApprovedBy    string     `json:"approved_by"`

	ReviewedBy  string     `json:"reviewed_by,omitempty"` // Since version 2 of the format, and all below.
	PublishedOn domain.Day `json:"published_on,omitzero"`
	Closes      domain.Day `json:"closes,omitzero"` // Last day of the version before, if that was in force at all.
}

// Withdrawn means a proposal was dropped.
type Withdrawn struct {
	Version int    `json:"version"`
	Reason  string `json:"reason,omitempty"`
}

// WithdrawalProposed means somebody wants a published version to end.
type WithdrawalProposed struct {
	Version    int    `json:"version"`
	Reason     string `json:"reason"`
	ProposedBy string `json:"proposed_by"`
}

// Ended means a published version was withdrawn: after its last day no prices of the period are in force.
type Ended struct {
	Version    int        `json:"version"`
	LastDay    domain.Day `json:"last_day"` // Before its first: it never was in force.
	Reason     string     `json:"reason"`
	ProposedBy string     `json:"proposed_by"`
	ApprovedBy string     `json:"approved_by"`
}

// ObjectionFiled means somebody contests a published cell.
type ObjectionFiled struct {
	Objection string        `json:"objection"`
	Version   int           `json:"version"`
	Cell      CellID        `json:"cell"`
	Party     string        `json:"party,omitempty"` // "" = the public.
	Subject   string        `json:"subject"`
	Text      domain.Sealed `json:"text"`
	Evidence  []string      `json:"evidence,omitempty"`
	FiledOn   domain.Day    `json:"filed_on"`
	AnswerBy  domain.Day    `json:"answer_by"` // Last day of the regulator's term (P-06).
}

// ObjectionAnswered means the regulator decided.
type ObjectionAnswered struct {
	Objection  string     `json:"objection"`
	Upheld     bool       `json:"upheld"`
	Reason     string     `json:"reason"`
	AnsweredBy string     `json:"answered_by"`
	On         domain.Day `json:"on"`
}

// ObjectionOverdue means the regulator's term ended without an answer, which is still owed.
type ObjectionOverdue struct {
	Objection string     `json:"objection"`
	AnswerBy  domain.Day `json:"answer_by"`
}

func (Proposed) EventType() string           { return "guidance.proposed" }
func (CellAdjusted) EventType() string       { return "guidance.cell_adjusted" }
func (Reviewed) EventType() string           { return "guidance.reviewed" }
func (Published) EventType() string          { return "guidance.published" }
func (Withdrawn) EventType() string          { return "guidance.withdrawn" }
func (WithdrawalProposed) EventType() string { return "guidance.withdrawal_proposed" }
func (Ended) EventType() string              { return "guidance.ended" }
func (ObjectionFiled) EventType() string     { return "guidance.objection_filed" }
func (ObjectionAnswered) EventType() string  { return "guidance.objection_answered" }
func (ObjectionOverdue) EventType() string   { return "guidance.objection_overdue" }

func (Proposed) isEvent()           {}
func (CellAdjusted) isEvent()       {}
func (Reviewed) isEvent()           {}
func (Published) isEvent()          {}
func (Withdrawn) isEvent()          {}
func (WithdrawalProposed) isEvent() {}
func (Ended) isEvent()              {}
func (ObjectionFiled) isEvent()     {}
func (ObjectionAnswered) isEvent()  {}
func (ObjectionOverdue) isEvent()   {}

// Types is the storage format. Names and past versions never change.
var Types = []domain.Type{
	domain.Stored[Proposed](added), domain.Stored[CellAdjusted](), domain.Stored[Reviewed](), domain.Stored[Published](added),
	domain.Stored[Withdrawn](), domain.Stored[WithdrawalProposed](), domain.Stored[Ended](), domain.Stored[ObjectionFiled](),
	domain.Stored[ObjectionAnswered](), domain.Stored[ObjectionOverdue](),
}

// added lifts to a version that only has more fields, which may be absent.
func added(map[string]any) {}
