package projections

import (
	"fmt"
	"testing"
)

func TestRowsKnowWhatIsNowhereUntilTheyForget(t *testing.T) {
	r := RowCache{max: 20 * 1024, complete: true}
	for i := range 100 {
		if _, known := r.Get("never"); known != r.complete {
			t.Fatal("a missing row is not judged by completeness")
		}
		r.Put(fmt.Sprint(i), make([]byte, 400))
		_, first := r.young["0"]
		_, second := r.old["0"]
		if r.complete && !first && !second {
			t.Fatalf("a row was forgotten after %d, yet they call themselves complete", i)
		}
	}
	if r.complete {
		t.Error("100 rows of 0.5 KB in 20 KB are complete")
	}
}

func TestRowsAreBounded(t *testing.T) {
	r := RowCache{max: 100 * 1024}
	value := make([]byte, 400)
	for i := range 10_000 {
		r.Put(fmt.Sprintf("key%05d", i), value)
		if _, known := r.Get("key00000"); !known {
			t.Fatalf("the row used all the time is forgotten after %d", i)
		}
	}
	if n := len(r.young) + len(r.old); n > 220 || n < 90 {
		t.Errorf("%d rows of 0.5 KB are kept in 100 KB", n)
	}
	r.Put("huge", make([]byte, 1<<20))
	r.Put("next", nil)
	if n := len(r.young); n != 1 {
		t.Errorf("a huge row stays in a generation of %d", n)
	}
}
