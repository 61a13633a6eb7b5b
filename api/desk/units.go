package desk

import (
	"context"
	"errors"
	"slices"
	"time"

	"zujian/domain"
	"zujian/domain/building"
	"zujian/domain/party"
	"zujian/domain/unit"
	"zujian/eventstore/aggregate"
)

// view reads one aggregate for an actor. rowOf says whose it is, and whether everybody with a key may see it. What was known
// at an instant is for who might read it then and may read now: what was revoked since opens nothing.
func view[S, C any, E domain.Event](ctx context.Context, d *Desk, actor domain.Actor, dec domain.Decider[S, C, E], id string,
	asOf time.Time, rowOf func(S) (row Row, open bool),
) (S, Receipt, error) {
	var zero S
	hidden := func(s S) bool {
		row, open := rowOf(s)
		return !open && !Sees(actor, row)
	}
	s, rev, err := aggregate.Load(ctx, d.o.Runner, dec, id)
	if err == nil && !asOf.IsZero() && !hidden(s) {
		s, rev, err = aggregate.LoadAsOf(ctx, d.o.Runner, dec, id, asOf)
	}
	if err == nil && (rev < 0 || hidden(s)) {
		err = ErrNotFound
	}
	if err != nil {
		return zero, Receipt{Revision: rev}, err
	}
	return s, Receipt{Revision: rev}, nil
}

// unitRow says whose a unit is: its owners', its operator's, its tenants'.
func unitRow(s unit.State, on domain.Day) Row {
	row := Row{District: s.Home.AdminCode, Unit: s.Home.ReportUnit}
	for _, o := range s.OwnersOn(on) {
		row.Parties = append(row.Parties, o.Party)
	}
	return row
}

// Unit reads one unit. Everybody with a key may see the flat itself; the API leaves out owners for those who are not in
// its row.
func (d *Desk) Unit(ctx context.Context, actor domain.Actor, id string, asOf time.Time) (unit.State, Receipt, error) {
	return view(ctx, d, actor, unit.Decider, id, asOf, func(s unit.State) (Row, bool) {
		return unitRow(s, domain.DayMax), actor.Role != domain.RolePublic
	})
}

// SeesUnit says whether the unit is in the actor's own row: then owners and occupancies are shown too.
func SeesUnit(actor domain.Actor, s unit.State) bool { return Sees(actor, unitRow(s, domain.DayMax)) }

// UnitAct is a command on a unit by the authority or the registry partner.
func (d *Desk) UnitAct(ctx context.Context, call Call, id string, cmd unit.Command) (Receipt, error) {
	s, _, found, err := load(ctx, d, unit.Decider, id)
	switch {
	case err != nil:
		return Receipt{}, err
	case !found:
		return Receipt{}, ErrNotFound
	}
	if err := inArea(call.Actor, unitRow(s, domain.DayMax)); err != nil {
		return Receipt{}, err
	}
	if c, ok := cmd.(unit.RecordOwnership); ok {
		for i, o := range c.Owners {
			if err := d.mustParty(ctx, o.Party, "/owners/"+itoa(i)+"/party_id"); err != nil {
				return Receipt{}, err
			}
		}
	}
	return exec(ctx, d, call, unit.Decider, id, cmd)
}

// ProposeRooms proposes a subdivision: an owner, or who holds a mandate to manage the home, or the operator of its HEAD contract.
func (d *Desk) ProposeRooms(ctx context.Context, call Call, id string, rooms []NewRoom) ([]RegisteredRoom, Receipt, error) {
	s, _, found, err := load(ctx, d, unit.Decider, id)
	if err != nil || !found {
		return nil, Receipt{}, orNotFound(err)
	}
	today := domain.DayOf(call.At)
	row := unitRow(s, today)
	if !regulator(call.Actor) {
		actsFor, err := d.anyFor(ctx, call, row.Parties, party.ScopeManage, id)
		if err != nil {
			return nil, Receipt{}, err
		}
		if actsFor == "" {
			operates, err := d.operates(ctx, call.Actor, s, today)
			if err != nil {
				return nil, Receipt{}, err
			}
			if !operates {
				return nil, Receipt{}, ErrNotFound
			}
		}
	} else if err := inArea(call.Actor, row); err != nil {
		return nil, Receipt{}, err
	}
	cmd := unit.ProposeRooms{}
	answer := make([]RegisteredRoom, 0, len(rooms))
	for _, r := range rooms {
		room := unit.Room{ID: derive("room", id, r.RoomNo), RoomNo: r.RoomNo, Kind: r.Kind, Origin: r.Origin, UsableAreaC: r.UsableAreaC}
		cmd.Rooms = append(cmd.Rooms, room)
		answer = append(answer, RegisteredRoom{room.ID, room.RoomNo})
	}
	r, err := exec(ctx, d, call, unit.Decider, id, unit.Command(cmd))
	return answer, r, err
}

// operates says whether the actor is the lessee of the HEAD contract over a home on a day.
func (d *Desk) operates(ctx context.Context, a domain.Actor, s unit.State, on domain.Day) (bool, error) {
	head, ok := s.HeadOn(on)
	if !ok || a.Party == "" {
		return false, nil
	}
	c, err := d.contractState(ctx, head.Contract)
	return err == nil && isLessee(c, a.Party), err
}

// SplitUnit ends a unit in favour of its parts. Each running contract follows the child that mapping names.
func (d *Desk) SplitUnit(ctx context.Context, call Call, id string, parts []NewUnit, mapping map[string]string, from domain.Day) ([]RegisteredUnit, Receipt, error) {
	s, _, found, err := load(ctx, d, unit.Decider, id)
	if err != nil || !found {
		return nil, Receipt{}, orNotFound(err)
	}
	if err := inArea(call.Actor, unitRow(s, domain.DayMax)); err != nil {
		return nil, Receipt{}, err
	}
	if from.IsZero() {
		from = domain.DayOf(call.At)
	}
	plans := planUnits(s.Home.Building, parts)
	byNo := map[string]string{}
	cmd := unit.Split{From: from, Mapping: map[string]string{}}
	for i, p := range plans {
		if p.ID == id {
			return nil, Receipt{}, ErrInvalid.At("/children/" + itoa(i) + "/unit_no")
		}
		byNo[p.UnitNo] = p.ID
		cmd.Children = append(cmd.Children, unit.Child{ID: p.ID, GrossAreaC: p.GrossAreaC})
	}
	for contract, no := range mapping {
		if byNo[no] == "" {
			return nil, Receipt{}, ErrInvalid.At("/mapping")
		}
		cmd.Mapping[contract] = byNo[no]
	}
	occupancies := s.Occupancies
	r, err := exec(ctx, d, call, unit.Decider, id, unit.Command(cmd))
	if err != nil {
		return nil, r, err
	}
	return d.replace(ctx, call, r, s.Home.Building, []string{id}, plans, from, func(child string) (out []unit.Occupancy) {
		for _, o := range occupancies {
			if cmd.Mapping[o.Contract] == child {
				o.Rooms = nil // The rooms of the old unit are no more; the child is what the contract now holds.
				out = append(out, o)
			}
		}
		return out
	})
}

// MergeUnits ends several units of one building in favour of a new one.
func (d *Desk) MergeUnits(ctx context.Context, call Call, ids []string, into NewUnit, from domain.Day) ([]RegisteredUnit, Receipt, error) {
	if len(ids) < 2 || len(ids) > 20 {
		return nil, Receipt{}, ErrInvalid.At("/with")
	}
	if from.IsZero() {
		from = domain.DayOf(call.At)
	}
	states := make([]unit.State, len(ids))
	for i, id := range ids {
		s, _, found, err := load(ctx, d, unit.Decider, id)
		if err != nil || !found {
			return nil, Receipt{}, orNotFound(err)
		}
		if err := inArea(call.Actor, unitRow(s, domain.DayMax)); err != nil {
			return nil, Receipt{}, err
		}
		if s.Home.Building != states[0].Home.Building && i > 0 {
			return nil, Receipt{}, ErrInvalid.At("/with/" + itoa(i-1))
		}
		states[i] = s
	}
	plans := planUnits(states[0].Home.Building, []NewUnit{into})
	var receipt Receipt
	var moved []unit.Occupancy
	for i, id := range ids {
		cmd := unit.Merge{Into: plans[0].ID, IntoAreaC: plans[0].GrossAreaC, From: from}
		for j, other := range ids {
			if j != i {
				cmd.Siblings = append(cmd.Siblings, unit.Child{ID: other, GrossAreaC: states[j].Home.GrossAreaC})
			}
		}
		for _, o := range states[i].Occupancies {
			if o.Confirmed && o.Until >= from {
				cmd.Contracts = append(cmd.Contracts, o.Contract)
				o.Rooms = nil
				moved = append(moved, o)
			}
		}
		r, err := exec(ctx, d, call.step("merge "+id), unit.Decider, id, unit.Command(cmd))
		if err != nil {
			return nil, r, err
		}
		receipt = r.later(receipt.Position)
	}
	return d.replace(ctx, call, receipt, states[0].Home.Building, ids, plans, from, func(string) []unit.Occupancy { return moved })
}

// replace puts new units in the place of old ones in the building's table and opens their streams.
func (d *Desk) replace(ctx context.Context, call Call, r Receipt, buildingID string, removed []string, plans []building.UnitPlan,
	from domain.Day, occupancies func(child string) []unit.Occupancy,
) ([]RegisteredUnit, Receipt, error) {
	rb, err := exec(ctx, d, call.step("table"), building.Decider, buildingID,
		building.Command(building.ReplaceUnits{Removed: removed, Added: plans, From: from}))
	if err != nil {
		var no *domain.Rejection
		if errors.As(err, &no) && no.Pointer != "" { // The building's own words for it are not the caller's.
			err = no.At("")
		}
		return nil, r, err
	}
	b, _, _, err := load(ctx, d, building.Decider, buildingID)
	if err != nil {
		return nil, r, err
	}
	r = r.later(rb.Position)
	answer := make([]RegisteredUnit, 0, len(plans))
	for _, p := range plans {
		ru, err := d.registerUnit(ctx, call, buildingID, b, p, removed, occupancies(p.ID))
		if err != nil {
			return nil, r, err
		}
		r = r.later(ru.Position)
		answer = append(answer, RegisteredUnit{ID: p.ID, UnitNo: p.UnitNo, Entrance: p.Entrance})
	}
	return answer, r, nil
}

// mustParty refuses an id that is no registered party's, or of one who is gone.
func (d *Desk) mustParty(ctx context.Context, id, pointer string) error {
	if id == "" {
		return party.ErrNotFound.At(pointer)
	}
	s, _, found, err := load(ctx, d, party.Decider, id)
	if err == nil && (!found || s.Gone()) {
		return party.ErrNotFound.At(pointer)
	}
	return err
}

// mustBank refuses an id that is no supervising bank's; "" is none.
func (d *Desk) mustBank(ctx context.Context, id, pointer string) error {
	if id == "" {
		return nil
	}
	s, _, found, err := load(ctx, d, party.Decider, id)
	switch {
	case err != nil:
		return err
	case !found:
		return party.ErrNotFound.At(pointer)
	case s.Registered.OrgKind != party.OrgSupervisingBank:
		return ErrBankNeeded.At(pointer)
	}
	return nil
}

func orNotFound(err error) error {
	if err != nil {
		return err
	}
	return ErrNotFound
}

func owns(s unit.State, partyID string, on domain.Day) bool {
	return slices.ContainsFunc(s.OwnersOn(on), func(o unit.Owner) bool { return o.Party == partyID })
}
