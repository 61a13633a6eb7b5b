package faults

import (
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// fuse takes a disk as it is before one of the operations on it: as a power loss would leave it, or, if the process is
// killed instead, with all that was written.
type fuse struct {
	disk  *Disk
	loss  uint64                  // Seed of what the power loss leaves.
	left  atomic.Int64            // Operations until then.
	kill  bool                    // The process ends instead; it hears nothing more of its disk.
	fails bool                    // The disk fails instead, at that operation, and the power at the end.
	stays bool                    // It goes on failing.
	spare func(errorfs.Op) bool   // What is not counted and never fails; nothing if nil.
	place func(errorfs.Op) string // In what kind of file an operation is.
	phase atomic.Value            // A string: what is under way.
	taken func() (goOn func())    // Called before the disk is taken: what is acknowledged now must be on it. Then goOn.

	failed atomic.Bool
	where  string // The disk failed.

	once  sync.Once
	dead  atomic.Bool
	after *Disk // What was left,
	at    string
}

// errKilled is all that a killed process hears of its disk.
var errKilled = errors.New("the process was killed")

func (f *fuse) fs() vfs.FS { return errorfs.Wrap(f.disk, errorfs.InjectorFunc(f.before)) }

func (f *fuse) before(op errorfs.Op) error {
	if f.fails {
		return f.fail(op)
	}
	if changes(op) && !f.spares(op) && f.left.Add(-1) == 0 {
		f.blow(f.phase.Load().(string) + " " + f.place(op))
	}
	if f.kill && f.dead.Load() && changes(op) && f.place(op) != "index" { // The index is of what was synced before.
		return errKilled
	}
	return nil
}

func (f *fuse) spares(op errorfs.Op) bool { return f.spare != nil && f.spare(op) }

// fail is before, for a disk that fails.
func (f *fuse) fail(op errorfs.Op) error {
	if Kind(op) == "" || f.spares(op) {
		return nil
	}
	left := f.left.Add(-1)
	if left == 0 {
		f.where = "error at " + f.phase.Load().(string) + " " + f.place(op)
		f.failed.Store(true)
	}
	if left == 0 || f.stays && left < 0 {
		return &injected{op.Path, syscall.EIO}
	}
	return nil
}

// blow takes the disk as it is now, if it was not taken before.
func (f *fuse) blow(at string) {
	f.once.Do(func() {
		defer f.taken()()
		f.at, f.after = at, f.disk
		if f.failed.Load() {
			f.at = f.where
		}
		if f.kill {
			f.at = "killed at " + at
		} else {
			rng := rand.New(rand.NewPCG(f.loss, 1))
			f.after = f.disk.PowerLoss(Survival[rng.IntN(len(Survival))], rng)
		}
		f.dead.Store(true)
	})
}
