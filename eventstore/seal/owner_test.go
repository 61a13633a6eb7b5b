package seal_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"zujian/eventstore/seal"
)

// TestAnothersTombstones puts another register's list of erased people in the place of this one's: who was erased here would
// be known again by older keys. A list that names nobody, as those of before, is taken and from then on named.
func TestAnothersTombstones(t *testing.T) {
	open := func(dir string) (*seal.Vault, error) {
		return seal.Open(dir, seal.Options{Now: time.Now})
	}
	made := func() (dir, list string) {
		dir = t.TempDir()
		v, err := open(dir)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := v.Seal(t.Context(), "somebody", "s", "f", "x"); err != nil {
			t.Fatal(err)
		}
		if err := v.Erase(t.Context(), "somebody"); err != nil {
			t.Fatal(err)
		}
		if err := v.Close(); err != nil {
			t.Fatal(err)
		}
		return dir, filepath.Join(dir, "keys", "erased")
	}
	read := func(path string) string {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
	write := func(path, text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	dir, list := made()
	_, others := made()
	own, foreign := read(list), read(others)

	write(list, foreign)
	if v, err := open(dir); err == nil {
		t.Error("another register's list was taken: ", v.Close())
	} else if !strings.Contains(err.Error(), "another register's") {
		t.Error(err)
	}
	write(list, own)
	if n, err := seal.AddTombstones(dir, others); err == nil || n != 0 {
		t.Errorf("another register's list was added: %d, %v", n, err)
	}
	if n, err := seal.AddTombstones(dir, list); err != nil || n != 0 {
		t.Errorf("its own list: %d new, %v", n, err)
	}

	empty := filepath.Join(t.TempDir(), "erased")
	for _, text := range []string{"", own[:40]} {
		write(empty, text)
		if n, err := seal.AddTombstones(dir, empty); err == nil || n != 0 {
			t.Errorf("%q was taken for a list: %d", text, n)
		}
	}

	_, unnamed, _ := strings.Cut(own, "\n")
	for _, seen := range []string{"seen", "place"} {
		if err := os.Remove(filepath.Join(dir, "keys", seen)); err != nil {
			t.Fatal(err)
		}
	}
	write(list, unnamed)
	if n, err := seal.AddTombstones(dir, others); err != nil || n != 0 { // Of the same name; whose it is, the next open sees.
		t.Fatalf("%d, %v", n, err)
	}
	if v, err := open(dir); err == nil {
		t.Error("a list that another's was added to was taken: ", v.Close())
	}
	write(list, unnamed)
	v, err := open(dir)
	if err != nil {
		t.Fatal("a list of an earlier version: ", err)
	}
	if !v.Erased("somebody") {
		t.Error("who was erased is known again")
	}
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}
	first, _, _ := strings.Cut(own, "\n")
	if got := read(list); got != unnamed+first+"\n" {
		t.Errorf("it is not named: %q", got)
	}
}
