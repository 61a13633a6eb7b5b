package embedded

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"zujian/eventstore"
	"zujian/eventstore/storetest"
)

// TestPowerLossLeavesAppendsInPartsWhole cuts the power while pairs are written: each is there in both streams or in none,
// and what was acknowledged is there.
func TestPowerLossLeavesAppendsInPartsWhole(t *testing.T) {
	const pairs, rounds = 6, 60
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 0))
	kept := 0
	for round := range rounds {
		disk := vfs.NewCrashableMem()
		s := mustOpen(t, Options{Dir: "log", FS: disk, SegmentBytes: 8 << 10, Heads: 4})
		var acknowledged [pairs]atomic.Int64
		var writing sync.WaitGroup
		enough, first := make(chan struct{}), int64(1+rng.IntN(40))
		var written atomic.Int64
		for w := range pairs {
			writing.Go(func() {
				for n := range 30 {
					_, err := s.AppendTogether(t.Context(),
						eventstore.Part{Stream: fmt.Sprint("left-", w), Expected: eventstore.Revision(n - 1), Events: storetest.Events(100*w+n, 100*w+n+1)},
						eventstore.Part{Stream: fmt.Sprint("right-", w), Expected: eventstore.Revision(n - 1), Events: storetest.Events(100*w+n, 100*w+n+1)})
					if err != nil {
						t.Error(err)
						return
					}
					acknowledged[w].Add(1)
					if written.Add(1) == first {
						close(enough)
					}
				}
			})
		}
		<-enough
		var at [pairs]int64
		for w := range at {
			at[w] = acknowledged[w].Load()
		}
		after := disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: []int{0, 10, 50, 90, 100}[round%5], RNG: rand.New(rand.NewPCG(rng.Uint64(), 1))})
		writing.Wait()
		again := mustOpen(t, Options{Dir: "log", FS: after, SegmentBytes: 8 << 10, Heads: 4})
		for w := range pairs {
			left := len(storetest.Collect(t, again.Stream(t.Context(), fmt.Sprint("left-", w), 0)))
			right := len(storetest.Collect(t, again.Stream(t.Context(), fmt.Sprint("right-", w), 0)))
			if left != right || int64(left) < at[w] {
				t.Fatalf("seed %d, round %d: %d events at the left, %d at the right, %d acknowledged", seed, round, left, right, at[w])
			}
			kept += left
		}
		storetest.CheckLog(t, again)
	}
	t.Logf("seed %d: %d pairs kept in %d crashes", seed, kept, rounds)
}
