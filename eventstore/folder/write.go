package folder

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// File is a file as it is to be: [File.Write] puts it whole in the place of the one there was.
type File struct {
	Path     string
	Data     []byte
	By       func(vfs.File) []byte // In place of Data: what is written hangs on the file itself.
	Mode     fs.FileMode           // Of a file on the machine's disk; as others are made if 0.
	Next     string                // Where it is written before it is renamed, in the same folder; Path and ".next" if empty.
	Category vfs.DiskWriteCategory
}

// Write makes the file, durably: written beside, synced, renamed, and its name synced. Whatever ends it on the way leaves the one
// there was, or this one. Only before it is renamed is it said that the disk is full: then which of both is there is known.
func (w File) Write(disk vfs.FS) error {
	if w.Next == "" {
		w.Next = w.Path + ".next"
	}
	renamed, err := w.write(disk)
	switch {
	case err == nil:
		return nil
	case renamed && vfs.IsNoSpaceError(err):
		err = errors.New(err.Error())
	case !renamed:
		_ = disk.Remove(w.Next) // What is wrong has been said.
	}
	return fmt.Errorf("write %s: %w", disk.PathBase(w.Path), err)
}

func (w File) write(disk vfs.FS) (renamed bool, err error) {
	f, err := disk.Create(w.Next, w.Category)
	if err != nil {
		return false, err
	}
	if w.Mode != 0 && f.Fd() != vfs.InvalidFd { // Before there is anything in it.
		err = os.Chmod(w.Next, w.Mode)
	}
	if err == nil {
		data := w.Data
		if w.By != nil {
			data = w.By(f)
		}
		_, err = f.Write(bytes.Clone(data)) // What a file system was given it may scramble; the caller goes on with it.
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = disk.Rename(w.Next, w.Path)
	}
	if err != nil {
		return false, err
	}
	return true, Sync(disk, disk.PathDir(w.Path))
}
