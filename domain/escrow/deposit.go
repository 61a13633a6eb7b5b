package escrow

import (
	"slices"

	"zujian/domain"
)

const silenceDays = 14 // M-10: days of silence after the lessee's claim.

const evidenceMax = 20 // Documents of one deduction.

// DepositHeld is the deposit in the ledger, the part in dispute included.
func (s State) DepositHeld() domain.Fen { return s.held("deposit") + s.held("disputed") }

func proposeDeduction(s State, r domain.Request[Command], c ProposeDeduction) ([]Event, error) {
	if err := firstOf(text("/deduction_id", c.DeductionID), text("/ground", c.Ground), amount("/amount_fen", c.AmountFen)); err != nil {
		return nil, err
	}
	for _, doc := range c.Evidence {
		if len(c.Evidence) > evidenceMax || text("/evidence", doc) != nil {
			return nil, ErrInvalid.At("/evidence")
		}
	}
	switch d := s.deduction(c.DeductionID); {
	case !allowed(r, s.lessors(), domain.RoleSystem):
		return nil, ErrNotYours
	case d != nil && d.Ground == c.Ground && d.AmountFen == c.AmountFen:
		return nil, nil
	case d != nil:
		return nil, ErrDeductionExists.At("/deduction_id")
	case s.Settled != nil:
		return nil, ErrWrongState.With("from", "SETTLED").With("allowed", []string{"HELD"})
	case s.DepositHeld() == 0:
		return nil, ErrNoDeposit
	}
	total := c.AmountFen
	for _, d := range s.Deductions {
		var err error
		if total, err = total.Add(d.AmountFen); err != nil {
			return nil, err
		}
	}
	if total > s.DepositHeld() {
		return nil, ErrDeductionTooHigh.With("held_fen", int64(s.DepositHeld())).At("/amount_fen")
	}
	inClause := slices.Contains(s.Plan.DeductionGrounds, c.Ground)
	verdict := r.Policy.Judge(domain.StageFundOut, r.Today(), domain.Facts{
		"deduction": domain.Facts{"ground": c.Ground, "amount_fen": int64(c.AmountFen), "in_clause": inClause},
		"lease":     domain.Facts{"deduction_grounds": s.Plan.DeductionGrounds, "deposit_fen": int64(s.Plan.DepositFen)},
	}, "C-22")
	if err := verdict.Err(); err != nil {
		return nil, err
	}
	if !inClause || verdict.Holds() {
		return []Event{DeductionHeld{DeductionID: c.DeductionID, Ground: c.Ground, AmountFen: c.AmountFen, Evidence: c.Evidence, Rules: verdict}}, nil
	}
	return []Event{DeductionProposed(c)}, nil
}

// open finds a deduction the lessee may still answer.
func (s State) open(r domain.Request[Command], id string, answer DeductionStage) (d *Deduction, done bool, err error) {
	d = s.deduction(id)
	switch {
	case !allowed(r, s.lessees(), domain.RoleSystem):
		return nil, false, ErrNotYours
	case d == nil:
		return nil, false, ErrDeductionUnknown
	case d.Stage == answer:
		return nil, true, nil
	case s.Settled != nil || (d.Stage != DeductionStageProposed && d.Stage != DeductionStageHeld):
		return nil, false, ErrWrongState.With("from", string(d.Stage)).
			With("allowed", []DeductionStage{DeductionStageProposed, DeductionStageHeld})
	}
	return d, false, nil
}

func acceptDeduction(s State, r domain.Request[Command], c AcceptDeduction) ([]Event, error) {
	d, done, err := s.open(r, c.DeductionID, DeductionStageAccepted)
	if err != nil || done {
		return nil, err
	}
	return []Event{DeductionAccepted{DeductionID: d.DeductionID, AmountFen: d.AmountFen}}, nil
}

func contestDeduction(s State, r domain.Request[Command], c ContestDeduction) ([]Event, error) {
	if err := optional("/reason", c.Reason); err != nil {
		return nil, err
	}
	d, done, err := s.open(r, c.DeductionID, DeductionStageContested)
	if err != nil || done {
		return nil, err
	}
	return []Event{DeductionContested{
		DeductionID: d.DeductionID, AmountFen: d.AmountFen, Reason: c.Reason,
		Journal: move(s.account("deposit"), s.account("disputed"), d.AmountFen),
	}}, nil
}

func mediate(s State, r domain.Request[Command], c Mediate) ([]Event, error) {
	e := MediationHeld{ToLessorFen: c.ToLessorFen, ToLesseeFen: c.ToLesseeFen, Agreed: c.Agreed, RecordNo: c.RecordNo, By: r.Actor.ID}
	switch err := text("/record_no", c.RecordNo); {
	case err != nil:
		return nil, err
	case !allowed(r, nil, domain.RoleDistrict, domain.RoleCity):
		return nil, ErrNotYours
	case s.Mediation != nil && *s.Mediation == e:
		return nil, nil
	case s.Settled != nil:
		return nil, ErrWrongState.With("from", "SETTLED").With("allowed", []string{"HELD"})
	case len(s.Deductions) == 0:
		return nil, ErrNoBasis
	}
	if err := s.whole(c.ToLessorFen, c.ToLesseeFen); err != nil {
		return nil, err
	}
	return []Event{e}, nil
}

// whole tests that two shares are the deposit held, nothing less and nothing more.
func (s State) whole(toLessor, toLessee domain.Fen) error {
	if toLessor < 0 || toLessee < 0 || toLessor > domain.FenMax || toLessee > domain.FenMax {
		return domain.ErrAmount
	}
	if s.DepositHeld() == 0 {
		return ErrNoDeposit
	}
	if toLessor+toLessee != s.DepositHeld() {
		return ErrSettlementSum.With("held_fen", int64(s.DepositHeld()))
	}
	return nil
}

func settleDeposit(s State, r domain.Request[Command], c SettleDeposit) ([]Event, error) {
	if err := optional("/paper_no", c.PaperNo); err != nil {
		return nil, err
	}
	authority := allowed(r, nil, domain.RoleSystem, domain.RoleDistrict, domain.RoleCity)
	if !authority && !allowed(r, slices.Concat(s.lessors(), s.lessees())) {
		return nil, ErrNotYours
	}
	if d := s.Settled; d != nil {
		if d.ToLessorFen == c.ToLessorFen && d.ToLesseeFen == c.ToLesseeFen && d.Basis == c.Basis {
			return nil, nil
		}
		return nil, ErrWrongState.With("from", "SETTLED").With("allowed", []string{"HELD"})
	}
	if !s.over(r.Today()) {
		return nil, ErrDepositLocked
	}
	if err := s.whole(c.ToLessorFen, c.ToLesseeFen); err != nil {
		return nil, err
	}
	switch c.Basis {
	case BasisAgreed:
		if err := s.agreed(r, c); err != nil {
			return nil, err
		}
	case BasisMediation:
		if m := s.Mediation; m == nil || !m.Agreed || m.ToLessorFen != c.ToLessorFen || m.ToLesseeFen != c.ToLesseeFen {
			return nil, ErrNoBasis.At("/basis")
		}
	case BasisRuling:
		if r.Actor.Role != domain.RoleDistrict && r.Actor.Role != domain.RoleCity {
			return nil, ErrNotYours
		}
		if c.PaperNo == "" {
			return nil, ErrInvalid.At("/paper_no")
		}
	default:
		return nil, ErrInvalid.At("/basis")
	}
	return s.settle(r, c), nil
}

// agreed tests that the lessor takes no more than the lessee accepted. The lessee alone may only call for exactly that,
// once every deduction is answered; the lessor may also waive.
func (s State) agreed(r domain.Request[Command], c SettleDeposit) error {
	accepted, answered := domain.Fen(0), len(s.Deductions) > 0
	for _, d := range s.Deductions {
		if d.Stage == DeductionStageAccepted {
			accepted += d.AmountFen
		} else {
			answered = false
		}
	}
	lessor := allowed(r, s.lessors())
	if c.ToLessorFen > accepted || (!lessor && (!answered || c.ToLessorFen != accepted)) {
		return ErrNoBasis.With("accepted_fen", int64(accepted)).At("/basis")
	}
	return nil
}

// settle splits the deposit: the lessor's share becomes a tranche due at once, the lessee's an approved refund.
func (s State) settle(r domain.Request[Command], c SettleDeposit) []Event {
	today := r.Today()
	e := DepositSettled{
		ToLessorFen: c.ToLessorFen, ToLesseeFen: c.ToLesseeFen, Basis: c.Basis, PaperNo: c.PaperNo, On: today, Bank: s.Bank,
		Journal: slices.Concat(move(s.account("disputed"), s.account("deposit"), s.held("disputed")),
			move(s.account("deposit"), s.account("awarded"), c.ToLessorFen)),
	}
	if c.ToLessorFen > 0 {
		payee, party := s.Plan.receiver()
		e.Tranche = &Tranche{No: len(s.Tranches) + 1, Due: today, AmountFen: c.ToLessorFen, Payee: payee, Party: party, Source: SourceDeposit}
	}
	events := []Event{e}
	if c.ToLesseeFen > 0 {
		events = append(events, s.approved(RefundDeposit, SourceDeposit, c.ToLesseeFen, r.Actor.ID))
	}
	return events
}

func claimDeposit(s State, r domain.Request[Command]) ([]Event, error) {
	today := r.Today()
	switch {
	case !allowed(r, s.lessees(), domain.RoleSystem):
		return nil, ErrNotYours
	case s.Claim != nil:
		return nil, nil
	case s.Settled != nil:
		return nil, ErrWrongState.With("from", "SETTLED").With("allowed", []string{"HELD"})
	case !s.over(today):
		return nil, ErrDepositLocked
	case s.DepositHeld() == 0:
		return nil, ErrNoDeposit
	}
	days := silenceDays
	if v, ok := r.Policy.Param("M-10", "silence_days", today); ok && v > 0 && v <= 365 {
		days = int(v)
	}
	return []Event{DepositClaimed{On: today, RespondBy: today.AddDays(days)}}, nil
}

func settleByDefault(s State, r domain.Request[Command]) ([]Event, error) {
	switch {
	case !allowed(r, s.lessees(), domain.RoleSystem, domain.RoleDistrict, domain.RoleCity):
		return nil, ErrNotYours
	case s.Settled != nil && s.Settled.Basis == BasisDefault:
		return nil, nil
	case s.Settled != nil:
		return nil, ErrWrongState.With("from", "SETTLED").With("allowed", []string{"HELD"})
	case s.DepositHeld() == 0:
		return nil, ErrNoDeposit
	case s.Claim == nil || r.Today() <= s.Claim.RespondBy || len(s.Deductions) > 0:
		return nil, ErrNotSilent
	}
	return s.settle(r, SettleDeposit{ToLesseeFen: s.DepositHeld(), Basis: BasisDefault}), nil
}
