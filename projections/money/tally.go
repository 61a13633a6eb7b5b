package money

import (
	"context"

	"zujian/domain"
	"zujian/domain/escrow"
	"zujian/projections"
)

// Windows of the figures of a company's ledgers, in days.
const (
	graceDays   = 7   // What is late by no more is not late yet.
	dueDays     = 90  // Collections looked back on.
	depositDays = 365 // Deposits whose return was due.
)

// Tally is how a company kept its word to tenants and owners by a day, from its ledgers one by one.
type Tally struct {
	From, To domain.Day // What was due in these days, both included.

	Collections   int64 // Due then.
	DueFen        domain.Fen
	UnreceivedFen domain.Fen // Of that, not received by now.

	Owners          int64 // Distinct owners whom its running ledgers are to pay.
	OwnersUnpaid    int64 // Of them, with a payment outstanding over seven days.
	OwnersUnpaidFen domain.Fen

	Deposits        int64 // Whose return was due in the year up to seven days ago.
	DepositsOverdue int64 // Of them, not settled.
}

// TallyOf counts over a company's ledgers of filed contracts: what was signed and never filed may never have begun.
func TallyOf(ctx context.Context, r projections.Reader, company string, filed map[string]bool, on domain.Day) (Tally, error) {
	t := Tally{From: on - graceDays - dueDays + 1, To: on - graceDays}
	owners := map[string]domain.Fen{}
	for pair, err := range r.Scan(ctx, projections.Prefix(keyByParty, company), projections.PrefixEnd(keyByParty, company), false) {
		if err != nil {
			return t, err
		}
		s, _, err := StateOf(ctx, r, projections.Tail(pair.Key))
		if err != nil {
			return t, err
		}
		if s.Plan.Lessor != company || !filed[s.Plan.Contract] {
			continue
		}
		t.collections(s)
		t.deposit(s, on)
		if s.Plan.Owner != "" && s.ClosedOn.IsZero() && s.Plan.Start <= on {
			owners[s.Plan.Owner] += ownerUnpaid(s, t.To)
		}
	}
	t.Owners = int64(len(owners))
	for _, fen := range owners {
		if fen > 0 {
			t.OwnersUnpaid++
			t.OwnersUnpaidFen += fen
		}
	}
	return t, nil
}

// collections adds what a ledger was to receive in the window, and what of it is missing: what came in pays the oldest first.
func (t *Tally) collections(s escrow.State) {
	due, inWindow := domain.Fen(0), domain.Fen(0)
	for _, c := range s.Plan.Collections {
		if c.Due > t.To || s.Ended != nil && c.Due > s.Ended.On {
			continue
		}
		due += c.RentFen + c.DepositFen
		if c.Due >= t.From {
			inWindow += c.RentFen + c.DepositFen
			t.Collections++
		}
	}
	for _, x := range s.Txns {
		switch x.Kind {
		case escrow.TxnReceipt:
			due -= x.AmountFen
		case escrow.TxnReversal:
			due += x.AmountFen
		}
	}
	t.DueFen += inWindow
	t.UnreceivedFen += max(0, min(due, inWindow))
}

// ownerUnpaid is what a ledger's owner was to be paid by a day and was not: by the plan of the term, whether or not the
// tenant's money ever came to the account.
func ownerUnpaid(s escrow.State, by domain.Day) (fen domain.Fen) {
	for _, x := range s.Plan.Schedule {
		if x.Payee == escrow.PayeeOwner && x.Due <= by && (s.Ended == nil || x.Due <= s.Ended.On) {
			fen += x.AmountFen
		}
	}
	for _, x := range s.Tranches {
		if x.Payee == escrow.PayeeOwner && x.Stage == escrow.TranchePaid {
			fen -= x.AmountFen
		}
	}
	return max(0, fen)
}

func (t *Tally) deposit(s escrow.State, on domain.Day) {
	last := s.Plan.End
	if s.Ended != nil {
		last = s.Ended.On
	}
	due := last.AddDays(s.Plan.DepositReturn)
	if due > on-graceDays || due <= on-graceDays-depositDays || s.Settled == nil && s.DepositHeld() == 0 {
		return
	}
	t.Deposits++
	if s.Settled == nil {
		t.DepositsOverdue++
	}
}

// Holding is one ledger in an operator's exposure (风险敞口).
type Holding struct {
	DepositFen     domain.Fen `json:"deposit_fen"`      // Held in the ledger.
	PrepaidFen     domain.Fen `json:"prepaid_fen"`      // Rent held, not passed on.
	UnreceivedFen  domain.Fen `json:"unreceived_fen"`   // Due up to the day and not received.
	OwnerUnpaidFen domain.Fen `json:"owner_unpaid_fen"` // Due to the owner up to the day and not paid.
}

// HoldingOf reads what a contract's ledger holds and lacks on a day; ok is false without a ledger.
func HoldingOf(ctx context.Context, r projections.Reader, contract string, on domain.Day) (h Holding, ok bool, err error) {
	s, _, err := StateOf(ctx, r, contract)
	if err != nil || s.Plan.Contract == "" {
		return h, false, err
	}
	t := Tally{To: on} // From the first day on.
	t.collections(s)
	return Holding{
		DepositFen: s.DepositHeld(), PrepaidFen: s.Held(escrow.HeldAccount(s.Plan.Contract, "rent")),
		UnreceivedFen: t.UnreceivedFen, OwnerUnpaidFen: ownerUnpaid(s, on),
	}, true, nil
}

// Plus is both companies' tally together; an owner of both counts twice.
func (t Tally) Plus(o Tally) Tally {
	return Tally{
		From: o.From, To: o.To, Collections: t.Collections + o.Collections, DueFen: t.DueFen + o.DueFen, UnreceivedFen: t.UnreceivedFen + o.UnreceivedFen,
		Owners: t.Owners + o.Owners, OwnersUnpaid: t.OwnersUnpaid + o.OwnersUnpaid, OwnersUnpaidFen: t.OwnersUnpaidFen + o.OwnersUnpaidFen,
		Deposits: t.Deposits + o.Deposits, DepositsOverdue: t.DepositsOverdue + o.DepositsOverdue,
	}
}
