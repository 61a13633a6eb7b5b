package contract

import (
	"cmp"
	"slices"
	"strings"

	"zujian/domain"
)

// filingDaysDefault is the filing term when the rule set names none (商品房屋租赁管理办法第十四条).
const filingDaysDefault = 30

func file(s State, r request, c File, j *judge) ([]Event, error) {
	switch {
	case s.Stage == StageFiled || s.Stage == StageHeld:
		return nil, nil // Filing twice is one filing.
	case s.Stage == StageDrafted:
		return nil, ErrNotAllSigned.With("missing", len(s.Unsigned()))
	case s.Stage != StageSigned && s.Stage != StageReturned:
		return nil, s.wrongState(StageSigned, StageReturned)
	case !domain.ValidNumber(c.Number) || !strings.HasPrefix(c.Number, "BA"):
		return nil, ErrFilingNo.At("/filing_no")
	}
	if err := mayFile(s.Terms, c); err != nil {
		return nil, err
	}
	q := j.question(s.Terms, s.subject(c.Refreshed), s.Occupants, r.Today())
	q.SignedOn, q.FiledOn, q.FiledBy = s.SignedOn, r.Today(), c.ByRole
	q.PaperUnchecked = s.Paper.ByRole == ByLessee
	verdict, signing := j.filing(r.Policy, &s, c.Refreshed, q)
	if err := verdict.Err(); err != nil {
		return nil, err
	}
	held := holding(verdict, signing)
	if q.PaperUnchecked && len(held) == 0 {
		held = []string{"C-15"}
	}
	verdict = withFired(verdict, signing)
	if len(held) > 0 {
		return []Event{FilingHeld{
			FilingNo: c.Number, ByRole: c.ByRole, By: c.By, HeldOn: r.Today(), Subject: q.Subject, Reasons: held, Rules: verdict,
		}}, nil
	}
	return []Event{accept(s, r, j, acceptance{
		number: c.Number, byRole: c.ByRole, by: c.By, asked: r.Today(), authority: c.Authority, unit: q.Subject, rules: verdict,
	})}, nil
}

// mayFile holds C-15: the brokerage of a brokered contract, a lessor, or a lessee alone; a counter for any of them.
func mayFile(t Terms, c File) error {
	ok := false
	switch c.ByRole {
	case ByCounter:
		ok = true
	case ByBrokerage:
		ok = t.Brokerage != "" && c.By == t.Brokerage
	case ByLessor:
		ok = slices.Contains(partyIDs(t.Lessors), c.By)
	case ByLessee:
		ok = slices.Contains(partyIDs(t.Lessees), c.By)
	}
	if !ok {
		return ErrNotParty.With("by_role", c.ByRole).At("/by_role")
	}
	return nil
}

// holding are the rules a human must look at first. A signed contract is not refused by a signing rule any more.
func holding(filing, signing domain.Verdict) []string {
	var out []string
	for _, v := range []domain.Verdict{filing, signing} {
		for _, res := range v {
			if res.Outcome == domain.OutcomePass {
				continue // Most are.
			}
			one := domain.Verdict{res}
			if (one.Holds() || one.Err() != nil) && !slices.Contains(out, res.Rule) {
				out = append(out, res.Rule)
			}
		}
	}
	return out
}

// withFired adds what signing rules did not let pass to what the filing rules say, unless they are among those.
func withFired(filing, signing domain.Verdict) domain.Verdict {
	judged := filing
	for _, res := range signing {
		if res.Outcome != domain.OutcomePass && !slices.ContainsFunc(judged, func(j *domain.RuleResult) bool { return j.Rule == res.Rule }) {
			filing = append(filing, res)
		}
	}
	return filing
}

type acceptance struct {
	number, byRole, by, authority string
	asked                         domain.Day
	unit                          Subject
	rules                         domain.Verdict
}

func accept(s State, r request, j *judge, a acceptance) Filed {
	u := a.unit.Unit
	q := question(s.Terms, a.unit, s.Occupants, r.Today())
	cert := certificate(s.Terms, s.ContentHash, a.number, cmp.Or(a.authority, u.AdminCode), r.Today())
	return Filed{
		FilingNo: a.number, ByRole: a.byRole, By: a.by, SignedOn: s.SignedOn, FiledOn: r.Today(),
		Late: a.asked > FilingDue(r.Policy, s.SignedOn), Authority: cert.Authority, CertificateHash: hashBy(certificateForm, &cert, &j.room),
		ContentHash: s.ContentHash, Summary: summarise(s.Terms, u, s.Escrow, len(s.Occupants)),
		Observation: q.observation(s.SignedOn), GuidanceVersion: s.GuidanceVersion, Rules: a.rules,
	}
}

// FilingDue is the last day to file a contract signed on a day (C-14): the term counts from the day after, and a last
// day that is no working day moves to the next.
func FilingDue(p domain.Policy, signedOn domain.Day) domain.Day {
	days, ok := p.Param("C-14", "days", signedOn)
	if !ok {
		days = filingDaysDefault
	}
	return p.Calendar.Deadline(signedOn, int(days))
}

// observation is the rent the figures count.
func (q *Question) observation(signedOn domain.Day) domain.Observation {
	t, u := q.Terms, q.Subject.Unit
	area, _ := q.areas()
	year, _, _ := signedOn.Date()
	bands := domain.Home{
		AreaC: area, Floor: u.Floor, Floors: u.Floors, BuiltYear: u.BuiltYear, MetroM: u.MetroM, OnYear: year,
	}.Bands()
	o := domain.Observation{
		Month: signedOn.Month(), From: t.Start.Month(), To: t.End.Month(), RentFen: t.MonthlyRentFen, AreaC: area,
		ReportUnit: u.ReportUnit, Street: u.Street, AdminCode: u.AdminCode, Unit: strings.Join(append([]string{t.Unit}, t.Rooms...), "/"),
		LetMode: t.LetMode, Bedrooms: q.bedrooms(), SizeBand: bands.Size, Fitout: u.Fitout, FloorBand: bands.Floor,
		AgeBand: bands.Age, MetroBand: bands.Metro, Lessor: t.Lessors[0].Party,
	}
	switch tenure := q.tenure(); {
	case t.Kind == KindHead:
		o.Excluded = domain.ExcludedHead
	case tenure == "ARH":
		o.Excluded = domain.ExcludedARH
	case tenure == "PRH":
		o.Excluded = domain.ExcludedPRH
	case t.Relatives:
		o.Excluded = domain.ExcludedRelatives
	}
	return o
}

func decideFiling(s State, r request, c DecideFiling, j *judge) ([]Event, error) {
	switch {
	case s.Stage == StageFiled && c.Accept, s.Stage == StageReturned && !c.Accept:
		return nil, nil
	case s.Stage != StageHeld:
		return nil, s.wrongState(StageHeld)
	case !c.Accept && c.Reason == "":
		return nil, ErrReason.At("/reason")
	case !c.Accept:
		return []Event{FilingReturned{Reason: c.Reason}}, nil
	}
	return []Event{accept(s, r, j, acceptance{
		number: s.FilingNo, byRole: s.FiledByRole, by: s.FiledBy, asked: s.HeldOn, unit: s.Subject, rules: s.HeldRules,
	})}, nil
}

func proposeCancellation(s State, r request, c CancelFiling) ([]Event, error) {
	switch {
	case s.Stage == StageCancelled:
		return nil, nil
	case s.FilingNo == "" && s.Origin != OriginLegacy, s.Stage != StageFiled && s.Stage != StageEnded:
		return nil, s.wrongState(StageFiled, StageEnded)
	case c.Reason == "":
		return nil, ErrReason.At("/reason")
	case c.DecisionNo == "":
		return nil, ErrDecisionNo.At("/decision_no")
	case s.Cancellation != nil && s.Cancellation.DecisionNo == c.DecisionNo:
		return nil, nil
	case s.Cancellation != nil:
		return nil, ErrCancellation
	}
	return []Event{CancellationProposed{Reason: c.Reason, DecisionNo: c.DecisionNo, ProposedBy: r.Actor.ID}}, nil
}

func approveCancellation(s State, r request, c ApproveCancellation) ([]Event, error) {
	p := s.Cancellation
	switch {
	case s.Stage == StageCancelled && p != nil && p.DecisionNo == c.DecisionNo:
		return nil, nil
	case s.Stage == StageCancelled || p == nil || p.DecisionNo != c.DecisionNo:
		return nil, ErrNoProposal
	case p.ProposedBy == r.Actor.ID:
		return nil, ErrFourEyes
	}
	cancelled := FilingCancelled{
		FilingNo: s.FilingNo, Reason: p.Reason, DecisionNo: p.DecisionNo, CancelledOn: r.Today(), Unit: s.Terms.Unit,
		Observations: s.Observations,
	}
	if len(s.Observations) > 0 {
		cancelled.Observation = &s.Observations[0]
	}
	return []Event{cancelled}, nil
}

func rejectCancellation(s State, c RejectCancellation) ([]Event, error) {
	switch {
	case s.Stage == StageCancelled:
		return nil, s.wrongState(StageFiled, StageEnded)
	case s.Cancellation == nil:
		return nil, nil
	case s.Cancellation.DecisionNo != c.DecisionNo:
		return nil, ErrNoProposal
	}
	return []Event{CancellationRejected(c)}, nil
}

func annul(s State, c Annul) ([]Event, error) {
	switch {
	case s.Stage == StageAnnulled:
		return nil, nil
	case !s.Live():
		return nil, s.wrongState(live...)
	case c.Reason == "":
		return nil, ErrReason.At("/reason")
	}
	annulled := Annulled{Reason: c.Reason, FilingNo: s.FilingNo, Unit: s.Terms.Unit, Observations: s.Observations}
	if len(s.Observations) > 0 {
		annulled.Observation = &s.Observations[0]
	}
	return []Event{annulled}, nil
}

func recordLegacy(s State, c RecordLegacy) ([]Event, error) {
	switch {
	case s.Origin == OriginLegacy && s.Source == c.Source:
		return nil, nil
	case s.Stage != StageNone:
		return nil, ErrLegacyExists
	case c.Source.Name == "" || c.Source.Row < 1:
		return nil, ErrLegacySource.At("/source")
	case c.Observation.RentFen <= 0 && c.Observation.Excluded == "", c.Observation.RentFen > domain.FenMax:
		return nil, ErrLegacySource.At("/observation/rent_fen")
	case c.Start != 0 && c.End != 0 && c.End < c.Start:
		return nil, ErrDates.At("/end")
	case c.MonthlyRentFen < 0 || c.MonthlyRentFen > domain.FenMax:
		return nil, ErrAmount.At("/monthly_rent_fen")
	case c.DepositFen < 0 || c.DepositFen > domain.FenMax:
		return nil, ErrAmount.At("/deposit_fen")
	}
	return []Event{LegacyRecorded{
		Source: c.Source, Missing: c.Missing, Observation: c.Observation, Kind: cmp.Or(c.Kind, KindOut), FilingNo: c.Number,
		FiledOn: c.FiledOn, Start: c.Start, End: c.End, MonthlyRentFen: c.MonthlyRentFen, DepositFen: c.DepositFen,
		UnitText: c.UnitText,
	}}, nil
}
