package alert

import "zujian/domain"

// Kinds of subject.
const (
	City     = "city"     // The whole city; its id is "city".
	Unit     = "unit"     // A reporting unit (统计单元), by its code.
	Street   = "street"   // A street, by its nine digits.
	Operator = "operator" // A rental enterprise, by its party id.
)

// Subject is whom or what a figure is of.
type Subject struct {
	Kind     string `json:"kind"`
	ID       string `json:"id"`
	District string `json:"district,omitempty"` // Six digits: whose regulator sees it; "" = the city's alone.
}

// BlowUp is the indicator of the blow-up watch (爆雷): ORANGE while enough signs hold, RED once they have for the days.
const BlowUp = "BLOW_UP"

// ID names the alert of an indicator and a subject.
func ID(indicator string, s Subject) string { return indicator + "." + s.Kind + "." + s.ID }

// HealthID names the stream of an area's health score.
func HealthID(s Subject) string { return "HEALTH." + s.Kind + "." + s.ID }

// RoundID names the stream of a month's rounds.
func RoundID(m domain.Month) string { return "ROUND." + m.String() }

// Command is a request to this aggregate.
//
//sumtype:decl
type Command interface{ isCommand() }

// Evaluate holds one figure against its thresholds.
type Evaluate struct {
	Subject      Subject
	Indicator    Indicator // As resolved for the day.
	ClearPercent int64
	Day          domain.Day
	Figure       Figure
	Evidence     Evidence // Without what follows from the fields above.
}

// Look asks the blow-up watch of an operator. Signs are those of the watch, as its alerts stand after the day's evaluation.
type Look struct {
	Subject  Subject
	Watch    Watch
	Day      domain.Day
	Signs    []Standing
	Evidence Evidence
}

// Score puts an area's health score on record, when it is another than before.
type Score struct {
	Subject Subject
	Book    string
	Day     domain.Day
	Score   int64
	Parts   []Part
	Missing []string
}

// CloseRound marks a day as evaluated. It is the last command of a round.
type CloseRound struct{ Round RoundDone }

// Judge is a regulator's verdict on an episode of an alert; a later one replaces it.
type Judge struct {
	Episode int // 0 = the latest.
	Verdict Verdict
	Note    string
}

// ReportMiss records a case that the indicator should have warned of and did not.
type ReportMiss struct {
	Subject   Subject
	Indicator Indicator
	On        domain.Day
	Note      string
}

func (Evaluate) isCommand()   {}
func (Look) isCommand()       {}
func (Score) isCommand()      {}
func (CloseRound) isCommand() {}
func (Judge) isCommand()      {}
func (ReportMiss) isCommand() {}

// Verdict is what a regulator found.
type Verdict string

// Verdicts.
const (
	True    Verdict = "TRUE"    // There was what the alert warned of.
	False   Verdict = "FALSE"   // There was not.
	Unclear Verdict = "UNCLEAR" // It can't be told.
)

// Standing is one sign of the watch: whether it holds today, and since when.
type Standing struct {
	Sign   string     `json:"sign"`
	Since  domain.Day `json:"since,omitzero"` // 0 = it does not hold.
	Alerts []string   `json:"alerts"`         // The alerts it is made of.
}

// Exposure (风险敞口) is what would be hit if an operator broke down, in sums. Who they are is read when it is asked.
type Exposure struct {
	Contracts    int64      `json:"contracts"` // Filed lettings in force.
	Homes        int64      `json:"homes"`
	Tenants      int64      `json:"tenants"` // Distinct lessees.
	Owners       int64      `json:"owners"`  // Distinct owners who let to it.
	DepositsFen  domain.Fen `json:"deposits_fen"`
	PrepaidFen   domain.Fen `json:"prepaid_fen"`
	UnheldFen    domain.Fen `json:"unheld_fen"`
	OwnersFen    domain.Fen `json:"owners_fen"`
	ShortfallFen domain.Fen `json:"shortfall_fen"`
}

// Evidence is what a decision was made from.
type Evidence struct {
	Value        int64            `json:"value"` // In ten-thousandths of the indicator's unit.
	Figure       Figure           `json:"figure"`
	Norm         int64            `json:"norm"`
	Up           []int64          `json:"up,omitempty"`
	Down         []int64          `json:"down,omitempty"`
	ClearPercent int64            `json:"clear_percent,omitempty"`
	Rule         string           `json:"rule,omitempty"` // Where the thresholds come from, if from the rule set.
	Book         string           `json:"book"`           // Version of the indicators.
	From         domain.Day       `json:"from,omitzero"`  // Window of what was counted, both included.
	To           domain.Day       `json:"to,omitzero"`
	View         string           `json:"view"`
	ViewVersion  int              `json:"view_version"`
	Position     uint64           `json:"position"`         // Every event up to it is in the figure.
	Inputs       map[string]int64 `json:"inputs,omitempty"` // The figure's parts by name: liabilities_fen, homes_before.
	Rows         string           `json:"rows,omitempty"`   // The list of the rows behind it: a path of the API.
	Signs        []Standing       `json:"signs,omitempty"`  // Of the blow-up watch.
	Exposure     *Exposure        `json:"exposure,omitempty"`
}

// Event is a fact of this aggregate. JSON names are the storage format.
//
//sumtype:decl
type Event interface {
	EventType() string
	isEvent()
}

// Raised means a figure passed a threshold. It begins an episode.
type Raised struct {
	Episode   int        `json:"episode"` // From 1.
	Subject   Subject    `json:"subject"`
	Indicator string     `json:"indicator"`
	Dimension string     `json:"dimension"`
	Level     Level      `json:"level"`
	Day       domain.Day `json:"day"`
	Evidence  Evidence   `json:"evidence"`
}

// LevelChanged means an alert became worse or milder.
type LevelChanged struct {
	Episode  int        `json:"episode"`
	From     Level      `json:"from"`
	To       Level      `json:"to"`
	Day      domain.Day `json:"day"`
	Evidence Evidence   `json:"evidence"`
}

// Cleared means the figure came back past the clearing point. It ends the episode.
type Cleared struct {
	Episode  int        `json:"episode"`
	From     Level      `json:"from"`
	Day      domain.Day `json:"day"`
	Evidence Evidence   `json:"evidence"`
}

// Judged means a regulator's verdict on an episode.
type Judged struct {
	Episode int        `json:"episode"`
	Verdict Verdict    `json:"verdict"`
	On      domain.Day `json:"on"`
	By      string     `json:"by"` // Actor.
	Note    string     `json:"note"`
}

// Missed means a regulator found a case without an alert.
type Missed struct {
	Subject   Subject    `json:"subject"`
	Indicator string     `json:"indicator"`
	Dimension string     `json:"dimension"`
	On        domain.Day `json:"on"` // Of the case.
	By        string     `json:"by"`
	Note      string     `json:"note"`
}

// HealthScored means an area's score, or what it is made of, became another.
type HealthScored struct {
	Subject Subject    `json:"subject"`
	Book    string     `json:"book"`
	Day     domain.Day `json:"day"`
	Score   int64      `json:"score"` // In hundredths of a point, 0–10000.
	Parts   []Part     `json:"parts"`
	Missing []string   `json:"missing,omitempty"` // Dimensions without a judged indicator.
}

// RoundDone means a day was evaluated: every figure that exists was held against its thresholds.
type RoundDone struct {
	Day      domain.Day       `json:"day"`
	Book     string           `json:"book"`
	Position uint64           `json:"position"`           // The least position of the views read.
	Judged   int64            `json:"judged"`             // Figures.
	Unjudged map[string]int64 `json:"unjudged,omitempty"` // Reason → figures.
	Changed  int64            `json:"changed"`            // Alerts raised, changed or cleared.
}

func (Raised) EventType() string       { return "alert.raised" }
func (LevelChanged) EventType() string { return "alert.level_changed" }
func (Cleared) EventType() string      { return "alert.cleared" }
func (Judged) EventType() string       { return "alert.judged" }
func (Missed) EventType() string       { return "alert.missed" }
func (HealthScored) EventType() string { return "alert.health_scored" }
func (RoundDone) EventType() string    { return "alert.round_done" }
func (Raised) isEvent()                {}
func (LevelChanged) isEvent()          {}
func (Cleared) isEvent()               {}
func (Judged) isEvent()                {}
func (Missed) isEvent()                {}
func (HealthScored) isEvent()          {}
func (RoundDone) isEvent()             {}

// Types is the storage format. Names and past versions never change.
var Types = []domain.Type{
	domain.Stored[Raised](), domain.Stored[LevelChanged](), domain.Stored[Cleared](), domain.Stored[Judged](), domain.Stored[Missed](),
	domain.Stored[HealthScored](), domain.Stored[RoundDone](),
}
