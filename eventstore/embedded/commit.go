package embedded

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"log/slog"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"zujian/eventstore"
)

// spare is the zeroed file that becomes the next segment.
type spare struct {
	file vfs.File
	size int64
	err  error
}

// indexWork is a durable group on its way to the index.
type indexWork struct {
	buf  []byte // Header and frames.
	mark mark   // After it.
}

// lead runs the leading goroutine: it commits as long as appends wait.
func (s *Store) lead() {
	for range s.queue.kick {
		for {
			s.commit()
			if !s.queue.stay() {
				break
			}
		}
	}
}

const headsKept = 1024 // A larger map of heads is left to the collector: each group clears it.

// commit takes what waits and makes it one durable group. The caller leads.
func (s *Store) commit() {
	s.taken = s.queue.take(s.taken[:0])
	if len(s.taken) == 0 {
		return
	}
	s.accepted, s.refused = s.accepted[:0], s.refused[:0]
	if len(s.heads) > headsKept {
		s.heads = map[string]eventstore.Revision{}
	}
	clear(s.heads)
	var dups duplicates
	var later []*request
	for _, r := range s.taken {
		if len(r.rest) > 0 {
			s.judgeParts(r, &dups)
			continue
		}
		switch v, err := s.judge(r, &dups); {
		case err != nil:
			r.err = err
			s.refused = append(s.refused, r)
		case v == judgeAgain:
			later = append(later, r)
		case v == judgeAccept:
			s.accepted = append(s.accepted, r)
		default:
			s.refused = append(s.refused, r)
		}
	}
	var err error
	if len(s.accepted) > 0 {
		if err = s.write(); err != nil {
			for _, r := range s.accepted {
				r.answer(eventstore.Appended{}, err)
			}
		}
	}
	// Only now: the refusals rest on what this group wrote.
	for _, r := range s.refused {
		switch {
		case err != nil:
			r.mayRepeat = false
			r.refuse(err)
		case len(r.rest) > 0:
			r.refuse(r.err)
		default:
			r.answer(r.result, r.err)
		}
	}
	if len(later) > 0 {
		s.queue.putBack(later)
	}
	clear(s.taken) // The requests are their callers' again.
	clear(s.accepted)
	clear(s.refused)
}

type verdict int

const (
	judgeAnswer verdict = iota // The request holds its answer, or mayRepeat.
	judgeAccept
	judgeAgain // After this group.
)

// judge decides about r at the stream's head, counting what this group has accepted before.
func (s *Store) judge(r *request, dups *duplicates) (verdict, error) {
	head, err := s.head(r.stream)
	if err != nil {
		return judgeAnswer, err
	}
	switch {
	case r.expected == eventstore.AnyRevision:
		if dups.holds(s.accepted, r) {
			return judgeAgain, nil // An event of this group has its id: look again when that one is in the index.
		}
		if head == eventstore.NoStream {
			break
		}
		res, seen, err := s.find(r, head)
		if err != nil {
			return judgeAnswer, err
		}
		if seen && res.Position == 0 {
			return judgeAnswer, &eventstore.WrongRevision{Stream: r.stream, Expected: r.expected, Actual: head}
		}
		if seen {
			r.result = res
			return judgeAnswer, nil
		}
	case r.expected > head:
		return judgeAnswer, &eventstore.WrongRevision{Stream: r.stream, Expected: r.expected, Actual: head}
	case r.expected < head:
		r.mayRepeat, r.actual = true, head
		return judgeAnswer, nil
	}
	r.result.Revision = head + eventstore.Revision(r.events)
	s.heads[r.stream] = r.result.Revision
	dups.add(r)
	return judgeAccept, nil
}

// judgeParts accepts all parts of r or none.
func (s *Store) judgeParts(r *request, dups *duplicates) {
	parts := append([]*request{r}, r.rest...)
	for i, p := range parts {
		v, err := s.judge(p, dups)
		if err == nil && v == judgeAccept {
			continue
		}
		if err == nil { // Beyond what it expects: whether these events are there is not asked.
			err = &eventstore.WrongRevision{Stream: p.stream, Expected: p.expected, Actual: p.actual}
		}
		p.mayRepeat = false
		for _, before := range slices.Backward(parts[:i]) {
			s.heads[before.stream] = before.expected
		}
		r.err = err
		s.refused = append(s.refused, r)
		return
	}
	s.accepted = append(s.accepted, parts...)
}

// head returns the last revision of the stream, this group included.
func (s *Store) head(stream string) (eventstore.Revision, error) {
	if rev, ok := s.heads[stream]; ok {
		return rev, nil
	}
	rev, known, upTo := s.recent.end(stream)
	if known { // Usually: who writes a stream has just read it.
		return rev, nil
	}
	written := min(upTo+1, s.end.pos)
	if err := s.indexed.wait(context.Background(), written); err != nil {
		return 0, err
	}
	return s.index.head(stream, written)
}

// find looks for an append at any revision in the stream, which goes to last, by its first id. seen without a position means
// that the id is there but the whole append is not.
func (s *Store) find(r *request, last eventstore.Revision) (res eventstore.Appended, seen bool, err error) {
	if err := s.indexed.wait(context.Background(), s.end.pos); err != nil {
		return res, false, err
	}
	id := frame(r.frames).id()
	starts, err := s.index.withID(id, r.stream, last)
	if err != nil || len(starts) == 0 {
		return res, false, err
	}
	rd := s.reader()
	ids := r.ids()
	for _, at := range starts {
		f, err := rd.frameAt(at)
		if err != nil {
			return res, false, err
		}
		if string(f.stream()) != r.stream || !bytes.Equal(f.id(), id) {
			continue // Its hash is the same, or the sum of its id.
		}
		rev := f.revision()
		end, same, err := s.sameIDs(r.stream, rev, ids)
		if err != nil {
			return res, false, err
		}
		if same {
			return eventstore.Appended{Revision: rev + eventstore.Revision(r.events) - 1, Position: end}, true, nil
		}
		seen = true
	}
	return res, seen, nil
}

// duplicates finds ids that the group holds already. The table is made only when an append at any revision asks.
type duplicates struct{ ids map[streamID]struct{} }

type streamID struct {
	stream string
	id     [16]byte
}

func (d *duplicates) holds(accepted []*request, r *request) bool {
	if d.ids == nil {
		d.ids = map[streamID]struct{}{}
		for _, a := range accepted {
			d.add(a)
		}
	}
	_, ok := d.ids[streamID{r.stream, [16]byte(frame(r.frames).id())}]
	return ok
}

func (d *duplicates) add(r *request) {
	if d.ids == nil {
		return
	}
	for b := r.frames; len(b) > 0; b = b[le.Uint32(b):] {
		d.ids[streamID{r.stream, [16]byte(frame(b).id())}] = struct{}{}
	}
}

// write numbers the accepted appends, writes them as one group, syncs it, and tells everybody. An error means that none
// of them was acknowledged; unless the store has stopped, none was written either.
func (s *Store) write() error {
	size, events := int64(groupHeader), 0
	for _, r := range s.accepted {
		size += int64(len(r.frames))
		events += r.events
	}
	g, err := s.room(size)
	if err != nil {
		return err
	}
	s.stamped.Lock()
	buf, next := s.layOut(int(size), events)
	err = s.put(g, buf, next)
	s.stamped.Unlock()
	if err != nil {
		return err
	}
	s.count(int64(events))
	for _, r := range s.accepted {
		r.answer(r.result, nil)
	}
	s.toIndex <- indexWork{buf: buf, mark: next}
	s.askForSpare(g)
	return nil
}

// put makes a group durable, and readable.
func (s *Store) put(g *segment, buf []byte, next mark) error {
	if _, err := g.file.WriteAt(buf, int64(s.end.pos-g.base)); err != nil {
		return s.fail(fmt.Errorf("write group at %d: %w", s.end.pos, err))
	}
	if !s.opts.DeferSync {
		start := time.Now()
		if err := s.sync(g); err != nil {
			return s.fail(fmt.Errorf("sync group at %d: %w", s.end.pos, err))
		}
		s.counts.syncNanos.Store(int64(time.Since(start)))
		s.synced = next.pos
	}
	s.end = next
	s.recent.group(buf[groupHeader:])
	s.durable.set(next)
	return nil
}

func (s *Store) sync(g *segment) error {
	if s.opts.skipSync {
		return nil
	}
	return g.file.SyncData()
}

func (s *Store) count(events int64) {
	s.counts.events.Add(events)
	s.counts.groups.Add(1)
	s.counts.appends.Add(int64(len(s.accepted)))
	s.counts.storedAt.Store(s.end.storedAt)
}

// noticeClock says when the clock was set back behind what is recorded, and when it is there again.
func (s *Store) noticeClock(now, recorded int64) {
	by := time.Duration(recorded-now) * time.Microsecond
	switch {
	case by > clockBehind && !s.clockBack:
		s.clockBack = true
		s.opts.Logger.Error("the clock is behind the last recorded time: until it is there again, all that is recorded bears that time",
			slog.Duration("by", by), slog.Time("recorded", time.UnixMicro(recorded).UTC()))
	case by <= 0 && s.clockBack:
		s.clockBack = false
		s.opts.Logger.Info("the clock has come up with the last recorded time")
	}
}

// layOut builds the group of the accepted appends at the end of the log, and fills in their results.
func (s *Store) layOut(size, events int) (buf []byte, next mark) {
	buf = s.buffer(size)
	next = mark{last: s.end.pos, pos: s.end.pos + groupHeader, ordinal: s.end.ordinal, storedAt: s.end.storedAt}
	now := s.opts.Now().UnixMicro()
	s.noticeClock(now, next.storedAt)
	next.storedAt = max(next.storedAt, now)
	at := groupHeader
	for _, r := range s.accepted {
		rev := r.result.Revision - eventstore.Revision(r.events)
		copy(buf[at:], r.frames)
		for range r.events {
			f := frame(buf[at : at+int(le.Uint32(buf[at:]))])
			rev++
			next.pos += eventstore.Position(len(f))
			f.finish(s.seed, next.ordinal, next.pos, rev, next.storedAt)
			next.ordinal++
			at += len(f)
		}
		r.result.Position = next.pos
	}
	body := buf[groupHeader:]
	groupHead{
		body: uint32(len(body)), bodyCRC: crc32.Update(s.seed, castagnoli, body), first: s.end.pos,
		ordinal: s.end.ordinal, synced: s.synced, events: uint32(events),
	}.put(buf, s.seed)
	return buf, next
}

const bufferKept = 8 << 20 // Larger group buffers are left to the collector.

func (s *Store) buffer(size int) []byte {
	select {
	case b := <-s.free:
		if cap(b) >= size {
			return b[:size]
		}
	default:
	}
	return make([]byte, size, max(size, 64<<10))
}

// room returns the last segment, after starting a new one if size bytes do not fit any more.
func (s *Store) room(size int64) (*segment, error) {
	segs := *s.segs.Load()
	g := segs[len(segs)-1]
	if int64(s.end.pos-g.base)+size <= g.size {
		return g, nil
	}
	sp := s.takeSpare(g, segmentHeader+size)
	if sp.err != nil {
		if vfs.IsNoSpaceError(sp.err) {
			return nil, fmt.Errorf("%w: make the next segment: %w", eventstore.ErrFull, sp.err)
		}
		return nil, fmt.Errorf("make the next segment: %w", sp.err)
	}
	if s.opts.DeferSync { // A segment that is not the last is always durable.
		if err := s.sync(g); err != nil {
			return nil, s.fail(fmt.Errorf("sync %s: %w", g.name, err))
		}
		s.synced = s.end.pos
	}
	h := segmentHead{id: s.id, base: s.end.pos, prev: g.base, ordinal: s.end.ordinal}
	next, err := promote(s.opts.FS, s.opts.Dir, sp.file, sp.size, h, s.opts)
	if err != nil {
		return nil, s.fail(errors.Join(err, sp.file.Close()))
	}
	sealed := *g
	sealed.end = h.base
	list := append(append([]*segment(nil), segs[:len(segs)-1]...), &sealed, next)
	s.segs.Store(&list)
	s.counts.segments.Store(int64(len(list)))
	s.end.pos += segmentHeader
	return next, nil
}

// askForSpare has the next segment zeroed once an eighth of this one is used: early enough to take its time.
func (s *Store) askForSpare(g *segment) {
	if s.nextBytes == 0 && int64(s.end.pos-g.base) > g.size/8 {
		s.nextBytes = s.sizeAfter(g)
		s.spareWant <- s.nextBytes
	}
}

func (s *Store) sizeAfter(g *segment) int64 {
	return max(min(g.size*segmentGrowth, s.opts.SegmentBytes), segmentBytesMin)
}

// takeSpare waits for the spare, or makes one now if there is none or it is too small.
func (s *Store) takeSpare(g *segment, bytesMin int64) spare {
	if s.nextBytes > 0 {
		s.hurry.Store(true)
		sp := <-s.spareMade
		s.hurry.Store(false)
		s.nextBytes = 0
		if sp.err == nil && sp.size >= bytesMin {
			return sp
		}
		if sp.file != nil {
			if err := sp.file.Close(); err != nil {
				return spare{err: err}
			}
		}
	}
	size := max(s.sizeAfter(g), bytesMin)
	f, err := createSpare(s.opts.FS, s.opts.Dir, size, atOnce)
	return spare{file: f, size: size, err: err}
}

// zero runs the goroutine that makes spares.
func (s *Store) zero() {
	for size := range s.spareWant {
		f, err := createSpare(s.opts.FS, s.opts.Dir, size, func(took time.Duration, done int64) {
			if !s.hurry.Load() && !s.lags(done, size) {
				time.Sleep(min(took, zeroPauseMax)) // The disk is the log's half of the time.
			}
		})
		s.spareMade <- spare{file: f, size: size, err: err}
	}
}

// lags tells whether the spare is less full than the segment that comes before it: then the log would have to wait for it
// in the end.
func (s *Store) lags(done, size int64) bool {
	segs := *s.segs.Load()
	g := segs[len(segs)-1]
	return float64(done)/float64(size) < (float64(s.durable.load())-float64(g.base))/float64(g.size)
}

// follow runs the goroutine that keeps the index behind the log.
func (s *Store) follow() {
	failed := false
	for w := range s.toIndex {
		if failed {
			continue
		}
		if err := s.indexGroups(w); err != nil {
			failed = true
			_ = s.fail(fmt.Errorf("write index: %w", err)) // Callers get it from the queue.
		}
	}
}

// indexGroups applies w and what has come since as one batch.
func (s *Store) indexGroups(w indexWork) error {
	for {
		s.rows.add(w.buf[groupHeader:])
		m := w.mark
		s.recycle(w.buf)
		if s.rows.len() < indexBatchBytes {
			select {
			case more, ok := <-s.toIndex:
				if ok {
					w = more
					continue
				}
			default:
			}
		}
		if err := s.index.apply(&s.rows, m); err != nil {
			return err
		}
		s.indexed.set(m.pos)
		return nil
	}
}

func (s *Store) recycle(b []byte) {
	if cap(b) > bufferKept {
		return
	}
	select {
	case s.free <- b:
	default:
	}
}
