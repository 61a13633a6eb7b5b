package main

import (
	"math/rand/v2"
	"testing"
	"time"

	"zujian/cmd/zujian/internal/soak"
	"zujian/eventstore/faults"
)

// TestHistoriesAreLinearizable has eight clients write and read twenty streams over HTTP, 20,000 calls, while the server
// is killed and stalled, and checks what they saw. Then it breaks the history on purpose, and the check must find that.
func TestHistoriesAreLinearizable(t *testing.T) {
	if testing.Short() {
		t.Skip("starts and kills real processes")
	}
	bin, err := program()
	if err != nil {
		t.Fatal(err)
	}
	const calls, kills = 21_500, 6 // One in twenty reads a view instead.
	seed := uint64(time.Now().UnixNano())
	h, got, err := soak.Histories(t.Context(), soak.HistoryConfig{Bin: bin, Data: t.TempDir(), Seed: seed, Calls: calls, Kills: kills, Stalls: 2})
	t.Logf("seed %d: %+v", seed, got)
	if err != nil {
		t.Fatalf("seed %d: %v", seed, err)
	}
	if got.Calls < 20_000 || got.Kills != kills || got.Lost == 0 || got.Repeated == 0 || got.Views == 0 {
		t.Errorf("seed %d: too little happened: %+v", seed, got)
	}
	for name, violate := range faults.Violations {
		broken, injected := violate(h, rand.New(rand.NewPCG(seed, 1)))
		if injected == 0 {
			t.Errorf("seed %d: no %s was injected", seed, name)
		} else if broken.Check(time.Minute) == nil {
			t.Errorf("seed %d: %d calls with a %s, and the check passed", seed, injected, name)
		}
	}
}
