package desk

import (
	"context"
	"time"

	"zujian/domain"
	"zujian/domain/building"
	"zujian/domain/unit"
)

// NewBuilding is a building with its units for the register (楼盘表).
type NewBuilding struct {
	Estate, BuildingNo, Street, Address string
	BuiltYear, Floors, MetroM           int
	Units                               []NewUnit
}

// NewUnit is a flat of a new building; ids come from the desk.
type NewUnit struct {
	UnitNo, Entrance                               string
	Floor                                          int
	GrossAreaC, InnerAreaC                         int64
	Bedrooms, LivingRooms, Bathrooms, Kitchens     int
	PlannedUse, Fitout, RealEstateUnitNo, LandKind string
	TitleKind                                      string
	Incomplete                                     bool
	Rooms                                          []NewRoom
}

// NewRoom is a room of a new flat.
type NewRoom struct {
	RoomNo, Kind, Origin string
	UsableAreaC          int64
}

// RegisteredUnit answers which id a flat got.
type RegisteredUnit struct {
	ID, UnitNo, Entrance string
	Rooms                []RegisteredRoom
}

// RegisteredRoom answers which id a room got.
type RegisteredRoom struct{ ID, RoomNo string }

// ErrStreetUnknown is for a street code the city does not have on that day.
var ErrStreetUnknown = domain.Reject("building.street_unknown", "the city has no such street")

// RegisterBuilding enters a building and all its units. Its id follows from estate, number and street, so the same
// building can't be there twice; the same content again is the same answer.
func (d *Desk) RegisterBuilding(ctx context.Context, call Call, in NewBuilding) (string, []RegisteredUnit, Receipt, error) {
	street, ok := d.o.City.Street(in.Street, domain.DayOf(call.At))
	if !ok {
		return "", nil, Receipt{}, ErrStreetUnknown.At("/street")
	}
	if err := inArea(call.Actor, Row{District: street.Admin, Unit: street.Unit}); err != nil {
		return "", nil, Receipt{}, err
	}
	id := derive("building", in.Estate, in.BuildingNo, in.Street)
	cmd := building.Register{
		Estate: in.Estate, BuildingNo: in.BuildingNo, Street: in.Street, AdminCode: street.Admin, ReportUnit: street.Unit,
		Address: in.Address, BuiltYear: in.BuiltYear, Floors: in.Floors, MetroM: in.MetroM, Units: planUnits(id, in.Units),
	}
	r, err := exec(ctx, d, call, building.Decider, id, building.Command(cmd))
	if err != nil {
		return "", nil, Receipt{}, err
	}
	state, _, _, err := load(ctx, d, building.Decider, id)
	if err != nil {
		return "", nil, r, err
	}
	answer, r, err := d.openUnits(ctx, call, r, id, state, cmd.Units)
	return id, answer, r, err
}

// openUnits opens the stream of each unit of a registered building.
func (d *Desk) openUnits(ctx context.Context, call Call, r Receipt, id string, b building.State, plans []building.UnitPlan) ([]RegisteredUnit, Receipt, error) {
	answer := make([]RegisteredUnit, 0, len(plans))
	for _, u := range plans {
		opened, err := d.registerUnit(ctx, call, id, b, u, nil, nil)
		if err != nil {
			return nil, r, err
		}
		r = r.later(opened.Position)
		ru := RegisteredUnit{ID: u.ID, UnitNo: u.UnitNo, Entrance: u.Entrance}
		for _, room := range u.Rooms {
			ru.Rooms = append(ru.Rooms, RegisteredRoom{room.ID, room.RoomNo})
		}
		answer = append(answer, ru)
	}
	return answer, r, nil
}

func planUnits(buildingID string, in []NewUnit) []building.UnitPlan {
	out := make([]building.UnitPlan, 0, len(in))
	for _, u := range in {
		plan := building.UnitPlan{
			ID: derive("unit", buildingID, u.Entrance, u.UnitNo), UnitNo: u.UnitNo, Entrance: u.Entrance, Floor: u.Floor,
			GrossAreaC: u.GrossAreaC, InnerAreaC: u.InnerAreaC, Bedrooms: u.Bedrooms, LivingRooms: u.LivingRooms,
			Bathrooms: u.Bathrooms, Kitchens: u.Kitchens, PlannedUse: u.PlannedUse, Fitout: u.Fitout,
			RealEstateUnitNo: u.RealEstateUnitNo, TitleKind: u.TitleKind, LandKind: u.LandKind, Incomplete: u.Incomplete,
		}
		for _, r := range u.Rooms {
			plan.Rooms = append(plan.Rooms, building.RoomPlan{
				ID: derive("room", plan.ID, r.RoomNo), RoomNo: r.RoomNo, Kind: r.Kind, Origin: r.Origin, UsableAreaC: r.UsableAreaC,
			})
		}
		out = append(out, plan)
	}
	return out
}

// registerUnit opens the stream of one unit of a registered building. The process "register" repeats it for units a
// crash left out.
func (d *Desk) registerUnit(ctx context.Context, call Call, buildingID string, b building.State, u building.UnitPlan,
	lineage []string, occupancies []unit.Occupancy,
) (Receipt, error) {
	return exec(ctx, d, call.step("unit "+u.ID), unit.Decider, u.ID, unit.Command(UnitOf(buildingID, b, u, lineage, occupancies)))
}

// UnitOf is the command that enters a building's unit into its own stream.
func UnitOf(buildingID string, b building.State, u building.UnitPlan, lineage []string, occupancies []unit.Occupancy) unit.Register {
	cmd := unit.Register{Lineage: lineage, Occupancies: occupancies, Home: unit.Home{
		Building: buildingID, Estate: b.Registered.Estate, BuildingNo: b.Registered.BuildingNo, Street: b.Registered.Street,
		AdminCode: b.Registered.AdminCode, ReportUnit: b.Registered.ReportUnit, Address: b.Address,
		BuiltYear: b.Registered.BuiltYear, Floors: b.Registered.Floors, MetroM: b.Registered.MetroM,
		UnitNo: u.UnitNo, Entrance: u.Entrance, Floor: u.Floor, GrossAreaC: u.GrossAreaC, InnerAreaC: u.InnerAreaC,
		Bedrooms: u.Bedrooms, LivingRooms: u.LivingRooms, Bathrooms: u.Bathrooms, Kitchens: u.Kitchens,
		PlannedUse: u.PlannedUse, Fitout: u.Fitout, RealEstateUnitNo: u.RealEstateUnitNo, TitleKind: u.TitleKind,
		LandKind: u.LandKind, Incomplete: u.Incomplete,
	}}
	for _, r := range u.Rooms {
		cmd.Rooms = append(cmd.Rooms, unit.Room(r))
	}
	return cmd
}

// Building reads the register of one building as the log knew it at an instant; the zero time means now.
func (d *Desk) Building(ctx context.Context, actor domain.Actor, id string, asOf time.Time) (building.State, Receipt, error) {
	return view(ctx, d, actor, building.Decider, id, asOf, func(s building.State) (Row, bool) {
		return Row{District: s.Registered.AdminCode, Unit: s.Registered.ReportUnit}, actor.Role != domain.RolePublic // The 楼盘表 holds no persons.
	})
}

// AddUnits enters more units of a building and opens their streams.
func (d *Desk) AddUnits(ctx context.Context, call Call, id string, units []NewUnit, from domain.Day) ([]RegisteredUnit, Receipt, error) {
	state, _, found, err := load(ctx, d, building.Decider, id)
	if err != nil || !found {
		return nil, Receipt{}, orNotFound(err)
	}
	if err := inArea(call.Actor, Row{District: state.Registered.AdminCode, Unit: state.Registered.ReportUnit}); err != nil {
		return nil, Receipt{}, err
	}
	plans := planUnits(id, units)
	r, err := exec(ctx, d, call, building.Decider, id, building.Command(building.AddUnits{Units: plans, From: from}))
	if err != nil {
		return nil, r, err
	}
	return d.openUnits(ctx, call, r, id, state, plans)
}
