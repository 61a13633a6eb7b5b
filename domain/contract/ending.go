package contract

import (
	"slices"

	"zujian/domain"
)

// noticeDaysDefault is the reasonable time to leave when the rule set names none (C-20).
const noticeDaysDefault = 15

func giveNotice(s State, r request, c GiveNotice) ([]Event, error) {
	n := NoticeGiven{By: c.By, Party: c.Party, Ground: c.Ground, NoticeDate: c.NoticeDate, VacateBy: c.VacateBy}
	switch {
	case !s.Live():
		return nil, s.wrongState(live...)
	case c.By != SideLessor && c.By != SideLessee:
		return nil, ErrNotice.At("/by")
	case !s.onSide(c.By, c.Party):
		return nil, ErrNotParty.At("/party_id")
	case c.Ground == "":
		return nil, ErrNotice.At("/ground")
	case !validDay(c.NoticeDate) || c.NoticeDate > r.Today():
		return nil, byRule(ErrNotice, r.Policy, "C-20", r.Today()).At("/notice_date")
	case !validDay(c.VacateBy) || c.VacateBy < c.NoticeDate:
		return nil, byRule(ErrNotice, r.Policy, "C-20", r.Today()).At("/vacate_by")
	}
	days, ok := r.Policy.Param("C-20", "min_days", r.Today())
	if !ok {
		days = noticeDaysDefault
	}
	if s.Notice != nil {
		if n.Held = s.Notice.Held; *s.Notice == n {
			return nil, nil
		}
	}
	n.Held = c.By == SideLessor && int64(c.VacateBy-r.Today()) < days // Nobody here has seen an earlier one.
	return []Event{n}, nil
}

// onSide is true of a party on that side; a contract of the older system names none, so anyone the desk let through.
func (s State) onSide(side, party string) bool {
	switch {
	case s.Origin == OriginLegacy:
		return true
	case side == SideLessor:
		return slices.Contains(partyIDs(s.Terms.Lessors), party)
	}
	return slices.Contains(partyIDs(s.Terms.Lessees), party)
}

func terminate(s State, r request, c Terminate) ([]Event, error) {
	switch {
	case s.Stage == StageEnded && s.EndReason == c.By && s.EndedOn == c.On:
		return nil, nil
	case !s.Live():
		return nil, s.wrongState(live...)
	case !validDay(c.On), s.Terms.End != 0 && c.On > s.Terms.End, c.On < min(s.SignedOn, s.Terms.Start):
		return nil, ErrEnd.At("/on")
	}
	switch c.By {
	case SideLessor:
		if err := s.mayEvict(r, c); err != nil {
			return nil, err
		}
	case SideLessee:
		switch {
		case !s.onSide(SideLessee, c.Party):
			return nil, ErrNotParty.At("/party_id")
		case c.Ground == "":
			return nil, ErrEnd.At("/ground")
		case c.On < r.Today() && !regulates(r): // One's own word ends nothing before it is given (民法典第五百六十五条).
			return nil, ErrEnd.At("/on").With("from", r.Today().String())
		}
	case Agreed:
		return s.agree(c)
	case Court:
		switch {
		case !regulates(r) && r.Actor.Role != domain.RoleSystem:
			return nil, ErrAuthority.At("/by")
		case c.DecisionNo == "":
			return nil, ErrDecisionNo.At("/decision_no")
		}
	default:
		return nil, ErrEnd.At("/by")
	}
	return []Event{s.terminated(c)}, nil
}

func regulates(r request) bool {
	return r.Actor.Role == domain.RoleDistrict || r.Actor.Role == domain.RoleCity
}

// mayEvict is C-20: a lessor's own end needs a notice with a reasonable time to leave, and that time must have passed
// by the last day of the lease.
func (s State) mayEvict(r request, c Terminate) error {
	switch {
	case !s.onSide(SideLessor, c.Party):
		return ErrNotParty.At("/party_id")
	case c.Ground == "":
		return ErrEnd.At("/ground")
	case s.Notice == nil || s.Notice.By != SideLessor:
		return byRule(ErrNoticeRequired, r.Policy, "C-20", r.Today())
	case s.Notice.Held && !regulates(r):
		return byRule(ErrNoticeHeld, r.Policy, "C-20", r.Today())
	case c.On < s.Notice.VacateBy:
		return byRule(ErrBeforeVacate, r.Policy, "C-20", r.Today()).With("vacate_by", s.Notice.VacateBy.String()).At("/on")
	}
	return nil
}

// agree takes one party's word; the last one ends the contract.
func (s State) agree(c Terminate) ([]Event, error) {
	if s.Origin == OriginLegacy {
		return []Event{s.terminated(c)}, nil // Nobody is named whose word could be missing.
	}
	if !s.Terms.Names(c.Party) {
		return nil, ErrNotParty.At("/party_id")
	}
	agreed := func(party string) bool {
		return slices.ContainsFunc(s.Agreed, func(a TerminationAgreed) bool { return a.Party == party && a.On == c.On })
	}
	if agreed(c.Party) {
		return nil, nil
	}
	word := TerminationAgreed{Party: c.Party, Ground: c.Ground, On: c.On}
	for _, p := range s.Parties() {
		if p != c.Party && !agreed(p) {
			return []Event{word}, nil
		}
	}
	return []Event{word, s.terminated(c)}, nil
}

// terminated shortens the rent in force to the last day. A lease that never began leaves none.
func (s State) terminated(c Terminate) Terminated {
	e := Terminated{
		By: c.By, Party: c.Party, Ground: c.Ground, DecisionNo: c.DecisionNo, On: c.On, Unit: s.Terms.Unit, Kind: s.Terms.Kind,
	}
	n := len(s.Observations)
	if n == 0 {
		return e
	}
	before := s.Observations[n-1]
	e.ObservationBefore = &before
	if c.On >= s.Terms.Start {
		after := before
		after.To = max(c.On.Month(), after.From)
		e.Observation = &after
	}
	return e
}

func expire(s State, r request) ([]Event, error) {
	switch {
	case s.Stage == StageEnded:
		return nil, nil
	case !s.Live():
		return nil, s.wrongState(live...)
	case s.Terms.End == 0 || r.Today() <= s.Terms.End:
		return nil, ErrNotDue.With("end", s.Terms.End.String())
	}
	return []Event{Expired{On: s.Terms.End, Unit: s.Terms.Unit, Kind: s.Terms.Kind}}, nil
}

func renew(s State, c Renew) ([]Event, error) {
	switch {
	case c.NewContract == "":
		return nil, field("new_contract", "/new_contract")
	case s.RenewedBy == c.NewContract:
		return nil, nil
	case s.RenewedBy != "":
		return nil, ErrAlreadyRenewed
	case !s.Live() && s.Stage != StageEnded:
		return nil, s.wrongState(append(slices.Clip(live), StageEnded)...)
	}
	return []Event{Renewed(c)}, nil
}

// markUpstreamEnded warns a sublease whose head lease is over. One that has ended itself needs no warning.
func markUpstreamEnded(s State, c MarkUpstreamEnded) ([]Event, error) {
	switch {
	case s.Terms.Parent != c.Head || c.Head == "":
		return nil, ErrNotUnder
	case !s.Live(), s.Upstream != nil && s.Upstream.Head == c.Head:
		return nil, nil
	}
	return []Event{UpstreamEnded(c)}, nil
}
