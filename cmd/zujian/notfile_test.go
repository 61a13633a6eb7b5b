package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestPipesAreNamed puts a pipe in the place of each file of a data folder, one at a time. Whoever opens one waits for a
// writer who never comes: so none is opened. Either it is named and the folder refused, or nobody needs what was there.
func TestPipesAreNamed(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a real process")
	}
	data := closedFolder(t)
	var files []string
	err := filepath.WalkDir(data, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			files = append(files, path)
			return err
		}
		if d.Name() == "index" || d.Name() == "views" { // Made again from the log.
			return fs.SkipDir
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	refused := 0
	for _, path := range files {
		name, _ := filepath.Rel(data, path)
		kept := filepath.Join(t.TempDir(), "kept")
		if err := os.Rename(path, kept); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Mkfifo(path, 0o600); err != nil {
			t.Fatal(err)
		}
		args := []string{"verify", "--log-only", "--data", data}
		if name == "clock" {
			args = []string{"keys", "issue", "--role", "auditor", "--data", data}
		}
		var out, errs lockedBuffer
		done := make(chan int, 1)
		go func() { done <- run(t.Context(), args, &out, &errs) }()
		select {
		case code := <-done:
			unread := filepath.Base(name) == "ballast" || name == "first-key.json" || name == "register/LOCK"
			named := strings.Contains(errs.String(), name+" is not a file but a pipe")
			if named && code == exitFailed {
				refused++
			} else if !unread || code != 0 {
				t.Errorf("%s: exit %d\n%s", name, code, errs.String())
			}
		case <-time.After(time.Minute):
			t.Fatalf("%s: %s waits for a writer\n%s", name, args[0], errs.String())
		}
		if err := os.Rename(kept, path); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d files, %d refused", len(files), refused)
}
