package storetest

import (
	"errors"
	"fmt"
	"testing"

	"zujian/eventstore"
)

// Reopen holds a durable store to what must survive closing. open opens the folder dir, made new for each law and
// given again for the same data; the store it returns has a Close method, which the law calls.
func Reopen(t *testing.T, open func(tb testing.TB, dir string) eventstore.Store) {
	for _, law := range []struct {
		name string
		run  func(*testing.T, func() eventstore.Store)
	}{
		{"everything is there again, unchanged", reopenSame},
		{"numbers go on where they ended", reopenGoesOn},
		{"an empty store opens again", reopenEmpty},
		{"a repeat is recognised after reopening", reopenRepeat},
	} {
		t.Run(law.name, func(t *testing.T) {
			dir := t.TempDir()
			law.run(t, func() eventstore.Store { return open(t, dir) })
		})
	}
}

func reopenSame(t *testing.T, open func() eventstore.Store) {
	s := open()
	for n := range 60 {
		mustAppend(t, s, fmt.Sprintf("contract-%d", n%7), eventstore.AnyRevision, Events(n*3, n*3+1+n%3)...)
	}
	want := CheckLog(t, s)
	for range 3 {
		shut(t, s)
		s = open()
		if d := Diff(want, CheckLog(t, s)); d != "" {
			t.Fatalf("after reopening (-want +got):\n%s", d)
		}
	}
	shut(t, s)
}

func reopenGoesOn(t *testing.T, open func() eventstore.Store) {
	next := map[string]int{}
	for round := range 5 {
		s := open()
		for n := range 20 {
			stream := fmt.Sprintf("contract-%d", n%3)
			if _, err := s.Append(t.Context(), stream, eventstore.Revision(next[stream]), Event(99999)); !errors.Is(err, eventstore.ErrWrongRevision) {
				t.Fatalf("ahead of %s: got %v, want ErrWrongRevision", stream, err)
			}
			mustAppend(t, s, stream, eventstore.Revision(next[stream]-1), Event(round*100+n))
			next[stream]++
		}
		if got := CheckLog(t, s); len(got) != (round+1)*20 {
			t.Fatalf("round %d: got %d events", round, len(got))
		}
		shut(t, s)
	}
}

func reopenEmpty(t *testing.T, open func() eventstore.Store) {
	for range 3 {
		s := open()
		emptyStore(t, s)
		shut(t, s)
	}
	s := open()
	mustAppend(t, s, "contract-1", eventstore.NoStream, Event(0))
	shut(t, s)
}

func reopenRepeat(t *testing.T, open func() eventstore.Store) {
	s := open()
	first := mustAppend(t, s, "contract-1", eventstore.NoStream, Events(0, 3)...)
	mustAppend(t, s, "contract-1", 2, Event(3))
	shut(t, s)
	s = open()
	for _, at := range []eventstore.Revision{eventstore.NoStream, eventstore.AnyRevision} {
		if got := mustAppend(t, s, "contract-1", at, Events(0, 3)...); got != first {
			t.Fatalf("repeat at %d: got %+v, want %+v", at, got, first)
		}
	}
	wantStream(t, s, "contract-1", Events(0, 4)...)
	shut(t, s)
}
