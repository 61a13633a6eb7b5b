package projections

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
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
		read := func() (all Counters) {
			_ = views.Activate(t.Context(), "v", 1) // It can't fail.
			err := views.Read(t.Context(), "v", func(r Reader) (err error) {
				all, err = Get[Counters](t.Context(), r, "cell")
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			return all
		}
		for at := range rapid.IntRange(1, 6).Draw(t, "times") {
			deltas := Counters(rapid.MapOfN(name, rapid.Int64Range(-2, 2), 0, 6).Draw(t, "deltas"))
			for n, d := range deltas {
				if want[n] += d; want[n] == 0 {
					delete(want, n)
				}
			}
			err := views.Batch(t.Context(), "v", 1, eventstore.Position(at), eventstore.Position(at+1), func(v View) error { return Bump(t.Context(), v, "cell", deltas) })
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(map[string]int64(want), map[string]int64(read()), cmp.Transformer("none", func(m map[string]int64) string {
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
