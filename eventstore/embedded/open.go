package embedded

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io"

	"github.com/cockroachdb/pebble/v2/vfs"

	"zujian/eventstore"
	"zujian/eventstore/folder"
	"zujian/eventstore/room"
)

// Open opens the log in opts.Dir, or makes a new one, and brings its index up to date. It refuses a folder that is
// open elsewhere, a log of a newer format, and a damaged one (a *DamageError), which it leaves as it is.
func Open(opts Options) (*Store, error) {
	s, err := open(opts.withDefaults())
	if err != nil {
		return nil, fmt.Errorf("open log %s: %w", opts.Dir, err)
	}
	return s, nil
}

func open(o Options) (_ *Store, err error) {
	if err := o.FS.MkdirAll(o.Dir, 0o750); err != nil {
		return nil, err
	}
	lock, err := lockFolder(o.FS, o.Dir)
	if err != nil {
		return nil, err
	}
	s := &Store{
		opts: o, lock: lock, salt: salts{from: o.Rand}, heads: map[string]eventstore.Revision{}, recent: newRecent(o.Heads),
		spareWant: make(chan int64, 1), spareMade: make(chan spare, 1),
		free: make(chan []byte, indexLagGroups+2), toIndex: make(chan indexWork, indexLagGroups),
	}
	if o.ReserveBytes > 0 {
		s.disk = room.New(room.Options{ // Before anything is written: the open itself needs room.
			FS: o.FS, Dir: o.Dir, Reserve: o.ReserveBytes, Ballast: o.ReserveBytes / ballastShare, Logger: o.Logger,
			Full: "appends are refused, reading goes on", Again: "appends are taken",
		})
		o.FS = s.disk.Disk()
		s.opts.FS = o.FS
	}
	s.queue.init()
	var segs []*segment
	defer func() {
		if err != nil {
			if s.index != nil {
				err = errors.Join(err, s.index.close(false))
			}
			closeSegments(segs)
			err = errors.Join(err, lock.Close())
		}
	}()
	if segs, err = s.openOrCreate(); err != nil {
		return nil, err
	}
	s.id, s.seed = segs[0].id, segs[0].id.seed()
	var m mark
	if s.index, m, err = openIndex(o, s.id); err != nil {
		return nil, err
	}
	if err = s.recover(segs, m); err != nil {
		return nil, err
	}
	s.segs.Store(&segs)
	s.counts.segments.Store(int64(len(segs)))
	s.counts.events.Store(int64(s.end.ordinal))
	s.counts.storedAt.Store(s.end.storedAt)
	s.indexed.set(s.end.pos)
	s.index.opened = s.durable.load()
	s.synced = s.end.pos
	s.names.seed = maphash.MakeSeed()
	s.latest.bytes, s.latest.rd = eventstore.Position(min(latestBytes, o.SegmentBytes/4)), s.reader()
	s.latest.from, s.latest.to = s.durable.load(), s.durable.load()
	s.workers.Go(s.lead)
	s.workers.Go(s.zero)
	s.workers.Go(s.follow)
	if s.disk != nil {
		s.disk.Watch()
	}
	return s, nil
}

func lockFolder(fs vfs.FS, dir string) (io.Closer, error) {
	return folder.Lock(fs, fs.PathJoin(dir, lockName))
}

// openOrCreate opens the segments, after making the first if there is none, and sees that the folder's names are durable.
func (s *Store) openOrCreate() ([]*segment, error) {
	fs, dir := s.opts.FS, s.opts.Dir
	if _, err := fs.Stat(fs.PathJoin(dir, spareName)); err == nil {
		if err := fs.Remove(fs.PathJoin(dir, spareName)); err != nil {
			return nil, fmt.Errorf("remove left-over spare: %w", err)
		}
	}
	segs, err := openSegments(fs, dir, true, s.opts)
	if err != nil {
		return nil, err
	}
	if len(segs) > 0 {
		return segs, syncNames(fs, dir)
	}
	if _, err := fs.Stat(fs.PathJoin(dir, indexName)); err == nil {
		return nil, damage(0, "there is an index, but every segment is missing")
	}
	var id logID
	if _, err := io.ReadFull(s.opts.Rand, id[:]); err != nil {
		return nil, fmt.Errorf("read log id: %w", err)
	}
	size := min(s.opts.SegmentBytes, segmentBytesFirst)
	f, err := createSpare(fs, dir, size, atOnce)
	if err != nil {
		return nil, fmt.Errorf("make first segment: %w", err)
	}
	g, err := promote(fs, dir, f, size, segmentHead{id: id}, s.opts)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return []*segment{g}, syncNames(fs, dir)
}

// syncNames makes the names in the folder durable, the folder's own name in its parent, and the parent's names upwards:
// any of them may have been made by an open that was killed before it came here. A folder above the parent that may not
// be read is somebody else's, and older.
func syncNames(fs vfs.FS, dir string) error {
	up := fs.PathDir(dir)
	if err := errors.Join(folder.Sync(fs, dir), folder.Sync(fs, up)); err != nil {
		return err
	}
	for up != fs.PathDir(up) {
		up = fs.PathDir(up)
		if err := folder.Sync(fs, up); err != nil {
			return nil
		}
	}
	return nil
}

// recover finds the end of the log from the index's mark on, brings the index there, and cuts a torn tail. It syncs
// first: what it is about to believe may still be only in the operating system's memory.
func (s *Store) recover(segs []*segment, m mark) error {
	sc := &scanner{segs: segs, seed: s.seed, limit: noPosition}
	g := segs[len(segs)-1]
	if err := g.file.SyncData(); err != nil {
		return fmt.Errorf("sync %s: %w", g.name, err)
	}
	if err := sc.resume(m); err != nil {
		return err
	}
	end, torn, err := sc.walk(context.Background(), m, func(_ mark, body []byte, next mark) error {
		s.rows.add(body)
		if s.rows.len() < indexBatchBytes {
			return nil
		}
		return s.index.apply(&s.rows, next)
	})
	if err != nil {
		return err
	}
	s.end = sc.writable(end)
	dirty, err := sc.tail(s.end, torn)
	if err != nil {
		return err
	}
	if dirty > s.end.pos {
		s.opts.Logger.Warn("the log ended in a group that was never acknowledged; it is cut",
			"position", uint64(s.end.pos), "bytes", uint64(dirty-s.end.pos))
		err := zeroRange(g, int64(s.end.pos-g.base), int64(dirty-g.base))
		if err = errors.Join(err, g.file.SyncData()); err != nil {
			return fmt.Errorf("cut %s: %w", g.name, err)
		}
	}
	if end.pos > m.pos {
		if err := s.index.apply(&s.rows, end); err != nil {
			return fmt.Errorf("write index: %w", err)
		}
	}
	s.durable.set(end)
	return nil
}

func zeroRange(g *segment, from, to int64) error {
	zeroes := make([]byte, min(to-from, zeroChunk))
	for ; from < to; from += zeroChunk {
		if _, err := g.file.WriteAt(zeroes[:min(to-from, zeroChunk)], from); err != nil {
			return err
		}
	}
	return nil
}
