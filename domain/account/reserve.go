package account

import (
	"slices"

	"zujian/domain"
)

// Rules judged here.
const (
	loanRule    = "C-13"
	reserveRule = "M-07"
)

const (
	forwardDays      = 31 // A bank may date a payment ahead over holidays; further ahead is a typing error.
	beneficiariesMax = 1000
)

func setReserve(s State, r domain.Request[Command], c SetReserve) ([]Event, error) {
	switch {
	case !officer(r):
		return nil, ErrNotYours
	case s.Current == nil:
		return nil, s.inStage(StageActive, StageSuspended)
	case c.RequiredFen < 0 || c.RequiredFen > domain.FenMax:
		return nil, domain.ErrAmount.At("/required_fen")
	case c.RequiredFen == s.Required:
		return nil, nil
	}
	if err := text("/basis", c.Basis); err != nil {
		return nil, err
	}
	return []Event{ReserveSet(c)}, nil
}

func depositReserve(s State, r domain.Request[Command], c DepositReserve) ([]Event, error) {
	if err := firstOf(text("/bank_txn_id", c.BankTxnID), valueDate(r, c.ValueDate)); err != nil {
		return nil, err
	}
	switch {
	case s.Current == nil:
		return nil, s.inStage(StageActive, StageSuspended)
	case !byBank(r, s.Current.Bank):
		return nil, ErrNotYours
	case c.AmountFen <= 0 || c.AmountFen > domain.FenMax-s.Reserve:
		return nil, domain.ErrAmount.At("/amount_fen")
	}
	if t, ok := s.txn(s.Current.Bank, c.BankTxnID); ok {
		if t.AmountFen == c.AmountFen && t.ValueDate == c.ValueDate {
			return nil, nil
		}
		return nil, ErrTxnDuplicate.At("/bank_txn_id")
	}
	return []Event{ReserveDeposited{
		Bank: s.Current.Bank, BankTxnID: c.BankTxnID, AmountFen: c.AmountFen, ValueDate: c.ValueDate,
		Rules: s.reserveVerdict(r, s.Free()+c.AmountFen),
	}}, nil
}

func orderDraw(s State, r domain.Request[Command], c OrderDraw) ([]Event, error) {
	if err := firstOf(text("/draw_id", c.DrawID), text("/order_no", c.OrderNo), text("/reason", c.Reason)); err != nil {
		return nil, err
	}
	sum := domain.Fen(0)
	for _, b := range c.Beneficiaries {
		if b.AmountFen <= 0 || b.AmountFen > domain.FenMax-sum {
			return nil, domain.ErrAmount.At("/beneficiaries")
		}
		if err := text("/beneficiaries", b.Party); err != nil {
			return nil, err
		}
		sum += b.AmountFen
	}
	old := slices.IndexFunc(s.Draws, func(d Draw) bool { return d.DrawID == c.DrawID })
	switch {
	case !officer(r):
		return nil, ErrNotYours
	case s.Current == nil:
		return nil, s.inStage(StageActive, StageSuspended)
	case len(c.Beneficiaries) == 0 || len(c.Beneficiaries) > beneficiariesMax:
		return nil, ErrInvalid.At("/beneficiaries")
	case old >= 0:
		if d := s.Draws[old]; d.OrderNo == c.OrderNo && d.Reason == c.Reason && d.ReplenishBy == c.ReplenishBy && slices.Equal(d.Beneficiaries, c.Beneficiaries) {
			return nil, nil
		}
		return nil, ErrDrawExists
	case c.ReplenishBy <= r.Today() || c.ReplenishBy > domain.DayMax:
		return nil, ErrInvalid.At("/replenish_by")
	case sum > s.Free():
		return nil, ErrInsufficient.With("free_fen", int64(s.Free()))
	}
	return []Event{DrawOrdered{
		DrawID: c.DrawID, OrderNo: c.OrderNo, Reason: c.Reason, AmountFen: sum, Beneficiaries: slices.Clone(c.Beneficiaries),
		ReplenishBy: c.ReplenishBy, By: r.Actor.ID,
	}}, nil
}

func confirmDraw(s State, r domain.Request[Command], c ConfirmDraw) ([]Event, error) {
	if err := firstOf(text("/bank_txn_id", c.BankTxnID), valueDate(r, c.ValueDate)); err != nil {
		return nil, err
	}
	i := slices.IndexFunc(s.Draws, func(d Draw) bool { return d.DrawID == c.DrawID && !d.Cancelled })
	switch {
	case s.Current == nil || !byBank(r, s.Current.Bank):
		return nil, ErrNotYours
	case i < 0:
		return nil, ErrDrawNotFound
	case s.Draws[i].PaidTxn == c.BankTxnID:
		return nil, nil
	case s.Draws[i].PaidTxn != "":
		return nil, ErrTxnDuplicate.At("/bank_txn_id")
	}
	if _, used := s.txn(s.Current.Bank, c.BankTxnID); used {
		return nil, ErrTxnDuplicate.At("/bank_txn_id")
	}
	return []Event{ReserveDrawn{
		DrawID: c.DrawID, Bank: s.Current.Bank, BankTxnID: c.BankTxnID, AmountFen: s.Draws[i].AmountFen, ValueDate: c.ValueDate,
		Rules: s.reserveVerdict(r, s.Free()),
	}}, nil
}

func cancelDraw(s State, r domain.Request[Command], c CancelDraw) ([]Event, error) {
	if err := text("/reason", c.Reason); err != nil {
		return nil, err
	}
	i := slices.IndexFunc(s.Draws, func(d Draw) bool { return d.DrawID == c.DrawID })
	switch {
	case !officer(r):
		return nil, ErrNotYours
	case i < 0 || s.Draws[i].PaidTxn != "":
		return nil, ErrDrawNotFound
	case s.Draws[i].Cancelled:
		return nil, nil
	}
	return []Event{DrawCancelled(c)}, nil
}

func (s State) txn(bank, id string) (Txn, bool) {
	i := slices.IndexFunc(s.Txns, func(t Txn) bool { return t.Bank == bank && t.ID == id })
	if i < 0 {
		return Txn{}, false
	}
	return s.Txns[i], true
}

func valueDate(r domain.Request[Command], d domain.Day) error {
	if d.IsZero() || d < domain.DayMin || d > r.Today().AddDays(forwardDays) {
		return ErrInvalid.At("/value_date")
	}
	return nil
}

func (s State) reserveVerdict(r domain.Request[Command], reserve domain.Fen) domain.Verdict {
	return judged(r, r.Today(), domain.Facts{"reserve_fen": int64(reserve), "reserve_required_fen": int64(s.Required)}, reserveRule)
}

// judged keeps what one rule says: others of the stage lack their facts here. Nothing here is refused by a rule.
func judged(r domain.Request[Command], on domain.Day, operator domain.Facts, rule string) domain.Verdict {
	return r.Policy.Judge(domain.StagePeriodic, on, domain.Facts{"operator": operator}, rule)
}

func evolve(s State, e Event) State {
	switch e := e.(type) {
	case Applied:
		if s.Current == nil {
			s.Stage = StageApplied
		}
		s.Operator, s.AdminCode, s.ClosedOn = e.Operator, e.AdminCode, 0
		s.Next, s.Refused = &Opened{Bank: e.Bank}, ""
	case Opened:
		if s.Current == nil {
			s.Stage = StageOpened
		}
		s.Next = &e
	case Accepted:
		if s.Current != nil {
			s.Former = append(slices.Clip(s.Former), *s.Current)
		}
		s.Current, s.Next, s.Stage = s.Next, nil, StageActive
		if s.Order != nil {
			s.Stage = StageSuspended
		}
	case Declined:
		s.Next, s.Refused = nil, e.Reason
		if s.Current == nil {
			s.Stage = StageDeclined
		}
	case Suspended:
		s.Stage, s.Order = StageSuspended, &e
	case Resumed:
		s.Stage, s.Order = StageActive, nil
	case ReserveSet:
		s.Required = e.RequiredFen
	case ReserveDeposited:
		s.Reserve += e.AmountFen
		s.Txns = append(slices.Clip(s.Txns), Txn{Bank: e.Bank, ID: e.BankTxnID, AmountFen: e.AmountFen, ValueDate: e.ValueDate})
	case DrawOrdered:
		s.Draws = append(slices.Clip(s.Draws), Draw{DrawOrdered: e})
	case ReserveDrawn:
		s.Reserve -= e.AmountFen
		s.Txns = append(slices.Clip(s.Txns), Txn{Bank: e.Bank, ID: e.BankTxnID, AmountFen: -e.AmountFen, ValueDate: e.ValueDate})
		s.Draws = s.draw(e.DrawID, func(d *Draw) { d.PaidTxn = e.BankTxnID })
	case DrawCancelled:
		s.Draws = s.draw(e.DrawID, func(d *Draw) { d.Cancelled = true })
	case LoansDeclared:
		s.Loans = s.month(LoanMonth{Month: e.Month, IncomeFen: e.IncomeFen, LoanFen: e.LoanFen, Exceeded: len(e.Rules.Fired()) > 0})
	case Closed:
		s.Former = append(slices.Clip(s.Former), *s.Current)
		s.Stage, s.ClosedOn, s.Current, s.Required = StageClosed, e.On, nil, 0
	}
	return s
}

func (s State) draw(id string, change func(*Draw)) []Draw {
	out := slices.Clone(s.Draws)
	for i := range out {
		if out[i].DrawID == id {
			change(&out[i])
		}
	}
	return out
}

func (s State) month(m LoanMonth) []LoanMonth {
	out := slices.Clone(s.Loans)
	i, found := slices.BinarySearchFunc(out, m.Month, func(o LoanMonth, d domain.Day) int { return int(o.Month) - int(d) })
	if found {
		out[i] = m
		return out
	}
	return slices.Insert(out, i, m)
}
