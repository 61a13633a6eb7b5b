package viewstest

import (
	"errors"
	"fmt"
	"testing"

	"zujian/projections"
)

func testScan(t *testing.T, v projections.Views) {
	batch(t, v, "a", 1, 0, 1, set("", "0", "b", "2", "a", "1", "b/1", "3", "c", "5", "b/\xff", "4", "\xff\xff", "6"))
	activate(t, v, "a", 1)
	check := func(t *testing.T, r projections.Reader) {
		all := []string{"", "0", "a", "1", "b", "2", "b/1", "3", "b/\xff", "4", "c", "5", "\xff\xff", "6"}
		want(t, "all", scan(t, r, "", "", false), all...)
		var back []string
		for i := len(all) - 2; i >= 0; i -= 2 {
			back = append(back, all[i], all[i+1])
		}
		want(t, "all, backwards", scan(t, r, "", "", true), back...)
		want(t, "b/ to b0", scan(t, r, "b/", "b0", false), "b/1", "3", "b/\xff", "4")
		want(t, "b/ to b0, backwards", scan(t, r, "b/", "b0", true), "b/\xff", "4", "b/1", "3")
		want(t, "from is inside", scan(t, r, "b", "c", false), "b", "2", "b/1", "3", "b/\xff", "4")
		want(t, "from bb on", scan(t, r, "bb", "", false), "c", "5", "\xff\xff", "6")
		want(t, "nothing between", scan(t, r, "bb", "bc", true))
		want(t, "an empty range", scan(t, r, "b", "b", false))
		want(t, "a range the wrong way", scan(t, r, "c", "a", true))
		for p, err := range r.Scan(t.Context(), "", "", false) { // Stopping early is no fault.
			if err != nil || p.Key != "" {
				t.Errorf("first = %q, %v", p.Key, err)
			}
			break
		}
	}
	t.Run("in a reader", func(t *testing.T) {
		if err := v.Read(t.Context(), "a", func(r projections.Reader) error { check(t, r); return nil }); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("in a batch", func(t *testing.T) { batch(t, v, "a", 1, 1, 2, func(v projections.View) { check(t, v) }) })
	t.Run("of a batch's own", func(t *testing.T) {
		batch(t, v, "b", 1, 0, 1, func(v projections.View) {
			set("", "0", "b", "2", "a", "1", "b/1", "3", "c", "5", "b/\xff", "4", "\xff\xff", "6")(v)
			check(t, v)
		})
	})
}

func testScanMerges(t *testing.T, v projections.Views) {
	batch(t, v, "a", 1, 0, 1, set("a", "1", "c", "1", "e", "1", "g", "1"))
	batch(t, v, "a", 1, 1, 2, func(v projections.View) {
		set("b", "2", "c", "2", "h", "2")(v)
		v.Delete("e")
		v.Delete("f")
		want(t, "merged", scan(t, v, "", "", false), "a", "1", "b", "2", "c", "2", "g", "1", "h", "2")
		want(t, "merged, backwards", scan(t, v, "", "", true), "h", "2", "g", "1", "c", "2", "b", "2", "a", "1")
		want(t, "merged, bounded", scan(t, v, "b", "g", true), "c", "2", "b", "2")
		set("e", "3", "0", "3")(v) // More writes after a scan.
		v.Delete("h")
		want(t, "merged again", scan(t, v, "", "", false), "0", "3", "a", "1", "b", "2", "c", "2", "e", "3", "g", "1")
	})
	activate(t, v, "a", 1)
	want(t, "stored", contents(t, v, "a"), "0", "3", "a", "1", "b", "2", "c", "2", "e", "3", "g", "1")
}

func testScanWhileWriting(t *testing.T, v projections.Views) {
	batch(t, v, "a", 1, 0, 1, set("a", "1", "b", "1", "c", "1"))
	batch(t, v, "a", 1, 1, 2, func(v projections.View) {
		set("d", "2")(v)
		n := 0
		for p, err := range v.Scan(t.Context(), "", "", false) {
			if err != nil {
				t.Fatal(err)
			}
			n++
			v.Delete(p.Key)
			v.Set(p.Key+"x", []byte("3"))
			for range v.Scan(t.Context(), "a", "c", true) { // A scan inside a scan is its own.
				break
			}
		}
		if n != 4 {
			t.Errorf("the scan saw %d pairs, not the 4 there were", n)
		}
		want(t, "afterwards", scan(t, v, "", "", false), "ax", "3", "bx", "3", "cx", "3", "dx", "3")
	})
}

func testKeyspaces(t *testing.T, v projections.Views) {
	names := []string{"a", "aa", "a-", "b"} // One name begins with another.
	for i, name := range names {
		batch(t, v, name, 1, 0, 1, set("k", fmt.Sprint(i), "\x00", "low", "\xff\xff\xff\xff\xff", "high"))
		activate(t, v, name, 1)
	}
	for i, name := range names {
		want(t, name, contents(t, v, name), "\x00", "low", "k", fmt.Sprint(i), "\xff\xff\xff\xff\xff", "high")
		batch(t, v, name, 1, 1, 2, func(v projections.View) {
			want(t, name, scan(t, v, "", "", true), "\xff\xff\xff\xff\xff", "high", "k", fmt.Sprint(i), "\x00", "low")
		})
	}
}

func testVersions(t *testing.T, v projections.Views) {
	batch(t, v, "a", 1, 0, 5, set("x", "old"))
	activate(t, v, "a", 1)
	batch(t, v, "a", 2, 0, 3, set("x", "new"))
	high := projections.VersionMax + 2
	batch(t, v, "a", high, 0, 4, set("x", "highest"))
	checkpoint(t, v, "a", 1, 5)
	checkpoint(t, v, "a", 2, 3)
	checkpoint(t, v, "a", high, 4)
	want(t, "before", contents(t, v, "a"), "x", "old")
	activate(t, v, "a", 2)
	want(t, "after", contents(t, v, "a"), "x", "new")
	activate(t, v, "a", high)
	want(t, "after the second", contents(t, v, "a"), "x", "highest")
	batch(t, v, "a", 1, 5, 6, set("x", "older")) // The old version still stands.
	activate(t, v, "a", 1)
	want(t, "back again", contents(t, v, "a"), "x", "older")
}

func testDrop(t *testing.T, v projections.Views) {
	batch(t, v, "a", 1, 0, 5, set("x", "1", "y", "1"))
	activate(t, v, "a", 1)
	if err := v.Drop(t.Context(), "a", 1); !errors.Is(err, projections.ErrActive) {
		t.Errorf("dropping the active version: %v", err)
	}
	batch(t, v, "a", 2, 0, 5, set("x", "2"))
	batch(t, v, "a", 3, 0, 5, set("x", "3"))
	activate(t, v, "a", 2)
	for range 2 { // Dropping nothing is no fault.
		if err := v.Drop(t.Context(), "a", 1); err != nil {
			t.Fatal(err)
		}
	}
	checkpoint(t, v, "a", 1, 0)
	checkpoint(t, v, "a", 2, 5)
	batch(t, v, "a", 1, 0, 1, func(v projections.View) {
		want(t, "a dropped version", scan(t, v, "", "", false))
		if _, ok, err := v.Get(t.Context(), "x"); ok || err != nil {
			t.Errorf("get x = %t, %v", ok, err)
		}
		set("z", "4")(v)
	})
	want(t, "the active one", contents(t, v, "a"), "x", "2")
	activate(t, v, "a", 3)
	want(t, "the next", contents(t, v, "a"), "x", "3")
	activate(t, v, "a", 1)
	want(t, "built again", contents(t, v, "a"), "z", "4")
}

func testSnapshot(t *testing.T, v projections.Views) {
	batch(t, v, "a", 1, 0, 1, set("x", "1", "y", "1"))
	activate(t, v, "a", 1)
	err := v.Read(t.Context(), "a", func(r projections.Reader) error {
		n := 0
		for p, err := range r.Scan(t.Context(), "", "", false) {
			if err != nil {
				return err
			}
			if n++; n == 1 {
				batch(t, v, "a", 1, 1, 2, set("x", "2", "y", "2", "z", "2"))
				batch(t, v, "a", 2, 0, 9, set("x", "9"))
				activate(t, v, "a", 2)
				if err := v.Drop(t.Context(), "a", 1); err != nil {
					t.Fatal(err)
				}
			}
			if string(p.Value) != "1" {
				t.Errorf("the running scan sees %q", p.Value)
			}
		}
		want(t, "a later scan", scan(t, r, "", "", true), "y", "1", "x", "1")
		if got, ok, err := r.Get(t.Context(), "z"); ok || err != nil || r.Position() != 1 {
			t.Errorf("get z = %q, %v at %d", got, err, r.Position())
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	want(t, "the next reader", contents(t, v, "a"), "x", "9")
}

func testBytes(t *testing.T, v projections.Views) {
	big := make([]byte, 1<<20)
	for i := range big {
		big[i] = byte(i * 7)
	}
	batch(t, v, "a", 1, 0, 1, func(v projections.View) {
		v.Set("big", big)
		v.Set("empty", []byte{})
		v.Set("nil", nil)
		v.Set("\x00", []byte{0})
		for _, key := range []string{"empty", "nil"} {
			if got, ok, err := v.Get(t.Context(), key); len(got) != 0 || !ok || err != nil {
				t.Errorf("get %s = %q, %t, %v", key, got, ok, err)
			}
		}
	})
	activate(t, v, "a", 1)
	stored := []string{"\x00", "\x00", "big", string(big), "empty", "", "nil", ""}
	want(t, "stored", contents(t, v, "a"), stored...)
	batch(t, v, "a", 1, 1, 2, func(v projections.View) {
		want(t, "in a batch", scan(t, v, "", "", false), stored...)
		for _, key := range []string{"empty", "nil"} {
			if got, ok, err := v.Get(t.Context(), key); len(got) != 0 || !ok || err != nil {
				t.Errorf("get %s = %q, %t, %v", key, got, ok, err)
			}
		}
	})
}
