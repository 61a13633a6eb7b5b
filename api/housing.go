package api

import (
	"context"

	"zujian/domain"
	"zujian/projections"
	"zujian/projections/housing"
)

func viewContracts(ctx context.Context, s *Server, c *call) (answer, error) {
	f := housing.ContractFilter{
		Unit: c.query["unit_id"], Party: c.query["party_id"], Parent: c.query["parent_id"], Area: c.query["area"],
		Kind: c.query["kind"], State: c.query["state"],
	}
	if c.query["on"] != "" {
		f.On = c.on()
	}
	return listView(ctx, s, c, housing.Projection{}, func(r projections.Reader, scope projections.Scope, p projections.Page) ([]housing.Contract, string, error) {
		return housing.Contracts(ctx, r, scope, f, p)
	})
}

func viewUnits(ctx context.Context, s *Server, c *call) (answer, error) {
	return listView(ctx, s, c, housing.Projection{}, func(r projections.Reader, scope projections.Scope, p projections.Page) ([]housing.Unit, string, error) {
		return housing.Units(ctx, r, scope, c.query["area"], c.on(), p)
	})
}

func viewUnit(ctx context.Context, s *Server, c *call) (answer, error) {
	return oneOf(ctx, s, housing.Projection{}, func(r projections.Reader) (housing.Unit, bool, error) {
		return housing.UnitOf(ctx, r, scopeOf(c.Actor), c.path("id"), c.on())
	}, func(u housing.Unit, made projections.Made) any {
		return struct {
			housing.Unit
			Made projections.Made `json:"made"`
		}{u, made}
	})
}

func viewMatrix(ctx context.Context, s *Server, c *call) (answer, error) {
	return oneOf(ctx, s, housing.Projection{}, func(r projections.Reader) ([]housing.Cell, bool, error) {
		return housing.Matrix(ctx, r, scopeOf(c.Actor), c.path("id"), c.on())
	}, func(cells []housing.Cell, made projections.Made) any {
		return page[housing.Cell]{Items: append([]housing.Cell{}, cells...), Made: made}
	})
}

// area is what figures are asked of: the one named, else the caller's district, else the city.
func (c *call) area() string {
	switch {
	case c.query["area"] != "":
		return c.query["area"]
	case c.Actor.Role == domain.RoleDistrict:
		return c.Actor.Area
	}
	return housing.AreaCity
}

func viewFilingRate(ctx context.Context, s *Server, c *call) (answer, error) {
	from, err := domain.ParseMonth(c.query["from"])
	if err != nil {
		return answer{}, errParameter.With("parameter", "from")
	}
	to, err := domain.ParseMonth(c.query["to"])
	if err != nil {
		return answer{}, errParameter.With("parameter", "to")
	}
	return oneOf(ctx, s, housing.Projection{}, func(r projections.Reader) (housing.Filing, bool, error) {
		if !housing.SeesArea(scopeOf(c.Actor), c.area()) {
			return housing.Filing{}, false, nil
		}
		f, err := housing.FilingRate(ctx, r, c.area(), from, to)
		return f, true, err
	}, func(f housing.Filing, made projections.Made) any {
		return struct {
			housing.Filing
			Made projections.Made `json:"made"`
		}{f, made}
	})
}

// stock is the homes and running contracts of an area.
type stock struct {
	Area   string               `json:"area"`
	On     domain.Day           `json:"on"`
	Counts projections.Counters `json:"counts"`
	Active housing.Active       `json:"active"`
	Made   projections.Made     `json:"made"`
}

func viewStock(ctx context.Context, s *Server, c *call) (answer, error) {
	return oneOf(ctx, s, housing.Projection{}, func(r projections.Reader) (stock, bool, error) {
		out := stock{Area: c.area(), On: c.on()}
		if !housing.SeesArea(scopeOf(c.Actor), out.Area) {
			return out, false, nil
		}
		var err error
		if out.Counts, err = housing.Stock(ctx, r, out.Area); err != nil {
			return out, false, err
		}
		if out.Counts == nil {
			out.Counts = projections.Counters{}
		}
		out.Active, err = housing.ActiveOn(ctx, r, out.Area, out.On)
		return out, true, err
	}, func(st stock, made projections.Made) any {
		st.Made = made
		return st
	})
}
