package unit

import (
	"slices"
	"time"

	"zujian/domain"
)

// reservationTTL is how long a contract may take from its reservation to its filing.
const reservationTTL = 15 * time.Minute

// live reports whether o keeps others off its space at an instant.
func (o Occupancy) live(at time.Time) bool {
	return o.Confirmed || (!o.Ended && at.Before(o.ExpiresAt))
}

// covers reports whether o runs on a day.
func (o Occupancy) covers(day domain.Day) bool { return o.From <= day && day <= o.Until }

// overlaps reports whether a and b share a room and a day. The whole flat shares every room.
func (o Occupancy) overlaps(b Occupancy) bool {
	if o.From > o.Until || b.From > b.Until || o.From > b.Until || b.From > o.Until {
		return false
	}
	return len(o.Rooms) == 0 || len(b.Rooms) == 0 ||
		slices.ContainsFunc(o.Rooms, func(room string) bool { return slices.Contains(b.Rooms, room) })
}

// Occupancy finds what a contract holds or reserves.
func (s State) Occupancy(contract string) (Occupancy, bool) {
	i := find(s.Occupancies, contract)
	if i < 0 {
		return Occupancy{}, false
	}
	return s.Occupancies[i], true
}

func find(all []Occupancy, contract string) int {
	return slices.IndexFunc(all, func(o Occupancy) bool { return o.Contract == contract })
}

// OccupiedOn is every confirmed occupancy of a day, HEAD leases included.
func (s State) OccupiedOn(day domain.Day) []Occupancy {
	var out []Occupancy
	for _, o := range s.Occupancies {
		if o.Confirmed && o.covers(day) {
			out = append(out, o)
		}
	}
	return out
}

// HeadOn is the HEAD lease (收房合同) in force on a day; of a chain, the last, whose lessee lets the space.
func (s State) HeadOn(day domain.Day) (Occupancy, bool) {
	var head Occupancy
	for _, o := range s.OccupiedOn(day) {
		if o.Kind == KindHead && (head.Contract == "" || s.under(o, head.Contract)) {
			head = o
		}
	}
	return head, head.Contract != ""
}

// under reports whether o stands under the head lease, directly or through others (转租链).
func (s State) under(o Occupancy, head string) bool {
	parent := o.Parent
	for range len(s.Occupancies) + 1 { // A chain is no longer than that; a circle ends here too.
		if parent == "" || parent == head {
			return parent == head && head != ""
		}
		p, _ := s.Occupancy(parent)
		parent = p.Parent
	}
	return false
}

// Conflict finds another contract's live occupancy that keeps o off its space. A lease and the HEAD leases above it
// share their space; two OUT leases never do.
func (s State) Conflict(o Occupancy, at time.Time) (Occupancy, bool) {
	var found Occupancy
	for _, other := range s.Occupancies {
		switch {
		case other.Contract == o.Contract || !other.live(at) || !o.overlaps(other):
		case other.Kind == KindHead && s.under(o, other.Contract):
		case o.Kind == KindHead && s.under(other, o.Contract):
		case found.Contract == "" || other.Kind == KindHead: // A head lease explains more than what is under it.
			found = other
		}
	}
	return found, found.Contract != ""
}

// FreeFrom is the first day from o.From on at which nobody keeps o off its space.
func (s State) FreeFrom(o Occupancy, at time.Time) domain.Day {
	o.Until = o.From
	for range len(s.Occupancies) + 1 { // Each round passes at least one occupancy.
		other, taken := s.Conflict(o, at)
		if !taken {
			break
		}
		o.From, o.Until = other.Until+1, other.Until+1
	}
	return o.From
}

// refuse explains a conflict (rule U-10) without saying whose contract it is.
func (s State) refuse(r domain.Request[Command], o, other Occupancy) error {
	why := ErrSpaceOverlap
	if other.Kind == KindHead {
		why = ErrUnderHeadLease
	}
	why = why.At("/start").With("free_from", s.FreeFrom(o, r.At))
	if rule, ok := r.Policy.InForceOf("U-10", r.Today()); ok {
		why.Rule, why.RuleVersion = rule.ID, rule.Version
	}
	return why
}

func reserve(s State, r domain.Request[Command], c Reserve) ([]Event, error) {
	o := c.occupancy()
	if err := s.checkOccupancy(o); err != nil {
		return nil, err
	}
	if own, held := s.Occupancy(c.Contract); held {
		same := own.Kind == o.Kind && own.Parent == o.Parent && slices.Equal(own.Rooms, o.Rooms) && own.From == o.From && own.Until == o.Until
		switch {
		case own.Confirmed && (own.Ended || !same):
			return nil, ErrAlreadyLeased
		case own.live(r.At) && same:
			return nil, nil
		}
	}
	if other, taken := s.Conflict(o, r.At); taken {
		return nil, s.refuse(r, o, other)
	}
	return []Event{Reserved{
		Contract: o.Contract, Kind: o.Kind, Parent: o.Parent, Rooms: o.Rooms, From: o.From, Until: o.Until,
		ExpiresAt: r.At.Add(reservationTTL),
	}}, nil
}

func lease(s State, r domain.Request[Command], c Reserve) ([]Event, error) {
	if _, err := reserve(s, r, c); err != nil {
		return nil, err
	}
	o := c.occupancy()
	if own, _ := s.Occupancy(c.Contract); own.Confirmed {
		return nil, nil
	}
	return []Event{o.leased()}, nil
}

func (o Occupancy) leased() Leased {
	return Leased{Contract: o.Contract, Kind: o.Kind, Parent: o.Parent, Rooms: o.Rooms, From: o.From, Until: o.Until}
}

func (c Reserve) occupancy() Occupancy {
	return Occupancy{Contract: c.Contract, Kind: c.Kind, Parent: c.Parent, Rooms: sorted(c.Rooms), From: c.From, Until: c.Until}
}

func (s State) checkOccupancy(o Occupancy) error {
	switch {
	case o.Contract == "":
		return ErrOccupancy.At("/contract_id")
	case o.Kind != KindHead && o.Kind != KindOut:
		return ErrOccupancy.At("/kind").With("kind", o.Kind)
	case o.From == 0 || o.Until < o.From:
		return ErrPeriod.At("/end")
	}
	for i, room := range o.Rooms {
		known := slices.ContainsFunc(s.Rooms, func(known Room) bool { return known.ID == room })
		if !known || (i > 0 && o.Rooms[i-1] == room) {
			return ErrUnknownRoom.At("/rooms").With("room", room)
		}
	}
	return nil
}

func sorted(rooms []string) []string {
	rooms = slices.Clone(rooms)
	slices.Sort(rooms)
	if len(rooms) == 0 {
		return nil
	}
	return rooms
}

func confirm(s State, r domain.Request[Command], c Confirm) ([]Event, error) {
	if s.Stage == StageNone {
		return nil, ErrNotFound
	}
	o, held := s.Occupancy(c.Contract)
	if !held && c.Space != nil && s.Stage == StageActive {
		o, held = c.Space.occupancy(), true
		if err := s.checkOccupancy(o); err != nil {
			return nil, err
		}
	}
	switch {
	case !held:
		return nil, ErrNotReserved
	case o.Confirmed || o.Ended: // Leased, or lost: said before.
		return nil, nil
	}
	if _, taken := s.Conflict(o, r.At); taken || s.Stage != StageActive {
		return []Event{ReservationLost{Contract: c.Contract}}, nil
	}
	return []Event{o.leased()}, nil
}

func release(s State, c Release) ([]Event, error) {
	if s.Stage == StageNone {
		return nil, ErrNotFound
	}
	if o, held := s.Occupancy(c.Contract); !held || (c.Unfiled && o.Confirmed) {
		return nil, nil
	}
	return []Event{Released{Contract: c.Contract}}, nil
}

func end(s State, c End) ([]Event, error) {
	if s.Stage == StageNone {
		return nil, ErrNotFound
	}
	o, held := s.Occupancy(c.Contract)
	on := min(c.On, o.Until)
	switch {
	case !held || (!o.Confirmed && o.Ended):
		return nil, nil
	case !o.Confirmed:
		return []Event{Released{Contract: c.Contract}}, nil
	case c.On == 0:
		return nil, ErrPeriod.At("/on")
	case o.Ended && on == o.Until:
		return nil, nil
	}
	return []Event{LeaseEnded{Contract: c.Contract, On: on, Reason: c.Reason}}, nil
}

func change(s State, r domain.Request[Command], c Change) ([]Event, error) {
	o, held := s.Occupancy(c.Contract)
	switch {
	case !held || !o.Confirmed:
		return nil, ErrLeaseNotFound
	case o.Until == c.Until:
		return nil, nil
	case o.Ended:
		return nil, ErrLeaseEnded
	case c.Until < o.From:
		return nil, ErrPeriod.At("/end")
	}
	o.Until = c.Until
	if other, taken := s.Conflict(o, r.At); taken {
		return nil, s.refuse(r, o, other)
	}
	return []Event{LeaseChanged(c)}, nil
}

// running is every contract that holds space on or after a day or is about to.
func (s State) running(day domain.Day, at time.Time) []Occupancy {
	var out []Occupancy
	for _, o := range s.Occupancies {
		if o.live(at) && o.From <= o.Until && o.Until >= day {
			out = append(out, o)
		}
	}
	return out
}

func evolveOccupancies(all []Occupancy, e Event) []Occupancy {
	all = slices.Clone(all)
	update := func(contract string, f func(*Occupancy)) {
		if i := find(all, contract); i >= 0 {
			f(&all[i])
		}
	}
	switch e := e.(type) {
	case Reserved:
		o := Occupancy{Contract: e.Contract, Kind: e.Kind, Parent: e.Parent, Rooms: e.Rooms, From: e.From, Until: e.Until, ExpiresAt: e.ExpiresAt}
		if i := find(all, e.Contract); i >= 0 {
			all[i] = o
			return all
		}
		return append(all, o)
	case Leased:
		o := Occupancy{Contract: e.Contract, Kind: e.Kind, Parent: e.Parent, Rooms: e.Rooms, From: e.From, Until: e.Until, Confirmed: true}
		if i := find(all, e.Contract); i >= 0 {
			all[i] = o
			return all
		}
		return append(all, o)
	case ReservationLost:
		if find(all, e.Contract) < 0 { // It was released before.
			all = append(all, Occupancy{Contract: e.Contract})
		}
		update(e.Contract, func(o *Occupancy) { o.Ended, o.Confirmed = true, false })
	case Released:
		return slices.DeleteFunc(all, func(o Occupancy) bool { return o.Contract == e.Contract })
	case LeaseEnded:
		update(e.Contract, func(o *Occupancy) { o.Until, o.Ended = e.On, true })
	case LeaseChanged:
		update(e.Contract, func(o *Occupancy) { o.Until = e.Until })
	}
	return all
}
