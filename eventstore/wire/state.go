package wire

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"math"
	"strings"
	"sync"
	"time"

	"zujian/eventstore"
)

const (
	statesMax  = 1 << 16 // Streams whose metadata is remembered.
	stripesMax = 256     // Writes to one stream are one at a time; to others of the same stripe, too.

	softDeleted = math.MaxInt64 // $tb of a deleted stream.
)

// streamState is what the protocol adds to a stream: its metadata, and whether it is gone for good.
type streamState struct {
	meta    streamMeta
	deleted bool // By a tombstone.
}

// streamMeta is what we act on of a stream's metadata; the rest ($acl, $cacheControl, what a program keeps there) is only kept.
type streamMeta struct {
	MaxCount       int64
	MaxAge         time.Duration
	TruncateBefore int64
}

// parseMeta reads the last event of a metadata stream. What it cannot read has no effect, as on the real server.
func parseMeta(data []byte) (m streamMeta) {
	var raw map[string]json.RawMessage
	if json.Unmarshal(data, &raw) != nil {
		return m
	}
	number := func(name string) (n int64) {
		if json.Unmarshal(raw[name], &n) != nil || n < 0 {
			return 0
		}
		return n
	}
	m.MaxCount, m.TruncateBefore = number("$maxCount"), number("$tb")
	m.MaxAge = time.Duration(min(number("$maxAge"), math.MaxInt64/int64(time.Second))) * time.Second
	return m
}

// states remembers streams' states. Only this server writes what they come from.
type states struct {
	seed    maphash.Seed
	once    sync.Once
	stripes [stripesMax]sync.Mutex
	mu      sync.Mutex
	known   map[string]streamState
}

// base is the stream a metadata stream is about, or the stream itself.
func base(stream string) string { return strings.TrimPrefix(stream, metadataPrefix) }

func (s *states) stripe(stream string) *sync.Mutex {
	s.once.Do(func() { s.seed = maphash.MakeSeed() })
	return &s.stripes[maphash.String(s.seed, base(stream))%stripesMax]
}

func (s *states) get(stream string) (streamState, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st, ok := s.known[stream]
	return st, ok
}

func (s *states) put(stream string, st streamState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known == nil || len(s.known) >= statesMax {
		s.known = map[string]streamState{}
	}
	s.known[strings.Clone(stream)] = st
}

// last returns the stream's last event, or nil.
func (s *Server) last(ctx context.Context, stream string) (*eventstore.Recorded, error) {
	for r, err := range s.o.Store.StreamBack(ctx, stream, eventstore.LastRevision) {
		if err != nil {
			return nil, fmt.Errorf("read the end of %s: %w", stream, err)
		}
		return &r, nil
	}
	return nil, nil
}

// state looks up the state of a stream (not of a metadata stream). The caller holds the stripe, or will do with what was.
func (s *Server) state(ctx context.Context, stream string) (streamState, error) {
	if st, ok := s.states.get(stream); ok {
		return st, nil
	}
	mu := s.states.stripe(stream)
	mu.Lock()
	defer mu.Unlock()
	return s.stateLocked(ctx, stream)
}

func (s *Server) stateLocked(ctx context.Context, stream string) (st streamState, err error) {
	if st, ok := s.states.get(stream); ok {
		return st, nil
	}
	meta, err := s.last(ctx, metadataPrefix+stream)
	if err != nil {
		return st, err
	}
	if meta != nil {
		st.meta = parseMeta(meta.Data)
	}
	end, err := s.last(ctx, stream)
	if err != nil {
		return st, err
	}
	st.deleted = end != nil && isTombstone(end)
	s.states.put(stream, st)
	return st, nil
}

// window is what a reader sees of a stream now.
type window struct {
	last    eventstore.Revision // eventstore.NoStream if it never was.
	first   eventstore.Revision // Events before it are not seen.
	since   time.Time           // Nor are those stored before; zero if there is no such limit.
	deleted bool                // By a tombstone: an error to a reader.
	gone    bool                // Never was, or was deleted and not written since: not found.
}

func (w window) sees(rev eventstore.Revision) bool { return rev >= w.first && rev <= w.last }

func (w window) tooOld(r *eventstore.Recorded) bool {
	return !w.since.IsZero() && r.StoredAt.Before(w.since)
}

func (s *Server) window(ctx context.Context, stream string) (w window, err error) {
	st, err := s.state(ctx, base(stream))
	if err != nil {
		return w, err
	}
	if st.deleted {
		return window{deleted: true}, nil
	}
	end, err := s.last(ctx, stream)
	if err != nil {
		return w, err
	}
	if end == nil {
		return window{last: eventstore.NoStream, gone: true}, nil
	}
	w.last = end.Revision
	if stream != base(stream) {
		w.first = w.last // A metadata stream shows its last event only.
		return w, nil
	}
	m := st.meta
	if w.gone = m.TruncateBefore == softDeleted; w.gone {
		w.first = w.last + 1
		return w, nil
	}
	w.first = eventstore.Revision(m.TruncateBefore)
	if m.MaxCount > 0 {
		w.first = max(w.first, w.last-eventstore.Revision(m.MaxCount)+1)
	}
	if m.MaxAge > 0 {
		w.since = s.o.Now().Add(-m.MaxAge)
	}
	return w, nil
}

// expectation of a write, as eventstore has it, and that some event must be there.
type expectation struct {
	revision eventstore.Revision
	exists   bool
}

const streamExists = -4 // As the protocol tells it.

func (e expectation) wrong(stream string, actual eventstore.Revision) error {
	w := &eventstore.WrongRevision{Stream: stream, Expected: e.revision, Actual: actual}
	if e.exists {
		w.Expected = streamExists
	}
	return w
}

// write appends to a stream. It keeps what deletion promises: nothing is added to a tombstoned stream, and one that was
// deleted goes on behind what is no longer seen.
func (s *Server) write(ctx context.Context, stream string, expect expectation, events []eventstore.NewEvent) (eventstore.Appended, error) {
	if strings.HasPrefix(stream, categoryPrefix) || strings.HasPrefix(stream, typePrefix) || base(base(stream)) != base(stream) {
		return eventstore.Appended{}, accessDenied()
	}
	if len(events) > eventstore.AppendMax {
		outsiders(events)
	}
	mu := s.states.stripe(stream)
	mu.Lock()
	defer mu.Unlock()
	st, err := s.stateLocked(ctx, base(stream))
	if err != nil {
		return eventstore.Appended{}, err
	}
	if st.deleted {
		return eventstore.Appended{}, streamDeleted(base(stream))
	}
	revive := stream == base(stream) && st.meta.TruncateBefore == softDeleted
	if !revive && !expect.exists && len(events) > 0 {
		return s.appended(ctx, stream, expect.revision, events)
	}
	end, err := s.last(ctx, stream)
	if err != nil {
		return eventstore.Appended{}, err
	}
	at := eventstore.Appended{Revision: eventstore.NoStream}
	if end != nil {
		at = eventstore.Appended{Revision: end.Revision, Position: end.Position}
	}
	switch {
	case expect.exists && (end == nil || revive),
		!expect.exists && expect.revision >= 0 && expect.revision != at.Revision,
		!expect.exists && expect.revision == eventstore.NoStream && end != nil && !revive:
		return eventstore.Appended{}, expect.wrong(stream, at.Revision)
	case len(events) == 0:
		return at, nil
	case !revive:
		return s.appended(ctx, stream, eventstore.AnyRevision, events)
	}
	if err := s.truncate(ctx, stream, int64(at.Revision)+1); err != nil {
		return eventstore.Appended{}, fmt.Errorf("revive %s: %w", stream, err)
	}
	return s.appended(ctx, stream, at.Revision, events)
}

// appended appends and keeps the remembered state true. The caller holds the stripe.
func (s *Server) appended(ctx context.Context, stream string, expected eventstore.Revision, events []eventstore.NewEvent) (eventstore.Appended, error) {
	a, err := s.o.Store.Append(ctx, stream, expected, events...)
	if of := base(stream); err == nil && (of != stream || isTombstone(&eventstore.Recorded{NewEvent: events[len(events)-1]})) {
		s.states.forget(of)
	} else if err != nil && !errors.Is(err, eventstore.ErrWrongRevision) {
		s.states.forget(of) // It may have been written all the same.
	}
	return a, err
}

func (s *states) forget(stream string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.known, stream)
}

// truncate hides the events before revision first, keeping what else the stream's metadata says. The caller holds the stripe.
func (s *Server) truncate(ctx context.Context, stream string, first int64) error {
	_, err := s.changeMeta(ctx, stream, first)
	return err
}

func (s *Server) changeMeta(ctx context.Context, stream string, first int64) (eventstore.Appended, error) {
	meta := map[string]json.RawMessage{}
	expected := eventstore.NoStream
	end, err := s.last(ctx, metadataPrefix+stream)
	if err != nil {
		return eventstore.Appended{}, err
	}
	if end != nil {
		expected = end.Revision
		if json.Unmarshal(end.Data, &meta) != nil || meta == nil {
			meta = map[string]json.RawMessage{}
		}
	}
	meta["$tb"] = fmt.Appendf(nil, "%d", first)
	data, err := json.Marshal(meta)
	if err != nil {
		return eventstore.Appended{}, err
	}
	return s.appended(ctx, metadataPrefix+stream, expected, []eventstore.NewEvent{s.system(typeMetadata, data)})
}

// system makes an event of the protocol's own.
func (s *Server) system(eventType string, data []byte) eventstore.NewEvent {
	return eventstore.NewEvent{ID: s.o.NewID(), Type: eventType, Data: data, Meta: eventstore.Metadata{Outside: true}}
}

// remove deletes a stream: for good with a tombstone, or until it is written again.
func (s *Server) remove(ctx context.Context, stream string, expect expectation, forGood bool) (eventstore.Appended, error) {
	if strings.HasPrefix(stream, "$$") {
		return eventstore.Appended{}, accessDenied()
	}
	mu := s.states.stripe(stream)
	mu.Lock()
	defer mu.Unlock()
	st, err := s.stateLocked(ctx, stream)
	if err != nil {
		return eventstore.Appended{}, err
	}
	if st.deleted {
		return eventstore.Appended{}, streamDeleted(stream)
	}
	end, err := s.last(ctx, stream)
	if err != nil {
		return eventstore.Appended{}, err
	}
	at := eventstore.NoStream
	if end != nil {
		at = end.Revision
	}
	hidden := st.meta.TruncateBefore == softDeleted
	switch {
	case expect.exists && (end == nil || hidden),
		!expect.exists && expect.revision >= 0 && expect.revision != at,
		!expect.exists && expect.revision == eventstore.NoStream && end != nil && !hidden,
		!forGood && (end == nil || hidden): // There is nothing to delete.
		return eventstore.Appended{}, expect.wrong(stream, at)
	case !forGood:
		return s.changeMeta(ctx, stream, softDeleted)
	}
	tomb := s.system(typeTombstone, nil)
	tomb.Meta.Raw = tombstoneMark
	return s.appended(ctx, stream, at, []eventstore.NewEvent{tomb})
}
