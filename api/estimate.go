package api

import (
	"context"
	"strconv"
	"time"

	"zujian/domain"
	"zujian/domain/guidance"
)

var errNoPrice = domain.Reject("guidance.no_price", "no published guidance price covers this")

// Why there is no price, or nothing to compare with.
const (
	noneInForce      = "NONE_IN_FORCE" // No version is in force on the day.
	noCell           = "NO_CELL"       // The version has no cell of this kind: too few such homes are let in the whole city.
	comparesTooFew   = "TOO_FEW"       // Of fewer than three lessors.
	comparablesLeast = guidance.LessorsMin
)

// monthly are the cell's prices for a home of a known area, in fen a month.
type monthly struct {
	P10    domain.Fen `json:"p10_fen"`
	P25    domain.Fen `json:"p25_fen"`
	Median domain.Fen `json:"median_fen"`
	P75    domain.Fen `json:"p75_fen"`
	P90    domain.Fen `json:"p90_fen"`
}

type estimate struct {
	Period        string                `json:"period"`
	Version       int                   `json:"version"`
	EffectiveFrom domain.Day            `json:"effective_from"`
	Asked         guidance.CellID       `json:"asked"`
	AreaC         int64                 `json:"area_c,omitzero"`
	Cell          guidance.Cell         `json:"cell"` // The nearest area the version prices.
	Monthly       *monthly              `json:"monthly,omitempty"`
	From          string                `json:"from"` // Area whose lettings cell and comparables are of.
	Comparables   []guidance.Comparable `json:"comparables"`
	Withheld      string                `json:"comparables_withheld,omitempty"`
}

// flat is what is asked about.
type flat struct {
	guidance.CellID
	unit  string // Reporting unit.
	areaC int64
}

// estimateGuidance prices one home by the version in force: its cell, its band, and lettings to compare with. All of it was
// published with the version, so that asking often tells nothing more.
func estimateGuidance(ctx context.Context, s *Server, c *call) (answer, error) {
	f, err := s.asked(ctx, c)
	if err != nil {
		return answer{}, err
	}
	period, v, ok, err := s.o.Desk.GuidanceInForce(ctx, c.on())
	if err != nil {
		return answer{}, err
	}
	if !ok {
		return answer{}, errNoPrice.With("reason", noneInForce).With("on", c.on().String())
	}
	cell, ok := v.Book().Price(f.Area, f.unit, f.CellID)
	if !ok {
		return answer{}, errNoPrice.With("reason", noCell).With("let_mode", f.LetMode).With("size_band", f.SizeBand).With("fitout", f.Fitout)
	}
	body := estimate{
		Period: period, Version: v.Version, EffectiveFrom: v.EffectiveFrom, Asked: f.CellID, AreaC: f.areaC, Cell: cell, From: cell.Area,
		Comparables: []guidance.Comparable{},
	}
	if cell.BorrowedFrom != "" {
		body.From = cell.BorrowedFrom
	}
	source := cell.CellID
	source.Area = body.From
	if found := v.Compared(source); len(found) >= comparablesLeast {
		body.Comparables = found
	} else {
		body.Withheld = comparesTooFew
	}
	if f.areaC > 0 {
		if body.Monthly, err = monthlyOf(cell.Prices, f.areaC); err != nil {
			return answer{}, errParameter.With("parameter", "area_c")
		}
	}
	return answer{body: body}, nil
}

func monthlyOf(p guidance.Prices, areaC int64) (*monthly, error) {
	var m monthly
	for _, x := range []struct {
		to *domain.Fen
		of domain.Fen
	}{{&m.P10, p.P10}, {&m.P25, p.P25}, {&m.Median, p.Median}, {&m.P75, p.P75}, {&m.P90, p.P90}} {
		var err error
		if *x.to, err = x.of.MulDiv(areaC, 100); err != nil { // Areas are in hundredths of a ㎡.
			return nil, err
		}
	}
	return &m, nil
}

// asked reads which home a request is about: a registered unit, or what is said of one.
func (s *Server) asked(ctx context.Context, c *call) (f flat, err error) {
	f.CellID = guidance.CellID{Area: c.query["area"], LetMode: c.query["let_mode"], SizeBand: c.query["size_band"], Fitout: c.query["fitout"]}
	f.areaC, _ = strconv.ParseInt(c.query["area_c"], 10, 64) // Its form was checked.
	if id := c.query["unit_id"]; id != "" {
		u, _, err := s.o.Desk.Unit(ctx, c.Actor, id, time.Time{})
		if err != nil {
			return f, err
		}
		f.Area, f.unit, f.Fitout = u.Home.Street, u.Home.ReportUnit, u.Home.Fitout
		if f.areaC == 0 && f.LetMode == "WHOLE" {
			f.areaC = u.Home.GrossAreaC
		}
	} else if err := f.place(s.o.Desk.City(), c.on()); err != nil {
		return f, err
	}
	switch {
	case f.areaC > 0:
		f.SizeBand = domain.Home{AreaC: f.areaC}.Bands().Size
	case f.SizeBand == "":
		return f, errParameter.With("parameter", "area_c")
	}
	return f, nil
}

// place finds the reporting unit of the area asked about.
func (f *flat) place(city *domain.City, on domain.Day) error {
	if f.Area == guidance.City {
		return nil
	}
	if street, ok := city.Street(f.Area, on); ok {
		f.unit = street.Unit
		return nil
	}
	if _, ok := city.Unit(f.Area); !ok {
		return errParameter.With("parameter", "area")
	}
	f.unit = f.Area
	return nil
}
