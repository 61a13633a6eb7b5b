// Package folder takes folders on a disk for one process and makes the names in them durable: what log, register, keys and
// witnesses ask of a folder before they believe that what they write there is theirs and stays.
package folder

import (
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/cockroachdb/pebble/v2/vfs"
)

var (
	// ErrInUse means that another process, or another part of this one, has the folder.
	ErrInUse = errors.New("the folder is in use by another process")
	// ErrClosedToUs means that the lock itself could not be written: a disk mounted for reading alone, or somebody else's folder.
	ErrClosedToUs = errors.New("the folder can't be written, and whoever opens it must (a copy can be)")
)

// Lock takes a folder by a file in it, made if it is missing, until it is closed. The error is ErrInUse, ErrClosedToUs or ErrNotFile.
func Lock(disk vfs.FS, file string) (io.Closer, error) {
	lock, err := disk.Lock(file)
	var path *fs.PathError
	switch {
	case err == nil:
		return lock, nil
	case errors.Is(err, ErrNotFile):
		return nil, err
	case errors.As(err, &path):
		return nil, fmt.Errorf("%w: %w", ErrClosedToUs, err)
	}
	return nil, fmt.Errorf("%w: %w", ErrInUse, err)
}

// Sync makes the names in a folder durable: a file whose name was not synced may be gone after a power loss.
func Sync(disk vfs.FS, dir string) error {
	d, err := disk.OpenDir(dir)
	if err != nil {
		return fmt.Errorf("open folder %s: %w", dir, err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("sync folder %s: %w", dir, err)
	}
	return nil
}
