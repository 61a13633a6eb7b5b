package folder

import (
	"syscall"
	"unsafe"
)

// dirtyPages is how many pages of a file wait to be written, by cachestat(2) of Linux 6.5.
func dirtyPages(file uintptr) (n uint64, known bool) {
	const cachestat = 451
	all := [2]uint64{} // From byte 0 to the end.
	var stat struct{ cached, dirty, writing, evicted, lately uint64 }
	_, _, err := syscall.Syscall6(cachestat, file, uintptr(unsafe.Pointer(&all)), uintptr(unsafe.Pointer(&stat)), 0, 0, 0)
	return stat.dirty + stat.writing, err == 0
}
