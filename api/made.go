package api

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"zujian/projections"
)

// made says how an answer was made, so that it can be checked: which view stood at which position of the log, which
// lists hold the rows a figure counts (each row names its stream), and where an auditor reads the events themselves.
type made struct {
	projections.Made
	AsOf   time.Time         `json:"as_of,omitzero"` // What the log had recorded then, instead of what it knows now.
	Rows   map[string]string `json:"rows,omitempty"` // Figure → the list behind it.
	Events []string          `json:"events"`         // /v1/events: of the entity's streams, or of everything the view reads.
}

// linkedStreamsMax is how many streams an answer names one by one.
const linkedStreamsMax = 20

// madeBy describes an answer of p read from r; streams are those of the one entity it is about.
func madeBy(p projections.Projection, r projections.Reader, streams ...string) made {
	m := made{Made: projections.MadeBy(p, r), Events: []string{}}
	if len(streams) == 0 || len(streams) > linkedStreamsMax {
		m.Events = append(m.Events, fmt.Sprintf("/v1/events?view=%s&upto=%d", p.Name(), r.Position()))
		return m
	}
	for _, s := range streams {
		m.Events = append(m.Events, fmt.Sprintf("/v1/events?stream=%s&upto=%d", url.QueryEscape(s), r.Position()))
	}
	return m
}

// viewTypes are the event types a view reads; ok is false for an unknown one.
func (s *Server) viewTypes(name string) (types []string, ok bool) {
	for _, p := range s.o.Kept {
		if p.Name() == name {
			return p.Types(), true
		}
	}
	return nil, false
}

// entity answers with one row of a view, or as if there were none. With ?asOf the row is made again from the streams
// behind it as they were recorded at that instant; streams finds them in the view as it stands.
func entity[T any](ctx context.Context, s *Server, c *call, p projections.Projection,
	streams func(r projections.Reader) ([]string, error),
	read func(r projections.Reader) (T, bool, error), body func(row T, made made) any,
) (answer, error) {
	asOf, err := c.asOf()
	if err != nil {
		return answer{}, err
	}
	var a answer
	err = s.o.Views.Read(ctx, p.Name(), func(r projections.Reader) error {
		from, err := streams(r)
		if err != nil {
			return err
		}
		if !asOf.IsZero() {
			if _, ok, err := read(r); err != nil || !ok { // Who may not read now may not read what was.
				return orNotFound(err)
			}
			if r, err = projections.AsOf(ctx, s.o.Store, s.o.Catalogue, p, asOf, from); err != nil {
				return err
			}
		}
		row, ok, err := read(r)
		if err == nil && !ok {
			err = errNotFound
		}
		m := madeBy(p, r, from...)
		m.AsOf = asOf
		a.body = body(row, m)
		return err
	})
	if errors.Is(err, projections.ErrTooWide) {
		err = errParameter.With("parameter", "asOf")
	}
	return a, err
}

// streamOf is the one stream of an entity.
func streamOf(category, id string) func(projections.Reader) ([]string, error) {
	return func(projections.Reader) ([]string, error) { return []string{category + "-" + id}, nil }
}
