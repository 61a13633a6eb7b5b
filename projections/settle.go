package projections

import (
	"context"
	"reflect"
	"sync"
)

// Settling puts off what rows add beside themselves to the end of a batch, and says it once for all that happened to a row
// in it: most contracts are drafted, signed and filed within one batch. It is for effects that nobody reads in Apply and
// whose index entries are the row's alone (their keys name it): then only the first and the last state count, whatever
// the order of rows. Sums are so anyway.
type Settling[T any] struct {
	Effect func(T) Effect

	rows *settledRows[T] // nil before the first change.
}

// settledRows are the rows of a batch, as they first came.
type settledRows[T any] struct {
	at  map[string]int
	all []settled[T]
}

type settled[T any] struct{ before, after T }

// Changed says that an event made of a row what it is after.
func (s *Settling[T]) Changed(key string, before, after T) {
	if s.rows == nil {
		s.rows = settlings[T]().Get().(*settledRows[T])
	}
	r := s.rows
	if i, again := r.at[key]; again {
		r.all[i].after = after
		return
	}
	r.at[key] = len(r.all)
	r.all = append(r.all, settled[T]{before, after})
}

// Settle writes it down. Apply MUST call it before it returns.
func (s *Settling[T]) Settle(ctx context.Context, v View) error {
	if s.rows == nil {
		return nil
	}
	r := s.rows
	for i := range r.all {
		if err := s.Effect(r.all[i].after).Replace(ctx, v, s.Effect(r.all[i].before)); err != nil {
			return err
		}
	}
	s.rows = nil
	if len(r.all) <= settlingMost { // Emptying a large map costs what it ever held.
		clear(r.at)
		clear(r.all)
		r.all = r.all[:0]
		settlings[T]().Put(r)
	}
	return nil
}

const settlingMost = 1 << 10 // Rows of a batch in service, whose memory serves the next.

var settlingPools sync.Map // Of the types of rows: reflect.Type → *sync.Pool of *settledRows.

// settlings is memory for the changes of rows of a type.
func settlings[T any]() *sync.Pool {
	t := reflect.TypeFor[T]()
	p, ok := settlingPools.Load(t)
	if !ok {
		p, _ = settlingPools.LoadOrStore(t, &sync.Pool{New: func() any { return &settledRows[T]{at: map[string]int{}} }})
	}
	return p.(*sync.Pool)
}
