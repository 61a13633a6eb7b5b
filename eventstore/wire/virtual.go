package wire

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"sync"

	"zujian/eventstore"
)

const (
	categoryPrefix = "$ce-"
	typePrefix     = "$et-"

	virtualsMax = 32      // Indexes kept; the one longest unused is forgotten.
	entriesMax  = 1 << 20 // Positions an index keeps; then only every second, fourth, …
	gapMax      = 256     // Events read in vain before an index looks up where the next match is.
	backChunk   = 256     // Events read at once to be yielded backwards.
)

// categoryOf is the first part of a stream's name, "" if it has none. System streams have none.
func categoryOf(stream string) string {
	category, _, ok := strings.Cut(stream, "-")
	if !ok || strings.HasPrefix(stream, "$") {
		return ""
	}
	return category
}

// virtuals are the indexes of the virtual streams that were asked for.
type virtuals struct {
	mu   sync.Mutex
	list []*virtual // The last used is last.
}

// of returns the index of a virtual stream, or nil if the name is not of one.
func (vs *virtuals) of(stream string) *virtual {
	category, byCategory := strings.CutPrefix(stream, categoryPrefix)
	eventType, byType := strings.CutPrefix(stream, typePrefix)
	if !byCategory && !byType {
		return nil
	}
	vs.mu.Lock()
	defer vs.mu.Unlock()
	v := &virtual{stream: strings.Clone(stream), stride: 1}
	if i := slices.IndexFunc(vs.list, func(v *virtual) bool { return v.stream == stream }); i >= 0 {
		v = vs.list[i]
		vs.list = slices.Delete(vs.list, i, i+1)
	} else if len(vs.list) >= virtualsMax {
		vs.list = slices.Delete(vs.list, 0, 1)
	}
	vs.list = append(vs.list, v)
	if byCategory {
		v.match = func(r *eventstore.Recorded) bool { return category != "" && categoryOf(r.Stream) == category }
	} else {
		v.match = func(r *eventstore.Recorded) bool { return r.Type == eventType && eventType != typeLink }
	}
	return v
}

// virtual is the index of one: where each match, or every stride-th, is to be read from.
type virtual struct {
	stream string
	match  func(*eventstore.Recorded) bool

	mu     sync.Mutex
	at     eventstore.Position   // Everything up to here is counted.
	count  uint64                // Matches.
	after  []eventstore.Position // Position before match 0, stride, 2·stride, …
	stride uint64
}

// grow counts what has come since. It holds the index: who asks meanwhile wants the same.
func (v *virtual) grow(ctx context.Context, store eventstore.Store) (uint64, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for r, err := range store.All(ctx, v.at) {
		if err != nil {
			return v.count, fmt.Errorf("index %s: %w", v.stream, err)
		}
		if v.match(&r) {
			if v.count%v.stride == 0 {
				v.after = append(v.after, v.at)
			}
			v.count++
			v.thin()
		}
		v.at = r.Position
	}
	return v.count, nil
}

func (v *virtual) thin() {
	if len(v.after) <= entriesMax {
		return
	}
	kept := v.after[:0]
	for i := 0; i < len(v.after); i += 2 {
		kept = append(kept, v.after[i])
	}
	v.after, v.stride = kept, v.stride*2
}

func (v *virtual) window(ctx context.Context, store eventstore.Store) (window, error) {
	n, err := v.grow(ctx, store)
	return window{last: eventstore.Revision(n) - 1, gone: n == 0}, err
}

// lookup returns a place from which match n is read, and the number of the first match there.
func (v *virtual) lookup(n uint64) (after eventstore.Position, number, stride uint64) {
	v.mu.Lock()
	defer v.mu.Unlock()
	i := n / v.stride
	return v.after[i], i * v.stride, v.stride
}

// read yields links to the matches from number from (included) to to (excluded, at most the count).
func (v *virtual) read(ctx context.Context, store eventstore.Store, from, to eventstore.Revision, yield func(eventstore.Recorded) error) error {
	for next := from; next < to; {
		after, number, stride := v.lookup(uint64(next))
		gap, jump := 0, false
		for r, err := range store.All(ctx, after) {
			if err != nil {
				return fmt.Errorf("read %s: %w", v.stream, err)
			}
			if !v.match(&r) {
				gap++
				if jump = gap > gapMax && number == uint64(next) && number%stride == 0; jump {
					break // The index knows where the next one is.
				}
				continue
			}
			if eventstore.Revision(number) == next {
				if err := yield(v.link(&r, next)); err != nil {
					return err
				}
				if next++; next == to {
					return nil
				}
			}
			number++
			gap = 0
		}
		if !jump {
			return fmt.Errorf("read %s: the log ends before number %d", v.stream, next)
		}
	}
	return nil
}

func (v *virtual) readBack(ctx context.Context, store eventstore.Store, from eventstore.Revision, yield func(eventstore.Recorded) error) error {
	for to := from + 1; to > 0; to -= backChunk {
		var chunk []eventstore.Recorded
		err := v.read(ctx, store, max(to-backChunk, 0), to, func(r eventstore.Recorded) error {
			chunk = append(chunk, r)
			return nil
		})
		if err != nil {
			return err
		}
		for _, r := range slices.Backward(chunk) {
			if err := yield(r); err != nil {
				return err
			}
		}
	}
	return nil
}

// link is the event of the virtual stream that stands for a match.
func (v *virtual) link(r *eventstore.Recorded, number eventstore.Revision) eventstore.Recorded {
	sum := sha256.Sum256(append(append([]byte(v.stream), 0), r.ID[:]...))
	l := eventstore.Recorded{
		NewEvent: eventstore.NewEvent{ID: [16]byte(sum[:]), Type: typeLink, Data: linkTo(r), Binary: true, Meta: eventstore.Metadata{Outside: true}},
		Stream:   v.stream, Revision: number, Position: r.Position, Ordinal: r.Ordinal, StoredAt: r.StoredAt,
	}
	l.ID[6], l.ID[8] = l.ID[6]&0x0f|0x50, l.ID[8]&0x3f|0x80
	return l
}
