package projections

import (
	"context"
	"fmt"
	"maps"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"zujian/eventstore"
)

// TestRowsInMemory: however rows are put, set, deleted, read and scanned, over many batches, they are what was written last.
func TestRowsInMemory(t *testing.T) {
	type row struct {
		N int `json:"n"`
	}
	type wide struct {
		N int64 `json:"n"`
	}
	ctx := t.Context()
	stored := func(n int) string { return fmt.Sprintf(`{"n":%d}`, n) }
	rapid.Check(t, func(t *rapid.T) {
		var views Memory
		var kept rows
		want := map[string]string{}
		scanned := func(r Reader, from, to string) map[string]string {
			got := map[string]string{}
			for p := range r.Scan(ctx, from, to, false) {
				got[p.Key] = string(p.Value)
			}
			return got
		}
		key := rapid.SampledFrom([]string{Key("a", "1"), Key("a", "2"), "b"})
		bound := rapid.SampledFrom([]string{"", Key("a", "1"), Key("a", "2"), "b", "c"})
		for at := range eventstore.Position(rapid.IntRange(1, 5).Draw(t, "batches")) {
			err := views.Batch(ctx, "v", 1, at, at+1, func(view View) error {
				kept.turn(1)
				v := &rowView{View: view, rows: &kept}
				for step := range rapid.IntRange(0, 20).Draw(t, "steps") {
					k := key.Draw(t, "key")
					switch rapid.IntRange(0, 6).Draw(t, "step") {
					case 0:
						Put(v, k, row{step})
						want[k] = stored(step)
					case 1:
						v.Set(k, []byte(stored(-step)))
						want[k] = stored(-step)
					case 2:
						v.Delete(k)
						delete(want, k)
					case 3:
						got, err := Get[row](ctx, v, k)
						if is, there := want[k]; err != nil || there && stored(got.N) != is || !there && got != (row{}) {
							t.Fatalf("%q is read as %+v, want %q, %v", k, got, is, err)
						}
					case 4:
						got, there, err := v.Get(ctx, k)
						if is, has := want[k]; err != nil || there != has || string(got) != is {
							t.Fatalf("%q is %q %v, want %q, %v", k, got, there, is, err)
						}
					case 5:
						from, to := bound.Draw(t, "from"), bound.Draw(t, "to")
						within := maps.Clone(want)
						maps.DeleteFunc(within, func(key, _ string) bool { return key < from || to != "" && key >= to })
						if d := cmp.Diff(scanned(v, from, to), within); d != "" {
							t.Fatal(d)
						}
					case 6: // As a value of another type.
						Put(v, k, wide{int64(step)})
						want[k] = stored(step)
					}
				}
				v.flush()
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		_ = views.Activate(ctx, "v", 1) // It can't fail.
		_ = views.Read(ctx, "v", func(r Reader) error {
			if d := cmp.Diff(scanned(r, "", ""), want); d != "" {
				t.Fatal(d)
			}
			return nil
		})
	})
}

// asks notes which keys are asked for.
type asks struct {
	View
	keys []string
}

func (a *asks) Get(ctx context.Context, key string) ([]byte, bool, error) {
	a.keys = append(a.keys, key)
	return a.View.Get(ctx, key)
}

// TestGetOwn: the row of a new stream is not looked for, but once of its kind, so that the view store keeps such rows; that
// of a known stream is, and rows in memory are read as they were put.
func TestGetOwn(t *testing.T) {
	type row struct {
		N int `json:"n"`
	}
	var views Memory
	var kept rows
	var asked asks
	err := views.Batch(t.Context(), "v", 1, 0, 1, func(view View) error {
		kept.turn(1)
		asked.View = view
		v := &rowView{View: &asked, rows: &kept}
		v.View.Set(Key("a", "3"), []byte(`{"n":3}`))
		for i, at := range []struct {
			kind, id string
			revision eventstore.Revision
			want     int
		}{{"a", "1", 0, 0}, {"a", "2", 0, 0}, {"b", "1", 0, 0}, {"a", "3", 1, 3}, {"a", "1", 1, 10}, {"a", "4", 0, 0}} {
			key := Key(at.kind, at.id)
			got, err := GetOwn[row](t.Context(), v, key, Event{Revision: at.revision})
			if err != nil || got.N != at.want {
				t.Errorf("%d: %q is %+v, %v", i, key, got, err)
			}
			if at.id == "1" && at.kind == "a" {
				Put(v, key, row{10})
			}
		}
		v.flush()
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(asked.keys, []string{Key("a", "1"), Key("b", "1"), Key("a", "3")}); d != "" {
		t.Error(d)
	}
}

// TestRowsKept: in service few decoded rows are kept, and those used in every batch always; while batches are large, many.
func TestRowsKept(t *testing.T) {
	for _, c := range []struct{ events, most int }{{1, 3 * rowsService}, {rowsService, 3 * rowsMax}} {
		var r rows
		for batch := range 3 * rowsMax / 100 {
			r.turn(c.events)
			if batch > 0 && r.get("cell") == nil {
				t.Fatalf("a row used in every batch is forgotten in batch %d", batch)
			}
			keepRow(&r, "cell", batch)
			for i := range 100 {
				keepRow(&r, fmt.Sprint(batch, i), i)
			}
		}
		if n := len(r.young) + len(r.old); n > c.most || n < c.most/6 {
			t.Errorf("%d rows are kept beside batches of %d events", n, c.events)
		}
	}
}

// TestReadRoom: the next pass has the memory of the last, without what was in it, and not that of a catch-up.
func TestReadRoom(t *testing.T) {
	last := []Event{{Stream: "a"}, {Stream: "b"}}
	if next := kept(last)[:2]; &next[0] != &last[0] || next[0].Stream+next[1].Stream != "" {
		t.Errorf("the next pass finds %q and %q", next[0].Stream, next[1].Stream)
	}
	if kept(make([]Event, readRoomMax+1)) != nil {
		t.Error("the memory of a catch-up is kept")
	}
}
