package folder

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// TestEveryBlockOfATableIsChecked flips a bit of each byte of a table, and each of its footer: the table is named. A folder
// without tables, one that is missing and a sound one pass.
func TestEveryBlockOfATableIsChecked(t *testing.T) {
	t.Parallel()
	ctx, disk := context.Background(), vfs.NewMem()
	if err := CheckTables(ctx, disk, "missing"); err != nil {
		t.Errorf("a folder that is missing: %v", err)
	}
	o := &pebble.Options{FS: disk, FormatMajorVersion: pebble.FormatColumnarBlocks}
	o.Levels[0].FilterPolicy = bloom.FilterPolicy(10)
	db, err := pebble.Open("db", o)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 60 {
		if err := db.Set(fmt.Appendf(nil, "key %03d", i), fmt.Appendf(nil, "value %d", i*i), pebble.NoSync); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := CheckTables(ctx, disk, "db"); err != nil {
		t.Fatalf("a sound folder: %v", err)
	}
	names, err := disk.List("db")
	if err != nil {
		t.Fatal(err)
	}
	flipped := 0
	for _, name := range names {
		if !strings.HasSuffix(name, tableSuffix) {
			continue
		}
		path := disk.PathJoin("db", name)
		f, err := disk.OpenReadWrite(path, vfs.WriteCategoryUnspecified)
		if err != nil {
			t.Fatal(err)
		}
		info, err := f.Stat()
		if err != nil {
			t.Fatal(err)
		}
		for at := range info.Size() {
			var b [1]byte
			if _, err := f.ReadAt(b[:], at); err != nil {
				t.Fatal(err)
			}
			for bit := range 8 {
				if bit != int(at%8) && at < info.Size()-footerLen {
					continue
				}
				if _, err := f.WriteAt([]byte{b[0] ^ 1<<bit}, at); err != nil {
					t.Fatal(err)
				}
				if err := CheckTables(ctx, disk, "db"); err == nil || !strings.Contains(err.Error(), name) {
					t.Errorf("bit %d of byte %d of %d flipped: %v", bit, at, info.Size(), err)
				}
			}
			if _, err := f.WriteAt(b[:], at); err != nil {
				t.Fatal(err)
			}
			flipped++
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if flipped < 500 {
		t.Errorf("only %d bytes were flipped", flipped)
	}
}
