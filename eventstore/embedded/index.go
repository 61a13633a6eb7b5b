package embedded

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/sstable/block"

	"zujian/eventstore"
	"zujian/eventstore/folder"
)

// The index holds, big-endian:
//
//	'h' stream                  → for each of the stream's first headFrames events, in order: the position of its frame's
//	                              first byte, and the sum of its id
//	's' stream 0 revision       → of each later event: the position of its frame's first byte
//	'i' event id, hash of stream → the same, of all later events with this id
//	'c'                         → mark: how far the index has come
//
// A stream name holds no control character, so the 0 ends it. What is written to a stream or of an id later is merged to what
// is there, which need not be read for it.
const (
	keyEvent, keyHead, keyID, keyMark = 's', 'h', 'i', 'c'

	headFrames = 16    // Most streams have no more events, and no row but their head.
	headEntry  = 8 + 4 // Of one frame.
	idKeyBytes = 1 + 16 + 8

	indexVersion    = 4 // In 1 and 2 each event had rows of its own, in 3 a head the starts of the ids.
	markBytes       = 1 + 16 + 4*8
	indexBatchBytes = 4 << 20 // A batch takes no further group beyond this.
	rowsKept        = 1 << 20 // More room for rows is left to the collector.
	indexCache      = 32 << 20
	tableBytes      = 32 << 20              // At every level: who looks up a key opens less of few tables than of many.
	tableIndexBytes = 1 << 20               // More than a table needs: its index is one block, not blocks behind another.
	retryPause      = 50 * time.Millisecond // Between two tries to write a table on a disk that refuses it.
)

// mark is a point of the log between two groups.
type mark struct {
	last     eventstore.Position // Where the last group before it starts; 0 if there is none.
	pos      eventstore.Position
	ordinal  uint64 // Of the next event.
	storedAt int64  // Of the last event, µs.
}

// index is the Pebble database beside the segments. It is written without a log of its own: after a crash it is some
// prefix of what was applied, and its mark, applied with every batch, says which.
type index struct {
	db     *pebble.DB
	cache  *pebble.Cache
	id     logID
	tables tables
	opened eventstore.Position // Up to here nobody remembers what was written.
	full   map[string]headRow  // The leader's own.

	failing chan error // Holds one error of writing tables behind the index, which Pebble tries again for ever.
}

// errNewer is the index of a program that knows more: it is not removed, as an older one is.
var errNewer = errors.New("is of a newer version than this program writes: run the program that wrote it, " +
	"or remove the folder, which is built anew from the log then")

// openIndex opens the folder's index, or makes a new one if it is of another log, an older version, or damaged.
func openIndex(o Options, id logID) (*index, mark, error) {
	fs, log := o.FS, o.Logger
	path, noted := fs.PathJoin(o.Dir, indexName), fs.PathJoin(o.Dir, indexDamagedName)
	if _, err := fs.Stat(noted); err == nil {
		log.Warn("index was found damaged and is rebuilt from the log")
		err := fs.RemoveAll(path)
		if err == nil {
			err = fs.Remove(noted)
		}
		if err != nil {
			return nil, mark{}, fmt.Errorf("remove damaged index: %w", err)
		}
	}
	for try := 0; ; try++ {
		x, err := openDB(o, id, false)
		if err == nil {
			var m mark
			if m, err = x.mark(); err == nil {
				return x, m, nil
			}
			err = errors.Join(err, x.close(false))
		}
		if errors.Is(err, errNewer) {
			return nil, mark{}, fmt.Errorf("index %s %w", path, err)
		}
		if try > 0 {
			return nil, mark{}, fmt.Errorf("open index: %w", err)
		}
		log.Warn("index is rebuilt from the log", slog.Any("err", err))
		if err := fs.RemoveAll(path); err != nil {
			return nil, mark{}, fmt.Errorf("remove unusable index: %w", err)
		}
	}
}

func openDB(o Options, id logID, readOnly bool) (*index, error) {
	dir := o.FS.PathJoin(o.Dir, indexName)
	if err := folder.CheckManifest(o.FS, dir); err != nil {
		return nil, err
	}
	cache := pebble.NewCache(indexCache + 2*indexMemory) // Pebble takes what it holds in memory, and what it is writing down, off it.
	x := &index{cache: cache, id: id, full: map[string]headRow{}, failing: make(chan error, 1)}
	opts := &pebble.Options{
		FS: folder.Ordered(o.FS), DisableWAL: true, Cache: cache, MemTableSize: indexMemory, ReadOnly: readOnly,
		L0CompactionThreshold: indexL0, L0StopWritesThreshold: 3 * indexL0,
		FormatMajorVersion: pebble.FormatColumnarBlocks, Logger: pebbleLogger{o.Logger, o.Fatal},
	}
	opts.EventListener = &pebble.EventListener{
		BackgroundError: func(err error) { x.failed(o.Logger, err) },
		DataCorruption:  func(info pebble.DataCorruptionInfo) { damagedIndex(o, info, readOnly) },
		FlushEnd:        func(pebble.FlushInfo) { x.tables.changes.Add(1) },
		CompactionEnd:   func(pebble.CompactionInfo) { x.tables.changes.Add(1) },
	}
	opts.Levels[0].Compression = func() *block.CompressionProfile { return block.NoCompression } // Soon compacted away.
	opts.Levels[1].Compression = func() *block.CompressionProfile { return block.SnappyCompression }
	for i := range opts.Levels {
		opts.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
		opts.Levels[i].IndexBlockSize = tableIndexBytes
		opts.TargetFileSizes[i] = tableBytes
	}
	db, err := pebble.Open(dir, opts)
	if err != nil {
		cache.Unref()
		return nil, err
	}
	x.db, x.tables.db, x.tables.id = db, db, id
	return x, nil
}

// damagedIndex hears that a table of the index is damaged: who reads it gets an error, and the next open rebuilds it.
func damagedIndex(o Options, info pebble.DataCorruptionInfo, readOnly bool) {
	o.Logger.Error("the index is damaged; the next start rebuilds it", slog.String("file", info.Path), slog.Any("err", info.Details))
	if readOnly {
		return
	}
	f, err := o.FS.Create(o.FS.PathJoin(o.Dir, indexDamagedName), writeCategory)
	if err == nil {
		err = errors.Join(f.Sync(), f.Close(), folder.Sync(o.FS, o.Dir))
	}
	if err != nil {
		o.Logger.Error("note that the index is damaged", slog.Any("err", err))
	}
}

// failed hears that a table could not be written. Pebble, which holds no lock of readers here, tries again at once.
func (x *index) failed(log *slog.Logger, err error) {
	select {
	case x.failing <- err:
		log.Error("index tables can't be written; trying again", slog.Any("err", err))
	default:
	}
	time.Sleep(retryPause)
}

// close writes the index down if asked to. A disk that takes no more of it costs the next open time, nothing else.
func (x *index) close(flush bool) (err error) {
	if flush {
		select {
		case <-x.failing: // Perhaps long ago.
		default:
		}
		var flushed <-chan struct{}
		if flushed, err = x.db.AsyncFlush(); err == nil {
			select {
			case <-flushed:
			case err = <-x.failing:
			}
		}
	}
	err = errors.Join(err, x.tables.close(), x.db.Close())
	x.cache.Unref()
	return err
}

func (x *index) mark() (mark, error) { return readMark(x.db, x.id) }

func readMark(r pebble.Reader, id logID) (m mark, err error) {
	b, done, err := r.Get([]byte{keyMark})
	if errors.Is(err, pebble.ErrNotFound) {
		return mark{}, nil
	}
	if err != nil {
		return mark{}, err
	}
	m, err = decodeMark(b, id)
	return m, errors.Join(err, done.Close())
}

func decodeMark(b []byte, id logID) (mark, error) {
	if len(b) > 0 && b[0] > indexVersion {
		return mark{}, errNewer
	}
	if len(b) != markBytes || b[0] != indexVersion || !bytes.Equal(b[1:17], id[:]) {
		return mark{}, errors.New("of an older version or another log")
	}
	return mark{
		last: eventstore.Position(be.Uint64(b[17:])), pos: eventstore.Position(be.Uint64(b[25:])),
		ordinal: be.Uint64(b[33:]), storedAt: int64(be.Uint64(b[41:])),
	}, nil
}

func setMark(b *pebble.Batch, id logID, m mark) error {
	var v [markBytes]byte
	v[0] = indexVersion
	copy(v[1:], id[:])
	be.PutUint64(v[17:], uint64(m.last))
	be.PutUint64(v[25:], uint64(m.pos))
	be.PutUint64(v[33:], m.ordinal)
	be.PutUint64(v[41:], uint64(m.storedAt))
	return b.Set([]byte{keyMark}, v[:], nil)
}

// rows are what is to be put into the index at once. They go there in the order of their keys: a search of Pebble's skip list
// then goes on from the one before, and finds in the processor's cache much of what it passes.
type rows struct {
	bytes []byte
	all   []row
}

// row is a key and its value, one behind the other in bytes.
type row struct {
	at, key, end int
	merge        bool // To what is there.
}

func (r *rows) len() int { return len(r.bytes) }

// put adds a row and returns the room for its key and its value.
func (r *rows) put(key, value int, merge bool) (k, v []byte) {
	at := len(r.bytes)
	r.bytes = slices.Grow(r.bytes, key+value)[:at+key+value]
	r.all = append(r.all, row{at, at + key, at + key + value, merge})
	return r.bytes[at : at+key], r.bytes[at+key:]
}

// add puts the frames of a group's body, which has been checked, among the rows.
func (r *rows) add(body []byte) {
	for len(body) > 0 {
		f := frame(body[:le.Uint32(body)])
		stream, first := f.stream(), f.revision()
		var entries [headFrames * headEntry]byte
		head := entries[:0]
		for len(body) > 0 {
			f = frame(body[:le.Uint32(body)])
			if !bytes.Equal(f.stream(), stream) {
				break
			}
			body = body[len(f):]
			start := uint64(f.position()) - uint64(len(f))
			if f.revision() < headFrames {
				head = be.AppendUint32(be.AppendUint64(head, start), idSum(f.id()))
				continue
			}
			k, v := r.put(1+len(stream)+1+8, 8, false)
			putEventKey(k, stream, f.revision())
			be.PutUint64(v, start)

			k, v = r.put(idKeyBytes, 8, true)
			putIDKey(k, f.id(), stream)
			be.PutUint64(v, start)
		}
		if len(head) > 0 {
			k, v := r.put(1+len(stream), len(head), first > 0)
			k[0] = keyHead
			copy(k[1:], stream)
			copy(v, head)
		}
	}
}

// apply writes the rows and the mark behind which the log they are from ends.
func (x *index) apply(r *rows, m mark) error {
	b := x.db.NewBatchWithSize(len(r.bytes) + len(r.all)*8)
	defer b.Close()
	if err := r.write(b); err != nil {
		return err
	}
	if r.bytes, r.all = r.bytes[:0], r.all[:0]; cap(r.bytes) > rowsKept {
		*r = rows{}
	}
	if err := setMark(b, x.id, m); err != nil {
		return err
	}
	return x.db.Apply(b, pebble.NoSync)
}

// write adds the rows to a batch, those of one key as one: a filing writes its flat twice.
func (r *rows) write(b *pebble.Batch) error {
	slices.SortFunc(r.all, func(a, b row) int {
		return cmp.Or(bytes.Compare(r.bytes[a.at:a.key], r.bytes[b.at:b.key]), a.at-b.at)
	})
	for rest := r.all; len(rest) > 0; {
		one, n, size := rest[0], 0, 0
		key := r.bytes[one.at:one.key]
		for ; n < len(rest) && bytes.Equal(r.bytes[rest[n].at:rest[n].key], key); n++ {
			size += rest[n].end - rest[n].key
		}
		room := b.SetDeferred
		if one.merge {
			room = b.MergeDeferred
		}
		op := room(len(key), size)
		copy(op.Key, key)
		value := op.Value[:0]
		for _, more := range rest[:n] {
			value = append(value, r.bytes[more.key:more.end]...)
		}
		if err := op.Finish(); err != nil {
			return err
		}
		rest = rest[n:]
	}
	return nil
}

func putEventKey(k, stream []byte, rev eventstore.Revision) {
	k[0] = keyEvent
	n := 1 + copy(k[1:], stream)
	k[n] = 0
	be.PutUint64(k[n+1:], uint64(rev))
}

func eventKey(stream string, rev eventstore.Revision) []byte {
	k := make([]byte, 1+len(stream)+1+8)
	putEventKey(k, []byte(stream), rev)
	return k
}

// putIDKey writes an id key. The hash (FNV-1a) keeps the same id in two streams apart; whoever finds an entry still compares
// the stream.
func putIDKey(k, id, stream []byte) {
	k[0] = keyID
	copy(k[1:], id)
	h := uint64(14695981039346656037)
	for _, c := range stream {
		h = (h ^ uint64(c)) * 1099511628211
	}
	be.PutUint64(k[17:], h)
}

// idSum is what a head tells of an id: its four words as one. The start alone would not tell ids apart that are counted, or that
// are of one minute (UUIDv7).
func idSum(id []byte) uint32 {
	return be.Uint32(id) ^ be.Uint32(id[4:]) ^ be.Uint32(id[8:]) ^ be.Uint32(id[12:])
}

// pebbleLogger passes on what an operator must know. Pebble relies on Fatalf not returning.
type pebbleLogger struct {
	log   *slog.Logger
	fatal func(error)
}

func (l pebbleLogger) Infof(string, ...any) {}
func (l pebbleLogger) Errorf(format string, args ...any) {
	l.log.Error("index", slog.String("err", fmt.Sprintf(format, args...)))
}

func (l pebbleLogger) Fatalf(format string, args ...any) {
	l.Errorf(format, args...)
	l.fatal(errors.New("embedded: index: " + fmt.Sprintf(format, args...)))
}
