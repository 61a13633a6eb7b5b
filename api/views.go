package api

import (
	"context"
	"errors"

	"zujian/domain"
	"zujian/projections"
	"zujian/projections/money"
)

// page is a list answer: rows, the next page, and how the view stood.
type page[T any] struct {
	Items      []T    `json:"items"`
	NextCursor string `json:"next_cursor,omitempty"`
	Made       made   `json:"made"`
}

// listView answers one page of a view. The cursor of the view is sealed for this caller and question.
func listView[T any](ctx context.Context, s *Server, c *call, p projections.Projection,
	read func(r projections.Reader, scope projections.Scope, page projections.Page) ([]T, string, error),
) (answer, error) {
	cursor, err := s.unseal(c)
	if err != nil {
		return answer{}, err
	}
	body := page[T]{Items: []T{}}
	next := ""
	err = s.o.Views.Read(ctx, p.Name(), func(r projections.Reader) error {
		rows, after, err := read(r, scopeOf(c.Call), projections.Page{Limit: c.limit(), Cursor: cursor})
		if err != nil {
			return err
		}
		body.Items, body.Made, next = append(body.Items, rows...), madeBy(p, r), after
		return nil
	})
	if errors.Is(err, projections.ErrCursor) {
		return answer{}, errCursor
	}
	if next != "" {
		next = s.seal(c, next)
		body.NextCursor = next
	}
	return answer{body: body, next: next}, err
}

// figures answers with figures over many rows. They answer by business day (?on), never ?asOf: see projections.AsOf.
func figures[T any](ctx context.Context, s *Server, p projections.Projection,
	read func(r projections.Reader) (T, bool, error), body func(row T, made made) any,
) (answer, error) {
	var a answer
	err := s.o.Views.Read(ctx, p.Name(), func(r projections.Reader) error {
		row, ok, err := read(r)
		if err == nil && !ok {
			err = errNotFound
		}
		a.body = body(row, madeBy(p, r))
		return err
	})
	return a, err
}

func viewLedger(ctx context.Context, s *Server, c *call) (answer, error) {
	id := c.path("contract")
	return entity(ctx, s, c, money.Projection{}, streamOf("escrow", id), func(r projections.Reader) (money.Ledger, bool, error) {
		return money.LedgerOf(ctx, r, scopeOf(c.Call), id)
	}, func(l money.Ledger, m made) any {
		return struct {
			money.Ledger
			Made made `json:"made"`
		}{l, m}
	})
}

func viewPostings(ctx context.Context, s *Server, c *call) (answer, error) {
	return listView(ctx, s, c, money.Projection{}, func(r projections.Reader, scope projections.Scope, p projections.Page) ([]money.Entry, string, error) {
		if _, ok, err := money.LedgerOf(ctx, r, scope, c.path("contract")); err != nil || !ok {
			return nil, "", orNotFound(err)
		}
		return money.Postings(ctx, r, scope, c.path("contract"), p)
	})
}

func orNotFound(err error) error {
	if err != nil {
		return err
	}
	return errNotFound
}

func viewLedgers(ctx context.Context, s *Server, c *call) (answer, error) {
	f := money.Filter{Party: c.query["party_id"], District: c.query["district"], State: c.query["state"]}
	if c.query["on"] != "" {
		f.On = c.on()
	}
	return listView(ctx, s, c, money.Projection{}, func(r projections.Reader, scope projections.Scope, p projections.Page) ([]money.Ledger, string, error) {
		return money.Ledgers(ctx, r, scope, f, p)
	})
}

func viewReleasesDue(ctx context.Context, s *Server, c *call) (answer, error) {
	return listView(ctx, s, c, money.Projection{}, func(r projections.Reader, scope projections.Scope, p projections.Page) ([]money.Due, string, error) {
		return money.ReleasesDue(ctx, r, scope, c.on(), p)
	})
}

func viewBoards(ctx context.Context, s *Server, c *call) (answer, error) {
	judge, err := s.judge(ctx)
	if err != nil {
		return answer{}, err
	}
	return listView(ctx, s, c, money.Projection{}, func(r projections.Reader, scope projections.Scope, p projections.Page) ([]money.Board, string, error) {
		return money.Boards(ctx, r, scope, judge, c.query["kind"], c.query["id"], c.on(), p)
	})
}

// judge is what boards of money are judged by now.
func (s *Server) judge(ctx context.Context) (money.Judge, error) {
	policy, err := s.o.Desk.Policy(ctx)
	return money.Judge{Policy: policy, Books: s.o.Desk.Books()}, err
}

func listStatements(ctx context.Context, s *Server, c *call) (answer, error) {
	bank := c.query["bank_id"]
	if c.Actor.Role == domain.RoleBank {
		bank = c.Actor.Party
	}
	return listView(ctx, s, c, money.Projection{}, func(r projections.Reader, scope projections.Scope, p projections.Page) ([]money.Day, string, error) {
		return money.Statements(ctx, r, scope, bank, c.query["open"] == "true", p)
	})
}
