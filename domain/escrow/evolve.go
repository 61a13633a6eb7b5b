package escrow

import "slices"

func evolve(s State, e Event) State {
	s.Balances = post(s.Balances, Journal(e))
	switch e := e.(type) {
	case FundsExpected:
		e.Rules = nil
		s.Plan, s.Bank, s.Steps = e, e.Bank, []RentStep{{From: e.Start, RentFen: e.MonthlyRentFen}}
	case PlanAmended:
		s.Plan.End, s.Plan.RentFen, s.Plan.DepositFen = e.End, e.RentFen, e.DepositFen
		s.Plan.Collections, s.Plan.Schedule, s.Steps = e.Collections, e.Schedule, e.Steps
		if n := len(e.Steps); n > 0 {
			s.Plan.MonthlyRentFen = e.Steps[n-1].RentFen
		}
	case PartiesReplaced:
		s = s.replaced(e)
	case FundsReceived:
		s.Bank = e.Bank
		s.Txns = append(slices.Clip(s.Txns), Txn{
			Bank: e.Bank, ID: e.BankTxnID, Kind: TxnReceipt, AmountFen: e.AmountFen, ValueDate: e.ValueDate, PayerMask: e.PayerMask,
		})
	case FundsClassified:
		s.Txns = slices.Clone(s.Txns)
		if t := s.txn(e.Bank, e.BankTxnID); t != nil {
			t.RentFen, t.DepositFen, t.OtherFen, t.SuspenseFen = e.RentFen, e.DepositFen, e.OtherFen, e.SuspenseFen
		}
	case ReleaseScheduled:
		s.Tranches = slices.Clip(s.Tranches)
		for _, t := range e.Tranches {
			s.Tranches = append(s.Tranches, TrancheState{Tranche: t, Stage: TranchePlanned})
		}
	case FundsReversed:
		s.Txns = append(slices.Clone(s.Txns), Txn{
			Bank: e.Bank, ID: e.ReversalTxnID, Kind: TxnReversal, Ref: e.BankTxnID, AmountFen: e.AmountFen, ValueDate: e.ValueDate,
		})
		if t := s.txn(e.Bank, e.BankTxnID); t != nil {
			t.ReversedBy = e.ReversalTxnID
		}
		s = s.cancel(e.Cancelled)
	case ReleaseOrdered:
		s = s.stage(e.Tranche, func(t *TrancheState) { t.Stage = TrancheOrdered })
	case FundsReleased:
		s = s.stage(e.Tranche, func(t *TrancheState) { t.Stage, t.PaidTxn = TranchePaid, e.BankTxnID })
		s.Txns = append(slices.Clip(s.Txns), Txn{
			Bank: e.Bank, ID: e.BankTxnID, Kind: TxnPayment, Ref: trancheRef(e.Tranche), AmountFen: e.AmountFen, ValueDate: e.ValueDate,
		})
	case ReleaseFailed:
		s = s.stage(e.Tranche, func(t *TrancheState) { t.Stage, t.Attempts, t.FailReason = TranchePlanned, e.Attempts, e.Reason })
	case RefundRequested:
		s.Refunds = append(slices.Clip(s.Refunds), Refund{RefundRequested: e, Stage: RefundStageRequested})
	case RefundApproved:
		s = s.approve(e)
	case RefundDeclined:
		s = s.refundStage(e.RefundID, func(f *Refund) { f.Stage = RefundStageDeclined })
	case FundsRefunded:
		s = s.refundStage(e.RefundID, func(f *Refund) { f.Stage, f.PaidTxn = RefundStagePaid, e.BankTxnID })
		s.Txns = append(slices.Clip(s.Txns), Txn{
			Bank: e.Bank, ID: e.BankTxnID, Kind: TxnPayment, Ref: e.RefundID, AmountFen: e.AmountFen, ValueDate: e.ValueDate,
		})
	case EndedEarly:
		s.Ended = &e
	case DeductionProposed:
		s.Deductions = append(slices.Clip(s.Deductions), Deduction{DeductionProposed: e, Stage: DeductionStageProposed})
	case DeductionHeld:
		p := DeductionProposed{DeductionID: e.DeductionID, Ground: e.Ground, AmountFen: e.AmountFen, Evidence: e.Evidence}
		s.Deductions = append(slices.Clip(s.Deductions), Deduction{DeductionProposed: p, Stage: DeductionStageHeld})
	case DeductionAccepted:
		s = s.deductionStage(e.DeductionID, DeductionStageAccepted)
	case DeductionContested:
		s = s.deductionStage(e.DeductionID, DeductionStageContested)
	case MediationHeld:
		s.Mediation = &e
	case DepositClaimed:
		s.Claim = &e
	case DepositSettled:
		s.Settled = &e
		if e.Tranche != nil {
			s.Tranches = append(slices.Clip(s.Tranches), TrancheState{Tranche: *e.Tranche, Stage: TranchePlanned})
		}
	case Frozen:
		s.Freezes = append(slices.Clip(s.Freezes), FreezeOrder{Frozen: e})
	case Unfrozen:
		s.Freezes = slices.Clone(s.Freezes)
		for i := range s.Freezes {
			if s.Freezes[i].OrderNo == e.OrderNo {
				s.Freezes[i].Lifted = true
			}
		}
	case Closed:
		s.ClosedOn = e.On
	}
	return s
}

// approve marks a refund, or opens one that no request preceded, and shrinks the tranches that make room for it.
func (s State) approve(e RefundApproved) State {
	if s.refund(e.RefundID) == nil {
		q := RefundRequested{RefundID: e.RefundID, Source: e.Source, AmountFen: e.AmountFen, By: e.By}
		s.Refunds = append(slices.Clip(s.Refunds), Refund{RefundRequested: q, Stage: RefundStageApproved})
	} else {
		s = s.refundStage(e.RefundID, func(f *Refund) { f.Stage = RefundStageApproved })
	}
	s = s.cancel(e.Cancelled)
	for _, left := range e.Tranches {
		s = s.stage(left.No, func(t *TrancheState) { t.Tranche = left })
	}
	return s
}

func (s State) cancel(tranches []int) State {
	for _, no := range tranches {
		s = s.stage(no, func(t *TrancheState) { t.Stage = TrancheCancelled })
	}
	return s
}

func (s State) stage(no int, change func(*TrancheState)) State {
	if no < 1 || no > len(s.Tranches) {
		return s
	}
	s.Tranches = slices.Clone(s.Tranches)
	change(&s.Tranches[no-1])
	return s
}

func (s State) refundStage(id string, change func(*Refund)) State {
	s.Refunds = slices.Clone(s.Refunds)
	if f := s.refund(id); f != nil {
		change(f)
	}
	return s
}

func (s State) deductionStage(id string, to DeductionStage) State {
	s.Deductions = slices.Clone(s.Deductions)
	if d := s.deduction(id); d != nil {
		d.Stage = to
	}
	return s
}

// txn, refund and deduction point into the state's own slices: only evolve writes through them, after a copy.
func (s State) txn(bank, id string) *Txn {
	i := slices.IndexFunc(s.Txns, func(t Txn) bool { return t.Bank == bank && t.ID == id })
	if i < 0 {
		return nil
	}
	return &s.Txns[i]
}

func (s State) refund(id string) *Refund {
	i := slices.IndexFunc(s.Refunds, func(f Refund) bool { return f.RefundID == id })
	if i < 0 {
		return nil
	}
	return &s.Refunds[i]
}

func (s State) deduction(id string) *Deduction {
	i := slices.IndexFunc(s.Deductions, func(d Deduction) bool { return d.DeductionID == id })
	if i < 0 {
		return nil
	}
	return &s.Deductions[i]
}
