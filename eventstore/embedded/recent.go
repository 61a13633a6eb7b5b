package embedded

import (
	"bytes"
	"hash/maphash"
	"strings"
	"sync"

	"zujian/eventstore"
)

const (
	recentShards = 64
	tailFrames   = 8 // Of one stream: what a request that writes it is likely to read back.
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
	young, old map[string]*tail
	max        int    // Streams in a generation.
	rotations  uint64 // How often the old generation was forgotten.

	noted  eventstore.Position // Where the last frame noted starts.
	frozen eventstore.Position // The same, when the old generation ended.
	forgot eventstore.Position // The same, of the generation forgotten last: nothing else starts there or before.
}

// tail is the end of one stream: its last revision (NoStream if it has none) and the starts of its last frames.
type tail struct {
	stream string
	last   eventstore.Revision
	most   bool // The stream may end before last.
	n      int
	starts [tailFrames]eventstore.Position // The first n, oldest first.
}

// newRecent remembers two generations of half as many streams, or a few of each shard.
func newRecent(streams int) *recent {
	r := &recent{seed: maphash.MakeSeed()}
	for i := range r.shards {
		r.shards[i].max = max(streams/2/recentShards, 1)
	}
	return r
}

func (r *recent) shard(stream string) *recentShard {
	return &r.shards[maphash.String(r.seed, stream)%recentShards]
}

func (r *recent) shardOf(stream []byte) *recentShard {
	return &r.shards[maphash.Bytes(r.seed, stream)%recentShards]
}

// run is what a group holds of one stream in a row.
type run struct {
	stream []byte
	first  eventstore.Revision
	last   eventstore.Revision
	n      int
	starts [tailFrames]eventstore.Position // The first n: of its last frames, oldest first.
}

// nextRun takes the first run off a group's body.
func nextRun(body []byte) (r run, rest []byte) {
	f := frame(body[:le.Uint32(body)])
	r.stream, r.first = f.stream(), f.revision()
	for {
		body = body[len(f):]
		r.last = f.revision()
		r.n = push(&r.starts, r.n, f.position()-eventstore.Position(len(f)))
		if len(body) == 0 {
			return r, nil
		}
		if f = frame(body[:le.Uint32(body)]); !bytes.Equal(f.stream(), r.stream) {
			return r, body
		}
	}
}

// push adds a start behind the first n, the oldest of which gives way, and returns how many there are.
func push(starts *[tailFrames]eventstore.Position, n int, start eventstore.Position) int {
	if n == tailFrames {
		copy(starts[:], starts[1:])
		n--
	}
	starts[n] = start
	return n + 1
}

// group notes the frames of a durable group's body.
func (r *recent) group(body []byte) {
	for len(body) > 0 {
		var one run
		one, body = nextRun(body)
		r.wrote(&one)
	}
}

func (r *recent) wrote(one *run) {
	s := r.shardOf(one.stream)
	s.mu.Lock()
	defer s.mu.Unlock()
	t, young := find(s, one.stream)
	if t == nil {
		t = &tail{stream: string(one.stream), last: eventstore.NoStream}
	}
	if !young {
		s.keep(t)
	}
	if t.last != one.first-1 {
		t.n = 0
	}
	for _, start := range one.starts[:one.n] {
		t.n = push(&t.starts, t.n, start)
	}
	t.last, t.most = one.last, false
	s.noted = one.starts[one.n-1]
}

// end is the last revision of a stream, if it is remembered. If not, all of it is in the index once that has the frame that
// starts at upTo.
func (r *recent) end(stream string) (last eventstore.Revision, known bool, upTo eventstore.Position) {
	s := r.shard(stream)
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.get(stream)
	if t == nil || t.most {
		return 0, false, s.forgot
	}
	return t.last, true, 0
}

// readTo notes that a stream was read from a revision to its end, and where that was: just before from if nothing was
// there. starts are those of the last frames read. It is not believed if anything may have been forgotten since look.
func (r *recent) readTo(stream string, from, last eventstore.Revision, starts []eventstore.Position, rotations uint64) {
	s := r.shard(stream)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.get(stream) != nil || s.rotations != rotations {
		return
	}
	t := &tail{stream: strings.Clone(stream), last: last, most: last < from && from > 0}
	t.n = copy(t.starts[:], starts[max(0, len(starts)-tailFrames):])
	s.keep(t)
}

// seen is what recent knows of a stream from a revision on.
type seen struct {
	known     bool                // All of it: starts. Else only the index can tell, and what it has of the stream is all that may be expected,
	upTo      eventstore.Position // once it has the frame that starts here.
	rotations uint64              // For readTo.
	n         int
	starts    [tailFrames]eventstore.Position // The first n.
}

// look tells where the frames of a stream start from a revision on.
func (r *recent) look(stream string, from eventstore.Revision) (w seen) {
	s := r.shard(stream)
	s.mu.Lock()
	defer s.mu.Unlock()
	w.rotations = s.rotations
	t := s.get(stream)
	if t == nil {
		w.upTo = s.forgot
		return w
	}
	switch missing := t.last - from + 1; {
	case missing <= 0:
		w.known = true
	case missing <= eventstore.Revision(t.n):
		w.known = true
		w.n = copy(w.starts[:], t.starts[t.n-int(missing):t.n])
	case t.n > 0:
		w.upTo = t.starts[t.n-1]
	default: // Read to its end, where nothing was: what it has was written before anything that is remembered.
		w.upTo = s.forgot
	}
	return w
}

// get finds a stream's tail, which is used now: it is forgotten later than those that are not.
func (s *recentShard) get(stream string) *tail {
	t, young := find(s, stream)
	if t != nil && !young {
		s.keep(t)
	}
	return t
}

// find gives a stream's tail, or nil, and whether it is in the young generation.
func find[S string | []byte](s *recentShard, stream S) (t *tail, young bool) {
	if t = s.young[string(stream)]; t != nil {
		return t, true
	}
	return s.old[string(stream)], false
}

// keep puts a tail that is not there into the young generation, and begins a new one if it is full.
func (s *recentShard) keep(t *tail) {
	if len(s.young) >= s.max {
		s.old, s.young = s.young, nil
		s.rotations++
		s.forgot, s.frozen = s.frozen, s.noted
	}
	if s.young == nil {
		s.young = map[string]*tail{}
	}
	s.young[t.stream] = t
}
