package desk

import (
	"context"

	"zujian/domain"
	"zujian/domain/contract"
)

// SignAmendment is one party's signature under an amendment, its own or under its mandate.
func (d *Desk) SignAmendment(ctx context.Context, call Call, id, partyID string, cmd contract.SignAmendment) (contract.State, Receipt, error) {
	s, err := d.mine(ctx, call, id)
	if err != nil {
		return s, Receipt{}, err
	}
	if s.Amendment != nil {
		fresh, err := d.subject(ctx, call, s.Amendment.Changes.Apply(s.Terms))
		if err != nil {
			return s, Receipt{}, err
		}
		cmd.Refreshed = &fresh
	}
	return d.ContractAct(ctx, call, id, partyID, cmd)
}

// ReplaceLessors records that a home was sold: the lease goes on with the owners of the new title. A regulator of its area
// or the registry partner may.
func (d *Desk) ReplaceLessors(ctx context.Context, call Call, id string, cmd contract.ReplaceLessor) (contract.State, Receipt, error) {
	s, err := d.contractState(ctx, id)
	if err != nil {
		return s, Receipt{}, err
	}
	if call.Actor.Role != domain.RolePartner && !Sees(call.Actor, contractRow(s)) {
		return contract.State{}, Receipt{}, ErrNotFound
	}
	for i, p := range cmd.Lessors {
		if err := d.mustParty(ctx, p.Party, "/lessors/"+itoa(i)+"/party_id"); err != nil {
			return s, Receipt{}, err
		}
	}
	t := s.Terms
	t.Lessors = cmd.Lessors
	fresh, err := d.subject(ctx, call, t)
	if err != nil {
		return s, Receipt{}, err
	}
	cmd.Refreshed = &fresh
	r, err := exec(ctx, d, call, contract.Decider, id, contract.Command(cmd))
	if err != nil {
		return s, r, err
	}
	s, err = d.contractState(ctx, id)
	return s, r, err
}
