package pebbleviews

import (
	"fmt"
	"testing"
)

func TestRowsAreBounded(t *testing.T) {
	r := rows{max: 100 * 1024}
	value := make([]byte, 400)
	for i := range 10_000 {
		r.put(fmt.Sprintf("key%05d", i), value)
		if _, known := r.get("key00000"); !known {
			t.Fatalf("the row used all the time is forgotten after %d", i)
		}
	}
	if n := len(r.young) + len(r.old); n > 220 || n < 90 {
		t.Errorf("%d rows of 0.5 KB are kept in 100 KB", n)
	}
	r.put("huge", make([]byte, 1<<20))
	r.put("next", nil)
	if n := len(r.young); n != 1 {
		t.Errorf("a huge row stays in a generation of %d", n)
	}
}
