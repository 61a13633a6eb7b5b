package faults

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"golang.org/x/mod/sumdb/tlog"

	"zujian/eventstore"
)

// Signer is a register over a log: it signs the roots of its tree.
type Signer interface {
	Run(ctx context.Context) error // Follows the log and signs, until ctx ends.
	RootAt(size uint64) ([32]byte, error)
	Tile(path string) ([]byte, error) // As C2SP tlog-tiles has it, without the leading "tile/".
	Close() error
}

// CheckpointsConfig is a run of power losses under a register and its log.
type CheckpointsConfig struct {
	Seed    uint64
	Crashes int                                                        // Ends after so many; 0 is no end but ctx's.
	Log     func(fs FS) (Log, error)                                   // Opens the log on the disk.
	Open    func(fs FS, log Log, now func() time.Time) (Signer, error) // Opens the register on it.
	Signed  func(Signer) (size uint64, root [32]byte)                  // What anybody may be told now.
	Verify  func(ctx context.Context, fs FS, log Log) error            // Compares the whole folder with the log.
	Dir     string                                                     // Where the register is;
	Kept    string                                                     // the one file of it that is not made again from the log.
	Each    func(crashes, verified int)                                // Told after each life, if not nil.
}

// CheckpointsTally is what a run did.
type CheckpointsTally struct {
	Crashes  int            // Power losses, and processes killed.
	Verified int            // Handed-out checkpoints looked for after a power loss.
	Rebuilds int            // Lives that began without a tree.
	At       map[string]int // Power losses by what was under way: "run checkpoint", "open level1" …
}

const (
	handedMax     = 24  // Checkpoints kept to be looked for.
	batchesMax    = 10  // Appends of one life.
	opsOfSigning  = 120 // A life does about so many operations that change something,
	opsOfStarting = 16  // the register's opening about so many.
	signMax       = time.Minute
	logDir        = "log" // Where the log is, beside the register.
)

// Checkpoints lives, appends and signs, loses power at a random operation and recovers. After each loss the register
// opens, has signed no smaller and no other tree than it handed out, and serves the tiles of all that it did.
func Checkpoints(ctx context.Context, c CheckpointsConfig) (t CheckpointsTally, err error) {
	rng := rand.New(rand.NewPCG(c.Seed, 17))
	t.At = map[string]int{}
	disk, handed := NewDisk(), map[uint64][32]byte{}
	for ctx.Err() == nil && (c.Crashes == 0 || t.Crashes < c.Crashes) {
		if rng.IntN(8) == 0 { // Small again: each life reads all of it. And the first start is where much can go wrong.
			disk, handed = NewDisk(), map[uint64][32]byte{}
		}
		if rng.IntN(6) == 0 {
			if err := forgetTree(disk, c); err != nil {
				return t, err
			}
			t.Rebuilds++
		}
		l := newSignLife(disk, c.Dir, rng, handed)
		if err := l.run(ctx, c, rng, &t); err != nil && !errors.Is(err, errKilled) && !(l.failed.Load() && strings.Contains(err.Error(), "injected")) {
			return t, fmt.Errorf("after %d power losses: %w", t.Crashes, err)
		}
		l.blow("closed")
		t.Crashes++
		t.At[l.at]++
		disk, handed = l.after, l.kept
		if c.Each != nil {
			c.Each(t.Crashes, t.Verified)
		}
	}
	return t, nil
}

// forgetTree deletes what the register can make again.
func forgetTree(disk *Disk, c CheckpointsConfig) error {
	names, err := disk.List(c.Dir)
	if err != nil {
		return nil // There is none yet.
	}
	for _, name := range names {
		if name != c.Kept {
			err = errors.Join(err, disk.Remove(disk.PathJoin(c.Dir, name)))
		}
	}
	d, oerr := disk.OpenDir(c.Dir)
	if oerr != nil {
		return oerr
	}
	return errors.Join(err, d.Sync(), d.Close())
}

// signLife is one life of a log and its register on a disk that loses power once.
type signLife struct {
	fuse
	mu     sync.Mutex
	handed map[uint64][32]byte // Handed out,
	kept   map[uint64][32]byte // until the power was lost.
	clock  time.Time
}

func newSignLife(disk *Disk, dir string, rng *rand.Rand, handed map[uint64][32]byte) *signLife {
	l := &signLife{fuse: fuse{disk: disk, loss: rng.Uint64(), place: signPlace}, handed: maps.Clone(handed), clock: time.Unix(1_700_000_000, 0)}
	l.taken = func() func() {
		l.mu.Lock()
		l.kept = maps.Clone(l.handed)
		return l.mu.Unlock
	}
	l.left.Store(int64(1 + rng.IntN(opsOfSigning)))
	if rng.IntN(3) > 0 { // Else the log's operations count, too, which are many.
		l.spare = func(op errorfs.Op) bool { return !strings.HasPrefix(op.Path, dir) }
		l.left.Store(int64(1 + rng.IntN(opsOfSigning/2)))
		l.fails = rng.IntN(5) == 0
		l.stays = rng.IntN(2) == 0
	}
	if rng.IntN(3) == 0 {
		l.left.Store(int64(1 + rng.IntN(opsOfStarting)))
	}
	l.kill = !l.fails && rng.IntN(4) == 0
	return l
}

func signPlace(op errorfs.Op) string {
	if strings.HasPrefix(op.Path, logDir) {
		return place(op)
	}
	return strings.TrimSuffix(op.Path[strings.LastIndexByte(op.Path, '/')+1:], ".next")
}

// now is a clock by which it is always time for a checkpoint.
func (l *signLife) now() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.clock = l.clock.Add(time.Second)
	return l.clock
}

func (l *signLife) run(ctx context.Context, c CheckpointsConfig, rng *rand.Rand, t *CheckpointsTally) (err error) {
	l.phase.Store("open")
	fs := l.fs()
	log, err := c.Log(fs)
	if err != nil {
		return fmt.Errorf("open the log: %w", err)
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	r, err := c.Open(fs, log, l.now)
	if err != nil {
		return fmt.Errorf("open the register: %w", err)
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	if err := l.verify(c, r, t); err != nil {
		return err
	}
	if err := c.Verify(ctx, fs, log); err != nil {
		return err
	}
	l.phase.Store("run")
	running, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- r.Run(running) }()
	err = l.work(ctx, c, r, log, rng, ended)
	stop()
	l.hand(c.Signed(r))
	return errors.Join(err, <-ended)
}

// verify holds the register to what was handed out before.
func (l *signLife) verify(c CheckpointsConfig, r Signer, t *CheckpointsTally) error {
	l.mu.Lock()
	handed := maps.Clone(l.handed)
	l.mu.Unlock()
	now, _ := c.Signed(r)
	for size, root := range handed {
		if size > now {
			return fmt.Errorf("LOST: a checkpoint of %d was handed out, now there is one of %d", size, now)
		}
		if got, err := r.RootAt(size); err != nil || got != root {
			return fmt.Errorf("CHANGED: the root of %d leaves is another than the one handed out, or %w", size, err)
		}
		if err := tilesLeadTo(r, size, root); err != nil {
			return fmt.Errorf("LOST: the tiles of %d leaves: %w", size, err)
		}
		t.Verified++
	}
	return nil
}

// tileReader reads the tiles of a register as an outsider does: a partial one that is gone by now is part of the full one.
type tileReader struct{ r Signer }

const tileHeight = 8 // C2SP tlog-tiles.

// Height implements tlog.TileReader.
func (tileReader) Height() int { return tileHeight }

// SaveTiles implements tlog.TileReader.
func (tileReader) SaveTiles([]tlog.Tile, [][]byte) {}

// ReadTiles implements tlog.TileReader.
func (t tileReader) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var out [][]byte
	for _, tile := range tiles {
		want := tile.W * len(tlog.Hash{})
		b, err := t.r.Tile(tilePath(tile))
		if err != nil && tile.W < 1<<tileHeight {
			tile.W = 1 << tileHeight
			whole, werr := t.r.Tile(tilePath(tile))
			if b = whole; werr != nil {
				err = errors.Join(err, werr)
			} else {
				err = nil
			}
		}
		if err != nil || len(b) < want {
			return nil, fmt.Errorf("tile %s: %d bytes, %w", tilePath(tile), len(b), err)
		}
		out = append(out, b[:want])
	}
	return out, nil
}

func tilePath(t tlog.Tile) string {
	return strings.TrimPrefix(t.Path(), fmt.Sprintf("tile/%d/", tileHeight))
}

// tilesLeadTo tells whether the tiles of the first and the last leaf have the root.
func tilesLeadTo(r Signer, size uint64, root [32]byte) error {
	if size == 0 {
		return nil
	}
	tree := tlog.Tree{N: int64(size), Hash: root}
	_, err := tlog.TileHashReader(tree, tileReader{r}).ReadHashes([]int64{tlog.StoredHashIndex(0, 0), tlog.StoredHashIndex(0, tree.N-1)})
	return err
}

// work appends and takes what is signed, until the power has failed or enough was appended.
func (l *signLife) work(ctx context.Context, c CheckpointsConfig, r Signer, log Log, rng *rand.Rand, ended chan error) error {
	for n := range 1 + rng.IntN(batchesMax) {
		size := 1 + rng.IntN(12)
		if rng.IntN(4) == 0 {
			size = 200 + rng.IntN(200) // A tile becomes full, and its hash goes up a level.
		}
		res, err := log.Append(context.WithoutCancel(ctx), streamName(n%3), eventstore.AnyRevision, newEvents(rng, size, 40)...)
		if err != nil {
			return err
		}
		head, err := log.Head(ctx)
		if err != nil || head.Position < res.Position {
			return errors.Join(err, fmt.Errorf("LOST: the head is at %d, an append at %d", head.Position, res.Position))
		}
		for began := time.Now(); ; time.Sleep(50 * time.Microsecond) {
			signed, root := c.Signed(r)
			if l.hand(signed, root); signed >= head.Events || rng.IntN(3) == 0 {
				break
			}
			if len(ended) > 0 || l.dead.Load() || ctx.Err() != nil {
				return nil
			}
			if time.Since(began) > signMax {
				return fmt.Errorf("HANGS: %d of %d events signed", signed, head.Events)
			}
		}
		if l.dead.Load() {
			return nil
		}
	}
	return nil
}

// hand takes the checkpoint of now, as somebody outside would.
func (l *signLife) hand(size uint64, root [32]byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if was, ok := l.handed[size]; ok && was != root {
		root = [32]byte{} // No tree has it: the next look says that it changed.
	}
	l.handed[size] = root
	for old := range l.handed {
		if len(l.handed) <= handedMax {
			return
		}
		if old != size {
			delete(l.handed, old)
		}
	}
}
