package embedded

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"zujian/eventstore"
	"zujian/eventstore/room"
)

// Store is an eventstore.Store in one folder. Its methods may be called from any goroutine.
type Store struct {
	opts Options
	lock io.Closer // The folder's lock file.
	id   logID
	seed uint32
	salt salts

	queue queue
	disk  *room.Room // Of the log's disk; nil if nobody watches it.

	// The leader's own: only whoever leads touches these.
	end       mark                           // Of the log as written.
	synced    eventstore.Position            // Up to here it is durable.
	heads     map[string]eventstore.Revision // Of the streams that the group being made has accepted appends to.
	taken     []*request
	accepted  []*request
	refused   []*request
	nextBytes int64 // Size of the spare that was asked for; 0 if none was.
	clockBack bool  // The clock is behind what is recorded, and that was said.

	spareWant chan int64 // Sizes of spares to make.
	spareMade chan spare
	hurry     atomic.Bool    // The leader waits for the spare.
	free      chan []byte    // Buffers of groups that are indexed.
	toIndex   chan indexWork // In order.
	workers   sync.WaitGroup

	segs    atomic.Pointer[[]*segment] // Replaced, never changed.
	lent    atomic.Bool                // Events share sealed segments: these stay mapped.
	stamped sync.RWMutex               // Held by the leader from the stamp of a group until that can be read.
	durable durablePoint
	indexed indexedPoint
	index   *index
	rows    rows // The follower's own.
	recent  *recent
	latest  latest
	names   names

	life   sync.RWMutex // Held for reading while a segment or the index is read.
	closed bool         // Under life.
	checks sync.WaitGroup
	counts counts
}

var (
	_ eventstore.Together = (*Store)(nil)
	_ eventstore.Ending   = (*Store)(nil)
	_ eventstore.Settling = (*Store)(nil)
)

// counts are what Stats reports, kept so that asking does not disturb the leader.
type counts struct {
	events, groups, segments atomic.Int64
	storedAt, syncNanos      atomic.Int64
	appends, shed            atomic.Int64
}

// Stats are figures for metrics; each is current, not all of one moment.
type Stats struct {
	Events       int64               // In the log.
	Position     eventstore.Position // End of the last durable event.
	Segments     int64
	Groups       int64               // Committed since the open.
	Appends      int64               // Written since the open, repeats not counted.
	Shed         int64               // Refused with ErrOverloaded since the open.
	Queued       int                 // Appends waiting to be written.
	IndexLag     eventstore.Position // Bytes of log the index is behind.
	LastSync     time.Duration       // How long the last sync took.
	LastStoredAt time.Time           // Of the last event; zero if there is none.
}

// refuse returns ErrFull while the disk has no room to spare.
func (s *Store) refuse() error {
	if s.disk != nil && s.disk.Full() {
		return fmt.Errorf("%w: less than %d bytes are free", eventstore.ErrFull, s.opts.ReserveBytes)
	}
	return nil
}

// Disk is the file system for what else is kept on the log's disk: a write that finds it full is tried again when the
// ballast was given back.
func (s *Store) Disk() vfs.FS { return s.opts.FS }

// Stats returns the store's figures.
func (s *Store) Stats() Stats {
	st := Stats{
		Events: s.counts.events.Load(), Position: s.durable.load(), Segments: s.counts.segments.Load(),
		Groups: s.counts.groups.Load(), Appends: s.counts.appends.Load(), Shed: s.counts.shed.Load(),
		Queued: s.queue.len(), LastSync: time.Duration(s.counts.syncNanos.Load()),
	}
	if at := s.counts.storedAt.Load(); st.Events > 0 {
		st.LastStoredAt = time.UnixMicro(at).UTC()
	}
	st.IndexLag = max(st.Position, s.indexed.load()) - s.indexed.load()
	return st
}

// Head implements eventstore.Store: the last durable event.
func (s *Store) Head(ctx context.Context) (h eventstore.Head, err error) {
	err = s.reading(func() error {
		s.durable.mu.Lock()
		defer s.durable.mu.Unlock()
		h = eventstore.Head{Position: s.durable.load(), Events: s.durable.events}
		return ctx.Err()
	})
	return h, err
}

// LogID is the random name the log got when its folder was made.
func (s *Store) LogID() [16]byte { return s.id }

// Append implements eventstore.Store. An append that was taken into a group before ctx ended is waited for: its result
// is what happened.
func (s *Store) Append(ctx context.Context, stream string, expected eventstore.Revision,
	events ...eventstore.NewEvent,
) (eventstore.Appended, error) {
	if err := eventstore.Check(stream, expected, events); err != nil {
		return eventstore.Appended{}, err
	}
	if err := ctx.Err(); err != nil {
		return eventstore.Appended{}, fmt.Errorf("append to %s: %w", stream, err)
	}
	if err := s.refuse(); err != nil {
		return eventstore.Appended{}, err
	}
	r := newRequest(stream, expected, len(events))
	if err := r.encode(s.opts.Suite, &s.salt, events); err != nil {
		return eventstore.Appended{}, fmt.Errorf("append to %s: %w", stream, err)
	}
	if err := s.send(ctx, r); err != nil {
		return eventstore.Appended{}, err
	}
	res, err := r.result, r.err
	if r.mayRepeat {
		res, err = s.repeated(r)
	}
	r.release()
	return res, err
}

// AppendTogether implements eventstore.Together: all parts are in one group, which is whole or not there.
func (s *Store) AppendTogether(ctx context.Context, parts ...eventstore.Part) ([]eventstore.Appended, error) {
	if err := eventstore.CheckParts(parts); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("append to %s and others: %w", parts[0].Stream, err)
	}
	if err := s.refuse(); err != nil {
		return nil, err
	}
	all := make([]*request, len(parts))
	for i, p := range parts {
		all[i] = newRequest(p.Stream, p.Expected, len(p.Events))
		if err := all[i].encode(s.opts.Suite, &s.salt, p.Events); err != nil {
			return nil, fmt.Errorf("append to %s: %w", p.Stream, err)
		}
	}
	first := all[0]
	first.rest = all[1:]
	if err := s.send(ctx, first); err != nil {
		return nil, err
	}
	out, err := make([]eventstore.Appended, len(all)), first.err
	for i, r := range all {
		out[i] = r.result
		r.release()
	}
	if err != nil {
		return nil, err
	}
	return out, nil
}

// send takes a request through the leader and waits for the answer to all its parts. An error means that it was withdrawn.
func (s *Store) send(ctx context.Context, r *request) error {
	lead, err := s.queue.put(r, time.Now(), s.opts.QueueAge)
	if err != nil {
		if errors.Is(err, eventstore.ErrOverloaded) {
			s.counts.shed.Add(1)
		}
		return err
	}
	if lead {
		s.commit()
		s.queue.passOn()
	}
	select {
	case <-r.done:
	case <-ctx.Done():
		if s.queue.withdraw(r) {
			return fmt.Errorf("append to %s: %w", r.stream, ctx.Err())
		}
		<-r.done
	}
	for _, p := range r.rest {
		<-p.done
	}
	return nil
}

// repeated answers an append that came with too low an expectation: the first result if these events are there.
func (s *Store) repeated(r *request) (eventstore.Appended, error) {
	wrong := &eventstore.WrongRevision{Stream: r.stream, Expected: r.expected, Actual: r.actual}
	ids := r.ids()
	err := s.reading(func() error {
		if err := s.indexed.wait(context.Background(), s.durable.load()); err != nil {
			return err
		}
		end, same, err := s.sameIDs(r.stream, r.expected+1, ids)
		if err == nil && same {
			r.result = eventstore.Appended{Revision: r.expected + eventstore.Revision(r.events), Position: end}
			return nil
		}
		return errors.Join(err, wrong)
	})
	switch {
	case err == nil:
		return r.result, nil
	case errors.Is(err, eventstore.ErrWrongRevision):
		return eventstore.Appended{}, wrong
	}
	return eventstore.Appended{}, fmt.Errorf("compare append to %s: %w", r.stream, err)
}

// sameIDs tells whether the stream holds exactly these ids from revision from on, and where the last of them ends.
func (s *Store) sameIDs(stream string, from eventstore.Revision, ids [][16]byte) (end eventstore.Position, same bool, err error) {
	starts, err := s.index.starts(nil, stream, from, len(ids), noPosition)
	if err != nil || len(starts) < len(ids) {
		return 0, false, err
	}
	rd := s.reader()
	for i, at := range starts {
		f, err := rd.frameAt(at)
		if err != nil {
			return 0, false, err
		}
		if [16]byte(f.id()) != ids[i] {
			return 0, false, nil
		}
		end = f.position()
	}
	return end, true, nil
}

// Wait implements eventstore.Store.
func (s *Store) Wait(ctx context.Context, after eventstore.Position) error {
	return s.durable.wait(ctx, after)
}

// Sync makes durable what DeferSync left to the operating system. Without DeferSync there is nothing to do.
func (s *Store) Sync() error {
	if !s.opts.DeferSync {
		return s.durable.failed()
	}
	if err := s.queue.lead(); err != nil {
		return err
	}
	defer s.queue.passOn()
	for _, g := range *s.segs.Load() { // Every segment: which ones were written since is not worth knowing.
		if err := g.file.SyncData(); err != nil {
			return s.fail(fmt.Errorf("sync %s: %w", g.name, err))
		}
	}
	s.synced = s.end.pos
	return nil
}

// fail stops the store for good: nothing is acknowledged any more. Readers still see what was durable.
func (s *Store) fail(err error) error {
	err = fmt.Errorf("%w: %w", eventstore.ErrClosed, err)
	s.opts.Logger.Error("the log has stopped", "err", err)
	s.queue.close(err)
	s.durable.close(err)
	s.indexed.close(err)
	return err
}

// Close waits for the group under way, writes the index down and gives the folder free. Appends that wait in the queue,
// Waits and iterators end with ErrClosed.
func (s *Store) Close() error {
	if !s.queue.shut() {
		return nil
	}
	s.durable.close(eventstore.ErrClosed)
	close(s.toIndex)
	close(s.spareWant)
	if s.disk != nil {
		s.disk.Close()
	}
	s.hurry.Store(true)
	s.workers.Wait()
	s.indexed.close(eventstore.ErrClosed)
	s.life.Lock()
	s.closed = true // From here on nobody starts to read,
	s.life.Unlock()
	s.checks.Wait() // and a verification ends at its next read.
	var errs []error
	if s.opts.DeferSync {
		for _, g := range *s.segs.Load() {
			errs = append(errs, g.file.SyncData())
		}
	}
	errs = append(errs, s.index.close(true))
	for _, g := range *s.segs.Load() {
		errs = append(errs, g.close(s.lent.Load()))
	}
	select {
	case sp := <-s.spareMade:
		if sp.file != nil {
			errs = append(errs, sp.file.Close())
		}
	default:
	}
	errs = append(errs, s.lock.Close())
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("close log: %w", err)
	}
	return nil
}

// reading calls f while nothing f reads can be closed.
func (s *Store) reading(f func() error) error {
	s.life.RLock()
	defer s.life.RUnlock()
	if s.closed {
		return eventstore.ErrClosed
	}
	return f()
}

func (s *Store) open() bool {
	s.life.RLock()
	defer s.life.RUnlock()
	return !s.closed
}

// salts hands out random bytes, read in larger pieces than one.
type salts struct {
	mu   sync.Mutex
	from io.Reader
	buf  [4096]byte
	left int
}

// salt draws a salt of suite.
func (s *salts) salt(suite byte) (out eventstore.Salt, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out[0] = suite
	for n := 1; n < len(out); {
		if s.left == 0 {
			if _, err := io.ReadFull(s.from, s.buf[:]); err != nil {
				return eventstore.Salt{}, fmt.Errorf("draw salt: %w", err)
			}
			s.left = len(s.buf)
		}
		got := copy(out[n:], s.buf[len(s.buf)-s.left:])
		n, s.left = n+got, s.left-got
	}
	return out, nil
}
