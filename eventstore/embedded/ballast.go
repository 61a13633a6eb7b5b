package embedded

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"zujian/eventstore"
)

const (
	ballastName  = "ballast"
	ballastShare = 4           // The ballast is this part of ReserveBytes.
	ballastPoll  = time.Second // Between two looks at the free space.
)

// space watches the free space of the log's disk. When it falls below the reserve, appends are refused and the ballast,
// a file of zeroes, is given back, so that reading goes on, the index and the views can be written down, and an operator
// can act. When there is room for reserve and ballast again, and as much more so that it does not flutter, the ballast
// is made again and appends are taken.
type space struct {
	disk    vfs.FS // As it is: what the ballast is taken from.
	stop    chan struct{}
	mu      sync.Mutex // Held while looking.
	ballast bool
	said    error // The last failure that was logged.
}

// refuse returns ErrFull while the disk has no room to spare.
func (s *Store) refuse() error {
	if s.full.Load() {
		return fmt.Errorf("%w: less than %d bytes are free", eventstore.ErrFull, s.opts.ReserveBytes)
	}
	return nil
}

// watchRoom runs the goroutine that looks at the free space.
func (s *Store) watchRoom() {
	tick := time.NewTicker(ballastPoll)
	defer tick.Stop()
	for {
		s.look(true)
		select {
		case <-s.space.stop:
			return
		case <-tick.C:
		}
	}
}

// Disk is the file system for what else is kept on the log's disk: a write that finds it full is tried again when the
// ballast was given back.
func (s *Store) Disk() vfs.FS { return s.opts.FS }

// diskFull is called in the middle of a write that found no room, and should make some.
func (s *Store) diskFull() {
	s.full.Store(true)
	s.space.mu.Lock()
	defer s.space.mu.Unlock()
	err := s.giveBack()
	s.opts.Logger.Error("the disk is full: appends are refused, reading goes on", slog.Any("err", err))
}

func (s *Store) giveBack() error {
	s.space.ballast = false
	if err := s.space.disk.Remove(s.space.disk.PathJoin(s.opts.Dir, ballastName)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// look holds the store to the free space as it is now. Without making, it only gives up: making takes time.
func (s *Store) look(making bool) {
	s.space.mu.Lock()
	defer s.space.mu.Unlock()
	usage, err := s.space.disk.GetDiskUsage(s.opts.Dir)
	if err != nil {
		s.said("free space can't be read; the disk may fill up", err)
		return
	}
	size := s.opts.ReserveBytes / ballastShare
	free := int64(min(usage.AvailBytes, 1<<62))
	switch {
	case free < s.opts.ReserveBytes:
		if !s.full.Swap(true) {
			s.opts.Logger.Error("the disk is almost full: appends are refused, reading goes on",
				slog.Int64("free_bytes", free), slog.Int64("reserve_bytes", s.opts.ReserveBytes))
		}
		err = s.giveBack()
	case !making, s.full.Load() && free < s.opts.ReserveBytes+2*size:
		return
	case !s.space.ballast:
		if err = makeBallast(s.space.disk, s.space.disk.PathJoin(s.opts.Dir, ballastName), size); err == nil {
			s.space.ballast = true
		}
	}
	if err != nil {
		s.said("the ballast file", err)
		return
	}
	if free >= s.opts.ReserveBytes && s.full.Swap(false) {
		s.opts.Logger.Warn("the disk has room again: appends are taken", slog.Int64("free_bytes", free))
	}
}

func (s *Store) said(what string, err error) {
	if s.space.said == nil || s.space.said.Error() != err.Error() {
		s.opts.Logger.Error(what, slog.Any("err", err))
	}
	s.space.said = err
}

// makeBallast writes the file, unless it is there in its size. It holds no data, so nothing of it is synced but its room.
func makeBallast(disk vfs.FS, path string, size int64) error {
	if info, err := disk.Stat(path); err == nil && info.Size() == size {
		return nil
	}
	f, err := disk.Create(path, writeCategory)
	if err != nil {
		return err
	}
	zeroes := make([]byte, min(size, zeroChunk))
	for left := size; left > 0 && err == nil; left -= int64(len(zeroes)) {
		_, err = f.Write(zeroes[:min(left, int64(len(zeroes)))])
	}
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(err, disk.Remove(path))
	}
	return nil
}
