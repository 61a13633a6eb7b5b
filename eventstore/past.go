package eventstore

import (
	"context"
	"errors"
	"iter"
)

// ErrPast means a write to a Past: what happened does not change.
var ErrPast = errors.New("eventstore: the past takes no writes")

// Past shows a log's streams as they stood after an event, and moves forward event by event. Whoever reads the log in
// order and tells it each event decides on the state each decision was made on. Only Stream looks back; the other
// readings are the log's own. It is not safe for concurrent use with Move.
type Past struct {
	Store
	last map[string]Revision
}

// NewPast stands before the first event of a log.
func NewPast(log Store) *Past { return &Past{Store: log, last: map[string]Revision{}} }

// Move goes on past one event. Events MUST come in the log's order, none left out.
func (p *Past) Move(e Recorded) { p.last[e.Stream] = e.Revision }

// Stream yields the events of a stream up to where the past stands.
func (p *Past) Stream(ctx context.Context, stream string, from Revision) iter.Seq2[Recorded, error] {
	last, seen := p.last[stream]
	return func(yield func(Recorded, error) bool) {
		if !seen || from > last {
			return
		}
		for e, err := range p.Store.Stream(ctx, stream, from) {
			if !yield(e, err) || err != nil || e.Revision >= last {
				return
			}
		}
	}
}

// Append refuses.
func (p *Past) Append(context.Context, string, Revision, ...NewEvent) (Appended, error) {
	return Appended{}, ErrPast
}
