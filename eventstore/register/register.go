package register

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"golang.org/x/mod/sumdb/note"

	"zujian/eventstore"
	"zujian/eventstore/folder"
	"zujian/eventstore/leaf"
	"zujian/eventstore/room"
)

const (
	signEvery    = time.Second            // While there are events.
	signEvents   = 256                    // Events after which it is signed at once,
	signPause    = 500 * time.Millisecond // but not more often than this.
	signIdle     = 10 * time.Minute       // When nothing happens.
	fullRetry    = 30 * time.Second       // A full disk is tried again, whatever is said of its room.
	followPause  = 50 * time.Millisecond  // Between two looks at a log that grows.
	addedAtOnce  = 1 << 14                // Leaves between two looks at the clock.
	lockName     = "LOCK"
	foldersPerms = 0o750
)

// ErrStopped means that the register signs nothing any more: the log and what was signed do not agree.
var ErrStopped = errors.New("register: stopped")

// Log is the log that the register is over; embedded.Store is one, [Over] makes one of every store.
type Log interface {
	// Leaves yields what leaves are made of for every event after a position, up to the head when it was called.
	Leaves(ctx context.Context, after eventstore.Position) iter.Seq2[leaf.Committed, error]
	Wait(ctx context.Context, after eventstore.Position) error
}

// Over makes the leaves of any store's events. A store that keeps commitments itself does it faster.
func Over(s eventstore.Store) Log { return over{s} }

type over struct{ eventstore.Store }

func (o over) Leaves(ctx context.Context, after eventstore.Position) iter.Seq2[leaf.Committed, error] {
	return func(yield func(leaf.Committed, error) bool) {
		for r, err := range o.All(ctx, after) {
			if err != nil {
				yield(leaf.Committed{}, err)
				return
			}
			if !yield(leaf.Of(&r), nil) {
				return
			}
		}
	}
}

// remade makes leaves of the events themselves: an event that somebody has changed may still have its old commitment beside it.
func remade(l Log) Log {
	if s, can := l.(eventstore.Store); can {
		return Over(s)
	}
	return l
}

// Options configure a register. Dir, Log, Origin, Keys and Now are mandatory. With a Notary only Keys.Log and Public are
// needed of the keys.
type Options struct {
	Dir    string
	FS     vfs.FS // The real disk if nil.
	Log    Log
	Origin string // The log's URL without scheme: the first line of every checkpoint.
	Keys   Keys
	Public PublicKeys // With a Notary, and for Verify without Keys.
	Notary Notary     // Signs, if several processes make the tree; nil signs here.
	// Turn calls f while no other process has the turn to propose, with a Notary; nil is always.
	Turn      func(ctx context.Context, f func(context.Context) error) error
	Witnesses []Witness
	Quorum    int              // Cosignatures that confirm a checkpoint; a majority if 0.
	Ballast   int64            // Bytes kept ready in the folder for when its disk is full, see package room; 0 is none.
	Now       func() time.Time // With a monotonic reading, like time.Now, if setting the clock shall move no checkpoint.
	Logger    *slog.Logger

	skipSync   bool          // Test hook: the mutant that signs before its tree is durable.
	auditPause time.Duration // Test hook: auditPause if 0.
}

// Register is the verifiable register of one log in one folder. Run follows the log; the other methods may be called
// from any goroutine.
type Register struct {
	o       Options
	lock    io.Closer
	signers []note.Signer

	// Run's own.
	tree     *tree
	tagger   *leaf.Tagger
	last     signed
	pos      eventstore.Position // End of the last event in the tree.
	before   eventstore.Position // End of the one before.
	signedAt time.Time
	scratch  []byte

	dissentSince time.Time
	unwritten    bool // Of what is behind the last checkpoint it is unknown what was written.

	tagging   sync.Mutex // Guards askTagger.
	askTagger *leaf.Tagger

	published atomic.Pointer[published]
	behind    atomic.Uint64 // Events in the tree.
	room      *room.Room
	full      atomic.Bool // Nothing new is signed: it could not be written down.
	held      atomic.Bool // Restored, and nobody has said yet that no more was signed.
	panel     *panel
	audited   auditFigures
	leads     atomic.Bool // It has the turn; always without a Notary.
}

// published is a checkpoint that anybody may ask for, and the tree it covers.
type published struct {
	files
	signed
	at time.Time
}

// Open opens the register in o.Dir, or makes it, and holds the log to the last signed checkpoint: it fails with a
// *DamageError if that is not a prefix of the log.
func Open(ctx context.Context, o Options) (_ *Register, err error) {
	o.FS = disk(o.FS)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.auditPause == 0 {
		o.auditPause = auditPause
	}
	if err := checkOrigin(o.Origin); err != nil {
		return nil, err
	}
	r := &Register{o: o, tagger: leaf.NewTagger(o.Keys.Log), askTagger: leaf.NewTagger(o.Keys.Log)}
	if o.Notary == nil {
		ed, sm := newEd25519(o.Origin, o.Keys.Ed25519), newSM2(o.Origin, o.Keys.SM2)
		r.signers, r.o.Public = []note.Signer{ed, sm}, PublicKeys{Ed25519: ed.key, SM2: sm.key}
	}
	if r.panel, err = newPanel(&o); err != nil {
		return nil, err
	}
	r.room = room.New(room.Options{
		FS: o.FS, Dir: o.Dir, Ballast: o.Ballast, Logger: o.Logger,
		Full: "what the register has not signed yet may have to wait", Again: "the register signs",
	})
	o.FS = r.room.Disk()
	r.o.FS = o.FS
	if err := o.FS.MkdirAll(o.Dir, foldersPerms); err != nil {
		return nil, fmt.Errorf("register: make folder: %w", err)
	}
	if err := folder.Sync(o.FS, o.FS.PathDir(o.Dir)); err != nil { // A checkpoint in a folder without a name is lost.
		return nil, fmt.Errorf("register: %w", err)
	}
	if r.lock, err = folder.Lock(o.FS, o.FS.PathJoin(o.Dir, lockName)); err != nil {
		return nil, fmt.Errorf("register: %w", err)
	}
	if err := r.open(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("open register %s: %w", o.Dir, err), r.Close())
	}
	return r, nil
}

func (r *Register) open(ctx context.Context) error {
	if r.o.Notary != nil {
		return r.openMember(ctx)
	}
	r.leads.Store(true)
	last, there, err := loadSigned(r.o.FS, r.o.Dir)
	if err != nil {
		return err
	}
	if there {
		if err := last.verify(r.o.Keys); err != nil {
			return err
		}
		// A process killed after it renamed the checkpoint may never have made that durable, and it is about to be handed out.
		if err := folder.Sync(r.o.FS, r.o.Dir); err != nil {
			return err
		}
		if last.Origin != r.o.Origin {
			r.o.Logger.Warn("the register's origin has changed", "from", last.Origin, "to", r.o.Origin)
		}
	}
	if err := r.openAt(ctx, &last, there); err != nil {
		return err
	}
	if r.held.Store(Held(r.o.FS, r.o.Dir)); r.held.Load() && r.panel.empty() {
		r.o.Logger.Error("the register was restored from a backup and signs nothing new: `zujian resume` lets it go on", "size", last.Size)
	}
	if !there { // An empty tree is a prefix of every log; with it witnesses can be asked what they know.
		return r.sign()
	}
	r.publish()
	return nil
}

// openAt opens the tree of what was signed last, and holds the log to it.
func (r *Register) openAt(ctx context.Context, last *signed, there bool) (err error) {
	last.Origin = r.o.Origin
	_, missing := r.o.FS.Stat(r.o.FS.PathJoin(r.o.Dir, leavesName))
	switch {
	case !there || errors.Is(missing, fs.ErrNotExist):
		err = r.rebuild(ctx, last)
	case missing != nil:
		err = missing
	default:
		if r.tree, err = openTree(r.o.FS, r.o.Dir, last.Size); err != nil {
			err = damage(last.Last, "the tree does not reach to its last checkpoint: %v", err)
		}
	}
	if err == nil && there {
		err = r.guard(ctx, last)
	}
	if err != nil {
		return err
	}
	r.last, r.pos, r.before = *last, last.Last, last.Before
	r.audited.mark.Store(&mark{last.Audited.Events, last.Audited.Position})
	r.behind.Store(last.Size)
	return nil
}

// rebuild makes the tree of the last checkpoint again from the log.
func (r *Register) rebuild(ctx context.Context, last *signed) (err error) {
	if last.Size == 0 {
		r.tree, err = openTree(r.o.FS, r.o.Dir, 0)
		return err
	}
	const unfinished = leavesName + ".next"
	if r.tree, err = openTreeAs(unfinished, r.o.FS, r.o.Dir, 0); err != nil {
		return err
	}
	r.o.Logger.Warn("the register's tree is made again from the log", "leaves", last.Size)
	for c, err := range r.o.Log.Leaves(ctx, 0) {
		if err != nil {
			return fmt.Errorf("read log: %w", err)
		}
		if err := r.add(&c); err != nil {
			return err
		}
		if r.tree.size == last.Size {
			break
		}
	}
	if r.tree.size < last.Size {
		return damage(r.pos, "the log ends after %d events, the last checkpoint has %d: it was rolled back", r.tree.size, last.Size)
	}
	if err := r.tree.sync(); err != nil {
		return err
	}
	if err := r.o.FS.Rename(r.o.FS.PathJoin(r.o.Dir, unfinished), r.o.FS.PathJoin(r.o.Dir, leavesName)); err != nil {
		return err
	}
	return folder.Sync(r.o.FS, r.o.Dir)
}

// guard refuses a log that does not go on from the last checkpoint.
func (r *Register) guard(ctx context.Context, last *signed) error {
	root, err := r.tree.root(last.Size)
	if err != nil {
		return damage(last.Last, "the tree cannot be read: %v", err)
	}
	if !bytes.Equal(root[:], last.Root) {
		return damage(last.Last, "the tree of %d leaves does not have the root that was signed", last.Size)
	}
	if last.Size == 0 {
		return nil
	}
	c := comparer{files: &r.tree.files, tagger: r.tagger, size: last.Size, at: last.tail()}
	for e, err := range remade(r.o.Log).Leaves(ctx, c.at.Position) {
		if err != nil {
			return fmt.Errorf("read log: %w", err)
		}
		if err := c.next(&e); err != nil {
			return err
		}
		if done := c.at.Events == last.Size; !c.same || done && e.Position != last.Last {
			return damage(e.Position, "event %d is not the one that was signed as leaf %d", e.Ordinal, c.at.Events-1)
		} else if done {
			return nil
		}
	}
	return damage(last.Last, "the log ends before the last checkpoint, of %d events: it was rolled back", last.Size)
}

// Close gives the folder free. Run has ended.
func (r *Register) Close() error {
	var errs []error
	if r.tree != nil {
		errs = append(errs, r.tree.close())
		r.tree = nil
	}
	if r.lock != nil {
		errs = append(errs, r.lock.Close())
		r.lock = nil
	}
	return errors.Join(errs...)
}

// Run follows the log, signs checkpoints and has them witnessed, until ctx ends; then it signs what it has. A full disk is
// waited out; any other failure to write ends it. It returns ErrStopped when witnesses say that the log is not what they saw.
func (r *Register) Run(ctx context.Context) error {
	witnessing, stop := context.WithCancel(ctx)
	var work sync.WaitGroup
	work.Go(func() {
		if r.o.Notary == nil {
			r.panel.run(witnessing, r)
		} else {
			r.lead(witnessing)
		}
	})
	defer work.Wait()
	defer stop()
	ctx, end := context.WithCancel(ctx)
	defer end()
	work.Go(func() {
		if err := r.audit(witnessing); err != nil {
			r.audited.fault.Store(&err)
			end()
		}
	})
	if r.o.Ballast > 0 {
		r.room.Watch()
		defer r.room.Close()
	}
	r.signedAt = r.o.Now()
	for {
		if err := r.follow(ctx); r.patient(ctx, err) {
			continue
		} else if err != nil {
			return err
		}
		err := r.pause(ctx)
		if r.patient(ctx, err) {
			continue
		}
		if found := r.audited.err(); found != nil {
			return found
		}
		if err == nil {
			err = ctx.Err() // A log that has more answers at once, and tells nothing to who has stopped.
		}
		if err != nil {
			if ctx.Err() == nil && !errors.Is(err, eventstore.ErrClosed) {
				return fmt.Errorf("wait for the log: %w", err)
			}
			if r.o.Notary != nil {
				return nil // Another process goes on, or this one when it is started again.
			}
			return r.signLast()
		}
		if err := r.dissent(); err != nil {
			return err
		}
	}
}

// signLast signs what the tree has, if it may be. What a full disk leaves unsigned is signed after the next start.
func (r *Register) signLast() error {
	if may, err := r.may(); err != nil || !may || r.tree.size == r.last.Size {
		return err
	}
	err := r.sign()
	if vfs.IsNoSpaceError(err) {
		r.o.Logger.Warn("the disk is full: the last events are not signed yet", "signed", r.last.Size, "err", err)
		return nil
	}
	return err
}

// waitForRoom goes back to the last checkpoint, and returns when there may be room again, or after a while.
func (r *Register) waitForRoom(ctx context.Context, err error) {
	r.unwritten = true
	if !r.full.Swap(true) {
		r.o.Logger.Error("the register's disk is full: nothing new is signed, reading goes on", "signed", r.last.Size, "err", err)
	}
	for waited := time.Duration(0); waited < fullRetry && sleep(ctx, signEvery) == nil; waited += signEvery {
		if !r.room.Full() {
			return
		}
	}
}

// rewind goes on from the last checkpoint.
func (r *Register) rewind() error {
	if err := r.tree.rewind(r.last.Size); err != nil {
		return fmt.Errorf("register: go back to the last checkpoint: %w", err)
	}
	r.pos, r.before, r.unwritten = r.last.Last, r.last.Before, false
	r.behind.Store(r.last.Size)
	return nil
}

// follow adds what the log has more than the tree, signing on the way when it is time.
func (r *Register) follow(ctx context.Context) error {
	if r.unwritten {
		if err := r.rewind(); err != nil {
			return err
		}
	}
	n := 0
	for c, err := range r.o.Log.Leaves(ctx, r.pos) {
		if err != nil {
			if ctx.Err() != nil || errors.Is(err, eventstore.ErrClosed) {
				return nil
			}
			return fmt.Errorf("read log: %w", err)
		}
		if err := r.add(&c); err != nil {
			return err
		}
		if n++; n%addedAtOnce == 0 {
			if err := r.signIfDue(ctx); err != nil {
				return err
			}
		}
	}
	return r.signIfDue(ctx)
}

func (r *Register) add(c *leaf.Committed) error {
	if c.Ordinal != r.tree.size {
		return damage(c.Position, "event %d follows event %d", c.Ordinal, int64(r.tree.size)-1)
	}
	r.scratch = r.tagger.Append(r.scratch[:0], c)
	if err := r.tree.add(r.scratch); err != nil {
		return err
	}
	r.before, r.pos = r.pos, c.Position
	r.behind.Store(r.tree.size)
	return nil
}

func (r *Register) signIfDue(ctx context.Context) error {
	if r.due() > 0 {
		return nil
	}
	if r.o.Notary != nil {
		return r.consult(ctx)
	}
	if may, err := r.may(); err != nil || !may {
		return err
	}
	return r.sign()
}

// due is how long it is to the next checkpoint.
func (r *Register) due() time.Duration {
	wait := signIdle
	if r.o.Notary != nil {
		wait = signEvery // Others may have had more signed.
	}
	switch fresh := r.tree.size - r.last.Size; {
	case fresh >= signEvents:
		wait = signPause
	case fresh > 0:
		wait = signEvery
	}
	since := r.o.Now().Sub(r.signedAt)
	if since < 0 { // A clock without a monotonic reading was set back.
		return 0
	}
	return max(0, wait-since)
}

// pause returns when there may be something to do.
func (r *Register) pause(ctx context.Context) error {
	wait := r.due()
	if !r.panel.cleared() || r.held.Load() {
		wait = max(wait, followPause) // Until they have answered nothing can be signed.
	}
	if r.tree.size > r.last.Size { // Under way: leave the log in peace for a moment, then take all at once.
		return sleep(ctx, min(max(wait, time.Millisecond), followPause))
	}
	waiting, done := context.WithTimeout(ctx, wait)
	defer done()
	err := r.o.Log.Wait(waiting, r.pos)
	if waiting.Err() != nil && ctx.Err() == nil {
		return nil
	}
	return err
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// sign makes the tree durable, then a checkpoint over it, then publishes it.
func (r *Register) sign() error {
	if r.o.skipSync {
		if err := r.tree.flush(); err != nil {
			return err
		}
	} else if err := r.tree.sync(); err != nil {
		return fmt.Errorf("register: %w", err)
	}
	root, err := r.tree.root(r.tree.size)
	if err != nil {
		return fmt.Errorf("register: %w", err)
	}
	next := r.last.next(r.tree.size)
	next.Root, next.Last, next.Before, next.Audited = root[:], r.pos, r.before, *r.audited.mark.Load()
	next.moveTail()
	if err := next.sign(r.signers...); err != nil {
		return err
	}
	if c := r.panel.confirmed.Load(); c != nil {
		next.Confirmed = c.note
	}
	if err := next.save(r.o.FS, r.o.Dir); err != nil {
		return fmt.Errorf("register: %w", err)
	}
	r.last, r.signedAt = next, r.o.Now()
	r.publish()
	if r.full.Swap(false) {
		r.o.Logger.Info("the register signs again", "signed", r.last.Size)
	}
	return nil
}

func (r *Register) publish() {
	r.published.Store(&published{files: r.tree.files, signed: r.last, at: r.o.Now()})
	r.panel.submit()
}
