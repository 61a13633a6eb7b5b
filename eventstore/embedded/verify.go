package embedded

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"zujian/eventstore"
	"zujian/eventstore/folder"
	"zujian/eventstore/leaf"
)

// Verify reads every durable byte of the log and its index and returns a *DamageError that names the first position
// that cannot be trusted: checksums, positions, ordinals, times, commitments, zeroes behind sealed segments, revisions
// without gaps, and the index's agreement. Appends and readers go on meanwhile. progress may be nil; it is told bytes.
func (s *Store) Verify(ctx context.Context, progress func(done, total int64)) error {
	if err := s.indexed.wait(ctx, s.durable.load()); err != nil {
		return fmt.Errorf("verify log: %w", err)
	}
	var v verifier
	err := s.reading(func() error {
		s.checks.Add(1)
		snap := s.index.db.NewSnapshot()
		m, err := readMark(snap, s.id)
		// Taken after the mark, so that it holds every segment up to it.
		v = verifier{
			scanner: scanner{segs: *s.segs.Load(), seed: s.seed, guard: s.reading, limit: m.pos}, index: snap, mark: m,
			indexDir: s.opts.FS.PathJoin(s.opts.Dir, indexName),
			progress: progress,
		}
		return err
	})
	if v.index != nil {
		defer s.checks.Done()
		defer v.index.(*pebble.Snapshot).Close()
	}
	if err == nil {
		err = v.run(ctx)
	}
	if err != nil {
		return fmt.Errorf("verify log: %w", err)
	}
	return nil
}

// VerifyDir verifies the log in opts.Dir as Verify does, without opening it for writing and without repairing anything.
// The remains of a group that was never acknowledged are no damage: the next open cuts them. A missing or unreadable
// index is none either: the next open makes a new one.
func VerifyDir(ctx context.Context, opts Options, progress func(done, total int64)) error {
	if err := verifyDir(ctx, opts.withDefaults(), progress); err != nil {
		return fmt.Errorf("verify log %s: %w", opts.Dir, err)
	}
	return nil
}

func verifyDir(ctx context.Context, o Options, progress func(done, total int64)) (err error) {
	if _, err := o.FS.Stat(o.Dir); err != nil {
		return err
	}
	lock, err := lockFolder(o.FS, o.Dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	segs, err := openSegments(o.FS, o.Dir, false, o)
	if err != nil {
		return err
	}
	defer closeSegments(segs)
	if len(segs) == 0 {
		return damage(0, "there is no segment")
	}
	v := verifier{indexDir: o.FS.PathJoin(o.Dir, indexName), scanner: scanner{segs: segs, seed: segs[0].id.seed(), limit: noPosition}, progress: progress}
	x, err := openDB(o, segs[0].id, true)
	if err == nil {
		defer func() { err = errors.Join(err, x.close(false)) }()
		if m, bad := x.mark(); bad == nil && m.pos > 0 {
			v.index, v.mark = x.db, m
		}
	}
	return v.run(ctx)
}

// verifier checks what the scanner passes over, and more.
type verifier struct {
	scanner
	index    pebble.Reader // Nil if there is none.
	indexDir string        // Where it is.
	mark     mark          // How far it goes.
	progress func(done, total int64)

	scratch   []byte
	revisions map[string]eventstore.Revision // Without an index: the last revision of each stream.
	indexed   uint64                         // Events up to the mark.
}

func (v *verifier) run(ctx context.Context) error {
	v.revisions = map[string]eventstore.Revision{}
	if v.index != nil {
		if err := v.resume(v.mark); err != nil {
			return err
		}
	}
	total := int64(min(v.limit, v.segs[len(v.segs)-1].base+eventstore.Position(v.segs[len(v.segs)-1].size)))
	reported := int64(-scanWindow)
	end, torn, err := v.walk(ctx, mark{}, func(start mark, body []byte, next mark) error {
		if err := v.body(start, body); err != nil {
			return err
		}
		if v.progress != nil && int64(next.pos)-reported >= scanWindow {
			reported = int64(next.pos)
			v.progress(reported, total)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if v.limit == noPosition {
		if _, err := v.tail(v.writable(end), torn); err != nil {
			return err
		}
	} else if end.pos < v.limit {
		return damage(end.pos, "%v, though the log goes on to %d", torn, v.limit)
	}
	if err := v.zeroes(ctx); err != nil {
		return err
	}
	if err := v.wholeIndex(ctx); err != nil {
		return v.ofIndex(err)
	}
	if v.progress != nil {
		v.progress(total, total)
	}
	return nil
}

// body checks what the scanner does not: commitments, revisions and the index.
func (v *verifier) body(start mark, body []byte) error {
	pos := start.pos + groupHeader
	for ; len(body) > 0; body = body[le.Uint32(body):] {
		f := frame(body[:le.Uint32(body)])
		var content [32]byte
		content, v.scratch = f.content(v.scratch)
		want := leaf.Commit(f.suite(), f.ordinal(), f.revision(), content)
		if !bytes.Equal(want[:], f[offCommitment:offID]) {
			return damage(pos, "event %d does not match its commitment", f.ordinal())
		}
		if v.index == nil {
			if err := v.revision(pos, f); err != nil {
				return err
			}
		} else if pos < v.mark.pos {
			if err := v.indexEntry(pos, f); err != nil {
				return v.ofIndex(err)
			}
			v.indexed++
		}
		pos = f.position()
	}
	return nil
}

func (v *verifier) revision(pos eventstore.Position, f frame) error {
	want := eventstore.Revision(0)
	if last, ok := v.revisions[string(f.stream())]; ok {
		want = last + 1
	}
	if f.revision() != want {
		return damage(pos, "revision %d of %s follows revision %d", f.revision(), f.stream(), want-1)
	}
	v.revisions[string(f.stream())] = want
	return nil
}

func (v *verifier) indexEntry(pos eventstore.Position, f frame) error {
	stream, rev := f.stream(), f.revision()
	lost := func(err error) error {
		return errors.Join(err, damage(pos, "index: revision %d of %s is not found here", rev, stream))
	}
	if rev < headFrames {
		h, err := v.head(stream)
		if err != nil || h.frames() <= rev || h.start(rev) != pos || h.idSum(rev) != idSum(f.id()) {
			return lost(err)
		}
		return nil
	}
	key := make([]byte, 1+len(stream)+1+8)
	putEventKey(key, stream, rev)
	got, err := v.get(key)
	if err != nil || len(got) != 8 || be.Uint64(got) != uint64(pos) {
		return lost(err)
	}
	var id [idKeyBytes]byte
	putIDKey(id[:], f.id(), stream)
	for got, err = v.get(id[:]); len(got) >= 8; got = got[8:] {
		if be.Uint64(got) == uint64(pos) {
			return err
		}
	}
	return errors.Join(err, damage(pos, "index: the id of event %d is missing", f.ordinal()))
}

// ofIndex says where what is damaged is, and that nothing is lost.
func (v *verifier) ofIndex(err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, eventstore.ErrClosed) {
		return err
	}
	return fmt.Errorf("%w: the log itself is whole up to there; delete the folder %s, it is built again", err, v.indexDir)
}

// head gives a stream's head, nil if it has none that is sound.
func (v *verifier) head(stream []byte) (headRow, error) {
	got, err := v.get(append([]byte{keyHead}, stream...))
	if err != nil || headRow(got).bad() {
		return nil, err
	}
	return got, nil
}

// get returns the key's value, or nil if it is not there; an empty value is not nil.
func (v *verifier) get(key []byte) (val []byte, err error) {
	err = v.guarded(func() error {
		got, done, err := v.index.Get(key)
		if errors.Is(err, pebble.ErrNotFound) {
			return nil
		}
		if err != nil {
			return folder.Plain(err)
		}
		val = append([]byte{}, got...)
		return done.Close()
	})
	return val, err
}

// zeroes checks that nothing lies behind the last group of a sealed segment.
func (v *verifier) zeroes(ctx context.Context) error {
	for _, g := range v.segs {
		for pos, last := g.end, g.base+eventstore.Position(g.size); g.end != 0 && pos < last; {
			if err := ctx.Err(); err != nil {
				return err
			}
			b, err := v.bytes(g, pos, scanWindow)
			if err != nil {
				return err
			}
			if n := len(bytes.TrimLeft(b, "\x00")); n > 0 {
				return damage(pos+eventstore.Position(len(b)-n), "%s: not zero behind its last group", g.name)
			}
			pos += eventstore.Position(len(b))
		}
	}
	return nil
}

// wholeIndex checks that the index holds nothing but what the log does: as many events and ids, and the revisions behind each
// stream's head without gaps and in the log's order.
func (v *verifier) wholeIndex(ctx context.Context) error {
	if v.index == nil {
		return nil
	}
	var rows, heads, events, ids uint64
	var stream []byte
	var last eventstore.Revision
	var start uint64
	it, err := v.index.NewIter(nil)
	if err != nil {
		return err
	}
	defer it.Close()
	for ok := it.First(); ok; ok = it.Next() {
		if rows++; rows%4096 == 0 {
			if err := v.guarded(ctx.Err); err != nil {
				return err
			}
		}
		switch k, val := it.Key(), it.Value(); k[0] {
		case keyHead:
			if headRow(val).bad() {
				return damage(v.mark.pos, "index: the head of stream %s is none", k[1:])
			}
			heads += uint64(headRow(val).frames())
		case keyID:
			ids += uint64(len(val) / 8)
		case keyEvent:
			if len(val) != 8 || len(k) < 10 {
				return damage(v.mark.pos, "index: a row %q is of no kind it has", k)
			}
			name, rev, at := k[1:len(k)-9], eventstore.Revision(be.Uint64(k[len(k)-8:])), be.Uint64(val)
			if !bytes.Equal(name, stream) {
				h, err := v.head(name)
				if err != nil {
					return err
				}
				stream, last, start = append(stream[:0], name...), h.frames()-1, 0
				if h.full() {
					start = uint64(h.start(last))
				}
			}
			if rev < headFrames || rev != last+1 || at <= start {
				return damage(eventstore.Position(at), "index: revision %d of %s is out of order", rev, name)
			}
			events++
			last, start = rev, at
		case keyMark:
		default:
			return damage(v.mark.pos, "index: a row %q is of no kind it has", k)
		}
	}
	if err := it.Error(); err != nil {
		return folder.Plain(err)
	}
	if heads+events != v.indexed || ids != events {
		return damage(v.mark.pos, "index: %d events in heads and %d behind them with %d ids, the log has %d events", heads, events, ids, v.indexed)
	}
	return nil
}
