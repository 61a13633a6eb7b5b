package folder_test

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"zujian/eventstore/folder"
)

// TestLock: one at a time, and whoever can't is told why.
func TestLock(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "LOCK")
	first, err := folder.Lock(vfs.Default, file)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := folder.Lock(vfs.Default, file); !errors.Is(err, folder.ErrInUse) {
		t.Errorf("a second one got %v", err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := folder.Lock(vfs.Default, file)
	if err != nil {
		t.Fatalf("after the first: %v", err)
	}
	if err := again.Close(); err != nil {
		t.Error(err)
	}
}

// TestLockReadOnly: a disk mounted for reading alone is not "in use".
func TestLockReadOnly(t *testing.T) {
	t.Parallel()
	readOnly := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		return &os.PathError{Op: "open", Path: op.Path, Err: syscall.EROFS}
	}))
	for name, disk := range map[string]vfs.FS{"a disk for reading alone": readOnly, "no folder": vfs.Default} {
		_, err := folder.Lock(disk, filepath.Join(t.TempDir(), "none", "LOCK"))
		if !errors.Is(err, folder.ErrClosedToUs) || errors.Is(err, folder.ErrInUse) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestSync names the folder that is not there.
func TestSync(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := folder.Sync(vfs.Default, dir); err != nil {
		t.Error(err)
	}
	if err := folder.Sync(vfs.Default, filepath.Join(dir, "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}
