package embedded

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"zujian/eventstore"
	"zujian/eventstore/folder"
)

// A segment starts with its header, 64 bytes:
//
//	 0 "ZUJIANLG"            24 log id [16]                    56 u32 CRC-32C of all before
//	 8 u8 format version     40 u64 position of byte 0         60 zero
//	16 u64 first ordinal     48 u64 the same of the segment before
//
// A group starts with its header, 48 bytes, and its checksums start from the log id:
//
//	0 u32 magic             12 u32 CRC-32C of the body        32 u64 all before this position was durable
//	4 u32 CRC-32C of 8..48  16 u64 position of byte 0         40 u32 events
//	8 u32 bytes of body     24 u64 first ordinal              44 zero
const (
	segmentHeader = 64
	segmentMagic  = "ZUJIANLG"
	formatVersion = 1

	groupHeader    = 48
	groupMagic     = 0xF547525A   // Larger than any frame's length, so the two cannot be confused.
	groupBodyLimit = 64 << 20     // What recovery believes a body may be: groupBytesMax, one append, and their frames.
	writeCategory  = "zujian-log" // Only for statistics of disk writes.
	zeroChunk      = 256 << 10    // Zeroes are written and synced in pieces this small: a sync of the log waits behind one.
)

// logID is random and tells the log from every other.
type logID [16]byte

func (id logID) seed() uint32 { return crc32.Checksum(id[:], castagnoli) }

// segmentHead is the header of a segment.
type segmentHead struct {
	id         logID
	base, prev eventstore.Position
	ordinal    uint64
}

func (h segmentHead) encode() []byte {
	b := make([]byte, segmentHeader)
	copy(b, segmentMagic)
	b[8] = formatVersion
	le.PutUint64(b[16:], h.ordinal)
	copy(b[24:40], h.id[:])
	le.PutUint64(b[40:], uint64(h.base))
	le.PutUint64(b[48:], uint64(h.prev))
	le.PutUint32(b[56:], crc32.Checksum(b[:56], castagnoli))
	return b
}

func decodeSegmentHead(b []byte) (h segmentHead, err error) {
	if len(b) < segmentHeader || string(b[:8]) != segmentMagic {
		return h, errors.New("segment header: not a segment of this log format")
	}
	if v := b[8]; v > formatVersion {
		return h, fmt.Errorf("segment header: log format %d is newer than format %d, the newest this program reads", v, formatVersion)
	}
	if le.Uint32(b[56:]) != crc32.Checksum(b[:56], castagnoli) || le.Uint32(b[60:]) != 0 {
		return h, errors.New("segment header: checksum differs")
	}
	h.ordinal = le.Uint64(b[16:])
	copy(h.id[:], b[24:40])
	h.base = eventstore.Position(le.Uint64(b[40:]))
	h.prev = eventstore.Position(le.Uint64(b[48:]))
	return h, nil
}

// groupHead is the header of a group.
type groupHead struct {
	body, bodyCRC uint32
	first, synced eventstore.Position
	ordinal       uint64
	events        uint32
}

func (h groupHead) put(b []byte, seed uint32) {
	le.PutUint32(b[0:], groupMagic)
	le.PutUint32(b[8:], h.body)
	le.PutUint32(b[12:], h.bodyCRC)
	le.PutUint64(b[16:], uint64(h.first))
	le.PutUint64(b[24:], h.ordinal)
	le.PutUint64(b[32:], uint64(h.synced))
	le.PutUint32(b[40:], h.events)
	le.PutUint32(b[44:], 0)
	le.PutUint32(b[4:], crc32.Update(seed, castagnoli, b[8:groupHeader]))
}

// readGroupHead checks the group header that starts b, at position at of the log.
func readGroupHead(b []byte, seed uint32, at eventstore.Position) (h groupHead, err error) {
	if len(b) < groupHeader {
		return h, errShort
	}
	if le.Uint32(b) != groupMagic {
		return h, errors.New("no group starts here")
	}
	if le.Uint32(b[4:]) != crc32.Update(seed, castagnoli, b[8:groupHeader]) {
		return h, errCRC
	}
	h = groupHead{
		body: le.Uint32(b[8:]), bodyCRC: le.Uint32(b[12:]), first: eventstore.Position(le.Uint64(b[16:])),
		ordinal: le.Uint64(b[24:]), synced: eventstore.Position(le.Uint64(b[32:])), events: le.Uint32(b[40:]),
	}
	if h.first != at {
		return h, errPlace
	}
	if h.body == 0 || h.body > groupBodyLimit || h.events == 0 {
		return h, errLength
	}
	return h, nil
}

// segment is one open file of the log.
type segment struct {
	segmentHead
	name  string
	file  vfs.File
	size  int64               // Of the file, zeroes included.
	end   eventstore.Position // Base of the next segment; 0 while this is the last.
	data  []byte              // The mapped file; nil when it is read with pread.
	lends bool                // Events share data instead of copying it.
}

// read fills p from offset off of the file.
func (g *segment) read(p []byte, off int64) error {
	if g.data != nil && off+int64(len(p)) <= int64(len(g.data)) {
		copy(p, g.data[off:])
		return nil
	}
	n, err := g.file.ReadAt(p, off)
	if n == len(p) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("read segment %s at %d: %w", g.name, off, err)
}

// mapIn maps the file for reading. Events share the memory of one that is not smaller than lend.
func (g *segment) mapIn(lend int64) {
	g.data = mapFile(g.file, g.size)
	g.lends = g.data != nil && g.size >= lend
}

// close closes the file. What was lent stays mapped as long as the process lives: somebody may still read it.
func (g *segment) close(lent bool) error {
	var err error
	if !lent || !g.lends {
		err = unmapFile(g.data)
	}
	g.data = nil
	return errors.Join(err, g.file.Close())
}

func segmentName(base eventstore.Position) string {
	return fmt.Sprintf("%016x%s", uint64(base), segmentSuffix)
}

// openSegments opens every segment of dir in order and checks that they are one unbroken run of one log.
func openSegments(fs vfs.FS, dir string, write bool, o Options) (segs []*segment, err error) {
	defer func() {
		if err != nil {
			closeSegments(segs)
			segs = nil
		}
	}()
	names, err := fs.List(dir)
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", dir, err)
	}
	slices.Sort(names)
	for _, name := range names {
		if !strings.HasSuffix(name, segmentSuffix) {
			continue
		}
		base, err := strconv.ParseUint(strings.TrimSuffix(name, segmentSuffix), 16, 64)
		if err != nil || segmentName(eventstore.Position(base)) != name {
			return segs, fmt.Errorf("embedded: %s is not the name of a segment", name)
		}
		g, err := openSegment(fs, dir, name, write)
		if err != nil {
			return segs, fmt.Errorf("open segment %s: %w", name, err)
		}
		segs = append(segs, g)
		if err := g.check(eventstore.Position(base), segs[:len(segs)-1]); err != nil {
			return segs, err
		}
		if !o.NoMmap {
			g.mapIn(o.lend)
		}
	}
	return segs, nil
}

func openSegment(fs vfs.FS, dir, name string, write bool) (*segment, error) {
	path := fs.PathJoin(dir, name)
	var f vfs.File
	var err error
	if write {
		f, err = fs.OpenReadWrite(path, writeCategory)
	} else {
		f, err = fs.Open(path)
	}
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &segment{name: name, file: f, size: info.Size()}, nil
}

// check reads the header and holds it to the file's name and to the segments before.
func (g *segment) check(base eventstore.Position, before []*segment) error {
	b := make([]byte, segmentHeader)
	if err := g.read(b, 0); err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return err
	}
	h, err := decodeSegmentHead(b)
	if err != nil {
		return damage(base, "%s: %v", g.name, err)
	}
	g.segmentHead = h
	if h.base != base {
		return damage(base, "%s: the header says it starts at %d", g.name, h.base)
	}
	if len(before) == 0 {
		if base != 0 {
			return damage(0, "the first segment is missing; the oldest is %s", g.name)
		}
		return nil
	}
	last := before[len(before)-1]
	switch {
	case h.id != last.id:
		return damage(base, "%s belongs to another log", g.name)
	case h.prev != last.base:
		return damage(base, "the segment before %s is missing: it started at %d", g.name, h.prev)
	case int64(h.base-last.base) > last.size:
		return damage(last.base+eventstore.Position(last.size), "%s is cut short", last.name)
	}
	last.end = h.base
	return nil
}

func closeSegments(segs []*segment) {
	for _, g := range segs {
		_ = g.close(false) // Nothing is lost: what was written was synced.
	}
}

// createSpare makes a file of zeroes, durable in size, to become the next segment. between is called after each piece with
// the time it took and how many bytes there are; it may wait, to leave the disk to the log.
func createSpare(fs vfs.FS, dir string, size int64, between func(took time.Duration, done int64)) (f vfs.File, err error) {
	path := fs.PathJoin(dir, spareName)
	f, err = fs.Create(path, writeCategory)
	if err != nil {
		return nil, err
	}
	// Opened again: WriteAt is only for files from OpenReadWrite.
	if err = f.Close(); err != nil {
		return nil, err
	}
	if f, err = fs.OpenReadWrite(path, writeCategory); err != nil {
		return nil, err
	}
	zeroes := make([]byte, min(size, zeroChunk))
	for off := int64(0); off < size; off += zeroChunk {
		start := time.Now()
		_, err = f.WriteAt(zeroes[:min(size-off, zeroChunk)], off)
		if err == nil && size > zeroChunk {
			err = f.SyncData()
		}
		if err != nil {
			return nil, errors.Join(err, f.Close())
		}
		between(time.Since(start), min(size, off+zeroChunk))
	}
	if err = f.Sync(); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// atOnce is for a spare that somebody waits for.
func atOnce(time.Duration, int64) {}

// promote turns the spare into the segment that h describes. When it returns, the segment is durable.
func promote(fs vfs.FS, dir string, f vfs.File, size int64, h segmentHead, o Options) (*segment, error) {
	name := segmentName(h.base)
	if _, err := f.WriteAt(h.encode(), 0); err != nil {
		return nil, fmt.Errorf("write header of %s: %w", name, err)
	}
	if err := f.SyncData(); err != nil {
		return nil, fmt.Errorf("sync %s: %w", name, err)
	}
	if err := fs.Rename(fs.PathJoin(dir, spareName), fs.PathJoin(dir, name)); err != nil {
		return nil, fmt.Errorf("name %s: %w", name, err)
	}
	if err := folder.Sync(fs, dir); err != nil {
		return nil, err
	}
	g := &segment{segmentHead: h, name: name, file: f, size: size}
	if !o.NoMmap {
		g.mapIn(o.lend)
	}
	return g, nil
}
