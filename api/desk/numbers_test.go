package desk

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestNumbersAreTakenAheadAndNeverTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b block
		taken := 0
		more := func(size int64) (int64, int64, error) {
			time.Sleep(time.Second) // A slow disk.
			taken++
			return int64(taken * 1000), size, nil
		}
		began := time.Now()
		var mu sync.Mutex
		seen := map[int64]bool{}
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for range 40 {
					n, ok := b.ready()
					if !ok {
						var err error
						if n, err = b.take(t.Context(), more); err != nil {
							t.Error(err)
							return
						}
					}
					mu.Lock()
					if seen[n] {
						t.Errorf("%d was given twice", n)
					}
					seen[n] = true
					mu.Unlock()
					time.Sleep(time.Second)
				}
			})
		}
		wg.Wait()
		// 320 numbers, eight a second, and each block is there before the one before it ends: only the first is waited for.
		took := time.Since(began)
		synctest.Wait() // For a block that is being taken.
		if took != 41*time.Second || taken < 10 || taken > 12 {
			t.Errorf("took %s and %d blocks", took, taken)
		}
	})
}

func TestNumbersAfterAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b block
		down := errors.New("the disk is full")
		var err error
		more := func(int64) (int64, int64, error) {
			time.Sleep(time.Second)
			return 7, 2, err
		}
		err = down
		if _, got := b.take(t.Context(), more); !errors.Is(got, down) {
			t.Errorf("while it fails: %v", got)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if _, got := b.take(ctx, more); !errors.Is(got, context.DeadlineExceeded) {
			t.Errorf("who can't wait: %v", got)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		err = nil
		if n, got := b.take(t.Context(), more); got != nil || n != 7 {
			t.Errorf("afterwards: %d, %v", n, got)
		}
		time.Sleep(time.Minute)
	})
}

// TestBlocksGrowWithDemand: a hundred numbers a second and a disk that takes a second for each block.
func TestBlocksGrowWithDemand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b block
		next, waited := int64(0), 0
		more := func(size int64) (int64, int64, error) {
			time.Sleep(time.Second)
			next += size
			return next - size, size, nil
		}
		for i := range 10_000 {
			began := time.Now()
			if _, err := b.take(t.Context(), more); err != nil {
				t.Fatal(err)
			}
			if time.Since(began) > 0 {
				waited = i
			}
			time.Sleep(10 * time.Millisecond)
		}
		if waited > 1000 || b.size > 512 {
			t.Errorf("the last to wait was number %d, blocks are of %d", waited, b.size)
		}
		time.Sleep(time.Minute) // What is being taken.
	})
}
