package desk

import (
	"context"
	"time"

	"zujian/domain"
	"zujian/domain/contract"
	"zujian/domain/escrow"
	"zujian/domain/party"
	"zujian/projections/process/leasing"
)

// escrowPlan says what the ledger of a signed contract must expect.
func (d *Desk) escrowPlan(ctx context.Context, id string, s contract.State) (escrow.Plan, error) {
	policy, err := d.Policy(ctx)
	if err != nil {
		return escrow.Plan{}, err
	}
	var head contract.State
	if s.Terms.Parent != "" {
		if head, err = d.contractState(ctx, s.Terms.Parent); err != nil {
			return escrow.Plan{}, err
		}
	}
	return leasing.LedgerPlan(id, s, head, policy), nil
}

func escrowRow(s escrow.State) Row {
	parties := append([]string{s.Plan.Lessor, s.Plan.Lessee, s.Plan.Owner, s.Plan.OperatorParty}, s.Plan.CoLessors...)
	bank := s.Bank
	return Row{District: s.Plan.AdminCode, Unit: s.Plan.ReportUnit, Parties: append(parties, s.Plan.CoLessees...), Bank: bank}
}

// Ledger reads the money ledger of one contract.
func (d *Desk) Ledger(ctx context.Context, actor domain.Actor, id string, asOf time.Time) (escrow.State, Receipt, error) {
	return view(ctx, d, actor, escrow.Decider, id, asOf, func(s escrow.State) (Row, bool) { return escrowRow(s), false })
}

// Receive records money the bank received for a contract. A bank sees only ledgers of its own; the first receipt of a
// ledger that names no bank makes it that bank's.
func (d *Desk) Receive(ctx context.Context, call Call, id string, cmd escrow.Receive) (escrow.State, Receipt, error) {
	if call.Actor.Role != domain.RoleBank || call.Actor.Party == "" {
		return escrow.State{}, Receipt{}, ErrForbidden
	}
	s, _, found, err := load(ctx, d, escrow.Decider, id)
	if err != nil {
		return s, Receipt{}, err
	}
	if !found { // The plan may have been cut off by a crash.
		c, err := d.contractState(ctx, id)
		if err != nil {
			return s, Receipt{}, err
		}
		if !c.Live() {
			return s, Receipt{}, escrow.ErrNotFound
		}
		if _, err := d.planEscrow(ctx, call, id, c); err != nil {
			return s, Receipt{}, err
		}
		if s, _, found, err = load(ctx, d, escrow.Decider, id); err != nil || !found {
			return s, Receipt{}, orNotFound(err)
		}
	}
	if s.Bank != "" && s.Bank != call.Actor.Party {
		return s, Receipt{}, ErrNotFound
	}
	cmd.Bank = call.Actor.Party
	if err := d.claimTxn(ctx, call, id, s, cmd.BankTxnID, cmd); err != nil {
		return escrow.State{}, Receipt{}, err
	}
	return d.ledgerExec(ctx, call, id, cmd)
}

// claimTxn makes a bank's transaction belong to one ledger, unless the command would be refused: that refuses other content,
// this other ledgers.
func (d *Desk) claimTxn(ctx context.Context, call Call, id string, s escrow.State, txn string, cmd escrow.Command) error {
	if err := expected(ctx, d, call, escrow.Decider, id); err != nil {
		return err
	}
	if err := refused(ctx, d, call, escrow.Decider, s, cmd); err != nil {
		return err
	}
	holder, err := d.claim(ctx, call, "txn", call.Actor.Party+"."+derive("bank transaction", txn), id)
	if err == nil && holder != id {
		err = escrow.ErrTxnDuplicate.At("/bank_txn_id")
	}
	return err
}

func (d *Desk) ledgerExec(ctx context.Context, call Call, id string, cmd escrow.Command) (escrow.State, Receipt, error) {
	r, err := exec(ctx, d, call, escrow.Decider, id, cmd)
	if err != nil {
		return escrow.State{}, r, err
	}
	s, _, _, err := load(ctx, d, escrow.Decider, id)
	return s, r, err
}

// Side says for whom somebody acts on a ledger.
type Side int

// Sides.
const (
	SideAny     Side = iota // Whoever sees the ledger in its role.
	SideBank                // Its bank.
	SideLessor              // A lessor, or who collects for it.
	SideLessee              // A lessee.
	SideOfficer             // A regulator of its area.
)

// LedgerAct is an act on a ledger by one side of it.
func (d *Desk) LedgerAct(ctx context.Context, call Call, id string, side Side, cmd escrow.Command) (escrow.State, Receipt, error) {
	s, _, found, err := load(ctx, d, escrow.Decider, id)
	if err != nil || !found {
		return s, Receipt{}, orNotFound(err)
	}
	visible := Sees(call.Actor, escrowRow(s))
	if !visible && call.Actor.Party != "" { // A representative of the lessor.
		p, err := d.anyFor(ctx, call, append([]string{s.Plan.Lessor}, s.Plan.CoLessors...), party.ScopeCollect, s.Plan.Unit)
		if err != nil {
			return s, Receipt{}, err
		}
		visible = p != ""
	}
	if !visible {
		return escrow.State{}, Receipt{}, ErrNotFound
	}
	lessee := call.Actor.Party != "" && (call.Actor.Party == s.Plan.Lessee || contains(s.Plan.CoLessees, call.Actor.Party))
	allowed := side == SideAny
	switch side {
	case SideBank:
		allowed = call.Actor.Role == domain.RoleBank
	case SideLessor:
		allowed = !lessee && call.Actor.Party != "" && call.Actor.Role != domain.RoleBank
	case SideLessee:
		allowed = lessee
	case SideOfficer:
		allowed = regulator(call.Actor)
	case SideAny:
	}
	if !allowed {
		return escrow.State{}, Receipt{}, ErrForbidden
	}
	txn := ""
	switch c := cmd.(type) {
	case escrow.ConfirmRelease:
		txn = c.BankTxnID
	case escrow.ConfirmRefund:
		txn = c.BankTxnID
	}
	if txn != "" {
		if err := d.claimTxn(ctx, call, id, s, txn, cmd); err != nil {
			return escrow.State{}, Receipt{}, err
		}
	}
	return d.ledgerExec(ctx, call, id, cmd)
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}
