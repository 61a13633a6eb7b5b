package register

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"github.com/cockroachdb/pebble/v2/vfs"
	"golang.org/x/mod/sumdb/tlog"

	"zujian/eventstore/folder"
	"zujian/eventstore/leaf"
)

const (
	tileHeight = 8
	tileWidth  = 1 << tileHeight
	levelsMax  = 8        // 256⁸ leaves are more than a uint64 counts.
	flushBytes = 64 << 10 // Leaves kept in memory before they go to the file.

	leavesName = "leaves"
)

// hash is a node of the tree.
type hash = tlog.Hash

// files are the tree's files. Any number of goroutines read from a copy what lies below a size that was synced.
type files struct {
	leaves vfs.File
	levels [levelsMax]vfs.File // From 1 on; nil until there is a hash.
}

// tree adds to the files. One goroutine uses it.
type tree struct {
	files
	fs    vfs.FS
	dir   string
	dirty [levelsMax]bool // Written since the last sync.
	fresh bool            // A file was made since the last sync.

	size    uint64 // Leaves added.
	written uint64 // Leaves that went to the file.
	buf     []byte // Those between.
	edge    [levelsMax][]hash
}

// openTree opens the files as a tree of size leaves; what they hold beyond is not used. It fails if they hold less.
func openTree(fs vfs.FS, dir string, size uint64) (*tree, error) {
	return openTreeAs(leavesName, fs, dir, size)
}

// openTreeAs opens a tree whose leaves are in a file of another name. A folder without leaves has no tree: so one that is
// being made again has them under another name until it is whole.
func openTreeAs(leaves string, fs vfs.FS, dir string, size uint64) (_ *tree, err error) {
	t := &tree{fs: fs, dir: dir, size: size, written: size}
	defer func() {
		if err != nil {
			err = errors.Join(err, t.close())
		}
	}()
	if t.leaves, err = t.open(leaves); err != nil {
		return nil, err
	}
	if err = t.readEdge(); err != nil {
		return nil, err
	}
	return t, nil
}

// readEdge reads what is added to next, of a tree that is in the files.
func (t *tree) readEdge() (err error) {
	for l, n := 0, t.size; l < levelsMax; l, n = l+1, n>>tileHeight {
		if l > 0 && n > 0 && t.levels[l] == nil {
			if t.levels[l], err = t.open(levelName(l)); err != nil {
				return err
			}
		}
		t.edge[l] = make([]hash, 0, tileWidth)
		if n == 0 {
			continue
		}
		whole := n &^ (tileWidth - 1)
		if t.edge[l], err = t.hashes(t.edge[l], l, whole, n-whole); err != nil {
			return err
		}
		if n == whole { // Even then its last byte must be there.
			if _, err = t.hashes(nil, l, n-1, 1); err != nil {
				return err
			}
		}
	}
	return nil
}

// rewind makes it the tree of size leaves again, which were synced. What was written beyond, and may
// not have become durable, is added again, and so written and synced again.
func (t *tree) rewind(size uint64) error {
	t.size, t.written, t.buf, t.fresh = size, size, t.buf[:0], true
	return t.readEdge()
}

func levelName(l int) string { return fmt.Sprintf("level%d", l) }

func (t *tree) open(name string) (vfs.File, error) {
	path := t.fs.PathJoin(t.dir, name)
	if _, err := t.fs.Stat(path); err != nil {
		t.fresh = true
	}
	f, err := t.fs.OpenReadWrite(path, "register")
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", name, err)
	}
	return f, nil
}

// add adds a leaf.
func (t *tree) add(b []byte) error {
	t.buf = append(t.buf, b...)
	t.size++
	t.edge[0] = append(t.edge[0], leaf.NodeHash(b))
	for l := 0; len(t.edge[l]) == tileWidth; l++ {
		if err := t.raise(l+1, perfect(t.edge[l])); err != nil {
			return err
		}
		t.edge[l] = t.edge[l][:0]
	}
	if len(t.buf) >= flushBytes {
		return t.flush()
	}
	return nil
}

// raise adds a hash to level l. One in 256 leaves does, so each goes to its file at once.
func (t *tree) raise(l int, h hash) (err error) {
	if t.levels[l] == nil {
		if t.levels[l], err = t.open(levelName(l)); err != nil {
			return err
		}
	}
	at := int64(t.size>>(tileHeight*l)-1) * int64(len(h))
	if _, err := t.levels[l].WriteAt(h[:], at); err != nil {
		return fmt.Errorf("write %s: %w", levelName(l), err)
	}
	t.dirty[l] = true
	t.edge[l] = append(t.edge[l], h)
	return nil
}

// perfect is the root over hashes, which are 2^k; it overwrites a copy of its own.
func perfect(hashes []hash) hash {
	var level [tileWidth]hash
	n := copy(level[:], hashes)
	for ; n > 1; n /= 2 {
		for i := range n / 2 {
			level[i] = nodeHash(&level[2*i], &level[2*i+1])
		}
	}
	return level[0]
}

func nodeHash(left, right *hash) hash {
	var b [1 + 2*sha256.Size]byte
	b[0] = 1
	copy(b[1:], left[:])
	copy(b[1+sha256.Size:], right[:])
	return sha256.Sum256(b[:])
}

// flush gives the leaves to their file.
func (t *tree) flush() error {
	if len(t.buf) == 0 {
		return nil
	}
	if _, err := t.leaves.WriteAt(t.buf, int64(t.written)*leaf.Size); err != nil {
		return fmt.Errorf("write leaves: %w", err)
	}
	t.written, t.buf, t.dirty[0] = t.size, t.buf[:0], true
	return nil
}

// sync makes the tree as it is durable.
func (t *tree) sync() error {
	if err := t.flush(); err != nil {
		return err
	}
	for l, f := range t.levels {
		if l == 0 {
			f = t.leaves
		}
		if !t.dirty[l] {
			continue
		}
		if err := f.SyncData(); err != nil {
			return fmt.Errorf("sync level %d: %w", l, err)
		}
		t.dirty[l] = false
	}
	if t.fresh {
		if err := folder.Sync(t.fs, t.dir); err != nil {
			return err
		}
		t.fresh = false
	}
	return nil
}

func (t *tree) close() error {
	var errs []error
	for _, f := range append([]vfs.File{t.leaves}, t.levels[:]...) {
		if f != nil {
			errs = append(errs, f.Close())
		}
	}
	return errors.Join(errs...)
}

// hashes appends n hashes of level l from number from on to dst.
func (t *files) hashes(dst []hash, l int, from, n uint64) ([]hash, error) {
	if n == 0 {
		return dst, nil
	}
	if l == 0 {
		b, err := t.leafBytes(from, n)
		if err != nil {
			return nil, err
		}
		for ; len(b) > 0; b = b[leaf.Size:] {
			dst = append(dst, leaf.NodeHash(b[:leaf.Size]))
		}
		return dst, nil
	}
	if t.levels[l] == nil {
		return nil, fmt.Errorf("%s is not there", levelName(l))
	}
	b := make([]byte, n*sha256.Size)
	if err := readFull(t.levels[l], b, int64(from)*sha256.Size); err != nil {
		return nil, fmt.Errorf("read %s: %w", levelName(l), err)
	}
	for ; len(b) > 0; b = b[sha256.Size:] {
		dst = append(dst, hash(b))
	}
	return dst, nil
}

// leafBytes reads n leaves from number from on.
func (t *files) leafBytes(from, n uint64) ([]byte, error) {
	b := make([]byte, n*leaf.Size)
	if err := readFull(t.leaves, b, int64(from)*leaf.Size); err != nil {
		return nil, fmt.Errorf("read leaves from %d: %w", from, err)
	}
	return b, nil
}

func readFull(f vfs.File, b []byte, at int64) error {
	n, err := f.ReadAt(b, at)
	if n == len(b) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// ReadHashes implements tlog.HashReader over the files.
func (t *files) ReadHashes(indexes []int64) ([]hash, error) {
	out := make([]hash, len(indexes))
	for i, index := range indexes {
		level, n := tlog.SplitStoredHashIndex(index)
		l, k := level/tileHeight, level%tileHeight
		if l >= levelsMax {
			return nil, fmt.Errorf("no level %d", l)
		}
		hs, err := t.hashes(make([]hash, 0, 1<<k), l, uint64(n)<<k, 1<<k)
		if err != nil {
			return nil, err
		}
		out[i] = perfect(hs)
	}
	return out, nil
}

// root is the root over the first size leaves, which are in the files.
func (t *files) root(size uint64) (hash, error) {
	if size == 0 {
		return sha256.Sum256(nil), nil
	}
	return tlog.TreeHash(int64(size), t)
}
