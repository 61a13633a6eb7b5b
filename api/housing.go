package api

import (
	"context"

	"zujian/domain"
	"zujian/domain/listing"
	"zujian/projections"
	"zujian/projections/housing"
)

// viewContracts lists contracts; signed_in, filed_in, unfiled_on and ending_by list those behind a figure of an area.
func viewContracts(ctx context.Context, s *Server, c *call) (answer, error) {
	f := housing.ContractFilter{
		Unit: c.query["unit_id"], Party: c.query["party_id"], Parent: c.query["parent_id"], Area: c.query["area"],
		Kind: c.query["kind"], State: c.query["state"],
	}
	if c.query["on"] != "" {
		f.On = c.on()
	}
	behind, err := c.behindFigure()
	if err != nil {
		return answer{}, err
	}
	return listView(ctx, s, c, housing.Projection{}, func(r projections.Reader, scope projections.Scope, p projections.Page) ([]housing.Contract, string, error) {
		if behind == nil {
			return housing.Contracts(ctx, r, scope, f, p)
		}
		if !housing.SeesArea(scope, c.area()) {
			return nil, "", errNotFound
		}
		return behind(ctx, r, scope, p)
	})
}

type contractPage func(context.Context, projections.Reader, projections.Scope, projections.Page) ([]housing.Contract, string, error)

// behindFigure is the list that one of the drill-down parameters names; nil without one. They go with area alone.
func (c *call) behindFigure() (contractPage, error) {
	var list contractPage
	month := func(name string, of func(context.Context, projections.Reader, projections.Scope, string, domain.Month, projections.Page) ([]housing.Contract, string, error)) error {
		m, err := domain.ParseMonth(c.query[name])
		list = func(ctx context.Context, r projections.Reader, s projections.Scope, p projections.Page) ([]housing.Contract, string, error) {
			return of(ctx, r, s, c.area(), m, p)
		}
		return err
	}
	for _, name := range []string{"signed_in", "filed_in", "unfiled_on", "ending_by"} {
		if c.query[name] == "" {
			continue
		}
		if list != nil {
			return nil, errParameter.With("parameter", name)
		}
		var err error
		switch name {
		case "signed_in":
			err = month(name, housing.SignedIn)
		case "filed_in":
			err = month(name, housing.FiledIn)
		default:
			var day domain.Day
			day, err = domain.ParseDay(c.query[name])
			list = func(ctx context.Context, r projections.Reader, s projections.Scope, p projections.Page) ([]housing.Contract, string, error) {
				if name == "ending_by" {
					return housing.Ending(ctx, r, s, c.area(), c.on(), day, p)
				}
				return housing.Unfiled(ctx, r, s, c.area(), day, p)
			}
		}
		if err != nil {
			return nil, errParameter.With("parameter", name)
		}
	}
	if list == nil {
		return nil, nil //nolint:nilnil // Nothing asked for.
	}
	for _, other := range []string{"unit_id", "party_id", "parent_id", "kind", "state"} {
		if c.query[other] != "" {
			return nil, errParameter.With("parameter", other)
		}
	}
	return list, nil
}

func viewListings(ctx context.Context, s *Server, c *call) (answer, error) {
	f := housing.ListingFilter{
		Unit: c.query["unit_id"], Party: c.query["party_id"], Area: c.query["area"], State: listing.Stage(c.query["state"]),
	}
	return listView(ctx, s, c, housing.Projection{}, func(r projections.Reader, scope projections.Scope, p projections.Page) ([]housing.Listing, string, error) {
		return housing.Listings(ctx, r, scope, f, p)
	})
}

// months are the query's from and to.
func (c *call) months() (from, to domain.Month, err error) {
	if from, err = domain.ParseMonth(c.query["from"]); err != nil {
		return from, to, errParameter.With("parameter", "from")
	}
	if to, err = domain.ParseMonth(c.query["to"]); err != nil || to < from {
		return from, to, errParameter.With("parameter", "to")
	}
	return from, to, nil
}

func viewListingBoard(ctx context.Context, s *Server, c *call) (answer, error) {
	from, to, err := c.months()
	if err != nil {
		return answer{}, err
	}
	return figures(ctx, s, housing.Projection{}, func(r projections.Reader) (housing.ListingBoard, bool, error) {
		if !housing.SeesArea(scopeOf(c.Call), c.area()) {
			return housing.ListingBoard{}, false, nil
		}
		b, err := housing.Listed(ctx, r, c.area(), from, to, c.on())
		return b, true, err
	}, func(b housing.ListingBoard, m made) any {
		m.Rows = map[string]string{}
		for state := range b.States {
			m.Rows[state] = "/v1/views/housing/listings?area=" + b.Area + "&state=" + state
		}
		return struct {
			housing.ListingBoard
			Made made `json:"made"`
		}{b, m}
	})
}

func viewUnfiled(ctx context.Context, s *Server, c *call) (answer, error) {
	return listView(ctx, s, c, housing.Projection{}, func(r projections.Reader, scope projections.Scope, p projections.Page) ([]housing.Overdue, string, error) {
		if !housing.SeesArea(scope, c.area()) {
			return nil, "", errNotFound
		}
		return housing.UnfiledByLessor(ctx, r, c.area(), c.on(), p)
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

func viewUnits(ctx context.Context, s *Server, c *call) (answer, error) {
	return listView(ctx, s, c, housing.Projection{}, func(r projections.Reader, scope projections.Scope, p projections.Page) ([]housing.Unit, string, error) {
		return housing.Units(ctx, r, scope, c.query["area"], c.on(), p)
	})
}

func viewUnit(ctx context.Context, s *Server, c *call) (answer, error) {
	id := c.path("id")
	return entity(ctx, s, c, housing.Projection{}, func(r projections.Reader) ([]string, error) {
		return housing.UnitStreams(ctx, r, id)
	}, func(r projections.Reader) (housing.Unit, bool, error) {
		return housing.UnitOf(ctx, r, scopeOf(c.Call), id, c.on())
	}, func(u housing.Unit, m made) any {
		return struct {
			housing.Unit
			Made made `json:"made"`
		}{u, m}
	})
}

func viewMatrix(ctx context.Context, s *Server, c *call) (answer, error) {
	id := c.path("id")
	return entity(ctx, s, c, housing.Projection{}, func(r projections.Reader) ([]string, error) {
		return housing.BuildingStreams(ctx, r, id)
	}, func(r projections.Reader) ([]housing.Cell, bool, error) {
		return housing.Matrix(ctx, r, scopeOf(c.Call), id, c.on())
	}, func(cells []housing.Cell, m made) any {
		return page[housing.Cell]{Items: append([]housing.Cell{}, cells...), Made: m}
	})
}

// filings is the filing figures of an area (V-H3): flows of the months asked for, and how things stand on a day.
type filings struct {
	housing.Filing
	On       domain.Day       `json:"on"`
	Active   housing.Active   `json:"active"`
	Expiring housing.Expiring `json:"expiring"`
	Made     made             `json:"made"`
}

func viewFilingRate(ctx context.Context, s *Server, c *call) (answer, error) {
	from, to, err := c.months()
	if err != nil {
		return answer{}, err
	}
	return figures(ctx, s, housing.Projection{}, func(r projections.Reader) (out filings, ok bool, err error) {
		if !housing.SeesArea(scopeOf(c.Call), c.area()) {
			return out, false, nil
		}
		out.On = c.on()
		if out.Filing, err = housing.FilingRate(ctx, r, c.area(), from, to); err != nil {
			return out, false, err
		}
		if out.Active, err = housing.ActiveOn(ctx, r, c.area(), out.On); err != nil {
			return out, false, err
		}
		out.Expiring, err = housing.ExpiringFrom(ctx, r, c.area(), out.On)
		return out, true, err
	}, func(f filings, m made) any {
		at := "/v1/views/housing/contracts?area=" + f.Area
		m.Rows = map[string]string{
			"active": at + "&on=" + f.On.String(), "unfiled": at + "&unfiled_on=" + f.On.String(),
			"unfiled_by_lessor": "/v1/views/housing/unfiled?area=" + f.Area + "&on=" + f.On.String(),
			"expiring":          at + "&on=" + f.On.String() + "&ending_by=" + f.On.AddDays(89).String(),
		}
		for _, month := range f.Months {
			m.Rows["signed "+month.Month.String()] = at + "&signed_in=" + month.Month.String()
			m.Rows["filed "+month.Month.String()] = at + "&filed_in=" + month.Month.String()
		}
		f.Made = m
		return f
	})
}

// stock is the homes and running contracts of an area (V-H1).
type stock struct {
	Area    string               `json:"area"`
	On      domain.Day           `json:"on"`
	Estates int64                `json:"estates"`
	Counts  projections.Counters `json:"counts"` // Now.
	Active  housing.Active       `json:"active"` // On the day.
	Made    made                 `json:"made"`
}

func viewStock(ctx context.Context, s *Server, c *call) (answer, error) {
	return figures(ctx, s, housing.Projection{}, func(r projections.Reader) (out stock, ok bool, err error) {
		out = stock{Area: c.area(), On: c.on()}
		if !housing.SeesArea(scopeOf(c.Call), out.Area) {
			return out, false, nil
		}
		if out.Counts, err = housing.Stock(ctx, r, out.Area); err != nil {
			return out, false, err
		}
		if out.Counts == nil {
			out.Counts = projections.Counters{}
		}
		if out.Estates, err = housing.Estates(ctx, r, out.Area); err != nil {
			return out, false, err
		}
		out.Active, err = housing.ActiveOn(ctx, r, out.Area, out.On)
		return out, true, err
	}, func(st stock, m made) any {
		on := "area=" + st.Area + "&on=" + st.On.String()
		m.Rows = map[string]string{"units": "/v1/views/housing/units?" + on, "active": "/v1/views/housing/contracts?" + on}
		st.Made = m
		return st
	})
}
