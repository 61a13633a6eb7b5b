package index

import "zujian/domain"

// ID names a release by the last month it covers ("2026-11"); its stream is "index-<month>".
type ID string

// Command is a request to this aggregate.
//
//sumtype:decl
type Command interface{ isCommand() }

// Compute puts a vintage forward: what the view said at a position of the log. The same again writes nothing; other figures
// replace a vintage nobody has approved.
type Compute struct {
	Version int // 1, or the last published + 1.
	Vintage Vintage
	Reason  string // Of a revision.
}

// Review records that a second pair of eyes went over the figures. It MUST come from another actor than Compute.
type Review struct {
	Version int
	Note    string
}

// Approve publishes the reviewed vintage. It MUST come from another actor than Compute.
type Approve struct{ Version int }

// Withdraw drops the open vintage.
type Withdraw struct {
	Version int
	Reason  string
}

func (Compute) isCommand()  {}
func (Review) isCommand()   {}
func (Approve) isCommand()  {}
func (Withdraw) isCommand() {}

// Vintage is the figures of one release, with everything needed to compute them again from the log.
type Vintage struct {
	Month        domain.Month `json:"month"`         // Last month covered.
	Model        string       `json:"model"`         // Index model…
	ModelVersion int          `json:"model_version"` // …and its version,
	ViewVersion  int          `json:"view_version"`  // …and that of the view that kept its sums.
	Position     uint64       `json:"position"`      // Every event up to it is in the figures, none after it.
	Series       []Series     `json:"series"`
}

// Series is the index of one area, population and method (租金指数).
type Series struct {
	Area          string  `json:"area"`       // Reporting unit, or "city".
	Population    string  `json:"population"` // "new" or "stock".
	Method        string  `json:"method"`
	MethodVersion string  `json:"method_version"`
	Window        int     `json:"window,omitzero"`
	N             int64   `json:"n"`
	InputsSHA256  string  `json:"inputs_sha256"` // Of the integer sums.
	Points        []Point `json:"points"`
}

// Point is one month. A withheld month has nothing but its reason. Numbers are IEEE doubles in their shortest decimal form.
type Point struct {
	Month       domain.Month `json:"m"`
	N           int64        `json:"n,omitzero"`
	LogIndex    *float64     `json:"log,omitempty"`
	Index       *float64     `json:"index,omitempty"` // 100 in the first month shown.
	SE          *float64     `json:"se,omitempty"`    // Of the log index.
	Provisional bool         `json:"provisional,omitzero"`
	Withheld    string       `json:"withheld,omitzero"`
}

// Event is a fact of this aggregate. JSON names are the storage format.
//
//sumtype:decl
type Event interface {
	EventType() string
	isEvent()
}

// Computed means a vintage awaits review.
type Computed struct {
	Version    int     `json:"version"`
	Vintage    Vintage `json:"vintage"`
	Reason     string  `json:"reason,omitempty"`
	ComputedBy string  `json:"computed_by"` // Actor id.
}

// Reviewed means somebody else went over it.
type Reviewed struct {
	Version    int    `json:"version"`
	ReviewedBy string `json:"reviewed_by"`
	Note       string `json:"note,omitempty"`
}

// Released means the vintage is published and never changes.
type Released struct {
	Version    int        `json:"version"`
	On         domain.Day `json:"on"`
	Vintage    Vintage    `json:"vintage"`
	Reason     string     `json:"reason,omitempty"`
	ComputedBy string     `json:"computed_by"`
	ReviewedBy string     `json:"reviewed_by"`
	ApprovedBy string     `json:"approved_by"`
}

// Withdrawn means an open vintage was dropped.
type Withdrawn struct {
	Version int    `json:"version"`
	Reason  string `json:"reason,omitempty"`
}

func (Computed) EventType() string  { return "index.computed" }
func (Reviewed) EventType() string  { return "index.reviewed" }
func (Released) EventType() string  { return "index.released" }
func (Withdrawn) EventType() string { return "index.withdrawn" }
func (Computed) isEvent()           {}
func (Reviewed) isEvent()           {}
func (Released) isEvent()           {}
func (Withdrawn) isEvent()          {}

// Types is the storage format. Names and past versions never change.
var Types = []domain.Type{
	domain.Stored[Computed](), domain.Stored[Reviewed](), domain.Stored[Released](), domain.Stored[Withdrawn](),
}
