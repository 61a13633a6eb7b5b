package ruleset

import (
	"reflect"
	"regexp"
	"slices"

	"zujian/domain"
)

// Decider is the rule-set aggregate.
var Decider = domain.Decider[State, Command, Event]{Category: "ruleset", Decide: decide, Evolve: evolve}

// Rejections.
var (
	ErrNotFound    = domain.Reject("ruleset.not_found", "there is no such proposed change")
	ErrWrongState  = domain.Reject("ruleset.wrong_state", "the change is already decided")
	ErrFourEyes    = domain.Reject("ruleset.four_eyes", "a change is approved by another person than its proposer")
	ErrExists      = domain.Reject("ruleset.change_exists", "this change id was used for another proposal")
	ErrReason      = domain.Reject("ruleset.reason_required", "a change needs an id and a reason of at most 1000 characters")
	ErrRule        = domain.Reject("ruleset.invalid_rule", "the proposed rule cannot be judged as it stands")
	ErrVersion     = domain.Reject("ruleset.version_taken", "the version must be the next one of this rule")
	ErrRetroactive = domain.Reject("ruleset.retroactive", "a rule may not reach back before the day it is decided")
	ErrCode        = domain.Reject("ruleset.code_unknown", "the code must be the rule's own, or one that the register already has texts for")
	ErrTooMany     = domain.Reject("ruleset.too_many_open", "too many proposed changes are open; decide some first")
)

// CodeGeneral is the code a new rule may use when no other fits.
const CodeGeneral = "rule.violated"

const (
	openMax   = 100
	reasonMax = 1000 // Runes.
)

var changeForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$`)

// Stage is how far a change has come.
type Stage string

// Stages of a change.
const (
	StageProposed Stage = "PROPOSED"
	StageApproved Stage = "APPROVED"
	StageRejected Stage = "REJECTED"
)

// Change is one proposed version and what became of it.
type Change struct {
	ID         string
	Rule       domain.Rule
	Reason     string
	Stage      Stage
	ProposedBy string
	DecidedBy  string
}

// State is the changes to the shipped rules. Changes are in the order of proposal, Approved in that of approval.
type State struct {
	Changes  []Change
	Approved []domain.Rule
}

// Change finds a change by its id.
func (s State) Change(id string) (Change, bool) {
	i := slices.IndexFunc(s.Changes, func(c Change) bool { return c.ID == id })
	if i < 0 {
		return Change{}, false
	}
	return s.Changes[i], true
}

func decide(s State, r domain.Request[Command]) ([]Event, error) {
	switch c := r.Command.(type) {
	case ProposeChange:
		return propose(s, r, c)
	case ApproveChange:
		return approve(s, r, c)
	case RejectChange:
		return reject(s, r, c)
	}
	panic("ruleset: unhandled command") // Sealed set: only a programming error gets here.
}

func propose(s State, r domain.Request[Command], c ProposeChange) ([]Event, error) {
	if !changeForm.MatchString(c.ChangeID) {
		return nil, ErrReason.At("/change_id")
	}
	if n := len([]rune(c.Reason)); n == 0 || n > reasonMax {
		return nil, ErrReason.At("/reason")
	}
	if old, exists := s.Change(c.ChangeID); exists {
		if old.Reason == c.Reason && reflect.DeepEqual(old.Rule, c.Rule) {
			return nil, nil
		}
		return nil, ErrExists.At("/change_id")
	}
	open := 0
	for _, x := range s.Changes {
		if x.Stage == StageProposed {
			open++
		}
	}
	if open >= openMax {
		return nil, ErrTooMany.With("max", openMax)
	}
	if err := check(s, r, c.Rule); err != nil {
		return nil, err
	}
	return []Event{ChangeProposed{ChangeID: c.ChangeID, Rule: c.Rule, Reason: c.Reason, By: r.Actor.ID}}, nil
}

// check holds a rule against the policy of the request and what was approved since.
func check(s State, r domain.Request[Command], rule domain.Rule) error {
	if err := Validate(rule); err != nil {
		return ErrRule.With("problem", err.Error()).At("/rule")
	}
	if rule.EffectiveFrom < r.Today() {
		return ErrRetroactive.With("effective_from", rule.EffectiveFrom.String()).At("/rule/effective_from")
	}
	last, code, codes := 0, "", map[string]bool{CodeGeneral: true}
	for _, x := range slices.Concat(r.Policy.Rules, s.Approved) {
		codes[x.Code] = true
		if x.ID == rule.ID {
			last, code = max(last, x.Version), x.Code
		}
	}
	if rule.Version != last+1 {
		return ErrVersion.With("next", last+1).At("/rule/version")
	}
	if (last > 0 && rule.Code != code) || !codes[rule.Code] {
		return ErrCode.With("code", rule.Code).At("/rule/code")
	}
	return nil
}

func approve(s State, r domain.Request[Command], c ApproveChange) ([]Event, error) {
	change, exists := s.Change(c.ChangeID)
	switch {
	case !exists:
		return nil, ErrNotFound
	case change.Stage == StageApproved:
		return nil, nil
	case change.Stage != StageProposed:
		return nil, wrongState(change)
	case change.ProposedBy == r.Actor.ID:
		return nil, ErrFourEyes
	}
	if err := check(s, r, change.Rule); err != nil {
		return nil, err
	}
	return []Event{ChangeApproved{ChangeID: c.ChangeID, Rule: change.Rule, By: r.Actor.ID}}, nil
}

func reject(s State, r domain.Request[Command], c RejectChange) ([]Event, error) {
	change, exists := s.Change(c.ChangeID)
	switch {
	case !exists:
		return nil, ErrNotFound
	case change.Stage == StageRejected:
		return nil, nil
	case change.Stage != StageProposed:
		return nil, wrongState(change)
	}
	if n := len([]rune(c.Reason)); n == 0 || n > reasonMax {
		return nil, ErrReason.At("/reason")
	}
	return []Event{ChangeRejected{ChangeID: c.ChangeID, Reason: c.Reason, By: r.Actor.ID}}, nil
}

func wrongState(c Change) error {
	return ErrWrongState.With("from", string(c.Stage)).With("allowed", []string{string(StageProposed)})
}

func evolve(s State, e Event) State {
	switch e := e.(type) {
	case ChangeProposed:
		s.Changes = append(slices.Clip(s.Changes), Change{
			ID: e.ChangeID, Rule: e.Rule, Reason: e.Reason, Stage: StageProposed, ProposedBy: e.By,
		})
	case ChangeApproved:
		s.Changes = decided(s.Changes, e.ChangeID, StageApproved, e.By)
		s.Approved = append(slices.Clip(s.Approved), e.Rule)
	case ChangeRejected:
		s.Changes = decided(s.Changes, e.ChangeID, StageRejected, e.By)
	}
	return s
}

func decided(changes []Change, id string, stage Stage, by string) []Change {
	out := slices.Clone(changes)
	for i := range out {
		if out[i].ID == id {
			out[i].Stage, out[i].DecidedBy = stage, by
		}
	}
	return out
}
