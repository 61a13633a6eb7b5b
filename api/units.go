package api

import (
	"context"
	"net/http"
	"time"

	"zujian/api/desk"
	"zujian/domain/unit"
)

func newUnits(in []NewUnit) []desk.NewUnit {
	out := make([]desk.NewUnit, 0, len(in))
	for _, u := range in {
		out = append(out, newUnit(u))
	}
	return out
}

func newUnit(u NewUnit) desk.NewUnit {
	return desk.NewUnit{
		UnitNo: u.UnitNo, Entrance: u.Entrance, Floor: u.Floor, GrossAreaC: u.GrossAreaC, InnerAreaC: u.InnerAreaC,
		Bedrooms: u.Bedrooms, LivingRooms: u.LivingRooms, Bathrooms: u.Bathrooms, Kitchens: u.Kitchens,
		PlannedUse: u.PlannedUse, Fitout: u.Fitout, RealEstateUnitNo: u.RealEstateUnitNo, LandKind: u.LandKind,
		TitleKind: u.TitleKind, Incomplete: u.Incomplete, Rooms: newRooms(u.Rooms),
	}
}

func newRooms(in []NewRoom) []desk.NewRoom {
	var out []desk.NewRoom
	for _, r := range in {
		if r.Origin == "" {
			r.Origin = unit.OriginDesigned
		}
		out = append(out, desk.NewRoom{RoomNo: r.RoomNo, Kind: r.Kind, Origin: r.Origin, UsableAreaC: r.UsableAreaC})
	}
	return out
}

func registered(id string, units []desk.RegisteredUnit) Building {
	b := Building{Id: id, Units: []BuildingUnit{}}
	for _, u := range units {
		row := BuildingUnit{Id: u.ID, UnitNo: u.UnitNo, Entrance: u.Entrance}
		for _, r := range u.Rooms {
			row.Rooms = append(row.Rooms, Room{Id: r.ID, RoomNo: r.RoomNo})
		}
		b.Units = append(b.Units, row)
	}
	return b
}

func readUnit(ctx context.Context, s *Server, c *call) (answer, error) {
	asOf, err := c.asOf()
	if err != nil {
		return answer{}, err
	}
	u, r, err := s.o.Desk.Unit(ctx, c.Actor, c.path("id"), asOf)
	if err != nil {
		return answer{}, err
	}
	own := desk.SeesUnit(c.Actor, u)
	if own && !asOf.IsZero() {
		now, _, err := s.o.Desk.Unit(ctx, c.Actor, c.path("id"), time.Time{})
		if err != nil {
			return answer{}, err
		}
		own = desk.SeesUnit(c.Actor, now)
	}
	return answer{body: unitBody(c, u, own), revision: &r.Revision}, nil
}

// unitBody shows the flat to everybody with a key, and owners and leases to those in whose own row it is.
func unitBody(c *call, u unit.State, own bool) Unit {
	h := u.Home
	body := Unit{
		Id: c.path("id"), BuildingId: h.Building, Estate: h.Estate, BuildingNo: h.BuildingNo, Street: h.Street,
		AdminCode: h.AdminCode, ReportUnit: h.ReportUnit, Address: h.Address, BuiltYear: h.BuiltYear, Floors: h.Floors,
		MetroM: h.MetroM, UnitNo: h.UnitNo, Entrance: h.Entrance, Floor: h.Floor, GrossAreaC: h.GrossAreaC,
		InnerAreaC: h.InnerAreaC, Bedrooms: h.Bedrooms, LivingRooms: h.LivingRooms, Bathrooms: h.Bathrooms,
		Kitchens: h.Kitchens, PlannedUse: h.PlannedUse, Fitout: h.Fitout, LandKind: h.LandKind, Incomplete: h.Incomplete,
		Stage: string(u.Stage), Successors: u.Successors, Flags: u.Flags, SafetyGrade: u.Safety.Grade, Rooms: rooms(u.Rooms),
	}
	if !own {
		return body
	}
	body.RealEstateUnitNo, body.TitleKind, body.ProposedRooms = h.RealEstateUnitNo, h.TitleKind, rooms(u.Proposed)
	for _, o := range u.OwnersOn(c.on()) {
		body.Owners = append(body.Owners, Owner{PartyId: o.Party, ShareBp: o.ShareBP})
	}
	for _, o := range u.Occupancies {
		body.Occupancies = append(body.Occupancies, Occupancy{
			ContractId: o.Contract, Kind: o.Kind, Rooms: o.Rooms, From: o.From, Until: o.Until, Confirmed: o.Confirmed,
		})
	}
	return body
}

func rooms(in []unit.Room) []Room {
	out := make([]Room, 0, len(in))
	for _, r := range in {
		out = append(out, Room{Id: r.ID, RoomNo: r.RoomNo, Kind: r.Kind, Origin: r.Origin, UsableAreaC: r.UsableAreaC})
	}
	return out
}

func proposeRooms(ctx context.Context, s *Server, c *call, in NewRooms) (answer, error) {
	proposed, r, err := s.o.Desk.ProposeRooms(ctx, c.Call, c.path("id"), newRooms(in.Rooms))
	if err != nil {
		return answer{}, err
	}
	body := ProposedRooms{Id: c.path("id"), Rooms: []Room{}}
	for _, p := range proposed {
		body.Rooms = append(body.Rooms, Room{Id: p.ID, RoomNo: p.RoomNo})
	}
	return wrote(http.StatusOK, r, body), nil
}

// unitAct runs a command of the authority or the registry on the unit of the path.
func unitAct(ctx context.Context, s *Server, c *call, cmd unit.Command) (answer, error) {
	r, err := s.o.Desk.UnitAct(ctx, c.Call, c.path("id"), cmd)
	return wrote(http.StatusOK, r, Done{Id: c.path("id")}), err
}

func confirmRooms(ctx context.Context, s *Server, c *call) (answer, error) {
	return unitAct(ctx, s, c, unit.ConfirmRooms{})
}

func recordOwnership(ctx context.Context, s *Server, c *call, in NewOwnership) (answer, error) {
	cmd := unit.RecordOwnership{TitleNo: in.TitleNo, From: in.From}
	for _, o := range in.Owners {
		cmd.Owners = append(cmd.Owners, unit.Owner{Party: o.PartyId, ShareBP: o.ShareBp})
	}
	return unitAct(ctx, s, c, cmd)
}

func setRight(ctx context.Context, s *Server, c *call, in NewRight) (answer, error) {
	return unitAct(ctx, s, c, unit.SetRight{Flag: in.Flag, OrderNo: in.OrderNo})
}

func clearRight(ctx context.Context, s *Server, c *call) (answer, error) {
	return unitAct(ctx, s, c, unit.ClearRight{Flag: c.path("flag"), OrderNo: c.query["order_no"]})
}

func recordSafety(ctx context.Context, s *Server, c *call, in NewSafety) (answer, error) {
	return unitAct(ctx, s, c, unit.RecordSafety{Grade: in.Grade, ReportNo: in.ReportNo})
}

func approveConversion(ctx context.Context, s *Server, c *call, in Conversion) (answer, error) {
	return unitAct(ctx, s, c, unit.ApproveConversion{DecisionNo: in.DecisionNo})
}

func retireUnit(ctx context.Context, s *Server, c *call, in Retirement) (answer, error) {
	return unitAct(ctx, s, c, unit.Retire{Reason: in.Reason})
}

func splitUnit(ctx context.Context, s *Server, c *call, in NewSplit) (answer, error) {
	mapping := map[string]string{}
	for _, m := range in.Mapping {
		mapping[m.ContractId] = m.UnitNo
	}
	children, r, err := s.o.Desk.SplitUnit(ctx, c.Call, c.path("id"), newUnits(in.Children), mapping, in.From)
	return wrote(http.StatusCreated, r, registered(c.path("id"), children)), err
}

func mergeUnits(ctx context.Context, s *Server, c *call, in NewMerge) (answer, error) {
	ids := append([]string{c.path("id")}, in.With...)
	merged, r, err := s.o.Desk.MergeUnits(ctx, c.Call, ids, newUnit(in.Into), in.From)
	return wrote(http.StatusCreated, r, registered(c.path("id"), merged)), err
}
