package folder

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// TestADamagedManifestIsFound flips each bit of a manifest, one after the other, and then cuts it everywhere, as a crash may: a
// flip is told from what a crash leaves unfinished.
func TestADamagedManifestIsFound(t *testing.T) {
	t.Parallel()
	disk := vfs.NewMem()
	for _, dir := range []string{"missing", ""} {
		if err := CheckManifest(disk, dir); err != nil {
			t.Errorf("no database in %q: %v", dir, err)
		}
	}
	db, err := pebble.Open("db", &pebble.Options{FS: disk, FormatMajorVersion: pebble.FormatColumnarBlocks, DisableAutomaticCompactions: true})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		if err := db.Set(fmt.Appendf(nil, "key %d", i), nil, pebble.NoSync); err != nil {
			t.Fatal(err)
		}
		if err := db.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	if err := CheckManifest(disk, "db"); err != nil {
		t.Fatalf("in use: %v", err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	desc, err := pebble.Peek("db", disk)
	if err != nil {
		t.Fatal(err)
	}
	f, err := disk.Open(desc.ManifestFilename)
	if err != nil {
		t.Fatal(err)
	}
	whole, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	hold := func(b []byte) error {
		t.Helper()
		f, err := disk.Create(desc.ManifestFilename, vfs.WriteCategoryUnspecified)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write(bytes.Clone(b)); err != nil { // A file may change what it is given, and does under the race detector.
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		return CheckTables(context.Background(), disk, "db")
	}
	if err := hold(whole); err != nil {
		t.Fatalf("as it was: %v", err)
	}
	for at := range whole {
		for bit := range 8 {
			whole[at] ^= 1 << bit
			if err := hold(whole); err == nil || !strings.Contains(err.Error(), desc.ManifestFilename) {
				t.Errorf("bit %d of byte %d of %d flipped: %v", bit, at, len(whole), err)
			}
			whole[at] ^= 1 << bit
		}
		if err := hold(whole[:at]); err != nil {
			t.Errorf("cut to %d bytes of %d: %v", at, len(whole), err)
		}
	}
}

// TestALongManifestIsSound holds one of several blocks, where a chunk may end anywhere before a block's end.
func TestALongManifestIsSound(t *testing.T) {
	t.Parallel()
	disk := vfs.NewMem()
	db, err := pebble.Open("db", &pebble.Options{FS: disk, FormatMajorVersion: pebble.FormatColumnarBlocks, DisableAutomaticCompactions: true})
	if err != nil {
		t.Fatal(err)
	}
	key := strings.Repeat("k", 9000)
	for i := range 40 {
		if err := db.Set(fmt.Appendf(nil, "%s%d", key[:i*200], i), nil, pebble.NoSync); err != nil {
			t.Fatal(err)
		}
		if err := db.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	if err := CheckManifest(disk, "db"); err != nil {
		t.Error(err)
	}
	desc, err := pebble.Peek("db", disk)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := disk.Stat(desc.ManifestFilename); err != nil || info.Size() < 3*chunkBlock {
		t.Errorf("the manifest is too short for this: %v %v", info, err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestAPageThatAPowerLossTookIsNoDamage loses either page of a last chunk that lies in two.
func TestAPageThatAPowerLossTookIsNoDamage(t *testing.T) {
	t.Parallel()
	var b []byte
	add := func(n int) {
		c := make([]byte, chunkHead, chunkHead+n)
		binary.LittleEndian.PutUint16(c[4:], uint16(n))
		c[6] = 1
		c = append(c, bytes.Repeat([]byte("x"), n)...)
		sum := crc32.Checksum(c[6:], castagnoli)
		binary.LittleEndian.PutUint32(c, (sum>>15|sum<<17)+0xa282ead8)
		b = append(b, c...)
	}
	add(page - 100)
	last := len(b)
	add(200)
	if at := damagedChunk(b); at != -1 {
		t.Fatalf("whole: damaged at %d", at)
	}
	for _, lost := range [][2]int{{last, page}, {page, len(b)}} {
		torn := bytes.Clone(b)
		clear(torn[lost[0]:lost[1]])
		if at := damagedChunk(torn); at != -1 {
			t.Errorf("without %v: damaged at %d", lost, at)
		}
	}
	b[last+150] ^= 1
	if at := damagedChunk(b); at != last {
		t.Errorf("flipped: damaged at %d, want %d", at, last)
	}
}
