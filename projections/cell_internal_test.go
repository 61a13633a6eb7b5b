package projections

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"zujian/domain"
	"zujian/eventstore"
)

// TestCell: a cell that deltas were added to is, byte for byte, the JSON of the sums that are not zero, however it was read
// meanwhile.
func TestCell(t *testing.T) {
	name := rapid.SampledFrom([]string{"", "a", "b", "filed", "filed_OUT", "<", "租", `"`, `":`, "\\", ",", "}"})
	rapid.Check(t, func(t *rapid.T) {
		want := Counters{}
		var got cell
		var views Memory
		var kept rows
		read := func(name string) (all Counters) {
			_ = views.Activate(t.Context(), name, 1) // It can't fail.
			err := views.Read(t.Context(), name, func(r Reader) (err error) {
				if all, err = Get[Counters](t.Context(), r, "cell"); err != nil {
					return err
				}
				if _, there, err := r.Get(t.Context(), "cell"); there != (len(all) > 0) || err != nil {
					t.Fatalf("%s: a row of %v is there: %t, %v", name, all, there, err)
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			return all
		}
		for at := range rapid.IntRange(1, 6).Draw(t, "times") {
			deltas := Counters(rapid.MapOfN(name, rapid.Int64Range(-2, 2), 0, 6).Draw(t, "deltas"))
			if rapid.IntRange(0, 3).Draw(t, "all away") == 0 {
				clear(deltas)
				for n, have := range want {
					deltas[n] = -have
				}
			}
			for n, d := range deltas {
				if want[n] += d; want[n] == 0 {
					delete(want, n)
				}
			}
			from, to := eventstore.Position(at), eventstore.Position(at+1)
			err := views.Batch(t.Context(), "v", 1, from, to, func(v View) error { return Bump(t.Context(), v, "cell", deltas) })
			if err != nil {
				t.Fatal(err)
			}
			err = views.Batch(t.Context(), "kept", 1, from, to, func(v View) error { // With rows in memory from batch to batch.
				if kept.turn(1); rapid.Bool().Draw(t, "forgotten") {
					kept = rows{young: map[string]*row{}}
				}
				inMemory := &rowView{View: v, rows: &kept}
				for name, n := range deltas { // One by one, some twice.
					if err := errors.Join(Bump(t.Context(), inMemory, "cell", Counters{name: n - 1}), Bump(t.Context(), inMemory, "cell", Counters{name: 1})); err != nil {
						return err
					}
				}
				inMemory.flush()
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(read("v"), read("kept"), cmpopts.EquateEmpty()); d != "" {
				t.Fatalf("with rows in memory: %s", d)
			}
			if d := cmp.Diff(map[string]int64(want), map[string]int64(read("v")), cmp.Transformer("none", func(m map[string]int64) string {
				raw, _ := json.Marshal(m) // nil and empty are the same.
				if string(raw) == "null" {
					return "{}"
				}
				return string(raw)
			})); d != "" {
				t.Fatal(d)
			}
			raw, err := json.Marshal(want)
			if err != nil {
				t.Fatal(err)
			}
			if err := got.readRow(raw); err != nil {
				t.Fatal(err)
			}
			if text := string(appendRow(nil, new(domain.PackRoom), &got)); text != string(raw) {
				t.Fatalf("%s is written as %s", raw, text)
			}
		}
	})
	for _, text := range []string{`{"a":1 }`, `{"b":1,"a":2}`, `{ "a":1}`, `{"a":1,"a":2}`, `{"a":0}`, `null`} {
		var c cell
		if err := c.readRow([]byte(text)); err != nil {
			t.Errorf("%s: %v", text, err)
		}
		var want Counters
		if err := json.Unmarshal([]byte(text), &want); err != nil {
			t.Fatal(err)
		}
		if len(c) != len(want) || len(c) > 0 && (c[0].name != "a" || c[0].n != want["a"]) {
			t.Errorf("%s is read as %v", text, c)
		}
	}
	for _, text := range []string{"", "{", `{"a":1`, `{"a":1,}`, `{"a":}`, `{"a":1.5}`, `{"a":"1"}`, `{"a":1}}`, `[1]`} {
		var c cell
		if err := c.readRow([]byte(text)); err == nil {
			t.Errorf("%s is read as %v", text, c)
		}
	}
}
