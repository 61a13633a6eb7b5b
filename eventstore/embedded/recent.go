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
// know that it is; so what is noted is never behind what a reader may expect.
type recent struct {
	seed   maphash.Seed
	shards [recentShards]recentShard
}

type recentShard struct {
	mu         sync.Mutex
	young, old map[string]tail
	rotations  uint64 // How often the old generation was forgotten.
}

// tail is the end of one stream: its last revision (NoStream if it has none) and the starts of its last frames.
type tail struct {
	last   eventstore.Revision
	n      int
	starts [tailFrames]eventstore.Position // The first n, oldest first.
}

func newRecent() *recent { return &recent{seed: maphash.MakeSeed()} }

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
	t.last = rev
	s.put(stream, t)
}

// readTo notes that a stream was read to its end. It is not believed if anything may have been forgotten meanwhile.
func (r *recent) readTo(stream string, last eventstore.Revision, rotations uint64) {
	s := r.shard(stream)
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, known := s.get(stream); !known && s.rotations == rotations {
		s.put(stream, tail{last: last})
	}
}

// starts are those of all frames of a stream from a revision on; known is false if only the index can tell.
func (r *recent) starts(dst []eventstore.Position, stream string, from eventstore.Revision) (starts []eventstore.Position, known bool) {
	s := r.shard(stream)
	s.mu.Lock()
	defer s.mu.Unlock()
	t, ok := s.get(stream)
	if !ok {
		return dst, false
	}
	missing := t.last - from + 1
	if missing > eventstore.Revision(t.n) {
		return dst, false
	}
	if missing <= 0 {
		return dst, true
	}
	return append(dst, t.starts[t.n-int(missing):t.n]...), true
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
		if len(s.young) >= recentStreams/recentShards {
			s.old, s.young = s.young, nil
			s.rotations++
		}
		if s.young == nil {
			s.young = map[string]tail{}
		}
		stream = strings.Clone(stream)
	}
	s.young[stream] = t
}
