package desk

import (
	"context"
	"time"

	"zujian/domain"
	"zujian/domain/contract"
	"zujian/domain/escrow"
	"zujian/domain/party"
)

// escrowPlan says what the ledger of a signed contract must expect.
func (d *Desk) escrowPlan(ctx context.Context, id string, s contract.State) (escrow.Plan, error) {
	t := s.Terms
	plan := escrow.Plan{
		Contract: id, Unit: t.Unit, AdminCode: s.Subject.Unit.AdminCode, ReportUnit: s.Subject.Unit.ReportUnit, Kind: t.Kind,
		Bank: s.Escrow.Bank, RentFen: t.MonthlyRentFen, DepositFen: t.DepositFen, DeductionGrounds: t.DeductionGrounds,
		BreakFeeFen: t.Clauses.BreakFeeFen, PayCycleMonths: t.PayCycleMonths, Mode: escrow.Mode(s.Escrow.Mode),
		Start: t.Start, End: t.End, SignedOn: s.SignedOn,
	}
	if t.DepositReturnDays != nil {
		plan.DepositReturnDays = *t.DepositReturnDays
	}
	for i, p := range t.Lessors {
		if i == 0 {
			plan.Lessor = p.Party
		} else {
			plan.CoLessors = append(plan.CoLessors, p.Party)
		}
	}
	for i, p := range t.Lessees {
		if i == 0 {
			plan.Lessee = p.Party
		} else {
			plan.CoLessees = append(plan.CoLessees, p.Party)
		}
	}
	for _, p := range s.Subject.Parties {
		if p.ID == plan.Lessor {
			plan.Operator = p.OrgKind == party.OrgSubleaseOperator || p.OrgKind == party.OrgRentalEnterprise
		}
	}
	plan.CaptureMode, plan.Profile, plan.K = d.captureProfile(ctx, s.SignedOn)
	if plan.Operator && t.Parent != "" {
		head, err := d.contractState(ctx, t.Parent)
		if err != nil {
			return plan, err
		}
		if len(head.Terms.Lessors) > 0 {
			plan.Owner, plan.OperatorParty = head.Terms.Lessors[0].Party, plan.Lessor
			plan.OwnerMonthlyFen = min(ownerShare(head, t), t.MonthlyRentFen)
		}
	}
	return plan, nil
}

// ownerShare is the part of the head lease's rent that falls on the space of one sublease: all of it for the whole
// flat, an equal part for each of its rooms otherwise.
func ownerShare(head contract.State, t contract.Terms) domain.Fen {
	if len(t.Rooms) == 0 {
		return head.Terms.MonthlyRentFen
	}
	rooms := len(head.Terms.Rooms)
	if rooms == 0 {
		for _, r := range head.Subject.Unit.Rooms {
			if r.Kind == "BEDROOM" {
				rooms++
			}
		}
	}
	if rooms == 0 {
		return head.Terms.MonthlyRentFen
	}
	share, err := head.Terms.MonthlyRentFen.MulDiv(int64(len(t.Rooms)), int64(rooms))
	if err != nil {
		return head.Terms.MonthlyRentFen
	}
	return share
}

// captureProfile reads how money is captured and passed on from the rule set in force on the signing date.
func (d *Desk) captureProfile(ctx context.Context, on domain.Day) (escrow.CaptureMode, escrow.Profile, int) {
	policy, err := d.Policy(ctx)
	if err != nil {
		return "", "", 0
	}
	mode, _ := policy.ParamText("M-01", "capture_mode", on)
	profile, _ := policy.ParamText("M-04", "profile", on)
	k, _ := policy.Param("M-04", "k", on)
	return escrow.CaptureMode(mode), escrow.Profile(profile), int(k)
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
	// One transaction of a bank belongs to one ledger: its ledger refuses other content, this other ledgers.
	holder, err := d.claim(ctx, call, "txn", cmd.Bank+"."+derive("bank transaction", cmd.BankTxnID), id)
	if err != nil {
		return s, Receipt{}, err
	}
	if holder != id {
		return escrow.State{}, Receipt{}, escrow.ErrTxnDuplicate.At("/bank_txn_id")
	}
	return d.ledgerExec(ctx, call, id, cmd)
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
