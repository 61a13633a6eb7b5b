package desk

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"slices"

	"zujian/domain"
	"zujian/domain/contract"
	"zujian/domain/party"
	"zujian/domain/unit"
)

// SignAmendment is one party's signature under an amendment, its own or under its mandate.
func (d *Desk) SignAmendment(ctx context.Context, call Call, id, partyID string, cmd contract.SignAmendment) (contract.State, Receipt, error) {
	d.naming.RLock()
	defer d.naming.RUnlock()
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

// Certificates reads what was certified of a contract, for a question that names no party.
func (d *Desk) Certificates(ctx context.Context, id string) (contract.State, []contract.Certificate, error) {
	s, err := d.contractState(ctx, id)
	return s, s.CertificateVersions(), err
}

// SignAnswer signs with the key for answers, which follows from the vault's root: it is the same after every start.
func (d *Desk) SignAnswer(ctx context.Context, text []byte) (publicKey, signature []byte, err error) {
	first, err := d.o.Vault.Blind(ctx, "answer signature", "1")
	if err != nil {
		return nil, nil, err
	}
	second, err := d.o.Vault.Blind(ctx, "answer signature", "2")
	if err != nil {
		return nil, nil, err
	}
	seed := sha256.Sum256([]byte(first + second))
	key := ed25519.NewKeyFromSeed(seed[:])
	return key[ed25519.SeedSize:], ed25519.Sign(key, text), nil
}

// ReplaceLessors records that a home was sold: the lease goes on with the owners of the new title. A regulator of its area
// or the registry partner may.
func (d *Desk) ReplaceLessors(ctx context.Context, call Call, id string, cmd contract.ReplaceLessor) (contract.State, Receipt, error) {
	d.naming.RLock()
	defer d.naming.RUnlock()
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

// ContractAct is any later act on a contract: amendments, occupants, notice, termination, renewal, cancellation. party is
// the party it is done for; the caller must be it or hold its mandate. The authority acts with "".
func (d *Desk) ContractAct(ctx context.Context, call Call, id, partyID string, cmd contract.Command) (contract.State, Receipt, error) {
	s, err := d.mine(ctx, call, id)
	if err != nil {
		return s, Receipt{}, err
	}
	if partyID != "" {
		own, mandated, err := d.actsFor(ctx, call, partyID, party.ScopeSign, s.Terms.Unit)
		if err != nil {
			return s, Receipt{}, err
		}
		if !own && !mandated {
			return s, Receipt{}, contract.ErrNotSigner.At("/party_id")
		}
	}
	var r Receipt
	var undo func() error
	for {
		if undo, err = d.extend(ctx, call, id, s, cmd); err != nil {
			return s, Receipt{}, err
		}
		if r, err = exec(ctx, d, call, holding(s), id, cmd); !errors.Is(err, errOvertaken) {
			break
		}
		if s, err = d.contractState(ctx, id); err != nil { // This signature may have become the last one meanwhile.
			return s, Receipt{}, err
		}
	}
	if err != nil {
		return s, r, errors.Join(err, undo())
	}
	if s, err = d.contractState(ctx, id); err != nil {
		return s, r, err
	}
	follow, err := d.follow(ctx, call, id, s, cmd)
	return s, r.later(follow.Position), err
}

var errOvertaken = errors.New("the contract has changed since the days were held")

// holding decides as contracts do, but lengthens no lease by what others signed after its state was looked at: the days that
// adds were not held.
func holding(seen contract.State) domain.Decider[contract.State, contract.Command, contract.Event] {
	dec := contract.Decider
	dec.Decide = func(s contract.State, r domain.Request[contract.Command]) ([]contract.Event, error) {
		out, err := contract.Decider.Decide(s, r)
		for _, e := range out {
			if a, is := e.(contract.Amended); is && a.After.End > s.Terms.End &&
				(seen.Amendment == nil || len(seen.Amendment.Signed) != len(s.Amendment.Signed)) {
				return nil, errOvertaken
			}
		}
		return out, err
	}
	return dec
}

// extend holds the days an amendment adds before the last signature makes it binding: the unit's stream alone knows
// whether they are free. undo gives them back when the signature is refused.
func (d *Desk) extend(ctx context.Context, call Call, id string, s contract.State, cmd contract.Command) (undo func() error, err error) {
	undo = func() error { return nil }
	sign, ok := cmd.(contract.SignAmendment)
	if !ok || s.Stage != contract.StageFiled || s.Amendment == nil || s.Amendment.ID != sign.AmendmentID ||
		s.Amendment.Changes.End <= s.Terms.End {
		return undo, nil
	}
	for _, p := range s.AmendmentParties() {
		if p != sign.Party && !slices.Contains(s.Amendment.Signed, p) {
			return undo, nil // Not the last signature.
		}
	}
	change := func(step string, until domain.Day) error {
		_, err := exec(ctx, d, call.step(step), unit.Decider, s.Terms.Unit, unit.Command(unit.Change{Contract: id, Until: until}))
		return err
	}
	return func() error { return change("give back", s.Terms.End) }, change("extend", s.Amendment.Changes.End)
}

// follow brings the unit's and the money's streams after an act that moves the end. The process "leasing" repeats it.
func (d *Desk) follow(ctx context.Context, call Call, id string, s contract.State, cmd contract.Command) (Receipt, error) {
	switch cmd.(type) {
	case contract.Terminate, contract.Expire:
		if s.Stage != contract.StageEnded {
			return Receipt{}, nil
		}
		return exec(ctx, d, call.step("end"), unit.Decider, s.Terms.Unit,
			unit.Command(unit.End{Contract: id, On: s.EndedOn, Reason: s.EndReason}))
	case contract.ApproveCancellation:
		return exec(ctx, d, call.step("release"), unit.Decider, s.Terms.Unit, unit.Command(unit.Release{Contract: id}))
	case contract.SignAmendment, contract.ApplyAmendment:
		if s.Amendment == nil && s.Stage == contract.StageFiled {
			return exec(ctx, d, call.step("change"), unit.Decider, s.Terms.Unit,
				unit.Command(unit.Change{Contract: id, Until: s.Terms.End}))
		}
	}
	return Receipt{}, nil
}

// ProposeAmendment proposes changed terms; its id follows from the call.
func (d *Desk) ProposeAmendment(ctx context.Context, call Call, id, partyID string, changes contract.Changes, from domain.Day) (string, contract.State, Receipt, error) {
	s, err := d.mine(ctx, call, id)
	if err != nil {
		return "", s, Receipt{}, err
	}
	if changes.Escrow != nil {
		if err := d.mustBank(ctx, changes.Escrow.Bank, "/changes/escrow/bank_id"); err != nil {
			return "", s, Receipt{}, err
		}
	}
	for i, p := range changes.Lessees {
		if err := d.mustParty(ctx, p.Party, "/changes/lessees/"+itoa(i)+"/party_id"); err != nil {
			return "", s, Receipt{}, err
		}
	}
	fresh, err := d.subject(ctx, call, changes.Apply(s.Terms))
	if err != nil {
		return "", s, Receipt{}, err
	}
	amendment := derive("amendment", call.ID)
	if partyID == "" {
		partyID = call.Actor.Party
	}
	s, r, err := d.ContractAct(ctx, call, id, partyID, contract.ProposeAmendment{
		AmendmentID: amendment, By: partyID, Changes: changes, EffectiveFrom: from, Refreshed: &fresh,
	})
	return amendment, s, r, err
}
