package pebbleviews

import (
	"fmt"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"zujian/eventstore"
	"zujian/projections"
)

// TestMemtableOfService: small batches have it flushed when it holds what service takes, the large ones of a catch-up when
// it is full, and what is left of a catch-up goes when it ends or soon after.
func TestMemtableOfService(t *testing.T) {
	const mib = 1 << 20
	f := filling{most: 128 * mib}
	flushed, before := 0, 0
	for n := 1; n <= 3*32*64; n++ {
		if bulk, flush := f.wrote(mib / 64); bulk {
			t.Fatal("writes of 16 KiB are a catch-up")
		} else if flush {
			if flushed++; n-before != 32*64 {
				t.Errorf("flushed after %d writes of 16 KiB", n-before)
			}
			before = n
		}
	}
	if flushed != 3 {
		t.Errorf("flushed %d times in 96 MiB of small writes", flushed)
	}
	for n := range 300 {
		if _, flush := f.wrote(mib); flush {
			t.Fatalf("flushed after %d MiB of a catch-up", n)
		}
	}
	if f.bytes != 300%128*mib {
		t.Errorf("counts %d bytes where Pebble has flushed", f.bytes)
	}
	n := 1
	for ; n < 1000; n++ {
		if _, flush := f.wrote(1000); flush {
			break
		}
	}
	if n > 300 {
		t.Errorf("%d small writes until what a catch-up left was flushed", n)
	}
	bulk := false
	for range 40 {
		bulk, _ = f.wrote(mib)
	}
	if !bulk {
		t.Error("writes of 1 MiB are not a catch-up")
	}
	if !f.caughtUp() || f.caughtUp() {
		t.Error("what is there at the end of a catch-up is flushed once")
	}
}

// TestFlushed: a flush that was asked for happens: little is left that an opening would have to read again.
func TestFlushed(t *testing.T) {
	v, err := Open("views", Options{FS: vfs.NewMem(), MemTable: 4 * memTableBytes, BlockCache: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	value := make([]byte, 64<<10)
	for at := range eventstore.Position(3 * memTableBytes >> 16) {
		err := v.Batch(t.Context(), "a", 1, at, at+1, func(v projections.View) error {
			v.Set(projections.PositionKey(at%100), value)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for deadline := time.Now().Add(time.Minute); v.db.Metrics().WAL.Size > 1<<20; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d bytes are to be read again", v.db.Metrics().WAL.Size)
		}
	}
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestRowsOfService: a view keeps many rows in memory while it is built, and few when it is active, also after a restart.
func TestRowsOfService(t *testing.T) {
	disk, rows := vfs.NewMem(), 0
	open := func() *Views {
		v, err := Open("views", Options{FS: disk, RowRoom: 3 * rowCacheBytes, MemTable: 1 << 20, BlockCache: 1 << 20})
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	kept := func(v *Views) int64 { // Bytes, of so many read by one more batch.
		k, err := v.keyspace("homes", 1)
		if err != nil {
			t.Fatal(err)
		}
		err = v.Batch(t.Context(), "homes", 1, k.checkpoint, k.checkpoint+1, func(w projections.View) error {
			for range 3 * rowCacheBytes >> 20 {
				rows++
				if _, _, err := w.Get(t.Context(), projections.Key("u", fmt.Sprint(rows))); err != nil {
					return err
				}
				w.Set(projections.Key("u", fmt.Sprint(rows)), make([]byte, 1<<20))
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		n := int64(0)
		for i := range rows {
			if value, _ := k.rows.Get(projections.Key("u", fmt.Sprint(i+1))); value != nil {
				n += int64(len(value))
			}
		}
		return n
	}
	v := open()
	if n := kept(v); n < 2*rowCacheBytes {
		t.Errorf("%d bytes are kept while the view is built", n)
	}
	if err := v.Activate(t.Context(), "homes", 1); err != nil {
		t.Fatal(err)
	}
	for _, when := range []string{"when it is active", "after a restart"} {
		if n := kept(v); n > rowCacheBytes || n == 0 {
			t.Errorf("%d bytes are kept %s", n, when)
		}
		if err := v.Close(); err != nil {
			t.Fatal(err)
		}
		v = open()
	}
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}
}
