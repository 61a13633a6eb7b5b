package register

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"zujian/eventstore"
	"zujian/eventstore/leaf"
)

const (
	tailLeaves = 4096        // At the start so many of the last leaves that were signed are held to their events, at least,
	tailMost   = 1 << 18     // and no more than this, which takes a fifth of a second.
	auditChunk = 1024        // Events compared in the background,
	auditPause = time.Second // each second: a million in 17 minutes.
	auditRest  = time.Minute // Between two rounds.
)

// mark is a place in the log: after so many events, at the end of the last of them.
type mark struct {
	Events   uint64              `json:"events"`
	Position eventstore.Position `json:"position"`
}

// moveTail lets the tail that is compared at the start follow the log.
func (s *signed) moveTail() {
	if s.Size >= s.Mid.Events+tailLeaves {
		s.Tail, s.Mid = s.Mid, mark{s.Size, s.Last}
	}
}

// tail is where the comparison at the start begins.
func (s *signed) tail() mark {
	if s.Size > 0 && s.Size-s.Tail.Events > tailMost { // Of a file from before there were marks, or of a flood.
		return mark{s.Size - 1, s.Before}
	}
	return s.Tail
}

// comparer holds leaves, one after the other, to their events.
type comparer struct {
	files  *files
	tagger *leaf.Tagger
	size   uint64 // Leaves there are.
	at     mark
	before eventstore.Position
	chunk  []byte
	leaf   []byte // Of the last event.
	same   bool   // The last event was the one of its leaf.

	keyless bool // Tags are taken as they are.
}

// next compares the next event with the next leaf.
func (c *comparer) next(e *leaf.Committed) error {
	if len(c.chunk) == 0 {
		var err error
		if c.chunk, err = c.files.leafBytes(c.at.Events, min(verifyChunk, c.size-c.at.Events)); err != nil {
			return damage(e.Position, "the leaves cannot be read: %v", err)
		}
	}
	c.leaf = c.tagger.Append(c.leaf[:0], e)
	if c.keyless {
		copy(leaf.TagOf(c.leaf), leaf.TagOf(c.chunk))
	}
	c.same = e.Ordinal == c.at.Events && bytes.Equal(c.leaf, c.chunk[:leaf.Size])
	c.chunk = c.chunk[leaf.Size:]
	c.before, c.at = c.at.Position, mark{c.at.Events + 1, e.Position}
	return nil
}

// audit compares the log with what was signed, round and round, as long as ctx lasts. It returns what it finds.
func (r *Register) audit(ctx context.Context) error {
	c := comparer{tagger: leaf.NewTagger(r.o.Keys.Log), at: *r.audited.mark.Load()}
	for {
		pub := r.published.Load()
		pause := r.o.auditPause
		if c.at.Events >= pub.Size { // A new round.
			if c.at.Events > 0 {
				r.audited.rounds.Add(1)
			}
			c.at, pause = mark{}, r.o.auditPause*time.Duration(auditRest/auditPause)
		}
		if sleep(ctx, pause) != nil {
			return nil
		}
		pub = r.published.Load()
		c.files, c.size, c.chunk = &pub.files, pub.Size, nil
		switch err := r.auditSome(ctx, &c); {
		case err == nil:
		case ctx.Err() != nil || errors.Is(err, eventstore.ErrClosed):
			return nil
		case errors.Is(err, eventstore.ErrUnavailable):
			r.o.Logger.Warn("the log can't be compared with the register now", "err", err)
		default:
			return err
		}
	}
}

func (r *Register) auditSome(ctx context.Context, c *comparer) error {
	if c.size == 0 {
		return nil
	}
	from := c.at.Events
	for e, err := range remade(r.o.Log).Leaves(ctx, c.at.Position) {
		if err != nil {
			return fmt.Errorf("read log: %w", err)
		}
		if err := c.next(&e); err != nil {
			return err
		}
		if !c.same {
			return damage(e.Position, "event %d is not the one that was signed as leaf %d", e.Ordinal, c.at.Events-1)
		}
		if c.at.Events == c.size || c.at.Events-from == auditChunk {
			break
		}
	}
	if c.at.Events == from {
		return damage(c.at.Position, "the log ends after %d events, %d were signed", c.at.Events, c.size)
	}
	at := c.at
	r.audited.mark.Store(&at)
	r.audited.events.Add(c.at.Events - from)
	return nil
}

// auditFigures say how far the comparison in the background is.
type auditFigures struct {
	mark   atomic.Pointer[mark]
	events atomic.Uint64
	rounds atomic.Uint64
	fault  atomic.Pointer[error]
}

// err is what the comparison has found.
func (a *auditFigures) err() error {
	if e := a.fault.Load(); e != nil {
		return *e
	}
	return nil
}
