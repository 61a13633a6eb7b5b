package embedded

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"github.com/cockroachdb/pebble/v2/vfs"

	"zujian/eventstore"
	"zujian/eventstore/folder"
)

// Copied says what a copy of a log holds. The next copy needs it to take only what came since.
type Copied struct {
	LogID  string       `json:"log_id"` // Hex.
	Events uint64       `json:"events"`
	End    CopiedEnd    `json:"end"`
	Files  []CopiedFile `json:"files"` // In the log's order.
}

// CopiedEnd is where the copy ends.
type CopiedEnd struct {
	Position  eventstore.Position `json:"position"`
	LastGroup eventstore.Position `json:"last_group"` // Where the last group starts; 0 if there is none.
	StoredAt  int64               `json:"stored_at"`  // Of the last event, µs since 1970.
}

// CopiedFile is one segment of the copy.
type CopiedFile struct {
	Name   string `json:"name"`
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"` // Hex.
	Sealed bool   `json:"sealed"` // Nothing is written to it any more.
}

// CopyLog copies the log in opts.Dir, every event that is in it when the copy begins, to the folder to, which it makes.
// Another process may have the log open and go on writing: what is copied is checked group by group and made durable
// first. since is what an earlier copy in the folder sinceDir holds, or nil: its sealed segments are linked instead of
// copied, and checked no more. The copy opens like any log; its last segment is as long as what is in it.
// progress may be nil; it is told bytes.
func CopyLog(ctx context.Context, opts Options, to string, since *Copied, sinceDir string, progress func(done, total int64)) (Copied, error) {
	c := copier{Options: opts.withDefaults(), to: to, since: since, sinceDir: sinceDir, progress: progress}
	res, err := c.run(ctx)
	if err != nil {
		return res, fmt.Errorf("copy log %s: %w", opts.Dir, err)
	}
	return res, nil
}

type copier struct {
	Options
	to, sinceDir string
	since        *Copied
	progress     func(done, total int64)
	total, done  int64
}

func (c *copier) run(ctx context.Context) (res Copied, err error) {
	segs, err := openSegments(c.FS, c.Dir, false, Options{NoMmap: true})
	if err != nil {
		return res, err
	}
	defer closeSegments(segs)
	if len(segs) == 0 {
		return res, damage(0, "there is no segment")
	}
	res.LogID = hex.EncodeToString(segs[0].id[:])
	end, err := c.end(ctx, segs)
	if err != nil {
		return res, err
	}
	res.Events = end.ordinal
	res.End = CopiedEnd{Position: end.pos, LastGroup: end.last, StoredAt: end.storedAt}
	if err := c.FS.MkdirAll(c.to, 0o750); err != nil {
		return res, err
	}
	for i, g := range segs {
		f := CopiedFile{Name: g.name, Bytes: g.size, Sealed: i < len(segs)-1}
		if !f.Sealed {
			f.Bytes = int64(max(end.pos, g.base+segmentHeader) - g.base)
		}
		c.total += f.Bytes
		res.Files = append(res.Files, f)
	}
	for i, g := range segs {
		if err := c.segment(ctx, g, &res.Files[i]); err != nil {
			return res, err
		}
	}
	return res, errors.Join(folder.Sync(c.FS, c.to), folder.Sync(c.FS, c.FS.PathDir(c.to)))
}

// end finds where the log ends and makes sure that all before is durable, so that no recovery of the original cuts what
// the copy holds.
func (c *copier) end(ctx context.Context, segs []*segment) (mark, error) {
	sc := &scanner{segs: segs, seed: segs[0].id.seed(), limit: noPosition}
	var m mark
	if c.since != nil {
		if c.since.LogID != hex.EncodeToString(segs[0].id[:]) {
			return m, errors.New("the earlier copy is of another log")
		}
		m = mark{last: c.since.End.LastGroup, pos: c.since.End.Position, ordinal: c.since.Events, storedAt: c.since.End.StoredAt}
		if err := sc.resume(m); err != nil {
			return m, fmt.Errorf("go on from the earlier copy: %w", err)
		}
	}
	end, _, err := sc.walk(ctx, m, func(mark, []byte, mark) error { return nil })
	if err != nil {
		return end, err
	}
	last := segs[len(segs)-1]
	if err := last.file.SyncData(); err != nil {
		return end, fmt.Errorf("sync %s: %w", last.name, err)
	}
	return end, folder.Sync(c.FS, c.Dir)
}

// segment copies or links one file and fills in its hash.
func (c *copier) segment(ctx context.Context, g *segment, f *CopiedFile) error {
	path := c.FS.PathJoin(c.to, f.Name)
	if old := c.earlier(f); old != nil {
		if err := c.FS.Link(c.FS.PathJoin(c.sinceDir, f.Name), path); err == nil {
			f.SHA256 = old.SHA256
			c.tell(f.Bytes)
			return nil
		} // On another file system: copied like the rest.
	}
	out, err := c.FS.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	sum := sha256.New()
	buf := make([]byte, scanWindow)
	for off := int64(0); off < f.Bytes && err == nil; off += scanWindow {
		b := buf[:min(scanWindow, f.Bytes-off)]
		if err = errors.Join(ctx.Err(), g.read(b, off)); err != nil {
			break
		}
		_, _ = sum.Write(b) // A hash takes everything.
		_, err = out.Write(b)
		c.tell(int64(len(b)))
	}
	if err == nil {
		err = out.Sync()
	}
	f.SHA256 = hex.EncodeToString(sum.Sum(nil))
	if err = errors.Join(err, out.Close()); err != nil {
		return fmt.Errorf("copy %s: %w", f.Name, err)
	}
	return nil
}

// earlier is the same sealed file of the earlier copy; nil if that was cut short since.
func (c *copier) earlier(f *CopiedFile) *CopiedFile {
	if c.since == nil || !f.Sealed {
		return nil
	}
	for i, old := range c.since.Files {
		if old.Name == f.Name && old.Sealed && old.Bytes == f.Bytes {
			info, err := c.FS.Stat(c.FS.PathJoin(c.sinceDir, f.Name))
			if err != nil || info.Size() != f.Bytes {
				return nil
			}
			return &c.since.Files[i]
		}
	}
	return nil
}

func (c *copier) tell(n int64) {
	c.done += n
	if c.progress != nil {
		c.progress(c.done, c.total)
	}
}

// CheckCopy reads the files of a copy and compares them with what it is said to hold.
func CheckCopy(ctx context.Context, fs vfs.FS, dir string, want Copied) error {
	if fs == nil {
		fs = folder.Real()
	}
	for _, f := range want.Files {
		if err := ctx.Err(); err != nil {
			return err
		}
		in, err := fs.Open(fs.PathJoin(dir, f.Name))
		if err != nil {
			return fmt.Errorf("check copy: %w", err)
		}
		sum := sha256.New()
		n, err := io.Copy(sum, in)
		if err = errors.Join(err, in.Close()); err != nil {
			return fmt.Errorf("check copy: read %s: %w", f.Name, err)
		}
		if got := hex.EncodeToString(sum.Sum(nil)); n != f.Bytes || got != f.SHA256 {
			return fmt.Errorf("check copy: %s has %d bytes with SHA-256 %s, not %d with %s", f.Name, n, got, f.Bytes, f.SHA256)
		}
	}
	return nil
}
