package folder_test

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"zujian/eventstore/folder"
)

// losing keeps what a power loss would leave just after each marker was made.
type losing struct {
	*vfs.MemFS
	rng  *rand.Rand
	left []*vfs.MemFS
}

func (l *losing) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := l.MemFS.Create(name, category)
	if err == nil && strings.Contains(name, "marker.manifest") {
		for range 16 {
			l.left = append(l.left, l.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 50, RNG: l.rng}))
		}
	}
	return f, err
}

// TestOrdered: a database on an ordered disk opens again whatever a power loss has left of the names in its folder.
func TestOrdered(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	open := func(disk vfs.FS) (*pebble.DB, error) {
		return pebble.Open("db", &pebble.Options{FS: folder.Ordered(disk), MemTableSize: 64 << 10, Logger: quiet{t}})
	}
	disk := &losing{MemFS: vfs.NewCrashableMem(), rng: rand.New(rand.NewPCG(seed, 0))}
	for range 4 { // Each opening makes a manifest.
		db, err := open(disk)
		if err != nil {
			t.Fatal(err)
		}
		if err := db.Set([]byte("key"), []byte("value"), pebble.Sync); err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if len(disk.left) < 4*16 {
		t.Fatalf("%d power losses: Pebble names its manifests otherwise", len(disk.left))
	}
	for n, after := range disk.left {
		db, err := open(after)
		if err != nil {
			t.Fatalf("seed %d, after power loss %d: %v", seed, n, err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// quiet passes on what Pebble can't go on from.
type quiet struct{ t *testing.T }

func (quiet) Infof(string, ...any)  {}
func (quiet) Errorf(string, ...any) {}
func (q quiet) Fatalf(format string, args ...any) {
	q.t.Fatalf(format, args...)
}
