package eventstore

import (
	"bytes"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestMetadataByHand: what is written and read by hand is what the long way gives, whatever the metadata and whatever bytes.
func TestMetadataByHand(t *testing.T) {
	t.Parallel()
	text := rapid.OneOf(rapid.StringMatching(`[a-zA-Z0-9:_-]{0,40}`), rapid.SampledFrom([]string{"", `"`, `\`, "<a&b>", "人", "\x7f", "\u2028", "\xff", "}"}))
	byHand := 0
	rapid.Check(t, func(t *rapid.T) {
		at := time.UnixMicro(rapid.Int64Range(-62_167_219_200_000_000, 253_402_300_799_999_999).Draw(t, "at")).UTC()
		m := Metadata{
			Schema: rapid.IntRange(0, 1<<31-1).Draw(t, "schema"), Actor: text.Draw(t, "actor"), Role: text.Draw(t, "role"),
			Command: text.Draw(t, "command"), Causation: text.Draw(t, "causation"), Correlation: text.Draw(t, "correlation"),
			At: at, Policy: rapid.IntRange(0, 9).Draw(t, "policy"),
		}
		if rapid.Bool().Draw(t, "salted") {
			copy(m.Salt[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "salt"))
			m.Salt[0] = rapid.SampledFrom([]byte{SaltINTL, SaltGM, 0x07}).Draw(t, "suite")
		}
		raw := m.Bytes()
		if want := m.encode(); !bytes.Equal(raw, want) {
			t.Fatalf("got  %s\nwant %s", raw, want)
		}
		if _, ok := parsePlain(raw); ok {
			byHand++
		}
		for range 3 { // As it is, then damaged.
			if got, want := ParseMetadata(raw), parse(raw); got != want {
				t.Fatalf("%s\ngot  %+v\nwant %+v", raw, got, want)
			}
			i := rapid.IntRange(0, len(raw)-1).Draw(t, "where")
			switch rapid.IntRange(0, 2).Draw(t, "how") {
			case 0:
				raw[i] = rapid.SampledFrom([]byte(`0123456789":,{}+-. aZT`)).Draw(t, "byte")
			case 1:
				raw = append(raw[:i:i], raw[i+1:]...)
			default:
				raw = append(raw[:i:i], append([]byte{rapid.SampledFrom([]byte(`0" ,}`)).Draw(t, "byte")}, raw[i:]...)...)
			}
			if len(raw) == 0 {
				return
			}
		}
	})
	if byHand == 0 {
		t.Error("nothing was read by hand")
	}
}

func BenchmarkMetadata(b *testing.B) {
	m := Metadata{
		Schema: 1, Actor: "process:leasing", Role: "system", Command: "7b0f3f8e-3b0a-5a44-9f5e-0a6a6f1b2c3d", Causation: "7b0f3f8e-3b0a-5a44-9f5e-0a6a6f1b2c3e",
		Correlation: "7b0f3f8e-3b0a-5a44-9f5e-0a6a6f1b2c3f", At: time.Date(2026, 3, 1, 2, 3, 4, 567_000, time.UTC), Policy: 3, Salt: Salt{SaltINTL, 2, 3},
	}
	raw := m.Bytes()
	for name, f := range map[string]func(){
		"read":               func() { ParseMetadata(raw) },
		"read, the long way": func() { parse(raw) },
		"write":              func() { m.Bytes() },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				f()
			}
		})
	}
}
