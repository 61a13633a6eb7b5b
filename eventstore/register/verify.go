package register

import (
	"bytes"
	"context"
	"errors"
	"fmt"

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
	v := verifier{tree: t, comparer: comparer{files: &t.files, tagger: leaf.NewTagger(o.Keys.Log), size: s.Size, keyless: keyless}}
	for c, err := range o.Log.Leaves(ctx, 0) {
		if err != nil {
			return s.Size, fmt.Errorf("read log: %w", err)
		}
		if v.at.Events == s.Size {
			break
		}
		if err := v.check(&c); err != nil {
			return s.Size, err
		}
		if progress != nil && v.at.Events%verifyChunk == 0 {
			progress(int64(v.at.Events), int64(s.Size))
		}
	}
	switch root, err := t.root(s.Size); {
	case v.at.Events < s.Size:
		return s.Size, damage(v.at.Position, "the log ends after %d events, the last checkpoint has %d: it was rolled back", v.at.Events, s.Size)
	case err != nil:
		return s.Size, damage(s.Last, "the tree cannot be read: %v", err)
	case !bytes.Equal(root[:], s.Root):
		return s.Size, damage(s.Last, "the tree of %d leaves does not have the root that was signed", s.Size)
	case s.Size > 0 && (v.at.Position != s.Last || v.before != s.Before):
		return s.Size, damage(v.at.Position, "event %d does not end where the last checkpoint says", s.Size-1)
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
	comparer
	tree *tree
	edge [levelsMax][]hash
}

func (v *verifier) check(c *leaf.Committed) error {
	if err := v.next(c); err != nil {
		return err
	}
	n := v.at.Events
	if !v.same {
		return damage(c.Position, "event %d is not the one of leaf %d", c.Ordinal, n-1)
	}
	v.edge[0] = append(v.edge[0], leaf.NodeHash(v.leaf))
	for l := 0; len(v.edge[l]) == tileWidth; l++ {
		h := perfect(v.edge[l])
		got, err := v.tree.hashes(nil, l+1, n>>(tileHeight*(l+1))-1, 1)
		if err != nil {
			return damage(c.Position, "%s cannot be read: %v", levelName(l+1), err)
		}
		if got[0] != h {
			return damage(c.Position, "%s does not have the hash of the %d leaves up to %d", levelName(l+1), 1<<(tileHeight*(l+1)), n-1)
		}
		v.edge[l], v.edge[l+1] = v.edge[l][:0], append(v.edge[l+1], h)
	}
	return nil
}
