package escrow

import (
	"slices"

	"zujian/domain"
)

// Refunds no one needs to ask for: they follow from the end of the lease and from the settlement of the deposit.
const (
	RefundEnd     = "END"
	RefundDeposit = "DEPOSIT"
)

func requestRefund(s State, r domain.Request[Command], c RequestRefund) ([]Event, error) {
	if c.Source == "" {
		c.Source = SourceOther
	}
	if err := firstOf(text("/refund_id", c.RefundID), text("/reason", c.Reason), amount("/amount_fen", c.AmountFen)); err != nil {
		return nil, err
	}
	switch f := s.refund(c.RefundID); {
	case !allowed(r, slices.Concat(s.lessees(), s.lessors()), domain.RoleSystem, domain.RoleDistrict, domain.RoleCity):
		return nil, ErrNotYours
	case f != nil && f.Source == c.Source && f.AmountFen == c.AmountFen && f.Reason == c.Reason:
		return nil, nil
	case f != nil || c.RefundID == RefundEnd || c.RefundID == RefundDeposit:
		return nil, ErrRefundExists.At("/refund_id")
	case c.Source == SourceDeposit:
		return nil, ErrDepositLocked.At("/source")
	case c.Source != SourceOther && c.Source != SourceSuspense && c.Source != SourceRent:
		return nil, ErrInvalid.At("/source")
	}
	asked := c.AmountFen
	for _, f := range s.Refunds {
		if f.Stage == RefundStageRequested && f.Source == c.Source {
			var err error
			if asked, err = asked.Add(f.AmountFen); err != nil {
				return nil, err
			}
		}
	}
	if asked > s.refundable(c.Source) {
		return nil, ErrInsufficientHeld.With("held_fen", int64(s.refundable(c.Source))).At("/amount_fen")
	}
	return []Event{RefundRequested{RefundID: c.RefundID, Source: c.Source, AmountFen: c.AmountFen, Reason: c.Reason, By: r.Actor.ID}}, nil
}

func (s State) refundable(from Source) domain.Fen {
	if from != SourceRent {
		return s.Held(s.sourceAccount(from))
	}
	sum := domain.Fen(0)
	for _, t := range s.Tranches {
		if t.Stage == TranchePlanned && t.Source == SourceRent {
			sum += t.AmountFen
		}
	}
	return sum
}

func (s State) sourceAccount(from Source) string {
	switch from {
	case SourceRent:
		return s.account("rent")
	case SourceDeposit:
		return s.account("deposit")
	case SourceSuspense:
		return SuspenseAccount(s.Bank)
	default:
		return s.account("other")
	}
}

// approved sets money aside for the tenant. Rent comes out of the last tranches first: of one month the operator's
// before the owner's.
func (s State) approved(id string, from Source, amount domain.Fen, by string) RefundApproved {
	e := RefundApproved{
		RefundID: id, Source: from, AmountFen: amount, Bank: s.Bank, By: by,
		Journal: move(s.sourceAccount(from), s.payable("tenant"), amount),
	}
	if from != SourceRent {
		return e
	}
	for i := len(s.Tranches) - 1; i >= 0 && amount > 0; i-- {
		t := s.Tranches[i]
		if t.Stage != TranchePlanned || t.Source != SourceRent {
			continue
		}
		part := min(amount, t.AmountFen)
		amount -= part
		if t.AmountFen -= part; t.AmountFen > 0 {
			e.Tranches = append(e.Tranches, t.Tranche)
		} else {
			e.Cancelled = append(e.Cancelled, t.No)
		}
	}
	return e
}

func (f Refund) wrong(want ...RefundStage) error {
	return ErrWrongState.With("from", string(f.Stage)).With("allowed", want)
}

func approveRefund(s State, r domain.Request[Command], c ApproveRefund) ([]Event, error) {
	f := s.refund(c.RefundID)
	switch {
	case !allowed(r, s.lessors(), domain.RoleDistrict, domain.RoleCity):
		return nil, ErrNotYours
	case f == nil:
		return nil, ErrRefundNotFound
	case f.Stage == RefundStageApproved || f.Stage == RefundStagePaid:
		return nil, nil
	case f.Stage != RefundStageRequested:
		return nil, f.wrong(RefundStageRequested)
	case f.By == r.Actor.ID:
		return nil, ErrFourEyes
	case f.AmountFen > s.refundable(f.Source):
		return nil, ErrInsufficientHeld.With("held_fen", int64(s.refundable(f.Source)))
	}
	return []Event{s.approved(f.RefundID, f.Source, f.AmountFen, r.Actor.ID)}, nil
}

func declineRefund(s State, r domain.Request[Command], c DeclineRefund) ([]Event, error) {
	f := s.refund(c.RefundID)
	switch err := text("/reason", c.Reason); {
	case err != nil:
		return nil, err
	case !allowed(r, s.lessors(), domain.RoleDistrict, domain.RoleCity):
		return nil, ErrNotYours
	case f == nil:
		return nil, ErrRefundNotFound
	case f.Stage == RefundStageDeclined:
		return nil, nil
	case f.Stage != RefundStageRequested:
		return nil, f.wrong(RefundStageRequested)
	}
	return []Event{RefundDeclined(c)}, nil
}

func confirmRefund(s State, r domain.Request[Command], c ConfirmRefund) ([]Event, error) {
	f := s.refund(c.RefundID)
	if f == nil {
		return nil, ErrRefundNotFound
	}
	if f.Stage == RefundStagePaid && f.PaidTxn == c.BankTxnID && byBank(r, s.Bank) {
		return nil, nil
	}
	on, err := paying(s, r, c.BankTxnID, c.ValueDate)
	if err != nil {
		return nil, err
	}
	if f.Stage != RefundStageApproved {
		return nil, f.wrong(RefundStageApproved)
	}
	return []Event{FundsRefunded{
		RefundID: f.RefundID, AmountFen: f.AmountFen, Bank: s.Bank, BankTxnID: c.BankTxnID, ValueDate: on,
		Journal: move(s.payable("tenant"), CashAccount(s.Bank), f.AmountFen),
	}}, nil
}

func endEarly(s State, r domain.Request[Command], c EndEarly) ([]Event, error) {
	switch {
	case !allowed(r, nil, domain.RoleSystem, domain.RoleDistrict, domain.RoleCity):
		return nil, ErrNotYours
	case s.Ended != nil && s.Ended.On == c.On:
		return nil, nil
	case s.Ended != nil || s.Settled != nil || !s.ClosedOn.IsZero():
		return nil, ErrWrongState.With("from", "ENDED").With("allowed", []string{"RUNNING"})
	case c.On.IsZero() || c.On < domain.DayMin || c.On >= s.Plan.End:
		return nil, ErrInvalid.At("/on")
	}
	used, err := s.used(c.On)
	if err != nil {
		return nil, err
	}
	e := EndedEarly{On: c.On, PaidFen: s.rentPaid() + s.outsidePaid(), UsedFen: used}
	if c.ChargeBreakFee {
		e.BreakFeeFen = s.Plan.BreakFeeFen
	}
	owed := max(0, e.PaidFen-e.UsedFen-e.BreakFeeFen)
	e.RefundFen = min(owed, s.refundable(SourceRent))
	e.ShortfallFen = owed - e.RefundFen
	events := []Event{e}
	if e.RefundFen > 0 {
		events = append(events, s.approved(RefundEnd, SourceRent, e.RefundFen, r.Actor.ID))
	}
	return events, nil
}

// used is the rent of the time up to a last day: whole months, then days of the month begun.
func (s State) used(on domain.Day) (domain.Fen, error) {
	if on < s.Plan.Start {
		return 0, nil
	}
	months := s.Plan.Start.MonthsUntil(on)
	used, err := domain.Fen(0), error(nil)
	for i := range months {
		if used, err = used.Add(rentOn(s.Steps, s.Plan.Start.AddMonths(i))); err != nil {
			return 0, err
		}
	}
	from := s.Plan.Start.AddMonths(months)
	part, err := rentOn(s.Steps, from).MulDiv(int64(on-from)+1, int64(s.Plan.Start.AddMonths(months+1)-from))
	if err != nil {
		return 0, err
	}
	return used.Add(part)
}
