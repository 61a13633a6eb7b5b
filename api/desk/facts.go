package desk

import (
	"context"
	"slices"

	"zujian/domain"
	"zujian/domain/contract"
	"zujian/domain/party"
	"zujian/domain/unit"
	"zujian/projections"
	"zujian/projections/people"
	"zujian/projections/process/leasing"
)

// Facts that the rules of a contract ask for: of its home and parties, and those that other contracts give.

// neighbours counts who lives in the other rooms of a flat that is let by room (U-03b). A contract that has one of these
// rooms itself is this one, or the one it follows.
func (d *Desk) neighbours(ctx context.Context, f *contract.UnitFacts, u unit.State, t contract.Terms, today domain.Day) error {
	if len(t.Rooms) == 0 {
		return nil
	}
	day := max(today, t.Start)
	for _, o := range u.Occupancies {
		same := slices.ContainsFunc(o.Rooms, func(r string) bool { return slices.Contains(t.Rooms, r) })
		if o.Kind != unit.KindOut || !o.Confirmed || len(o.Rooms) == 0 || same || o.From > day || o.Until < day {
			continue
		}
		other, err := d.contractState(ctx, o.Contract)
		if err != nil {
			return err
		}
		heads, families, adults := other.Household()
		f.OtherHeads, f.OtherFamilies, f.OtherAdults = f.OtherHeads+heads, f.OtherFamilies+families, f.OtherAdults+adults
	}
	return nil
}

// sublets counts what a natural person sublets already (S-09). It is read from the view of people: what was filed in the
// moment before may be missing, and then the event that the process "leasing" writes brings it to light.
func (d *Desk) sublets(ctx context.Context, s *contract.Subject, t contract.Terms) error {
	if t.Kind != contract.KindOut || t.Parent == "" {
		return nil
	}
	for i, p := range s.Parties {
		lets := slices.ContainsFunc(t.Lessors, func(l contract.PartyShare) bool { return l.Party == p.ID })
		if p.Kind != party.KindPerson || !lets {
			continue
		}
		n, err := d.sublettings(ctx, p.ID)
		if err != nil {
			return err
		}
		s.Parties[i].SublettingHomes = n
	}
	return nil
}

// sublettingsNow reads what a party sublets from the view of people.
func (d *Desk) sublettingsNow(ctx context.Context, id string) (n int, err error) {
	if d.o.Views == nil {
		return 0, nil
	}
	err = d.o.Views.Read(ctx, people.Projection{}.Name(), func(r projections.Reader) (err error) {
		n, err = people.Sublets(ctx, r, id)
		return err
	})
	return n, err
}

// subject copies every fact of other aggregates that judging a contract needs.
func (d *Desk) subject(ctx context.Context, call Call, t contract.Terms) (contract.Subject, error) {
	var s contract.Subject
	today := domain.DayOf(call.At)
	u, _, found, err := load(ctx, d, unit.Decider, t.Unit)
	if err != nil {
		return s, err
	}
	if found {
		s.Unit = unitFacts(t.Unit, u, today)
		if err := d.neighbours(ctx, &s.Unit, u, t, today); err != nil {
			return s, err
		}
	}
	var room [partiesUsual]string
	ids := append(room[:0], t.Payee.Party, t.Brokerage, t.Practitioner)
	ids = appendParties(appendParties(ids, t.Lessors), t.Lessees)
	slices.Sort(ids)
	if ids = slices.Compact(ids); ids[0] == "" {
		ids = ids[1:]
	}
	for _, id := range ids {
		facts, known, err := d.partyFacts(ctx, id, t.Unit, today)
		if err != nil {
			return s, err
		}
		if !known {
			continue
		}
		if s.Parties == nil {
			s.Parties = make([]contract.PartyFacts, 0, len(ids))
		}
		s.Parties = append(s.Parties, facts)
	}
	if err := d.sublets(ctx, &s, t); err != nil {
		return s, err
	}
	if t.Parent != "" {
		if s.Parent, err = d.parentFacts(ctx, t.Parent, u); err != nil {
			return s, err
		}
	}
	if t.Renews != "" {
		old, err := d.contractState(ctx, t.Renews)
		if err != nil {
			return s, err
		}
		s.Renewal = &contract.RenewalFacts{Contract: t.Renews, MonthlyRentFen: old.Terms.MonthlyRentFen, End: old.Terms.End}
	}
	return s, nil
}

func unitFacts(id string, u unit.State, on domain.Day) contract.UnitFacts {
	h := u.Home
	f := contract.UnitFacts{
		ID: id, Building: h.Building, ReportUnit: h.ReportUnit, Street: h.Street, AdminCode: h.AdminCode,
		GrossAreaC: h.GrossAreaC, InnerAreaC: h.InnerAreaC, Bedrooms: h.Bedrooms, Fitout: h.Fitout, Floor: h.Floor,
		Floors: h.Floors, BuiltYear: h.BuiltYear, MetroM: h.MetroM, PlannedUse: h.PlannedUse, Incomplete: h.Incomplete,
		ConversionApproved: u.Conversion != "", LandKind: h.LandKind, SafetyGrade: u.Safety.Grade, Flags: u.Flags, Retired: u.Stage != unit.StageActive,
	}
	for _, r := range u.Rooms {
		f.Rooms = append(f.Rooms, contract.RoomFacts{ID: r.ID, Kind: r.Kind, Origin: r.Origin, UsableAreaC: r.UsableAreaC})
	}
	for _, o := range u.OwnersOn(on) {
		f.Owners = append(f.Owners, contract.Owner{Party: o.Party, ShareBP: o.ShareBP})
	}
	return f
}

func (d *Desk) partyFacts(ctx context.Context, id, unitID string, on domain.Day) (contract.PartyFacts, bool, error) {
	s, _, found, err := load(ctx, d, party.Decider, id)
	if err != nil || !found {
		return contract.PartyFacts{}, false, err
	}
	f := contract.PartyFacts{
		ID: id, Kind: s.Registered.Kind, OrgKind: s.Registered.OrgKind, Level: s.Level, Suspended: s.IsSuspended,
		Banned: s.Banned(on), Erased: s.Gone(), OpeningReported: s.OpeningReported(), Roster: s.Brokerage,
	}
	if s.Registered.Birth != "" && !s.Erased {
		born, err := d.open(ctx, id, "birth", s.Registered.Birth)
		if err != nil {
			return f, false, err
		}
		if day, err := domain.ParseDay(born); err == nil {
			f.Minor = day.AddMonths(18*12) > on // 民法典第十七条
		}
	}
	acc, err := d.accountOf(ctx, id, f.OrgKind)
	if err != nil {
		return f, false, err
	}
	f.ReserveFen, f.ReserveRequiredFen = acc.Free(), acc.Required
	f.Account, f.AccountBank = leasing.InForce(id, acc)
	for _, m := range s.Mandates {
		if s.Mandated(m.To, party.ScopeSign, unitID, on) && !slices.Contains(f.Mandates, m.To) {
			f.Mandates = append(f.Mandates, m.To)
		}
	}
	return f, true, nil
}

// parentFacts copies the HEAD contract above a sublease, and what else is let under it now.
func (d *Desk) parentFacts(ctx context.Context, id string, u unit.State) (*contract.ParentFacts, error) {
	head, _, found, err := load(ctx, d, contract.Decider, id)
	if err != nil {
		return nil, err
	}
	f := &contract.ParentFacts{ID: id, Exists: found && head.Terms.Kind == contract.KindHead}
	if !f.Exists {
		return f, nil
	}
	f.Filed, f.Ended = head.Stage == contract.StageFiled, !head.Live()
	f.Unit, f.Rooms, f.Start, f.End = head.Terms.Unit, head.Terms.Rooms, head.Terms.Start, head.Terms.End
	f.MonthlyRentFen, f.SubleaseConsent, f.ChainDepth = head.Terms.MonthlyRentFen, head.Terms.SubleaseConsent, 1
	if head.Subject.Parent != nil {
		f.ChainDepth = head.Subject.Parent.ChainDepth + 1
	}
	for _, l := range head.Terms.Lessees {
		f.Lessees = append(f.Lessees, l.Party)
	}
	for _, o := range u.Occupancies {
		if o.Kind != unit.KindOut || o.Parent != id || !o.Confirmed || o.Ended {
			continue
		}
		sub, err := d.contractState(ctx, o.Contract)
		if err != nil {
			return nil, err
		}
		if f.SumOutRentFen, err = f.SumOutRentFen.Add(sub.Terms.MonthlyRentFen); err != nil {
			return nil, err
		}
		f.LetRooms = append(f.LetRooms, o.Rooms...)
	}
	return f, nil
}
