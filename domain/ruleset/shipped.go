package ruleset

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"zujian/domain"
)

//go:embed rules.json
var rulesJSON []byte

//go:embed facts.json
var factsJSON []byte

//go:embed calendar.json
var calendarJSON []byte

// Shipped is the rule set the program comes with: Nanjing's, version 1. It panics if its own data are broken, which a
// test rules out. Parse it once at start; the policy is shared.
func Shipped() domain.Policy {
	var file struct {
		Rules []domain.Rule `json:"rules"`
	}
	p := domain.Policy{Version: 1}
	if err := strict(rulesJSON, &file, true); err != nil {
		panic("ruleset: rules.json: " + err.Error())
	}
	if err := strict(calendarJSON, &p.Calendar, false); err != nil {
		panic("ruleset: calendar.json: " + err.Error())
	}
	p.Rules = file.Rules
	return p.Prepared()
}

func strict(data []byte, into any, more bool) error {
	d := json.NewDecoder(strings.NewReader(string(data)))
	if !more {
		d.DisallowUnknownFields()
	}
	return d.Decode(into)
}

// Sources spells out the source ids of the shipped rules: "REG812" is 住房租赁条例(国务院令第812号).
func Sources() map[string]string {
	var file struct {
		Sources map[string]string `json:"sources"`
	}
	_ = json.Unmarshal(rulesJSON, &file) // Shipped has read the same bytes.
	return file.Sources
}

// Policy is the rule set in force: the shipped one and every approved change.
func Policy(shipped domain.Policy, s State) domain.Policy {
	shipped.Version = 1 + len(s.Approved)
	shipped.Rules = slices.Concat(shipped.Rules, s.Approved)
	return shipped.Prepared()
}

// FactGroup is a part of the fact vocabulary: which facts someone gives at which stages.
type FactGroup struct {
	From   string                     `json:"from"` // Package whose facts.go documents them.
	Stages []domain.Stage             `json:"stages"`
	Facts  map[string]domain.FactKind `json:"facts"`
}

// Facts is the whole fact vocabulary.
func Facts() []FactGroup {
	var groups []FactGroup
	if err := strict(factsJSON, &groups, false); err != nil {
		panic("ruleset: facts.json: " + err.Error()) // Embedded data, which a test parses.
	}
	return groups
}

// Validate refuses a rule that can't be judged: of wrong shape, reading a fact that nobody gives, or needing one that is
// not given at each of its stages.
func Validate(rule domain.Rule) error {
	groups := Facts()
	given := func(path string, stages ...domain.Stage) (domain.FactKind, bool) {
		for _, g := range groups {
			kind, ok := g.Facts[path]
			if ok && slices.ContainsFunc(stages, func(s domain.Stage) bool { return slices.Contains(g.Stages, s) }) {
				return kind, true
			}
		}
		return "", false
	}
	err := rule.Validate(func(path string) (domain.FactKind, bool) { return given(path, rule.Stages...) })
	if err != nil {
		return err
	}
	for _, stage := range rule.Stages {
		for _, path := range rule.Predicate.Needs() {
			if _, ok := given(path, stage); !ok {
				return fmt.Errorf("rule %s: nobody gives the fact %q at %s", rule.ID, path, stage)
			}
		}
	}
	return nil
}
