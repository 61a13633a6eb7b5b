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

// settledRows are the rows of a batch, as they first came. They stand in blocks, so that they are never moved: a large batch
// has tens of MB of them.
type settledRows[T any] struct {
	at     map[string]*settled[T]
	blocks [][]settled[T]
	n      int
}

const settledBlock = 64

type settled[T any] struct{ before, after T }

// add makes room for one more.
func (r *settledRows[T]) add() *settled[T] {
	block, i := r.n/settledBlock, r.n%settledBlock
	if block == len(r.blocks) {
		r.blocks = append(r.blocks, make([]settled[T], settledBlock))
	}
	r.n++
	return &r.blocks[block][i]
}

// all yields them in order.
func (r *settledRows[T]) all(yield func(*settled[T]) bool) {
	for i := range r.n {
		if !yield(&r.blocks[i/settledBlock][i%settledBlock]) {
			return
		}
	}
}

// Changed says that an event made of a row what it is after.
func (s *Settling[T]) Changed(key string, before, after T) {
	if s.rows == nil {
		s.rows = settlings[T]().Get().(*settledRows[T])
	}
	if x, again := s.rows.at[key]; again {
		x.after = after
		return
	}
	x := s.rows.add()
	x.before, x.after = before, after
	s.rows.at[key] = x
}

// Settle writes it down. Apply MUST call it before it returns.
func (s *Settling[T]) Settle(ctx context.Context, v View) error {
	r := s.rows
	if r == nil {
		return nil
	}
	t := tallies.Get().(*tally)
	for x := range r.all {
		s.Effect(x.after).replace(v, s.Effect(x.before), t)
	}
	if err := t.settle(ctx, v); err != nil {
		return err
	}
	s.rows = nil
	for x := range r.all {
		*x = settled[T]{}
	}
	if r.n > settlingMost { // Emptying a large map costs what it ever held.
		r.at = map[string]*settled[T]{}
	}
	clear(r.at)
	r.n = 0
	settlings[T]().Put(r)
	return nil
}

const settlingMost = 1 << 10 // Rows of a batch in service.

var settlingPools sync.Map // Of the types of rows: reflect.Type → *sync.Pool of *settledRows.

// settlings is memory for the changes of rows of a type.
func settlings[T any]() *sync.Pool {
	t := reflect.TypeFor[T]()
	p, ok := settlingPools.Load(t)
	if !ok {
		p, _ = settlingPools.LoadOrStore(t, &sync.Pool{New: func() any { return &settledRows[T]{at: map[string]*settled[T]{}} }})
	}
	return p.(*sync.Pool)
}
