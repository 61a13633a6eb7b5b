package faults

import (
	"strings"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// Slow is the real disk, on which making durable what is in some folder takes as long as it is told.
type Slow struct {
	FS
	delay atomic.Int64
}

// NewSlow slows down the files whose path contains folder.
func NewSlow(folder string) *Slow {
	s := &Slow{}
	s.FS = errorfs.Wrap(vfs.Default, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if Kind(op) == "sync" && strings.Contains(op.Path, folder) {
			time.Sleep(time.Duration(s.delay.Load()))
		}
		return nil
	}))
	return s
}

// Take makes each sync from now on take so much longer.
func (s *Slow) Take(d time.Duration) { s.delay.Store(int64(d)) }
