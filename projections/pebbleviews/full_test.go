package pebbleviews_test

import (
	"context"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"zujian/projections"
	"zujian/projections/pebbleviews"
)

// fullDisk is a disk that says how much is free, and has no room for a new file while it is full.
type fullDisk struct {
	vfs.FS
	full *atomic.Bool
}

func newFullDisk() fullDisk {
	full := new(atomic.Bool)
	return fullDisk{errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		if full.Load() && (op.Kind == errorfs.OpCreate || op.Kind == errorfs.OpReuseForWrite) {
			return syscall.ENOSPC
		}
		return nil
	})), full}
}

// GetDiskUsage implements vfs.FS.
func (d fullDisk) GetDiskUsage(string) (vfs.DiskUsage, error) {
	if d.full.Load() {
		return vfs.DiskUsage{TotalBytes: 1 << 30}, nil
	}
	return vfs.DiskUsage{TotalBytes: 1 << 30, AvailBytes: 1 << 30}, nil
}

// TestCloseOnAFullDisk: a close ends though nothing can be flushed, and what was written is there afterwards.
func TestCloseOnAFullDisk(t *testing.T) {
	disk := newFullDisk()
	open := func() *pebbleviews.Views {
		t.Helper()
		v, err := pebbleviews.Open("views", pebbleviews.Options{FS: disk})
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	v := open()
	if err := v.Batch(t.Context(), "a", 1, 0, 3, func(w projections.View) error { w.Set("x", []byte("1")); return nil }); err != nil {
		t.Fatal(err)
	}
	if err := v.Activate(t.Context(), "a", 1); err != nil {
		t.Fatal(err)
	}
	disk.full.Store(true)
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}
	disk.full.Store(false)
	v = open()
	defer func() { _ = v.Close() }()
	err := v.Read(t.Context(), "a", func(r projections.Reader) error {
		value, ok, err := r.Get(context.Background(), "x")
		if string(value) != "1" || !ok {
			t.Errorf("read %q, %v", value, ok)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
