package viewstest

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"zujian/eventstore"
	"zujian/projections"
)

// op is one random step of a fold. Keys collide often and share prefixes.
type op struct {
	Kind    int // 0, 1 set; 2 delete; 3 get; 4 scan; 5 scan and delete what is found.
	Key, To string
	Value   string
	Reverse bool
}

var (
	keys = rapid.SampledFrom([]string{"", "a", "a/", "a/1", "a/2", "a\xff", "b", "b/1", "c", "\xff"})
	ops  = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) op {
		return op{
			Kind: rapid.IntRange(0, 5).Draw(t, "kind"), Key: keys.Draw(t, "key"), To: keys.Draw(t, "to"),
			Value: rapid.StringN(0, 4, -1).Draw(t, "value"), Reverse: rapid.Bool().Draw(t, "reverse"),
		}
	}), 0, 60)
)

// do performs an op and tells what it saw.
func (o op) do(ctx context.Context, v projections.View) (saw string, err error) {
	switch o.Kind {
	case 0, 1:
		v.Set(o.Key, []byte(o.Value))
	case 2:
		v.Delete(o.Key)
	case 3:
		value, ok, err := v.Get(ctx, o.Key)
		return fmt.Sprintf("%q %t", value, ok), err
	default:
		for p, err := range v.Scan(ctx, o.Key, o.To, o.Reverse) {
			if err != nil {
				return saw, err
			}
			saw += fmt.Sprintf("%q=%q ", p.Key, p.Value)
			if o.Kind == 5 {
				v.Delete(p.Key)
			}
		}
	}
	return saw, nil
}

// testModel runs the same batches, some failing, on the store and on the model.
func testModel(t *testing.T, open func(testing.TB) projections.Views) {
	rapid.Check(t, func(rt *rapid.T) {
		ctx := t.Context()
		name := uniqueName(t, rt)
		var model projections.Memory
		store := open(t)
		at := map[int]eventstore.Position{}
		for range rapid.IntRange(1, 8).Draw(rt, "batches") {
			version := rapid.IntRange(1, 2).Draw(rt, "version")
			next := at[version] + eventstore.Position(rapid.IntRange(0, 3).Draw(rt, "step"))
			steps, fails := ops.Draw(rt, "ops"), rapid.IntRange(0, 3).Draw(rt, "fails") == 0
			var saw [2][]string
			for i, v := range []projections.Views{&model, store} {
				err := v.Batch(ctx, name, version, at[version], next, func(v projections.View) error {
					for _, o := range steps {
						s, err := o.do(ctx, v)
						if err != nil {
							return err
						}
						saw[i] = append(saw[i], s)
					}
					if fails {
						return errSome
					}
					return nil
				})
				if fails != errors.Is(err, errSome) || (err != nil && !fails) {
					rt.Fatalf("batch: %v", err)
				}
			}
			if diff := cmp.Diff(saw[0], saw[1]); diff != "" {
				rt.Fatalf("in the batch (-model +store):\n%s", diff)
			}
			if !fails {
				at[version] = next
			}
			same(rt, t, name, version, &model, store)
		}
	})
}

// uniqueName lets runs share one store, should open give the same.
func uniqueName(t testing.TB, rt *rapid.T) string {
	_ = t
	return "v" + rapid.StringMatching(`[a-z]{12}`).Draw(rt, "name")
}

// same activates a version in both and compares all it holds.
func same(rt *rapid.T, t testing.TB, name string, version int, model, store projections.Views) {
	var got [2][]pair
	var back [2][]pair
	for i, v := range []projections.Views{model, store} {
		activate(t, v, name, version)
		err := v.Read(t.Context(), name, func(r projections.Reader) error {
			got[i], back[i] = scan(t, r, "", "", false), scan(t, r, "a", "c", true)
			return nil
		})
		if err != nil {
			rt.Fatalf("read: %v", err)
		}
	}
	if diff := cmp.Diff(got[0], got[1]) + cmp.Diff(back[0], back[1]); diff != "" {
		rt.Fatalf("stored (-model +store):\n%s", diff)
	}
}

// testSplit folds one sequence in random batches and in one, with failures in between.
func testSplit(t *testing.T, open func(testing.TB) projections.Views) {
	rapid.Check(t, func(rt *rapid.T) {
		steps := ops.Draw(rt, "ops")
		store := open(t)
		name := uniqueName(t, rt)
		fold(rt, t, store, name, 1, steps, func(int) int { return len(steps) + 1 })
		fold(rt, t, store, name, 2, steps, func(int) int { return rapid.IntRange(1, 9).Draw(rt, "size") })
		var got [2][]pair
		for i := range got {
			activate(t, store, name, i+1)
			got[i] = contents(t, store, name)
		}
		if diff := cmp.Diff(got[0], got[1]); diff != "" {
			rt.Fatalf("-whole +split:\n%s", diff)
		}
	})
}

// fold does steps from where the version stands, position i after step i.
func fold(rt *rapid.T, t testing.TB, v projections.Views, name string, version int, steps []op, size func(at int) int) {
	ctx := t.Context()
	at, err := v.Checkpoint(ctx, name, version)
	if err != nil {
		rt.Fatalf("checkpoint: %v", err)
	}
	for int(at) < len(steps) {
		next := min(int(at)+size(int(at)), len(steps))
		err := v.Batch(ctx, name, version, at, eventstore.Position(next), func(v projections.View) error {
			for _, o := range steps[at:next] {
				if _, err := o.do(ctx, v); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			rt.Fatalf("batch: %v", err)
		}
		at = eventstore.Position(next)
	}
}

// Disk is a view store that outlives its process.
type Disk struct {
	Open  func() (projections.Views, error)       // Opens what is there.
	Close func(projections.Views) error           // Ends an opened one in good order.
	Crash func(projections.Views, *rapid.T) error // Ends an opened one as a power loss would; what was not synced may be gone.
}

// Durable checks what a view store on disk owes beyond Run: a clean close loses nothing, and after a crash each version
// stands at the end of one of its batches, with its checkpoint, and going on from there gives the same view.
func Durable(t *testing.T, disk func(testing.TB) Disk) {
	t.Run("a reopened store has everything", func(t *testing.T) {
		d := disk(t)
		v := mustOpen(t, d)
		batch(t, v, "a", 1, 0, 5, set("x", "1", "y", "1"))
		batch(t, v, "a", 2, 0, 6, set("x", "2"))
		activate(t, v, "a", 2)
		if err := d.Close(v); err != nil {
			t.Fatal(err)
		}
		if err := v.Batch(t.Context(), "a", 2, 6, 7, func(projections.View) error { return nil }); err == nil {
			t.Error("a closed store takes a batch")
		}
		v = mustOpen(t, d)
		checkpoint(t, v, "a", 1, 5)
		checkpoint(t, v, "a", 2, 6)
		want(t, "the active version", contents(t, v, "a"), "x", "2")
		activate(t, v, "a", 1)
		want(t, "the other", contents(t, v, "a"), "x", "1", "y", "1")
		if err := d.Close(v); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("a crash between batches loses whole batches at most", func(t *testing.T) {
		rapid.Check(t, func(rt *rapid.T) { testCrash(rt, t, disk(t)) })
	})
}

func mustOpen(t testing.TB, d Disk) projections.Views {
	t.Helper()
	v, err := d.Open()
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	return v
}

func testCrash(rt *rapid.T, t testing.TB, d Disk) {
	steps := ops.Draw(rt, "ops")
	var model projections.Memory
	fold(rt, t, &model, "v", 1, steps, func(int) int { return len(steps) + 1 })
	v := mustOpen(t, d)
	for range rapid.IntRange(1, 3).Draw(rt, "crashes") {
		had, err := v.Checkpoint(t.Context(), "v", 1)
		if err != nil {
			rt.Fatalf("checkpoint: %v", err)
		}
		upTo := rapid.IntRange(int(had), len(steps)).Draw(rt, "up to")
		fold(rt, t, v, "v", 1, steps[:upTo], func(int) int { return rapid.IntRange(1, 9).Draw(rt, "size") })
		if err := d.Crash(v, rt); err != nil {
			rt.Fatalf("crash: %v", err)
		}
		v = mustOpen(t, d)
		at, err := v.Checkpoint(t.Context(), "v", 1)
		if err != nil || int(at) > upTo {
			rt.Fatalf("checkpoint after a crash at %d = %d, %v", upTo, at, err)
		}
		var prefix projections.Memory // What was found must be exactly what its checkpoint says.
		fold(rt, t, &prefix, "v", 1, steps[:at], func(int) int { return len(steps) + 1 })
		same(rt, t, "v", 1, &prefix, v)
	}
	fold(rt, t, v, "v", 1, steps, func(int) int { return 7 })
	same(rt, t, "v", 1, &model, v)
	if err := d.Close(v); err != nil {
		rt.Fatalf("close: %v", err)
	}
}
