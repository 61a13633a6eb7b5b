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
)

// Facts of a contract that other contracts give.

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
