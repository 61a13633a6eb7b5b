package register

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"zujian/eventstore"
	"zujian/eventstore/leaf"
)

const verifyChunk = 4096 // Leaves read at once.

// Verify compares the whole register in o.Dir with the log, event by event: every leaf, every level, the root and the
// signatures of the last checkpoint. It changes nothing and returns a *DamageError that names the first event where they
// part. size is that of the checkpoint, 0 if there is no register yet. progress may be nil; it is told leaves.
//
// Without o.Keys it can't tell whether the tags of the leaves are those of their streams; everything else it compares,
// and the Ed25519 signature if o.Public has its key.
func Verify(ctx context.Context, o Options, progress func(done, total int64)) (size uint64, err error) {
	o.FS = disk(o.FS)
	s, there, err := loadSigned(o.FS, o.Dir)
	if err != nil || !there {
		return 0, err
	}
	keyless := o.Keys == (Keys{})
	if keyless {
		err = s.verifyPublic(o.Public)
	} else {
		err = s.verify(o.Keys)
	}
	if err != nil {
		return s.Size, err
	}
	if _, deleted := o.FS.Stat(o.FS.PathJoin(o.Dir, leavesName)); deleted != nil && s.Size > 0 {
		return s.Size, s.verifyTreeless(ctx, &o, keyless)
	}
	t, err := openTree(o.FS, o.Dir, s.Size)
	if err != nil {
		return s.Size, damage(s.Last, "the tree does not reach to its last checkpoint: %v", err)
	}
	defer func() { err = errors.Join(err, t.close()) }()
	v := verifier{tree: t, tagger: leaf.NewTagger(o.Keys.Log), keyless: keyless}
	for c, err := range o.Log.Leaves(ctx, 0) {
		if err != nil {
			return s.Size, fmt.Errorf("read log: %w", err)
		}
		if v.n == s.Size {
			break
		}
		if err := v.check(&c); err != nil {
			return s.Size, err
		}
		if progress != nil && v.n%verifyChunk == 0 {
			progress(int64(v.n), int64(s.Size))
		}
	}
	switch root, err := t.root(s.Size); {
	case v.n < s.Size:
		return s.Size, damage(v.pos, "the log ends after %d events, the last checkpoint has %d: it was rolled back", v.n, s.Size)
	case err != nil:
		return s.Size, damage(s.Last, "the tree cannot be read: %v", err)
	case !bytes.Equal(root[:], s.Root):
		return s.Size, damage(s.Last, "the tree of %d leaves does not have the root that was signed", s.Size)
	case s.Size > 0 && (v.pos != s.Last || v.before != s.Before):
		return s.Size, damage(v.pos, "event %d does not end where the last checkpoint says", s.Size-1)
	}
	return s.Size, nil
}

// verifyTreeless compares the log with the checkpoint alone: the tree will be made again at the next start, as after a
// restore.
func (s *signed) verifyTreeless(ctx context.Context, o *Options, keyless bool) error {
	if keyless {
		return errors.New("register: there is a checkpoint without its tree, which only the keys can make again")
	}
	err := CheckAgainst(ctx, o.Log, o.Keys, s.Origin, s.Note)
	if errors.Is(err, ErrBehind) || errors.Is(err, ErrForked) {
		return damage(s.Last, "%v", err)
	}
	return err
}

// verifier builds the tree again beside the one in the files.
type verifier struct {
	tree        *tree
	tagger      *leaf.Tagger
	keyless     bool // Tags are taken as they are.
	n           uint64
	pos, before eventstore.Position
	chunk       []byte
	scratch     []byte
	edge        [levelsMax][]hash
}

func (v *verifier) check(c *leaf.Committed) error {
	if len(v.chunk) == 0 {
		var err error
		if v.chunk, err = v.tree.leafBytes(v.n, min(verifyChunk, v.tree.size-v.n)); err != nil {
			return damage(c.Position, "the leaves cannot be read: %v", err)
		}
	}
	v.scratch = v.tagger.Append(v.scratch[:0], c)
	if v.keyless {
		copy(leaf.TagOf(v.scratch), leaf.TagOf(v.chunk))
	}
	if c.Ordinal != v.n || !bytes.Equal(v.scratch, v.chunk[:leaf.Size]) {
		return damage(c.Position, "event %d is not the one of leaf %d", c.Ordinal, v.n)
	}
	v.chunk, v.before, v.pos = v.chunk[leaf.Size:], v.pos, c.Position
	v.n++
	v.edge[0] = append(v.edge[0], leaf.NodeHash(v.scratch))
	for l := 0; len(v.edge[l]) == tileWidth; l++ {
		h := perfect(v.edge[l])
		got, err := v.tree.hashes(nil, l+1, v.n>>(tileHeight*(l+1))-1, 1)
		if err != nil || got[0] != h {
			return damage(c.Position, "%s does not have the hash of the %d leaves up to %d", levelName(l+1), 1<<(tileHeight*(l+1)), v.n-1)
		}
		v.edge[l], v.edge[l+1] = v.edge[l][:0], append(v.edge[l+1], h)
	}
	return nil
}
