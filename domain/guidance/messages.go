package guidance

import "zujian/domain"

// ID names a period ("2026Q2"); its stream is "guidance-<period>".
type ID string

// Command is a request to this aggregate.
//
//sumtype:decl
type Command interface{ isCommand() }

// Propose puts the first version of a period's prices forward. The same again writes nothing; other cells replace a
// proposal that nobody has approved.
type Propose struct {
	Version       int // 1
	Cells         []Cell
	EffectiveFrom domain.Day
	Method        string // Method and its version, e.g. "weighted-quantile/1".
	Inputs        string // SHA-256 hex of the integer cells the prices were computed from.
}

// Revise puts a further version forward, with its reason (P-01: never a period twice without a version).
type Revise struct {
	Version       int // Published version + 1.
	Cells         []Cell
	EffectiveFrom domain.Day
	Reason        string
	Method        string
	Inputs        string
}

// Approve publishes the open proposal. It MUST come from another actor than the proposal.
type Approve struct{ Version int }

// Withdraw drops the open proposal.
type Withdraw struct {
	Version int
	Reason  string
}

func (Propose) isCommand()  {}
func (Revise) isCommand()   {}
func (Approve) isCommand()  {}
func (Withdraw) isCommand() {}

// Cell is one guidance price (指导价格): fen per ㎡ and month.
type Cell struct {
	Area         string     `json:"area"`     // Street, reporting unit or "city".
	LetMode      string     `json:"let_mode"` // WHOLE, BY_ROOM, BY_BED
	SizeBand     string     `json:"size_band"`
	Fitout       string     `json:"fitout,omitempty"` // "" = any.
	N            int        `json:"n"`                // Contracts in the cell itself.
	P10          domain.Fen `json:"p10"`
	P25          domain.Fen `json:"p25"`
	Median       domain.Fen `json:"median"`
	P75          domain.Fen `json:"p75"`
	P90          domain.Fen `json:"p90"`
	BorrowedFrom string     `json:"borrowed_from,omitempty"` // Parent area whose prices these are, when too thin (P-02).
}

// Event is a fact of this aggregate. JSON names are the storage format.
//
//sumtype:decl
type Event interface {
	EventType() string
	isEvent()
}

// Proposed means a version awaits approval.
type Proposed struct {
	Version       int        `json:"version"`
	Cells         []Cell     `json:"cells"`
	EffectiveFrom domain.Day `json:"effective_from"`
	Reason        string     `json:"reason,omitempty"` // Of a revision.
	Method        string     `json:"method,omitempty"`
	Inputs        string     `json:"inputs,omitempty"`
	ProposedBy    string     `json:"proposed_by"` // Actor id.
}

// Published means the proposed version is in force from a day on and never changes.
type Published struct {
	Version       int        `json:"version"`
	EffectiveFrom domain.Day `json:"effective_from"`
	Cells         []Cell     `json:"cells"`
	ProposedBy    string     `json:"proposed_by"`
	ApprovedBy    string     `json:"approved_by"`
}

// Withdrawn means a proposal was dropped.
type Withdrawn struct {
	Version int    `json:"version"`
	Reason  string `json:"reason,omitempty"`
}

func (Proposed) EventType() string  { return "guidance.proposed" }
func (Published) EventType() string { return "guidance.published" }
func (Withdrawn) EventType() string { return "guidance.withdrawn" }
func (Proposed) isEvent()           {}
func (Published) isEvent()          {}
func (Withdrawn) isEvent()          {}

// Types is the storage format. Names and past versions never change.
var Types = []domain.Type{domain.Stored[Proposed](), domain.Stored[Published](), domain.Stored[Withdrawn]()}
