package domain

// Policy is the rule set (监管规则集) as known at a decision: every version of every rule with its dates, the
// holiday calendar and the city's profile. It is immutable and shared; decisions only read it.
type Policy struct {
	Version  int // Grows with every change of the rule set; stored in each event's metadata.
	Rules    []Rule
	Calendar Calendar

	ready *prepared // What Prepared worked out.
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

// Facts are in facts.go, Rule is in rules.go, Expr in predicate.go, Verdict in verdict.go, Calendar in calendar.go.
