package seal_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"zujian/eventstore/seal"
)

// TestBuried tells a key that was erased from one that is gone without a word.
func TestBuried(t *testing.T) {
	dir := t.TempDir()
	open := func() *seal.Vault {
		v, err := seal.Open(dir, seal.Options{Now: time.Now})
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	v := open()
	for _, who := range []string{"a", "b"} {
		if _, err := v.Seal(t.Context(), who, "s", "f", "x"); err != nil {
			t.Fatal(err)
		}
	}
	for _, who := range []string{"a", "nobody"} {
		if err := v.Erase(t.Context(), who); err != nil {
			t.Fatal(err)
		}
	}
	check := func(what string, want map[string]bool) {
		t.Helper()
		for who, buried := range want {
			if got := v.Buried(who); got != buried {
				t.Errorf("%s: %s: %v", what, who, got)
			}
		}
	}
	all := map[string]bool{"a": true, "b": false, "nobody": true, "unknown": false}
	check("at once", all)
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}
	v = open()
	check("opened again", all)
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"erased", "seen"} {
		if err := os.Remove(filepath.Join(dir, "keys", name)); err != nil {
			t.Fatal(err)
		}
	}
	v = open()
	defer v.Close()
	check("without tombstones", map[string]bool{"a": false})
	if !v.Erased("a") {
		t.Error("the key came back")
	}
}

func TestInspect(t *testing.T) {
	v, err := seal.Open(t.TempDir(), seal.Options{Now: time.Now, Suite: seal.GM})
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	good, err := v.Seal(t.Context(), "a", "s", "f", "x")
	if err != nil {
		t.Fatal(err)
	}
	for value, want := range map[string]error{
		good: nil, "": seal.ErrForged, good[:20]: seal.ErrForged, good + "=": seal.ErrForged, "zz" + good[2:]: seal.ErrSuite,
	} {
		if err := seal.Inspect(value); !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", value, err, want)
		}
	}
}
