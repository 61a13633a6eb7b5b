package main

import (
	"testing"
	"time"

	"zujian/eventstore/faults"
)

// TestWholePowerLoss: at whatever operation the power fails under log, keys, register and views together, also while they
// recover, every acknowledged filing is there, whole and once, its checkpoint stands, its fields open, and the views are
// what a replay gives.
func TestWholePowerLoss(t *testing.T) {
	if testing.Short() {
		t.Skip("lives for some seconds")
	}
	t.Parallel()
	const crashes, least = 80, 40 // By chance a life is short, and files little.
	seed := uint64(time.Now().UnixNano())
	got, err := wholeLosses(t.Context(), wholeGlobals(t), seed, crashes, openOptions{}, nil)
	if err != nil {
		t.Fatalf("seed %d: %v", seed, err)
	}
	t.Logf("seed %d: %+v", seed, got)
	if got.Verified < least || got.Signed < least || got.Refused == 0 {
		t.Errorf("seed %d: too little happened: %+v", seed, got)
	}
	for _, at := range []string{"log", "register", "views", "open", "work"} {
		if faults.Times(got.At, at) == 0 {
			t.Logf("seed %d: no power loss at %q: %v", seed, at, got.At)
		}
	}
}

// TestWholePowerLossFindsAnUnsyncedLog: a product that acknowledges what is not durable does not live long.
func TestWholePowerLossFindsAnUnsyncedLog(t *testing.T) {
	if testing.Short() {
		t.Skip("lives for some seconds")
	}
	t.Parallel()
	if got, err := wholeLosses(t.Context(), wholeGlobals(t), 1, 40, openOptions{deferSync: true}, nil); err == nil {
		t.Errorf("it came through %d losses", got.Crashes)
	}
}

func wholeGlobals(t *testing.T) *globals {
	var g *globals
	if code := run(t.Context(), []string{"config"}, &lockedBuffer{}, &lockedBuffer{}, func(made *globals) { g = made }); code != 0 {
		t.Fatalf("zujian config: exit %d", code)
	}
	return g
}
