// Package watch composes the figures that the process of warnings judges, from the views that hold them. The views know
// nothing of each other; this is where they meet. A figure that a view cannot give on a day is a reading with its reason.
package watch

import (
	"context"
	"errors"
	"fmt"

	"zujian/api/desk"
	"zujian/domain"
	"zujian/domain/alert"
	"zujian/domain/party"
	"zujian/projections"
	"zujian/projections/guidance"
	"zujian/projections/housing"
	"zujian/projections/money"
	"zujian/projections/people"
	"zujian/projections/plan"
	"zujian/projections/process/warnings"
	"zujian/projections/rentindex"
)

// Figures implements warnings.Figures.
type Figures struct {
	Views projections.Views
	City  *domain.City
	Index rentindex.Projection
	Desk  *desk.Desk
	Wait  func(context.Context) error // Until the views of Reads know what the log holds now.
}

// Reads are the names of the views that figures come from.
func (f Figures) Reads() (names []string) {
	for _, p := range []projections.Projection{people.Projection{}, housing.Projection{}, money.Projection{}, plan.Projection{}, guidance.Projection{}, f.Index} {
		names = append(names, p.Name())
	}
	return names
}

var _ warnings.Figures = Figures{}

// all is the scope of the city.
var all = projections.Scope{All: true}

// reader collects one round's readings.
type reader struct {
	f    Figures
	book alert.Book
	day  domain.Day
	m    domain.Month // The last month that is over.
	out  []warnings.Reading
}

// Readings implements warnings.Figures.
func (f Figures) Readings(ctx context.Context, book alert.Book, day domain.Day) ([]warnings.Reading, error) {
	if err := f.Wait(ctx); err != nil {
		return nil, err
	}
	x := reader{f: f, book: book, day: day, m: day.Month() - 1}
	for _, read := range []func(context.Context) error{x.market, x.prices, x.guidance, x.plans, x.operators} {
		if err := read(ctx); err != nil {
			return nil, err
		}
	}
	return x.out, nil
}

// Exposure implements warnings.Figures.
func (f Figures) Exposure(ctx context.Context, operator string, day domain.Day) (alert.Exposure, projections.Made, error) {
	if err := f.Wait(ctx); err != nil {
		return alert.Exposure{}, projections.Made{}, err
	}
	e, made, err := f.Desk.Exposure(ctx, all, operator, day)
	return e, made, err
}

// read reads a view and says what was read.
func (x *reader) read(ctx context.Context, p projections.Projection, f func(r projections.Reader, made projections.Made) error) error {
	err := x.f.Views.Read(ctx, p.Name(), func(r projections.Reader) error { return f(r, projections.MadeBy(p, r)) })
	if err != nil {
		return fmt.Errorf("read %s: %w", p.Name(), err)
	}
	return nil
}

// add keeps a reading of an indicator, if the book computes it of such a subject.
func (x *reader) add(r warnings.Reading) {
	if i, ok := x.book.Indicator(r.Indicator); ok && i.AbsentEN == "" && i.Of(r.Subject.Kind) {
		x.out = append(x.out, r)
	}
}

// areas are the city and its reporting units.
func (x *reader) areas() []alert.Subject {
	out := []alert.Subject{{Kind: alert.City, ID: alert.City}}
	for _, u := range x.f.City.Units {
		out = append(out, alert.Subject{Kind: alert.Unit, ID: u.Code, District: u.Code})
	}
	return out
}

// operator is a company that lets.
type operator struct {
	alert.Subject
	portfolio housing.Portfolio
	before    housing.Portfolio // Three months ago.
}

// companies are the rental enterprises on record, with the district each is registered in.
func (x *reader) companies(ctx context.Context) (out []operator, err error) {
	err = x.read(ctx, people.Projection{}, func(r projections.Reader, _ projections.Made) error {
		for _, kind := range []string{party.OrgRentalEnterprise, party.OrgSubleaseOperator} {
			for page := (projections.Page{Limit: projections.LimitMax}); ; {
				list, next, err := people.Subjects(ctx, r, all, people.Filter{Kind: "ORG", OrgKind: kind, On: x.day}, page)
				if err != nil {
					return err
				}
				for _, s := range list {
					out = append(out, operator{Subject: alert.Subject{Kind: alert.Operator, ID: s.ID, District: s.Seat()}})
				}
				if page.Cursor = next; next == "" {
					break
				}
			}
		}
		return nil
	})
	return out, err
}

// unknown is true of a series that the model does not have.
func unknown(err error) bool {
	return errors.Is(err, rentindex.ErrUnknown) || errors.Is(err, rentindex.ErrQuery)
}
