package seal

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/cockroachdb/pebble/v2/vfs"

	folders "zujian/eventstore/folder"
)

// folder is a key folder on its file system.
type folder struct {
	fs  vfs.FS
	dir string
}

const (
	privateFile   = 0o600
	privateFolder = 0o700
)

// keyFolder is the key folder of a data folder.
func keyFolder(fs vfs.FS, dir string) folder { return folder{fs, fs.PathJoin(dir, "keys")} }

func (d folder) path(name string) string { return d.fs.PathJoin(d.dir, name) }

func (d folder) exists(name string) (bool, error) {
	_, err := d.fs.Stat(d.path(name))
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// open opens a file for reading and writing, and makes it if it is missing. Only its owner may read it.
func (d folder) open(name string) (vfs.File, error) {
	there, err := d.exists(name)
	if err != nil {
		return nil, err
	}
	f, err := d.fs.OpenReadWrite(d.path(name), "keys")
	if err == nil && !there {
		if err = d.hide(f, name); err != nil {
			return nil, errors.Join(err, f.Close())
		}
	}
	return f, err
}

// lock takes the folder for this process.
func (d folder) lock() (io.Closer, error) {
	const name = "lock"
	there, err := d.exists(name)
	if err != nil {
		return nil, err
	}
	if !there { // Never open one that is there: closing it again would give a lock away that this process has.
		f, err := d.open(name)
		if err != nil {
			return nil, err
		}
		if err := f.Close(); err != nil {
			return nil, err
		}
	}
	return folders.Lock(d.fs, d.path(name))
}

// hide takes a fresh file from all but its owner. The folder let nobody else in meanwhile.
func (d folder) hide(f vfs.File, name string) error {
	if f.Fd() == vfs.InvalidFd {
		return nil // Not on a disk.
	}
	return os.Chmod(d.path(name), privateFile)
}

// exposed tells whether others than its owner may read a file, and its mode.
func (d folder) exposed(name string) (os.FileMode, bool) {
	f, err := d.fs.Open(d.path(name))
	if err != nil {
		return 0, false // Whoever reads it will say so.
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || f.Fd() == vfs.InvalidFd {
		return 0, false
	}
	return info.Mode().Perm(), info.Mode().Perm()&0o077 != 0
}

// read reads a file whole; the error is os.ErrNotExist if there is none.
func (d folder) read(name string) ([]byte, error) {
	f, err := d.fs.Open(d.path(name))
	if err != nil {
		return nil, err
	}
	data, err := readAll(f)
	return data, errors.Join(err, f.Close())
}

func readAll(f vfs.File) ([]byte, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	data := make([]byte, info.Size())
	n, err := f.ReadAt(data, 0)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return data[:n], err
}

// write writes a file whole and durably: temporary file, sync, rename, sync of the folder.
func (d folder) write(name string, data []byte) error {
	return d.writeBy(name, func(vfs.File) []byte { return data })
}

// writeBy is write of what the file itself is asked for.
func (d folder) writeBy(name string, data func(vfs.File) []byte) error {
	path := d.path(name)
	if err := (folders.File{Path: path, By: data, Mode: privateFile, Next: path + ".tmp", Category: "keys"}).Write(d.fs); err != nil {
		return fmt.Errorf("seal: %w", err)
	}
	return nil
}

// sync makes the names in the folder durable.
func (d folder) sync() error { return folders.Sync(d.fs, d.dir) }
