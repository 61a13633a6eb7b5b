package embedded

import (
	"fmt"
	"hash/maphash"
	"testing"
	"unsafe"
)

// TestNamesAreKeptOnce: a text is what it says however many there are, and those in use stay one copy.
func TestNamesAreKeptOnce(t *testing.T) {
	n := names{seed: maphash.MakeSeed()}
	for i := range 10 * nameSlots {
		want := fmt.Sprint("actor-", i)
		if got := n.one([]byte(want)); got != want {
			t.Fatalf("got %q, want %q", got, want)
		}
	}
	const used = 50
	var first [used]string
	again := 0
	for round := range 10 {
		for i := range used {
			s := n.one(fmt.Append(nil, "contract.type-", i))
			if round > 0 && unsafe.StringData(s) == unsafe.StringData(first[i]) {
				again++
			}
			first[i] = s
		}
	}
	if again < used*9*3/4 { // Three may belong in one place for two.
		t.Fatalf("of %d texts %d were copied again", used*9, used*9-again)
	}
	if s := n.one(nil); s != "" {
		t.Fatalf("nothing is %q", s)
	}
}
