package desk

import (
	"context"

	"zujian/domain"
	"zujian/domain/guidance"
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

// Guidance reads the guidance prices of a period.
func (d *Desk) Guidance(ctx context.Context, period string) (guidance.State, Receipt, error) {
	s, rev, found, err := load(ctx, d, guidance.Decider, period)
	if err == nil && !found {
		err = ErrNotFound
	}
	return s, Receipt{Revision: max(rev, 0)}, err
}

// GuidanceAct proposes, revises, approves or withdraws a version of a period's prices.
func (d *Desk) GuidanceAct(ctx context.Context, call Call, period string, cmd guidance.Command) (guidance.State, Receipt, error) {
	if !guidancePeriod(period) {
		return guidance.State{}, Receipt{}, ErrInvalid.At("/period")
	}
	r, err := exec(ctx, d, call, guidance.Decider, period, cmd)
	if err != nil {
		return guidance.State{}, r, err
	}
	s, _, _, err := load(ctx, d, guidance.Decider, period)
	return s, r, err
}

// IndexAct computes, reviews, approves or withdraws a vintage of a month's rent index.
func (d *Desk) IndexAct(ctx context.Context, call Call, month domain.Month, cmd index.Command) (Receipt, error) {
	return exec(ctx, d, call, index.Decider, month.String(), cmd)
}

// guidancePeriod accepts "2026Q2".
func guidancePeriod(s string) bool {
	return len(s) == 6 && s[:2] == "20" && s[2] >= '0' && s[2] <= '9' && s[3] >= '0' && s[3] <= '9' && s[4] == 'Q' && s[5] >= '1' && s[5] <= '4'
}
