package guidance

import (
	"fmt"
	"strings"

	"zujian/domain"
)

// ErrParameters is for rules P-02 and P-03 that are not in force on a day, or say what no price can be computed by.
var ErrParameters = domain.Reject("guidance.invalid_parameters", "the rules P-02 and P-03 do not give what prices are computed by on this day")

// Parameters are what a draft is computed by: P-02 and P-03 in the versions in force on a day (测算参数). They stand in the
// event, so that a version can be computed again whatever the rules have become.
type Parameters struct {
	On   domain.Day `json:"on"`
	Show string     `json:"show"` // "P-02@1"
	Base string     `json:"base"` // "P-03@1"

	Contracts int64 `json:"min_contracts"` // Of a cell that is shown,
	Lessors   int64 `json:"min_lessors"`   // and who let,
	LessorBP  int64 `json:"max_lessor_bp"` // and the largest share of one of them.

	Window   int64 `json:"window_months"`    // Months of signing counted.
	HalfLife int64 `json:"half_life_months"` // After so many months a rent counts half.
	FencePct int64 `json:"fence_pct"`        // Interquartile ranges in logs beyond the quartiles, in hundredths.
	Thin     int64 `json:"thin_contracts"`   // Cells of fewer are drawn to their parent.
	Worth    int64 `json:"parent_worth_min"` // Contracts the parent's prices are worth at least.
}

// LessorsMin is how few lessors no rule may go below: comparables are of three.
const LessorsMin = 3

// ParametersOn reads the rules in force on a day.
// Errors: ErrParameters, with the rule and what is wrong with it.
func ParametersOn(policy domain.Policy, on domain.Day) (Parameters, error) {
	p := Parameters{On: on}
	rules := map[string]*string{"P-02": &p.Show, "P-03": &p.Base}
	params := map[string]map[string]domain.Param{}
	for _, r := range policy.InForce(on) {
		if name, wanted := rules[r.ID]; wanted {
			*name, params[r.ID] = fmt.Sprintf("%s@%d", r.ID, r.Version), r.Params
		}
	}
	for _, x := range []struct {
		rule, name string
		min, max   int64
		to         *int64
	}{
		{"P-02", "min_contracts", LessorsMin, 100_000, &p.Contracts},
		{"P-02", "min_lessors", LessorsMin, 100_000, &p.Lessors},
		{"P-02", "max_lessor_bp", 1, 10_000, &p.LessorBP},
		{"P-03", "window_months", 1, 120, &p.Window},
		{"P-03", "half_life_months", 1, 120, &p.HalfLife},
		{"P-03", "fence_pct", 0, 1000, &p.FencePct},
		{"P-03", "thin_contracts", 0, 100_000, &p.Thin},
		{"P-03", "parent_worth_min", 1, 1000, &p.Worth},
	} {
		v, ok := params[x.rule][x.name].Value.(int64)
		if !ok || v < x.min || v > x.max {
			no := ErrParameters.With("rule", strings.TrimSuffix(x.rule+"@"+versionOf(*rules[x.rule]), "@")).With("on", on.String())
			return p, no.With("parameter", x.name).With("min", x.min).With("max", x.max)
		}
		*x.to = v
	}
	return p, nil
}

func versionOf(rule string) string {
	_, version, _ := strings.Cut(rule, "@")
	return version
}
