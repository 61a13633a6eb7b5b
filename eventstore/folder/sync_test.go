package folder

import (
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// TestDataAreSynced writes to several files at once: after they are synced, in each way there is, no page of theirs waits to be
// written.
func TestDataAreSynced(t *testing.T) {
	for name, way := range map[string]func(vfs.File) error{
		"as the pace asks": vfs.File.SyncData,
		"apart": func(f vfs.File) error {
			taken, err := syncApart(f.Fd())
			if !taken && SyncsApart() {
				t.Error("the kernel syncs, but not this file")
			}
			if !taken {
				return f.SyncData()
			}
			return err
		},
	} {
		t.Run(name, func(t *testing.T) { testSync(t, way) })
	}
}

func testSync(t *testing.T, way func(vfs.File) error) {
	t.Logf("the kernel syncs: %v", SyncsApart())
	dir, disk := t.TempDir(), Real()
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
				if err := way(f); err != nil {
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

// TestPace asks for the kernel's workers while syncs take several times as long as they can, and only then.
func TestPace(t *testing.T) {
	var p pace
	sync := func(n int, d time.Duration) {
		for range n {
			p.took(d)
		}
	}
	for i, step := range []struct {
		n    int
		took time.Duration
		busy bool
	}{
		{0, 0, false},
		{1, 150 * time.Microsecond, false},
		{100, 300 * time.Microsecond, false}, // More is written at once.
		{1, 2 * time.Millisecond, false},     // One that was late says nothing.
		{20, 2 * time.Millisecond, true},
		{20, 150 * time.Microsecond, false},
		{20, 0, true}, // Nothing to write: all that follow are slow beside it,
		{50, 150 * time.Microsecond, true},
		{20_000, 150 * time.Microsecond, false}, // until it is forgotten.
		{20_000, 8 * time.Millisecond, false},   // Another disk.
	} {
		sync(step.n, step.took)
		if p.busy() != step.busy {
			t.Errorf("step %d: busy %v, of late %d ns, fastest %d ns", i, p.busy(), p.lately.Load(), p.fastest.Load())
		}
	}
}
