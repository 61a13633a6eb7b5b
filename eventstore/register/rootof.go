package register

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"zujian/eventstore/leaf"
)

// ErrBehind means a log ends before a checkpoint that was signed over it.
var ErrBehind = errors.New("register: the log ends before the checkpoint")

// ErrForked means a log is not the one a checkpoint was signed over.
var ErrForked = errors.New("register: the log is not the one that the checkpoint was signed over")

// CheckAgainst compares a log with a checkpoint that somebody kept, a signed note as /checkpoint serves it: the log must go
// at least as far, and its first events must hash to the note's root. It needs no folder of the register.
func CheckAgainst(ctx context.Context, log Log, keys Keys, origin, text string) error {
	lines := strings.SplitN(text, "\n", 4)
	if len(lines) < 4 || (origin != "" && lines[0] != origin) {
		return fmt.Errorf("register: the checkpoint is not one of %s", origin)
	}
	size, err1 := strconv.ParseUint(lines[1], 10, 63)
	root, err2 := base64.StdEncoding.DecodeString(lines[2])
	if err := errors.Join(err1, err2); err != nil || len(root) != sha256.Size {
		return errors.Join(errors.New("register: the checkpoint is malformed"), err)
	}
	got, events, err := rootOver(ctx, log, keys, size)
	switch {
	case err != nil:
		return err
	case events < size:
		return fmt.Errorf("%w: %d events, not %d", ErrBehind, events, size)
	case got != hash(root):
		return ErrForked
	}
	return nil
}

// rootOver is the root over the first size leaves, and how many there were.
func rootOver(ctx context.Context, log Log, keys Keys, size uint64) (root hash, n uint64, err error) {
	tagger := leaf.NewTagger(keys.Log)
	var edge leaf.Edge
	var b []byte
	for c, err := range log.Leaves(ctx, 0) {
		if err != nil {
			return root, edge.Size(), fmt.Errorf("read log: %w", err)
		}
		if edge.Size() == size {
			break
		}
		b = tagger.Append(b[:0], &c)
		edge.Add(leaf.NodeHash(b))
	}
	return edge.Root(), edge.Size(), nil
}
