package seal

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// TestReadyMost seals for more subjects than ciphers are kept, twice: those used last are kept, and no more.
func TestReadyMost(t *testing.T) {
	v, err := Open(t.TempDir(), Options{Now: time.Now, DeferSync: true})
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	const subjects = readyMax + 100
	for n := range 2 * subjects {
		name := fmt.Sprint("party-", n%subjects)
		if sealed, err := v.Seal(t.Context(), name, "s", "f", "text"); err != nil {
			t.Fatal(err)
		} else if got, err := v.Open(t.Context(), name, "s", "f", sealed); err != nil || got != "text" {
			t.Fatalf("%s: %q %v", name, got, err)
		}
	}
	for i := range subjects {
		if kept := v.ready.get(v.subjects.get(idOf(fmt.Sprint("party-", i)))) != nil; kept != (i >= subjects-readyMax) {
			t.Fatalf("the cipher of subject %d of %d is kept: %v", i, subjects, kept)
		}
	}
}

// awaited is a wrapper that tells when a key is to be wrapped, and waits for what becomes of it.
type awaited struct {
	*fileWrapper
	asked chan struct{}
	err   chan error
}

func (w *awaited) Wrap(ctx context.Context, suite Suite, label, key []byte) ([]byte, error) {
	w.asked <- struct{}{}
	if err := <-w.err; err != nil {
		return nil, err
	}
	return w.fileWrapper.Wrap(ctx, suite, label, key)
}

// TestEraseDuringAFirstUse erases a subject while its key is being made: whether that succeeds or not, it stays erased.
func TestEraseDuringAFirstUse(t *testing.T) {
	for _, fault := range []error{nil, errors.New("no key today")} {
		dir := t.TempDir()
		file, err := openFileWrapper(mustFolder(t, dir), rand.Reader, true)
		if err != nil {
			t.Fatal(err)
		}
		w := &awaited{file, make(chan struct{}, 100), make(chan error, 100)}
		for range 3 {
			w.err <- nil // For the secrets of the vault itself.
		}
		v, err := Open(dir, Options{Now: time.Now, Wrapper: w})
		if err != nil {
			t.Fatal(err)
		}
		for len(w.err) > 0 {
			<-w.err
		}
		for len(w.asked) > 0 {
			<-w.asked
		}
		var use sync.WaitGroup
		use.Go(func() {
			if _, err := v.Seal(t.Context(), "p", "s", "f", "x"); fault != nil && !errors.Is(err, fault) {
				t.Error("sealed:", err)
			}
		})
		<-w.asked
		var erasure sync.WaitGroup
		erasure.Go(func() {
			if err := v.Erase(t.Context(), "p"); err != nil {
				t.Error("erase:", err)
			}
		})
		for begun := time.Now(); ; time.Sleep(time.Millisecond) { // The erasure has to wait for the key once its tombstone is there.
			if info, err := os.Stat(filepath.Join(dir, "keys", tombstonesName)); err == nil && info.Size() > 0 {
				break
			}
			if time.Since(begun) > time.Minute {
				t.Fatal("no tombstone after a minute")
			}
		}
		w.err <- fault
		use.Wait()
		erasure.Wait()
		w.err <- nil // For the key that must not be made.
		if _, err := v.Seal(t.Context(), "p", "s", "f", "x"); !errors.Is(err, ErrErased) {
			t.Errorf("fault %v: sealed for who was erased: %v", fault, err)
		}
		if err := v.Close(); err != nil {
			t.Error(err)
		}
	}
}

func mustFolder(t *testing.T, dir string) folder {
	d := keyFolder(vfs.Default, dir)
	if err := d.fs.MkdirAll(d.dir, privateFolder); err != nil {
		t.Fatal(err)
	}
	return d
}

// TestNoCipherOutlivesItsKey erases subjects while others seal for them: what is kept is only of subjects with a key.
func TestNoCipherOutlivesItsKey(t *testing.T) {
	v, err := Open(t.TempDir(), Options{Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	const subjects = 200
	name := func(i int) string { return fmt.Sprint("party-", i) }
	var wg sync.WaitGroup
	for worker := range 4 {
		wg.Go(func() {
			for n := range 20 * subjects {
				i := (n*7 + worker) % subjects
				if worker == 0 && n >= 10*subjects && i%2 == 0 {
					if err := v.Erase(t.Context(), name(i)); err != nil {
						t.Error(err)
					}
					continue
				}
				sealed, err := v.Seal(t.Context(), name(i), "s", "f", "text")
				if err == nil {
					_, err = v.Open(t.Context(), name(i), "s", "f", sealed)
				}
				if err != nil && (i%2 != 0 || !errors.Is(err, ErrErased)) {
					t.Error(i, err)
				}
			}
		})
	}
	wg.Wait()
	kept := 0
	for i := range subjects {
		if v.ready.get(v.subjects.get(idOf(name(i)))) == nil {
			continue
		}
		if i%2 == 0 {
			t.Errorf("the cipher of %s outlived its key", name(i))
		}
		kept++
	}
	if kept == 0 {
		t.Error("no cipher is kept at all")
	}
}

// TestSubjectsHoldNoPointer: there is a subject for everybody ever known, and a collector must not have to follow each.
func TestSubjectsHoldNoPointer(t *testing.T) {
	var follow func(reflect.Type) bool
	follow = func(of reflect.Type) bool {
		switch of.Kind() {
		case reflect.Struct:
			for i := range of.NumField() {
				if follow(of.Field(i).Type) {
					return true
				}
			}
			return false
		case reflect.Array:
			return follow(of.Elem())
		case reflect.Bool, reflect.Uint8, reflect.Int32, reflect.Uint32, reflect.Uint64:
			return false
		}
		return true
	}
	if follow(reflect.TypeFor[subject]()) {
		t.Error("a subject holds a pointer")
	}
}
