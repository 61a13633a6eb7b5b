package housing

import (
	"cmp"
	"context"
	"iter"
	"slices"

	"zujian/domain"
	"zujian/domain/contract"
	"zujian/domain/unit"
	"zujian/projections"
)

// ContractOf reads one contract; ok is false when there is none or the scope does not see it.
func ContractOf(ctx context.Context, r projections.Reader, s projections.Scope, id string) (Contract, bool, error) {
	c, err := projections.Get[Contract](ctx, r, projections.Key(keyContract, id))
	if err != nil || c.ID == "" || !s.Sees(c.locality().place(), c.parties(), c.EscrowBank) {
		return Contract{}, false, err
	}
	return c, true, nil
}

// ContractByFilingNo finds a contract by its filing number (备案号).
func ContractByFilingNo(ctx context.Context, r projections.Reader, s projections.Scope, no string) (Contract, bool, error) {
	id, ok, err := r.Get(ctx, projections.Key(keyConNo, no))
	if err != nil || !ok {
		return Contract{}, false, err
	}
	return ContractOf(ctx, r, s, string(id))
}

// ContractFilter narrows Contracts. One of Unit, Party, Parent or Area chooses the index; the others then cut rows.
type ContractFilter struct {
	Unit, Party, Parent, Area string
	Kind, State               string
	On                        domain.Day // In force on the day.
}

func (f ContractFilter) keeps(c Contract) bool {
	return (f.Unit == "" || c.Unit == f.Unit) && (f.Party == "" || slices.Contains(c.parties(), f.Party)) &&
		(f.Parent == "" || c.Parent == f.Parent) && (f.Kind == "" || c.Kind == f.Kind) && (f.State == "" || c.State == f.State) &&
		(f.Area == "" || slices.Contains(c.locality().areas(), f.Area)) && (f.On.IsZero() || c.RunsOn(f.On))
}

// Contracts lists contracts of a unit (by start), a party, under a head lease, or of an area (by signing day).
func Contracts(ctx context.Context, r projections.Reader, s projections.Scope, f ContractFilter, p projections.Page) ([]Contract, string, error) {
	prefixes, err := [][]string{{keyContract}}, error(nil)
	switch {
	case f.Unit != "":
		prefixes = [][]string{{keyConUnit, f.Unit}}
	case f.Parent != "":
		prefixes = [][]string{{keyConParent, f.Parent}}
	case f.Party != "":
		prefixes = [][]string{{keyConParty, f.Party}}
	case !s.All && s.Party != "":
		f.Party = s.Party // The index knows those it has left, too.
		prefixes = [][]string{{keyConParty, s.Party}}
	case f.Area != "":
		prefixes, err = inArea(ctx, r, keyConSigned, f.Area)
	case !s.All && s.District != "":
		prefixes, err = inArea(ctx, r, keyConSigned, s.District)
	}
	if err != nil {
		return nil, "", err
	}
	return projections.ListBetween(ctx, r, prefixes, "", "", false, p, func(pair projections.Pair) (Contract, bool, error) {
		c, ok, err := ContractOf(ctx, r, s, projections.Tail(pair.Key))
		return c, ok && f.keeps(c), err
	})
}

// Unfiled lists signed contracts of an area that are not filed though their last day to file was before today, longest
// overdue first.
func Unfiled(ctx context.Context, r projections.Reader, s projections.Scope, area string, today domain.Day, p projections.Page) ([]Contract, string, error) {
	return contractsBetween(ctx, r, s, keyUnfiled, area, "", today.String(), p)
}

// Ending lists filed contracts of an area that end from today up to and including a day, soonest first.
func Ending(ctx context.Context, r projections.Reader, s projections.Scope, area string, today, upTo domain.Day, p projections.Page) ([]Contract, string, error) {
	return contractsBetween(ctx, r, s, keyEnding, area, today.String(), upTo.AddDays(1).String(), p)
}

// SignedIn lists the contracts behind an area's figures of signing in a month.
func SignedIn(ctx context.Context, r projections.Reader, s projections.Scope, area string, m domain.Month, p projections.Page) ([]Contract, string, error) {
	return contractsBetween(ctx, r, s, keyConSigned, area, m.String(), (m + 1).String(), p)
}

// FiledIn lists the contracts behind an area's figures of filing in a month, legacy rows included.
func FiledIn(ctx context.Context, r projections.Reader, s projections.Scope, area string, m domain.Month, p projections.Page) ([]Contract, string, error) {
	return contractsBetween(ctx, r, s, keyConFiled, area, m.String(), (m + 1).String(), p)
}

func contractsBetween(
	ctx context.Context, r projections.Reader, s projections.Scope, kind, area, first, before string, p projections.Page,
) ([]Contract, string, error) {
	prefixes, err := inArea(ctx, r, kind, area)
	if err != nil {
		return nil, "", err
	}
	return projections.ListBetween(ctx, r, prefixes, first, before, false, p, func(pair projections.Pair) (Contract, bool, error) {
		return ContractOf(ctx, r, s, projections.Tail(pair.Key))
	})
}

// inArea are the prefixes of a kind of entries in the localities of an area.
func inArea(ctx context.Context, r projections.Reader, kind, area string, rest ...string) (prefixes [][]string, err error) {
	for pair, err := range r.Scan(ctx, projections.Prefix(keyLocality, area), projections.PrefixEnd(keyLocality, area), false) {
		if err != nil {
			return nil, err
		}
		locality := projections.Parts(pair.Key)[2:] // keyLocality, area, …
		prefixes = append(prefixes, slices.Concat([]string{kind}, locality, rest))
	}
	return prefixes, nil
}

// SeesArea is whether figures of an area are within a scope: everything for All, a district regulator's own district.
func SeesArea(s projections.Scope, area string) bool {
	return s.All || (s.District != "" && s.District == area)
}

// Unit is one home (户) as the stock list shows it.
type Unit struct {
	ID      string            `json:"id"`
	Home    unit.Home         `json:"home"`
	Rooms   []unit.Room       `json:"rooms,omitempty"`
	Owners  []unit.Owner      `json:"owners,omitempty"`
	Flags   []string          `json:"flags,omitempty"`
	Safety  string            `json:"safety,omitempty"`
	Retired bool              `json:"retired,omitempty"`
	State   string            `json:"state"` // On the day asked: see Cell.
	Leases  []unit.Occupancy  `json:"leases,omitempty"`
	Trail   projections.Trail `json:"trail"`
}

// UnitOf reads one home on a day.
func UnitOf(ctx context.Context, r projections.Reader, s projections.Scope, id string, on domain.Day) (Unit, bool, error) {
	row, err := projections.Get[unitRow](ctx, r, projections.Key(keyUnit, id))
	if err != nil || row.Trail.Events == 0 {
		return Unit{}, false, err
	}
	st := row.State
	if !s.Sees(row.locality().place(), owners(st, s.Today), "") {
		return Unit{}, false, nil
	}
	state, err := stateOn(ctx, r, id, st, on)
	return Unit{
		ID: id, Home: st.Home, Rooms: st.Rooms, Owners: st.OwnersOn(on), Flags: st.Flags, Safety: st.Safety.Grade,
		Retired: st.Stage == unit.StageRetired, State: state, Leases: st.OccupiedOn(on), Trail: row.Trail,
	}, true, err
}

// owners are those of a home from a day on; who sold it before reads of nobody who came after.
func owners(s unit.State, from domain.Day) (out []string) {
	for _, o := range s.OwnersOn(from) {
		out = append(out, o.Party)
	}
	for _, rec := range s.Ownership {
		for _, o := range rec.Owners {
			if rec.From > from {
				out = append(out, o.Party)
			}
		}
	}
	return out
}

// Units lists the homes of an area (default: the caller's district, else the city).
func Units(ctx context.Context, r projections.Reader, s projections.Scope, area string, on domain.Day, p projections.Page) ([]Unit, string, error) {
	if area == "" {
		area = AreaCity
		if !s.All && s.District != "" {
			area = s.District
		}
	}
	prefixes, err := inArea(ctx, r, keyUnitArea, area)
	if err != nil {
		return nil, "", err
	}
	return projections.ListBetween(ctx, r, prefixes, "", "", false, p, func(pair projections.Pair) (Unit, bool, error) {
		return UnitOf(ctx, r, s, projections.Tail(pair.Key), on)
	})
}

// States of a home on a day, in the order they are tried.
const (
	HomeLet       = "LET"        // The whole flat, or every room, to tenants.
	HomePartlyLet = "PARTLY_LET" // Some rooms.
	HomeOperated  = "OPERATED"   // An operator holds it, no tenant.
	HomeListed    = "LISTED"     // Published now.
	HomeVacant    = "VACANT"
)

func stateOn(ctx context.Context, r projections.Reader, id string, s unit.State, on domain.Day) (string, error) {
	rooms, head := map[string]bool{}, false
	for _, o := range s.OccupiedOn(on) {
		switch {
		case o.Kind == contract.KindHead:
			head = true
		case len(o.Rooms) == 0:
			return HomeLet, nil
		}
		if o.Kind != contract.KindHead {
			for _, room := range o.Rooms {
				rooms[room] = true
			}
		}
	}
	switch {
	case len(rooms) > 0 && !slices.ContainsFunc(s.Rooms, func(x unit.Room) bool { return !rooms[x.ID] && x.Kind == "BEDROOM" }):
		return HomeLet, nil
	case len(rooms) > 0:
		return HomePartlyLet, nil
	}
	shown, err := projections.Get[projections.Counters](ctx, r, projections.Key(keyShown, id))
	switch {
	case err != nil:
		return "", err
	case head && shown["published"] == 0:
		return HomeOperated, nil
	case shown["published"] > 0:
		return HomeListed, nil
	}
	return HomeVacant, nil
}

// UnitStreams are the streams a home's file is made from: its own and those of its listings.
func UnitStreams(ctx context.Context, r projections.Reader, id string) ([]string, error) {
	streams := []string{"unit-" + id}
	for pair, err := range r.Scan(ctx, projections.Prefix(keyOfUnit, id), projections.PrefixEnd(keyOfUnit, id), false) {
		if err != nil {
			return nil, err
		}
		streams = append(streams, "listing-"+projections.Tail(pair.Key))
	}
	return streams, nil
}

// BuildingStreams are the streams a building's matrix is made from: its own and those of every home that ever stood in
// its table.
func BuildingStreams(ctx context.Context, r projections.Reader, id string) ([]string, error) {
	streams := []string{"building-" + id}
	for pair, err := range r.Scan(ctx, projections.Prefix(keyTable, id), projections.PrefixEnd(keyTable, id), false) {
		if err != nil {
			return nil, err
		}
		more, err := UnitStreams(ctx, r, projections.Tail(pair.Key))
		if err != nil {
			return nil, err
		}
		streams = append(streams, more...)
	}
	return streams, nil
}

// ContractsOf are the ids of all contracts a party was ever named in, those it has left included.
func ContractsOf(ctx context.Context, r projections.Reader, party string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for pair, err := range r.Scan(ctx, projections.Prefix(keyConParty, party), projections.PrefixEnd(keyConParty, party), false) {
			if !yield(projections.Tail(pair.Key), err) {
				return
			}
		}
	}
}

// BuildingOf reads one building. The register of buildings is no secret.
func BuildingOf(ctx context.Context, r projections.Reader, id string) (Building, bool, error) {
	b, err := projections.Get[Building](ctx, r, projections.Key(keyBuilding, id))
	return b, b.ID != "", err
}

// Cell is one flat of a building's matrix (楼盘表).
type Cell struct {
	Unit     string   `json:"unit"`
	UnitNo   string   `json:"unit_no"`
	Entrance string   `json:"entrance,omitempty"`
	Floor    int      `json:"floor"`
	State    string   `json:"state"` // LET, PARTLY_LET, OPERATED, LISTED, VACANT
	Flags    []string `json:"flags,omitempty"`
	Safety   string   `json:"safety,omitempty"`
}

const cellsMax = 5000 // More flats than any building has.

// Matrix is a building's flats on a day, top floor first, then by entrance and number (V-H7).
func Matrix(ctx context.Context, r projections.Reader, s projections.Scope, id string, on domain.Day) ([]Cell, bool, error) {
	b, ok, err := BuildingOf(ctx, r, id)
	if err != nil || !ok || !SeesArea(s, b.AdminCode) {
		return nil, false, err
	}
	cells := []Cell{}
	for pair, err := range r.Scan(ctx, projections.Prefix(keyTable, id), projections.PrefixEnd(keyTable, id), false) {
		if err != nil {
			return nil, false, err
		}
		p, err := projections.Get[place](ctx, r, pair.Key)
		if err != nil {
			return nil, false, err
		}
		if (!p.From.IsZero() && on < p.From) || (!p.To.IsZero() && on > p.To) {
			continue
		}
		c := Cell{Unit: projections.Tail(pair.Key), UnitNo: p.UnitNo, Entrance: p.Entrance, Floor: p.Floor}
		row, err := projections.Get[unitRow](ctx, r, projections.Key(keyUnit, c.Unit))
		if err != nil {
			return nil, false, err
		}
		c.Flags, c.Safety = row.State.Flags, row.State.Safety.Grade
		if c.State, err = stateOn(ctx, r, c.Unit, row.State, on); err != nil {
			return nil, false, err
		}
		if cells = append(cells, c); len(cells) == cellsMax {
			break
		}
	}
	slices.SortFunc(cells, func(a, b Cell) int {
		return cmp.Or(cmp.Compare(b.Floor, a.Floor), cmp.Compare(a.Entrance, b.Entrance), cmp.Compare(a.UnitNo, b.UnitNo))
	})
	return cells, true, nil
}
