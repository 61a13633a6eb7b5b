package projections

import "context"

// Settling puts off what rows add beside themselves to the end of a batch, and says it once for all that happened to a row
// in it: most contracts are drafted, signed and filed within one batch. It is for effects that nobody reads in Apply and
// whose index entries are the row's alone (their keys name it): then only the first and the last state count, whatever
// the order of rows. Sums are so anyway.
type Settling[T any] struct {
	Effect func(T) Effect

	at  map[string]int
	all []settled[T]
}

type settled[T any] struct{ before, after T }

// Changed says that an event made of a row what it is after.
func (s *Settling[T]) Changed(key string, before, after T) {
	if i, again := s.at[key]; again {
		s.all[i].after = after
		return
	}
	if s.at == nil {
		s.at = map[string]int{}
	}
	s.at[key] = len(s.all)
	s.all = append(s.all, settled[T]{before, after})
}

// Settle writes it down. Apply MUST call it before it returns.
func (s *Settling[T]) Settle(ctx context.Context, v View) error {
	for i := range s.all {
		if err := s.Effect(s.all[i].after).Replace(ctx, v, s.Effect(s.all[i].before)); err != nil {
			return err
		}
	}
	return nil
}
