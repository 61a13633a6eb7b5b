package contract_test

import (
	"encoding/json"
	"reflect"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"zujian/domain"
	. "zujian/domain/contract"
	"zujian/domain/ruleset"
)

// sameAnswer holds the decider of a call to what a separate call was answered.
func sameAnswer(t *rapid.T, call domain.Decider[State, Command, Event], s State, req domain.Request[Command], want []Event, wantErr error) {
	got, err := call.Decide(s, req)
	if diff := cmp.Diff(want, got); diff != "" || !reflect.DeepEqual(err, wantErr) {
		t.Fatalf("%T in one call: %v, alone: %v\n%s", req.Command, err, wantErr, diff)
	}
}

// TestOneCallAnswersAsSeparateCalls takes the steps of a filing at one moment, by facts and terms that stay or change between
// them, under the shipped rules and one more signing rule that reads what only a filing has.
func TestOneCallAnswersAsSeparateCalls(t *testing.T) {
	late := domain.Rule{
		ID: "C-98", Version: 1, EffectiveFrom: day("2020-01-01"), Status: domain.RuleActive, Stages: []domain.Stage{domain.StageSign},
		Outcome: domain.OutcomeHold, Code: "contract.by_counter",
	}
	if err := json.Unmarshal([]byte(`["or", ["==", "$lease.filed_by", "COUNTER"], "$lease.paper_unchecked"]`), &late.Predicate); err != nil {
		t.Fatal(err)
	}
	shipped := ruleset.Shipped()
	more := shipped
	more.Rules, more.Version = append(slices.Clone(shipped.Rules), late), shipped.Version+1
	more = more.Prepared()
	filed := 0
	rapid.Check(t, func(t *rapid.T) {
		facts := func(name string) *Subject {
			return rapid.SampledFrom([]*Subject{nil, {}, new(subject()), new(subject()), new(edit(subject(), func(s *Subject) {
				s.Unit.Flags = []string{"OBJECTION"}
			})), new(edit(subject(), func(s *Subject) { s.Parties[0].Level = 0 }))}).Draw(t, name)
		}
		terms := edit(ordinary(), func(t2 *Terms) {
			t2.DepositFen = rapid.SampledFrom([]domain.Fen{350_000, 700_000, 9_000_000}).Draw(t, "deposit")
			t2.Occupants = rapid.SampledFrom([][]Occupant{nil, {}, {{ID: "1", Party: "tenant"}}}).Draw(t, "occupants")
		})
		first := subject()
		if f := facts("drafted on"); f != nil && f.Unit.ID != "" {
			first = *f
		}
		policy := rapid.SampledFrom([]domain.Policy{shipped, more}).Draw(t, "rules")
		call, hash := new(OneCall).Decider(), ""
		var s State
		steps := []func() Command{
			func() Command { return Draft{Terms: terms, Subject: first} },
			func() Command { return Sign{Party: "owner", ContentHash: hash, Refreshed: facts("owner")} },
			func() Command { return Sign{Party: "tenant", ContentHash: hash, Refreshed: facts("tenant")} },
			func() Command {
				return File{Number: validNo, ByRole: ByLessor, By: "owner", Refreshed: facts("filing")}
			},
			func() Command { return File{Number: validNo, ByRole: ByCounter, Refreshed: facts("counter")} },
		}
		if rapid.IntRange(0, 3).Draw(t, "paper") == 0 {
			steps[1] = func() Command {
				return RecordPaper{ScanSHA256: sha("b"), ContentHash: hash, ByRole: ByLessee, By: "tenant"}
			}
		}
		for i, step := range steps {
			actor := []domain.Actor{as("owner"), as("owner"), as("tenant"), as("owner"), as("owner")}[i]
			at := now
			if policy.Version == more.Version && i > 2 && rapid.Bool().Draw(t, "another day") {
				at = at.AddDate(0, 0, 1)
			}
			req := domain.Request[Command]{At: at, Actor: actor, Policy: policy, Command: step()}
			got, err := Decider.Decide(s, req)
			sameAnswer(t, call, s, req, got, err)
			s = Decider.Fold(s, got...)
			hash = s.DraftHash
		}
		if s.Stage == StageFiled || s.Stage == StageHeld {
			filed++
		}
	})
	if filed == 0 {
		t.Error("nothing was ever filed")
	}
}
