package embedded

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"

	"zujian/eventstore"
	"zujian/eventstore/memory"
	"zujian/eventstore/storetest"
)

// machine does the same to the log and to the model and compares what they say. Positions differ, ordinals do not.
type machine struct {
	fs    *vfs.MemFS
	now   time.Time
	log   *Store
	model *memory.Store
	pos   []eventstore.Position // Of the log's events, by ordinal.
}

func (m *machine) options() Options {
	return Options{Dir: "log", FS: m.fs, SegmentBytes: 4 << 10, Heads: 3, Now: func() time.Time { return m.now }}
}

// ordinal gives a position of the log as the model's: it counts from 1.
func (m *machine) ordinal(t *rapid.T, pos eventstore.Position) eventstore.Position {
	for i, p := range m.pos {
		if p == pos {
			return eventstore.Position(i + 1)
		}
	}
	if pos != 0 {
		t.Fatalf("%d is no event's position", pos)
	}
	return 0
}

func (m *machine) open(t *rapid.T) {
	var err error
	if m.log, err = Open(m.options()); err != nil {
		t.Fatalf("open: %v", err)
	}
}

func (m *machine) append(t *rapid.T) {
	stream := rapid.SampledFrom([]string{"a-1", "a-10", "a-2", "b-1", "b-2", "b-3"}).Draw(t, "stream")
	expected := eventstore.Revision(rapid.IntRange(-2, 12).Draw(t, "expected"))
	first, n := rapid.IntRange(0, 30).Draw(t, "first"), rapid.IntRange(1, 4).Draw(t, "events")
	es := storetest.Events(first, first+n)
	if rapid.IntRange(0, 9).Draw(t, "large") == 0 {
		es[0].Data = make([]byte, rapid.IntRange(0, 9000).Draw(t, "bytes"))
	}
	if rapid.IntRange(0, 4).Draw(t, "outside") == 0 {
		es[0].Meta = eventstore.Metadata{Outside: true, Raw: rapid.StringN(0, 30, 90).Draw(t, "metadata")}
		es[0].Binary = rapid.Bool().Draw(t, "binary")
	}
	before := len(m.pos)
	want, wantErr := m.model.Append(t0, stream, expected, es...)
	got, err := m.log.Append(t0, stream, expected, es...)
	for r, err := range m.log.All(t0, m.after(before)) {
		if err != nil {
			t.Fatalf("all: %v", err)
		}
		m.pos = append(m.pos, r.Position)
	}
	wantWrong, _ := errors.AsType[*eventstore.WrongRevision](wantErr)
	wrong, _ := errors.AsType[*eventstore.WrongRevision](err)
	if (err == nil) != (wantErr == nil) || fmt.Sprint(wrong) != fmt.Sprint(wantWrong) {
		t.Fatalf("append to %s at %d: got %v, the model %v", stream, expected, err, wantErr)
	}
	if err == nil && (got.Revision != want.Revision || m.ordinal(t, got.Position) != want.Position) {
		t.Fatalf("append to %s at %d: got %+v, the model %+v", stream, expected, got, want)
	}
}

func (m *machine) after(ordinal int) eventstore.Position {
	if ordinal == 0 {
		return 0
	}
	return m.pos[ordinal-1]
}

func (m *machine) same(t *rapid.T, what string, got, want func(func(eventstore.Recorded, error) bool)) {
	read := func(seq func(func(eventstore.Recorded, error) bool)) (out []eventstore.Recorded) {
		for r, err := range seq {
			if err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			out = append(out, r)
		}
		return out
	}
	g, w := read(got), read(want)
	for i := range g {
		g[i].Position = m.ordinal(t, g[i].Position)
	}
	if d := storetest.Diff(w, g); d != "" {
		t.Fatalf("%s (-model +log):\n%s", what, d)
	}
}

func TestModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := &machine{fs: vfs.NewMem(), now: time.Unix(1_700_000_000, 0).UTC()}
		m.model = &memory.Store{Now: func() time.Time { return m.now }}
		m.open(t)
		defer func() { _ = m.log.Close() }()
		t.Repeat(map[string]func(*rapid.T){
			"append":       m.append,
			"append more":  m.append,
			"append again": m.append,
			"read a stream": func(t *rapid.T) {
				stream := rapid.SampledFrom([]string{"a-1", "a-10", "b-1", "c-1"}).Draw(t, "stream")
				from := eventstore.Revision(rapid.IntRange(-1, 9).Draw(t, "from"))
				m.same(t, "stream "+stream, m.log.Stream(t0, stream, from), m.model.Stream(t0, stream, from))
			},
			"read all after an event": func(t *rapid.T) {
				n := rapid.IntRange(0, len(m.pos)).Draw(t, "ordinal")
				m.same(t, "all", m.log.All(t0, m.after(n)), m.model.All(t0, eventstore.Position(n)))
			},
			"read a stream back": func(t *rapid.T) {
				stream := rapid.SampledFrom([]string{"a-1", "a-10", "b-1", "c-1"}).Draw(t, "stream")
				from := eventstore.Revision(rapid.IntRange(-1, 20).Draw(t, "from"))
				m.same(t, "stream "+stream+" back", m.log.StreamBack(t0, stream, from), m.model.StreamBack(t0, stream, from))
			},
			"read all back": func(t *rapid.T) {
				n := rapid.IntRange(0, len(m.pos)).Draw(t, "ordinal")
				m.same(t, "all back", m.log.AllBack(t0, m.after(n)), m.model.AllBack(t0, eventstore.Position(n)))
			},
			"read all after any number": func(t *rapid.T) {
				end := uint64(m.after(len(m.pos)))
				at := eventstore.Position(rapid.Uint64Range(0, end+5000).Draw(t, "position"))
				n := 0
				for n < len(m.pos) && m.pos[n] <= at {
					n++
				}
				m.same(t, "all", m.log.All(t0, at), m.model.All(t0, eventstore.Position(n)))
			},
			"move the clock": func(t *rapid.T) {
				m.now = m.now.Add(time.Duration(rapid.IntRange(-1000, 1000).Draw(t, "ms")) * time.Millisecond)
			},
			"reopen": func(t *rapid.T) {
				if err := m.log.Close(); err != nil {
					t.Fatalf("close: %v", err)
				}
				if rapid.Bool().Draw(t, "delete the index") {
					if err := m.fs.RemoveAll("log/" + indexName); err != nil {
						t.Fatal(err)
					}
				}
				if err := VerifyDir(t0, m.options(), nil); err != nil {
					t.Fatal(err)
				}
				m.open(t)
			},
			"": func(t *rapid.T) {
				if h, err := m.log.Head(t0); err != nil || h.Position != m.after(len(m.pos)) || h.Events != uint64(len(m.pos)) {
					t.Fatalf("head: got %+v (%v), want %d after %d", h, err, m.after(len(m.pos)), len(m.pos))
				}
				if err := m.log.Verify(t0, nil); err != nil {
					t.Fatal(err)
				}
			},
		})
	})
}
