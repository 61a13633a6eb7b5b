package domain_test

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"zujian/domain"
)

type failer interface {
	Helper()
	Fatalf(string, ...any)
}

// comesBack holds a form to its own packing: the same value comes back, and packs to the same bytes.
func comesBack[T any](t failer, f domain.Form[T], x T) []byte {
	t.Helper()
	packed, err := f.Pack([]byte("before"), new(domain.PackRoom), &x)
	if err != nil {
		t.Fatalf("%+v: %v", x, err)
	}
	packed = bytes.TrimPrefix(packed, []byte("before"))
	got, err := f.Unpack(packed)
	if err != nil {
		t.Fatalf("%+v: %v\n%q", x, err, packed)
	}
	if !reflect.DeepEqual(got, x) {
		t.Fatalf("%s", cmp.Diff(x, got, cmp.AllowUnexported(everything{}, embedded{}, twice{}, part{})))
	}
	if again, err := f.Pack(nil, new(domain.PackRoom), &got); err != nil || !bytes.Equal(again, packed) {
		t.Fatalf("packed again it is\n%q, not\n%q (%v)", again, packed, err)
	}
	return packed
}

const (
	idA = "0198c6f2-3d1e-7abc-8def-0123456789ab"
	idB = "00000000-0000-0000-0000-ffffffffffff"
)

// TestPackedComesBack packs values of every kind, and texts of every form.
func TestPackedComesBack(t *testing.T) {
	whole, err := everyForm.Unmarshal([]byte(everythingJSON))
	if err != nil {
		t.Fatal(err)
	}
	comesBack(t, everyForm, whole)
	comesBack(t, everyForm, everything{})
	comesBack(t, everyForm, everything{Texts: []string{}, Parts: []part{}, Map: map[string]int64{}, Nested: map[string][]domain.Day{}, One: &part{}})
	for _, text := range []string{
		"", "a", "-", "--------", idA, strings.ToUpper(idA), "contract-" + idA, idA + ":rent", "from " + idA + " to " + idB + idA, idA[1:], idA + idA,
		"00", "0000", "00000", "deadbeef", "DEADBEEF", "12-34", "租约", "\x00", "\xff\xfe", strings.Repeat("x", 300), strings.Repeat("0f", 200),
		"held:0198c6f2-3d1e-7abc-8def-0123456789aX:rent",
	} {
		comesBack(t, domain.FormOf[string](), text)
		comesBack(t, domain.FormOf[[]string](), []string{text, "other", text, "x" + text, text + text})
	}
	comesBack(t, domain.FormOf[map[string]part](), map[string]part{"b": {Share: -1}, "a": {Name: "a"}, "": {}})
	comesBack(t, domain.FormOf[[]*part](), []*part{nil, {}, {Share: 1 << 62}})
	comesBack(t, domain.FormOf[map[string]int64](), map[string]int64{"n": -1 << 63, "": 1<<63 - 1})
	comesBack(t, domain.FormOf[domain.Month](), domain.Month(-1))
	comesBack(t, domain.FormOf[time.Time](), time.Date(2026, 3, 1, 2, 3, 4, 5, time.UTC))
	comesBack(t, domain.FormOf[domain.Verdict](), domain.Verdict{{Rule: "C-05", Version: 2, Outcome: domain.OutcomeAlert, Params: map[string]any{"a": "b"}}})
	many := make([]string, 0, 3<<12)
	for n := range cap(many) {
		many = append(many, strings.Repeat("y", n%(5<<10)))
	}
	comesBack(t, domain.FormOf[[]string](), many)
	deep := everything{}
	for range 50 {
		deep = everything{Tree: &everything{Text: "deep", Tree: deep.Tree}, Text: "deep"}
	}
	comesBack(t, everyForm, deep)
}

// TestPackedIsShort is what packing is for: no name of a field, each identifier once and in half its digits.
func TestPackedIsShort(t *testing.T) {
	type row struct {
		ID     string     `json:"id"`
		Names  []string   `json:"names"`
		Parts  []part     `json:"parts"`
		Stream string     `json:"stream"`
		Zero   domain.Fen `json:"zero"`
		None   *part      `json:"none"`
		Empty  struct{ A, B int }
		On     domain.Month `json:"on"`
	}
	f := domain.FormOf[row]()
	packed := comesBack(t, f, row{ID: idA, Names: []string{idA, "甲", "甲"}, Parts: []part{{Name: "same"}, {Name: "same", Share: 3}}, Stream: "contract-" + idA, On: 24_000})
	// Form 2, fields 2, id 1+16, names 1+1+4+1, parts 1+(1+5)+(1+1+1), stream 1+10+1+1, month 3.
	if want := 2 + 2 + 17 + 7 + 10 + 13 + 3; len(packed) != want {
		t.Errorf("%d bytes, not %d: %q", len(packed), want, packed)
	}
	if packed := comesBack(t, f, row{}); len(packed) != 4 {
		t.Errorf("nothing takes %d bytes: %q", len(packed), packed)
	}
}

// TestPackedAnyValue packs values of documents drawn at random.
func TestPackedAnyValue(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"", idA, "escrow-" + idA, idB + "-" + idA, "abcd", "dup"}))
		x := everything{
			Text: text.Draw(t, "text"), Small: rapid.Int8().Draw(t, "small"), Fen: domain.Fen(rapid.Int64().Draw(t, "fen")), Count: rapid.Uint16().Draw(t, "count"),
			Ratio: rapid.Float64().Draw(t, "ratio"), Day: domain.Day(rapid.IntRange(-1000, 100_000).Draw(t, "day")), Yes: rapid.Bool().Draw(t, "yes"),
			Texts: rapid.SliceOf(text).Draw(t, "texts"), Map: rapid.MapOf(text, rapid.Int64()).Draw(t, "map"), Untagged: rapid.Int().Draw(t, "untagged"),
			Parts:    rapid.SliceOf(rapid.Custom(func(t *rapid.T) part { return part{rapid.Int64().Draw(t, "share"), text.Draw(t, "name"), 0} })).Draw(t, "parts"),
			Pairs:    rapid.SliceOf(rapid.SliceOf(rapid.Int())).Draw(t, "pairs"),
			embedded: embedded{Inner: text.Draw(t, "inner")},
		}
		comesBack(t, everyForm, x)
	})
}

// TestUnpackRefuses shows that bytes of another form, and damaged ones, are an error and never a panic.
func TestUnpackRefuses(t *testing.T) {
	whole, err := everyForm.Unmarshal([]byte(everythingJSON))
	if err != nil {
		t.Fatal(err)
	}
	packed := comesBack(t, everyForm, whole)
	type other struct {
		Share int64      `json:"share_bp"`
		From  domain.Day `json:"from,omitzero"`
		Name  string     `json:"name,omitempty"`
	}
	of, err := domain.FormOf[part]().Pack(nil, new(domain.PackRoom), &part{Share: 1})
	if err != nil {
		t.Fatal(err)
	}
	for name, raw := range map[string][]byte{"nothing": nil, "one byte": of[:1], "JSON": []byte(`{"share_bp":1}`), "another order": of} {
		if _, err := domain.FormOf[other]().Unpack(raw); !errors.Is(err, domain.ErrOtherForm) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for n := range len(packed) {
		if _, err := everyForm.Unpack(packed[:n]); err == nil {
			t.Fatalf("cut off at %d it is read", n)
		}
	}
	if _, err := everyForm.Unpack(append(bytes.Clone(packed), 0)); err == nil {
		t.Error("a byte too many is read")
	}
	if _, err := domain.FormOf[struct{ Small int8 }]().Unpack(packed); !errors.Is(err, domain.ErrOtherForm) {
		t.Error(err)
	}
}

// FuzzUnpack looks for bytes that make reading panic, or that are read as a value which does not come back.
func FuzzUnpack(f *testing.F) {
	whole, err := everyForm.Unmarshal([]byte(everythingJSON))
	if err != nil {
		f.Fatal(err)
	}
	head, err := everyForm.Pack(nil, new(domain.PackRoom), &everything{})
	if err != nil {
		f.Fatal(err)
	}
	for _, x := range []everything{whole, {Texts: []string{idA, "x" + idA, idA}}, {Tree: &whole}} {
		raw, err := everyForm.Pack(nil, new(domain.PackRoom), &x)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw[2:])
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		x, err := everyForm.Unpack(append(head[:2:2], raw...))
		if err != nil {
			return
		}
		if _, err := everyForm.Pack(nil, new(domain.PackRoom), &x); err != nil && x.Raw == nil && x.Number == "" {
			t.Fatalf("%+v is read and not written: %v", x, err)
		}
	})
}
