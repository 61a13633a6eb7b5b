package domain

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// Rule is one version of one rule of the rule set (监管规则), as data: an article of law, the condition under which it
// is violated, and what then happens. Versions of one rule share ID; a version is in force from EffectiveFrom until
// the next version's EffectiveFrom or its own EffectiveTo (last day included), whichever comes first.
type Rule struct {
	ID            string           `json:"id"`      // "C-04"; a variant of a rule has a letter: "U-08b".
	Version       int              `json:"version"` // From 1.
	TitleZH       string           `json:"title_zh"`
	TitleEN       string           `json:"title_en"`
	Source        string           `json:"source"`  // "REG812" …; spelled out in the rule set's sources.
	Article       string           `json:"article"` // "Art 10".
	Scope         Scope            `json:"scope,omitzero"`
	EffectiveFrom Day              `json:"effective_from"`
	EffectiveTo   Day              `json:"effective_to,omitzero"`
	Status        RuleStatus       `json:"status"`
	Stages        []Stage          `json:"stages"`
	Predicate     Expr             `json:"predicate"` // True means violated.
	Params        map[string]Param `json:"params,omitempty"`
	Outcome       Outcome          `json:"outcome"`
	Severity      int              `json:"severity"`          // 1 (note) to 5 (act today).
	Code          string           `json:"code"`              // Public code of a rejection, alert or hold: "contract.deposit_clause".
	Pointer       string           `json:"pointer,omitempty"` // RFC 6901 pointer of the field to blame.
	MessageZH     string           `json:"message_zh"`
	MessageEN     string           `json:"message_en"`

	RegulatorAction  string `json:"regulator_action,omitempty"`
	LegalConsequence string `json:"legal_consequence,omitempty"` // Row of the penalty table: "PN-44".
}

// Scope narrows a rule. Empty fields mean everywhere, everyone. It is matched against the facts
// "scope.subject_kinds" ([]string) and "scope.let_mode"; when those are missing the rule is judged.
type Scope struct {
	City         string   `json:"city,omitempty"` // "" is national.
	SubjectKinds []string `json:"subject_kinds,omitempty"`
	LetModes     []string `json:"let_modes,omitempty"`
}

// RuleStatus says how sure the text of a rule is.
type RuleStatus string

// Statuses. A superseded version still judges facts of its own dates.
const (
	RuleActive      RuleStatus = "ACTIVE"
	RuleUnconfirmed RuleStatus = "UNCONFIRMED" // May ALERT, ANNOTATE or HOLD, never refuse (domain.md §2.0).
	RuleSuperseded  RuleStatus = "SUPERSEDED"
)

// Param is a parameter of a rule: int64, bool, string or []string, with its unit ("day", "fen", "bp", "month", "code").
type Param struct {
	Value any    `json:"value"`
	Unit  string `json:"unit,omitempty"`
}

// UnmarshalJSON keeps whole numbers whole and refuses fractions.
func (p *Param) UnmarshalJSON(b []byte) error {
	var raw struct {
		Value any    `json:"value"`
		Unit  string `json:"unit"`
	}
	if err := decodeNumbers(b, &raw); err != nil {
		return err
	}
	v, err := literal(raw.Value)
	if err != nil {
		return fmt.Errorf("parameter: %w", err)
	}
	if v == nil {
		return errors.New("parameter: null")
	}
	p.Value, p.Unit = v, raw.Unit
	return nil
}

// InForce is the version of each rule in force on a day, in the rule set's order.
func (p Policy) InForce(on Day) []Rule {
	var out []Rule
	for _, r := range p.inForce(on) {
		out = append(out, *r)
	}
	return out
}

// workOut finds the rules in force.
func (p Policy) workOut(on Day) []*Rule {
	out := make([]*Rule, 0, len(p.Rules))
	at := make(map[string]int, len(p.Rules))
	for i := range p.Rules {
		r := &p.Rules[i]
		if r.EffectiveFrom > on {
			continue
		}
		j, seen := at[r.ID]
		switch {
		case !seen:
			at[r.ID] = len(out)
			out = append(out, r)
		case cmp.Or(cmp.Compare(out[j].EffectiveFrom, r.EffectiveFrom), cmp.Compare(out[j].Version, r.Version)) < 0:
			out[j] = r
		}
	}
	return slices.DeleteFunc(out, func(r *Rule) bool { return r.EffectiveTo != 0 && on > r.EffectiveTo })
}

// Rule finds one version of a rule.
func (p Policy) Rule(id string, version int) (Rule, bool) {
	for _, r := range p.Rules {
		if r.ID == id && r.Version == version {
			return r, true
		}
	}
	return Rule{}, false
}

// InForceOf is the version of one rule in force on a day.
func (p Policy) InForceOf(id string, on Day) (Rule, bool) {
	if r := p.version(id, on); r != nil {
		return *r, true
	}
	return Rule{}, false
}

// Param is a whole-number parameter of the version in force on a day.
func (p Policy) Param(rule, name string, on Day) (int64, bool) {
	v, ok := p.param(rule, name, on).(int64)
	return v, ok
}

// ParamText is a text parameter of the version in force on a day, such as M-01's capture_mode.
func (p Policy) ParamText(rule, name string, on Day) (string, bool) {
	v, ok := p.param(rule, name, on).(string)
	return v, ok
}

func (p Policy) param(rule, name string, on Day) any {
	if r := p.version(rule, on); r != nil {
		return r.Params[name].Value
	}
	return nil
}

// Judge tests facts against every rule of a stage in the version in force on the fact's date: the publish date of a
// listing, the signing date of a contract, the value date of a payment. The verdict has a result for every rule judged.
// With ids only those rules are judged: facts of a part of the matter answer no others.
func (p Policy) Judge(stage Stage, on Day, f Source, ids ...string) Verdict {
	rules := p.atStage(stage, on).rules
	most := len(rules)
	if len(ids) > 0 {
		most = min(most, len(ids))
	}
	ev := evaluation{facts: f, calendar: p.Calendar}
	var v Verdict
	for i := range rules {
		r := &rules[i]
		if len(ids) > 0 && !slices.Contains(ids, r.ID) || !r.Scope.covers(f) {
			continue
		}
		if v == nil {
			v = make(Verdict, 0, most)
		}
		v = append(v, ev.judge(r))
	}
	return v
}

// JudgeAgain is Judge of a stage and day that were judged before, when nothing has changed since but the facts at some
// paths, none of them of "scope": only rules that may read one of those are asked again. Nobody changes the result, which
// may be the verdict before.
func (p Policy) JudgeAgain(before Verdict, stage Stage, on Day, f Source, changed ...string) Verdict {
	s, ev := p.atStage(stage, on), evaluation{facts: f, calendar: p.Calendar}
	v, own := before, false
	for _, path := range changed {
		for _, i := range s.reading(path) {
			r := &s.rules[i]
			at := slices.IndexFunc(before, func(x *RuleResult) bool { return x.Rule == r.ID })
			if at < 0 {
				continue // Out of its scope, as before.
			}
			if !own {
				v, own = slices.Clone(before), true
			}
			v[at] = ev.judge(r)
		}
	}
	return v
}

func (s *Scope) covers(f Source) bool {
	if len(s.SubjectKinds) > 0 {
		kinds := f.Fact("scope.subject_kinds")
		if kinds.kind == kindTexts && !slices.ContainsFunc(kinds.texts(), func(k string) bool { return slices.Contains(s.SubjectKinds, k) }) {
			return false
		}
	}
	if len(s.LetModes) > 0 {
		mode := f.Fact("scope.let_mode")
		return mode.kind != kindText || slices.Contains(s.LetModes, mode.text)
	}
	return true
}

// judge is what one rule says.
func (ev *evaluation) judge(r *judged) *RuleResult {
	got := ev.eval(&r.violated)
	if got.kind == kindBool && !got.truth() {
		return r.pass
	}
	res := *r.pass
	res.Code, res.Params = r.Code, used(r.Rule, ev.facts)
	if got.kind != kindBool {
		res.Outcome = OutcomeUnknown
		return &res
	}
	res.Outcome = r.Outcome
	if res.Unconfirmed && !mayUnconfirmed(r.Outcome) {
		res.Outcome = OutcomeAlert
	}
	if res.Outcome == OutcomeReject || res.Outcome == OutcomeRequireDoc {
		res.Refuses = r.Rule
	}
	return &res
}

func mayUnconfirmed(o Outcome) bool {
	return o == OutcomeAlert || o == OutcomeAnnotate || o == OutcomeHold
}

var (
	ruleIDForm = regexp.MustCompile(`^[A-Z]{1,2}-\d{2}[a-z]?$`)
	codeForm   = regexp.MustCompile(`^[a-z]+\.[a-z0-9_]+$`)
	nameForm   = regexp.MustCompile(`^[a-z][a-z0-9_]{0,39}$`)
	allStages  = []Stage{
		StageParty, StageUnit, StageListing, StageSign, StageFiling, StageFundIn, StageFundOut, StagePeriodic, StageGuidance,
	}
	allOutcomes = []Outcome{
		OutcomeReject, OutcomeRequireDoc, OutcomeHold, OutcomeAlert, OutcomeAnnotate, OutcomeRoute,
	}
)

// Limits of one rule. They keep a judgement under some microseconds and a rule readable.
const (
	ruleNodesMax   = 300
	ruleDepthMax   = 16
	ruleParamsMax  = 20
	ruleTextMax    = 1000 // Bytes of each text field.
	ruleVersionMax = 10_000
)

// Validate refuses a rule that could not be judged or may not say what it says. kindOf tells the kind of a fact by its
// path; nil accepts any path.
func (r Rule) Validate(kindOf func(path string) (FactKind, bool)) error {
	switch {
	case !ruleIDForm.MatchString(r.ID):
		return fmt.Errorf("rule %q: the id is not like C-04", r.ID)
	case r.Version < 1 || r.Version > ruleVersionMax:
		return fmt.Errorf("rule %s: version %d is out of range", r.ID, r.Version)
	case r.EffectiveFrom == 0:
		return fmt.Errorf("rule %s: no effective_from", r.ID)
	case r.EffectiveTo != 0 && r.EffectiveTo < r.EffectiveFrom:
		return fmt.Errorf("rule %s: effective_to is before effective_from", r.ID)
	case !slices.Contains([]RuleStatus{RuleActive, RuleUnconfirmed, RuleSuperseded}, r.Status):
		return fmt.Errorf("rule %s: unknown status %q", r.ID, r.Status)
	case len(r.Stages) == 0 || len(r.Stages) > len(allStages):
		return fmt.Errorf("rule %s: stages are missing", r.ID)
	case !slices.Contains(allOutcomes, r.Outcome):
		return fmt.Errorf("rule %s: unknown outcome %q", r.ID, r.Outcome)
	case r.Status == RuleUnconfirmed && !mayUnconfirmed(r.Outcome):
		return fmt.Errorf("rule %s: an unconfirmed rule may ALERT, ANNOTATE or HOLD, not %s", r.ID, r.Outcome)
	case r.Severity < 1 || r.Severity > 5:
		return fmt.Errorf("rule %s: severity is not 1 to 5", r.ID)
	case !codeForm.MatchString(r.Code):
		return fmt.Errorf("rule %s: the code is not like contract.deposit_clause", r.ID)
	case r.Pointer != "" && !strings.HasPrefix(r.Pointer, "/"):
		return fmt.Errorf("rule %s: the pointer does not begin with /", r.ID)
	case r.Source == "" || r.Article == "" || r.MessageZH == "" || r.MessageEN == "" || r.TitleZH == "" || r.TitleEN == "":
		return fmt.Errorf("rule %s: source, article, titles and messages are required", r.ID)
	case len(r.Params) > ruleParamsMax:
		return fmt.Errorf("rule %s: more than %d parameters", r.ID, ruleParamsMax)
	}
	for _, s := range r.Stages {
		if !slices.Contains(allStages, s) {
			return fmt.Errorf("rule %s: unknown stage %q", r.ID, s)
		}
	}
	for _, s := range []string{
		r.Source, r.Article, r.MessageZH, r.MessageEN, r.TitleZH, r.TitleEN, r.Code, r.Pointer, r.RegulatorAction, r.LegalConsequence,
	} {
		if len(s) > ruleTextMax {
			return fmt.Errorf("rule %s: a text is longer than %d bytes", r.ID, ruleTextMax)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(r.Params)) {
		if !nameForm.MatchString(name) {
			return fmt.Errorf("rule %s: parameter name %q", r.ID, name)
		}
	}
	if err := r.Predicate.check(r.Params, kindOf); err != nil {
		return fmt.Errorf("rule %s: predicate: %w", r.ID, err)
	}
	choices := r.Predicate.choices()
	for _, name := range slices.Sorted(maps.Keys(choices)) {
		if text, ok := r.Params[name].Value.(string); ok && !slices.Contains(choices[name], text) {
			return fmt.Errorf("rule %s: parameter %s is %q, not one of %q", r.ID, name, text, choices[name])
		}
	}
	return nil
}

func decodeNumbers(b []byte, v any) error {
	d := json.NewDecoder(strings.NewReader(string(b)))
	d.UseNumber()
	return d.Decode(v)
}
