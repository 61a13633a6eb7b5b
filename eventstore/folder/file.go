package folder

import (
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// ErrNotFile means that something else has the name of a file: a folder, a pipe, a socket, a device. Whoever opened it
// might wait for ever, or never come to its end.
var ErrNotFile = errors.New("is not a file")

// Real is the machine's file system, which opens files and nothing else in their place. A link to a file is one.
func Real() vfs.FS { return real{vfs.Default} }

type real struct{ vfs.FS }

// Open implements vfs.FS.
func (r real) Open(name string, o ...vfs.OpenOption) (vfs.File, error) {
	if err := r.isFile(name); err != nil {
		return nil, err
	}
	return r.FS.Open(name, o...)
}

// OpenReadWrite implements vfs.FS.
func (r real) OpenReadWrite(name string, c vfs.DiskWriteCategory, o ...vfs.OpenOption) (vfs.File, error) {
	if err := r.isFile(name); err != nil {
		return nil, err
	}
	f, err := r.FS.OpenReadWrite(name, c, o...)
	if err != nil {
		return nil, err
	}
	return syncedApart{f, new(pace)}, nil
}

// ReuseForWrite implements vfs.FS.
func (r real) ReuseForWrite(old, name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if err := r.isFile(old); err != nil {
		return nil, err
	}
	return r.FS.ReuseForWrite(old, name, c)
}

// Lock implements vfs.FS.
func (r real) Lock(name string) (io.Closer, error) {
	if err := r.isFile(name); err != nil {
		return nil, err
	}
	return r.FS.Lock(name)
}

// Unwrap implements vfs.FS.
func (r real) Unwrap() vfs.FS { return r.FS }

// isFile refuses what is there and no file.
func (r real) isFile(name string) error {
	info, err := r.Stat(name)
	if err != nil || info.Mode().IsRegular() {
		return nil // Who opens it says what is wrong.
	}
	return fmt.Errorf("%s %w but %s: move it away, and put back the file that was there", name, ErrNotFile, kindOf(info.Mode()))
}

func kindOf(mode fs.FileMode) string {
	switch {
	case mode.IsDir():
		return "a folder"
	case mode&fs.ModeNamedPipe != 0:
		return "a pipe"
	case mode&fs.ModeSocket != 0:
		return "a socket"
	case mode&fs.ModeDevice != 0:
		return "a device"
	}
	return mode.Type().String()
}

// readMax is the most that Read takes: no file that is read whole comes near it.
const readMax = 64 << 20

// Read reads a file whole. The error is fs.ErrNotExist if there is none.
func Read(disk vfs.FS, path string) ([]byte, error) {
	f, err := disk.Open(path)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(f, readMax+1))
	if err == nil && len(data) > readMax {
		err = fmt.Errorf("%s has more than %d bytes, which no file of this kind has", path, readMax)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	return data, nil
}
