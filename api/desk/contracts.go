package desk

import (
	"context"
	"errors"
	"slices"
	"time"

	"zujian/domain"
	"zujian/domain/contract"
	"zujian/domain/escrow"
	"zujian/domain/party"
	"zujian/domain/unit"
	"zujian/projections/process/leasing"
)

func (d *Desk) contractState(ctx context.Context, id string) (contract.State, error) {
	s, _, found, err := load(ctx, d, contract.Decider, id)
	if err == nil && !found {
		err = ErrNotFound
	}
	return s, err
}

// contractRow says whose a contract is: its parties', its brokerage's, its bank's, its district's.
func contractRow(s contract.State) Row {
	row := Row{District: s.Subject.Unit.AdminCode, Unit: s.Subject.Unit.ReportUnit, Parties: s.Parties(), Bank: s.Escrow.Bank}
	if s.Origin == contract.OriginLegacy && len(s.Observations) > 0 {
		row.District, row.Unit = s.Observations[0].AdminCode, s.Observations[0].ReportUnit
	}
	if s.Amendment != nil {
		row.Parties = s.AmendmentParties() // Who is to join reads what it is asked to sign.
	}
	if s.Terms.Brokerage != "" {
		row.Parties = append(row.Parties, s.Terms.Brokerage)
	}
	return row
}

// Contract reads one contract as the log knew it at an instant; the zero time means now.
func (d *Desk) Contract(ctx context.Context, actor domain.Actor, id string, asOf time.Time) (contract.State, Receipt, error) {
	return view(ctx, d, actor, contract.Decider, id, asOf, func(s contract.State) (Row, bool) { return contractRow(s), false })
}

// mine loads a contract for an act on it.
func (d *Desk) mine(ctx context.Context, call Call, id string) (contract.State, error) {
	s, _, err := d.Contract(ctx, call.Actor, id, time.Time{})
	if !errors.Is(err, ErrNotFound) || call.Actor.Party == "" {
		return s, err
	}
	s, err = d.contractState(ctx, id) // A representative sees what its principal sees.
	if err != nil {
		return contract.State{}, err
	}
	for _, scope := range []string{party.ScopeSign, party.ScopeFile, party.ScopeManage} {
		if p, err := d.anyFor(ctx, call, s.Parties(), scope, s.Terms.Unit); err != nil || p != "" {
			return s, err
		}
	}
	return contract.State{}, ErrNotFound
}

// DraftContract records terms for signature. A lessor drafts, or who holds its mandate; a lessee may, for a paper
// contract it files alone; a counter may for both.
func (d *Desk) DraftContract(ctx context.Context, call Call, terms contract.Terms, occupants []NewOccupant) (string, contract.State, Receipt, error) {
	d.naming.RLock()
	defer d.naming.RUnlock()
	id := derive("contract", call.ID)
	draft, err := d.draft(ctx, call, id, terms, occupants)
	if err != nil {
		return "", contract.State{}, Receipt{}, err
	}
	r, err := exec(ctx, d, call, contract.Decider, id, contract.Command(draft))
	if err != nil {
		return "", contract.State{}, r, err
	}
	s, err := d.contractState(ctx, id)
	return id, s, r, err
}

// RenewContract drafts the contract that follows terms.Renews. The caller's own expectation is of that one: the new one
// has no revision yet. What was drafted already is so, whatever has happened to the old one since.
func (d *Desk) RenewContract(ctx context.Context, call Call, terms contract.Terms) (string, contract.State, Receipt, error) {
	_, _, repeat, err := load(ctx, d, contract.Decider, derive("contract", call.ID))
	if err == nil && !repeat {
		err = expected(ctx, d, call, contract.Decider, terms.Renews)
	}
	if err != nil {
		return "", contract.State{}, Receipt{}, err
	}
	call.IfMatch = nil
	return d.DraftContract(ctx, call, terms, nil)
}

// draft is the command that records terms, with everything deciding it needs.
func (d *Desk) draft(ctx context.Context, call Call, id string, terms contract.Terms, occupants []NewOccupant) (c contract.Draft, err error) {
	if err := d.mayDraft(ctx, call, terms); err != nil {
		return c, err
	}
	// A repeat must hash to the same terms, so what was sealed the first time is taken from there.
	before, _, repeat, err := load(ctx, d, contract.Decider, id)
	if err != nil {
		return c, err
	}
	if repeat && len(before.Terms.Occupants) == len(occupants) {
		terms.Occupants = before.Terms.Occupants
	} else if terms.Occupants, err = d.sealOccupants(ctx, id, occupants); err != nil {
		return c, err
	}
	if err := d.mustOccupants(ctx, terms.Occupants, "/occupants/"); err != nil {
		return c, err
	}
	if err := d.mustBank(ctx, terms.Escrow.Bank, "/escrow/bank_id"); err != nil {
		return c, err
	}
	c.Terms = terms
	if c.Subject, err = d.subject(ctx, call, terms); err != nil {
		return c, err
	}
	c.GuidanceVersion, err = d.guidanceSigned(ctx, call, terms)
	return c, err
}

func (d *Desk) mayDraft(ctx context.Context, call Call, t contract.Terms) error {
	switch {
	case regulator(call.Actor):
		u, _, found, err := load(ctx, d, unit.Decider, t.Unit)
		if err != nil || !found {
			return err // The aggregate says that the unit is unknown.
		}
		return inArea(call.Actor, unitRow(u, domain.DayMax))
	case call.Actor.Role == domain.RoleTenant || call.Actor.Role == domain.RoleLandlord || call.Actor.Role == domain.RoleCompany:
		if t.Names(call.Actor.Party) {
			return nil
		}
	case call.Actor.Role == domain.RoleBroker && t.Brokerage != call.Actor.Party:
		return ErrForbidden
	}
	p, err := d.lessorFor(ctx, call, &t, party.ScopeSign)
	if err == nil && p == "" {
		err = ErrForbidden
	}
	return err
}

// AbandonDraft gives a draft up.
func (d *Desk) AbandonDraft(ctx context.Context, call Call, id, reason string) (Receipt, error) {
	if _, err := d.mine(ctx, call, id); err != nil {
		return Receipt{}, err
	}
	return exec(ctx, d, call, contract.Decider, id, contract.Command(contract.AbandonDraft{Reason: reason}))
}

// Sign is the caller's own signature, or under a mandate of the party it names.
func (d *Desk) Sign(ctx context.Context, call Call, id, partyID, hash string) (contract.State, Receipt, error) {
	d.naming.RLock()
	defer d.naming.RUnlock()
	s, err := d.mine(ctx, call, id)
	if err != nil {
		return s, Receipt{}, err
	}
	if !s.Terms.Names(partyID) {
		return s, Receipt{}, contract.ErrNotParty.At("/party_id")
	}
	own, mandated, err := d.actsFor(ctx, call, partyID, party.ScopeSign, s.Terms.Unit)
	switch {
	case err != nil:
		return s, Receipt{}, err
	case !own && !mandated:
		return s, Receipt{}, contract.ErrNotSigner.At("/party_id")
	}
	cmd := contract.Sign{Party: partyID, ContentHash: hash, Method: contract.MethodKey}
	if !own {
		cmd.Method, cmd.Mandated = contract.MethodMandate, true
	}
	return d.sign(ctx, call, id, s, cmd)
}

// sign adds fresh facts, signs, and plans the money when that was the last signature.
func (d *Desk) sign(ctx context.Context, call Call, id string, s contract.State, cmd contract.Sign) (contract.State, Receipt, error) {
	fresh, err := d.subject(ctx, call, s.Terms)
	if err != nil {
		return s, Receipt{}, err
	}
	cmd.Refreshed = &fresh
	if cmd.GuidanceVersion, err = d.guidanceSigned(ctx, call, s.Terms); err != nil {
		return s, Receipt{}, err
	}
	r, err := exec(ctx, d, call, contract.Decider, id, contract.Command(cmd))
	if err != nil {
		return s, r, err
	}
	if s, err = d.contractState(ctx, id); err != nil {
		return s, r, err
	}
	if s.Live() {
		var planned Receipt
		if planned, err = d.planEscrow(ctx, call, id, s); err == nil {
			r = r.later(planned.Position)
		}
	}
	return s, r, err
}

// RecordPaper records that the contract was signed on paper: at a counter, or by a lessee who files alone.
func (d *Desk) RecordPaper(ctx context.Context, call Call, id, scanSHA256 string) (contract.State, Receipt, error) {
	d.naming.RLock()
	defer d.naming.RUnlock()
	s, err := d.mine(ctx, call, id)
	if err != nil {
		return s, Receipt{}, err
	}
	cmd, err := paperBy(call.Actor, s, scanSHA256)
	if err != nil {
		return s, Receipt{}, err
	}
	if cmd.GuidanceVersion, err = d.guidanceSigned(ctx, call, s.Terms); err != nil {
		return s, Receipt{}, err
	}
	r, err := exec(ctx, d, call, contract.Decider, id, contract.Command(cmd))
	if err != nil {
		return s, r, err
	}
	if s, err = d.contractState(ctx, id); err != nil {
		return s, r, err
	}
	planned, err := d.planEscrow(ctx, call, id, s)
	return s, r.later(planned.Position), err
}

// paperBy is the command by which an actor records the scan of a contract: a counter, or a lessee who files alone.
func paperBy(a domain.Actor, s contract.State, scanSHA256 string) (contract.RecordPaper, error) {
	cmd := contract.RecordPaper{ScanSHA256: scanSHA256, ContentHash: s.ContentHash, ByRole: contract.ByCounter}
	if !regulator(a) {
		cmd.ByRole, cmd.By = contract.ByLessee, a.Party
		if !isLessee(s, a.Party) {
			return cmd, contract.ErrNotParty
		}
	}
	return cmd, nil
}

func isLessee(s contract.State, partyID string) bool {
	return slices.ContainsFunc(s.Terms.Lessees, func(p contract.PartyShare) bool { return p.Party == partyID })
}

// File files a signed contract (备案): the unit's space is reserved, the filing decided, the space confirmed. What a
// crash leaves between those, the process "leasing" finishes or releases.
func (d *Desk) File(ctx context.Context, call Call, id string) (contract.State, Receipt, error) {
	s, err := d.mine(ctx, call, id)
	if err != nil {
		return s, Receipt{}, err
	}
	byRole, by, err := d.filer(ctx, call, s)
	if err == nil {
		err = expected(ctx, d, call, contract.Decider, id)
	}
	if err != nil {
		return s, Receipt{}, err
	}
	if s.Stage == contract.StageFiled || s.Stage == contract.StageHeld {
		return d.secured(ctx, call, id, s)
	}
	if s.Stage != contract.StageSigned && s.Stage != contract.StageReturned { // The aggregate says why, and no number is spent.
		r, err := exec(ctx, d, call, contract.Decider, id, contract.Command(contract.File{}))
		return s, r, err
	}
	t := s.Terms
	reserved, err := d.reserve(ctx, call, id, t)
	if err != nil {
		return s, reserved, err
	}
	number, err := d.number(ctx, call, numberFiling, s.Subject.Unit.AdminCode, domain.DayOf(call.At).Month())
	if err != nil {
		return s, reserved, err
	}
	fresh, err := d.subject(ctx, call, t)
	if err != nil {
		return s, reserved, err
	}
	_, err = exec(ctx, d, call, contract.Decider, id, contract.Command(contract.File{Number: number, ByRole: byRole, By: by, Refreshed: &fresh}))
	if err != nil {
		return s, reserved, d.unreserved(ctx, call, id, t, err)
	}
	if s, err = d.contractState(ctx, id); err != nil {
		return s, reserved, err
	}
	return d.secured(ctx, call, id, s)
}

// reserve holds a contract's space for its term.
func (d *Desk) reserve(ctx context.Context, call Call, id string, t contract.Terms) (Receipt, error) {
	return exec(ctx, d, call.step("reserve"), unit.Decider, t.Unit, unit.Command(reservation(id, t)))
}

// unreserved gives the space of a filing back at once when it is refused.
func (d *Desk) unreserved(ctx context.Context, call Call, id string, t contract.Terms, err error) error {
	var no *domain.Rejection
	if !errors.As(err, &no) {
		return err
	}
	_, e := exec(ctx, d, call.step("release"), unit.Decider, t.Unit, unit.Command(unit.Release{Contract: id, Unfiled: true}))
	return errors.Join(err, e)
}

func reservation(id string, t contract.Terms) unit.Reserve {
	return unit.Reserve{Contract: id, Kind: t.Kind, Parent: t.Parent, Rooms: t.Rooms, From: t.Start, Until: t.End}
}

// secured confirms the space of a filed contract and says where both streams stand.
func (d *Desk) secured(ctx context.Context, call Call, id string, s contract.State) (contract.State, Receipt, error) {
	_, rev, _, err := load(ctx, d, contract.Decider, id)
	if err != nil {
		return s, Receipt{}, err
	}
	confirmed, err := d.confirm(ctx, call, id, s)
	return s, Receipt{Revision: rev}.later(confirmed.Position), err
}

// confirm makes the space of a filed contract its own. It may be another's by now, if this one's reservation has expired
// meanwhile: a stalled machine, or a clock set forward. Then the process "leasing" annuls the contract, and nobody is
// told that it was filed.
func (d *Desk) confirm(ctx context.Context, call Call, id string, s contract.State) (Receipt, error) {
	if s.Stage != contract.StageFiled {
		return Receipt{}, nil
	}
	lost := false
	dec := unit.Decider
	dec.Decide = func(u unit.State, r domain.Request[unit.Command]) ([]unit.Event, error) {
		out, err := unit.Decider.Decide(u, r)
		o, held := u.Occupancy(id)
		lost = held && o.Ended && !o.Confirmed || slices.Contains(out, unit.Event(unit.ReservationLost{Contract: id}))
		return out, err
	}
	r, err := exec(ctx, d, call.step("confirm"), dec, s.Terms.Unit, unit.Command(unit.Confirm{Contract: id, Space: new(reservation(id, s.Terms))}))
	if err == nil && lost {
		err = unit.ErrSpaceOverlap.At("/start")
	}
	return r, err
}

// filer says as whom the caller files (C-15).
func (d *Desk) filer(ctx context.Context, call Call, s contract.State) (role, by string, err error) {
	a := call.Actor
	switch {
	case regulator(a):
		return contract.ByCounter, "", nil
	case isLessee(s, a.Party):
		return contract.ByLessee, a.Party, nil
	case a.Role == domain.RoleBroker && s.Terms.Brokerage == a.Party:
		return contract.ByBrokerage, a.Party, nil
	}
	p, err := d.lessorFor(ctx, call, &s.Terms, party.ScopeFile)
	if err == nil && p == "" {
		err = contract.ErrNotParty
	}
	return contract.ByLessor, p, err
}

// lessorFor finds the first lessor the actor is or may act for; "" if none.
func (d *Desk) lessorFor(ctx context.Context, call Call, t *contract.Terms, scope string) (string, error) {
	var room [partiesUsual]string
	return d.anyFor(ctx, call, appendParties(room[:0], t.Lessors), scope, t.Unit)
}

const partiesUsual = 8 // Most contracts name no more.

func appendParties(ids []string, side []contract.PartyShare) []string {
	for i := range side {
		ids = append(ids, side[i].Party)
	}
	return ids
}

// DecideFiling is the district's decision on a held filing.
func (d *Desk) DecideFiling(ctx context.Context, call Call, id string, accept bool, reason string) (contract.State, Receipt, error) {
	s, _, err := d.Contract(ctx, call.Actor, id, time.Time{})
	if err != nil {
		return s, Receipt{}, err
	}
	reserve := accept && s.Stage == contract.StageHeld
	if reserve { // The reservation of the day it was asked may have lapsed: take it again first.
		if _, err := d.reserve(ctx, call, id, s.Terms); err != nil {
			return s, Receipt{}, err
		}
	}
	r, err := exec(ctx, d, call, contract.Decider, id, contract.Command(contract.DecideFiling{Accept: accept, Reason: reason}))
	if err != nil {
		if reserve {
			err = d.unreserved(ctx, call, id, s.Terms, err)
		}
		return s, r, err
	}
	if s, err = d.contractState(ctx, id); err != nil {
		return s, r, err
	}
	return d.secured(ctx, call, id, s)
}

// planEscrow opens the money ledger of a signed contract whose money is, or wants to be, supervised.
func (d *Desk) planEscrow(ctx context.Context, call Call, id string, s contract.State) (Receipt, error) {
	var err error
	if s.Subject.Parties, err = leasing.OnAccounts(ctx, d.o.Runner, s.Subject.Parties); err != nil {
		return Receipt{}, err
	}
	plan, err := d.escrowPlan(ctx, id, s)
	if err != nil {
		return Receipt{}, err
	}
	return exec(ctx, d, call.step("plan"), escrow.Decider, id, escrow.Command(plan))
}
