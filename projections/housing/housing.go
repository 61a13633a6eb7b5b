// Package housing is the view of homes (房): the stock (V-H1), the listing board (V-H2), contracts and their filing (V-H3)
// and the building register as a matrix (楼盘表, V-H7). It answers reads; nothing is decided here.
//
// # Decisions
//
// Every index and figure is a pure function of one row (projections.Effect), so corrections, cancellations and legacy
// rows need no code of their own. A figure's drill-down is the list of rows behind it, and each row names its stream.
//
// A row stands in the lists of its locality only, and a page of an area's list is merged from those of its localities: a
// filing writes a third of the entries, and a page looks once into each locality, some 10 µs.
package housing

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"zujian/domain"
	"zujian/domain/building"
	"zujian/domain/contract"
	"zujian/domain/listing"
	"zujian/domain/unit"
	"zujian/projections"
)

// Projection is listed in cmd/zujian/registry.go.
type Projection struct{}

// Name of the view's keyspace.
func (Projection) Name() string { return "housing" }

// Version of Apply's meaning.
func (Projection) Version() int { return 9 }

// Types the view reads.
func (Projection) Types() []string {
	var out []string
	for _, t := range slices.Concat(building.Types, unit.Types, listing.Types, contract.Types) {
		out = append(out, t.Name)
	}
	return out
}

// Keys of the view. Days are "2026-03-01", months "2026-03".
const (
	keyBuilding  = "b"  // building → Building
	keyTable     = "bt" // building, unit → place
	keyUnit      = "u"  // unit → unitRow
	keyUnitArea  = "ua" // locality, unit
	keyListing   = "l"  // listing → listingRow
	keyCode      = "lc" // code → listing
	keyOfUnit    = "lu" // unit, listing
	keyOfParty   = "lp" // publisher or owner, listing
	keyOfArea    = "la" // locality, stage, listing
	keyShown     = "ls" // unit → Counters{published}
	keyContract  = "c"  // contract → Contract
	keyConUnit   = "cu" // unit, start, contract
	keyConParty  = "cp" // party, contract: named in it, now or once
	keyConSigned = "cs" // locality, signed day, contract
	keyConFiled  = "cf" // locality, filed day, contract
	keyConNo     = "cn" // filing number → contract
	keyConParent = "ch" // head contract, contract
	keyUnfiled   = "cw" // locality, last day to file, contract: signed, not filed
	keyUnfiledBy = "wl" // area, lessor → Counters by last day to file
	keyEndingDay = "cd" // area, end → Counters{n}
	keyEnding    = "ce" // locality, end, contract: filed and running
	keyLocality  = "ll" // area, locality: rows stood in it once
	keyStock     = "s"  // area → Counters
	keyFlow      = "f"  // area, month → Counters
	keyEstate    = "es" // area, estate → Counters{buildings}
	keyMinutes   = "lm" // area, month verified, minutes → Counters{n}
	keyMarket    = "mm" // area, month → Counters{n}: listings that came to the market minus those that left it
	keyMarketFor = "md" // area, month let, days → Counters{n}: from publication to the letting
	keyValid     = "lv" // area, last valid day → Counters{n}: published listings
	keyActiveM   = "am" // area, month → Counters{out, head, out_by_room, rooms}: leases begun minus ended
	keyActiveD   = "ad" // area, day → the same by day
)

// AreaCity is the whole city.
const AreaCity = "city"

// locality is where rows stand. Lists of areas are merged from those of their localities, a few hundred in the city, so
// that each row is in one.
type locality struct{ admin, reportUnit, street string }

// areas a row counts for: the city, its district, reporting unit and street.
func (l locality) areas() []string {
	all := make([]string, 0, 4)
	for _, a := range [...]string{AreaCity, l.admin, l.reportUnit, l.street} {
		if a != "" && !slices.Contains(all, a) {
			all = append(all, a)
		}
	}
	return all
}

func (l locality) place() projections.Place {
	return projections.Place{District: l.admin, Unit: l.reportUnit}
}

// key is that of a row in a list of the locality, by a day or a stage.
func (l locality) key(kind, by, id string) string {
	return projections.Key(kind, l.admin, l.reportUnit, l.street, by, id)
}

// Apply folds a batch.
func (p Projection) Apply(ctx context.Context, v projections.View, batch []projections.Event) error {
	w := work{
		View:     v,
		known:    map[locality]bool{},
		units:    projections.Settling[unitRow]{Effect: unitEffect},
		listings: projections.Settling[listingRow]{Effect: listingEffect}, contracts: projections.Settling[Contract]{Effect: contractEffect},
	}
	for _, e := range batch {
		var err error
		switch ev := e.Event.(type) {
		case building.Event:
			err = buildingEvent(ctx, v, e, ev)
		case unit.Event:
			err = w.unit(ctx, e, ev)
		case listing.Event:
			err = w.listing(ctx, e, ev)
		case contract.Event:
			err = w.contract(ctx, e, ev)
		}
		if err != nil {
			return fmt.Errorf("housing: %s@%d: %w", e.Stream, e.Revision, err)
		}
	}
	if err := errors.Join(w.units.Settle(ctx, v), w.listings.Settle(ctx, v), w.contracts.Settle(ctx, v)); err != nil {
		return fmt.Errorf("housing: %w", err)
	}
	return nil
}

// work is a batch: the view, and the rows whose indexes and figures are settled at its end.
type work struct {
	projections.View
	known     map[locality]bool // Found or written down in this batch.
	units     projections.Settling[unitRow]
	listings  projections.Settling[listingRow]
	contracts projections.Settling[Contract]
}

// stands writes a locality down in its areas. It stays there when no row stands in it any more.
func (w *work) stands(ctx context.Context, l locality) error {
	if w.known[l] {
		return nil
	}
	w.known[l] = true
	if _, there, err := w.Get(ctx, projections.Key(keyLocality, AreaCity, l.admin, l.reportUnit, l.street)); there || err != nil {
		return err
	}
	for _, area := range l.areas() {
		w.Set(projections.Key(keyLocality, area, l.admin, l.reportUnit, l.street), nil)
	}
	return nil
}

// Building is a building of the register.
type Building struct {
	ID         string            `json:"id"`
	Estate     string            `json:"estate"`
	BuildingNo string            `json:"building_no"`
	Street     string            `json:"street"`
	AdminCode  string            `json:"admin_code"`
	ReportUnit string            `json:"report_unit"`
	Address    string            `json:"address"`
	BuiltYear  int               `json:"built_year,omitempty"`
	Floors     int               `json:"floors,omitempty"`
	Units      int               `json:"units"` // Ever in the table.
	Trail      projections.Trail `json:"trail"`
}

// Packed implements projections.Packed.
func (Building) Packed() {}

// place is a unit's stand in its building's table. From is absent for units of the first registration.
type place struct {
	UnitNo   string     `json:"unit_no"`
	Entrance string     `json:"entrance,omitempty"`
	Floor    int        `json:"floor,omitempty"`
	From     domain.Day `json:"from,omitzero"`
	To       domain.Day `json:"to,omitzero"` // Last day.
}

// Packed implements projections.Packed.
func (place) Packed() {}

func buildingEvent(ctx context.Context, v projections.View, e projections.Event, ev building.Event) error {
	id := projections.ID(e.Stream)
	key := projections.Key(keyBuilding, id)
	before, err := projections.GetOwn[Building](ctx, v, key, e)
	if err != nil {
		return err
	}
	b := before
	b.ID, b.Trail = id, b.Trail.Add(e)
	switch ev := ev.(type) {
	case building.Registered:
		b.Estate, b.BuildingNo, b.Street, b.AdminCode, b.ReportUnit = ev.Estate, ev.BuildingNo, ev.Street, ev.AdminCode, ev.ReportUnit
		b.Address, b.BuiltYear, b.Floors = ev.Address, ev.BuiltYear, ev.Floors
		b.Units += table(v, id, ev.Units, 0)
	case building.UnitsAdded:
		b.Units += table(v, id, ev.Units, ev.From)
	case building.UnitsReplaced:
		for _, u := range ev.Removed {
			at := projections.Key(keyTable, id, u)
			p, err := projections.Get[place](ctx, v, at)
			if err != nil {
				return err
			}
			p.To = ev.From.AddDays(-1)
			projections.Put(v, at, p)
		}
		b.Units += table(v, id, ev.Added, ev.From)
	case building.Corrected:
		b.Address = ev.Address
	}
	projections.Put(v, key, b)
	return buildingEffect(b).Replace(ctx, v, buildingEffect(before))
}

func table(v projections.View, id string, units []building.UnitPlan, from domain.Day) int {
	for _, u := range units {
		projections.Put(v, projections.Key(keyTable, id, u.ID), place{UnitNo: u.UnitNo, Entrance: u.Entrance, Floor: u.Floor, From: from})
	}
	return len(units)
}

func buildingEffect(b Building) (e projections.Effect) {
	if b.ID == "" {
		return e
	}
	e.Over(locality{b.AdminCode, b.ReportUnit, b.Street}.areas())
	e.SumEach(keyStock, "", "buildings", 1)
	if b.Estate != "" {
		e.SumEach(keyEstate, b.Estate, "buildings", 1)
	}
	return e
}

type unitRow struct {
	State unit.State        `json:"state"`
	Trail projections.Trail `json:"trail"`
}

// Packed implements projections.Packed.
func (unitRow) Packed() {}

func (w *work) unit(ctx context.Context, e projections.Event, ev unit.Event) error {
	key := projections.Key(keyUnit, projections.ID(e.Stream))
	before, err := projections.GetOwn[unitRow](ctx, w.View, key, e)
	if err != nil {
		return err
	}
	after := unitRow{State: unit.Decider.Evolve(before.State, ev), Trail: before.Trail.Add(e)}
	projections.Put(w.View, key, after)
	if before.Trail.Events > 0 && quietUnit(ev) {
		return nil
	}
	w.units.Changed(key, before, after)
	return w.stands(ctx, after.locality())
}

func (r unitRow) locality() locality {
	h := r.State.Home
	return locality{h.AdminCode, h.ReportUnit, h.Street}
}

// quietUnit is true of events that change nothing listed or counted beside the row.
func quietUnit(ev unit.Event) bool {
	switch ev.(type) {
	case unit.Reserved, unit.Leased, unit.ReservationLost, unit.Released, unit.LeaseEnded, unit.LeaseChanged:
		return true
	}
	return false
}

func unitEffect(r unitRow) (e projections.Effect) {
	if r.Trail.Events == 0 {
		return e
	}
	s, h, l := r.State, r.State.Home, r.locality()
	e.Over(l.areas())
	e.Mark(projections.Key(keyUnitArea, l.admin, l.reportUnit, l.street, projections.ID(r.Trail.Stream)), "")
	if len(s.Successors) > 0 || s.Stage == unit.StageRetired {
		e.SumEach(keyStock, "", "units_retired", 1)
		return e
	}
	count := func(counter string, n int64) { e.SumEach(keyStock, "", counter, n) }
	count("units", 1)
	count("gross_area_c", h.GrossAreaC)
	count("rooms", int64(len(s.Rooms)))
	for _, is := range [...]struct {
		counter string
		yes     bool
	}{
		{"units_addressed", h.Address != ""},
		{"units_rentable", rentable(s)},
		{"units_titled", h.RealEstateUnitNo != "" || titled(s)},
		{"units_owner_known", len(s.Ownership) > 0},
		{"units_flagged", len(s.Flags) > 0},
		{"units_safety_cd", s.Safety.Grade == "C" || s.Safety.Grade == "D"},
		{"units_conversion_approved", s.Conversion != ""},
	} {
		if is.yes {
			count(is.counter, 1)
		}
	}
	for _, flag := range s.Flags {
		count("units_flag_"+flag, 1)
	}
	for _, room := range s.Rooms {
		if room.Origin == unit.OriginPartition {
			count("rooms_partition", 1)
		}
	}
	return e
}

// rentable: a dwelling, or approved as one, neither seized nor dangerous. Whether a contract may be filed on it is
// decided by the rules in force, not here.
func rentable(s unit.State) bool {
	dwelling := slices.Contains([]string{"RESIDENTIAL", "APARTMENT", "DORMITORY"}, s.Home.PlannedUse) || s.Conversion != ""
	return dwelling && s.Safety.Grade != "D" && !slices.Contains(s.Flags, unit.FlagSeized)
}

// titled: an owner stands on record with the number of a title certificate.
func titled(s unit.State) bool {
	return slices.ContainsFunc(s.Ownership, func(o unit.OwnershipRecorded) bool { return o.TitleNo != "" })
}
