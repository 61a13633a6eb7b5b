package folder_test

import (
	"os"
	"path/filepath"
	"sync"
	"testing"

	"zujian/eventstore/folder"
)

// TestDataAreSynced writes to several files at once: after SyncData no page of theirs waits to be written.
func TestDataAreSynced(t *testing.T) {
	t.Logf("the kernel syncs: %v", folder.SyncsApart())
	dir, disk := t.TempDir(), folder.Real()
	const files, rounds, page = 24, 20, 4096 // More files than syncers are kept.
	var work sync.WaitGroup
	for i := range files {
		work.Go(func() {
			path := filepath.Join(dir, string(rune('a'+i)))
			if err := os.WriteFile(path, nil, 0o600); err != nil {
				t.Error(err)
				return
			}
			f, err := disk.OpenReadWrite(path, "")
			if err != nil {
				t.Error(err)
				return
			}
			for n := range int64(rounds) {
				if _, err := f.WriteAt(make([]byte, page), n*page); err != nil {
					t.Error(err)
				}
				before, known := dirtyPages(f.Fd())
				if err := f.SyncData(); err != nil {
					t.Error(err)
				}
				if after, _ := dirtyPages(f.Fd()); known && before > 0 && after > 0 {
					t.Errorf("%s: %d of %d pages are not written", path, after, before)
				}
			}
			if err := f.Close(); err != nil {
				t.Error(err)
			}
			if f.SyncData() == nil {
				t.Errorf("%s: closed, and synced", path)
			}
		})
	}
	work.Wait()
}
