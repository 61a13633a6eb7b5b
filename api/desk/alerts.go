package desk

import (
	"context"

	"zujian/domain"
	"zujian/domain/alert"
	"zujian/projections"
	"zujian/projections/alerts"
	"zujian/projections/housing"
	"zujian/projections/money"
	"zujian/projections/people"
)

// JudgeAlert gives an episode of an alert a regulator's verdict; a district judges what it sees.
func (d *Desk) JudgeAlert(ctx context.Context, call Call, id string, c alert.Judge) (Receipt, error) {
	seen := false
	err := d.o.Views.Read(ctx, alerts.Projection{}.Name(), func(r projections.Reader) (err error) {
		_, seen, err = alerts.Of(ctx, r, officer(call.Actor), id)
		return err
	})
	if err != nil {
		return Receipt{}, err
	}
	if !seen {
		return Receipt{}, ErrNotFound
	}
	return exec(ctx, d, call, alert.Decider, id, alert.Command(c))
}

// ReportMiss records a case that an indicator should have warned of. The subject's district is looked up here.
func (d *Desk) ReportMiss(ctx context.Context, call Call, indicator string, s alert.Subject, on domain.Day, note string) (string, Receipt, error) {
	book, ok := d.o.Books.On(domain.DayOf(call.At))
	i, known := book.Indicator(indicator)
	if indicator == alert.BlowUp { // It is made of others.
		i, known = alert.Indicator{ID: indicator, Dimension: "risk", Subjects: []string{alert.Operator}}, true
	}
	if !ok || !known {
		return "", Receipt{}, ErrInvalid.At("/indicator")
	}
	s, err := d.warned(ctx, s, domain.DayOf(call.At))
	if err != nil {
		return "", Receipt{}, err
	}
	if !alerts.Sees(officer(call.Actor), s) {
		return "", Receipt{}, ErrOutOfArea
	}
	id := alert.ID(indicator, s)
	r, err := exec(ctx, d, call, alert.Decider, id, alert.Command(alert.ReportMiss{Subject: s, Indicator: i, On: on, Note: note}))
	return id, r, err
}

// officer is the scope of a regulator.
func officer(a domain.Actor) projections.Scope {
	s := projections.Scope{All: a.Role == domain.RoleCity || a.Role == domain.RoleSystem}
	if a.Role == domain.RoleDistrict {
		s.District = a.Area
	}
	return s
}

// warned completes a subject with its district, or says that there is none.
func (d *Desk) warned(ctx context.Context, s alert.Subject, on domain.Day) (alert.Subject, error) {
	switch s.Kind {
	case alert.City:
		if s.ID == alert.City {
			return s, nil
		}
	case alert.Unit:
		if u, ok := d.o.City.Unit(s.ID); ok {
			s.District = u.Code
			return s, nil
		}
	case alert.Street:
		if street, ok := d.o.City.Street(s.ID, on); ok {
			s.District = street.Admin
			return s, nil
		}
	case alert.Operator:
		found := false
		err := d.o.Views.Read(ctx, people.Projection{}.Name(), func(r projections.Reader) error {
			p, ok, err := people.SubjectOf(ctx, r, projections.Scope{All: true}, s.ID, on)
			found, s.District = ok && p.OrgKind != "", p.Seat()
			return err
		})
		if found || err != nil {
			return s, err
		}
	}
	return s, ErrInvalid.At("/subject_id")
}

// Exposure is what an operator's break-down would hit on a day, of the contracts a scope sees (风险敞口).
func (d *Desk) Exposure(ctx context.Context, s projections.Scope, operator string, on domain.Day) (alert.Exposure, projections.Made, error) {
	var e alert.Exposure
	var p housing.Portfolio
	var made projections.Made
	err := d.o.Views.Read(ctx, housing.Projection{}.Name(), func(r projections.Reader) (err error) {
		p, err = housing.PortfolioOf(ctx, r, s, operator, on)
		return err
	})
	if err != nil {
		return e, made, err
	}
	homes, tenants := map[string]bool{}, map[string]bool{}
	e.Contracts, e.Owners = int64(len(p.Lettings)), int64(len(p.Owners))
	err = d.o.Views.Read(ctx, money.Projection{}.Name(), func(r projections.Reader) error {
		made = projections.MadeBy(money.Projection{}, r)
		for _, l := range p.Lettings {
			homes[l.Contract.Unit] = true
			for _, t := range l.Contract.Lessees {
				tenants[t] = true
			}
			h, ok, err := money.HoldingOf(ctx, r, l.Contract.ID, on)
			if err != nil {
				return err
			}
			if !ok {
				h.UnreceivedFen = l.Contract.DepositFen // Nothing of it is supervised.
			}
			e.DepositsFen, e.PrepaidFen = e.DepositsFen+h.DepositFen, e.PrepaidFen+h.PrepaidFen
			e.UnheldFen, e.OwnersFen = e.UnheldFen+h.UnreceivedFen, e.OwnersFen+h.OwnerUnpaidFen
		}
		boards, _, err := money.Boards(ctx, r, projections.Scope{All: true}, money.Judge{}, money.BoardParty, operator, on, projections.Page{Limit: projections.LimitMax})
		for _, b := range boards {
			e.ShortfallFen += b.ShortfallFen
		}
		return err
	})
	e.Homes, e.Tenants = int64(len(homes)), int64(len(tenants))
	return e, made, err
}
