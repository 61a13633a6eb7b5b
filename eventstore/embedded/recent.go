package embedded

import (
	"hash/maphash"
	"strings"
	"sync"

	"zujian/eventstore"
)

const (
	recentShards  = 64
	recentStreams = 1 << 16 // In each of two generations.
	tailFrames    = 6       // Of one stream: what a request that writes it is likely to read back.
)

// recent remembers where the streams used last end and where their last frames start. A reader who knows a stream so far
// needs neither to ask the index nor to wait for it. The leader notes a group when it is durable and before anybody can
// know that it is; so what is noted is never behind what a reader may expect. Of a stream that is not remembered nothing
// was written since the generation that was forgotten last: the index must have come so far, not to the end of the log.
type recent struct {
	seed   maphash.Seed
	shards [recentShards]recentShard
}

type recentShard struct {
	mu         sync.Mutex
	young, old map[string]tail
	max        int    // Streams in a generation.
	rotations  uint64 // How often the old generation was forgotten.

	noted  eventstore.Position // Where the last frame noted starts.
	frozen eventstore.Position // The same, when the old generation ended.
	forgot eventstore.Position // The same, of the generation forgotten last: nothing else starts there or before.
}

// tail is the end of one stream: its last revision (NoStream if it has none) and the starts of its last frames.
type tail struct {
	last   eventstore.Revision
	most   bool // The stream may end before last.
	n      int
	starts [tailFrames]eventstore.Position // The first n, oldest first.
}

// newRecent remembers two generations of so many streams, or a few of each shard.
func newRecent(streams int) *recent {
	r := &recent{seed: maphash.MakeSeed()}
	for i := range r.shards {
		r.shards[i].max = max(min(streams, recentStreams)/recentShards, 1)
	}
	return r
}

func (r *recent) shard(stream string) *recentShard {
	return &r.shards[maphash.String(r.seed, stream)%recentShards]
}

// rotations is to be asked before reading what readTo is told afterwards.
func (r *recent) rotations(stream string) uint64 {
	s := r.shard(stream)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rotations
}

// wrote notes one frame of a durable group.
func (r *recent) wrote(stream string, rev eventstore.Revision, start eventstore.Position) {
	s := r.shard(stream)
	s.mu.Lock()
	defer s.mu.Unlock()
	t, known := s.get(stream)
	if !known || t.last != rev-1 {
		t.n = 0
	}
	if t.n == tailFrames {
		copy(t.starts[:], t.starts[1:])
		t.n--
	}
	t.starts[t.n] = start
	t.n++
	t.last, t.most = rev, false
	s.put(stream, t)
	s.noted = start
}

// end is the last revision of a stream, if it is remembered.
func (r *recent) end(stream string) (last eventstore.Revision, known bool) {
	s := r.shard(stream)
	s.mu.Lock()
	defer s.mu.Unlock()
	t, known := s.get(stream)
	return t.last, known && !t.most
}

// readTo notes that a stream was read from a revision to its end, and where that was: just before from if nothing was
// there. It is not believed if anything may have been forgotten meanwhile.
func (r *recent) readTo(stream string, from, last eventstore.Revision, rotations uint64) {
	s := r.shard(stream)
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, known := s.get(stream); !known && s.rotations == rotations {
		s.put(stream, tail{last: last, most: last < from && from > 0})
	}
}

// starts are those of all frames of a stream from a revision on. If known is false only the index can tell, once it has the
// frame that starts at upTo; what it has then of this stream is all that may be expected.
func (r *recent) starts(dst []eventstore.Position, stream string, from eventstore.Revision,
) (starts []eventstore.Position, known bool, upTo eventstore.Position) {
	s := r.shard(stream)
	s.mu.Lock()
	defer s.mu.Unlock()
	t, ok := s.get(stream)
	if !ok {
		return dst, false, s.forgot
	}
	missing := t.last - from + 1
	if missing > eventstore.Revision(t.n) {
		if t.n == 0 { // Read to its end: the index had it.
			return dst, false, 0
		}
		return dst, false, t.starts[t.n-1]
	}
	if missing <= 0 {
		return dst, true, 0
	}
	return append(dst, t.starts[t.n-int(missing):t.n]...), true, 0
}

func (s *recentShard) get(stream string) (tail, bool) {
	t, ok := s.young[stream]
	if !ok {
		if t, ok = s.old[stream]; ok {
			s.put(stream, t)
		}
	}
	return t, ok
}

func (s *recentShard) put(stream string, t tail) {
	if _, there := s.young[stream]; !there {
		if len(s.young) >= s.max {
			s.old, s.young = s.young, nil
			s.rotations++
			s.forgot, s.frozen = s.frozen, s.noted
		}
		if s.young == nil {
			s.young = map[string]tail{}
		}
		stream = strings.Clone(stream)
	}
	s.young[stream] = t
}
