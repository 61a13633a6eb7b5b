package folder_test

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"zujian/eventstore/folder"
)

// TestOnlyFilesAreOpened puts what is no file where one is expected: it is named and refused, at once.
func TestOnlyFilesAreOpened(t *testing.T) {
	dir, disk := t.TempDir(), folder.Real()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("whole"), 0o600); err != nil {
		t.Fatal(err)
	}
	for kind, make := range map[string]func(path string) error{
		"a folder": func(path string) error { return os.Mkdir(path, 0o700) },
		"a pipe":   func(path string) error { return syscall.Mkfifo(path, 0o600) },
		"a socket": func(path string) error {
			l, err := net.Listen("unix", path)
			if err == nil {
				t.Cleanup(func() { _ = l.Close() })
			}
			return err
		},
		"a device": func(path string) error { return os.Symlink("/dev/zero", path) },
	} {
		path := filepath.Join(dir, strings.ReplaceAll(kind, " ", "-"))
		if err := make(path); err != nil {
			t.Fatal(err)
		}
		_, err1 := disk.Open(path)
		_, err2 := disk.OpenReadWrite(path, "")
		_, err3 := disk.Lock(path)
		_, err4 := folder.Read(disk, path)
		_, err5 := folder.Lock(disk, path)
		_, err6 := disk.ReuseForWrite(path, path+".new", "")
		for i, err := range []error{err1, err2, err3, err4, err5, err6} {
			if !errors.Is(err, folder.ErrNotFile) || !strings.Contains(err.Error(), path+" is not a file but "+kind) {
				t.Errorf("%s, way %d: %v", kind, i+1, err)
			}
		}
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(file, link); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{file, link} {
		if got, err := folder.Read(disk, path); err != nil || string(got) != "whole" {
			t.Errorf("read %s: %q, %v", path, got, err)
		}
	}
	if _, err := folder.Read(disk, filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
	if err := os.Truncate(file, 1<<40); err != nil {
		t.Skip("no file this large: ", err)
	}
	if _, err := folder.Read(disk, file); err == nil {
		t.Error("a terabyte was read")
	}
}
