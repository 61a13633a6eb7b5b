// Package pebbleviews keeps views in one Pebble database: projections.Views for the embedded way to run, and beside
// them the replies kept for idempotency. It knows no projection. Only cmd/zujian opens it.
//
// # Decisions
//
// Nothing here is synced before a close: views can be built again from the log, and Pebble's write-ahead log makes what
// survives a crash a prefix of the batches, each with its checkpoint. A killed process loses next to nothing, a power
// loss the last moments, and the runner goes on from the checkpoint found.
//
// Folding reads rows far more often than anyone else, and a read that reaches Pebble costs some ten times one that does
// not. So every view keeps the rows it used last in memory (projections.RowCache), written with each batch; a batch's own writes are a
// map until it commits. Only the one batch that runs in a keyspace uses them; queries read a Pebble snapshot.
package pebbleviews

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/sstable/block"
	"github.com/cockroachdb/pebble/v2/vfs"

	"zujian/eventstore"
	"zujian/eventstore/folder"
	"zujian/projections"
)

// ErrClosed means the database was closed.
var ErrClosed = errors.New("pebbleviews: closed")

// Options of a database. The zero value is usual.
type Options struct {
	FS            vfs.FS       // The operating system's if nil.
	BlockCache    int64        // Bytes of Pebble's block cache; 64 MiB if 0.
	RowCache      int64        // Bytes of rows kept in memory for the folding of each view; 16 MiB if 0, none if negative.
	RowRoom       int64        // Bytes of more rows of all views that are built, together; none if 0.
	MemTable      uint64       // Bytes of one memtable while views catch up; 32 MiB, which is what service takes, if 0.
	Logger        *slog.Logger // nil is silent.
	CompactionMax int          // Compactions at once; 1 if 0: folding needs the other core.
	Fatal         func(error)  // Called when Pebble can't keep its promises any more; it must not return. A panic if nil.
	Scratch       bool         // The folder is removed after use: there is no write-ahead log.
}

const (
	blockCacheBytes = 64 << 20
	rowCacheBytes   = 16 << 20
	memTableBytes   = 32 << 20
	flushRoom       = 64 << 20
	l0Compaction    = 8  // Twice the files above each other in level 0 that start a compaction.
	l0Stop          = 24 // Files above each other that stop writing.
)

// Views implements projections.Views. Make one with Open.
type Views struct {
	db   *pebble.DB
	dir  string
	disk vfs.FS
	log  *slog.Logger
	row  int64                // Bytes of rows of a view,
	room *projections.RowRoom // and of those that are built. In service so many would be much for the collector to look at.

	fill filling
	pace *pacing

	life   sync.Mutex // Guards open, closed.
	idle   *sync.Cond
	open   int // Calls inside.
	closed bool

	mu      sync.RWMutex // Guards what follows; a reader holds it while it takes its snapshot.
	active  map[string]int
	numbers map[space]uint16
	spaces  map[space]*keyspace
}

type space struct {
	name    string
	version int
}

// keyspace is one version of one view. Its lock is held for a whole batch.
type keyspace struct {
	mu sync.Mutex
	place
	checkpoint eventstore.Position
	rows       projections.RowCache
	writes     projections.Writes // Of the batch that runs.
	order      []written          // Memory of inOrder.
}

var _ projections.Views = (*Views)(nil)

// Open opens the database in a folder, made if missing.
func Open(dir string, o Options) (*Views, error) {
	log := o.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	disk := o.FS
	if disk == nil {
		disk = folder.Real()
	}
	if err := folder.CheckManifest(disk, dir); err != nil {
		return nil, fmt.Errorf("open views: %w: delete that folder, they are built again", err)
	}
	cache := pebble.NewCache(orElse(o.BlockCache, blockCacheBytes))
	defer cache.Unref() // The database holds it from here on.
	compactions, pace := max(o.CompactionMax, 1), newPacing()
	opts := &pebble.Options{
		FS: folder.Ordered(pace.on(disk)), EventListener: &pebble.EventListener{DataCorruption: damaged(log)}, Cache: cache, MemTableSize: orElse(o.MemTable, memTableBytes), Logger: logger{log, o.Fatal}, DisableWAL: o.Scratch,
		FormatMajorVersion:          pebble.FormatColumnarBlocks,
		CompactionConcurrencyRange:  func() (int, int) { return 1, compactions },
		MemTableStopWritesThreshold: 4,
		WALBytesPerSync:             1 << 20, // So that a close or a flush does not stall on a large log.
	}
	// What is flushed is soon compacted away: its blocks are left as they are, and a few more of its files may pile up.
	opts.L0CompactionThreshold, opts.L0StopWritesThreshold = l0Compaction, l0Stop
	opts.Levels[0].Compression = func() *block.CompressionProfile { return block.NoCompression }
	opts.Levels[1].Compression = func() *block.CompressionProfile { return block.SnappyCompression } // And below.
	for i := range opts.Levels {
		opts.Levels[i].FilterPolicy = bloom.FilterPolicy(10) // Most first looks at a key find nothing.
	}
	db, err := pebble.Open(dir, opts)
	if err != nil {
		return nil, fmt.Errorf("open views in %s: %w", dir, folder.Plain(err))
	}
	v := &Views{
		db: db, dir: dir, disk: disk, log: log, pace: pace, row: orElse(o.RowCache, rowCacheBytes), room: projections.NewRowRoom(o.RowRoom),
		active: map[string]int{}, numbers: map[space]uint16{}, spaces: map[space]*keyspace{},
	}
	v.idle, v.fill.most = sync.NewCond(&v.life), int(opts.MemTableSize)
	if err := errors.Join(v.loadActive(), v.loadNumbers()); err != nil {
		return nil, errors.Join(fmt.Errorf("open views in %s: %w", dir, err), db.Close())
	}
	return v, nil
}

func orElse[T int64 | uint64](v, otherwise T) T {
	if v == 0 {
		return otherwise
	}
	return v
}

// Close waits for the calls inside, makes everything durable and releases the folder.
func (v *Views) Close() error {
	v.life.Lock()
	if v.closed {
		v.life.Unlock()
		return nil
	}
	v.closed = true
	for v.open > 0 {
		v.idle.Wait()
	}
	v.life.Unlock()
	v.pace.over()
	var err error
	if v.roomToFlush() {
		err = v.db.Flush()
	}
	if err := errors.Join(err, v.db.Close()); err != nil {
		return fmt.Errorf("close views: %w", err)
	}
	return nil
}

// roomToFlush tells whether the disk has room for what a flush writes. Without, Pebble tries for ever, or panics: then what
// was written stays in its write-ahead log, and is read from there when the folder is opened again.
func (v *Views) roomToFlush() bool {
	free, err := v.disk.GetDiskUsage(v.dir)
	return err != nil || free.AvailBytes >= flushRoom // A disk that doesn't say is tried.
}

// Sync makes everything written so far durable.
func (v *Views) Sync() error {
	if err := v.enter(); err != nil {
		return err
	}
	defer v.leave()
	if err := v.db.LogData(nil, pebble.Sync); err != nil {
		return fmt.Errorf("sync views: %w", err)
	}
	return nil
}

func (v *Views) enter() error {
	v.life.Lock()
	defer v.life.Unlock()
	if v.closed {
		return ErrClosed
	}
	v.open++
	return nil
}

func (v *Views) leave() {
	v.life.Lock()
	defer v.life.Unlock()
	if v.open--; v.open == 0 {
		v.idle.Broadcast()
	}
}

// Batch implements projections.Views. f must not start another batch of the same version.
func (v *Views) Batch(ctx context.Context, name string, version int, prev, next eventstore.Position,
	f func(projections.View) error,
) error {
	if err := projections.CheckBatch(name, version, prev, next); err != nil {
		return err
	}
	if err := v.enter(); err != nil {
		return err
	}
	defer v.leave()
	k, err := v.keyspace(name, version)
	if err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.checkpoint != prev {
		return fmt.Errorf("batch %s@%d after %d: %w: it is at %d", name, version, prev, projections.ErrFenced, k.checkpoint)
	}
	view := &batchView{Writes: &k.writes, db: v.db, space: k}
	defer k.writes.Reset()
	defer view.release()
	if err := f(view); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	size, err := view.commit(next)
	if err != nil {
		return fmt.Errorf("batch %s@%d after %d: %w", name, version, prev, err)
	}
	v.wrote(size)
	return nil
}

// keyspace finds the one in memory, or opens it where it stands on disk.
func (v *Views) keyspace(name string, version int) (*keyspace, error) {
	id := space{name, version}
	v.mu.RLock()
	k := v.spaces[id]
	v.mu.RUnlock()
	if k != nil {
		return k, nil
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if k = v.spaces[id]; k != nil {
		return k, nil
	}
	at, written, err := readPosition(v.db, v.placeOf(id).standing)
	if err != nil {
		return nil, fmt.Errorf("open view %s@%d: %w", name, version, err)
	}
	if _, numbered := v.numbers[id]; !numbered && !written { // It has no rows.
		if err := v.number(id); err != nil {
			return nil, fmt.Errorf("open view %s@%d: %w", name, version, err)
		}
	}
	room := v.room
	if v.active[name] == version {
		room = nil
	}
	k = &keyspace{place: v.placeOf(id), checkpoint: at, rows: projections.NewRowCache(v.row, room, !written)}
	v.spaces[id] = k
	return k, nil
}

// Checkpoint implements projections.Views.
func (v *Views) Checkpoint(_ context.Context, name string, version int) (eventstore.Position, error) {
	if err := v.enter(); err != nil {
		return 0, err
	}
	defer v.leave()
	v.mu.RLock()
	at, _, err := readPosition(v.db, v.placeOf(space{name, version}).standing)
	v.mu.RUnlock()
	if err != nil {
		return 0, fmt.Errorf("read checkpoint of %s@%d: %w", name, version, err)
	}
	return at, nil
}

// Active implements projections.Views.
func (v *Views) Active(_ context.Context, name string) (int, error) {
	if err := v.enter(); err != nil {
		return 0, err
	}
	defer v.leave()
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.active[name], nil
}

// Activate implements projections.Views.
func (v *Views) Activate(_ context.Context, name string, version int) error {
	if err := projections.CheckBatch(name, version, 0, 0); err != nil {
		return err
	}
	if err := v.enter(); err != nil {
		return err
	}
	defer v.leave()
	k, err := v.keyspace(name, version)
	if err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	v.mu.Lock()
	defer v.mu.Unlock()
	value := binary.BigEndian.AppendUint32(nil, uint32(version))
	if err := v.db.Set(activeKey(name), value, pebble.NoSync); err != nil {
		return fmt.Errorf("activate %s@%d: %w", name, version, err)
	}
	v.active[name] = version
	k.rows.Resize(v.row)
	if v.fill.caughtUp() {
		v.flush()
	}
	return nil
}

// Drop implements projections.Views.
func (v *Views) Drop(_ context.Context, name string, version int) error {
	if err := projections.CheckBatch(name, version, 0, 0); err != nil {
		return err
	}
	if err := v.enter(); err != nil {
		return err
	}
	defer v.leave()
	k, err := v.keyspace(name, version)
	if err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.active[name] == version {
		return fmt.Errorf("drop %s@%d: %w", name, version, projections.ErrActive)
	}
	b := v.db.NewBatch()
	defer func() { _ = b.Close() }() // It was applied or is given up.
	end := after(k.prefix)
	if err := errors.Join(b.DeleteRange(k.prefix, end, nil), b.Delete(k.standing, nil), b.Commit(pebble.NoSync)); err != nil {
		return fmt.Errorf("drop %s@%d: %w", name, version, err)
	}
	k.rows.Resize(0) // What it took of the room is others' again.
	k.checkpoint, k.rows = 0, projections.NewRowCache(v.row, v.room, true)
	return nil
}

// Read implements projections.Views.
func (v *Views) Read(_ context.Context, name string, f func(projections.Reader) error) error {
	if err := v.enter(); err != nil {
		return err
	}
	defer v.leave()
	v.mu.RLock() // The version and the snapshot belong together: an activation comes before or after both.
	version := v.active[name]
	if version == 0 {
		v.mu.RUnlock()
		return fmt.Errorf("read %s: %w", name, projections.ErrNotBuilt)
	}
	snapshot, place := v.db.NewSnapshot(), v.placeOf(space{name, version})
	v.mu.RUnlock()
	defer func() { _ = snapshot.Close() }() // It only gives the snapshot up.
	at, _, err := readPosition(snapshot, place.standing)
	if err != nil {
		return fmt.Errorf("read %s@%d: %w", name, version, err)
	}
	return f(&reader{from: snapshot, prefix: place.prefix, position: at})
}
