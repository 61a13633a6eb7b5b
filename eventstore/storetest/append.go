package storetest

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"zujian/eventstore"
)

func emptyStore(t *testing.T, s eventstore.Store) {
	if all := Collect(t, s.All(t.Context(), 0)); len(all) != 0 {
		t.Fatalf("all: got %v", all)
	}
	for _, from := range []eventstore.Revision{0, 1, 1 << 40} {
		if got := Collect(t, s.Stream(t.Context(), "contract-1", from)); len(got) != 0 {
			t.Fatalf("stream from %d: got %v", from, got)
		}
	}
}

func readBack(t *testing.T, s eventstore.Store) {
	a := mustAppend(t, s, "contract-1", eventstore.NoStream, Events(0, 3)...)
	b := mustAppend(t, s, "unit-1", eventstore.NoStream, Event(3))
	if a.Revision != 2 || b.Revision != 0 || b.Position <= a.Position || a.Position == 0 {
		t.Fatalf("got ends %+v and %+v", a, b)
	}
	got := CheckLog(t, s)
	if len(got) != 4 {
		t.Fatalf("got %d events, want 4", len(got))
	}
	var want []eventstore.Recorded
	for i, e := range Events(0, 4) {
		r := eventstore.Recorded{
			NewEvent: e, Stream: "contract-1", Revision: eventstore.Revision(i), Ordinal: uint64(i),
			Position: got[i].Position, StoredAt: got[i].StoredAt, // The store's own.
		}
		if i == 3 {
			r.Stream, r.Revision = "unit-1", 0
		}
		if r.StoredAt.IsZero() || r.StoredAt.Location() != time.UTC || r.StoredAt.Nanosecond()%1000 != 0 {
			t.Fatalf("recorded time %v is not UTC in whole microseconds", r.StoredAt)
		}
		want = append(want, r)
	}
	if d := Diff(want, got); d != "" {
		t.Fatalf("all (-want +got):\n%s", d)
	}
	if got[2].Position != a.Position || got[3].Position != b.Position {
		t.Fatalf("appends ended at %d and %d, events are at %d and %d", a.Position, b.Position, got[2].Position, got[3].Position)
	}
}

func readFrom(t *testing.T, s eventstore.Store) {
	mustAppend(t, s, "contract-2", eventstore.NoStream, Event(900))
	mustAppend(t, s, "contract-1", eventstore.NoStream, Events(0, 300)...)
	mustAppend(t, s, "contract-10", eventstore.NoStream, Event(901))
	whole := Collect(t, s.Stream(t.Context(), "contract-1", 0))
	for _, from := range []int{-5, 0, 1, 150, 255, 256, 257, 299, 300, 1000} {
		want := whole[min(max(from, 0), 300):]
		if d := Diff(want, Collect(t, s.Stream(t.Context(), "contract-1", eventstore.Revision(from)))); d != "" {
			t.Fatalf("from %d (-want +got):\n%s", from, d)
		}
	}
}

func readAfter(t *testing.T, s eventstore.Store) {
	for n := range 40 {
		mustAppend(t, s, "contract-1", eventstore.Revision(n*5-1), Events(n*5, n*5+5)...)
	}
	all := CheckLog(t, s)
	for i, r := range all {
		if d := Diff(all[i+1:], Collect(t, s.All(t.Context(), r.Position))); d != "" {
			t.Fatalf("after position %d (-want +got):\n%s", r.Position, d)
		}
	}
	if got := Collect(t, s.All(t.Context(), 1<<62)); len(got) != 0 {
		t.Fatalf("after the end: got %d events", len(got))
	}
}

func expectedRevision(t *testing.T, s eventstore.Store) {
	_, err := s.Append(t.Context(), "contract-1", 0, Event(0))
	wantWrong(t, err, "contract-1", 0, eventstore.NoStream)
	mustAppend(t, s, "contract-1", eventstore.NoStream, Events(0, 2)...)
	for _, wrong := range []eventstore.Revision{eventstore.NoStream, 0, 2, 1 << 40} {
		_, err = s.Append(t.Context(), "contract-1", wrong, Event(7))
		wantWrong(t, err, "contract-1", wrong, 1)
	}
	mustAppend(t, s, "contract-1", 1, Event(2))
	wantStream(t, s, "contract-1", Events(0, 3)...)
}

func anyRevision(t *testing.T, s eventstore.Store) {
	for n := range 5 {
		if a := mustAppend(t, s, "contract-1", eventstore.AnyRevision, Event(n)); a.Revision != eventstore.Revision(n) {
			t.Fatalf("got revision %d, want %d", a.Revision, n)
		}
	}
	wantStream(t, s, "contract-1", Events(0, 5)...)
}

func knownEnd(t *testing.T, s eventstore.Store) {
	ending, can := s.(eventstore.Ending)
	if !can {
		t.Skip("the store does not remember ends")
	}
	for n := range 40 { // The second of three streams is read between its appends, the third never written.
		for i, stream := range []string{"end-a", "end-b", "end-c"} {
			want := eventstore.NoStream
			if i < 2 && n > 0 {
				want = mustAppend(t, s, stream, eventstore.AnyRevision, Event(2*n+i)).Revision
			}
			for range 2 {
				if last, known := ending.End(stream); known && last != want {
					t.Fatalf("%s ends at %d, known as %d", stream, want, last)
				}
				if i > 0 {
					Collect(t, s.Stream(t.Context(), stream, eventstore.Revision(n/2)))
				}
			}
		}
	}
}

func repeatExact(t *testing.T, s eventstore.Store) {
	first := mustAppend(t, s, "contract-1", eventstore.NoStream, Events(0, 3)...)
	second := mustAppend(t, s, "contract-1", 2, Events(3, 5)...)
	mustAppend(t, s, "contract-1", 4, Event(5))
	mustAppend(t, s, "unit-1", eventstore.NoStream, Event(6))
	if got := mustAppend(t, s, "contract-1", eventstore.NoStream, Events(0, 3)...); got != first {
		t.Fatalf("got %+v, want %+v", got, first)
	}
	if got := mustAppend(t, s, "contract-1", 2, Events(3, 5)...); got != second {
		t.Fatalf("got %+v, want %+v", got, second)
	}
	wantStream(t, s, "contract-1", Events(0, 6)...)
	if n := len(CheckLog(t, s)); n != 7 {
		t.Fatalf("got %d events, want 7", n)
	}
}

func repeatPrefix(t *testing.T, s eventstore.Store) {
	mustAppend(t, s, "contract-1", eventstore.NoStream, Events(0, 4)...)
	all := CheckLog(t, s)
	for n := 1; n <= 4; n++ {
		want := eventstore.Appended{Revision: eventstore.Revision(n - 1), Position: all[n-1].Position}
		if got := mustAppend(t, s, "contract-1", eventstore.NoStream, Events(0, n)...); got != want {
			t.Fatalf("first %d: got %+v, want %+v", n, got, want)
		}
	}
	if got := mustAppend(t, s, "contract-1", 1, Event(2)); got.Position != all[2].Position || got.Revision != 2 {
		t.Fatalf("third alone: got %+v", got)
	}
	wantStream(t, s, "contract-1", Events(0, 4)...)
}

func repeatAny(t *testing.T, s eventstore.Store) {
	mustAppend(t, s, "contract-1", eventstore.AnyRevision, Events(0, 2)...)
	second := mustAppend(t, s, "contract-1", eventstore.AnyRevision, Events(2, 5)...)
	mustAppend(t, s, "contract-1", eventstore.AnyRevision, Event(5))
	if got := mustAppend(t, s, "contract-1", eventstore.AnyRevision, Events(2, 5)...); got != second {
		t.Fatalf("got %+v, want %+v", got, second)
	}
	if got := mustAppend(t, s, "contract-1", eventstore.AnyRevision, Events(1, 6)...); got.Revision != 5 {
		t.Fatalf("over several appends: got %+v", got)
	}
	wantStream(t, s, "contract-1", Events(0, 6)...)
}

func repeatPartial(t *testing.T, s eventstore.Store) {
	mustAppend(t, s, "contract-1", eventstore.NoStream, Events(0, 3)...)
	e := Events(0, 10)
	for name, try := range map[string]struct {
		at eventstore.Revision
		es []eventstore.NewEvent
	}{
		"longer than what is there":        {eventstore.NoStream, e[0:4]},
		"same start, other end":            {eventstore.NoStream, []eventstore.NewEvent{e[0], e[7]}},
		"other order":                      {eventstore.NoStream, []eventstore.NewEvent{e[1], e[0]}},
		"right ids at the wrong revision":  {0, e[0:2]},
		"at the end, longer":               {1, e[2:4]},
		"any revision, longer":             {eventstore.AnyRevision, e[2:4]},
		"any revision, second event other": {eventstore.AnyRevision, []eventstore.NewEvent{e[0], e[2]}},
	} {
		_, err := s.Append(t.Context(), "contract-1", try.at, try.es...)
		if !errors.Is(err, eventstore.ErrWrongRevision) {
			t.Errorf("%s: got %v, want ErrWrongRevision", name, err)
		}
	}
	wantStream(t, s, "contract-1", e[:3]...)
	if n := len(CheckLog(t, s)); n != 3 {
		t.Fatalf("got %d events, want 3", n)
	}
}

func repeatOtherStream(t *testing.T, s eventstore.Store) {
	mustAppend(t, s, "contract-1", eventstore.AnyRevision, Events(0, 2)...)
	mustAppend(t, s, "contract-2", eventstore.AnyRevision, Events(0, 2)...)
	mustAppend(t, s, "contract-3", eventstore.NoStream, Events(0, 2)...)
	if n := len(CheckLog(t, s)); n != 6 {
		t.Fatalf("got %d events, want 6", n)
	}
}

func repeatSameID(t *testing.T, s eventstore.Store) {
	e := Event(0)
	first := mustAppend(t, s, "contract-1", eventstore.AnyRevision, e, e, e)
	if first.Revision != 2 {
		t.Fatalf("got %+v", first)
	}
	if got := mustAppend(t, s, "contract-1", eventstore.AnyRevision, e, e, e); got != first {
		t.Fatalf("got %+v, want %+v", got, first)
	}
	mustAppend(t, s, "contract-1", 2, e) // Stated exactly, it is a new event.
	if got := mustAppend(t, s, "contract-1", eventstore.AnyRevision, e); got.Revision != 0 {
		t.Fatalf("got %+v, want the first", got)
	}
	wantStream(t, s, "contract-1", e, e, e, e)
}

func allOrNone(t *testing.T, s eventstore.Store) {
	bad := Events(0, 3)
	bad[2].Type = ""
	if _, err := s.Append(t.Context(), "contract-1", eventstore.NoStream, bad...); !errors.Is(err, eventstore.ErrInvalid) {
		t.Fatalf("got %v, want ErrInvalid", err)
	}
	if _, err := s.Append(t.Context(), "contract-1", 5, Events(0, 3)...); !errors.Is(err, eventstore.ErrWrongRevision) {
		t.Fatalf("got %v, want ErrWrongRevision", err)
	}
	if n := len(CheckLog(t, s)); n != 0 {
		t.Fatalf("refused appends left %d events", n)
	}
}

func order(t *testing.T, s eventstore.Store) {
	next := map[string]int{}
	last := eventstore.Position(0)
	for n := range 200 {
		stream := []string{"contract-1", "unit-1", "party-1"}[n*7%3]
		a := mustAppend(t, s, stream, eventstore.Revision(next[stream]-1), Event(n))
		if a.Position <= last || a.Revision != eventstore.Revision(next[stream]) {
			t.Fatalf("append %d: got %+v after position %d", n, a, last)
		}
		next[stream]++
		last = a.Position
	}
	all := CheckLog(t, s)
	for n, r := range all {
		if r.ID != Event(n).ID {
			t.Fatalf("event %d is not the %d-th appended", n, n)
		}
	}
	if len(all) != 200 || all[199].Position != last {
		t.Fatalf("got %d events up to %d, want 200 up to %d", len(all), all[len(all)-1].Position, last)
	}
}

func recordedTime(t *testing.T, s eventstore.Store) {
	for n := range 50 {
		mustAppend(t, s, "contract-1", eventstore.Revision(n-1), Event(n))
	}
	CheckLog(t, s)
}

func malformed(t *testing.T, s eventstore.Store) {
	change := func(f func(*eventstore.NewEvent)) []eventstore.NewEvent {
		e := Event(1)
		f(&e)
		return []eventstore.NewEvent{Event(0), e}
	}
	type E = eventstore.NewEvent
	for name, try := range map[string]struct {
		stream string
		at     eventstore.Revision
		es     []E
		want   string // What the message must name.
	}{
		"no events":                 {"contract-1", -1, nil, "0 events"},
		"too many events":           {"contract-1", -1, Events(0, eventstore.AppendMax+1), "513 events"},
		"revision below any":        {"contract-1", -3, Events(0, 1), "revision -3"},
		"empty stream name":         {"", -1, Events(0, 1), "stream name"},
		"long stream name":          {strings.Repeat("x", eventstore.StreamBytesMax+1), -1, Events(0, 1), "1025 bytes"},
		"stream name not UTF-8":     {"contract-\xff", -1, Events(0, 1), "UTF-8"},
		"stream name with NUL":      {"contract-\x00", -1, Events(0, 1), "control"},
		"stream name with newline":  {"contract-1\n", -1, Events(0, 1), "control"},
		"stream name with C1":       {"contract-\u0085", -1, Events(0, 1), "control"},
		"stream name with DEL":      {"contract-\x7f", -1, Events(0, 1), "control"},
		"zero id":                   {"contract-1", -1, change(func(e *E) { e.ID = [16]byte{} }), "event 1: id"},
		"empty type":                {"contract-1", -1, change(func(e *E) { e.Type = "" }), "event 1: type"},
		"long type":                 {"contract-1", -1, change(func(e *E) { e.Type = strings.Repeat("x", eventstore.TypeBytesMax+1) }), "type"},
		"type with control":         {"contract-1", -1, change(func(e *E) { e.Type = "a\tb" }), "type"},
		"event too large":           {"contract-1", -1, change(func(e *E) { e.Data = make([]byte, eventstore.EventBytesMax) }), "event 1"},
		"metadata of both kinds":    {"contract-1", -1, change(func(e *E) { e.Meta.Outside = true }), "from outside"},
		"raw metadata of ours":      {"contract-1", -1, change(func(e *E) { e.Meta.Raw = "{}" }), "from outside"},
		"binary data of ours":       {"contract-1", -1, change(func(e *E) { e.Binary = true }), "from outside"},
		"actor not UTF-8":           {"contract-1", -1, change(func(e *E) { e.Meta.Actor = "\xc0" }), "actor"},
		"correlation too long":      {"contract-1", -1, change(func(e *E) { e.Meta.Correlation = strings.Repeat("x", 1025) }), "correlation"},
		"negative schema":           {"contract-1", -1, change(func(e *E) { e.Meta.Schema = -1 }), "schema"},
		"policy too large":          {"contract-1", -1, change(func(e *E) { e.Meta.Policy = 1 << 31 }), "policy"},
		"salt of no suite":          {"contract-1", -1, change(func(e *E) { e.Meta.Salt = eventstore.Salt{3} }), "salt"},
		"decision time beyond 9999": {"contract-1", -1, change(func(e *E) { e.Meta.At = time.Date(10000, 1, 2, 0, 0, 0, 0, time.UTC) }), "at:"},
	} {
		_, err := s.Append(t.Context(), try.stream, try.at, try.es...)
		if !errors.Is(err, eventstore.ErrInvalid) || !strings.Contains(err.Error(), try.want) {
			t.Errorf("%s: got %v, want ErrInvalid naming %q", name, err, try.want)
		}
	}
	if n := len(CheckLog(t, s)); n != 0 {
		t.Fatalf("refused appends left %d events", n)
	}
}

func salts(t *testing.T, s eventstore.Store) {
	es := Events(0, 4)
	es[1].Meta.Salt, es[2].Meta.Salt = eventstore.Salt{}, eventstore.Salt{}
	mustAppend(t, s, "contract-1", eventstore.NoStream, es...)
	mustAppend(t, s, "contract-1", eventstore.NoStream, es...) // A repeat draws none anew.
	got := CheckLog(t, s)
	if len(got) != len(es) || got[0].Meta.Salt != es[0].Meta.Salt || got[3].Meta.Salt != es[3].Meta.Salt {
		t.Fatalf("given salts were not kept: %+v", got)
	}
	a, b := got[1].Meta.Salt, got[2].Meta.Salt
	if a == b || a.Suite() != eventstore.SaltINTL && a.Suite() != eventstore.SaltGM {
		t.Fatalf("drew the salts %x and %x", a, b)
	}
}

func limits(t *testing.T, s eventstore.Store) {
	stream := strings.Repeat("s", eventstore.StreamBytesMax)
	es := Events(0, eventstore.AppendMax)
	es[0].Type = strings.Repeat("t", eventstore.TypeBytesMax)
	es[1].Data = nil
	long := strings.Repeat("m", eventstore.MetaBytesMax)
	es[2].Meta = eventstore.Metadata{Schema: 1<<31 - 1, Actor: long, Role: long, Command: long, Causation: long, Correlation: long, Policy: 1<<31 - 1}
	es[2].Meta.Salt = eventstore.Salt{eventstore.SaltGM}
	es[3].Meta = eventstore.Metadata{Salt: eventstore.Salt{eventstore.SaltINTL, 15: 1}}
	es[4].Meta.At = time.Date(9999, 12, 31, 23, 59, 59, 999999000, time.UTC)
	a := mustAppend(t, s, stream, eventstore.NoStream, es...)
	if a.Revision != eventstore.AppendMax-1 {
		t.Fatalf("got %+v", a)
	}
	for i, r := range CheckLog(t, s) {
		if d := cmp.Diff(es[i].Meta, r.Meta); d != "" || r.Type != es[i].Type || !bytes.Equal(r.Data, es[i].Data) {
			t.Fatalf("event %d changed: metadata (-want +got):\n%s", i, d)
		}
	}
}

func largestEvent(t *testing.T, s eventstore.Store) {
	for n := range 3 {
		e := Event(n)
		m := e.Meta
		e.Data = bytes.Repeat([]byte{byte('a' + n)}, eventstore.EventBytesMax-
			len(m.Actor)-len(m.Role)-len(m.Command)-len(m.Causation)-len(m.Correlation))
		mustAppend(t, s, "contract-1", eventstore.Revision(n-1), e)
		got := Collect(t, s.Stream(t.Context(), "contract-1", eventstore.Revision(n)))
		if len(got) != 1 || !bytes.Equal(got[0].Data, e.Data) {
			t.Fatalf("event %d did not come back", n)
		}
	}
	CheckLog(t, s)
}

func largeAppend(t *testing.T, s eventstore.Store) {
	es := Events(0, 64)
	for i := range es {
		es[i].Data = bytes.Repeat([]byte{byte(i)}, 100<<10)
	}
	mustAppend(t, s, "contract-1", eventstore.NoStream, es...)
	mustAppend(t, s, "contract-2", eventstore.NoStream, Event(100))
	for i, r := range CheckLog(t, s)[:64] {
		if !bytes.Equal(r.Data, es[i].Data) {
			t.Fatalf("event %d did not come back", i)
		}
	}
	es = es[:20]
	for i := range es {
		es[i].Data = make([]byte, 1<<20-200)
	}
	if _, err := s.Append(t.Context(), "contract-3", eventstore.NoStream, es...); !errors.Is(err, eventstore.ErrInvalid) {
		t.Fatalf("an append over %d bytes: got %v, want ErrInvalid", eventstore.AppendBytesMax, err)
	}
}

func similarNames(t *testing.T, s eventstore.Store) {
	names := []string{"a-1", "a-1 ", "a-10", "a-11", "A-1", "a-", "a", "a-1-", "é-1", "e\u0301-1", "租-1", "a-1\u00a0", "$a-1"}
	for i, name := range names {
		mustAppend(t, s, name, eventstore.NoStream, Events(i*10, i*10+2)...)
	}
	for i, name := range names {
		wantStream(t, s, name, Events(i*10, i*10+2)...)
	}
	CheckLog(t, s)
}

func buffersReused(t *testing.T, s eventstore.Store) {
	buf := []byte(`{"kept":1}`)
	e := Event(0)
	e.Data = buf
	es := []eventstore.NewEvent{e}
	mustAppend(t, s, "contract-1", eventstore.NoStream, es...)
	copy(buf, `{"lost":2}`)
	es[0].Type = "test.changed"
	got := Collect(t, s.All(t.Context(), 0))
	if string(got[0].Data) != `{"kept":1}` || got[0].Type != "test.happened" {
		t.Fatalf("got %s %s", got[0].Type, got[0].Data)
	}
}

func times(t *testing.T, s eventstore.Store) {
	e := Event(0)
	at := time.Date(2026, 3, 1, 10, 0, 0, 123_456_789, time.FixedZone("CST", 8*3600))
	e.Meta.At = at
	mustAppend(t, s, "contract-1", eventstore.NoStream, e)
	got := Collect(t, s.All(t.Context(), 0))[0].Meta.At
	if want := time.Date(2026, 3, 1, 2, 0, 0, 123_456_000, time.UTC); got != want {
		t.Fatalf("got %v, want %v", got, want)
	}
}
