package embedded

import (
	"bytes"
	"hash/maphash"
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
	seeds  [2]maphash.Seed
	shards [recentShards]recentShard
}

type recentShard struct {
	mu         sync.Mutex
	young, old generation
	max        int    // Streams in a generation, placesMax at most.
	rotations  uint64 // How often the old generation was forgotten.

	noted  eventstore.Position // Where the last frame noted starts.
	frozen eventstore.Position // The same, when the old generation ended.
	forgot eventstore.Position // The same, of the generation forgotten last: nothing else starts there or before.
}

// tail is the end of one stream: its last revision (NoStream if it has none) and the starts of its last frames. There are
// many: they hold no pointers, which the collector would follow.
type tail struct {
	stream hashed
	last   eventstore.Revision
	starts [tailFrames]eventstore.Position // The first n, oldest first.
	n      uint8
	most   bool // The stream may end before last.
}

// hashed stands for a stream's name: 128 bits under seeds that nobody knows.
type hashed [2]uint64

// newRecent remembers two generations of half as many streams, or a few of each shard.
func newRecent(streams int) *recent {
	r := &recent{seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}}
	for i := range r.shards {
		r.shards[i].max = min(max(streams/2/recentShards, 1), placesMax)
	}
	return r
}

func (r *recent) shard(stream string) (*recentShard, hashed) {
	h := hashed{maphash.String(r.seeds[0], stream), maphash.String(r.seeds[1], stream)}
	return &r.shards[h[0]%recentShards], h
}

func (r *recent) shardOf(stream []byte) (*recentShard, hashed) {
	h := hashed{maphash.Bytes(r.seeds[0], stream), maphash.Bytes(r.seeds[1], stream)}
	return &r.shards[h[0]%recentShards], h
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
	s, h := r.shardOf(one.stream)
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.get(h)
	if t == nil {
		t = s.keep(tail{stream: h, last: eventstore.NoStream})
	}
	n := int(t.n)
	if t.last != one.first-1 {
		n = 0
	}
	for _, start := range one.starts[:one.n] {
		n = push(&t.starts, n, start)
	}
	t.last, t.n, t.most = one.last, uint8(n), false
	s.noted = one.starts[one.n-1]
}

// end is the last revision of a stream, if it is remembered. If not, all of it is in the index once that has the frame that
// starts at upTo.
func (r *recent) end(stream string) (last eventstore.Revision, known bool, upTo eventstore.Position) {
	s, h := r.shard(stream)
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.get(h)
	if t == nil || t.most {
		return 0, false, s.forgot
	}
	return t.last, true, 0
}

// readTo notes that a stream was read from a revision to its end, and where that was: just before from if nothing was
// there. starts are those of the last frames read. It is not believed if anything may have been forgotten since look.
func (r *recent) readTo(stream string, from, last eventstore.Revision, starts []eventstore.Position, rotations uint64) {
	s, h := r.shard(stream)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.get(h) != nil || s.rotations != rotations {
		return
	}
	t := tail{stream: h, last: last, most: last < from && from > 0}
	t.n = uint8(copy(t.starts[:], starts[max(0, len(starts)-tailFrames):]))
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
	s, h := r.shard(stream)
	s.mu.Lock()
	defer s.mu.Unlock()
	w.rotations = s.rotations
	t := s.get(h)
	if t == nil {
		w.upTo = s.forgot
		return w
	}
	switch missing := t.last - from + 1; {
	case missing <= 0:
		w.known = true
	case missing <= eventstore.Revision(t.n):
		w.known = true
		w.n = copy(w.starts[:], t.starts[int(t.n)-int(missing):t.n])
	case t.n > 0:
		w.upTo = t.starts[t.n-1]
	default: // Read to its end, where nothing was: what it has was written before anything that is remembered.
		w.upTo = s.forgot
	}
	return w
}

// get finds a stream's tail, which is used now: it is forgotten later than those that are not. The tail is good until keep.
func (s *recentShard) get(h hashed) *tail {
	t := s.young.find(h)
	if t == nil {
		if t = s.old.find(h); t != nil {
			t = s.keep(*t)
		}
	}
	return t
}

// keep puts a tail that is not there into the young generation, and begins a new one if it is full.
func (s *recentShard) keep(t tail) *tail {
	if len(s.young.tails) >= s.max {
		s.old, s.young = s.young, s.old
		s.young.clear()
		s.rotations++
		s.forgot, s.frozen = s.frozen, s.noted
	}
	return s.young.add(t, s.max)
}

// generation holds tails in the order they came in, and finds them by a table of places: of a tail's number, from 1 on, and as
// many bits of its hash, so that who is not there is seldom looked for anywhere else.
type generation struct {
	tails  []tail
	places []uint32 // A power of two, at most half of them taken. 0 is free.
}

const placesMax = 1<<16 - 1 // Numbers of 16 bits.

func (g *generation) find(h hashed) *tail {
	if len(g.places) == 0 {
		return nil
	}
	for at := g.first(h); ; at++ {
		p := g.places[at&(len(g.places)-1)]
		if p == 0 {
			return nil
		}
		if uint16(p>>16) == uint16(h[1]) {
			if t := &g.tails[p&placesMax-1]; t.stream == h {
				return t
			}
		}
	}
}

// add puts in a tail that is not there. There will be limit at most.
func (g *generation) add(t tail, limit int) *tail {
	if n := len(g.tails); n == cap(g.tails) {
		g.tails = append(make([]tail, 0, min(max(2*n, 8), limit)), g.tails...)
	}
	g.tails = append(g.tails, t)
	if n := len(g.tails); 2*n > len(g.places) {
		g.places = make([]uint32, max(2*len(g.places), 16))
		for i := range g.tails {
			g.place(i)
		}
	} else {
		g.place(n - 1)
	}
	return &g.tails[len(g.tails)-1]
}

// place makes the tail with this index one that is found.
func (g *generation) place(i int) {
	h := g.tails[i].stream
	at := g.first(h)
	for g.places[at&(len(g.places)-1)] != 0 {
		at++
	}
	g.places[at&(len(g.places)-1)] = uint32(uint16(h[1]))<<16 | uint32(i+1)
}

// first is where to look for a tail first.
func (g *generation) first(h hashed) int { return int(h[0]/recentShards) & (len(g.places) - 1) }

func (g *generation) clear() {
	g.tails = g.tails[:0]
	clear(g.places)
}
