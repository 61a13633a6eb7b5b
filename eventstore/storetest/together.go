package storetest

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"zujian/eventstore"
)

// inParts is the store if it appends to several streams at once; of one that can't, these laws say nothing.
func inParts(t *testing.T, s eventstore.Store) eventstore.Together {
	t.Helper()
	together, ok := s.(eventstore.Together)
	if !ok {
		t.Skip("this store appends to one stream at a time")
	}
	return together
}

func part(stream string, expected eventstore.Revision, from, to int) eventstore.Part {
	return eventstore.Part{Stream: stream, Expected: expected, Events: Events(from, to)}
}

func partsWritten(t *testing.T, s eventstore.Store) {
	together := inParts(t, s)
	mustAppend(t, s, "b-1", eventstore.NoStream, Event(0))
	got, err := together.AppendTogether(t.Context(), part("a-1", eventstore.NoStream, 1, 3), part("b-1", 0, 3, 4), part("a-1", 1, 4, 5))
	if err != nil || len(got) != 3 || got[0].Revision != 1 || got[1].Revision != 1 || got[2].Revision != 2 {
		t.Fatalf("three parts: %+v, %v", got, err)
	}
	all := CheckLog(t, s)
	var order []string
	for i, r := range all {
		if r.ID != Event(i).ID {
			t.Errorf("event %d of the log is another", i)
		}
		order = append(order, r.Stream)
	}
	if want := []string{"b-1", "a-1", "a-1", "b-1", "a-1"}; !slices.Equal(order, want) {
		t.Errorf("the log is of %v, want %v", order, want)
	}
	for i, last := range []int{2, 3, 4} {
		if got[i].Position != all[last].Position {
			t.Errorf("part %d ends at %d, its last event is at %d", i, got[i].Position, all[last].Position)
		}
	}
}

func partsRefused(t *testing.T, s eventstore.Store) {
	together := inParts(t, s)
	mustAppend(t, s, "b-1", eventstore.NoStream, Events(0, 2)...)
	for _, c := range []struct {
		stream           string
		expected, actual eventstore.Revision
		parts            []eventstore.Part
	}{
		{"b-1", 0, 1, []eventstore.Part{part("a-1", eventstore.NoStream, 2, 3), part("b-1", 0, 3, 4)}},
		{"b-1", 2, 1, []eventstore.Part{part("a-1", eventstore.NoStream, 2, 3), part("b-1", 2, 3, 4)}},
		{"a-1", eventstore.NoStream, 0, []eventstore.Part{part("a-1", eventstore.NoStream, 2, 3), part("a-1", eventstore.NoStream, 3, 4)}},
		{"a-1", 3, -1, []eventstore.Part{part("a-1", 3, 2, 3), part("b-1", 1, 3, 4)}},
		{"b-1", 0, 1, []eventstore.Part{part("b-1", 0, 1, 2), part("a-1", eventstore.NoStream, 2, 3)}}, // Its first part is there already.
	} {
		_, err := together.AppendTogether(t.Context(), c.parts...)
		wantWrong(t, err, c.stream, c.expected, c.actual)
		wantStream(t, s, "a-1")
		wantStream(t, s, "b-1", Events(0, 2)...)
	}
	mustAppend(t, s, "a-1", eventstore.NoStream, Event(9)) // What was refused left no trace.
	mustAppend(t, s, "b-1", 1, Event(8))
	CheckLog(t, s)
}

func partsInvalid(t *testing.T, s eventstore.Store) {
	together := inParts(t, s)
	many := make([]eventstore.Part, eventstore.PartsMax+1)
	for i := range many {
		many[i] = part("a-1", eventstore.Revision(i-1), i, i+1)
	}
	for name, parts := range map[string][]eventstore.Part{
		"none": nil, "too many": many,
		"no events":       {part("a-1", eventstore.NoStream, 0, 1), part("b-1", eventstore.NoStream, 1, 1)},
		"any revision":    {part("a-1", eventstore.AnyRevision, 0, 1)},
		"too many events": {part("a-1", eventstore.NoStream, 0, eventstore.AppendMax), part("b-1", eventstore.NoStream, 600, 601)},
	} {
		if _, err := together.AppendTogether(t.Context(), parts...); !errors.Is(err, eventstore.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := together.AppendTogether(t.Context(), many[:eventstore.PartsMax]...); err != nil {
		t.Errorf("as many as may be: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := together.AppendTogether(ctx, part("c-1", eventstore.NoStream, 50, 51)); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	wantStream(t, s, "c-1")
}

// partsRace has writers of pairs and writers of single events on few streams, beside a reader who must never see half a pair.
func partsRace(t *testing.T, s eventstore.Store) {
	together := inParts(t, s)
	const writers, each = 6, 40
	streams := []string{"a-1", "b-1", "c-1"}
	var next atomic.Int64
	var done atomic.Bool
	half := func(all []eventstore.Recorded) bool {
		seen := map[[16]byte]int{}
		for _, r := range all {
			if r.Type == "test.paired" {
				seen[[16]byte(r.Data)]++
			}
		}
		for _, n := range seen {
			if n != 2 {
				return true
			}
		}
		return false
	}
	var read, write sync.WaitGroup
	read.Go(func() {
		for !done.Load() {
			if half(Collect(t, s.All(t.Context(), 0))) {
				t.Error("somebody saw half of an append")
				return
			}
		}
	})
	for w := range writers {
		write.Go(func() {
			for range each {
				n := int(next.Add(2))
				a, b := Event(n), Event(n+1)
				a.Type, b.Type = "test.paired", "test.paired"
				a.Data, b.Data = append([]byte(nil), a.ID[:]...), append([]byte(nil), a.ID[:]...)
				for tries := 1; ; tries++ {
					x, y := streams[(w+n)%3], streams[(w+n+1)%3]
					at := func(stream string) eventstore.Revision { return eventstore.Revision(len(streamIDs(t, s, stream)) - 1) }
					var err error
					if w == 0 {
						_, err = s.Append(t.Context(), x, at(x), Event(n))
					} else {
						_, err = together.AppendTogether(t.Context(), eventstore.Part{Stream: x, Expected: at(x), Events: []eventstore.NewEvent{a}},
							eventstore.Part{Stream: y, Expected: at(y), Events: []eventstore.NewEvent{b}})
					}
					if err == nil {
						break
					}
					if !errors.Is(err, eventstore.ErrWrongRevision) || tries == 10_000 {
						t.Error(err)
						return
					}
				}
			}
		})
	}
	write.Wait()
	done.Store(true)
	read.Wait()
	if all := CheckLog(t, s); len(all) != each+2*each*(writers-1) || half(all) {
		t.Errorf("%d events, want %d", len(all), each+2*each*(writers-1))
	}
}
