package seal

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"zujian/eventstore/faults"
)

// fullDisk has no room for a file to grow while it is full: a share of what is written beyond its end still fits.
type fullDisk struct {
	*faults.Disk
	fits    atomic.Int64 // Percent.
	last    atomic.Bool  // The next write still fits and takes its time; then it is full.
	full    atomic.Bool
	refused atomic.Int64 // Bytes.
}

func (d *fullDisk) OpenReadWrite(name string, c vfs.DiskWriteCategory, o ...vfs.OpenOption) (vfs.File, error) {
	f, err := d.Disk.OpenReadWrite(name, c, o...)
	if err != nil {
		return nil, err
	}
	return &fullFile{File: f, disk: d}, nil
}

type fullFile struct {
	vfs.File
	disk *fullDisk
}

func (f *fullFile) WriteAt(b []byte, at int64) (int, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	if f.disk.last.CompareAndSwap(true, false) {
		time.Sleep(20 * time.Millisecond) // Others gather behind it.
		f.disk.full.Store(true)
		return f.File.WriteAt(b, at)
	}
	if end := at + int64(len(b)); !f.disk.full.Load() || end <= info.Size() {
		return f.File.WriteAt(b, at)
	}
	f.disk.refused.Add(int64(len(b)))
	time.Sleep(5 * time.Millisecond) // And behind this one, too.
	n, err := f.File.WriteAt(b[:len(b)*int(f.disk.fits.Load())/100], at)
	return n, errors.Join(err, syscall.ENOSPC)
}

// TestFullDisk: while the vault's disk is full, new keys and erasures are refused with ErrFull and keys that are there open
// what they sealed; with room again the same subjects get their keys. A power loss at any time leaves a vault that opens,
// with every acknowledged key and erasure, and no subject with two keys.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	const rounds, subjects = 16, 12
	rng := rand.New(rand.NewPCG(5, 5))
	disk := &fullDisk{Disk: faults.NewDisk()}
	v, err := Open("", Options{FS: disk, growth: slotLen, Now: func() time.Time { return time.Unix(1_790_000_000, 0) }})
	if err != nil {
		t.Fatal(err)
	}
	sealed := map[string]string{}
	erased := map[string]bool{}
	for round := range rounds {
		disk.last.Store(true)
		disk.fits.Store([]int64{50, 30, 90, 10}[round%4])
		var asked sync.WaitGroup
		var mu sync.Mutex
		for n := range subjects { // The first still gets its key, the others are of groups half of which fits.
			asked.Go(func() {
				time.Sleep(time.Duration(n/4*12) * time.Millisecond)
				name := fmt.Sprintf("party-%d-%d", round, n)
				value, err := v.Seal(t.Context(), name, "s", "f", name)
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					sealed[name] = value
				} else if !errors.Is(err, ErrFull) {
					t.Errorf("round %d: a new key on a full disk: %v", round, err)
				}
			})
		}
		asked.Wait()
		holds(t, v, sealed, erased)
		afterPowerLoss(t, disk.PowerLoss(faults.Survival[rng.IntN(len(faults.Survival))], rng), sealed, erased)
		old := fmt.Sprintf("party-%d-0", round-1)
		if round > 0 {
			if err := v.Erase(t.Context(), old); !errors.Is(err, ErrFull) {
				t.Errorf("round %d: an erasure on a full disk: %v", round, err)
			}
			holds(t, v, sealed, erased)
		}
		disk.full.Store(false)
		for _, n := range rng.Perm(subjects) { // In another order.
			name := fmt.Sprintf("party-%d-%d", round, n)
			if sealed[name], err = v.Seal(t.Context(), name, "s", "f", name); err != nil {
				t.Fatalf("round %d: with room again: %v", round, err)
			}
			afterPowerLoss(t, disk.PowerLoss(0, nil), sealed, erased)
		}
		if round > 0 {
			if err := v.Erase(t.Context(), old); err != nil {
				t.Fatal(err)
			}
			erased[old] = true
		}
	}
	if err := v.Close(); err != nil {
		t.Error(err)
	}
	if disk.refused.Load() < rounds*3*slotLen || len(sealed) != rounds*subjects {
		t.Errorf("%d writes refused, %d keys", disk.refused.Load(), len(sealed))
	}
}

func afterPowerLoss(t *testing.T, disk faults.FS, sealed map[string]string, erased map[string]bool) {
	t.Helper()
	v, err := Open("", Options{FS: disk, Now: func() time.Time { return time.Unix(1_790_000_000, 0) }})
	if err != nil {
		t.Fatalf("after a power loss: %v", err)
	}
	holds(t, v, sealed, erased)
	if err := v.Close(); err != nil {
		t.Error(err)
	}
}

func holds(t *testing.T, v *Vault, sealed map[string]string, erased map[string]bool) {
	t.Helper()
	for name, value := range sealed {
		got, err := v.Open(t.Context(), name, "s", "f", value)
		if erased[name] && !errors.Is(err, ErrErased) || !erased[name] && (err != nil || got != name) {
			t.Fatalf("%s, erased %v: %q %v", name, erased[name], got, err)
		}
	}
}
