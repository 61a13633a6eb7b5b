package escrow

import (
	"slices"
	"strconv"

	"zujian/domain"
)

// Value dates that can be.
const (
	forwardDays = 31 // A bank may date a payment ahead over holidays; further ahead is a typing error.
	beforeDays  = 31 // Who moves in may have paid before it signed; long before there was nothing to pay for.
)

// dated refuses a value date on which no money of this ledger can have moved.
func (s State) dated(on, today domain.Day) error {
	earliest, latest := min(s.Plan.SignedOn, s.Plan.Start).AddDays(-beforeDays), today.AddDays(forwardDays)
	if on < earliest || on > latest {
		return ErrInvalid.With("earliest", earliest.String()).With("latest", latest.String()).At("/value_date")
	}
	return nil
}

func receive(s State, r domain.Request[Command], c Receive) ([]Event, error) {
	if err := firstOf(text("/bank", c.Bank), text("/bank_txn_id", c.BankTxnID), amount("/amount_fen", c.AmountFen),
		payerMask(c.PayerMask)); err != nil {
		return nil, err
	}
	if c.ValueDate.IsZero() {
		return nil, ErrInvalid.At("/value_date")
	}
	switch t := s.txn(c.Bank, c.BankTxnID); {
	case !byBank(r, c.Bank):
		return nil, ErrNotYours
	case s.Bank != "" && s.Bank != c.Bank:
		return nil, ErrWrongBank
	case c.Account != "" && c.Account != s.Plan.Account:
		return nil, ErrWrongAccount.At("/account_id")
	case t != nil && t.Kind == TxnReceipt && t.AmountFen == c.AmountFen && t.ValueDate == c.ValueDate && t.PayerMask == c.PayerMask:
		return nil, nil
	case t != nil:
		return nil, ErrTxnDuplicate.At("/bank_txn_id")
	}
	if err := s.dated(c.ValueDate, r.Today()); err != nil {
		return nil, err
	}
	unclassified := s.account("unclassified")
	got := FundsReceived{
		Bank: c.Bank, BankTxnID: c.BankTxnID, AmountFen: c.AmountFen, ValueDate: c.ValueDate, PayerMask: c.PayerMask,
		Account: s.Plan.Account, Journal: move(CashAccount(c.Bank), unclassified, c.AmountFen),
	}
	is, tranches := s.classify(c)
	is.Journal = slices.Concat(move(unclassified, s.account("rent"), is.RentFen), move(unclassified, s.account("deposit"), is.DepositFen),
		move(unclassified, s.account("other"), is.OtherFen), move(unclassified, SuspenseAccount(c.Bank), is.SuspenseFen))
	events := []Event{got, is}
	if len(tranches) > 0 {
		events = append(events, ReleaseScheduled{Tranches: tranches})
	}
	return events, nil
}

// classify divides a receipt: the deposit first, then the open months in order, and the rest is OTHER. After the
// deposit was settled everything is kept in suspense, so that late money is never lost (M16).
func (s State) classify(c Receive) (FundsClassified, []Tranche) {
	is := FundsClassified{Bank: c.Bank, BankTxnID: c.BankTxnID}
	if s.Settled != nil || !s.ClosedOn.IsZero() {
		is.SuspenseFen = c.AmountFen
		return is, nil
	}
	left := c.AmountFen
	if s.Ended == nil && c.ValueDate <= s.Plan.End {
		is.DepositFen = min(left, s.Plan.DepositFen-s.depositPaid())
		left -= is.DepositFen
	}
	rent := left
	if s.Ended != nil {
		rent = min(rent, max(0, s.Ended.UsedFen+s.Ended.BreakFeeFen-s.rentPaid()-s.outsidePaid()))
	}
	tranches := s.fill(rent, c)
	for _, t := range tranches {
		is.RentFen += t.AmountFen
	}
	is.OtherFen = left - is.RentFen
	return is, tranches
}

// fill makes the tranches that rent pays for: the planned ones of open collections, in order, as far as they are unpaid.
func (s State) fill(rent domain.Fen, c Receive) []Tranche {
	var out []Tranche
	for _, row := range s.Plan.Schedule {
		col := s.Plan.Collections[(row.Month-1)/s.Plan.PayCycleMonths]
		if rent == 0 || (col.No > 1 && col.Due > c.ValueDate.AddDays(earlyDays)) {
			break
		}
		paid := domain.Fen(0)
		for _, t := range s.Tranches {
			if t.Stage != TrancheCancelled && t.Source == SourceRent && t.Month == row.Month && t.Payee == row.Payee {
				paid += t.AmountFen
			}
		}
		part := min(rent, row.AmountFen-paid)
		if part <= 0 {
			continue
		}
		rent -= part
		row.No, row.AmountFen, row.BankTxnID = len(s.Tranches)+len(out)+1, part, c.BankTxnID
		if row.Upfront {
			row.Due = c.ValueDate.AddDays(1)
		}
		out = append(out, row)
	}
	return out
}

// rentPaid is the captured rent: Σ of all tranches of rent that stand.
func (s State) rentPaid() domain.Fen {
	sum := domain.Fen(0)
	for _, t := range s.Tranches {
		if t.Stage != TrancheCancelled && t.Source == SourceRent {
			sum += t.AmountFen
		}
	}
	return sum
}

// outsidePaid is the rent that went to the operator directly, counted with the collections whose captured part arrived.
func (s State) outsidePaid() domain.Fen {
	sum := domain.Fen(0)
	for _, col := range s.Plan.Collections {
		first := (col.No - 1) * s.Plan.PayCycleMonths
		if slices.ContainsFunc(s.Tranches, func(t TrancheState) bool {
			return t.Stage != TrancheCancelled && t.Source == SourceRent && t.Month > first && t.Month <= first+col.Months
		}) {
			sum += col.OutsideFen
		}
	}
	return sum
}

func (s State) depositPaid() domain.Fen {
	sum := domain.Fen(0)
	for _, t := range s.Txns {
		if t.ReversedBy == "" {
			sum += t.DepositFen
		}
	}
	return sum
}

func reverse(s State, r domain.Request[Command], c ReverseReceipt) ([]Event, error) {
	if err := firstOf(text("/bank", c.Bank), text("/bank_txn_id", c.BankTxnID), text("/reversal_txn_id", c.ReversalTxnID),
		text("/reason", c.Reason)); err != nil {
		return nil, err
	}
	t := s.txn(c.Bank, c.BankTxnID)
	switch {
	case !byBank(r, c.Bank):
		return nil, ErrNotYours
	case t == nil || t.Kind != TxnReceipt:
		return nil, ErrNotReceipt
	case t.ReversedBy == c.ReversalTxnID:
		return nil, nil
	case t.ReversedBy != "":
		return nil, ErrAlreadyReversed
	case s.txn(c.Bank, c.ReversalTxnID) != nil:
		return nil, ErrTxnDuplicate.At("/reversal_txn_id")
	case t.DepositFen > 0 && (s.Settled != nil || s.held("deposit") < t.DepositFen), s.held("other") < t.OtherFen,
		s.Held(SuspenseAccount(c.Bank)) < t.SuspenseFen:
		return nil, ErrAlreadyPassedOn
	}
	var cancelled []int
	rent := domain.Fen(0)
	for _, tr := range s.Tranches {
		if tr.BankTxnID == c.BankTxnID && tr.Source == SourceRent && tr.Stage == TranchePlanned {
			cancelled = append(cancelled, tr.No)
			rent += tr.AmountFen
		}
	}
	if rent != t.RentFen {
		return nil, ErrAlreadyPassedOn
	}
	cash := CashAccount(c.Bank)
	return []Event{FundsReversed{
		Bank: c.Bank, BankTxnID: c.BankTxnID, ReversalTxnID: c.ReversalTxnID, AmountFen: t.AmountFen, ValueDate: r.Today(),
		Cancelled: cancelled, Reason: c.Reason,
		Journal: slices.Concat(move(s.account("rent"), cash, t.RentFen), move(s.account("deposit"), cash, t.DepositFen),
			move(s.account("other"), cash, t.OtherFen), move(SuspenseAccount(c.Bank), cash, t.SuspenseFen)),
	}}, nil
}

const clearDigitsMax = 8 // "6222****1234": a mask may show both ends of an account number, not the number.

func payerMask(mask string) error {
	if err := optional("/payer_mask", mask); err != nil {
		return err
	}
	run := 0
	for _, c := range mask {
		if run++; c < '0' || c > '9' {
			run = 0
		}
		if run > clearDigitsMax {
			return ErrInvalid.At("/payer_mask")
		}
	}
	return nil
}

func trancheRef(no int) string { return "tranche:" + strconv.Itoa(no) }
