package folder

import (
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// syncedApart is a file whose data the kernel's own workers sync while the processors are busy, where the machine lets them:
// who waits for the disk then waits as for a network, and keeps no thread that could run others. With fdatasync(2) a processor
// stood still for an eighth of the time when 64 clients filed on two: a thread in it keeps its turn of the scheduler until that
// notices, and more threads than processors stand in one queue while another is empty. While the processors are not busy, a
// thread of ours is sooner back: an append of one writer took 160 µs in place of 210.
type syncedApart struct {
	vfs.File
	pace *pace
}

// SyncData implements vfs.File.
func (f syncedApart) SyncData() error {
	start := time.Now()
	defer func() { f.pace.took(time.Since(start)) }()
	if f.pace.busy() {
		if taken, err := syncApart(f.Fd()); taken {
			return err
		}
	}
	return f.File.SyncData()
}

// pace is how long a file's syncs take. They take the disk as long when the processors are busy, but who waits for one is only
// seen to when a processor is free.
type pace struct{ lately, fastest atomic.Int64 } // Nanoseconds; 0 before the first.

const (
	paceBusy   = 4   // Times the fastest.
	paceLately = 8   // Syncs that count.
	paceForget = 512 // Syncs after which a fast one counts half; then the disk may be another.
)

func (p *pace) busy() bool { return p.lately.Load() > paceBusy*p.fastest.Load() }

// took adds a sync. Of two at once one may be lost.
func (p *pace) took(d time.Duration) {
	n := max(int64(d), 1)
	lately, fastest := p.lately.Load(), p.fastest.Load()
	if fastest == 0 {
		lately, fastest = n, n
	}
	p.lately.Store(lately + (n-lately)/paceLately)
	p.fastest.Store(min(n, fastest+fastest/paceForget+1))
}

// SyncsApart tells whether this machine syncs files without a thread of the process's.
func SyncsApart() bool {
	s, err := takeSyncer()
	if err == nil {
		leaveSyncer(s)
	}
	return err == nil
}
