package projections

import (
	"encoding/json"
	"testing"

	"pgregory.net/rapid"
)

// Counters are encoded by hand; encoding/json says how.
func TestCountersAsJSON(t *testing.T) {
	names := rapid.OneOf(rapid.String(), rapid.StringMatching(`[a-z_]{1,8}`), rapid.SampledFrom([]string{"<", "\"", "\\", "&", ">", "~", "\x7f", " "}))
	rapid.Check(t, func(t *rapid.T) {
		c := Counters(rapid.MapOf(names, rapid.Int64()).Draw(t, "counters"))
		want, err := json.Marshal(map[string]int64(c))
		if got := encodeRow(c); err != nil || string(got) != string(want) {
			t.Fatalf("got %s, want %s", got, want)
		}
	})
}
