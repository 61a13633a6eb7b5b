package register

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"zujian/eventstore"
)

// A register with a Notary is one of several that make the same tree. Each serves what the notary has signed once its own
// tree has come that far and has that root; whoever has the turn proposes, and asks the witnesses.

const dissentPatience = 30 * time.Second // Another may have shown the witnesses more than we have seen yet.

// openMember is what open does with a notary: what was signed is the notary's to say.
func (r *Register) openMember(ctx context.Context) (err error) {
	last, there := signed{}, false
	if _, err := r.o.FS.Stat(r.o.FS.PathJoin(r.o.Dir, checkpointName)); err == nil {
		if last, there, err = loadSigned(r.o.FS, r.o.Dir); err != nil {
			return err
		}
	}
	if there && last.Origin == r.o.Origin {
		if err := last.verifyBoth(r.o.Public); err != nil {
			return err
		}
	} else {
		last, there = signed{}, false // Nothing that it says could be checked: the tree is made again from the log.
	}
	if err := r.openAt(ctx, &last, there); err != nil {
		return err
	}
	if !there {
		empty := sha256.Sum256(nil)
		r.last.Root = empty[:]
	}
	r.publish()
	return nil
}

// consult adopts what was signed, and proposes more if it is this process's turn.
func (r *Register) consult(ctx context.Context) error {
	r.signedAt = r.o.Now()
	err := r.consulted(ctx)
	if errors.Is(err, ErrNotaryAway) || errors.Is(err, ErrMoved) || errors.Is(err, ErrHeld) || errors.Is(err, eventstore.ErrFull) || ctx.Err() != nil {
		if ctx.Err() == nil && !errors.Is(err, ErrMoved) {
			r.o.Logger.Warn("no new checkpoint", "err", err)
		}
		r.held.Store(errors.Is(err, ErrHeld))
		r.full.Store(errors.Is(err, eventstore.ErrFull)) // The notary's.
		return nil
	}
	r.held.Store(false)
	r.full.Store(false)
	return err
}

func (r *Register) consulted(ctx context.Context) error {
	rec, err := r.o.Notary.Last(ctx)
	if err != nil {
		return err
	}
	behind, err := r.adopt(rec)
	if err != nil || behind || !r.leads.Load() {
		return err
	}
	p := Proposal{Origin: r.o.Origin, From: r.last.Size, Size: r.tree.size, Last: r.pos, Before: r.before}
	switch {
	case r.last.Note == "": // The empty tree, or the same under another name: with it witnesses can be asked.
		p.Size, p.Last, p.Before = r.last.Size, r.last.Last, r.last.Before
	case r.tree.size == r.last.Size || !r.panel.cleared():
		return nil
	}
	if err := r.tree.sync(); err != nil {
		return fmt.Errorf("register: %w", err)
	}
	if c := r.panel.confirmed.Load(); c != nil {
		p.Confirmed = c.note
	}
	root, err := r.tree.root(p.Size)
	if err != nil {
		return fmt.Errorf("register: %w", err)
	}
	p.Root = root
	if p.Proof, err = r.tree.consistency(p.From, p.Size); err != nil {
		return err
	}
	if rec, err = r.o.Notary.Sign(ctx, p); errors.Is(err, ErrForked) {
		return damage(r.last.Last, "%v", err)
	}
	if err == nil {
		_, err = r.adopt(rec)
	}
	return err
}

// adopt publishes what was signed, if the tree has come that far; else it is behind. It is a *DamageError if this log's
// tree is another, or if the notary knows less than it did.
func (r *Register) adopt(rec Record) (behind bool, err error) {
	if rec == nil {
		if r.last.Size > 0 {
			return false, damage(r.last.Last, "%d events were signed, and the notary knows of none: it was rolled back", r.last.Size)
		}
		return false, nil
	}
	var s signed
	if err := json.Unmarshal(rec, &s); err != nil || len(s.Root) != sha256.Size {
		return false, errors.Join(errors.New("register: the notary's record cannot be read"), err)
	}
	renamed := s.Origin != r.o.Origin // The tree is the same, its next note will have another name.
	switch {
	case s.Size < r.last.Size:
		return false, damage(r.last.Last, "%d events were signed, and the notary knows of %d: it was rolled back", r.last.Size, s.Size)
	case s.Size > r.tree.size:
		return true, nil
	case s.Note == r.last.Note:
		return false, nil
	}
	if renamed {
		r.o.Logger.Warn("the register's origin has changed", "from", s.Origin, "to", r.o.Origin)
		s.Origin, s.Note, s.Confirmed = r.o.Origin, "", ""
	} else if err := s.verifyBoth(r.o.Public); err != nil {
		return false, err
	}
	if err := r.tree.sync(); err != nil {
		return false, fmt.Errorf("register: %w", err)
	}
	root, err := r.tree.root(s.Size)
	if err != nil {
		return false, fmt.Errorf("register: %w", err)
	}
	if !bytes.Equal(root[:], s.Root) {
		return false, damage(s.Last, "the tree of %d leaves of this log does not have the root that was signed", s.Size)
	}
	s.Tail, s.Mid, s.Audited = r.last.Tail, r.last.Mid, *r.audited.mark.Load() // Each process's own.
	s.moveTail()
	if renamed {
		r.last = s
		return false, nil
	}
	if err := s.save(r.o.FS, r.o.Dir); err != nil {
		return false, fmt.Errorf("register: %w", err)
	}
	r.last = s
	r.publish()
	return false, nil
}

// lead takes its turns: while it has one it proposes, and asks the witnesses.
func (r *Register) lead(ctx context.Context) {
	turn := r.o.Turn
	if turn == nil {
		turn = func(ctx context.Context, f func(context.Context) error) error { return f(ctx) }
	}
	for ctx.Err() == nil {
		_ = turn(ctx, func(held context.Context) error { // Lost to another process: wait for the next.
			if !r.knowsAll(held) {
				return nil
			}
			r.leads.Store(true)
			defer r.leads.Store(false)
			r.panel.submit()
			r.panel.run(held, r)
			<-held.Done()
			return nil
		})
	}
}

// knowsAll waits until what was signed before this turn is published here: witnesses have seen it.
func (r *Register) knowsAll(ctx context.Context) bool {
	size, known := uint64(0), false
	for {
		if !known {
			if rec, err := r.o.Notary.Last(ctx); err == nil {
				size, err = SizeOf(rec)
				known = err == nil
			}
		}
		if known && r.published.Load().Size >= size {
			return true
		}
		if sleep(ctx, followPause) != nil {
			return false
		}
	}
}

// dissent is the panel's error once it has lasted: with a notary another process may have shown witnesses more than this
// one knows, for a moment.
func (r *Register) dissent() error {
	err := r.panel.err()
	if r.o.Notary == nil || err == nil {
		r.dissentSince = time.Time{}
		return err
	}
	if now := r.o.Now(); r.dissentSince.IsZero() {
		r.dissentSince = now
	} else if now.Sub(r.dissentSince) > dissentPatience {
		return err
	}
	return nil
}

// patient tells whether an error is one to wait out, and waits: a full disk, or a log elsewhere that is away.
func (r *Register) patient(ctx context.Context, err error) bool {
	if vfs.IsNoSpaceError(err) {
		r.waitForRoom(ctx, err)
		return true
	}
	if r.o.Notary == nil || !errors.Is(err, eventstore.ErrUnavailable) || ctx.Err() != nil {
		return false
	}
	r.o.Logger.Warn("the log can't be followed now", "err", err)
	return sleep(ctx, signEvery) == nil
}
