package embedded

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"zujian/eventstore"
	"zujian/eventstore/storetest"
)

// inMemory is a fresh folder on a disk of its own, in memory.
func inMemory() Options { return Options{Dir: "log", FS: vfs.NewMem(), SegmentBytes: 64 << 10} }

// countRows counts the rows of the index by kind.
func countRows(t *testing.T, s *Store) map[byte]int {
	t.Helper()
	if err := s.indexed.wait(t.Context(), s.durable.load()); err != nil {
		t.Fatal(err)
	}
	it, err := s.index.db.NewIter(nil)
	if err != nil {
		t.Fatal(err)
	}
	rows := map[byte]int{}
	for ok := it.First(); ok; ok = it.Next() {
		rows[it.Key()[0]]++
	}
	if err := errors.Join(it.Error(), it.Close()); err != nil {
		t.Fatal(err)
	}
	return rows
}

// wantRevisions reads a stream of so many events by the index alone: from every revision to its end, and back.
func wantRevisions(t *testing.T, s *Store, stream string, events int) {
	t.Helper()
	if err := s.indexed.wait(t.Context(), s.durable.load()); err != nil {
		t.Fatal(err)
	}
	if last, err := s.index.head(stream, noPosition); err != nil || int(last) != events-1 {
		t.Fatalf("%s ends at %d, want %d: %v", stream, last, events-1, err)
	}
	all, err := s.index.starts(nil, stream, 0, events+1, noPosition)
	if err != nil || len(all) != events || !slices.IsSorted(all) {
		t.Fatalf("%s has frames at %v, want %d: %v", stream, all, events, err)
	}
	for from := range events + 2 {
		for _, n := range []int{1, 2, headFrames, events} {
			got, err := s.index.starts(nil, stream, eventstore.Revision(from), n, noPosition)
			if want := all[min(from, events):min(from+n, events)]; err != nil || !slices.Equal(got, want) {
				t.Fatalf("%d of %s from %d: %v, want %v: %v", n, stream, from, got, want, err)
			}
			got, err = s.index.startsBack(nil, stream, eventstore.Revision(from), n, noPosition)
			slices.Reverse(got)
			if want := all[max(0, min(from+1, events)-n):min(from+1, events)]; err != nil || !slices.Equal(got, want) {
				t.Fatalf("%d of %s back from %d: %v, want %v: %v", n, stream, from, got, want, err)
			}
		}
	}
	n := 0
	for e, err := range s.Stream(t.Context(), stream, 0) {
		if err != nil || e.Revision != eventstore.Revision(n) {
			t.Fatalf("%s: revision %d, want %d: %v", stream, e.Revision, n, err)
		}
		n++
	}
}

// TestShortStreamsHaveOneRow writes streams around the length that a head tells of, in pieces of several sizes and in several
// openings: by whatever way its rows came together, the index tells all of each, and short streams have no row but their head.
func TestShortStreamsHaveOneRow(t *testing.T) {
	t.Parallel()
	o := inMemory()
	lengths := []int{1, 2, headFrames - 1, headFrames, headFrames + 1, 2*headFrames + 1}
	pieces := []int{1, 3, headFrames, headFrames + 1, 3 * headFrames}
	name := func(length, piece int) string { return fmt.Sprintf("unit-%d-%d", length, piece) }
	s := mustOpen(t, o)
	for n := range lengths[len(lengths)-1] {
		for _, length := range lengths {
			for _, piece := range pieces {
				if n%piece == 0 && n < length {
					if _, err := s.Append(t.Context(), name(length, piece), eventstore.Revision(n-1), storetest.Events(n, min(n+piece, length))...); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
		if n%5 == 0 { // What comes later is merged in another table.
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			s = mustOpen(t, o)
		}
	}
	check := func() {
		t.Helper()
		later := 0
		for _, length := range lengths {
			for _, piece := range pieces {
				wantRevisions(t, s, name(length, piece), length)
				later += max(0, length-headFrames)
			}
		}
		want := fmt.Sprint(map[byte]int{keyHead: len(lengths) * len(pieces), keyEvent: later, keyID: later, keyMark: 1})
		if got := fmt.Sprint(countRows(t, s)); got != want {
			t.Errorf("rows by kind: %s, want %s", got, want)
		}
		if err := s.Verify(t.Context(), nil); err != nil {
			t.Error(err)
		}
	}
	check()
	if err := errors.Join(s.Close(), o.FS.RemoveAll(o.FS.PathJoin(o.Dir, indexName))); err != nil {
		t.Fatal(err)
	}
	s = mustOpen(t, o) // An index built anew is the same.
	check()
}

// TestStreamTwiceInABatch writes a stream before and behind another in one group, as a filing does its flat: the index gets one
// row for each of the two, which tells of all.
func TestStreamTwiceInABatch(t *testing.T) {
	t.Parallel()
	fs := vfs.NewMem()
	s := mustOpen(t, Options{Dir: "log", FS: fs})
	part := func(stream string, from, to int) eventstore.Part {
		return eventstore.Part{Stream: stream, Expected: eventstore.Revision(from - 1), Events: storetest.Events(from, to)}
	}
	if _, err := s.AppendTogether(t.Context(), part("unit-1", 0, 2), part("contract-1", 0, 4), part("unit-1", 2, 3)); err != nil {
		t.Fatal(err)
	}
	wantRevisions(t, s, "unit-1", 3)
	wantRevisions(t, s, "contract-1", 4)
	var r rows
	r.add(fileData(t, fs, "log/"+segmentName(0))[segmentStart+groupHeader : s.durable.load()])
	b := s.index.db.NewBatch()
	defer b.Close()
	if err := r.write(b); err != nil || b.Count() != 2 {
		t.Errorf("%d rows, want 2: %v", b.Count(), err)
	}
}

// TestRepeatsInLongStreams repeats appends at any revision: whether an id is in a head, behind it, in both, or only has
// another's sum, what was written is found; of ids that are counted nothing else is read for it.
func TestRepeatsInLongStreams(t *testing.T) {
	t.Parallel()
	s := mustOpen(t, inMemory())
	counted := storetest.Events(0, 2*headFrames)
	alike := storetest.Events(0, 2*headFrames)
	for n := range alike {
		copy(alike[n].ID[:4], alike[n].ID[4:8]) // All have one sum, which is all that a head holds.
	}
	twice := storetest.Event(100)
	for stream, events := range map[string][]eventstore.NewEvent{"unit-1": counted, "unit-2": alike} {
		wrote := map[int]eventstore.Appended{}
		for i := range 3 * len(events) { // Each twice in a row, then all once more.
			n := i / 2
			if i >= 2*len(events) {
				n = i - 2*len(events)
			}
			a, err := s.Append(t.Context(), stream, eventstore.AnyRevision, events[n])
			if err != nil || int(a.Revision) != n {
				t.Fatalf("event %d of %s: at %d, %v", n, stream, a.Revision, err)
			}
			if first, again := wrote[n]; again && a != first {
				t.Errorf("event %d of %s again: %+v, want %+v", n, stream, a, first)
			}
			wrote[n] = a
		}
		if _, err := s.Append(t.Context(), stream, eventstore.AnyRevision, events[headFrames], twice); !errors.Is(err, eventstore.ErrWrongRevision) {
			t.Errorf("another event behind one that is there: %v", err)
		}
	}
	for _, at := range []eventstore.Revision{2*headFrames - 1, 2 * headFrames} { // One id, twice behind the head.
		if _, err := s.Append(t.Context(), "unit-2", at, twice); err != nil {
			t.Fatal(err)
		}
	}
	if a, err := s.Append(t.Context(), "unit-2", eventstore.AnyRevision, twice); err != nil || a.Revision != 2*headFrames {
		t.Errorf("an id that is there twice: %+v, %v", a, err)
	}
	for n, e := range counted {
		if starts, err := s.index.withID(e.ID[:], "unit-1", 2*headFrames-1); err != nil || len(starts) != 1 {
			t.Errorf("event %d may be at %d, %v", n, starts, err)
		}
	}
	if err := s.Verify(t.Context(), nil); err != nil {
		t.Error(err)
	}
}

// changeIndex lets write do what it will to the index of a store that is closed.
func changeIndex(t *testing.T, o Options, id logID, write func(*pebble.DB, *pebble.Batch) error) {
	t.Helper()
	x, err := openDB(o.withDefaults(), id, false)
	if err != nil {
		t.Fatal(err)
	}
	b := x.db.NewBatch()
	if err := errors.Join(write(x.db, b), b.Commit(pebble.NoSync), x.close(true)); err != nil {
		t.Fatal(err)
	}
}

// indexedLog makes a log of a short and a long stream and closes it.
func indexedLog(t *testing.T) (Options, logID) {
	t.Helper()
	o := inMemory()
	s := mustOpen(t, o)
	for n := range 2 * headFrames {
		for _, stream := range []string{"unit-1", "unit-2"} {
			if n < 3 || stream == "unit-2" {
				if _, err := s.Append(t.Context(), stream, eventstore.Revision(n-1), storetest.Event(n)); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return o, s.id
}

// TestOlderIndex opens an index of version 2, which had rows for each event and a stream's last frames in its head: it is built
// anew.
func TestOlderIndex(t *testing.T) {
	t.Parallel()
	o, id := indexedLog(t)
	changeIndex(t, o, id, func(db *pebble.DB, b *pebble.Batch) error {
		m, done, err := db.Get([]byte{keyMark})
		if err != nil {
			return err
		}
		old := append([]byte{2}, m[1:]...)
		var name [33]byte
		first := storetest.Event(0).ID
		putIDKey(name[:], first[:], []byte("unit-1"))
		head := be.AppendUint64(be.AppendUint64(nil, 0), segmentHeader+groupHeader)
		return errors.Join(done.Close(), b.DeleteRange([]byte{0}, []byte{0xff}, nil), b.Set([]byte{keyMark}, old, nil),
			b.Set([]byte("hunit-1"), head, nil), b.Set(eventKey("unit-1", 0), head[8:], nil), b.Set(name[:], nil, nil))
	})
	var log bytes.Buffer
	o.Logger = slog.New(slog.NewTextHandler(&log, nil))
	s := mustOpen(t, o)
	if !strings.Contains(log.String(), "of an older version") {
		t.Errorf("it does not say why the index is built anew: %s", log.String())
	}
	wantRevisions(t, s, "unit-1", 3)
	wantRevisions(t, s, "unit-2", 2*headFrames)
	if err := s.Verify(t.Context(), nil); err != nil {
		t.Error(err)
	}
}

// TestIndexWithADamagedManifest builds it anew: Pebble would go on with what it was before, and not say so.
func TestIndexWithADamagedManifest(t *testing.T) {
	t.Parallel()
	o, _ := indexedLog(t)
	o = o.withDefaults()
	desc, err := pebble.Peek(o.FS.PathJoin(o.Dir, indexName), o.FS)
	if err != nil {
		t.Fatal(err)
	}
	manifest := fileData(t, o.FS.(*vfs.MemFS), desc.ManifestFilename)
	manifest[len(manifest)-1] ^= 1
	var log bytes.Buffer
	o.Logger = slog.New(slog.NewTextHandler(&log, nil))
	s := mustOpen(t, o)
	if !strings.Contains(log.String(), "MANIFEST") {
		t.Errorf("it does not say why the index is built anew: %s", log.String())
	}
	wantRevisions(t, s, "unit-2", 2*headFrames)
}

// TestNewerIndex refuses to open beside an index of a version to come, and leaves it as it is.
func TestNewerIndex(t *testing.T) {
	t.Parallel()
	o, id := indexedLog(t)
	note := []byte("of a kind to come")
	changeIndex(t, o, id, func(db *pebble.DB, b *pebble.Batch) error {
		m, done, err := db.Get([]byte{keyMark})
		if err != nil {
			return err
		}
		return errors.Join(b.Set([]byte{keyMark}, append([]byte{indexVersion + 1}, m[1:]...), nil), b.Set(note, nil, nil), done.Close())
	})
	for range 2 {
		s, err := Open(o)
		if err == nil {
			_ = s.Close()
		}
		if !errors.Is(err, errNewer) || !strings.Contains(err.Error(), o.FS.PathJoin(o.Dir, indexName)) {
			t.Fatalf("got %v", err)
		}
	}
	if err := VerifyDir(t.Context(), o, nil); err != nil {
		t.Errorf("the log beside it: %v", err)
	}
}

// TestVerifyComparesIndexAndLog changes one row of an index at a time: verification finds each.
func TestVerifyComparesIndexAndLog(t *testing.T) {
	t.Parallel()
	whole, id := indexedLog(t)
	value := func(db *pebble.DB, key []byte) ([]byte, error) {
		v, done, err := db.Get(key)
		if err != nil {
			return nil, err
		}
		return bytes.Clone(v), done.Close()
	}
	head := func(stream string, change func([]byte) []byte) func(*pebble.DB, *pebble.Batch) error {
		return func(db *pebble.DB, b *pebble.Batch) error {
			key := append([]byte{keyHead}, stream...)
			v, err := value(db, key)
			return errors.Join(err, b.Set(key, change(v), nil))
		}
	}
	var idKey [idKeyBytes]byte
	one := storetest.Event(headFrames + 1)
	putIDKey(idKey[:], one.ID[:], []byte("unit-2"))
	for name, change := range map[string]func(*pebble.DB, *pebble.Batch) error{
		"nothing":                 func(*pebble.DB, *pebble.Batch) error { return nil },
		"a short head is missing": func(_ *pebble.DB, b *pebble.Batch) error { return b.Delete([]byte("hunit-1"), nil) },
		"a full head is missing":  func(_ *pebble.DB, b *pebble.Batch) error { return b.Delete([]byte("hunit-2"), nil) },
		"a head without its last": head("unit-1", func(v []byte) []byte { return v[:len(v)-headEntry] }),
		"a head with one more": head("unit-1", func(v []byte) []byte {
			return append(v, append(be.AppendUint64(nil, 1<<40), 1, 2, 3, 4)...)
		}),
		"a head with another position": head("unit-2", func(v []byte) []byte { v[headEntry+7]++; return v }),
		"a head with another id":       head("unit-2", func(v []byte) []byte { v[headEntry+8]++; return v }),
		"half a head":                  head("unit-1", func(v []byte) []byte { return v[:len(v)-1] }),
		"an empty head":                head("unit-1", func(v []byte) []byte { return nil }),
		"a head of no stream": func(db *pebble.DB, b *pebble.Batch) error {
			v, err := value(db, []byte("hunit-1"))
			return errors.Join(err, b.Set([]byte("hunit-3"), v, nil))
		},
		"an event is missing":        func(_ *pebble.DB, b *pebble.Batch) error { return b.Delete(eventKey("unit-2", headFrames+1), nil) },
		"the last event is missing":  func(_ *pebble.DB, b *pebble.Batch) error { return b.Delete(eventKey("unit-2", 2*headFrames-1), nil) },
		"an event of the head again": func(_ *pebble.DB, b *pebble.Batch) error { return b.Set(eventKey("unit-2", 3), make([]byte, 8), nil) },
		"an event of no stream": func(_ *pebble.DB, b *pebble.Batch) error {
			return b.Set(eventKey("unit-3", headFrames), be.AppendUint64(nil, 1<<40), nil)
		},
		"one event more": func(_ *pebble.DB, b *pebble.Batch) error {
			return b.Set(eventKey("unit-2", 2*headFrames), be.AppendUint64(nil, 1<<40), nil)
		},
		"an event elsewhere": func(_ *pebble.DB, b *pebble.Batch) error {
			return b.Set(eventKey("unit-2", headFrames+1), be.AppendUint64(nil, 1<<40), nil)
		},
		"half an event": func(_ *pebble.DB, b *pebble.Batch) error {
			return b.Set(eventKey("unit-2", headFrames+1), []byte{1}, nil)
		},
		"an id is missing": func(_ *pebble.DB, b *pebble.Batch) error { return b.Delete(idKey[:], nil) },
		"an id elsewhere":  func(_ *pebble.DB, b *pebble.Batch) error { return b.Set(idKey[:], make([]byte, 8), nil) },
		"an id too many": func(_ *pebble.DB, b *pebble.Batch) error {
			return b.Merge(idKey[:], make([]byte, 8), nil)
		},
		"a row of no kind": func(_ *pebble.DB, b *pebble.Batch) error { return b.Set([]byte("x"), nil, nil) },
	} {
		o := inMemory()
		if _, err := vfs.Clone(whole.FS, o.FS, o.Dir, o.Dir); err != nil {
			t.Fatal(err)
		}
		changeIndex(t, o, id, change)
		err := VerifyDir(context.Background(), o, nil)
		if _, damaged := errors.AsType[*DamageError](err); damaged != (name != "nothing") {
			t.Errorf("%s: got %v", name, err)
		}
		s := mustOpen(t, o)
		if err2 := s.Verify(t.Context(), nil); (err2 == nil) != (err == nil) {
			t.Errorf("%s, open: got %v", name, err2)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}
