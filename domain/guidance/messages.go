package guidance

import "zujian/domain"

// ID names a period ("2026Q2"); its stream is "guidance-<period>".
type ID string

// Command is a request to this aggregate.
//
//sumtype:decl
type Command interface{ isCommand() }

// Propose puts a version of a period's prices forward: what the rents on file say (Draft), which the server computed, and
// nothing else. The same again writes nothing; another draft replaces a proposal that nobody has approved.
type Propose struct {
	Version       int // 1, or the last published + 1: a revision (P-01: never a period twice without a version).
	EffectiveFrom domain.Day
	Reason        string   // Of a revision.
	Answers       []string // Of a revision: the upheld objections it follows.
	Draft         Draft
	Claim         Claim
}

// Draft is what the view computed: package projections/guidance makes it.
type Draft struct {
	Method      string // Method and its version, e.g. "weighted-quantile/2".
	Inputs      string // SHA-256 hex of the integer cells the prices were computed from.
	Position    uint64 // Every event up to it is in the prices, none after it.
	Parameters  Parameters
	Cells       []Cell
	Comparables []Comparables
}

// Claim is the draft the proposer saw. Cells may be absent: the hash stands for them.
type Claim struct {
	Inputs string
	Cells  []Cell
}

// Adjust sets the prices of one cell of the open proposal, within P-05 of what was computed. Whoever adjusts made the
// prices, and can neither review nor approve them.
type Adjust struct {
	Version int
	Cell    CellID
	Prices  Prices
	Reason  string
}

// Review records that a second pair of eyes went over the proposal. It MUST come from nobody who made it.
type Review struct {
	Version int
	Note    string
}

// Approve publishes the reviewed proposal. It MUST come from nobody who made it.
type Approve struct{ Version int }

// Withdraw drops the open proposal, or proposes that the version in force ends.
type Withdraw struct {
	Version int
	Reason  string
}

// ApproveWithdrawal ends a published version: today is its last day. It MUST come from another actor than Withdraw.
type ApproveWithdrawal struct{ Version int }

// FileObjection contests one published cell (异议), within the term of P-06. Objection is its id; the same again writes
// nothing.
type FileObjection struct {
	Objection string
	Version   int
	Cell      CellID
	Subject   string        // Under whose key Text is sealed.
	Text      domain.Sealed // Why, in the objector's words.
	Evidence  []string      // SHA-256 hex of documents.
}

// AnswerObjection upholds an objection, which a revision then follows, or dismisses it.
type AnswerObjection struct {
	Objection string
	Uphold    bool
	Reason    string
}

// MarkOverdue records that an objection was not answered in time. Of any other it does nothing.
type MarkOverdue struct{ Objection string }

func (Propose) isCommand()           {}
func (Adjust) isCommand()            {}
func (Review) isCommand()            {}
func (Approve) isCommand()           {}
func (Withdraw) isCommand()          {}
func (ApproveWithdrawal) isCommand() {}
func (FileObjection) isCommand()     {}
func (AnswerObjection) isCommand()   {}
func (MarkOverdue) isCommand()       {}

// CellID names a cell within a version.
type CellID struct {
	Area     string `json:"area"`     // Street, reporting unit or "city".
	LetMode  string `json:"let_mode"` // WHOLE, BY_ROOM, BY_BED
	SizeBand string `json:"size_band"`
	Fitout   string `json:"fitout,omitempty"` // "" = not known.
}

// Prices are quantiles: fen per ㎡ and month.
type Prices struct {
	P10    domain.Fen `json:"p10"`
	P25    domain.Fen `json:"p25"`
	Median domain.Fen `json:"median"`
	P75    domain.Fen `json:"p75"`
	P90    domain.Fen `json:"p90"`
}

// Cell is one guidance price (指导价格).
type Cell struct {
	CellID
	N int `json:"n"` // Contracts in the cell itself; 0 of a borrowed one: its own is nobody's business.
	Prices
	BorrowedFrom string `json:"borrowed_from,omitempty"` // Parent area whose prices these are, when too thin (P-02).
	KeptFrom     int    `json:"kept_from,omitempty"`     // Version whose figures these are, when those since would tell too much.
	Adjusted     bool   `json:"adjusted,omitempty"`      // By a person, with a reason.
}

// Comparables are lettings of a cell that borrows nothing, coarsened: of at least three lessors, each of another one.
type Comparables struct {
	CellID
	Rents []Comparable `json:"rents"`
}

// Comparable is one letting without its identity.
type Comparable struct {
	Signed string     `json:"signed"` // Quarter: "2026Q2".
	Fen    domain.Fen `json:"fen"`    // Per ㎡ and month, to two significant digits.
}
