package folder_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"zujian/eventstore/folder"
)

// TestWriteIsWholeAndDurable fails each operation of a write, one at a time: the file there was is left, or the new one is there. Once it
// is acknowledged a power loss that takes all that was not synced leaves it.
func TestWriteIsWholeAndDurable(t *testing.T) {
	for _, full := range []bool{false, true} {
		failed := errors.New("injected")
		if full {
			failed = syscall.ENOSPC
		}
		for at := int32(0); ; at++ {
			mem := vfs.NewCrashableMem()
			if err := mem.MkdirAll("dir", 0o700); err != nil {
				t.Fatal(err)
			}
			if err := errors.Join((folder.File{Path: "dir/file", Data: []byte("before")}).Write(mem), folder.Sync(mem, ""), folder.Sync(mem, "dir")); err != nil {
				t.Fatal(err)
			}
			n, hit, renamed := int32(0), false, false
			disk := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
				if n++; n-1 == at {
					hit = true
					return failed
				}
				renamed = renamed || op.Kind == errorfs.OpRename
				return nil
			}))
			err := folder.File{Path: "dir/file", Data: []byte("after")}.Write(disk)
			after := mem.CrashClone(vfs.CrashCloneCfg{})
			got, rerr := folder.Read(after, "dir/file")
			switch {
			case rerr != nil:
				t.Errorf("operation %d failed: %v", at, rerr)
			case err == nil && string(got) != "after":
				t.Errorf("operation %d failed: acknowledged, and after a power loss it is %q", at, got)
			case err != nil && string(got) != "before" && string(got) != "after":
				t.Errorf("operation %d failed: it is %q", at, got)
			case full && hit && err != nil && vfs.IsNoSpaceError(err) == renamed:
				t.Errorf("operation %d found the disk full, renamed %v, and it is said: %v", at, renamed, err)
			}
			if !hit {
				if err != nil || at < 5 {
					t.Errorf("unharmed, %d operations: %v", n, err)
				}
				break
			}
		}
	}
}

// TestWriteIsForItsOwner: nobody else reads what is to be secret, not even while it is written; a left-over of a killed process
// is no hindrance.
func TestWriteIsForItsOwner(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path+".next", []byte("torn"), 0o644); err != nil {
		t.Fatal(err)
	}
	var during os.FileMode
	w := folder.File{Path: path, Mode: 0o600, By: func(vfs.File) []byte {
		if info, err := os.Stat(path + ".next"); err == nil {
			during = info.Mode().Perm()
		}
		return bytes.Repeat([]byte("x"), 100)
	}}
	if err := w.Write(folder.Real()); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 || during != 0o600 || info.Size() != 100 {
		t.Errorf("%v, %v while it was written, %v", info, during, err)
	}
}
