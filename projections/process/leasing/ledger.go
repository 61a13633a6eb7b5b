package leasing

import (
	"context"
	"fmt"
	"slices"

	"zujian/domain"
	"zujian/domain/account"
	"zujian/domain/contract"
	"zujian/domain/escrow"
	"zujian/domain/party"
	"zujian/eventstore"
	"zujian/eventstore/aggregate"
	"zujian/projections/process"
)

// LedgerPlan says what the ledger of a signed contract must expect, under the policy of its signing. head is the contract
// it is let under, if any. The desk plans by it at the signature; the process does where a crash came between.
func LedgerPlan(id string, s, head contract.State, policy domain.Policy) escrow.Plan {
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
	plan.Lessor, plan.CoLessors = firstAndRest(t.Lessors)
	plan.Lessee, plan.CoLessees = firstAndRest(t.Lessees)
	for _, p := range s.Subject.Parties {
		if p.ID == plan.Lessor {
			plan.Operator = party.Operates(p.OrgKind)
			if p.Account != "" && (plan.Bank == "" || plan.Bank == p.AccountBank) { // Unless the contract names another bank.
				plan.Account, plan.Bank = p.Account, p.AccountBank
			}
		}
	}
	mode, _ := policy.ParamText("M-01", "capture_mode", s.SignedOn) // "" leaves it to the aggregate.
	profile, _ := policy.ParamText("M-04", "profile", s.SignedOn)
	k, _ := policy.Param("M-04", "k", s.SignedOn)
	plan.CaptureMode, plan.Profile, plan.K = escrow.CaptureMode(mode), escrow.Profile(profile), int(k)
	if plan.Operator && t.Parent != "" && len(head.Terms.Lessors) > 0 {
		plan.Owner, plan.OperatorParty = head.Terms.Lessors[0].Party, plan.Lessor
		plan.OwnerMonthlyFen = min(ownerShare(head, t), t.MonthlyRentFen)
	}
	return plan
}

// AccountID names an operator's account: one stream each, so nobody has two.
func AccountID(operator string) string { return aggregate.CommandID("account", operator) }

// InForce is the account that new contracts of an operator stand on, and its bank; "" for none.
func InForce(operator string, s account.State) (id, bank string) {
	if !s.InForce() {
		return "", ""
	}
	return AccountID(operator), s.Current.Bank
}

// OnAccounts are parties with the accounts they have now: since the draft one may have gone to another bank, or been suspended.
func OnAccounts(ctx context.Context, r aggregate.Runner, parties []contract.PartyFacts) ([]contract.PartyFacts, error) {
	parties = slices.Clone(parties)
	for i := range parties {
		p := &parties[i]
		if p.Account, p.AccountBank = "", ""; !party.Operates(p.OrgKind) {
			continue
		}
		s, _, err := aggregate.Load(ctx, r, account.Decider, AccountID(p.ID))
		if err != nil {
			return nil, fmt.Errorf("load account: %w", err)
		}
		p.Account, p.AccountBank = InForce(p.ID, s)
	}
	return parties, nil
}

func firstAndRest(parties []contract.PartyShare) (first string, rest []string) {
	for i, p := range parties {
		if i == 0 {
			first = p.Party
		} else {
			rest = append(rest, p.Party)
		}
	}
	return first, rest
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

// openLedger plans the money of a filed contract if nobody has: whoever filed it was cut off before that.
func openLedger(id string) process.Outgoing {
	return process.Outgoing{
		Target: aggregate.Stream(escrow.Decider.Category, id), ID: "ledger",
		Run: func(ctx context.Context, r aggregate.Runner, b process.Base) error {
			_, rev, err := aggregate.Load(ctx, r, escrow.Decider, id)
			if err != nil || rev != eventstore.NoStream {
				return err
			}
			s, _, err := aggregate.Load(ctx, r, contract.Decider, id)
			if err != nil || !s.Live() {
				return err
			}
			if s.Subject.Parties, err = OnAccounts(ctx, r, s.Subject.Parties); err != nil {
				return err
			}
			var head contract.State
			if s.Terms.Parent != "" {
				if head, _, err = aggregate.Load(ctx, r, contract.Decider, s.Terms.Parent); err != nil {
					return err
				}
			}
			_, err = aggregate.Execute(ctx, r, escrow.Decider, id, process.Ask(b, escrow.Command(LedgerPlan(id, s, head, b.Policy))), b.Options)
			return err
		},
	}
}
