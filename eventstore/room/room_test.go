package room

import (
	"errors"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// TestRoom looks at a disk as it fills and empties: below the reserve there is no room and the ballast is given back; the
// ballast's own room is not taken for new; with room for both, and as much more, it is made again.
func TestRoom(t *testing.T) {
	t.Parallel()
	const reserve, ballast = 4 << 20, 1 << 20
	disk := vfs.NewMem()
	free := func(n uint64) { disk.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: n, TotalBytes: 1 << 30}) }
	if err := disk.MkdirAll("log", 0o750); err != nil {
		t.Fatal(err)
	}
	has := func() bool {
		info, err := disk.Stat("log/" + Ballast)
		return err == nil && info.Size() == ballast
	}
	free(reserve)
	r := New(Options{FS: disk, Dir: "log", Reserve: reserve, Ballast: ballast})
	for n, step := range []struct {
		free       uint64
		full, kept bool
	}{
		{reserve, false, true},
		{reserve - 1, true, false},
		{reserve + ballast, true, false}, // Or it would flutter.
		{reserve + 2*ballast, false, true},
		{1, true, false},
	} {
		free(step.free)
		r.look(true)
		if r.Full() != step.full || has() != step.kept {
			t.Errorf("look %d, %d bytes free: full %v, ballast %v", n, step.free, r.Full(), has())
		}
	}
	free(reserve - 1)
	if r := New(Options{FS: disk, Dir: "log", Reserve: reserve, Ballast: ballast}); !r.Full() {
		t.Error("a new room on a full disk says there is room")
	}
}

// TestWriteOnAFullDisk: a write that finds no room has the ballast given back and is tried again, and without a reserve
// nothing else gives it back.
func TestWriteOnAFullDisk(t *testing.T) {
	t.Parallel()
	const ballast = 64 << 10
	mem := vfs.NewMem()
	free := func(n uint64) { mem.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: n, TotalBytes: 1 << 30}) }
	if err := mem.MkdirAll("register", 0o750); err != nil {
		t.Fatal(err)
	}
	full := false
	disk := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if _, err := mem.Stat("register/" + Ballast); full && err == nil && op.Path == "register/x" && op.Kind == errorfs.OpFileWrite {
			return syscall.ENOSPC
		}
		return nil
	}))
	free(3 * ballast)
	r := New(Options{FS: disk, Dir: "register", Ballast: ballast})
	r.look(true)
	full = true
	free(0)
	r.look(true)
	if _, err := mem.Stat("register/" + Ballast); err != nil || r.Full() {
		t.Fatalf("before any write failed: ballast %v, full %v", err, r.Full())
	}
	f, err := r.Disk().Create("register/x", "test")
	if err == nil {
		_, err = f.Write([]byte("x"))
	}
	if err = errors.Join(err, f.Close()); err != nil || !r.Full() {
		t.Fatalf("a write on a full disk with a ballast: %v, full %v", err, r.Full())
	}
	if _, err := mem.Stat("register/" + Ballast); err == nil {
		t.Error("the ballast is still there")
	}
	r.look(true)
	if !r.Full() {
		t.Error("a full disk has room")
	}
	free(2 * ballast)
	r.look(true)
	if _, err := mem.Stat("register/" + Ballast); err != nil || r.Full() {
		t.Errorf("with room again: ballast %v, full %v", err, r.Full())
	}
}
