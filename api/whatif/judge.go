package whatif

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"zujian/api/desk"
	"zujian/domain"
	"zujian/domain/escrow"
)

// Effect is what a change does to one decision, the gravest first.
type Effect string

// Effects.
const (
	Refused      Effect = "refused"      // It would not have been allowed.
	OverCeiling  Effect = "over_ceiling" // Its rent is above the ceiling in the guidance prices.
	Held         Effect = "held"         // A person would have had to look first.
	Supervised   Effect = "supervised"   // Its money would have gone through the supervised account.
	Unsupervised Effect = "unsupervised" // Its money would not have.
	Rescheduled  Effect = "rescheduled"  // Supervised as well, otherwise: captured, passed on or called differently.
	Warned       Effect = "warned"       // A warning or note more.
	Routed       Effect = "routed"       // Another way through: a rule that routes said so, and nothing else.
	Freed        Effect = "freed"        // Nobody would have had to look.
	Eased        Effect = "eased"        // A warning or note less.
	Other        Effect = "other"        // Another day, deadline or mark.
	Admitted     Effect = "admitted"     // Allowed by the changed rules, refused by those of then as today's program reads them.
)

// Effects are all of them, the gravest first.
var Effects = []Effect{Refused, OverCeiling, Held, Supervised, Unsupervised, Rescheduled, Warned, Routed, Freed, Eased, Other, Admitted}

// judged is one decision taken twice.
type judged struct {
	then, now answer
	differs   bool   // What was recorded is not what the program of today decides under the rules of then.
	effect    Effect // "" = none.
	because   []string
	cap       domain.Fen // Highest rent that no rule refuses; 0 = none, or not asked for.
}

// answer is a decision and all that rules said of it.
type answer struct {
	desk.Taken
	verdict domain.Verdict // Every rule, those that refuse included.
	refused []string       // Rules that refuse, in the order they are met; the code of a refusal that is no rule's.
}

const refusalsMax = 32 // Rules that refuse one decision. More are not told apart.

// answerOf takes a decision and, where rules refuse it, finds all of them: each is left out in turn.
func answerOf(p domain.Policy, again func(domain.Policy) desk.Taken) answer {
	a := answer{Taken: again(p)}
	last := a.Taken
	var fallen domain.Verdict
	for range refusalsMax {
		var no *domain.Rejection
		if !errors.As(last.Err, &no) {
			break
		}
		if no.Rule == "" {
			a.refused = append(a.refused, no.Code)
			break
		}
		a.refused = append(a.refused, no.Rule)
		outcome := domain.OutcomeReject
		if r, ok := p.Rule(no.Rule, no.RuleVersion); ok && r.Outcome == domain.OutcomeRequireDoc {
			outcome = r.Outcome
		}
		fallen = append(fallen, &domain.RuleResult{Rule: no.Rule, Version: no.RuleVersion, Outcome: outcome, Code: no.Code})
		if p = without(p, no.Rule); slices.Contains(a.refused[:len(a.refused)-1], no.Rule) {
			break // An invariant under a rule's name.
		}
		last = again(p)
	}
	a.verdict = append(fallen, desk.Verdict(last.Events)...)
	return a
}

func without(p domain.Policy, rule string) domain.Policy {
	rules := slices.DeleteFunc(slices.Clone(p.Rules), func(r domain.Rule) bool { return r.ID == rule })
	return domain.Policy{Version: p.Version, Rules: rules, Calendar: p.Calendar}
}

// judge takes a decision under the rules of then and under the changed ones.
func judge(d *desk.Decision, p policies, r Request) (j judged) {
	j.then = answerOf(p.then, d.Then)
	j.now = answerOf(p.now, d.Again)
	j.differs = j.then.Err != nil || !alike(j.then.Events, d.Recorded)
	j.effect, j.because = compare(j.then, j.now)
	if j.effect == Refused && r.Refused == Capped && d.Rent > 1 && mayCap(d.Kind) {
		if j.cap = ceiling(d, p.now); j.cap > 0 { // Its money is what it would be at that rent.
			j.now.Ledger = d.AtRent(p.now, j.cap).Ledger
		}
	}
	return j
}

func mayCap(kind string) bool {
	return kind == desk.DecisionDraft || kind == desk.DecisionSignature || kind == desk.DecisionFiling
}

// ceiling is the highest rent below the agreed one at which no rule refuses. It takes for granted that a rule which lets a
// rent pass lets every lower one pass.
func ceiling(d *desk.Decision, p domain.Policy) domain.Fen {
	passes := func(rent domain.Fen) bool { return d.AtRent(p, rent).Err == nil }
	if !passes(1) {
		return 0
	}
	low, high := domain.Fen(1), d.Rent
	for high-low > 1 {
		if mid := low + (high-low)/2; passes(mid) {
			low = mid
		} else {
			high = mid
		}
	}
	return low
}

// alike says whether two lists of events are stored as the same bytes.
func alike(a, b []domain.Event) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		x, errX := json.Marshal(a[i])
		y, errY := json.Marshal(b[i])
		if errX != nil || errY != nil || a[i].EventType() != b[i].EventType() || !bytes.Equal(x, y) {
			return false
		}
	}
	return true
}

// compare tells the gravest difference of two answers and the rules behind it, in order.
func compare(then, now answer) (Effect, []string) {
	switch {
	case now.Err != nil && then.Err == nil:
		return Refused, sorted(now.refused)
	case now.Err == nil && then.Err != nil:
		return Admitted, sorted(then.refused)
	}
	more, less := fired(now.verdict, then.verdict), fired(then.verdict, now.verdict)
	heldThen, heldNow := desk.Held(then.Events), desk.Held(now.Events)
	switch {
	case heldNow && !heldThen:
		return Held, more
	case then.Ledger == nil && now.Ledger != nil && now.Err == nil:
		return Supervised, more
	case then.Ledger != nil && now.Ledger == nil && then.Err == nil:
		return Unsupervised, less
	case !alikePlans(then.Ledger, now.Ledger):
		return Rescheduled, more
	case len(more) > 0 && routes(now.verdict, more):
		return Routed, more
	case len(more) > 0:
		return Warned, more
	case heldThen && !heldNow:
		return Freed, less
	case len(less) > 0:
		return Eased, less
	case !alikeBut(then.Events, now.Events):
		return Other, nil
	}
	return "", nil
}

// fired are the rules that did not pass in v and did otherwise, or nothing, in before.
func fired(v, before domain.Verdict) []string {
	was := map[string]domain.Outcome{}
	for _, r := range before {
		was[r.Rule] = r.Outcome
	}
	var out []string
	for _, r := range v {
		if r.Outcome != domain.OutcomePass && was[r.Rule] != r.Outcome {
			out = append(out, r.Rule)
		}
	}
	return sorted(out)
}

// routes says whether rules do nothing but route.
func routes(v domain.Verdict, rules []string) bool {
	return !slices.ContainsFunc(v, func(r *domain.RuleResult) bool {
		return r.Outcome != domain.OutcomePass && r.Outcome != domain.OutcomeRoute && slices.Contains(rules, r.Rule)
	})
}

func sorted(rules []string) []string {
	out := slices.Clone(rules)
	slices.Sort(out)
	return slices.Compact(out)
}

func alikePlans(a, b *escrow.FundsExpected) bool {
	if a == nil || b == nil {
		return a == b
	}
	x, y := *a, *b
	x.Rules, y.Rules = nil, nil
	return alike([]domain.Event{x}, []domain.Event{y})
}

// alikeBut compares events but for what the rules said: their versions and parameters may differ and nothing else.
func alikeBut(a, b []domain.Event) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i].EventType() != b[i].EventType() || bare(a[i]) != bare(b[i]) {
			return false
		}
	}
	return true
}

// bare is an event without its verdict.
func bare(e domain.Event) string {
	raw, err := json.Marshal(e)
	if err != nil {
		return err.Error()
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(raw, &fields); err != nil {
		return string(raw)
	}
	delete(fields, "rules")
	names := make([]string, 0, len(fields))
	for name := range fields {
		names = append(names, name)
	}
	slices.Sort(names)
	var b strings.Builder
	for _, name := range names {
		b.WriteString(name)
		b.Write(fields[name])
	}
	return b.String()
}
