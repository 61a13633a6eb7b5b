package api

import (
	"context"

	"zujian/domain"
	"zujian/projections"
	"zujian/projections/housing"
	"zujian/projections/people"
)

// subject is one party's file as a reader may see it: the sealed fields stay behind, the name comes opened or masked.
type subject struct {
	people.Subject
	Name string `json:"name"`
	Made *made  `json:"made,omitempty"` // Absent in lists: the page has it.
}

// shown takes the sealed fields out and puts the name in, in full for oneself and of organisations.
func (s *Server) shown(ctx context.Context, a domain.Actor, sub people.Subject) (subject, error) {
	name := sub.OrgName
	if name == "" {
		var err error
		if name, err = s.o.Desk.OpenName(ctx, sub.ID, sub.Name, a.Party == sub.ID); err != nil {
			return subject{}, err
		}
	}
	sub.Name, sub.DocNo, sub.DocIndex, sub.Phone = "", "", "", ""
	return subject{Subject: sub, Name: name}, nil
}

func viewSubject(ctx context.Context, s *Server, c *call) (answer, error) {
	id := c.path("party")
	a, err := entity(ctx, s, c, people.Projection{}, func(r projections.Reader) ([]string, error) {
		return s.subjectStreams(ctx, r, c, id)
	}, func(r projections.Reader) (people.Subject, bool, error) {
		return people.SubjectOf(ctx, r, scopeOf(c.Call), id, c.on())
	}, func(sub people.Subject, m made) any { return subject{Subject: sub, Made: &m} })
	if err != nil {
		return answer{}, err
	}
	row, _ := a.body.(subject)
	out, err := s.shown(ctx, c.Actor, row.Subject)
	out.Made = row.Made
	return answer{body: out}, err
}

// subjectStreams are all streams that made a party's file: its own, its practitioners' and, for ?asOf alone, those of
// its contracts and their ledgers.
func (s *Server) subjectStreams(ctx context.Context, r projections.Reader, c *call, id string) ([]string, error) {
	streams, err := people.SubjectStreams(ctx, r, id)
	if err != nil || c.query["asOf"] == "" {
		return streams, err
	}
	err = s.o.Views.Read(ctx, housing.Projection{}.Name(), func(h projections.Reader) error {
		for contract, err := range housing.ContractsOf(ctx, h, id) {
			if err != nil {
				return err
			}
			streams = append(streams, "contract-"+contract, "escrow-"+contract)
		}
		return nil
	})
	return streams, err
}

func viewSubjects(ctx context.Context, s *Server, c *call) (answer, error) {
	f := people.Filter{
		Kind: c.query["kind"], OrgKind: c.query["org_kind"], District: c.query["district"], OpeningState: c.query["opening_state"], On: c.on(),
	}
	return listView(ctx, s, c, people.Projection{}, func(r projections.Reader, scope projections.Scope, p projections.Page) ([]subject, string, error) {
		rows, next, err := people.Subjects(ctx, r, scope, f, p)
		if err != nil {
			return nil, "", err
		}
		out := make([]subject, 0, len(rows))
		for _, row := range rows {
			one, err := s.shown(ctx, c.Actor, row)
			if err != nil {
				return nil, "", err
			}
			out = append(out, one)
		}
		return out, next, nil
	})
}

// rosterRow is one practitioner; the sealed name comes masked.
type rosterRow struct {
	people.Practitioner
	Name string `json:"name"`
}

func readRoster(ctx context.Context, s *Server, c *call) (answer, error) {
	id := c.path("id")
	return listView(ctx, s, c, people.Projection{}, func(r projections.Reader, scope projections.Scope, p projections.Page) ([]rosterRow, string, error) {
		if _, ok, err := people.SubjectOf(ctx, r, scope, id, c.on()); err != nil || !ok {
			return nil, "", orNotFound(err)
		}
		rows, next, err := people.Practitioners(ctx, r, scope, id, domain.DayOf(c.At), p)
		if err != nil {
			return nil, "", err
		}
		out := make([]rosterRow, 0, len(rows))
		for _, row := range rows {
			name, err := s.o.Desk.OpenName(ctx, row.Party, row.Name, false)
			if err != nil {
				return nil, "", err
			}
			row.Name = ""
			out = append(out, rosterRow{row, name})
		}
		return out, next, nil
	})
}
