package embedded

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"zujian/eventstore"
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
	v := verifier{scanner: scanner{segs: segs, seed: segs[0].id.seed(), limit: noPosition}, progress: progress}
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
		return err
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
				return err
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
	stream := f.stream()
	key := make([]byte, 1+len(stream)+1+8)
	putEventKey(key, stream, f.revision())
	got, err := v.get(key)
	if err != nil || len(got) != 8 || be.Uint64(got) != uint64(pos) {
		return errors.Join(err, damage(pos, "index: revision %d of %s is not found here", f.revision(), stream))
	}
	var id [33]byte
	putIDKey(id[:], f.id(), stream)
	be.PutUint64(id[25:], uint64(pos))
	if got, err = v.get(id[:]); err != nil || got == nil {
		return errors.Join(err, damage(pos, "index: the id of event %d is missing", f.ordinal()))
	}
	return nil
}

// get returns the key's value, or nil if it is not there; an empty value is not nil.
func (v *verifier) get(key []byte) (val []byte, err error) {
	err = v.guarded(func() error {
		got, done, err := v.index.Get(key)
		if errors.Is(err, pebble.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
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

// wholeIndex checks that the index holds nothing but what the log does: as many events and ids, each stream's
// revisions from 0 without gaps and in the log's order, and its head at the last.
func (v *verifier) wholeIndex(ctx context.Context) error {
	if v.index == nil {
		return nil
	}
	var counts [256]uint64
	var stream []byte
	var rev, start, streams uint64
	return v.guarded(func() error {
		it, err := v.index.NewIter(nil)
		if err != nil {
			return err
		}
		defer it.Close()
		for ok := it.First(); ok; ok = it.Next() {
			k := it.Key()
			if counts[k[0]]++; counts[k[0]]%4096 == 0 && ctx.Err() != nil {
				return ctx.Err()
			}
			if k[0] != keyEvent {
				continue
			}
			name, r, at := k[1:len(k)-9], be.Uint64(k[len(k)-8:]), be.Uint64(it.Value())
			switch same := streams > 0 && bytes.Equal(name, stream); {
			case same && (r != rev+1 || at <= start), !same && r != 0:
				return damage(eventstore.Position(at), "index: revision %d of %s is out of order", r, name)
			case !same:
				streams++
				stream = append(stream[:0], name...)
			}
			rev, start = r, at
			if r == 0 {
				if err := v.head(name); err != nil {
					return err
				}
			}
		}
		if err := it.Error(); err != nil {
			return err
		}
		if counts[keyEvent] != v.indexed || counts[keyID] != v.indexed || counts[keyHead] != streams {
			return damage(v.mark.pos, "index: %d events, %d ids and %d heads, the log has %d events of %d streams",
				counts[keyEvent], counts[keyID], counts[keyHead], v.indexed, streams)
		}
		return nil
	})
}

// head checks that the stream's head is its last revision and that its last frames start where it says.
func (v *verifier) head(name []byte) error {
	wrong := damage(v.mark.pos, "index: the head of stream %s is not its last revision", name)
	got, done, err := v.index.Get(append([]byte{keyHead}, name...))
	if err != nil {
		return errors.Join(wrong, err)
	}
	row := headRow(bytes.Clone(got))
	if err := done.Close(); err != nil {
		return err
	}
	if row.bad() {
		return wrong
	}
	key, last := make([]byte, 1+len(name)+1+8), row.last()
	first := last - max(row.frames(), 1) + 1
	for rev := first; rev <= last+1; rev++ {
		putEventKey(key, name, rev)
		at, done, err := v.index.Get(key)
		switch {
		case err == nil && rev > last, errors.Is(err, pebble.ErrNotFound) && rev <= last:
			return wrong
		case err == nil:
			if row.frames() > 0 && be.Uint64(at) != uint64(row.start(rev-first)) {
				return errors.Join(wrong, done.Close())
			}
			err = done.Close()
		case errors.Is(err, pebble.ErrNotFound):
			err = nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}
