package escrow

import (
	"slices"
	"strings"

	"zujian/domain"
)

// Balance is what one account holds: cash on the debit side, everything else on the credit side.
type Balance struct {
	Account string
	Fen     domain.Fen
}

// CashAccount is the supervised account (监管账户) at a bank.
func CashAccount(bank string) string { return "bank:" + bank + ":cash" }

// SuspenseAccount (暂挂) holds money that came for a settled ledger.
func SuspenseAccount(bank string) string { return "suspense:" + bank }

// HeldAccount is money held for a contract. part: unclassified, rent, deposit, other, disputed, awarded.
func HeldAccount(contract, part string) string { return "escrow:" + contract + ":" + part }

// PayableAccount is money on its way to owner, operator, lessor or tenant.
func PayableAccount(contract, to string) string { return "payable:" + to + ":" + contract }

// IsCash tells whether an account is a bank's cash: the debit side.
func IsCash(account string) bool { return strings.HasPrefix(account, "bank:") }

// move is the journal of one transfer; none at 0. Cash is debited when money comes in and credited when it goes out.
func move(from, to string, amount domain.Fen) []Posting {
	if amount == 0 {
		return nil
	}
	return []Posting{{Account: from, DebitFen: amount}, {Account: to, CreditFen: amount}}
}

// Journal is the postings of an event; nil for those that move nothing.
func Journal(e domain.Event) []Posting {
	switch e := e.(type) {
	case FundsReceived:
		return e.Journal
	case FundsClassified:
		return e.Journal
	case FundsReversed:
		return e.Journal
	case ReleaseOrdered:
		return e.Journal
	case FundsReleased:
		return e.Journal
	case ReleaseFailed:
		return e.Journal
	case RefundApproved:
		return e.Journal
	case FundsRefunded:
		return e.Journal
	case DeductionContested:
		return e.Journal
	case DepositSettled:
		return e.Journal
	}
	return nil
}

// delta is what a posting adds to its account's balance.
func (p Posting) delta() domain.Fen {
	if IsCash(p.Account) {
		return p.DebitFen - p.CreditFen
	}
	return p.CreditFen - p.DebitFen
}

// post gives the balances after a journal, sorted by account. It never changes its argument.
func post(balances []Balance, journal []Posting) []Balance {
	out := slices.Clone(balances)
	for _, p := range journal {
		i, found := slices.BinarySearchFunc(out, p.Account, func(b Balance, a string) int { return strings.Compare(b.Account, a) })
		if !found {
			out = slices.Insert(out, i, Balance{Account: p.Account})
		}
		out[i].Fen += p.delta()
	}
	return out
}

// Held is the balance of an account; 0 for one never used.
func (s State) Held(account string) domain.Fen {
	i, found := slices.BinarySearchFunc(s.Balances, account, func(b Balance, a string) int { return strings.Compare(b.Account, a) })
	if !found {
		return 0
	}
	return s.Balances[i].Fen
}

func (s State) held(part string) domain.Fen { return s.Held(HeldAccount(s.Plan.Contract, part)) }
func (s State) account(part string) string  { return HeldAccount(s.Plan.Contract, part) }
func (s State) payable(to string) string    { return PayableAccount(s.Plan.Contract, to) }

// guard refuses events that would take an account below zero or above FenMax. Evolve itself refuses nothing.
func guard(s State, events []Event) error {
	balances := s.Balances
	for _, e := range events {
		balances = post(balances, Journal(e))
		for _, b := range balances {
			if b.Fen > domain.FenMax {
				return domain.ErrAmount.At("/amount_fen")
			}
			if b.Fen < 0 {
				return ErrInsufficientHeld
			}
		}
	}
	return nil
}

// Cash is what an event moved in a bank's cash: positive came in. The bank's statement of the value date shows it.
type Cash struct {
	Bank, TxnID string
	AmountFen   domain.Fen
	ValueDate   domain.Day
}

// CashOf is what an event moved in cash; ok is false for one that moves none.
func CashOf(e domain.Event) (c Cash, ok bool) {
	switch e := e.(type) {
	case FundsReceived:
		return Cash{e.Bank, e.BankTxnID, e.AmountFen, e.ValueDate}, true
	case FundsReversed:
		return Cash{e.Bank, e.ReversalTxnID, -e.AmountFen, e.ValueDate}, true
	case FundsReleased:
		return Cash{e.Bank, e.BankTxnID, -e.AmountFen, e.ValueDate}, true
	case FundsRefunded:
		return Cash{e.Bank, e.BankTxnID, -e.AmountFen, e.ValueDate}, true
	}
	return c, false
}
