package pebbleviews

import (
	"log/slog"
	"sync"
)

// filling is how full the memtable is, about. A catch-up fills it: what it writes again and again is then flushed once,
// and compacted less. In service it is flushed sooner: what it holds is read again when the folder is opened after a kill.
type filling struct {
	most int // Bytes of a memtable: where Pebble flushes it.

	mu            sync.Mutex
	bytes, writes int
}

const bulkBytes = 256 << 10 // A write of a catch-up at least, on the mean; in service it is a tenth of that.

// wrote counts a write, and is true if the memtable should be flushed now.
func (f *filling) wrote(bytes int) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.bytes, f.writes = f.bytes+bytes, f.writes+1
	if f.bytes >= f.most {
		f.bytes, f.writes = 0, 0
		return false
	}
	return f.bytes < f.writes*bulkBytes && f.full()
}

// caughtUp is wrote where a catch-up ends.
func (f *filling) caughtUp() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.full()
}

func (f *filling) full() bool {
	full := f.bytes >= memTableBytes
	if full {
		f.bytes, f.writes = 0, 0
	}
	return full
}

// flush has the memtable written to tables. It is not waited for, and what fails is said again by the next write.
func (v *Views) flush() {
	if _, err := v.db.AsyncFlush(); err != nil {
		v.log.Warn("views not flushed", slog.Any("err", err))
	}
}
