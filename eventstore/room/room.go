// Package room keeps room on a disk. It looks at the free space beside a folder, says when there is none to spare, and holds
// a ballast there, a file of zeroes that is given back when the disk is full: so that what is under way can be written down
// and an operator can act. Log, register and keys use it, each for the disk that its folder is on. It decides nothing:
// what is refused meanwhile is its users' to say.
package room

import (
	"errors"
	"io/fs"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"zujian/eventstore/folder"
)

const (
	// Ballast is the name of the file, in the folder.
	Ballast  = "ballast"
	poll     = time.Second // Between two looks at the free space.
	piece    = 1 << 20     // Zeroes written at once.
	category = "ballast"
)

// Options are what is kept, where. Dir is mandatory.
type Options struct {
	FS      vfs.FS // The real disk if nil.
	Dir     string // It need not be there yet.
	Reserve int64  // Bytes left free: below it the disk counts as full, and the ballast is given back. 0: only when a write fails.
	Ballast int64  // Bytes of the ballast; 0 is none.
	Logger  *slog.Logger
	Full    string // What the log says of a full disk,
	Again   string // and of room that is there again.
}

// Room watches one folder's disk until Close.
type Room struct {
	o       Options
	full    atomic.Bool
	fs      vfs.FS
	stop    chan struct{}
	watcher sync.WaitGroup

	mu      sync.Mutex // Held while looking.
	ballast bool
	said    error // The last failure that was logged.
}

// New is the room on the disk of o.Dir, as it is now. Nothing is written before Watch.
func New(o Options) *Room {
	if o.FS == nil {
		o.FS = folder.Real()
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	r := &Room{o: o, stop: make(chan struct{})}
	r.fs = vfs.OnDiskFull(o.FS, r.diskFull)
	if o.Reserve > 0 {
		r.look(false)
	}
	return r
}

// Watch makes the ballast, and looks at the free space each second until Close.
func (r *Room) Watch() { r.watcher.Go(r.watch) }

// Close ends the watch. The ballast stays.
func (r *Room) Close() {
	close(r.stop)
	r.watcher.Wait()
}

// Disk is the file system for what is kept on this disk: a write that finds it full is tried again when the ballast was
// given back.
func (r *Room) Disk() vfs.FS { return r.fs }

// Full tells whether there was no room to spare when it was last looked.
func (r *Room) Full() bool { return r.full.Load() }

func (r *Room) watch() {
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for {
		r.look(true)
		select {
		case <-r.stop:
			return
		case <-tick.C:
		}
	}
}

// diskFull is called in the middle of a write that found no room, and should make some.
func (r *Room) diskFull() {
	already := r.full.Swap(true)
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.giveBack(); err != nil || !already {
		r.o.Logger.Error("the disk is full: "+r.o.Full, slog.String("folder", r.o.Dir), slog.Any("err", err))
	}
}

func (r *Room) giveBack() error {
	r.ballast = false
	if err := r.o.FS.Remove(r.path()); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func (r *Room) path() string { return r.o.FS.PathJoin(r.o.Dir, Ballast) }

// look holds the room to the free space as it is now. Without making, it only gives up: making takes time. A disk that was
// full has room again when there is enough for reserve and ballast, and as much more, so that it does not flutter.
func (r *Room) look(making bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	usage, err := r.o.FS.GetDiskUsage(r.o.Dir)
	if err != nil {
		r.fault("free space can't be read; the disk may fill up", err)
		return
	}
	free := int64(min(usage.AvailBytes, 1<<62))
	switch {
	case free < r.o.Reserve:
		if !r.full.Swap(true) {
			r.o.Logger.Error("the disk is almost full: "+r.o.Full, slog.String("folder", r.o.Dir),
				slog.Int64("free_bytes", free), slog.Int64("reserve_bytes", r.o.Reserve))
		}
		err = r.giveBack()
	case !making, (r.full.Load() || r.o.Reserve == 0 && !r.ballast) && free < r.o.Reserve+2*r.o.Ballast:
		return
	case !r.ballast:
		if err = r.make(); err == nil {
			r.ballast = true
		}
	}
	if err != nil {
		r.fault("the ballast file", err)
		return
	}
	if free >= r.o.Reserve && r.full.Swap(false) {
		r.o.Logger.Warn("the disk has room again: "+r.o.Again, slog.String("folder", r.o.Dir), slog.Int64("free_bytes", free))
	}
}

func (r *Room) fault(what string, err error) {
	if r.said == nil || r.said.Error() != err.Error() {
		r.o.Logger.Error(what, slog.String("folder", r.o.Dir), slog.Any("err", err))
	}
	r.said = err
}

// make writes the ballast, unless it is there in its size. It holds no data, so nothing of it is synced but its room.
func (r *Room) make() error {
	path := r.path()
	if info, err := r.o.FS.Stat(path); r.o.Ballast == 0 || err == nil && info.Size() == r.o.Ballast {
		return nil
	}
	f, err := r.o.FS.Create(path, category)
	if err != nil {
		return err
	}
	zeroes := make([]byte, min(r.o.Ballast, piece))
	for left := r.o.Ballast; left > 0 && err == nil; left -= int64(len(zeroes)) {
		_, err = f.Write(zeroes[:min(left, int64(len(zeroes)))])
	}
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(err, r.o.FS.Remove(path))
	}
	return nil
}
