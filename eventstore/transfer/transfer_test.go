package transfer_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"zujian/eventstore"
	"zujian/eventstore/leaf"
	"zujian/eventstore/memory"
	"zujian/eventstore/storetest"
	"zujian/eventstore/transfer"
)

func quiet(int64, int64) {}

// filled is a log of n appends to a few streams, of our events and of outsiders'.
func filled(t *testing.T, n int) *memory.Store {
	t.Helper()
	s := &memory.Store{}
	for i := range n {
		e := storetest.Event(3 * i)
		if i%5 == 0 {
			e = storetest.Outside(3 * i)
			e.Binary, e.Data = i%2 == 0, []byte{byte(i), 0, 0xff}
		}
		append2(t, s, fmt.Sprintf("contract-%d", i%7), e, storetest.Event(3*i+1))
	}
	return s
}

func append2(t *testing.T, s eventstore.Store, stream string, es ...eventstore.NewEvent) {
	t.Helper()
	for _, e := range es {
		if _, err := s.Append(t.Context(), stream, eventstore.AnyRevision, e); err != nil {
			t.Fatal(err)
		}
	}
}

// root is made by another implementation of RFC 6962.
func root(t *testing.T, s eventstore.Store) [32]byte {
	t.Helper()
	var stored []tlog.Hash
	read := tlog.HashReaderFunc(func(at []int64) (out []tlog.Hash, err error) {
		for _, i := range at {
			out = append(out, stored[i])
		}
		return out, nil
	})
	tagger, n := leaf.NewTagger([32]byte{}), int64(0)
	for r, err := range s.All(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		c := leaf.Of(&r)
		hs, err := tlog.StoredHashes(n, tagger.Append(nil, &c), read)
		if err != nil {
			t.Fatal(err)
		}
		stored, n = append(stored, hs...), n+1
	}
	h, err := tlog.TreeHash(n, read)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestCopyKeepsTheRoot(t *testing.T) {
	for _, n := range []int{0, 1, 2, 3, 64, 101} {
		from, to := filled(t, n), &memory.Store{}
		var done, total int64
		c, err := transfer.Copy(t.Context(), from, to, func(d, all int64) { done, total = d, all })
		if err != nil {
			t.Fatal(err)
		}
		if c.Events != uint64(2*n) || c.Before != 0 || done != total || total != int64(4*n) {
			t.Errorf("%d appends: %+v, %d of %d", n, c, done, total)
		}
		if a, b := root(t, from), root(t, to); c.Root != a || a != b {
			t.Errorf("%d appends: root %x, of the source %x, of the target %x", n, c.Root, a, b)
		}
	}
}

// TestCopyBatches: long runs of one stream are cut, by number and by size.
func TestCopyBatches(t *testing.T) {
	from, to := &memory.Store{}, &memory.Store{}
	for i := range 600 {
		append2(t, from, "theirs", storetest.Outside(i))
	}
	for i := range 4 {
		e := storetest.Outside(1000 + i)
		e.Binary, e.Data = true, make([]byte, 200<<10)
		append2(t, from, "theirs", e)
	}
	if c, err := transfer.Copy(t.Context(), from, to, quiet); err != nil || c.Root != root(t, from) {
		t.Fatal(c, err)
	}
}

// limited fails after some appends.
type limited struct {
	eventstore.Store
	left int
}

var errAway = errors.New("away")

func (l *limited) Append(ctx context.Context, stream string, rev eventstore.Revision, es ...eventstore.NewEvent) (eventstore.Appended, error) {
	if l.left == 0 {
		return eventstore.Appended{}, errAway
	}
	l.left--
	return l.Store.Append(ctx, stream, rev, es...)
}

func TestCopyGoesOn(t *testing.T) {
	from, to := filled(t, 50), &memory.Store{}
	for _, left := range []int{0, 7, 20} {
		if _, err := transfer.Copy(t.Context(), from, &limited{to, left}, quiet); !errors.Is(err, errAway) {
			t.Fatal(err)
		}
	}
	append2(t, from, "contract-3", storetest.Event(900)) // The source grew between two runs.
	c, err := transfer.Copy(t.Context(), from, to, quiet)
	if err != nil || c.Before == 0 || c.Before == c.Events || c.Root != root(t, to) || c.Root != root(t, from) {
		t.Fatalf("%+v %v", c, err)
	}
	if again, err := transfer.Copy(t.Context(), from, to, quiet); err != nil || again.Before != c.Events || again.Root != c.Root {
		t.Fatalf("%+v %v", again, err)
	}
}

// twisted changes one event on its way out.
type twisted struct {
	eventstore.Store
	at    uint64
	twist func(*eventstore.Recorded)
}

func (s twisted) All(ctx context.Context, after eventstore.Position) iter.Seq2[eventstore.Recorded, error] {
	return func(yield func(eventstore.Recorded, error) bool) {
		for r, err := range s.Store.All(ctx, after) {
			if err == nil && r.Ordinal == s.at {
				s.twist(&r)
			}
			if !yield(r, err) {
				return
			}
		}
	}
}

func TestCopyRefusesForeignTarget(t *testing.T) {
	from := filled(t, 20)
	copied := func() *memory.Store {
		to := &memory.Store{}
		if _, err := transfer.Copy(t.Context(), from, to, quiet); err != nil {
			t.Fatal(err)
		}
		return to
	}
	longer, foreign := copied(), &memory.Store{}
	append2(t, longer, "x-1", storetest.Event(901))
	append2(t, foreign, "contract-0", storetest.Event(902))
	for name, c := range map[string]struct {
		to eventstore.Store
		at uint64
	}{
		"another log":      {foreign, 0},
		"an event more":    {longer, 40},
		"an id":            {twisted{copied(), 17, func(r *eventstore.Recorded) { r.ID[3]++ }}, 17},
		"a type":           {twisted{copied(), 39, func(r *eventstore.Recorded) { r.Type += "x" }}, 39},
		"data":             {twisted{copied(), 4, func(r *eventstore.Recorded) { r.Data = append([]byte{' '}, r.Data...) }}, 4},
		"the content type": {twisted{copied(), 5, func(r *eventstore.Recorded) { r.Binary = !r.Binary }}, 5},
		"a salt":           {twisted{copied(), 1, func(r *eventstore.Recorded) { r.Meta.Salt[9]++ }}, 1},
	} {
		before, err := c.to.Head(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		_, err = transfer.Copy(t.Context(), from, c.to, quiet)
		d, ok := errors.AsType[*transfer.Diverged](err)
		if !ok || !errors.Is(err, transfer.ErrDiverged) || d.Ordinal != c.at {
			t.Errorf("%s: %v, not ordinal %d", name, err, c.at)
		}
		if after, err := c.to.Head(t.Context()); err != nil || after != before {
			t.Errorf("%s: the refused target went from %v to %v (%v)", name, before, after, err)
		}
	}
}

// late shows a lie only when what was written is read again.
type late struct {
	eventstore.Store
	reads int
}

func (s *late) All(ctx context.Context, after eventstore.Position) iter.Seq2[eventstore.Recorded, error] {
	if s.reads++; s.reads == 1 {
		return s.Store.All(ctx, after)
	}
	return twisted{s.Store, 11, func(r *eventstore.Recorded) { r.Meta.Salt[9]++ }}.All(ctx, after)
}

func TestCopyReadsBackWhatItWrote(t *testing.T) {
	_, err := transfer.Copy(t.Context(), filled(t, 20), &late{Store: &memory.Store{}}, quiet)
	if d, ok := errors.AsType[*transfer.Diverged](err); !ok || d.Ordinal != 11 {
		t.Fatal(err)
	}
}
