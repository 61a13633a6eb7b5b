package escrow

import (
	"slices"
	"strconv"

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
	verdict := r.Policy.Judge(domain.StageSign, c.SignedOn, &c, routing...)
	if in := r.Policy.Judge(domain.StageFundIn, c.SignedOn, &c, routing...); len(in) > 0 {
		verdict = append(in, verdict...)
	}
	mode := modeOf(c, verdict)
	if mode == ModeNone {
		return nil, nil
	}
	e := FundsExpected{
		Contract: c.Contract, Unit: c.Unit, AdminCode: c.AdminCode, ReportUnit: c.ReportUnit, Bank: c.Bank, Account: c.Account,
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
	if err := layOut(&e, []RentStep{{From: c.Start, RentFen: c.RentFen}}, c.Months, c.DepositFen); err != nil {
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
	if err := firstOf(text("/contract", c.Contract), text("/lessor", c.Lessor), text("/lessee", c.Lessee), optional("/bank", c.Bank), optional("/account", c.Account),
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

// rentOn is the monthly rent in force on the first day of a month of the lease.
func rentOn(steps []RentStep, day domain.Day) domain.Fen {
	rent := domain.Fen(0)
	for i, s := range steps {
		if i == 0 || s.From <= day {
			rent = s.RentFen
		}
	}
	return rent
}

// monthRents is the rent of each month of the term; odd days at the end are a last month pro rata.
func monthRents(e *FundsExpected, steps []RentStep, months int) (rents []domain.Fen, err error) {
	odd := months == 0
	if odd {
		months = e.Start.MonthsUntil(e.End)
	}
	rents = make([]domain.Fen, 0, months+1)
	for i := range months {
		rents = append(rents, rentOn(steps, e.Start.AddMonths(i)))
	}
	if from := e.Start.AddMonths(months); odd && from <= e.End {
		part, err := rentOn(steps, from).MulDiv(int64(e.End-from)+1, int64(e.Start.AddMonths(months+1)-from))
		if err != nil {
			return nil, err
		}
		rents = append(rents, part)
	}
	return rents, nil
}

// layOut fills the collections and the planned schedule.
func layOut(e *FundsExpected, steps []RentStep, months int, deposit domain.Fen) error {
	rents, err := monthRents(e, steps, months)
	if err != nil {
		return err
	}
	if e.CaptureMode == CaptureWhole {
		e.DepositFen = deposit
	}
	e.Collections = slices.Grow(e.Collections, (len(rents)+e.PayCycleMonths-1)/e.PayCycleMonths)
	e.Schedule = slices.Grow(e.Schedule, e.tranchesMost(len(rents)))
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

// tranchesMost is how many tranches so many months make at most: the owner's share of each is one of its own.
func (e *FundsExpected) tranchesMost(months int) int {
	if e.Owner != "" {
		return 2 * months
	}
	return months
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

func amend(s State, r domain.Request[Command], c Amend) ([]Event, error) {
	e := s.Plan
	if !c.End.IsZero() {
		e.End = c.End
	}
	steps, deposit := s.Steps, s.Plan.DepositFen
	if c.RentFen != 0 && c.RentFen != s.Plan.MonthlyRentFen {
		steps = append(slices.Clone(steps), RentStep{From: c.EffectiveFrom, RentFen: c.RentFen})
	}
	if c.DepositFen != nil && e.CaptureMode == CaptureWhole {
		deposit = *c.DepositFen
	}
	switch {
	case !allowed(r, nil, domain.RoleSystem, domain.RoleDistrict, domain.RoleCity):
		return nil, ErrNotYours
	case len(steps) == len(s.Steps) && deposit == s.Plan.DepositFen && e.End == s.Plan.End:
		return nil, nil
	case s.Ended != nil || s.Settled != nil || !s.ClosedOn.IsZero():
		return nil, ErrWrongState.With("from", "ENDED").With("allowed", []string{"RUNNING"})
	case c.RentFen < 0 || c.RentFen > domain.FenMax:
		return nil, domain.ErrAmount.At("/rent_fen")
	case deposit < 0 || deposit > domain.FenMax:
		return nil, domain.ErrAmount.At("/deposit_fen")
	case c.EffectiveFrom < domain.DayMin || c.EffectiveFrom.IsZero() || c.EffectiveFrom < s.Steps[len(s.Steps)-1].From:
		return nil, ErrInvalid.At("/effective_from")
	case e.End < e.Start || e.End > domain.DayMax || e.Start.MonthsUntil(e.End) > monthsMax:
		return nil, ErrInvalid.At("/end")
	}
	e.RentFen, e.DepositFen, e.Collections, e.Schedule = 0, 0, nil, nil
	if err := layOut(&e, steps, 0, deposit); err != nil {
		return nil, err
	}
	if deposit < s.depositPaid() || !s.covers(e.Schedule) {
		return nil, ErrMonthsPaid
	}
	return []Event{PlanAmended{
		EffectiveFrom: c.EffectiveFrom, Steps: steps, End: e.End, RentFen: e.RentFen, DepositFen: e.DepositFen,
		Collections: e.Collections, Schedule: e.Schedule,
	}}, nil
}

// covers is true when a plan has room for every tranche that stands.
func (s State) covers(schedule []Tranche) bool {
	paid := map[string]domain.Fen{}
	slot := func(t Tranche) string { return string(t.Payee) + strconv.Itoa(t.Month) }
	for _, t := range s.Tranches {
		if t.Stage != TrancheCancelled && t.Source == SourceRent {
			paid[slot(t.Tranche)] += t.AmountFen
		}
	}
	for _, row := range schedule {
		if paid[slot(row)] <= row.AmountFen {
			delete(paid, slot(row))
		}
	}
	return len(paid) == 0
}
