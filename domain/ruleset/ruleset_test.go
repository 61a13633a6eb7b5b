package ruleset_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"zujian/domain"
	"zujian/domain/domaintest"
	. "zujian/domain/ruleset"
)

var at = time.Date(2026, 11, 23, 2, 0, 0, 0, time.UTC)

func ask() domain.Request[Command] {
	return domain.Request[Command]{At: at, Policy: Shipped(), Actor: domain.Actor{ID: "city-1", Role: domain.RoleCity}}
}

// next is the shipped M-01 as its next version: the cycle limit by >= (the reading of the Nanjing draft).
func next(t testing.TB) domain.Rule {
	t.Helper()
	r, ok := Shipped().Rule("M-01", 1)
	if !ok {
		t.Fatal("M-01 is not shipped")
	}
	r.Version, r.EffectiveFrom = 2, domain.Date(2027, time.January, 1)
	r.Params = map[string]domain.Param{
		"cycle_limit": r.Params["cycle_limit"], "capture_mode": r.Params["capture_mode"], "deposit_months": r.Params["deposit_months"],
		"op": {Value: ">=", Unit: "operator"},
	}
	return r
}

func TestDecide(t *testing.T) {
	rule := next(t)
	with := func(change func(*domain.Rule)) Command {
		r := rule
		change(&r)
		return ProposeChange{ChangeID: "c1", Rule: r, Reason: "draft"}
	}
	proposed := ChangeProposed{ChangeID: "c1", Rule: rule, Reason: "draft", By: "city-1"}
	foreign := ChangeProposed{ChangeID: "c1", Rule: rule, Reason: "draft", By: "city-2"}
	approved := ChangeApproved{ChangeID: "c1", Rule: rule, By: "city-1"}
	rejected := ChangeRejected{ChangeID: "c1", Reason: "no", By: "city-1"}
	domaintest.Run(t, Decider, ask(), []domaintest.Case[Command, Event]{
		{Name: "propose", When: with(func(*domain.Rule) {}), Then: []Event{proposed}},
		{Name: "the same proposal again", Given: []Event{proposed}, When: with(func(*domain.Rule) {})},
		{Name: "the id for another rule", Given: []Event{proposed}, When: with(func(r *domain.Rule) { r.Severity = 5 }), Err: ErrExists},
		{Name: "without a reason", When: ProposeChange{ChangeID: "c1", Rule: rule}, Err: ErrReason},
		{Name: "a bad id", When: ProposeChange{ChangeID: "c 1", Rule: rule, Reason: "x"}, Err: ErrReason},
		{Name: "a version that exists", When: with(func(r *domain.Rule) { r.Version = 1 }), Err: ErrVersion},
		{Name: "a version left out", When: with(func(r *domain.Rule) { r.Version = 3 }), Err: ErrVersion},
		{Name: "reaching back", When: with(func(r *domain.Rule) { r.EffectiveFrom = domain.DayOf(at) - 1 }), Err: ErrRetroactive},
		{Name: "another code", When: with(func(r *domain.Rule) { r.Code = "contract.deposit_clause" }), Err: ErrCode},
		{Name: "unconfirmed and refusing", When: with(func(r *domain.Rule) { r.Status, r.Outcome = domain.RuleUnconfirmed, domain.OutcomeReject }), Err: ErrRule},
		{Name: "a fact nobody gives", When: with(func(r *domain.Rule) { r.Predicate = domain.Expr{Op: "fact", Name: "lease.mood"} }), Err: ErrRule},
		{Name: "a fact of another stage", When: with(func(r *domain.Rule) { r.Stages = []domain.Stage{domain.StageUnit} }), Err: ErrRule},
		{Name: "approve", Given: []Event{foreign}, When: ApproveChange{ChangeID: "c1"}, Then: []Event{approved}},
		{Name: "approve one's own", Given: []Event{proposed}, When: ApproveChange{ChangeID: "c1"}, Err: ErrFourEyes},
		{Name: "approve twice", Given: []Event{foreign, approved}, When: ApproveChange{ChangeID: "c1"}},
		{Name: "approve nothing", When: ApproveChange{ChangeID: "c1"}, Err: ErrNotFound},
		{Name: "approve what was rejected", Given: []Event{foreign, rejected}, When: ApproveChange{ChangeID: "c1"}, Err: ErrWrongState},
		{Name: "reject", Given: []Event{proposed}, When: RejectChange{ChangeID: "c1", Reason: "no"}, Then: []Event{rejected}},
		{Name: "reject twice", Given: []Event{proposed, rejected}, When: RejectChange{ChangeID: "c1", Reason: "no"}},
		{Name: "reject what stands", Given: []Event{foreign, approved}, When: RejectChange{ChangeID: "c1", Reason: "no"}, Err: ErrWrongState},
		{Name: "reject without a reason", Given: []Event{proposed}, When: RejectChange{ChangeID: "c1"}, Err: ErrReason},
		{Name: "reject nothing", When: RejectChange{ChangeID: "c1", Reason: "no"}, Err: ErrNotFound},
		{
			Name:  "two proposals of one version: only one is approved",
			Given: []Event{foreign, ChangeProposed{ChangeID: "c2", Rule: rule, Reason: "x", By: "city-2"}, approved},
			When:  ApproveChange{ChangeID: "c2"}, Err: ErrVersion,
		},
	})
}

func TestTooManyOpen(t *testing.T) {
	var given []Event
	for i := range 100 {
		given = append(given, ChangeProposed{ChangeID: fmt.Sprint("c", i), Rule: next(t), Reason: "x", By: "a"})
	}
	r := ask()
	r.Command = ProposeChange{ChangeID: "more", Rule: next(t), Reason: "x"}
	if _, err := Decider.Decide(Decider.Fold(State{}, given...), r); !errors.Is(err, ErrTooMany) {
		t.Errorf("got %v", err)
	}
}

// TestOneParameterFlipsTheLimit is golden scenario 5: exactly three months at a time.
func TestOneParameterFlipsTheLimit(t *testing.T) {
	s := Decider.Fold(State{}, ChangeProposed{ChangeID: "c1", Rule: next(t), By: "a"}, ChangeApproved{ChangeID: "c1", Rule: next(t), By: "b"})
	p := Policy(Shipped(), s)
	if p.Version != 2 {
		t.Errorf("policy version %d", p.Version)
	}
	f := examples(t)
	facts := f.record(t, example{Base: "lease", Facts: map[string]any{"lease.by_operator": true}})
	if p.Judge(domain.StageSign, domain.Date(2026, time.December, 31), facts).Routed("M-01") {
		t.Error("> 3 routes three months")
	}
	if !p.Judge(domain.StageSign, domain.Date(2027, time.January, 1), facts).Routed("M-01") {
		t.Error(">= 3 does not route three months")
	}
	if Shipped().Judge(domain.StageSign, domain.Date(2027, time.January, 1), facts).Routed("M-01") {
		t.Error("the shipped policy changed")
	}
}

func TestProblemIsNamed(t *testing.T) {
	r := ask()
	bad := next(t)
	bad.Predicate = domain.Expr{Op: "fact", Name: "lease.mood"}
	r.Command = ProposeChange{ChangeID: "c1", Rule: bad, Reason: "x"}
	_, err := Decider.Decide(State{}, r)
	rejection, ok := errors.AsType[*domain.Rejection](err)
	if !ok || rejection.Pointer != "/rule" || !strings.Contains(fmt.Sprint(rejection.Params["problem"]), "lease.mood") {
		t.Errorf("got %v", err)
	}
}

func TestGolden(t *testing.T) {
	domaintest.Golden(t, Types, "testdata/events",
		ChangeProposed{ChangeID: "c1", Rule: next(t), Reason: "draft", By: "a"}, ChangeApproved{ChangeID: "c1", Rule: next(t), By: "b"})
}

// FuzzProposal: whatever JSON a regulator sends as a rule, it is refused or can be judged.
func FuzzProposal(f *testing.F) {
	for _, r := range Shipped().Rules {
		b, _ := json.Marshal(r)
		f.Add(string(b))
	}
	p := Shipped()
	facts := examples(f).record(f, example{Base: "lease"})
	f.Fuzz(func(t *testing.T, data string) {
		var rule domain.Rule
		if json.Unmarshal([]byte(data), &rule) != nil || Validate(rule) != nil {
			return
		}
		q := p
		q.Rules = []domain.Rule{rule}
		for _, stage := range rule.Stages {
			v := q.Judge(stage, domain.DayOf(at), facts)
			if rule.Status == domain.RuleUnconfirmed && v.Err() != nil {
				t.Fatalf("an unconfirmed rule refuses: %s", data)
			}
		}
	})
}
