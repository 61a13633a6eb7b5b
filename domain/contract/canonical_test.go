package contract_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	. "zujian/domain/contract"
)

// canonical is RFC 8785 the long way: by decoding everything.
func canonical(v any) string {
	switch v := v.(type) {
	case string:
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		_ = e.Encode(v)
		return strings.NewReplacer("\\u2028", "\u2028", "\\u2029", "\u2029").Replace(strings.TrimSpace(b.String()))
	case []any:
		parts := make([]string, len(v))
		for i, x := range v {
			parts[i] = canonical(x)
		}
		return "[" + strings.Join(parts, ",") + "]"
	case map[string]any:
		var parts []string
		for _, k := range slices.Sorted(maps.Keys(v)) {
			parts = append(parts, canonical(k)+":"+canonical(v[k]))
		}
		return "{" + strings.Join(parts, ",") + "}"
	case nil:
		return "null"
	}
	return fmt.Sprint(v)
}

// mixed is JSON of a value with its members in any order.
func mixed(t *rapid.T, v any) string {
	switch v := v.(type) {
	case []any:
		parts := make([]string, len(v))
		for i, x := range v {
			parts[i] = mixed(t, x)
		}
		return "[" + strings.Join(parts, ", ") + " ]"
	case map[string]any:
		var parts []string
		for _, k := range rapid.Permutation(slices.Sorted(maps.Keys(v))).Draw(t, "order") {
			parts = append(parts, "\n\t"+canonical(k)+" : "+mixed(t, v[k]))
		}
		return "{" + strings.Join(parts, ",") + " }"
	}
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestCanonical(t *testing.T) {
	text := rapid.StringOf(rapid.SampledFrom([]rune("aZ9 ,:[]{}\"\\/<>&\t\n\r\b\f\x01租\u2028😀")))
	key := rapid.StringMatching(`[a-z_]{1,6}`)
	var value func(depth int) *rapid.Generator[any]
	value = func(depth int) *rapid.Generator[any] {
		return rapid.Custom(func(t *rapid.T) any {
			kinds := 6
			if depth == 0 {
				kinds = 4
			}
			switch rapid.IntRange(0, kinds-1).Draw(t, "kind") {
			case 0:
				return text.Draw(t, "text")
			case 1:
				return json.Number(fmt.Sprint(rapid.Int64Range(-1<<53, 1<<53).Draw(t, "number")))
			case 2:
				return rapid.Bool().Draw(t, "bool")
			case 3:
				return nil
			case 4:
				return rapid.SliceOfN(value(depth-1), 0, 4).Draw(t, "list")
			}
			return rapid.MapOfN(key, value(depth-1), 0, 5).Draw(t, "members")
		})
	}
	rapid.Check(t, func(t *rapid.T) {
		v := value(3).Draw(t, "value")
		want := canonical(v)
		plain, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		for _, in := range [][]byte{plain, []byte(mixed(t, v))} {
			if got := string(Canonical(in)); got != want {
				t.Fatalf("%s\n got %s\nwant %s", in, got, want)
			}
		}
	})
}
