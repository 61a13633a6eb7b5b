package embedded

import (
	"syscall"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// mapFile maps the first size bytes of a file of the real disk for reading, or returns nil: then it is read with
// pread. Linux keeps a mapping and writes to the same file coherent, so the last segment may be mapped too.
func mapFile(f vfs.File, size int64) []byte {
	fd := f.Fd()
	if fd == vfs.InvalidFd || size <= 0 || int64(int(size)) != size {
		return nil
	}
	data, err := syscall.Mmap(int(fd), 0, int(size), syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		return nil
	}
	return data
}

func unmapFile(data []byte) error {
	if data == nil {
		return nil
	}
	return syscall.Munmap(data)
}
