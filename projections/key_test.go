package projections_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"pgregory.net/rapid"

	. "zujian/projections"
)

// likeKeys are texts that a reader of packed parts could take for something else.
var likeKeys = []string{
	"", "a", "ab", "2026-03-01", "320115", "南京", "\xf8", "\xfb", "\xfc", "\xff", "\xff\xff", "\xf7", "\x80",
	"\xf8" + strings.Repeat("\x80", 18), "\xff\xf8" + strings.Repeat("\x80", 18), strings.Repeat("\xff", 19), strings.Repeat("\x80", 19),
	"\xf8" + strings.Repeat("\x80", 17), "\xf9" + strings.Repeat("\x80", 17), "\xf8" + strings.Repeat("\x80", 19),
	"0190A1B2-0000-7000-8000-000000000001", "0190a1b2-0000-7000-8000-00000000000", "0190a1b2-0000-7000-8000-0000000000010",
	"0190a1b2_0000-7000-8000-000000000001", "0190a1b2-0000-7000-8000-00000000000g", "{190a1b2-0000-7000-8000-00000000000}",
}

func someUUID(t *rapid.T) string {
	id := rapid.OneOf(rapid.SliceOfN(rapid.Byte(), 16, 16), rapid.SliceOfN(rapid.SampledFrom([]byte{0, 1, 0x7f, 0x80, 0xff}), 16, 16)).Draw(t, "id")
	return uuid.UUID(id).String()
}

func someText(t *rapid.T) string {
	return rapid.OneOf(
		rapid.SampledFrom(likeKeys), rapid.StringMatching(`[a-z0-9:-]{0,40}`),
		rapid.Map(rapid.SliceOfN(rapid.ByteRange(' ', 0xff), 0, 40), func(b []byte) string { return string(b) }),
	).Filter(func(s string) bool {
		_, err := uuid.Parse(s)
		return err != nil || len(s) != 36 || s != strings.ToLower(s)
	}).Draw(t, "text")
}

// TestKeys: a key is read as it was made, keys are in order of their parts, texts before UUIDs, and a prefix is that of all
// keys with its parts and of no others.
func TestKeys(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type part struct {
			text string
			id   bool
		}
		parts := func() (all []part, texts []string) {
			for range rapid.IntRange(1, 4).Draw(t, "parts") {
				p := part{id: rapid.Bool().Draw(t, "is a UUID")}
				if p.id {
					p.text = someUUID(t)
				} else {
					p.text = someText(t)
				}
				all, texts = append(all, p), append(texts, p.text)
			}
			return all, texts
		}
		a, as := parts()
		b, bs := parts()
		if n := rapid.IntRange(0, len(a)).Draw(t, "in common"); n > 0 {
			b, bs = append(slices.Clone(a[:n]), b...), append(slices.Clone(as[:n]), bs...)
		}
		ka, kb := Key(as...), Key(bs...)
		if got := Parts(ka); !slices.Equal(got, as) || Tail(ka) != as[len(as)-1] || KeyText(ka) != strings.Join(as, "\x00") {
			t.Fatalf("%q is read as %q, the last as %q", as, got, Tail(ka))
		}
		class := func(p part) int { // In order of these, and each in order of texts.
			switch {
			case p.id:
				return 1
			case p.text != "" && p.text[0] >= 0xf8:
				return 2
			}
			return 0
		}
		want := slices.CompareFunc(a, b, func(x, y part) int { return cmp.Or(cmp.Compare(class(x), class(y)), strings.Compare(x.text, y.text)) })
		if got := strings.Compare(ka, kb); got != want {
			t.Fatalf("%q and %q compare as %d, want %d: %x %x", as, bs, got, want, ka, kb)
		}
		under := len(bs) > len(as) && slices.Equal(bs[:len(as)], as)
		if in := kb >= Prefix(as...) && kb < PrefixEnd(as...); in != under || strings.HasPrefix(kb, Prefix(as...)) != under {
			t.Fatalf("%q is in the range of %q: %t", bs, as, in)
		}
	})
}

// TestLikeKeys: what is nearly a UUID is a text.
func TestLikeKeys(t *testing.T) {
	const id = "0190a1b2-c3d4-7e5f-8a6b-7c8d9e0f1a2b"
	all := slices.Clone(likeKeys)
	for i := range id {
		all = append(all, id[:i]+id[i+1:], id[:i]+"g"+id[i+1:], id[:i]+"-"+id[i:], id[:i]+strings.ToUpper(id[i:]), id[:i]+"a"+id[i+1:])
	}
	for _, text := range all {
		for _, parts := range [][]string{{text}, {text, id}, {id, text}, {text, text}} {
			if got := Parts(Key(parts...)); !slices.Equal(got, parts) {
				t.Errorf("%q is read as %q", parts, got)
			}
		}
	}
}

// TestShortKeys: a UUID takes 19 bytes of a key.
func TestShortKeys(t *testing.T) {
	const id = "0190a1b2-c3d4-7e5f-8a6b-7c8d9e0f1a2b"
	if key := Key("c", id); len(key) != 2+19 || bytes.Contains([]byte(key[2:]), []byte{0}) {
		t.Errorf("%x", key)
	}
}

// TestCursorsAreText: a cursor names a row as it always did, whatever keys look like in the store.
func TestCursorsAreText(t *testing.T) {
	var views Memory
	ctx := context.Background()
	var ids []string
	err := views.Batch(ctx, "v", 1, 0, 9, func(v View) error {
		for i := range 5 {
			id := fmt.Sprintf("0190a1b2-0000-7000-8000-%012d", i)
			ids = append(ids, id)
			v.Set(Key("c", id, "2026-03-01", id), []byte("{}"))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := views.Activate(ctx, "v", 1); err != nil {
		t.Fatal(err)
	}
	err = views.Read(ctx, "v", func(r Reader) error {
		p, got := Page{Limit: 2}, []string(nil)
		for {
			rows, next, err := List(ctx, r, []string{"c"}, false, p, func(pair Pair) (string, bool, error) { return Parts(pair.Key)[1], true, nil })
			if err != nil {
				return err
			}
			if got = append(got, rows...); next == "" {
				break
			}
			last := rows[len(rows)-1]
			if want := base64.RawURLEncoding.EncodeToString([]byte(last + "\x00" + "2026-03-01" + "\x00" + last)); next != want {
				t.Errorf("cursor %q, want %q", next, want)
			}
			p.Cursor = next
		}
		if d := gocmp.Diff(got, ids); d != "" {
			t.Errorf("got -, want +\n%s", d)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func FuzzKeyParts(f *testing.F) {
	for _, p := range likeKeys {
		f.Add(p)
	}
	f.Add("0190a1b2-c3d4-7e5f-8a6b-7c8d9e0f1a2b")
	f.Fuzz(func(t *testing.T, part string) {
		if strings.Contains(part, "\x00") {
			return
		}
		key := Key("a", part, "b")
		if got := Parts(key); len(got) != 3 || got[1] != part {
			t.Errorf("%q is read as %q", part, got)
		}
		_ = Parts(part) // Of any bytes.
	})
}
