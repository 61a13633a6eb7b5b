package domain

// Policy is the rule set (监管规则集) as known at a decision: every version of every rule with its dates, the
// holiday calendar and the city's profile. It is immutable and shared; decisions only read it.
type Policy struct {
	Version  int // Grows with every change of the rule set; stored in each event's metadata.
	Rules    []Rule
	Calendar Calendar
}

// Stage is when a rule is judged.
type Stage string

// Stages (domain.md §2.0).
const (
	StageParty    Stage = "PARTY"
	StageUnit     Stage = "UNIT"
	StageListing  Stage = "LISTING"
	StageSign     Stage = "CONTRACT_SIGN"
	StageFiling   Stage = "FILING"
	StageFundIn   Stage = "FUND_IN"
	StageFundOut  Stage = "FUND_OUT"
	StagePeriodic Stage = "PERIODIC"
	StageGuidance Stage = "GUIDANCE" // Guidance prices: computed, adjusted, objected to.
)

// Outcome is what a violated rule does.
type Outcome string

// Outcomes. Pass means not violated; Unknown means a fact is missing, which holds the command for a human.
const (
	OutcomePass       Outcome = "PASS"
	OutcomeUnknown    Outcome = "UNKNOWN"
	OutcomeReject     Outcome = "REJECT"
	OutcomeRequireDoc Outcome = "REQUIRE_DOC"
	OutcomeHold       Outcome = "HOLD"
	OutcomeAlert      Outcome = "ALERT"
	OutcomeAnnotate   Outcome = "ANNOTATE"
	OutcomeRoute      Outcome = "ROUTE"
)

// Facts is one typed record a rule's predicate reads: values are int64, bool, string, Day, []string or []Facts, and
// nested Facts; a path is dotted ("lease.deposit_fen"). An absent key is a missing fact, never false. A nil value is
// known to be none.
type Facts map[string]any

// RuleResult is what one rule said, as stored in events: a pass as the text "C-04@1", anything else as an object.
type RuleResult struct {
	Rule        string         `json:"rule"`    // "C-04"
	Version     int            `json:"version"` // Version of the rule, not of the rule set.
	Outcome     Outcome        `json:"outcome"`
	Code        string         `json:"code,omitempty"`        // Public code, when it did not pass.
	Unconfirmed bool           `json:"unconfirmed,omitempty"` // The rule's text is unconfirmed: it never refuses.
	Params      map[string]any `json:"params,omitempty"`      // Parameters and facts used, when it did not pass.

	Pointer string `json:"-"` // Of a refusal: the field to blame.
	Detail  string `json:"-"` // Of a refusal: the rule's English message.
}

// Verdict is what all rules of a stage said, in rule order.
type Verdict []RuleResult

// Rule is in rules.go, Expr in predicate.go, Calendar in calendar.go.
