package whatif

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"zujian/domain"
	"zujian/domain/ruleset"
)

// Rejections of what is asked.
var (
	ErrRules  = domain.Reject("simulation.invalid_rules", "the changed rule set cannot be judged as it stands")
	ErrPeriod = domain.Reject("simulation.invalid_period", "the period is empty, or holds nothing that happened")
	ErrOption = domain.Reject("simulation.invalid_option", "an option is none of those there are")
)

const rulesMax = 1000 // Versions of rules in a set; the product ships less than a hundred.

// Change is a changed rule set, as a file says it: a whole one in Rules, or what is different in Change, Add and Remove.
//
// A change names a rule by "id" and gives any other field of it anew; objects are merged, and a parameter may be its value
// alone: {"id":"M-01","params":{"op":">="}}. With an "effective_from" it is a new version that counts from then on, in place
// of whatever the rule said after that day; without one it is as if every version of the rule had always said so, or the
// one that "version" names.
type Change struct {
	Rules  []json.RawMessage `json:"rules"`
	Change []json.RawMessage `json:"change"`
	Add    []json.RawMessage `json:"add"`
	Remove []string          `json:"remove"` // "C-09", or "C-09@1" for one version.

	// What a whole rule set has beside: it is read over.
	City    any `json:"city,omitempty"`
	Sources any `json:"sources,omitempty"`
	Version any `json:"version,omitempty"`
	On      any `json:"on,omitempty"`
	Made    any `json:"made,omitempty"`
}

// ParseChange reads a file. What is in it is checked when it is applied.
func ParseChange(raw []byte) (c Change, err error) {
	if err := strictly(raw, &c); err != nil {
		return c, ErrRules.With("problem", err.Error())
	}
	switch patch := len(c.Change) + len(c.Add) + len(c.Remove); {
	case c.Rules != nil && patch > 0:
		return c, ErrRules.At("/rules").With("problem", "a whole rule set and changes to one do not go together")
	case c.Rules == nil && patch == 0:
		return c, ErrRules.With("problem", "it changes nothing: give rules, or change, add or remove")
	case max(len(c.Rules), patch) > rulesMax:
		return c, ErrRules.With("problem", fmt.Sprintf("more than %d rules", rulesMax))
	}
	return c, nil
}

func strictly(raw []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	d.UseNumber()
	if err := d.Decode(into); err != nil {
		return fmt.Errorf("it is no such document: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("there is more after the document")
	}
	return nil
}

// wrong blames a place of the file and a rule for a problem.
func wrong(pointer, rule, problem string) error {
	r := ErrRules.At(pointer).With("problem", problem)
	if rule != "" {
		r = r.With("id", rule)
	}
	return r
}

// Apply is the changed rule set. When it is not complete, base is an older one than the change was made for: what names a
// rule that base does not have yet says nothing.
func (c Change) Apply(base domain.Policy, complete bool) (domain.Policy, error) {
	rules := slices.Clone(base.Rules)
	touched := map[string]bool{}
	if c.Rules != nil {
		rules = nil
		for i, raw := range c.Rules {
			rule, err := parseRule(raw, pointer("/rules", i))
			if err != nil {
				return base, err
			}
			touched[rule.ID] = true
			rules = append(rules, rule)
		}
	}
	var err error
	for i, raw := range c.Change {
		if rules, err = change(rules, raw, pointer("/change", i), complete, touched); err != nil {
			return base, err
		}
	}
	for i, raw := range c.Add {
		rule, err := parseRule(raw, pointer("/add", i))
		if err != nil {
			return base, err
		}
		touched[rule.ID] = true
		rules = append(rules, rule)
	}
	for i, name := range c.Remove {
		if rules, err = remove(rules, name, pointer("/remove", i), complete); err != nil {
			return base, err
		}
	}
	if err := c.check(rules, touched); err != nil {
		return base, err
	}
	return domain.Policy{Version: base.Version, Rules: rules, Calendar: base.Calendar}, nil
}

func pointer(list string, i int) string { return list + "/" + strconv.Itoa(i) }

func parseRule(raw json.RawMessage, at string) (r domain.Rule, err error) {
	var named struct {
		ID string `json:"id"`
	}
	_ = json.Unmarshal(raw, &named) // Only to name it in what is said of it.
	if err := strictly(raw, &r); err != nil {
		return r, wrong(at, named.ID, err.Error())
	}
	return r, nil
}

// change makes one change of the file.
func change(rules []domain.Rule, raw json.RawMessage, at string, complete bool, touched map[string]bool) ([]domain.Rule, error) {
	var doc map[string]any
	if err := strictly(raw, &doc); err != nil {
		return nil, wrong(at, "", err.Error())
	}
	id, _ := doc["id"].(string)
	if id == "" {
		return nil, wrong(at+"/id", "", "a change names its rule by id")
	}
	version := 0
	if v, given := doc["version"]; given {
		n, err := strconv.Atoi(fmt.Sprint(v))
		if err != nil || n < 1 {
			return nil, wrong(at+"/version", id, "the version is no number from 1")
		}
		version = n
	}
	delete(doc, "id")
	delete(doc, "version")
	if len(doc) == 0 {
		return nil, wrong(at, id, "it changes no field of the rule")
	}
	var targets []int
	last, latest := -1, 0
	for i, r := range rules {
		if r.ID != id {
			continue
		}
		latest = max(latest, r.Version)
		if version == 0 || r.Version == version {
			targets = append(targets, i)
			if last < 0 || r.Version > rules[last].Version {
				last = i
			}
		}
	}
	if last < 0 {
		if complete {
			return nil, wrong(at+"/id", id, "there is no such rule or version")
		}
		return rules, nil
	}
	touched[id] = true
	if _, dated := doc["effective_from"]; !dated {
		for _, i := range targets {
			changed, err := merged(rules[i], doc, at)
			if err != nil {
				return nil, err
			}
			rules[i] = changed
		}
		return rules, nil
	}
	next, err := merged(rules[last], doc, at)
	if err != nil {
		return nil, err
	}
	next.Version = latest + 1
	if _, ends := doc["effective_to"]; !ends {
		next.EffectiveTo = 0
	}
	rules = slices.DeleteFunc(rules, func(r domain.Rule) bool { return r.ID == id && r.EffectiveFrom >= next.EffectiveFrom })
	for i, r := range rules {
		if r.ID == id && r.EffectiveTo >= next.EffectiveFrom {
			rules[i].EffectiveTo = next.EffectiveFrom - 1
		}
	}
	return append(rules, next), nil
}

// merged is the rule with the fields of doc in place of its own.
func merged(r domain.Rule, doc map[string]any, at string) (out domain.Rule, err error) {
	if params, ok := doc["params"]; ok {
		if err := checkParams(r, params, at); err != nil {
			return out, err
		}
	}
	raw, err := json.Marshal(r)
	if err != nil {
		return out, err
	}
	var full map[string]any
	if err := strictly(raw, &full); err != nil {
		return out, err
	}
	for _, field := range slices.Sorted(maps.Keys(doc)) {
		full[field] = mergeValue(full[field], doc[field])
	}
	if raw, err = json.Marshal(full); err != nil {
		return out, err
	}
	if err := strictly(raw, &out); err != nil {
		return out, wrong(at, r.ID, err.Error())
	}
	return out, nil
}

// mergeValue follows RFC 7396, but for parameters given by their value alone.
func mergeValue(old, now any) any {
	fresh, isDoc := now.(map[string]any)
	was, wasDoc := old.(map[string]any)
	if !wasDoc {
		return now
	}
	if !isDoc {
		if _, param := was["value"]; param {
			was["value"] = now
			return was
		}
		return now
	}
	for k, v := range fresh {
		if v == nil {
			delete(was, k)
		} else {
			was[k] = mergeValue(was[k], v)
		}
	}
	return was
}

// checkParams refuses parameters that the rule does not have, or of another kind than its own.
func checkParams(r domain.Rule, params any, at string) error {
	given, ok := params.(map[string]any)
	if !ok {
		return wrong(at+"/params", r.ID, "params is an object of parameters")
	}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		place := at + "/params/" + name
		had, ok := r.Params[name]
		if !ok {
			return wrong(place, r.ID, fmt.Sprintf("the rule has no parameter %q; it has %s", name, strings.Join(slices.Sorted(maps.Keys(r.Params)), ", ")))
		}
		value := given[name]
		if doc, ok := value.(map[string]any); ok {
			value = doc["value"]
		}
		var p domain.Param
		raw, err := json.Marshal(map[string]any{"value": value})
		if err == nil {
			err = json.Unmarshal(raw, &p)
		}
		if err != nil {
			return wrong(place, r.ID, err.Error())
		}
		if fmt.Sprintf("%T", p.Value) != fmt.Sprintf("%T", had.Value) {
			return wrong(place, r.ID, fmt.Sprintf("the parameter is %s, not %s", kindName(had.Value), kindName(p.Value)))
		}
	}
	return nil
}

func kindName(v any) string {
	switch v.(type) {
	case int64:
		return "a whole number"
	case bool:
		return "true or false"
	case []string:
		return "a list of texts"
	}
	return "a text"
}

func remove(rules []domain.Rule, name, at string, complete bool) ([]domain.Rule, error) {
	id, version, one := strings.Cut(name, "@")
	n := len(rules)
	rules = slices.DeleteFunc(rules, func(r domain.Rule) bool { return r.ID == id && (!one || strconv.Itoa(r.Version) == version) })
	if len(rules) == n && complete {
		return nil, wrong(at, id, "there is no such rule or version")
	}
	return rules, nil
}

// check refuses what could not be judged: of a whole set every rule, of a patch those it touched.
func (c Change) check(rules []domain.Rule, touched map[string]bool) error {
	at := func(r domain.Rule) string { // Where in the file the rule stands, as well as can be told.
		for _, list := range []struct {
			name string
			raws []json.RawMessage
		}{{"/rules", c.Rules}, {"/add", c.Add}, {"/change", c.Change}} {
			for i, raw := range list.raws {
				var named struct {
					ID      string
					Version int
				}
				_ = json.Unmarshal(raw, &named) // It was read before.
				if named.ID == r.ID && (list.name == "/change" || named.Version == r.Version) {
					return pointer(list.name, i)
				}
			}
		}
		return ""
	}
	byID := map[string][]domain.Rule{}
	seen := map[string]bool{}
	for _, r := range rules {
		if !touched[r.ID] {
			continue
		}
		if err := ruleset.Validate(r); err != nil {
			return wrong(at(r), r.ID, err.Error())
		}
		if key := fmt.Sprintf("%s@%d", r.ID, r.Version); seen[key] {
			return wrong(at(r), r.ID, fmt.Sprintf("version %d of the rule is there twice", r.Version))
		} else {
			seen[key] = true
		}
		byID[r.ID] = append(byID[r.ID], r)
	}
	for _, id := range slices.Sorted(maps.Keys(byID)) {
		versions := byID[id]
		slices.SortStableFunc(versions, func(a, b domain.Rule) int {
			return cmp.Or(cmp.Compare(a.EffectiveFrom, b.EffectiveFrom), cmp.Compare(a.Version, b.Version))
		})
		for i, r := range versions[1:] {
			before := versions[i]
			if before.EffectiveFrom == r.EffectiveFrom || before.EffectiveTo >= r.EffectiveFrom {
				return wrong(at(r)+"/effective_from", id, fmt.Sprintf("versions %d and %d both count on %s", before.Version, r.Version, r.EffectiveFrom))
			}
		}
	}
	return nil
}

// rulesHash names a rule set: SHA-256 of its rules and calendar as JSON.
func rulesHash(p domain.Policy) (string, error) {
	raw, err := json.Marshal(struct {
		Rules    []domain.Rule   `json:"rules"`
		Calendar domain.Calendar `json:"calendar"`
	}{p.Rules, p.Calendar})
	if err != nil {
		return "", fmt.Errorf("hash rule set: %w", err)
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:]), nil
}

// RuleChange is one version of a rule that differs.
type RuleChange struct {
	Rule    string `json:"rule"`
	Version int    `json:"version"`
	What    string `json:"what"` // added, removed, changed.
	TitleZH string `json:"title_zh"`
	TitleEN string `json:"title_en"`
}

// differences are the versions of rules that then and now do not have alike, by id and version.
func differences(then, now domain.Policy) []RuleChange {
	key := func(r domain.Rule) string { return fmt.Sprintf("%s@%d", r.ID, r.Version) }
	text := func(r domain.Rule) string { raw, _ := json.Marshal(r); return string(raw) } // A rule encodes: it was read.
	was := map[string]string{}
	out := []RuleChange{}
	entry := func(r domain.Rule, what string) {
		out = append(out, RuleChange{Rule: r.ID, Version: r.Version, What: what, TitleZH: r.TitleZH, TitleEN: r.TitleEN})
	}
	for _, r := range then.Rules {
		was[key(r)] = text(r)
	}
	for _, r := range now.Rules {
		switch old, had := was[key(r)]; {
		case !had:
			entry(r, "added")
		case old != text(r):
			entry(r, "changed")
		}
		delete(was, key(r))
	}
	for _, r := range then.Rules {
		if _, gone := was[key(r)]; gone {
			entry(r, "removed")
		}
	}
	slices.SortFunc(out, func(a, b RuleChange) int { return cmp.Or(strings.Compare(a.Rule, b.Rule), a.Version-b.Version) })
	return out
}
