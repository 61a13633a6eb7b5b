package pebbleviews

import (
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// pacing has Pebble's compactions work a third of the time, for three times as long: one at full speed takes a core from
// those who file meanwhile. They hurry where waiting would pile up files: while views catch up, while level 0 is deep, and
// for a close, which waits for them. A flush is never paced: batches may have to wait for it.
type pacing struct {
	deep, bulk atomic.Bool // Level 0 is; views catch up.
	closed     chan struct{}
	sleep      func(time.Duration) // Sleeps so long, or until closed.
}

const (
	compactionCategory = "pebble-compaction" // Pebble's name for what its compactions write.
	paceWork           = time.Millisecond    // Between two rests, at least; each takes
	paceRest           = 2                   // times as long as the work before it, but at most
	paceRestMax        = 50 * time.Millisecond
	paceDepth          = l0Stop / 2 // Sublevels in level 0; with more, compactions hurry.
)

func newPacing() *pacing {
	p := &pacing{closed: make(chan struct{})}
	p.sleep = func(d time.Duration) {
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-p.closed:
		}
	}
	return p
}

// over ends all rests for good.
func (p *pacing) over() { close(p.closed) }

// rest is how long to rest after so much work.
func (p *pacing) rest(worked time.Duration) time.Duration {
	if worked < paceWork || p.deep.Load() || p.bulk.Load() {
		return 0
	}
	return min(paceRest*worked, paceRestMax)
}

// on is a disk on which compactions are paced.
func (p *pacing) on(disk vfs.FS) vfs.FS { return pacedFS{disk, p} }

type pacedFS struct {
	vfs.FS
	pacing *pacing
}

// Create implements vfs.FS.
func (d pacedFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := d.FS.Create(name, category)
	if err != nil || category != compactionCategory {
		return f, err
	}
	return &pacedFile{File: f, pacing: d.pacing, since: time.Now()}, nil
}

// Unwrap implements vfs.FS.
func (d pacedFS) Unwrap() vfs.FS { return d.FS }

// pacedFile is a table that a compaction writes, block by block, in one goroutine.
type pacedFile struct {
	vfs.File
	pacing *pacing
	since  time.Time // The last rest.
}

// Write implements vfs.File.
func (f *pacedFile) Write(b []byte) (int, error) {
	n, err := f.File.Write(b)
	if d := f.pacing.rest(time.Since(f.since)); d > 0 {
		f.pacing.sleep(d)
		f.since = time.Now()
	}
	return n, err
}
