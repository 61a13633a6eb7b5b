// Package viewstest states the laws of projections.Views as tests. A view store's own test calls Run, and Durable if it
// keeps views on disk, and little else.
package viewstest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"zujian/eventstore"
	"zujian/projections"
)

// pair is a projections.Pair that prints well.
type pair struct{ Key, Value string }

// Run checks a view store. open makes an empty one and closes it when the test ends.
func Run(t *testing.T, open func(testing.TB) projections.Views) {
	laws := []struct {
		name string
		test func(*testing.T, projections.Views)
	}{
		{"a new store has no views", testEmpty},
		{"a batch stores its writes and its checkpoint", testBatch},
		{"a failed batch stores nothing and returns the error", testFailedBatch},
		{"a cancelled batch stores nothing", testCancelled},
		{"a batch on another checkpoint is fenced", testFenced},
		{"of racing batches one wins", testRace},
		{"a batch reads its own writes", testOwnWrites},
		{"scans are ordered, bounded and go both ways", testScan},
		{"a scan in a batch merges its own writes", testScanMerges},
		{"writing while scanning does not disturb the scan", testScanWhileWriting},
		{"keyspaces do not touch each other", testKeyspaces},
		{"versions stand side by side and readers see the active one", testVersions},
		{"dropping deletes a version whole but never the active one", testDrop},
		{"a reader keeps its snapshot", testSnapshot},
		{"values are kept byte for byte", testBytes},
		{"bad names, versions and checkpoints are refused", testInvalid},
	}
	for _, l := range laws {
		t.Run(l.name, func(t *testing.T) { l.test(t, open(t)) })
	}
	t.Run("any sequence of operations does what the model does", func(t *testing.T) { testModel(t, open) })
	t.Run("any split into batches gives the same view", func(t *testing.T) { testSplit(t, open) })
}

func batch(t testing.TB, v projections.Views, name string, version int, prev, next eventstore.Position, f func(projections.View)) {
	t.Helper()
	err := v.Batch(t.Context(), name, version, prev, next, func(v projections.View) error { f(v); return nil })
	if err != nil {
		t.Fatalf("batch %s@%d %d to %d: %v", name, version, prev, next, err)
	}
}

func set(pairs ...string) func(projections.View) {
	return func(v projections.View) {
		for i := 0; i < len(pairs); i += 2 {
			v.Set(pairs[i], []byte(pairs[i+1]))
		}
	}
}

func checkpoint(t testing.TB, v projections.Views, name string, version int, want eventstore.Position) {
	t.Helper()
	if got, err := v.Checkpoint(t.Context(), name, version); err != nil || got != want {
		t.Errorf("checkpoint of %s@%d = %d, %v, want %d", name, version, got, err, want)
	}
}

func activate(t testing.TB, v projections.Views, name string, version int) {
	t.Helper()
	if err := v.Activate(t.Context(), name, version); err != nil {
		t.Fatalf("activate %s@%d: %v", name, version, err)
	}
	if got, err := v.Active(t.Context(), name); err != nil || got != version {
		t.Errorf("active version of %s = %d, %v, want %d", name, got, err, version)
	}
}

func scan(t testing.TB, r projections.Reader, from, to string, reverse bool) (out []pair) {
	t.Helper()
	for p, err := range r.Scan(t.Context(), from, to, reverse) {
		if err != nil {
			t.Fatalf("scan %q to %q: %v", from, to, err)
		}
		out = append(out, pair{p.Key, string(p.Value)})
	}
	return out
}

// contents of the active version.
func contents(t testing.TB, v projections.Views, name string) (out []pair) {
	t.Helper()
	if err := v.Read(t.Context(), name, func(r projections.Reader) error { out = scan(t, r, "", "", false); return nil }); err != nil {
		t.Fatalf("read %s: %v", name, err)
	}
	return out
}

func want(t testing.TB, what string, got []pair, pairs ...string) {
	t.Helper()
	var wanted []pair
	for i := 0; i < len(pairs); i += 2 {
		wanted = append(wanted, pair{pairs[i], pairs[i+1]})
	}
	if diff := cmp.Diff(wanted, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func testEmpty(t *testing.T, v projections.Views) {
	checkpoint(t, v, "a", 1, 0)
	if got, err := v.Active(t.Context(), "a"); got != 0 || err != nil {
		t.Errorf("active = %d, %v", got, err)
	}
	err := v.Read(t.Context(), "a", func(projections.Reader) error { t.Error("read something"); return nil })
	if !errors.Is(err, projections.ErrNotBuilt) {
		t.Errorf("read: %v", err)
	}
	activate(t, v, "a", 1) // An empty log is a head too.
	want(t, "an empty view", contents(t, v, "a"))
}

func testBatch(t *testing.T, v projections.Views) {
	batch(t, v, "a", 1, 0, 7, set("x", "1", "y", "2"))
	batch(t, v, "a", 1, 7, 9, func(v projections.View) {
		if v.Position() != 7 {
			t.Errorf("position in the batch = %d", v.Position())
		}
		v.Delete("x")
		v.Delete("never there")
		v.Set("y", []byte("3"))
		v.Set("z", []byte("4"))
	})
	checkpoint(t, v, "a", 1, 9)
	batch(t, v, "a", 1, 9, 9, set("w", "0")) // The checkpoint may stay.
	activate(t, v, "a", 1)
	want(t, "after three batches", contents(t, v, "a"), "w", "0", "y", "3", "z", "4")
	err := v.Read(t.Context(), "a", func(r projections.Reader) error {
		if r.Position() != 9 {
			t.Errorf("position of the reader = %d", r.Position())
		}
		if got, ok, err := r.Get(t.Context(), "y"); string(got) != "3" || !ok || err != nil {
			t.Errorf("get y = %q, %t, %v", got, ok, err)
		}
		if _, ok, err := r.Get(t.Context(), "x"); ok || err != nil {
			t.Errorf("get x = %t, %v", ok, err)
		}
		return errSome
	})
	if err != errSome {
		t.Errorf("Read = %v, not the function's error", err)
	}
}

var errSome = errors.New("some error")

func testFailedBatch(t *testing.T, v projections.Views) {
	batch(t, v, "a", 1, 0, 1, set("x", "1"))
	activate(t, v, "a", 1)
	err := v.Batch(t.Context(), "a", 1, 1, 2, func(v projections.View) error {
		v.Set("x", []byte("2"))
		v.Delete("x")
		v.Set("y", []byte("2"))
		return errSome
	})
	if err != errSome {
		t.Errorf("Batch = %v, not the function's error", err)
	}
	checkpoint(t, v, "a", 1, 1)
	want(t, "after a failure", contents(t, v, "a"), "x", "1")
	batch(t, v, "a", 1, 1, 2, func(v projections.View) { // Nor does the next batch see anything of it.
		want(t, "in the next batch", scan(t, v, "", "", false), "x", "1")
		if got, ok, err := v.Get(t.Context(), "y"); ok || err != nil {
			t.Errorf("get y = %q, %v", got, err)
		}
	})
}

func testCancelled(t *testing.T, v projections.Views) {
	ctx, cancel := context.WithCancel(t.Context())
	err := v.Batch(ctx, "a", 1, 0, 1, func(v projections.View) error {
		v.Set("x", []byte("1"))
		cancel()
		return nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Batch = %v", err)
	}
	checkpoint(t, v, "a", 1, 0)
}

func testFenced(t *testing.T, v projections.Views) {
	batch(t, v, "a", 1, 0, 5, set("x", "1"))
	for _, prev := range []eventstore.Position{0, 4, 6} {
		err := v.Batch(t.Context(), "a", 1, prev, 7, func(v projections.View) error { v.Set("x", []byte("2")); return nil })
		if !errors.Is(err, projections.ErrFenced) {
			t.Errorf("after %d: %v", prev, err)
		}
	}
	checkpoint(t, v, "a", 1, 5)
	activate(t, v, "a", 1)
	want(t, "after fencing", contents(t, v, "a"), "x", "1")
}

func testRace(t *testing.T, v projections.Views) {
	var wg sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		wg.Go(func() {
			errs[i] = v.Batch(t.Context(), "a", 1, 0, eventstore.Position(i+1), func(v projections.View) error {
				v.Set("winner", fmt.Append(nil, i))
				return nil
			})
		})
	}
	wg.Wait()
	winner := -1
	for i, err := range errs {
		switch {
		case err == nil && winner >= 0:
			t.Fatalf("%d and %d both won", winner, i)
		case err == nil:
			winner = i
		case !errors.Is(err, projections.ErrFenced):
			t.Error(err)
		}
	}
	checkpoint(t, v, "a", 1, eventstore.Position(winner+1))
	activate(t, v, "a", 1)
	want(t, "the winner's", contents(t, v, "a"), "winner", fmt.Sprint(winner))
}

func testOwnWrites(t *testing.T, v projections.Views) {
	ctx := t.Context()
	batch(t, v, "a", 1, 0, 1, set("x", "1", "y", "1"))
	batch(t, v, "a", 1, 1, 2, func(v projections.View) {
		v.Set("x", []byte("2"))
		v.Delete("y")
		v.Set("z", []byte("2"))
		for _, c := range []struct {
			key, value string
			ok         bool
		}{{"x", "2", true}, {"y", "", false}, {"z", "2", true}, {"w", "", false}} {
			if got, ok, err := v.Get(ctx, c.key); string(got) != c.value || ok != c.ok || err != nil {
				t.Errorf("get %s = %q, %t, %v", c.key, got, ok, err)
			}
		}
		v.Set("y", []byte("3"))
		v.Delete("z")
		want(t, "after changing again", scan(t, v, "", "", false), "x", "2", "y", "3")
	})
}

func testInvalid(t *testing.T, v projections.Views) {
	never := func(projections.View) error { t.Error("the batch ran"); return nil }
	for what, err := range map[string]error{
		"no name":         v.Batch(t.Context(), "", 1, 0, 1, never),
		"a control byte":  v.Batch(t.Context(), "a\x00b", 1, 0, 1, never),
		"version 0":       v.Batch(t.Context(), "a", 0, 0, 1, never),
		"going back":      v.Batch(t.Context(), "a", 1, 2, 1, never),
		"activating none": v.Activate(t.Context(), "a", 0),
	} {
		if err == nil {
			t.Errorf("%s: accepted", what)
		}
	}
}
