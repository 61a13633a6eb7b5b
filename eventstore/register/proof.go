package register

import (
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"zujian/eventstore"
	"zujian/eventstore/leaf"
)

// beyond is what is said of what the last checkpoint does not cover: it may be there, and not signed for want of room.
func (r *Register) beyond() error {
	if r.full.Load() {
		return fmt.Errorf("%w: nothing new is signed", eventstore.ErrFull)
	}
	return ErrRange
}

// ErrRange means that a leaf, a size or a tile is not covered by any checkpoint.
var ErrRange = errors.New("register: beyond the last checkpoint")

// Checkpoint is what the register has signed.
type Checkpoint struct {
	Origin string
	Size   uint64
	Root   [32]byte
	Note   string // The signed note, with the cosignatures that have come.
	At     time.Time
}

// Checkpoint returns the last one. With a Notary its note is "" until the tree has come as far as what was signed.
func (r *Register) Checkpoint() Checkpoint {
	p := r.published.Load()
	return Checkpoint{Origin: p.Origin, Size: p.Size, Root: [32]byte(p.Root), Note: r.panel.cosigned(p.Note), At: p.at}
}

// Confirmed returns the last checkpoint that enough witnesses have cosigned; ok is false if there is none.
func (r *Register) Confirmed() (c Checkpoint, ok bool) {
	text := ""
	if n := r.panel.confirmed.Load(); n != nil {
		text = n.note
	} else if text = r.published.Load().Confirmed; text == "" {
		return c, false
	}
	origin, size, root, err := parseBody(noteText(text))
	return Checkpoint{Origin: origin, Size: size, Root: root, Note: text}, err == nil
}

// Proof is an inclusion proof (RFC 6962 §2.1.1) for one leaf, with the checkpoint it leads to.
type Proof struct {
	Index  uint64
	Leaf   []byte
	Hashes [][32]byte
	Checkpoint
}

// Inclusion proves that the leaf of the event with that ordinal is in the tree of the last checkpoint.
func (r *Register) Inclusion(ordinal uint64) (p Proof, err error) {
	p.Index, p.Checkpoint = ordinal, r.Checkpoint()
	p.Leaf, p.Hashes, err = r.include(ordinal, p.Size)
	return p, err
}

// InclusionAt proves it for the tree of a smaller size.
func (r *Register) InclusionAt(ordinal, size uint64) (leaf []byte, hashes [][32]byte, err error) {
	return r.include(ordinal, size)
}

func (r *Register) include(ordinal, size uint64) ([]byte, [][32]byte, error) {
	pub := r.published.Load()
	if ordinal >= size || size > pub.Size {
		return nil, nil, r.beyond()
	}
	b, err := pub.leafBytes(ordinal, 1)
	if err != nil {
		return nil, nil, fmt.Errorf("prove leaf %d: %w", ordinal, err)
	}
	hs, err := tlog.ProveRecord(int64(size), int64(ordinal), &pub.files)
	if err != nil {
		return nil, nil, fmt.Errorf("prove leaf %d: %w", ordinal, err)
	}
	root, err := pub.signedRoot(size)
	if err != nil {
		return nil, nil, err
	}
	if err := tlog.CheckRecord(hs, int64(size), root, int64(ordinal), leaf.NodeHash(b)); err != nil {
		return nil, nil, damage(0, "leaf %d is not in the tree that was signed: the tree's files are damaged", ordinal)
	}
	return b, arrays(hs), nil
}

// signedRoot is the root of a size that p covers, as what was signed says: what of the files disagrees is not handed out.
func (p *published) signedRoot(size uint64) (hash, error) {
	signed := hash(p.Root)
	if size == p.Size {
		return signed, nil
	}
	root, err := p.root(size)
	if err != nil || size == 0 {
		return root, err
	}
	proof, err := tlog.ProveTree(int64(p.Size), int64(size), &p.files)
	if err != nil {
		return root, fmt.Errorf("prove size %d: %w", size, err)
	}
	if err := tlog.CheckTree(proof, int64(p.Size), signed, int64(size), root); err != nil {
		return root, damage(0, "the tree of %d leaves is no beginning of the one that was signed: its files are damaged", size)
	}
	return root, nil
}

// Consistency proves (RFC 6962 §2.1.2) that the tree of size from is the beginning of the tree of size to.
func (r *Register) Consistency(from, to uint64) ([][32]byte, error) {
	pub := r.published.Load()
	if from > to || to > pub.Size {
		return nil, r.beyond()
	}
	proof, err := pub.consistency(from, to)
	if err != nil {
		return nil, err
	}
	was, err1 := pub.signedRoot(from)
	is, err2 := pub.signedRoot(to)
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	if from > 0 && from < to {
		hs := make(tlog.TreeProof, len(proof))
		for i, h := range proof {
			hs[i] = h
		}
		if err := tlog.CheckTree(hs, int64(to), is, int64(from), was); err != nil {
			return nil, damage(0, "size %d can't be proven to go on from %d: the tree's files are damaged", to, from)
		}
	}
	return proof, nil
}

func (f *files) consistency(from, to uint64) ([][32]byte, error) {
	if from == 0 || from == to {
		return [][32]byte{}, nil
	}
	hs, err := tlog.ProveTree(int64(to), int64(from), f)
	if err != nil {
		return nil, fmt.Errorf("prove size %d: %w", from, err)
	}
	return arrays(hs), nil
}

// RootAt is the root of the tree of a size that the last checkpoint covers.
func (r *Register) RootAt(size uint64) ([32]byte, error) {
	pub := r.published.Load()
	if size > pub.Size {
		return [32]byte{}, ErrRange
	}
	return pub.signedRoot(size)
}

func arrays(hs []hash) [][32]byte {
	out := make([][32]byte, len(hs))
	for i, h := range hs {
		out[i] = h
	}
	return out
}

// LeafOf is the leaf of an event, also before any checkpoint covers it.
func (r *Register) LeafOf(e *eventstore.Recorded) []byte {
	c := leaf.Of(e)
	r.tagging.Lock()
	defer r.tagging.Unlock()
	return r.askTagger.Append(make([]byte, 0, leaf.Size), &c)
}

// StreamKey ties the tags of a stream's leaves to it. Only who may read the stream may have it.
func (r *Register) StreamKey(stream string) [32]byte {
	r.tagging.Lock()
	defer r.tagging.Unlock()
	return r.askTagger.StreamKey([]byte(stream))
}

// VerifierKeys are what outsiders check the register's two signature lines with: Ed25519, then SM2.
func (r *Register) VerifierKeys() (ed25519, sm2 string) {
	return r.o.Public.Ed25519, r.o.Public.SM2
}

// WitnessKeys are the verifier keys of the witnesses, and how many of them confirm a checkpoint.
func (r *Register) WitnessKeys() (keys []string, quorum int) {
	keys = []string{}
	for _, w := range r.panel.seats {
		keys = append(keys, w.Key)
	}
	return keys, r.panel.quorum
}

// Encode writes a hash as checkpoints do.
func Encode(h [32]byte) string { return base64.StdEncoding.EncodeToString(h[:]) }
