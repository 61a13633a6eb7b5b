package rentindex

import (
	"context"
	"sync"

	"zujian/eventstore"
	"zujian/projections"
)

const solvedMax = 64 // Series kept of one position, some 20 KiB each: all areas of a city by a method or two.

// Solved keeps the series that were solved at the position where the view stands, so that who asks the same again is not
// solved for again, nor who asks at the same moment. A series is a function of the view's rows, which are one of its
// version and position, and of the query: the answer is the one that Series would give, bit for bit. When the view moves
// on nothing is kept. The zero Solved is empty and ready.
type Solved struct {
	mu   sync.Mutex
	at   standing
	kept map[Query]*solved
}

// standing names the rows of a view: a rebuilt one has another slot.
type standing struct {
	slot     int
	position eventstore.Position
}

type solved struct {
	mu  sync.Mutex // Held while it is solved.
	res *Result
}

// Series is that of the view as readers see it. The result is shared: nobody may change it.
func (s *Solved) Series(ctx context.Context, views projections.Views, p Projection, q Query) (res *Result, err error) {
	slot, of, err := where(ctx, views, p)
	if err != nil {
		return nil, err
	}
	err = views.Read(ctx, p.Name(), func(r projections.Reader) error {
		again, parts, err := where(ctx, views, p)
		if err != nil {
			return err
		}
		if again != slot || of > 1 || parts > 1 { // Readers change over to another right now, or parts stand where each stands.
			res, err = p.Series(ctx, r, q)
			return err
		}
		one := s.slot(standing{slot, r.Position()}, q)
		one.mu.Lock()
		defer one.mu.Unlock()
		if one.res == nil {
			one.res, err = p.Series(ctx, r, q)
		}
		res = one.res
		return err
	})
	return res, err
}

// where says which rows readers see: of which slot, and in how many parts.
func where(ctx context.Context, views projections.Views, p Projection) (slot, of int, err error) {
	if of, err = projections.ReadParts(ctx, views, p.Name()); err == nil {
		slot, err = views.Active(ctx, p.Name())
	}
	return slot, of, err
}

// slot finds or makes the place of an answer. Who reads an older snapshot than was read already gets a place of its own.
func (s *Solved) slot(at standing, q Query) *solved {
	s.mu.Lock()
	defer s.mu.Unlock()
	if at.slot == s.at.slot && at.position < s.at.position {
		return &solved{}
	}
	if at != s.at || len(s.kept) >= solvedMax && s.kept[q] == nil {
		s.at, s.kept = at, map[Query]*solved{}
	}
	one := s.kept[q]
	if one == nil {
		one = &solved{}
		s.kept[q] = one
	}
	return one
}
