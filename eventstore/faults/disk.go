package faults

import (
	"io"
	"math/rand/v2"
	"strings"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"zujian/eventstore/folder"
)

// Survival are the shares of unsynced data, in percent, that a power loss may leave.
var Survival = [...]int{0, 10, 50, 90, 100}

// Disk is a file system in memory that may lose power at any moment. MemFS takes its clone lock twice in the three
// calls wrapped here, which hangs when a clone is asked for in between.
type Disk struct {
	*vfs.MemFS
	mu sync.RWMutex
}

// FS is the file system a log is opened on.
type FS = vfs.FS

// Real is the machine's file system.
func Real() FS { return folder.Real() }

// NewDisk is an empty disk.
func NewDisk() *Disk { return &Disk{MemFS: vfs.NewCrashableMem()} }

// Lock implements vfs.FS.
func (d *Disk) Lock(name string) (io.Closer, error) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.MemFS.Lock(name)
}

// Link implements vfs.FS.
func (d *Disk) Link(from, to string) error {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.MemFS.Link(from, to)
}

// ReuseForWrite implements vfs.FS.
func (d *Disk) ReuseForWrite(from, to string, c vfs.DiskWriteCategory) (vfs.File, error) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.MemFS.ReuseForWrite(from, to, c)
}

// PowerLoss returns the disk as a power loss at this moment would leave it, with percent of what was not synced.
func (d *Disk) PowerLoss(percent int, rng *rand.Rand) *Disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	return &Disk{MemFS: d.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: rng})}
}

// Times counts the power losses of a tally whose place has this in its name.
func Times(at map[string]int, place string) (n int) {
	for name, times := range at {
		if strings.Contains(name, place) {
			n += times
		}
	}
	return n
}

// Kinds are the kinds of operations that Errors makes fail, by name.
var Kinds = []string{"write", "sync", "read", "open", "create", "rename", "remove", "list"}

// Kind names the kind of an operation; "" for what does not reach the disk, or can't fail in a way that matters.
func Kind(op errorfs.Op) string {
	switch op.Kind {
	case errorfs.OpFileWrite, errorfs.OpFileWriteAt, errorfs.OpFilePreallocate:
		return "write"
	case errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo, errorfs.OpFileFlush:
		return "sync"
	case errorfs.OpFileRead, errorfs.OpFileReadAt:
		return "read"
	case errorfs.OpOpen, errorfs.OpOpenDir:
		return "open"
	case errorfs.OpCreate, errorfs.OpMkdirAll, errorfs.OpLink, errorfs.OpReuseForWrite:
		return "create"
	case errorfs.OpRename:
		return "rename"
	case errorfs.OpRemove, errorfs.OpRemoveAll:
		return "remove"
	case errorfs.OpList, errorfs.OpStat, errorfs.OpFileStat:
		return "list"
	}
	return ""
}

// changes tells whether a power loss before op may leave something else than one after it.
func changes(op errorfs.Op) bool {
	switch Kind(op) {
	case "write", "sync", "create", "rename", "remove":
		return true
	}
	return false
}

// place says in what kind of file the operation is: "index", "spare" (the next segment, and its renaming) or "log".
func place(op errorfs.Op) string {
	switch {
	case strings.Contains(op.Path, "index"):
		return "index"
	case strings.Contains(op.Path, ".tmp"):
		return "spare"
	}
	return "log"
}
