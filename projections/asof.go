package projections

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"zujian/domain"
	"zujian/eventstore"
)

// ErrTooWide means that more streams or events stand behind an entity than one question may replay.
var ErrTooWide = errors.New("projections: too much stands behind this to replay it")

// What one question may replay: the largest building, or the largest lessor, of a city.
const (
	asOfStreamsMax = 20_000
	asOfEventsMax  = 200_000
)

// AsOf builds a view in memory from the streams behind one entity alone, as the log had recorded them at an instant
// (StoredAt ≤ at). Its position is that of the last event in it; 0 when nothing was recorded yet.
//
// A view keeps only how things stand, so the answer to ?asOf is not read but made again, by the very Apply that keeps
// the view: the two can't tell different stories. It costs what the entity's own history is long. Figures over many
// entities would need the whole log, so they answer by business day only; published figures are vintages.
func AsOf(ctx context.Context, store eventstore.Store, types domain.Catalogue, p Projection, at time.Time, streams []string) (Reader, error) {
	if len(streams) > asOfStreamsMax {
		return nil, ErrTooWide
	}
	wants := newFilter(p.Types())
	var batch []Event
	for _, stream := range streams {
		for rec, err := range store.Stream(ctx, stream, 0) {
			if err != nil {
				return nil, fmt.Errorf("read %s as of %s: %w", stream, at, err)
			}
			if rec.StoredAt.After(at) {
				break
			}
			if !wants.wants(rec.Type) {
				continue
			}
			e, err := Decode(types, rec)
			if err != nil {
				return nil, err
			}
			if batch = append(batch, e); len(batch) > asOfEventsMax {
				return nil, ErrTooWide
			}
		}
	}
	slices.SortFunc(batch, func(a, b Event) int { return cmp.Compare(a.Position, b.Position) })
	var views Memory
	last := eventstore.Position(0)
	if len(batch) > 0 {
		last = batch[len(batch)-1].Position
	}
	err := views.Batch(ctx, p.Name(), p.Version(), 0, last, func(v View) error {
		if len(batch) == 0 {
			return nil
		}
		return apply(ctx, p, v, batch)
	})
	if err != nil {
		return nil, fmt.Errorf("replay %s as of %s: %w", p.Name(), at, err)
	}
	k := views.load(p.Name(), p.Version())
	return &memoryReader{root: k.root, position: k.checkpoint}, nil
}
