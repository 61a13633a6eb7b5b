package escrow

import (
	"slices"

	"zujian/domain"
)

const (
	cycleLimitDefault = 3   // Months; M-01's parameter when the rule set has none.
	upfrontDefault    = 3   // Months; M-04's k (Beijing, 2024-10-01).
	monthsMax         = 240 // 民法典第七百零五条: twenty years.
	earlyDays         = 31  // A collection opens this long before it is due.
)

// routing are the rules that send a contract's money to the supervised account.
var routing = []string{"M-01", "M-02", "C-05", "C-10"}

func plan(s State, r domain.Request[Command], c Plan) ([]Event, error) {
	if s.Plan.Contract != "" {
		if s.samePlan(c) {
			return nil, nil
		}
		return nil, ErrAlreadyPlanned
	}
	if c.Kind == "HEAD" { // M-06: what an operator pays its owner is not supervised.
		return nil, nil
	}
	if err := checkPlan(c); err != nil {
		return nil, err
	}
	facts := planFacts(c)
	verdict := only(append(r.Policy.Judge(domain.StageFundIn, c.SignedOn, facts),
		r.Policy.Judge(domain.StageSign, c.SignedOn, facts)...), routing...)
	mode := modeOf(c, verdict)
	if mode == ModeNone {
		return nil, nil
	}
	e := FundsExpected{
		Contract: c.Contract, Unit: c.Unit, AdminCode: c.AdminCode, ReportUnit: c.ReportUnit, Bank: c.Bank,
		Lessor: c.Lessor, Lessee: c.Lessee, CoLessors: c.CoLessors, CoLessees: c.CoLessees,
		Operator: c.Operator, OperatorParty: c.OperatorParty, Owner: c.Owner, OwnerMonthlyFen: c.OwnerMonthlyFen,
		MonthlyRentFen: c.RentFen, PayCycleMonths: c.PayCycleMonths, Mode: mode, CaptureMode: c.CaptureMode, Profile: c.Profile, K: c.K,
		CycleLimit: cycleLimitDefault, DepositReturn: c.DepositReturnDays, DeductionGrounds: c.DeductionGrounds, BreakFeeFen: c.BreakFeeFen,
		Start: c.Start, End: c.End, SignedOn: c.SignedOn, Rules: verdict,
	}
	if v, ok := r.Policy.Param("M-01", "cycle_limit", c.SignedOn); ok && v > 0 && v <= monthsMax {
		e.CycleLimit = int(v)
	}
	if e.CaptureMode == "" {
		e.CaptureMode = CaptureWhole
		if v, ok := r.Policy.ParamText("M-01", "capture_mode", c.SignedOn); ok && v == string(CaptureExcess) {
			e.CaptureMode = CaptureExcess
		}
	}
	if e.Profile == "" {
		e.Profile = ProfileMonthly
		if v, ok := r.Policy.ParamText("M-04", "profile", c.SignedOn); ok && Profile(v) == ProfileUpfront {
			e.Profile = ProfileUpfront
		}
	}
	if e.Profile == ProfileUpfront && e.K == 0 {
		e.K = upfrontDefault
		if v, ok := r.Policy.Param("M-04", "k", c.SignedOn); ok && v > 0 && v <= monthsMax {
			e.K = int(v)
		}
	}
	if err := layOut(&e, c.Months, c.DepositFen); err != nil {
		return nil, err
	}
	if e.RentFen == 0 && e.DepositFen == 0 { // Capture mode EXCESS with nothing in excess.
		return nil, nil
	}
	return []Event{e}, nil
}

func modeOf(c Plan, v domain.Verdict) Mode {
	switch {
	case c.Mode == ModeMandatory || v.Routed("M-01") || v.Routed("C-05") || v.Routed("C-10"):
		return ModeMandatory
	case c.Mode == ModeVoluntary || v.Routed("M-02"):
		return ModeVoluntary
	}
	return ModeNone
}

func (s State) samePlan(c Plan) bool {
	p := s.Plan
	return p.Contract == c.Contract && p.Unit == c.Unit && p.Lessor == c.Lessor && p.Lessee == c.Lessee &&
		p.MonthlyRentFen == c.RentFen && p.PayCycleMonths == c.PayCycleMonths && p.Start == c.Start && p.End == c.End &&
		p.Owner == c.Owner && p.OwnerMonthlyFen == c.OwnerMonthlyFen && p.Operator == c.Operator &&
		(p.CaptureMode == CaptureExcess || p.DepositFen == c.DepositFen)
}

func checkPlan(c Plan) error {
	if err := firstOf(text("/contract", c.Contract), text("/lessor", c.Lessor), text("/lessee", c.Lessee), optional("/bank", c.Bank),
		optional("/owner", c.Owner), amount("/rent_fen", c.RentFen)); err != nil {
		return err
	}
	switch {
	case c.DepositFen < 0 || c.DepositFen > domain.FenMax:
		return domain.ErrAmount.At("/deposit_fen")
	case c.OwnerMonthlyFen < 0 || c.OwnerMonthlyFen > domain.FenMax:
		return domain.ErrAmount.At("/owner_monthly_fen")
	case c.BreakFeeFen < 0 || c.BreakFeeFen > domain.FenMax:
		return domain.ErrAmount.At("/break_fee_fen")
	case c.Start < domain.DayMin || c.End > domain.DayMax || c.Start > c.End || c.Start.IsZero():
		return ErrInvalid.At("/end")
	case c.SignedOn.IsZero():
		return ErrInvalid.At("/signed_on")
	case c.Months < 0 || c.Months > monthsMax || c.Start.MonthsUntil(c.End) > monthsMax:
		return ErrInvalid.At("/months")
	case c.PayCycleMonths < 1 || c.PayCycleMonths > monthsMax:
		return ErrInvalid.At("/pay_cycle_months")
	case c.K < 0 || c.K > monthsMax:
		return ErrInvalid.At("/k")
	case !slices.Contains([]Mode{"", ModeNone, ModeVoluntary, ModeMandatory}, c.Mode):
		return ErrInvalid.At("/mode")
	case !slices.Contains([]CaptureMode{"", CaptureWhole, CaptureExcess}, c.CaptureMode):
		return ErrInvalid.At("/capture_mode")
	case !slices.Contains([]Profile{"", ProfileMonthly, ProfileUpfront, ProfileExcessOnly}, c.Profile):
		return ErrInvalid.At("/profile")
	}
	return nil
}

// monthRents is the rent of each month of the term; odd days at the end are a last month pro rata.
func monthRents(e *FundsExpected, months int) ([]domain.Fen, error) {
	odd := domain.Fen(-1)
	if months == 0 {
		months = e.Start.MonthsUntil(e.End)
		if from := e.Start.AddMonths(months); from <= e.End {
			part, err := e.MonthlyRentFen.MulDiv(int64(e.End-from)+1, int64(e.Start.AddMonths(months+1)-from))
			if err != nil {
				return nil, err
			}
			odd = part
		}
	}
	rents := slices.Repeat([]domain.Fen{e.MonthlyRentFen}, months)
	if odd >= 0 {
		rents = append(rents, odd)
	}
	return rents, nil
}

// layOut fills the collections and the planned schedule.
func layOut(e *FundsExpected, months int, deposit domain.Fen) error {
	rents, err := monthRents(e, months)
	if err != nil {
		return err
	}
	if e.CaptureMode == CaptureWhole {
		e.DepositFen = deposit
	}
	for first := 0; first < len(rents); first += e.PayCycleMonths {
		n := min(e.PayCycleMonths, len(rents)-first)
		skipped := 0
		if e.CaptureMode == CaptureExcess {
			skipped = min(e.CycleLimit, n)
		}
		col := Collection{No: len(e.Collections) + 1, Due: e.Start.AddMonths(first), Months: n}
		if first == 0 {
			col.DepositFen = e.DepositFen
		}
		for i, rent := range rents[first : first+n] {
			into := &col.RentFen
			if i < skipped {
				into = &col.OutsideFen
			}
			if *into, err = into.Add(rent); err != nil {
				return err
			}
		}
		e.Collections = append(e.Collections, col)
		if e.RentFen, err = e.RentFen.Add(col.RentFen); err != nil {
			return err
		}
		e.tranches(rents[first+skipped:first+n], first+skipped, col.Due)
	}
	for i := range e.Schedule {
		e.Schedule[i].No = i + 1
	}
	_, err = e.RentFen.Add(e.DepositFen)
	return err
}

// tranches plans how the captured months of one collection are passed on, the owner's share before the operator's.
func (e *FundsExpected) tranches(rents []domain.Fen, first int, due domain.Day) {
	upfront := 0
	switch {
	case e.Profile == ProfileUpfront:
		upfront = min(e.K, len(rents))
	case e.Profile == ProfileExcessOnly && e.CaptureMode == CaptureWhole:
		upfront = min(e.CycleLimit, len(rents))
	}
	if upfront > 0 {
		e.share(Tranche{Month: first + 1, Months: upfront, Upfront: true, Due: due}, rents[:upfront])
	}
	for i := upfront; i < len(rents); i++ {
		e.share(Tranche{Month: first + i + 1, Months: 1, Due: e.Start.AddMonths(first + i)}, rents[i:i+1])
	}
}

func (e *FundsExpected) share(t Tranche, rents []domain.Fen) {
	total, owner := domain.Fen(0), domain.Fen(0)
	for _, rent := range rents {
		total += rent
		if e.Owner != "" {
			owner += min(e.OwnerMonthlyFen, rent)
		}
	}
	t.Source = SourceRent
	if owner > 0 {
		t.Payee, t.Party, t.AmountFen = PayeeOwner, e.Owner, owner
		e.Schedule = append(e.Schedule, t)
	}
	if total > owner {
		t.Payee, t.Party = e.receiver()
		t.AmountFen = total - owner
		e.Schedule = append(e.Schedule, t)
	}
}

// receiver is who gets what is not the owner's.
func (e *FundsExpected) receiver() (Payee, string) {
	switch {
	case e.Operator && e.OperatorParty != "":
		return PayeeOperator, e.OperatorParty
	case e.Operator:
		return PayeeOperator, e.Lessor
	}
	return PayeeLessor, e.Lessor
}
