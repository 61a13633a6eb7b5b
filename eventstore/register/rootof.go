package register

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
	"golang.org/x/mod/sumdb/note"

	"zujian/eventstore/leaf"
)

// ErrBehind means a log ends before a checkpoint that was signed over it.
var ErrBehind = errors.New("register: the log ends before the checkpoint")

// ErrForked means a log is not the one a checkpoint was signed over.
var ErrForked = errors.New("register: the log is not the one that the checkpoint was signed over")

// CheckAgainst compares a log with a checkpoint that somebody kept, a signed note as /checkpoint serves it: the log must go
// at least as far, and its first events must hash to the note's root. It needs no folder of the register.
func CheckAgainst(ctx context.Context, log Log, keys Keys, origin, text string) error {
	_, err := against(ctx, log, keys, origin, text)
	return err
}

// against is CheckAgainst, and gives the record of what was signed without its note.
func against(ctx context.Context, log Log, keys Keys, origin, text string) (s signed, err error) {
	lines := strings.SplitN(text, "\n", 4)
	if len(lines) < 4 || (origin != "" && lines[0] != origin) {
		return s, fmt.Errorf("register: the checkpoint is not one of %s", origin)
	}
	size, err1 := strconv.ParseUint(lines[1], 10, 63)
	root, err2 := base64.StdEncoding.DecodeString(lines[2])
	if err := errors.Join(err1, err2); err != nil || len(root) != sha256.Size {
		return s, errors.Join(errors.New("register: the checkpoint is malformed"), err)
	}
	s, err = rootOver(ctx, log, keys, size)
	switch {
	case err != nil:
		return s, err
	case s.Size < size:
		return s, fmt.Errorf("%w: %d events, not %d", ErrBehind, s.Size, size)
	case !bytes.Equal(s.Root, root):
		return s, ErrForked
	}
	s.Origin = lines[0]
	return s, nil
}

// Adopt makes the folder of a notary know that it has signed a checkpoint that somebody kept, as /checkpoint served it, so
// that it goes on from there, as those do who know it. The log must hold it, and these keys must have signed it. A folder
// that knows as much, or has a tree, is left as it is: what it signs next goes on from the checkpoint, too. A nil fs is the
// real disk.
func Adopt(ctx context.Context, fs vfs.FS, dir string, log Log, keys Keys, text string) error {
	fs = disk(fs)
	if _, err := fs.Stat(fs.PathJoin(dir, leavesName)); err == nil {
		return nil
	}
	last, _, err := loadSigned(fs, dir)
	if err != nil {
		return err
	}
	s, err := against(ctx, log, keys, "", text)
	if err != nil || s.Size <= last.Size {
		return err
	}
	n, err := note.Open([]byte(text), note.VerifierList(newEd25519(s.Origin, keys.Ed25519), newSM2(s.Origin, keys.SM2)))
	if err != nil || len(n.Sigs) != 2 {
		return errors.Join(errors.New("register: the checkpoint is not signed by this register's keys"), err)
	}
	next := last.next(s.Size)
	next.Origin, next.Root, next.Last, next.Before, next.Note = s.Origin, s.Root, s.Last, s.Before, n.Text+"\n"
	for _, sig := range n.Sigs {
		next.Note += "— " + sig.Name + " " + sig.Base64 + "\n"
	}
	return next.save(fs, dir)
}

// rootOver is what there is of the first size leaves: their root, how many there are and where the last two of them end.
func rootOver(ctx context.Context, log Log, keys Keys, size uint64) (s signed, err error) {
	tagger := leaf.NewTagger(keys.Log)
	var edge leaf.Edge
	var b []byte
	for c, err := range remade(log).Leaves(ctx, 0) {
		if err != nil {
			return s, fmt.Errorf("read log: %w", err)
		}
		if edge.Size() == size {
			break
		}
		b = tagger.Append(b[:0], &c)
		edge.Add(leaf.NodeHash(b))
		s.Before, s.Last = s.Last, c.Position
	}
	root := edge.Root()
	s.Root, s.Size = root[:], edge.Size()
	return s, nil
}
