package pebbleviews

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"zujian/eventstore"
	"zujian/projections"
)

// TestNumbers: each version of a view has a number of its own in its keys, the same after every opening, and after its rows
// were dropped.
func TestNumbers(t *testing.T) {
	fs, want := vfs.NewMem(), map[string]string{}
	for opened := range 3 {
		v, err := Open("views", Options{FS: fs})
		if err != nil {
			t.Fatal(err)
		}
		for _, version := range []int{1, 2} {
			for _, name := range []string{"a", "b", fmt.Sprint("new", opened)} {
				put(t, v, name, version, name+fmt.Sprint(version, opened))
				want[name+fmt.Sprint(version)] = name + fmt.Sprint(version, opened)
			}
		}
		for at, value := range want {
			name, version := at[:len(at)-1], int(at[len(at)-1]-'0')
			if err := v.Activate(t.Context(), name, version); err != nil {
				t.Fatal(err)
			}
			if got := read(t, v, name); got != value {
				t.Errorf("opened %d times: %s has %q, not %q", opened+1, at, got, value)
			}
		}
		if err := errors.Join(v.Activate(t.Context(), "b", 1), v.Drop(t.Context(), "b", 2)); err != nil {
			t.Fatal(err)
		}
		want["b2"] = ""
		keys := keysIn(t, v)
		if keys[keyNamedData]+keys[keyNamedCheckpoint] > 0 || keys[keyNumber] != 2*(3+opened) || keys[keyData] != 2*(3+opened)-1 {
			t.Errorf("opened %d times: %v", opened+1, keys)
		}
		if err := v.Close(); err != nil {
			t.Fatal(err)
		}
		delete(want, "b2")
	}
}

// TestNamesOfBefore: a view that was begun before there were numbers stays and goes on, the next version beside it has one.
func TestNamesOfBefore(t *testing.T) {
	fs := vfs.NewMem()
	db, err := pebble.Open("views", &pebble.Options{FS: fs, FormatMajorVersion: pebble.FormatColumnarBlocks})
	if err != nil {
		t.Fatal(err)
	}
	err = errors.Join(
		db.Set(append(versioned('d', "homes", 3), 'x'), []byte("before"), nil),
		db.Set(versioned('c', "homes", 3), binary.BigEndian.AppendUint64(nil, 7), nil),
		db.Set([]byte("ahomes"), []byte{0, 0, 0, 3}, nil),
		db.Close())
	if err != nil {
		t.Fatal(err)
	}
	for opened := range 2 {
		v, err := Open("views", Options{FS: fs})
		if err != nil {
			t.Fatal(err)
		}
		if at, err := v.Checkpoint(t.Context(), "homes", 3); at != eventstore.Position(7+opened) || err != nil {
			t.Errorf("it stands at %d, %v", at, err)
		}
		if got := read(t, v, "homes"); opened == 0 && got != "before" {
			t.Errorf("it has %q", got)
		}
		put(t, v, "homes", 3, "now")
		put(t, v, "homes", 4, "next")
		if got := read(t, v, "homes"); got != "now" {
			t.Errorf("it has %q", got)
		}
		if keys := keysIn(t, v); keys[keyNamedData] != 1 || keys[keyNamedCheckpoint] != 1 || keys[keyData] != 1 || keys[keyNumber] != 1 {
			t.Errorf("keys: %v", keys)
		}
		if opened == 1 {
			if err := errors.Join(v.Activate(t.Context(), "homes", 4), v.Drop(t.Context(), "homes", 3)); err != nil {
				t.Fatal(err)
			}
			if got, keys := read(t, v, "homes"), keysIn(t, v); got != "next" || keys[keyNamedData]+keys[keyNamedCheckpoint] > 0 {
				t.Errorf("the next has %q; keys: %v", got, keys)
			}
		}
		if err := v.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// put writes the row "x", one position on.
func put(t *testing.T, v *Views, name string, version int, value string) {
	t.Helper()
	at, err := v.Checkpoint(t.Context(), name, version)
	if err == nil {
		err = v.Batch(t.Context(), name, version, at, at+1, func(w projections.View) error { w.Set("x", []byte(value)); return nil })
	}
	if err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, v *Views, name string) (value string) {
	t.Helper()
	err := v.Read(context.Background(), name, func(r projections.Reader) error {
		raw, _, err := r.Get(t.Context(), "x")
		value = string(raw)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return value
}

// keysIn counts the keys of a database by their first byte.
func keysIn(t *testing.T, v *Views) map[byte]int {
	t.Helper()
	it, err := v.db.NewIter(nil)
	if err != nil {
		t.Fatal(err)
	}
	n := map[byte]int{}
	for it.First(); it.Valid(); it.Next() {
		n[it.Key()[0]]++
	}
	if err := it.Close(); err != nil {
		t.Fatal(err)
	}
	return n
}
