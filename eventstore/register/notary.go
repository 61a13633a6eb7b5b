package register

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"zujian/eventstore"
	"zujian/eventstore/folder"
)

// Errors of a notary.
var (
	// ErrMoved means that more was signed meanwhile than the proposal goes on from: adopt it and propose again.
	ErrMoved = errors.New("register: more has been signed meanwhile")
	// ErrNotaryAway means that the notary could not be reached; try again later.
	ErrNotaryAway = errors.New("register: the notary can't be reached")
	// ErrHeld means that the notary was restored from a backup and signs nothing new yet.
	ErrHeld = errors.New("register: restored, and nobody has said yet that no more was signed")
)

// Notary holds the keys of a register whose tree several processes make, each for itself from the same log, and signs its
// checkpoints. Whoever of them proposes, it MUST sign only a tree that goes on from the last it has signed: so that no two
// trees are ever signed, not even by a process that believes it is alone.
type Notary interface {
	// Last is the record of what was signed last; nil if nothing was.
	Last(ctx context.Context) (Record, error)
	// Sign signs the proposal, or says ErrMoved, ErrForked, ErrHeld, ErrNotaryAway or eventstore.ErrFull.
	Sign(ctx context.Context, p Proposal) (Record, error)
}

// Record is what was signed, in the form of a checkpoint file.
type Record = json.RawMessage

// SizeOf is how many events a record is signed over; 0 for none.
func SizeOf(rec Record) (uint64, error) {
	if rec == nil {
		return 0, nil
	}
	var s signed
	if err := json.Unmarshal(rec, &s); err != nil {
		return 0, fmt.Errorf("register: the notary's record cannot be read: %w", err)
	}
	return s.Size, nil
}

// Proposal asks for a signature over a tree.
type Proposal struct {
	Origin    string              `json:"origin"`
	From      uint64              `json:"from"`  // Size of the last that was signed.
	Proof     [][32]byte          `json:"proof"` // That the tree goes on from it.
	Size      uint64              `json:"size"`
	Root      [32]byte            `json:"root"`
	Last      eventstore.Position `json:"last"`   // End of the last event,
	Before    eventstore.Position `json:"before"` // and of the one before.
	Confirmed string              `json:"confirmed,omitempty"`
}

// LocalNotary is the notary over a folder, which it alone writes.
type LocalNotary struct {
	fs     vfs.FS
	dir    string
	keys   Keys
	lock   io.Closer
	logger *slog.Logger

	mu     sync.Mutex
	last   signed // Of size 0 and without a note before anything was signed.
	failed error  // To write: what is on the disk is unknown, so nothing more is signed.
}

var _ Notary = (*LocalNotary)(nil)

// OpenNotary opens the notary in a folder of the form of a register's, or makes it. A nil fs is the real disk.
func OpenNotary(fs vfs.FS, dir string, keys Keys, logger *slog.Logger) (n *LocalNotary, err error) {
	n = &LocalNotary{fs: disk(fs), dir: dir, keys: keys, logger: logger}
	if err := n.fs.MkdirAll(dir, foldersPerms); err != nil {
		return nil, fmt.Errorf("register: make folder: %w", err)
	}
	if n.lock, err = folder.Lock(n.fs, n.fs.PathJoin(dir, lockName)); err != nil {
		return nil, fmt.Errorf("register: %w", err)
	}
	var there bool
	if n.last, there, err = loadSigned(n.fs, dir); err == nil && there {
		err = n.last.verify(keys)
	}
	if err != nil {
		return nil, errors.Join(err, n.Close())
	}
	if Held(n.fs, dir) {
		logger.Error("the notary was restored from a backup and signs nothing new: `zujian resume` lets it go on", "size", n.last.Size)
	}
	return n, nil
}

// Close gives the folder free.
func (n *LocalNotary) Close() error { return n.lock.Close() }

// Keys are what a process that makes the tree has to know: the key of the tags, and how to check the signatures.
func (n *LocalNotary) Keys(origin string) (log [32]byte, public PublicKeys, err error) {
	if err := checkOrigin(origin); err != nil {
		return log, public, err
	}
	return n.keys.Log, PublicKeys{Ed25519: newEd25519(origin, n.keys.Ed25519).key, SM2: newSM2(origin, n.keys.SM2).key}, nil
}

// Last implements Notary.
func (n *LocalNotary) Last(context.Context) (Record, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.record()
}

func (n *LocalNotary) record() (Record, error) {
	if n.last.Note == "" {
		return nil, nil
	}
	return json.Marshal(&n.last)
}

// Sign implements Notary.
func (n *LocalNotary) Sign(_ context.Context, p Proposal) (Record, error) {
	if err := checkOrigin(p.Origin); err != nil {
		return nil, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case n.failed != nil:
		return nil, n.failed
	case p.From != n.last.Size || p.Size < n.last.Size:
		return nil, ErrMoved
	case Held(n.fs, n.dir) && p.Size > n.last.Size:
		return nil, ErrHeld
	}
	if err := n.goesOn(&p); err != nil {
		n.logger.Error("refused to sign another tree", "signed", n.last.Size, "proposed", p.Size, "err", err)
		return nil, err
	}
	next := n.last.next(p.Size)
	next.Origin, next.Root, next.Last, next.Before, next.Confirmed = p.Origin, p.Root[:], p.Last, p.Before, p.Confirmed
	if err := next.sign(newEd25519(p.Origin, n.keys.Ed25519), newSM2(p.Origin, n.keys.SM2)); err != nil {
		return nil, err
	}
	if err := next.save(n.fs, n.dir); vfs.IsNoSpaceError(err) {
		return nil, fmt.Errorf("%w: %w", eventstore.ErrFull, err)
	} else if err != nil {
		n.failed = fmt.Errorf("register: %w", err)
		return nil, n.failed
	}
	n.last = next
	return n.record()
}

// goesOn holds the proposed tree to the last one.
func (n *LocalNotary) goesOn(p *Proposal) error {
	if n.last.Size == 0 {
		if empty, _ := (&files{}).root(0); p.Size == 0 && p.Root != empty {
			return ErrForked
		}
		return nil // Every tree goes on from the empty one.
	}
	was := hash(n.last.Root)
	if p.Size == n.last.Size {
		if hash(p.Root) != was {
			return ErrForked
		}
		return nil
	}
	proof := make(tlog.TreeProof, len(p.Proof))
	for i, h := range p.Proof {
		proof[i] = h
	}
	if err := tlog.CheckTree(proof, int64(p.Size), p.Root, int64(n.last.Size), was); err != nil {
		return fmt.Errorf("%w: %w", ErrForked, err)
	}
	return nil
}

// sign writes the note of s.
func (s *signed) sign(signers ...note.Signer) error {
	msg, err := note.Sign(&note.Note{Text: body(s.Origin, s.Size, hash(s.Root))}, signers...)
	if err != nil {
		return fmt.Errorf("register: sign checkpoint: %w", err)
	}
	s.Note = string(msg)
	return nil
}

// verifyBoth checks the note of s by public keys, both of them.
func (s *signed) verifyBoth(p PublicKeys) error {
	ed, err1 := note.NewVerifier(p.Ed25519)
	sm, err2 := NewSM2Verifier(p.SM2)
	if err := errors.Join(err1, err2); err != nil {
		return fmt.Errorf("register: verifier keys: %w", err)
	}
	n, err := note.Open([]byte(s.Note), note.VerifierList(ed, sm))
	if err != nil || len(n.Sigs) != 2 || n.Text != body(s.Origin, s.Size, hash(s.Root)) {
		return damage(s.Last, "the checkpoint of %d leaves is not signed by this register's keys", s.Size)
	}
	return nil
}
