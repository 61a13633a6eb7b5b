package pebbleviews_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"

	"zujian/projections"
	. "zujian/projections/pebbleviews"
	"zujian/projections/viewstest"
)

func open(t testing.TB, dir string, o Options) *Views {
	t.Helper()
	if o.FS == nil {
		o.FS = vfs.NewMem()
	}
	if o.MemTable == 0 {
		o.MemTable, o.BlockCache = 1<<20, 1<<20 // Thousands are opened here.
	}
	v, err := Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := v.Close(); err != nil {
			t.Error(err)
		}
	})
	return v
}

func TestViews(t *testing.T) {
	for name, rows := range map[string]int64{"rows in memory": 0, "few rows in memory": 300, "no rows in memory": -1} {
		t.Run(name, func(t *testing.T) {
			viewstest.Run(t, func(t testing.TB) projections.Views { return open(t, "views", Options{RowCache: rows}) })
		})
	}
}

func TestDurable(t *testing.T) {
	viewstest.Durable(t, func(t testing.TB) viewstest.Disk {
		fs := vfs.NewCrashableMem()
		return viewstest.Disk{
			Open: func() (projections.Views, error) {
				return Open("views", Options{FS: fs, MemTable: 1 << 20, BlockCache: 1 << 20})
			},
			Close: func(v projections.Views) error { return v.(*Views).Close() },
			Crash: func(v projections.Views, rt *rapid.T) error {
				if rapid.Bool().Draw(rt, "synced before") {
					if err := v.(*Views).Sync(); err != nil {
						return err
					}
				}
				kept := rapid.SampledFrom([]int{0, 50, 100}).Draw(rt, "unsynced kept %")
				crashed := fs.CrashClone(vfs.CrashCloneCfg{
					UnsyncedDataPercent: kept, RNG: rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 1)),
				})
				err := v.(*Views).Close() // Frees memory; the clone does not see it.
				fs = crashed
				return err
			},
		}
	})
}

func TestOnDisk(t *testing.T) {
	dir := t.TempDir()
	v, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := v.Batch(t.Context(), "a", 1, 0, 3, func(v projections.View) error { v.Set("x", []byte("1")); return nil }); err != nil {
		t.Fatal(err)
	}
	for range 2 { // Closing twice is no fault.
		if err := v.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := v.Checkpoint(t.Context(), "a", 1); !errors.Is(err, ErrClosed) {
		t.Errorf("closed: %v", err)
	}
	v = open(t, dir, Options{FS: vfs.Default})
	if at, err := v.Checkpoint(t.Context(), "a", 1); at != 3 || err != nil {
		t.Errorf("checkpoint = %d, %v", at, err)
	}
}

// TestRowsBeforeTheFirstEvent: a keyspace at position 0 need not be empty.
func TestRowsBeforeTheFirstEvent(t *testing.T) {
	fs := vfs.NewMem()
	for i := range 2 {
		v, err := Open("views", Options{FS: fs})
		if err != nil {
			t.Fatal(err)
		}
		err = v.Batch(t.Context(), "a", 1, 0, 0, func(v projections.View) error {
			if _, there, err := v.Get(t.Context(), "x"); there != (i > 0) || err != nil {
				t.Errorf("opened the %d. time: %t, %v", i+1, there, err)
			}
			v.Set("x", nil)
			return nil
		})
		if err := errors.Join(err, v.Close()); err != nil {
			t.Fatal(err)
		}
	}
}

func TestReplies(t *testing.T) {
	now := time.Date(2026, time.March, 1, 0, 0, 0, 0, time.UTC)
	v := open(t, "views", Options{})
	r := v.Replies(func() time.Time { return now })
	get := func(key, want string, there bool) {
		t.Helper()
		if got, ok, err := r.Get(key); string(got) != want || ok != there || err != nil {
			t.Errorf("Get(%s) = %q, %t, %v, want %q, %t", key, got, ok, err, want, there)
		}
	}
	put := func(key, value string, hours int) {
		t.Helper()
		if err := r.Put(key, []byte(value), now.Add(time.Duration(hours)*time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	get("k", "", false)
	put("k", "first", 1)
	put("k", "second", 24) // A later answer lives as long as it says.
	put("empty", "", 24)
	get("k", "second", true)
	get("empty", "", true)
	for i := range 2500 {
		put(fmt.Sprint("old", i), "x", 1)
	}
	now = now.Add(time.Hour)
	get("old7", "", false)
	get("k", "second", true)
	if n, err := r.Sweep(t.Context()); n != 2500 || err != nil {
		t.Errorf("Sweep = %d, %v", n, err)
	}
	if n, err := r.Sweep(t.Context()); n != 0 || err != nil {
		t.Errorf("second Sweep = %d, %v", n, err)
	}
	get("k", "second", true)
	now = now.Add(23 * time.Hour)
	get("k", "", false)
	if n, err := r.Sweep(t.Context()); n != 2 || err != nil {
		t.Errorf("last Sweep = %d, %v", n, err)
	}
	for range 2 { // The same expiry again, and it is swept; and once more, when it has expired and was swept.
		put("again", "begun", 1)
		put("again", "done", 1)
		put("late", "begun", 1)
		now = now.Add(time.Hour)
		if n, err := r.Sweep(t.Context()); n != 2 || err != nil {
			t.Errorf("Sweep of replies put twice = %d, %v", n, err)
		}
		put("late", "done", 0)
		get("late", "", false)
		if n, err := r.Sweep(t.Context()); n != 1 || err != nil {
			t.Errorf("Sweep of a reply put again after it expired = %d, %v", n, err)
		}
	}
	for _, err := range []error{
		r.Put("", nil, now), r.Put(string(make([]byte, projections.ReplyKeyBytesMax+1)), nil, now),
		r.Put("k", make([]byte, projections.ReplyValueBytesMax+1), now), r.Put("k", nil, time.Unix(-1, 0)),
	} {
		if err == nil {
			t.Error("a reply beyond its limits was kept")
		}
	}
}

// BenchmarkReplies does what a request under an idempotency key does: it looks for a reply, takes the key, and keeps one.
func BenchmarkReplies(b *testing.B) {
	v := open(b, b.TempDir(), Options{FS: vfs.Default})
	r := v.Replies(time.Now)
	body := []byte(strings.Repeat("x", 3000))
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		key, until := fmt.Sprintf("%064x", n*2654435761), time.Now().Add(time.Hour)
		if _, ok, err := r.Get(key); ok || err != nil {
			b.Fatal(ok, err)
		}
		if err := errors.Join(r.Put(key, body[:100], until), r.Put(key, body, until)); err != nil {
			b.Fatal(err)
		}
	}
}

// TestADamagedManifestIsRefused: Pebble would go on without what the manifest says behind the damage, and nobody would know.
func TestADamagedManifestIsRefused(t *testing.T) {
	t.Parallel()
	disk := vfs.NewMem()
	v, err := Open("views", Options{FS: disk, MemTable: 1 << 20, BlockCache: 1 << 20})
	if err == nil {
		err = v.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	desc, err := pebble.Peek("views", disk)
	if err != nil {
		t.Fatal(err)
	}
	b, err := disk.UnsafeGetFileDataBuffer(desc.ManifestFilename)
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)-1] ^= 1
	if _, err := Open("views", Options{FS: disk}); err == nil || !strings.Contains(err.Error(), desc.ManifestFilename) {
		t.Errorf("got %v, want an error about %s", err, desc.ManifestFilename)
	}
}
