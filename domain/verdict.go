package domain

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// RuleResult is what one rule said, as stored in events: a pass as the text "C-04@1" ("U-02@1?" if unconfirmed), anything
// else as an object.
type RuleResult struct {
	Rule        string         `json:"rule"`    // "C-04"
	Version     int            `json:"version"` // Version of the rule, not of the rule set.
	Outcome     Outcome        `json:"outcome"`
	Code        string         `json:"code,omitempty"`        // Public code, when it did not pass.
	Unconfirmed bool           `json:"unconfirmed,omitempty"` // The rule's text is unconfirmed: it never refuses.
	Params      map[string]any `json:"params,omitempty"`      // Parameters and facts used, when it did not pass.

	Refuses *Rule `json:"-"` // The rule, when it refuses: it names the field to blame, and why.
}

// Verdict is what all rules of a stage said, in rule order. Most results of most events are passes, so it reads and
// writes those itself, and verdicts of one rule set share them: nobody changes a result.
type Verdict []*RuleResult

// Err is the refusal of the first rule that rejects, else of the first that wants a document, else nil.
func (v Verdict) Err() error {
	for _, refuses := range []Outcome{OutcomeReject, OutcomeRequireDoc} {
		for _, r := range v {
			if r.Outcome == refuses {
				no := &Rejection{Code: r.Code, Rule: r.Rule, RuleVersion: r.Version, Params: maps.Clone(r.Params)}
				if r.Refuses != nil {
					no.Detail, no.Pointer = r.Refuses.MessageEN, r.Refuses.Pointer
				}
				return no
			}
		}
	}
	return nil
}

// Holds is true when a human must look first: a rule holds, or a confirmed rule lacks a fact.
func (v Verdict) Holds() bool {
	return slices.ContainsFunc(v, func(r *RuleResult) bool {
		return r.Outcome == OutcomeHold || (r.Outcome == OutcomeUnknown && !r.Unconfirmed)
	})
}

// Routed is true when rule changes the process.
func (v Verdict) Routed(rule string) bool {
	return slices.ContainsFunc(v, func(r *RuleResult) bool { return r.Outcome == OutcomeRoute && r.Rule == rule })
}

// Fired is every result that did not pass.
func (v Verdict) Fired() Verdict {
	var out Verdict
	for _, r := range v {
		if r.Outcome != OutcomePass {
			out = append(out, r)
		}
	}
	return out
}

func (v Verdict) MarshalJSON() ([]byte, error) { return v.appendJSON(make([]byte, 0, 2+10*len(v))) }

func (v Verdict) appendJSON(b []byte) (_ []byte, err error) {
	if v == nil {
		return append(b, "null"...), nil
	}
	from := len(b)
	for _, r := range v {
		if b, err = r.appendJSON(append(b, ',')); err != nil {
			return b, err
		}
	}
	return enclosed(b, from, '[', ']'), nil
}

// MarshalJSON writes a pass as a text, anything else as an object.
func (r RuleResult) MarshalJSON() ([]byte, error) { return r.appendJSON(nil) }

func (r *RuleResult) appendJSON(b []byte) ([]byte, error) {
	if r == nil {
		return append(b, "null"...), nil // As encoding/json does. No rule says it.
	}
	if r.Outcome != OutcomePass {
		return r.appendObject(b)
	}
	if !plain(r.Rule) {
		return b, fmt.Errorf("rule result: %q is no rule", r.Rule)
	}
	b = append(append(b, '"'), r.Rule...)
	b = appendInt(append(b, '@'), int64(r.Version))
	if r.Unconfirmed {
		b = append(b, '?')
	}
	return append(b, '"'), nil
}

// lasting is asked of what was written: what refuses is not stored, nor is a pass more than its rule and version.
func (r *RuleResult) lasting() bool {
	if r == nil || r.Refuses != nil || r.Rule == "" {
		return false
	}
	for i := range len(r.Rule) { // Names of rules are short: this is most of what a verdict is asked.
		if r.Rule[i] == '@' {
			return false
		}
	}
	if r.Outcome == OutcomePass { // Its rule is plain.
		return r.Code == "" && r.Params == nil
	}
	if !plain(r.Rule) {
		return false
	}
	for k, x := range r.Params {
		if !utf8.ValidString(k) || !lastingParam(x) {
			return false
		}
	}
	return utf8.ValidString(string(r.Outcome)) && utf8.ValidString(r.Code) && (r.Params == nil || len(r.Params) > 0)
}

func lastingParam(x any) bool {
	switch x := x.(type) {
	case bool, int64:
		return true
	case string:
		return utf8.ValidString(x)
	}
	return false // Lists among them: who decodes one gives the empty one, never nil.
}

// appendObject writes what did not pass, in the bytes of encoding/json.
func (r *RuleResult) appendObject(b []byte) (_ []byte, err error) {
	b = appendText(append(b, `{"rule":`...), r.Rule)
	b = appendInt(append(b, `,"version":`...), int64(r.Version))
	b = appendText(append(b, `,"outcome":`...), string(r.Outcome))
	if r.Code != "" {
		b = appendText(append(b, `,"code":`...), r.Code)
	}
	if r.Unconfirmed {
		b = append(b, `,"unconfirmed":true`...)
	}
	if len(r.Params) > 0 {
		if b, err = appendParams(append(b, `,"params":`...), r.Params); err != nil {
			return b, err
		}
	}
	return append(b, '}'), nil
}

// appendParams writes parameters in order of names.
func appendParams(b []byte, params map[string]any) ([]byte, error) {
	var room [namesUsual]string
	names := sortedNames(room[:0], params)
	for i, name := range names {
		b = appendText(append(b, "{,"[min(i, 1)]), name)
		b = append(b, ':')
		switch x := params[name].(type) {
		case int64:
			b = appendInt(b, x)
		case bool:
			b = strconv.AppendBool(b, x)
		case string:
			b = appendText(b, x)
		default:
			raw, err := json.Marshal(x)
			if err != nil {
				return b, err
			}
			b = append(b, raw...)
		}
	}
	return append(b, '}'), nil
}

var errVerdict = errors.New("rule results: not a list of texts and objects")

func (v *Verdict) UnmarshalJSON(b []byte) error {
	b = bytes.TrimSpace(b)
	if string(b) == "null" {
		*v = nil
		return nil
	}
	if len(b) < 2 || b[0] != '[' || b[len(b)-1] != ']' {
		return errVerdict
	}
	b = bytes.TrimSpace(b[1 : len(b)-1])
	out := resultsOf(bytes.Count(b, []byte{','}) + 1) // A few more, for what objects hold.
	for len(b) > 0 {
		n := element(b)
		if err := out.next().UnmarshalJSON(b[:n]); err != nil {
			return err
		}
		if b = bytes.TrimLeft(b[n:], " \t\r\n"); len(b) == 0 {
			break
		}
		if b[0] != ',' {
			return errVerdict
		}
		b = bytes.TrimLeft(b[1:], " \t\r\n")
	}
	*v = slices.Clip(out.all)
	return nil
}

// results are those of a verdict that is read, with room for as many as it may have.
type results struct {
	all  Verdict
	room []RuleResult
}

func resultsOf(most int) results { return results{make(Verdict, 0, most), make([]RuleResult, most)} }

// next is one more.
func (r *results) next() (one *RuleResult) {
	if n := len(r.all); n < len(r.room) {
		one = &r.room[n]
	} else {
		one = new(RuleResult)
	}
	r.all = append(r.all, one)
	return one
}

// element is the length of the first value of valid JSON.
func element(b []byte) int {
	depth, text := 0, false
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case text && c == '\\':
			i++
		case c == '"':
			text = !text
			if !text && depth == 0 {
				return i + 1
			}
		case text:
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			if depth--; depth == 0 {
				return i + 1
			}
		case c == ',' && depth == 0:
			return i
		}
	}
	return len(b)
}

// UnmarshalJSON keeps whole numbers in Params whole, so that a decoded verdict equals the one decided.
func (r *RuleResult) UnmarshalJSON(b []byte) error {
	if len(b) >= 2 && b[0] == '"' {
		if err := r.pass(string(b[1 : len(b)-1])); err != nil {
			return fmt.Errorf("rule result %s: %w", b, err)
		}
		return nil
	}
	type plain RuleResult
	var p plain
	if err := decodeNumbers(b, &p); err != nil {
		return err
	}
	for k, v := range p.Params {
		x, err := literal(v)
		if err != nil {
			return fmt.Errorf("rule result: %w", err)
		}
		p.Params[k] = x
	}
	*r = RuleResult(p)
	return nil
}

// pass makes it the pass that a text says.
func (r *RuleResult) pass(text string) (err error) {
	rule, version, _ := strings.Cut(text, "@")
	*r = RuleResult{Rule: rule, Outcome: OutcomePass}
	version, r.Unconfirmed = strings.CutSuffix(version, "?")
	r.Version, err = strconv.Atoi(version)
	return err
}
