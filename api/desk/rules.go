package desk

import (
	"context"

	"zujian/domain"
	"zujian/domain/index"
	"zujian/domain/ruleset"
	"zujian/eventstore/aggregate"
)

// Policy is the rule set in force: what ships, and every change the city approved.
func (d *Desk) Policy(ctx context.Context) (domain.Policy, error) {
	s, rev, err := aggregate.Load(ctx, d.o.Runner, ruleset.Decider, d.o.City.ID)
	if err != nil {
		return domain.Policy{}, err
	}
	d.policy.mu.Lock()
	defer d.policy.mu.Unlock()
	if !d.policy.loaded || d.policy.rev != rev {
		d.policy.policy, d.policy.rev, d.policy.loaded = ruleset.Policy(d.o.Shipped, s), rev, true
	}
	return d.policy.policy, nil
}

// Ruleset reads the changes of the city's rule set.
func (d *Desk) Ruleset(ctx context.Context) (ruleset.State, Receipt, error) {
	s, rev, _, err := load(ctx, d, ruleset.Decider, d.o.City.ID)
	return s, Receipt{Revision: max(rev, 0)}, err
}

// ProposeRule proposes a new version of a rule; its change id follows from the call.
func (d *Desk) ProposeRule(ctx context.Context, call Call, rule domain.Rule, reason string) (string, Receipt, error) {
	id := derive("rule change", call.ID)
	r, err := exec(ctx, d, call, ruleset.Decider, d.o.City.ID,
		ruleset.Command(ruleset.ProposeChange{ChangeID: id, Rule: rule, Reason: reason}))
	return id, r, err
}

// DecideRule approves or rejects a proposed change; approval needs another key than the proposal's.
func (d *Desk) DecideRule(ctx context.Context, call Call, change string, approve bool, reason string) (Receipt, error) {
	var cmd ruleset.Command = ruleset.ApproveChange{ChangeID: change}
	if !approve {
		cmd = ruleset.RejectChange{ChangeID: change, Reason: reason}
	}
	return exec(ctx, d, call, ruleset.Decider, d.o.City.ID, cmd)
}

// IndexAct computes, reviews, approves or withdraws a vintage of a month's rent index.
func (d *Desk) IndexAct(ctx context.Context, call Call, month domain.Month, cmd index.Command) (Receipt, error) {
	return exec(ctx, d, call, index.Decider, month.String(), cmd)
}
