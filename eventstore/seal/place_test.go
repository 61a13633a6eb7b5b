package seal_test

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"zujian/eventstore/seal"
)

// TestCopied tells a key folder that was copied file by file from the one in use, wherever that is moved to.
func TestCopied(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("no other system says when a file was made")
	}
	dir := t.TempDir()
	here, there := filepath.Join(dir, "here"), filepath.Join(dir, "there")
	copied := func(where string, want bool, settle bool) {
		t.Helper()
		v, err := seal.Open(where, seal.Options{Now: time.Now})
		if err != nil {
			t.Fatal(err)
		}
		if got := v.Copied(); got != want {
			t.Errorf("%s: copied %v, want %v", where, got, want)
		}
		if settle {
			if err := v.Settle(); err != nil || v.Copied() {
				t.Errorf("settle: %v", err)
			}
		}
		if err := v.Close(); err != nil {
			t.Fatal(err)
		}
	}
	copied(here, false, false)
	if _, err := os.Stat(filepath.Join(here, "keys", "place")); err != nil {
		t.Skipf("this disk does not say when a file was made: %v", err)
	}
	copied(here, false, false)
	if err := os.CopyFS(there, os.DirFS(here)); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(there, "keys", "kek"), 0o600); err != nil {
		t.Fatal(err)
	}
	copied(here, false, false)
	copied(there, true, false)
	copied(there, true, true) // Looking is not settling.
	copied(there, false, false)
	if err := os.Rename(there, filepath.Join(dir, "moved")); err != nil {
		t.Fatal(err)
	}
	copied(filepath.Join(dir, "moved"), false, true)
	copied(filepath.Join(dir, "moved"), false, false)
	apart := filepath.Join(dir, "apart")
	if _, err := seal.CopyKeys(here, filepath.Join(apart, "keys")); err != nil {
		t.Fatal(err)
	}
	copied(apart, false, false) // It knows nobody.
	v, err := seal.Open(here, seal.Options{Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v.Seal(t.Context(), "张三", "party-1", "name", "张三"); err != nil {
		t.Fatal(err)
	}
	byHand := filepath.Join(dir, "by hand")
	if _, err := seal.CopyKeys(here, filepath.Join(byHand, "keys")); err != nil {
		t.Fatal(err)
	}
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}
	copied(byHand, true, false)
	copied(byHand, true, true)
	copied(byHand, false, false)
}
