package escrow

import (
	"slices"
	"strings"

	"zujian/domain"
)

func (s State) tranche(no int) (TrancheState, error) {
	if no < 1 || no > len(s.Tranches) {
		return TrancheState{}, ErrTrancheNotFound.At("/tranche")
	}
	return s.Tranches[no-1], nil
}

func (t TrancheState) wrong(want ...TrancheStage) error {
	return ErrWrongState.With("from", string(t.Stage)).With("allowed", want)
}

// from and to are the accounts a tranche moves between when ordered.
func (s State) from(t TrancheState) string {
	if t.Source == SourceDeposit {
		return s.account("awarded")
	}
	return s.account("rent")
}

func (s State) to(t TrancheState) string { return s.payable(strings.ToLower(string(t.Payee))) }

// class of the money for the rules. A share of a settled deposit is locked no longer.
func (t TrancheState) class() string {
	if t.Source == SourceDeposit {
		return "AWARDED"
	}
	return string(t.Source)
}

func orderRelease(s State, r domain.Request[Command], c OrderRelease) ([]Event, error) {
	if !allowed(r, nil, domain.RoleSystem, domain.RoleBank, domain.RoleDistrict, domain.RoleCity) ||
		(r.Actor.Role == domain.RoleBank && r.Actor.Party != s.Bank) {
		return nil, ErrNotYours
	}
	t, err := s.tranche(c.Tranche)
	if err != nil {
		return nil, err
	}
	today := r.Today()
	on := min(c.On, today)
	if c.On.IsZero() {
		on = today
	}
	switch {
	case t.Stage == TrancheOrdered || t.Stage == TranchePaid:
		return nil, nil
	case t.Stage != TranchePlanned:
		return nil, t.wrong(TranchePlanned)
	case s.frozen(t.Payee):
		return nil, ErrFrozen
	case t.Due > on:
		return nil, ErrReleaseBeforeDue.With("due", t.Due.String()).With("on", on.String())
	}
	unpaid := s.ownerUnpaid(t.Due)
	verdict := r.Policy.Judge(domain.StageFundOut, on, domain.Facts{
		"fund": domain.Facts{
			"amount_fen": int64(t.AmountFen), "class": t.class(), "payee": string(t.Payee), "due": t.Due, "value_date": on,
			"owner_unpaid_fen": int64(unpaid), "frozen": false, "tenant_refund": false,
		},
		"operator": domain.Facts{"collects": s.Plan.Operator},
	}, "M-04", "M-05", "M-11")
	if err := verdict.Err(); err != nil {
		return nil, err
	}
	if t.Payee == PayeeOperator && unpaid > 0 {
		return nil, ErrOwnerFirst.With("owner_unpaid_fen", int64(unpaid))
	}
	return []Event{ReleaseOrdered{
		Tranche: t.No, AmountFen: t.AmountFen, Payee: t.Payee, Party: t.Party, On: on, Bank: s.Bank, Rules: verdict,
		Journal: move(s.from(t), s.to(t), t.AmountFen),
	}}, nil
}

// ownerUnpaid is what the owner's tranches due by a day still lack: M-05 pays it before the operator's.
func (s State) ownerUnpaid(due domain.Day) domain.Fen {
	sum := domain.Fen(0)
	for _, t := range s.Tranches {
		if t.Payee == PayeeOwner && t.Due <= due && t.Stage != TranchePaid && t.Stage != TrancheCancelled {
			sum += t.AmountFen
		}
	}
	return sum
}

func (s State) frozen(p Payee) bool {
	return slices.ContainsFunc(s.Freezes, func(f FreezeOrder) bool {
		return !f.Lifted && (f.Scope == FreezeReleases || p == PayeeOperator)
	})
}

// paying checks a bank's word that it paid out: by the ledger's bank, with a transaction not used before.
func paying(s State, r domain.Request[Command], txn string, on domain.Day) (domain.Day, error) {
	if on.IsZero() {
		on = r.Today()
	}
	switch err := text("/bank_txn_id", txn); {
	case err != nil:
		return 0, err
	case !byBank(r, s.Bank):
		return 0, ErrNotYours
	case s.txn(s.Bank, txn) != nil:
		return 0, ErrTxnDuplicate.At("/bank_txn_id")
	}
	return on, s.dated(on, r.Today())
}

func confirmRelease(s State, r domain.Request[Command], c ConfirmRelease) ([]Event, error) {
	t, err := s.tranche(c.Tranche)
	if err != nil {
		return nil, err
	}
	if t.Stage == TranchePaid && t.PaidTxn == c.BankTxnID && byBank(r, s.Bank) {
		return nil, nil
	}
	on, err := paying(s, r, c.BankTxnID, c.ValueDate)
	if err != nil {
		return nil, err
	}
	if t.Stage != TrancheOrdered {
		return nil, t.wrong(TrancheOrdered)
	}
	return []Event{FundsReleased{
		Tranche: t.No, AmountFen: t.AmountFen, Payee: t.Payee, Party: t.Party, Bank: s.Bank, BankTxnID: c.BankTxnID, ValueDate: on,
		Journal: move(s.to(t), CashAccount(s.Bank), t.AmountFen),
	}}, nil
}

func failRelease(s State, r domain.Request[Command], c FailRelease) ([]Event, error) {
	t, err := s.tranche(c.Tranche)
	if err != nil {
		return nil, err
	}
	switch err := text("/reason", c.Reason); {
	case err != nil:
		return nil, err
	case !byBank(r, s.Bank):
		return nil, ErrNotYours
	case t.Stage == TranchePlanned && t.Attempts > 0 && t.FailReason == c.Reason:
		return nil, nil
	case t.Stage != TrancheOrdered:
		return nil, t.wrong(TrancheOrdered)
	}
	return []Event{ReleaseFailed{
		Tranche: t.No, AmountFen: t.AmountFen, Reason: c.Reason, Attempts: t.Attempts + 1,
		Journal: move(s.to(t), s.from(t), t.AmountFen),
	}}, nil
}

func freeze(s State, r domain.Request[Command], c Freeze) ([]Event, error) {
	switch c.Scope {
	case "", "ALL":
		c.Scope = FreezeReleases
	case FreezeReleases, FreezeOperator:
	default:
		return nil, ErrInvalid.At("/scope")
	}
	if err := text("/order_no", c.OrderNo); err != nil {
		return nil, err
	}
	// A process may stop the operator's share when the head lease breaks; everything else is an authority's order.
	if !allowed(r, nil, domain.RoleDistrict, domain.RoleCity) && (r.Actor.Role != domain.RoleSystem || c.Scope != FreezeOperator) {
		return nil, ErrNotYours
	}
	for _, f := range s.Freezes {
		if f.OrderNo == c.OrderNo {
			if f.Scope == c.Scope && !f.Lifted {
				return nil, nil
			}
			return nil, ErrWrongState.With("from", "ORDERED").With("allowed", []string{"another order number"}).At("/order_no")
		}
	}
	return []Event{Frozen{OrderNo: c.OrderNo, Scope: c.Scope, By: r.Actor.ID}}, nil
}

func unfreeze(s State, r domain.Request[Command], c Unfreeze) ([]Event, error) {
	if err := firstOf(text("/order_no", c.OrderNo), optional("/reason", c.Reason)); err != nil {
		return nil, err
	}
	i := slices.IndexFunc(s.Freezes, func(f FreezeOrder) bool { return f.OrderNo == c.OrderNo })
	switch {
	case !allowed(r, nil, domain.RoleDistrict, domain.RoleCity):
		return nil, ErrNotYours
	case i < 0:
		return nil, ErrFreezeNotFound.At("/order_no")
	case s.Freezes[i].Lifted:
		return nil, nil
	case s.Freezes[i].By == r.Actor.ID:
		return nil, ErrFourEyes
	}
	return []Event{Unfrozen{OrderNo: c.OrderNo, Reason: c.Reason, By: r.Actor.ID}}, nil
}
