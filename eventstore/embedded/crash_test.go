package embedded

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"zujian/eventstore/faults"
)

func crashOptions(fs vfs.FS, skipSync bool) Options {
	at := atomic.Int64{}
	segment := int64(16 << 10)
	if skipSync { // A new segment is always synced, and what is missing before one would stop the open first.
		segment = 256 << 10
	}
	return Options{
		Dir: "log", FS: fs, SegmentBytes: segment, Heads: 8, QueueAge: 24 * time.Hour, skipSync: skipSync,
		Now: func() time.Time { return time.Unix(1_700_000_000+at.Add(1), 0) },
	}
}

func crashes(seed uint64, rounds int, skipSync bool) (faults.PowerTally, error) {
	return faults.PowerLoss(t0, faults.PowerConfig{
		Seed: seed, Crashes: rounds, Derived: "log/" + indexName,
		Open: func(fs vfs.FS) (faults.Log, error) { return Open(crashOptions(fs, skipSync)) },
	})
}

func TestCrash(t *testing.T) {
	t.Parallel()
	const rounds = 1000
	for _, seed := range faults.Regression {
		if _, err := crashes(seed, rounds/10, false); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
	seed := uint64(time.Now().UnixNano())
	got, err := crashes(seed, rounds, false)
	if err != nil {
		t.Fatalf("seed %d: %v", seed, err)
	}
	t.Logf("seed %d: %+v", seed, got)
	if got.Crashes < rounds || got.Verified < rounds || got.Repeated == 0 || got.Rebuilds == 0 {
		t.Fatalf("seed %d: too little happened: %+v", seed, got)
	}
	for _, at := range []string{"open log", "open index", "open spare", "append log", "append spare", "close index", "killed at append log"} {
		if got.At[at] == 0 {
			t.Errorf("seed %d: no power loss at %s: %v", seed, at, got.At)
		}
	}
}

// TestCrashFindsMissingSync shows that the loop finds a log that does not sync, each time, and that it is lost
// acknowledged events by which it does.
func TestCrashFindsMissingSync(t *testing.T) {
	t.Parallel()
	const rounds = 100
	lost := 0
	for seed := range uint64(20) {
		got, err := crashes(seed, rounds, true)
		if err == nil {
			t.Fatalf("seed %d: a log that never syncs came through %d crashes", seed, got.Crashes)
		}
		if strings.Contains(err.Error(), "LOST: acknowledged") {
			lost++
		}
	}
	if lost == 0 {
		t.Fatal("no acknowledged event was seen to be lost")
	}
}

// TestErrors fails every operation of the disk once, and from it on for ever.
func TestErrors(t *testing.T) {
	t.Parallel()
	got, err := faults.Errors(t0, faults.ErrorsConfig{Seed: 1, Derived: "log/" + indexName, Open: func(fs vfs.FS, fatal func(error)) (faults.Log, error) {
		o := crashOptions(fs, false)
		o.SegmentBytes, o.Fatal = 8<<10, fatal
		return Open(o)
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v", got)
	for _, outcome := range []string{"open refused", "append refused", "stopped", "fatal"} {
		if got.Outcome[outcome] == 0 {
			t.Errorf("no error came to %q: %v", outcome, got.Outcome)
		}
	}
}

var t0 = context.Background()
