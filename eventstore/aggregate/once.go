package aggregate

import (
	"context"
	"sync"

	"zujian/domain"
)

// Once gives a context in which Load and Begin read each stream once, for a call that asks for the same aggregate again
// and again: a party's facts, then its mandate, a home, then its space. So a decision sees each as it stood at one moment,
// and an append that Begin leads to expects the stream where it was first seen. Whoever begins again after
// eventstore.ErrWrongRevision needs a new one. Execute and LoadAsOf read as ever.
func Once(ctx context.Context) context.Context {
	return context.WithValue(ctx, seenKey{}, &seen{})
}

// TakeAsNew has a context of [Once] take an aggregate for one without events, without a look. If it is there, an append that
// Begin leads to ends with eventstore.ErrWrongRevision, and whatever else was decided of it may be wrong.
func TakeAsNew[S, C any, E domain.Event](ctx context.Context, d domain.Decider[S, C, E], id string) {
	all, _ := ctx.Value(seenKey{}).(*seen)
	all.keep(d.Category, id, (*entry[S])(nil))
}

type seenKey struct{}

// seen is what was loaded, some ten streams. It is safe for concurrent use; nil keeps nothing.
type seen struct {
	mu   sync.Mutex
	all  []sight
	room [12]sight
}

type sight struct {
	category, id string
	entry        any // *entry[S] of the stream's decider.
}

func (s *seen) find(category, id string) any {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.all {
		if s.all[i].id == id && s.all[i].category == category {
			return s.all[i].entry
		}
	}
	return nil
}

func (s *seen) keep(category, id string, entry any) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all == nil {
		s.all = s.room[:0]
	}
	s.all = append(s.all, sight{category, id, entry})
}
