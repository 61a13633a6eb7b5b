package desk

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"

	"zujian/domain"
	"zujian/domain/contract"
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
