package seal

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"
)

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
		id := idOf(name(i))
		c := v.place(id).Load()
		if c == nil || c.id != id {
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
