package embedded

import (
	"bytes"
	"encoding/hex"
	"flag"
	"hash/maphash"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/go-cmp/cmp"

	"zujian/eventstore"
	"zujian/eventstore/leaf"
	"zujian/eventstore/storetest"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// goldenLog makes a log whose every byte is known.
func goldenLog(tb testing.TB) []byte {
	fs := vfs.NewMem()
	s := mustOpen(tb, Options{
		Dir: "log", FS: fs, SegmentBytes: 4 << 10, Rand: bytes.NewReader(bytes.Repeat([]byte("0123456789abcdef"), 1000)),
		Now: func() time.Time { return time.Date(2026, 3, 1, 2, 3, 4, 5678, time.UTC) },
	})
	for n := range 2 {
		if _, err := s.Append(t0, "contract-1", eventstore.Revision(2*n-1), storetest.Events(2*n, 2*n+2)...); err != nil {
			tb.Fatal(err)
		}
	}
	end, err := s.Head(t0)
	if err != nil {
		tb.Fatal(err)
	}
	return bytes.Clone(fileData(tb, fs, "log/"+segmentName(0))[:end.Position])
}

// TestFormat holds the bytes on disk still: a log written today is read by every later version.
func TestFormat(t *testing.T) {
	got := []byte(hex.Dump(goldenLog(t)))
	path := filepath.Join("testdata", "segment.golden")
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(want, got) {
		t.Fatalf("the format changed: raise formatVersion and keep reading version %d. Got\n%s", formatVersion, got)
	}
}

// TestLeaves holds the commitments in the frames to those that package leaf makes of the events, for both suites.
func TestLeaves(t *testing.T) {
	s := mustOpen(t, Options{Dir: t.TempDir(), Suite: eventstore.SaltGM})
	es := storetest.Events(0, 100)
	for i := range 50 {
		es[i].Meta.Salt = eventstore.Salt{}
	}
	es = append(es, storetest.Outside(100), storetest.Outside(101))
	es[100].Binary, es[100].Type, es[101].Meta.Raw = true, strings.Repeat("t", 1000), ""
	if _, err := s.Append(t0, "contract-1", eventstore.NoStream, es...); err != nil {
		t.Fatal(err)
	}
	all := storetest.Collect(t, s.All(t0, 0))
	suites := map[byte]int{}
	i := 0
	for c, err := range s.Leaves(t0, 0) {
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(leaf.Of(&all[i]), c); d != "" {
			t.Fatalf("leaf %d (-event +frame):\n%s", i, d)
		}
		suites[c.Suite]++
		i++
	}
	if i != 102 || suites[eventstore.SaltGM] != 75 || suites[eventstore.SaltINTL] != 27 {
		t.Fatalf("got %d leaves of suites %v", i, suites)
	}
}

// FuzzFrame: whatever the bytes, the decoder neither panics nor takes for a frame what does not encode back to it.
func FuzzFrame(f *testing.F) {
	golden := goldenLog(f)
	var id logID
	copy(id[:], golden[24:40])
	texts := names{seed: maphash.MakeSeed()}
	at := segmentHeader + groupHeader
	f.Add(golden[at:], uint64(at), true)
	f.Add(golden[at:], uint64(at), false)
	f.Add(golden, uint64(0), true)
	f.Add([]byte{}, uint64(1), false)
	f.Fuzz(func(t *testing.T, b []byte, at uint64, seal bool) {
		if seal && len(b) >= frameHeader { // Let it past the checksum, so that what is behind is tried.
			b = bytes.Clone(b)
			n := min(int(le.Uint32(b)), len(b))
			if n >= frameHeader {
				le.PutUint64(b[offPosition:], at+uint64(n))
				le.PutUint32(b[offCRC:], frame(b[:n]).crc(id.seed()))
			}
		}
		fr, err := readFrame(b, id.seed(), eventstore.Position(at))
		if _, bad := readGroupHead(b, id.seed(), eventstore.Position(at)); bad == nil && err == nil {
			t.Fatal("both a group and a frame")
		}
		if err != nil {
			return
		}
		d := decoder{names: &texts}
		r := d.event(fr)
		if r.StoredAt.Year() < 0 || r.Meta.At.UnixMicro() != int64(le.Uint64(fr[offAt:])) {
			return // Beyond what time can say; never written.
		}
		again := frame(appendFrame(nil, r.Stream, &r.NewEvent))
		again.finish(id.seed(), r.Ordinal, r.Position, r.Revision, r.StoredAt.UnixMicro())
		copy(again[offCommitment:], fr[offCommitment:offID])
		le.PutUint32(again[offCRC:], again.crc(id.seed()))
		if !bytes.Equal(again, fr) {
			t.Fatalf("decoded %+v encodes to other bytes", r)
		}
	})
}
