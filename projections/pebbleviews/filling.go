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

// wrote counts a write. It tells whether writes are those of a catch-up, and whether the memtable should be flushed now.
func (f *filling) wrote(bytes int) (bulk, flush bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.bytes, f.writes = f.bytes+bytes, f.writes+1
	bulk = f.bytes >= f.writes*bulkBytes
	if f.bytes >= f.most {
		f.bytes, f.writes = 0, 0
		return bulk, false
	}
	return bulk, !bulk && f.full()
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

// wrote counts a write to the database.
func (v *Views) wrote(bytes int) {
	bulk, flush := v.fill.wrote(bytes)
	v.pace.bulk.Store(bulk)
	if flush {
		v.flush()
	}
}

// flush has the memtable written to tables. It is not waited for, and what fails is said again by the next write.
func (v *Views) flush() {
	if _, err := v.db.AsyncFlush(); err != nil {
		v.log.Warn("views not flushed", slog.Any("err", err))
	}
	v.pace.deep.Store(v.db.Metrics().Levels[0].Sublevels > paceDepth)
}
