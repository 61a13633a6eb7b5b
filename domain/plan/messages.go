package plan

import "zujian/domain"

// Command is a request to this aggregate.
//
//sumtype:decl
type Command interface{ isCommand() }

// Load puts a plan with its indicators on record, once. The same again writes nothing.
type Load struct{ Plan Plan }

// SetTarget sets or replaces the target of one area and year, as districts file their yearly lists.
type SetTarget struct {
	Indicator string
	Area      string // Reporting unit; AreaCity for the whole.
	Year      int    // 0 for the whole period.
	Value     int64
	Reason    string // Of a target that replaces one.
}

// Report records what was reached, from the year's (or for a LEVEL, the latest) count of an office. A later report of the
// same day, area and indicator replaces it.
type Report struct {
	Indicator string
	Area      string
	On        domain.Day // The day the value holds for.
	Value     int64      // TOTAL: since the start of On's year. LEVEL: on the day.
	Source    string     // Document or office it comes from.
}

func (Load) isCommand()      {}
func (SetTarget) isCommand() {}
func (Report) isCommand()    {}

// AreaCity is the whole city.
const AreaCity = "city"

// Kinds of indicator.
const (
	KindTotal = "TOTAL" // Adds up over the years of the plan: homes supplied.
	KindLevel = "LEVEL" // A state at the end: coverage, area a person.
)

// Attributes of a target (约束性 and 预期性).
const (
	Binding  = "BINDING"
	Expected = "EXPECTED"
)

// Plan is a document with targets, such as a five-year plan.
type Plan struct {
	ID         string      `json:"id"`
	NameZH     string      `json:"name_zh"`
	NameEN     string      `json:"name_en"`
	From       int         `json:"from"` // First year.
	To         int         `json:"to"`   // Last year.
	Source     string      `json:"source"`
	Indicators []Indicator `json:"indicators"`
}

// Indicator (规划指标) is one figure a plan sets a target for. Values are whole numbers of Measure: homes (套), m2, people,
// ha, count, or bp for shares.
type Indicator struct {
	Code      string           `json:"code"`
	NameZH    string           `json:"name_zh"`
	NameEN    string           `json:"name_en"`
	Measure   string           `json:"measure"`
	Kind      string           `json:"kind"`
	Op        string           `json:"op"` // ">=", "=" or "~": at least, exactly, about.
	Target    int64            `json:"target"`
	Attribute string           `json:"attribute,omitempty"`
	PartOf    string           `json:"part_of,omitempty"` // Indicator whose target is the sum of its parts.
	Yearly    map[string]int64 `json:"yearly,omitempty"`  // Year → target of that year.
	Areas     map[string]int64 `json:"areas,omitempty"`   // Reporting unit → target of the period.
	Derived   string           `json:"derived,omitempty"` // How the log itself gives it; "" = reported. See projections/plan.
	Note      string           `json:"note,omitempty"`
}

// Event is a fact of this aggregate. JSON names are the storage format.
//
//sumtype:decl
type Event interface {
	EventType() string
	isEvent()
}

// Loaded means the plan is on record.
type Loaded struct {
	Plan Plan `json:"plan"`
}

// TargetSet means an area's target of a year, or of the period when Year is absent.
type TargetSet struct {
	Indicator string `json:"indicator"`
	Area      string `json:"area"`
	Year      int    `json:"year,omitempty"`
	Value     int64  `json:"value"`
	Reason    string `json:"reason,omitempty"`
}

// Reported means what an office counted.
type Reported struct {
	Indicator string     `json:"indicator"`
	Area      string     `json:"area"`
	On        domain.Day `json:"on"`
	Value     int64      `json:"value"`
	Source    string     `json:"source"`
}

func (Loaded) EventType() string    { return "plan.loaded" }
func (TargetSet) EventType() string { return "plan.target_set" }
func (Reported) EventType() string  { return "plan.reported" }
func (Loaded) isEvent()             {}
func (TargetSet) isEvent()          {}
func (Reported) isEvent()           {}

// Types is the storage format. Names and past versions never change.
var Types = []domain.Type{domain.Stored[Loaded](), domain.Stored[TargetSet](), domain.Stored[Reported]()}
