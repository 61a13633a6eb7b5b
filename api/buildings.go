package api

import (
	"context"
	"net/http"

	"zujian/api/desk"
	"zujian/domain/building"
)

func registerBuilding(ctx context.Context, s *Server, c *call, in NewBuilding) (answer, error) {
	id, units, r, err := s.o.Desk.RegisterBuilding(ctx, c.Call, desk.NewBuilding{
		Estate: in.Estate, BuildingNo: in.BuildingNo, Street: in.Street, Address: in.Address, BuiltYear: in.BuiltYear,
		Floors: in.Floors, MetroM: in.MetroM, Units: newUnits(in.Units),
	})
	if err != nil {
		return answer{}, err
	}
	a := wrote(http.StatusCreated, r, registered(id, units))
	a.location = "/v1/buildings/" + id
	return a, nil
}

// readBuilding gives the table on a day, as the log knew it at an instant.
func readBuilding(ctx context.Context, s *Server, c *call) (answer, error) {
	asOf, err := c.asOf()
	if err != nil {
		return answer{}, err
	}
	b, r, err := s.o.Desk.Building(ctx, c.Actor, c.path("id"), asOf)
	if err != nil {
		return answer{}, err
	}
	return answer{body: buildingBody(c, b), revision: &r.Revision}, nil
}

func buildingBody(c *call, b building.State) Building {
	g := b.Registered
	body := Building{
		Id: c.path("id"), Estate: g.Estate, BuildingNo: g.BuildingNo, Street: g.Street, AdminCode: g.AdminCode,
		ReportUnit: g.ReportUnit, Address: b.Address, BuiltYear: g.BuiltYear, Floors: g.Floors, MetroM: g.MetroM,
		On: c.on(), Units: []BuildingUnit{},
	}
	for _, u := range b.Table(c.on()) {
		row := BuildingUnit{
			Id: u.ID, UnitNo: u.UnitNo, Entrance: u.Entrance, Floor: u.Floor, GrossAreaC: u.GrossAreaC, InnerAreaC: u.InnerAreaC,
			Bedrooms: u.Bedrooms, PlannedUse: u.PlannedUse, Fitout: u.Fitout,
		}
		for _, m := range u.Rooms {
			row.Rooms = append(row.Rooms, Room{Id: m.ID, RoomNo: m.RoomNo, Kind: m.Kind, Origin: m.Origin, UsableAreaC: m.UsableAreaC})
		}
		body.Units = append(body.Units, row)
	}
	return body
}
