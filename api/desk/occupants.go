package desk

import (
	"context"
	"errors"
	"sync"

	"zujian/domain"
	"zujian/domain/contract"
	"zujian/eventstore/aggregate"
)

// NewOccupant is somebody who will live there: a registered party, or a name and document that the desk seals.
type NewOccupant struct {
	contract.Occupant
	ClearName, ClearDoc string
}

// sealOccupants seals the names and documents of occupants. A new key is waited for until the disk has it: a household's are
// waited for together.
func (d *Desk) sealOccupants(ctx context.Context, contractID string, in []NewOccupant) ([]contract.Occupant, error) {
	if len(in) == 0 {
		return nil, nil
	}
	out := make([]contract.Occupant, len(in))
	for i := range in {
		if in[i].ClearName != "" {
			if _, err := CleanName(in[i].ClearName); err != nil {
				return nil, ErrName.At("/occupants/" + itoa(i) + "/name")
			}
		}
		if out[i] = in[i].Occupant; out[i].ID == "" {
			out[i].ID = itoa(i + 1)
		}
	}
	if len(in) == 1 { // By itself, so that nothing is made for waiting.
		return out, d.sealOccupant(ctx, contractID, &out[0], &in[0])
	}
	return out, d.sealHousehold(ctx, contractID, out, in)
}

// sealHousehold seals for all of them at the same time.
func (d *Desk) sealHousehold(ctx context.Context, contractID string, out []contract.Occupant, in []NewOccupant) error {
	errs := make([]error, len(in))
	var each sync.WaitGroup
	for i := range in {
		each.Go(func() { errs[i] = d.sealOccupant(ctx, contractID, &out[i], &in[i]) })
	}
	each.Wait()
	return errors.Join(errs...)
}

func (d *Desk) sealOccupant(ctx context.Context, contractID string, o *contract.Occupant, in *NewOccupant) error {
	if in.ClearName == "" {
		return nil
	}
	name, err := CleanName(in.ClearName)
	if err != nil {
		return err
	}
	subject, stream := occupantSubject(contractID, o.ID), aggregate.Stream(contract.Decider.Category, contractID)
	sealed, err := d.o.Vault.Seal(ctx, subject, stream, occupantName, name)
	if err != nil {
		return err
	}
	o.Name = domain.Sealed(sealed)
	if in.ClearDoc == "" {
		return nil
	}
	sealed, err = d.o.Vault.Seal(ctx, subject, stream, occupantDoc, domain.NormalDocNo(in.ClearDoc))
	o.Doc = domain.Sealed(sealed)
	return err
}

// mustOccupants refuses occupants that name a party who is none.
func (d *Desk) mustOccupants(ctx context.Context, list []contract.Occupant, pointer string) error {
	for i, o := range list {
		if o.Party == "" {
			continue
		}
		if err := d.mustParty(ctx, o.Party, pointer+itoa(i)+"/party_id"); err != nil {
			return err
		}
	}
	return nil
}

// AddOccupant registers somebody who moves in, sealing name and document.
func (d *Desk) AddOccupant(ctx context.Context, call Call, id string, in NewOccupant) (contract.State, Receipt, error) {
	d.naming.RLock()
	defer d.naming.RUnlock()
	if in.ID == "" {
		in.ID = derive("occupant", call.ID)[:8]
	}
	s, err := d.mine(ctx, call, id)
	if err != nil {
		return contract.State{}, Receipt{}, err
	}
	if in.Party != "" {
		if err := d.mustParty(ctx, in.Party, "/party_id"); err != nil {
			return contract.State{}, Receipt{}, err
		}
	}
	sealed, err := d.sealOccupants(ctx, id, []NewOccupant{in})
	if err != nil {
		return contract.State{}, Receipt{}, err
	}
	fresh, err := d.subject(ctx, call, s.Terms)
	if err != nil {
		return contract.State{}, Receipt{}, err
	}
	return d.ContractAct(ctx, call, id, "", contract.AddOccupant{Occupant: sealed[0], Refreshed: &fresh})
}
