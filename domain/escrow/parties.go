package escrow

import (
	"slices"

	"zujian/domain"
)

func replaceParties(s State, r domain.Request[Command], c ReplaceParties) ([]Event, error) {
	e := PartiesReplaced(c)
	next := s.replaced(e)
	same := slices.Equal(next.lessors(), s.lessors()) && slices.Equal(next.lessees(), s.lessees()) && next.Plan.Owner == s.Plan.Owner
	switch {
	case !allowed(r, nil, domain.RoleSystem, domain.RoleDistrict, domain.RoleCity):
		return nil, ErrNotYours
	case same || !s.ClosedOn.IsZero():
		return nil, nil
	case c.From < domain.DayMin || c.From > domain.DayMax:
		return nil, ErrInvalid.At("/from")
	}
	for _, p := range slices.Concat(c.Lessors, c.Lessees) {
		if err := text("/lessors", p); err != nil {
			return nil, err
		}
	}
	if err := optional("/owner", c.Owner); err != nil {
		return nil, err
	}
	return []Event{e}, nil
}

func (s State) replaced(e PartiesReplaced) State {
	old := s.Plan
	if len(e.Lessors) > 0 {
		if s.Plan.OperatorParty == s.Plan.Lessor && s.Plan.OperatorParty != "" {
			s.Plan.OperatorParty = e.Lessors[0]
		}
		s.Plan.Lessor, s.Plan.CoLessors = e.Lessors[0], e.Lessors[1:]
	}
	if len(e.Lessees) > 0 {
		s.Plan.Lessee, s.Plan.CoLessees = e.Lessees[0], e.Lessees[1:]
	}
	if e.Owner != "" && s.Plan.Owner != "" {
		s.Plan.Owner = e.Owner
	}
	redirect := func(t Tranche) Tranche {
		switch {
		case t.Due < e.From:
		case t.Payee == PayeeOwner && t.Party == old.Owner:
			t.Party = s.Plan.Owner
		case t.Payee != PayeeOwner && (t.Party == old.Lessor || slices.Contains(old.CoLessors, t.Party)):
			t.Party = s.Plan.Lessor
		}
		return t
	}
	s.Plan.Schedule, s.Tranches = slices.Clone(s.Plan.Schedule), slices.Clone(s.Tranches)
	for i, t := range s.Plan.Schedule {
		s.Plan.Schedule[i] = redirect(t)
	}
	for i, t := range s.Tranches {
		if t.Stage == TranchePlanned {
			s.Tranches[i].Tranche = redirect(t.Tranche)
		}
	}
	return s
}
