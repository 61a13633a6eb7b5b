package embedded

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"zujian/eventstore"
	"zujian/eventstore/room"
	"zujian/eventstore/storetest"
)

// filled returns a closed log of several small segments, and the names of its segments.
func filled(tb testing.TB, appends int) (*vfs.MemFS, []string) {
	tb.Helper()
	fs := vfs.NewMem()
	s := mustOpen(tb, small(fs))
	for n := range appends {
		if _, err := s.Append(t0, fmt.Sprintf("contract-%d", n%5), eventstore.AnyRevision, storetest.Events(n*3, n*3+1+n%3)...); err != nil {
			tb.Fatal(err)
		}
	}
	var names []string
	for _, g := range *s.segs.Load() {
		names = append(names, "log/"+g.name)
	}
	if err := s.Close(); err != nil {
		tb.Fatal(err)
	}
	return fs, names
}

func small(fs vfs.FS) Options { return Options{Dir: "log", FS: fs, SegmentBytes: 4 << 10} }

func fileData(tb testing.TB, fs *vfs.MemFS, name string) []byte {
	tb.Helper()
	b, err := fs.UnsafeGetFileDataBuffer(name)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// TestFlips flips every byte of a sealed segment, and each is named: the position reported is at or before it, in the
// same segment.
func TestFlips(t *testing.T) {
	t.Parallel()
	fs, names := filled(t, 40)
	if len(names) < 4 {
		t.Fatalf("only %d segments", len(names))
	}
	b := fileData(t, fs, names[1])
	h, err := decodeSegmentHead(b)
	if err != nil {
		t.Fatal(err)
	}
	for off := range b {
		b[off] ^= 1 << (off % 8)
		err := VerifyDir(t0, small(fs), nil)
		d, ok := errors.AsType[*DamageError](err)
		if !ok || d.Position < h.base || d.Position > h.base+eventstore.Position(off) {
			newer := off == 8 && err != nil && strings.Contains(err.Error(), "newer")
			if !newer {
				t.Fatalf("byte %d of %s flipped: got %v", off, names[1], err)
			}
		}
		b[off] ^= 1 << (off % 8)
	}
	if err := VerifyDir(t0, small(fs), nil); err != nil {
		t.Fatalf("unharmed: %v", err)
	}
}

// TestFlipMeetsReader flips bytes under an open store: a reader gets the position, never a changed event.
func TestFlipMeetsReader(t *testing.T) {
	fs, names := filled(t, 40)
	s := mustOpen(t, small(fs))
	all := storetest.Collect(t, s.All(t0, 0))
	b := fileData(t, fs, names[1])
	for off := segmentHeader; off < len(b); off += 7 {
		b[off] ^= 0x10
		i, failed := 0, error(nil)
		for r, err := range s.All(t0, 0) {
			if failed = err; err != nil {
				break
			}
			if !storetest.Same(r, all[i]) {
				t.Fatalf("byte %d flipped: event %d changed", off, i)
			}
			i++
		}
		if _, ok := errors.AsType[*DamageError](failed); failed != nil && !ok || failed == nil && i != len(all) {
			t.Fatalf("byte %d flipped: got %d events and %v", off, i, failed)
		}
		b[off] ^= 0x10
	}
}

// TestFlipStopsOpen: without an index the open reads everything, refuses what is damaged, and leaves it as it is.
func TestFlipStopsOpen(t *testing.T) {
	t.Parallel()
	fs, names := filled(t, 25)
	last := fileData(t, fs, names[len(names)-1])
	first := segmentHeader + groupHeader + 20 // In the first group of the last segment.
	for name, at := range map[string]struct {
		file string
		off  int
	}{
		"a sealed segment's header":         {names[0], 30},
		"a sealed segment's first group":    {names[0], segmentHeader + 5},
		"a sealed segment's last group":     {names[1], len(bytes.TrimRight(fileData(t, fs, names[1]), "\x00")) - 3},
		"a group that others follow":        {names[len(names)-1], first},
		"a group header that others follow": {names[len(names)-1], segmentHeader + 18},
	} {
		if err := fs.RemoveAll("log/" + indexName); err != nil {
			t.Fatal(err)
		}
		b := fileData(t, fs, at.file)
		b[at.off] ^= 4
		before := bytes.Clone(b)
		_, err := Open(small(fs))
		if _, ok := errors.AsType[*DamageError](err); !ok {
			t.Errorf("%s: got %v, want damage", name, err)
		}
		if !bytes.Equal(before, fileData(t, fs, at.file)) {
			t.Errorf("%s: the open changed the damaged file", name)
		}
		b[at.off] ^= 4
	}
	_ = last
	mustOpen(t, small(fs))
}

// TestFlipInLastGroup: with an index that has seen it, it is damage; without one it cannot be told from a tear.
func TestFlipInLastGroup(t *testing.T) {
	fs, names := filled(t, 7)
	b := fileData(t, fs, names[len(names)-1])
	end := len(bytes.TrimRight(b, "\x00"))
	b[end-3] ^= 1
	if _, err := Open(small(fs)); err == nil || !strings.Contains(err.Error(), "the last group the index knows") {
		t.Fatalf("with the index: got %v", err)
	}
	if err := fs.RemoveAll("log/" + indexName); err != nil {
		t.Fatal(err)
	}
	if err := VerifyDir(t0, small(fs), nil); err != nil {
		t.Fatalf("a torn tail is no damage: %v", err)
	}
	s := mustOpen(t, small(fs))
	if n := len(storetest.CheckLog(t, s)); n == 0 {
		t.Fatal("everything was cut, not only the last group")
	}
	if got := fileData(t, fs, names[len(names)-1]); len(bytes.TrimRight(got, "\x00")) >= end {
		t.Fatal("the torn group was not zeroed")
	}
}

// TestDamagedIndexIsNamed flips a byte in each block of the index: who verifies the log hears which file is damaged, and that
// it may go.
func TestDamagedIndexIsNamed(t *testing.T) {
	fs, _ := filled(t, 400)
	names, err := fs.List("log/" + indexName)
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, name := range names {
		if !strings.HasSuffix(name, ".sst") {
			continue
		}
		b := fileData(t, fs, "log/"+indexName+"/"+name)
		for off := 100; off < len(b); off += 997 {
			b[off] ^= 4
			if err := VerifyDir(t0, small(fs), nil); err != nil {
				found++
				if !strings.Contains(err.Error(), "log/"+indexName) || !strings.Contains(err.Error(), "built again") {
					t.Errorf("byte %d of %s: %v", off, name, err)
				}
			}
			b[off] ^= 4
		}
	}
	if err := VerifyDir(t0, small(fs), nil); err != nil || found == 0 {
		t.Errorf("%d flips found; whole: %v", found, err)
	}
	t.Logf("%d flips found", found)
}

func TestMissingSegmentStopsOpen(t *testing.T) {
	for i, want := range map[int]string{0: "first segment is missing", 1: "before", 3: "cut short"} {
		fs, names := filled(t, 25)
		if i == 3 {
			i = len(names) - 1 // Only the index knows of the last one.
		}
		if err := fs.Remove(names[i]); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(small(fs)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("segment %d missing: got %v, want %q", i, err, want)
		}
	}
	fs, names := filled(t, 5)
	for _, name := range names {
		if err := fs.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Open(small(fs)); err == nil || !strings.Contains(err.Error(), "every segment is missing") {
		t.Errorf("all segments missing: got %v", err)
	}
}

func TestNewerFormatIsRefusedByName(t *testing.T) {
	fs, names := filled(t, 3)
	fileData(t, fs, names[0])[8] = 2
	if _, err := Open(small(fs)); err == nil || !strings.Contains(err.Error(), "log format 2 is newer than format 1") {
		t.Fatalf("got %v", err)
	}
}

func TestSecondOpenIsRefused(t *testing.T) {
	dir := t.TempDir()
	mustOpen(t, Options{Dir: dir})
	if _, err := Open(Options{Dir: dir}); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Fatalf("got %v", err)
	}
	if err := VerifyDir(t0, Options{Dir: dir}, nil); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Fatalf("verify: got %v", err)
	}
}

// faulty lets a test decide about each operation on the log's own files.
func faulty(fs vfs.FS, decide func(errorfs.Op) error) vfs.FS {
	return errorfs.Wrap(fs, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if strings.Contains(op.Path, indexName) {
			return nil
		}
		return decide(op)
	}))
}

func TestFailedSyncIsFatal(t *testing.T) {
	disk, broken := vfs.NewMem(), atomic.Bool{}
	s := mustOpen(t, small(faulty(disk, func(op errorfs.Op) error {
		if broken.Load() && op.Kind == errorfs.OpFileSyncData {
			return syscall.EIO
		}
		return nil
	})))
	if _, err := s.Append(t0, "a-1", eventstore.NoStream, storetest.Event(0)); err != nil {
		t.Fatal(err)
	}
	head, err := s.Head(t0)
	if err != nil {
		t.Fatal(err)
	}
	broken.Store(true)
	if _, err := s.Append(t0, "a-1", 0, storetest.Event(1)); !errors.Is(err, eventstore.ErrClosed) || !errors.Is(err, syscall.EIO) {
		t.Fatalf("got %v, want ErrClosed for EIO", err)
	}
	broken.Store(false)
	if _, err := s.Append(t0, "a-1", 0, storetest.Event(1)); !errors.Is(err, eventstore.ErrClosed) {
		t.Fatalf("after the failure: got %v, want ErrClosed", err)
	}
	for n := range 3 { // Of streams nothing is known of: nothing but the failure stands in their way.
		if _, err := s.Append(t0, fmt.Sprintf("b-%d", n), eventstore.NoStream, storetest.Event(2+n)); !errors.Is(err, eventstore.ErrClosed) {
			t.Fatalf("a new stream after the failure: got %v, want ErrClosed", err)
		}
	}
	if err := s.Wait(t0, head.Position); !errors.Is(err, eventstore.ErrClosed) {
		t.Fatalf("wait: got %v, want ErrClosed", err)
	}
	if got := storetest.Collect(t, s.All(t0, 0)); len(got) != 1 || got[0].Position != head.Position {
		t.Fatalf("readers see %v, want what was durable", got)
	}
}

func TestFullDiskIsNotFatal(t *testing.T) {
	disk, full := vfs.NewMem(), atomic.Bool{}
	s := mustOpen(t, small(faulty(disk, func(op errorfs.Op) error {
		if full.Load() && op.Kind == errorfs.OpCreate {
			return syscall.ENOSPC
		}
		return nil
	})))
	full.Store(true)
	at := eventstore.NoStream
	for {
		a, err := s.Append(t0, "a-1", at, storetest.Event(int(at)+1))
		if errors.Is(err, syscall.ENOSPC) && errors.Is(err, eventstore.ErrFull) && !errors.Is(err, eventstore.ErrClosed) {
			break
		}
		if err != nil || at > 100 {
			t.Fatalf("after %d appends: %v", at+1, err)
		}
		at = a.Revision
	}
	full.Store(false)
	for range 3 {
		a, err := s.Append(t0, "a-1", at, storetest.Event(int(at)+1))
		if err != nil {
			t.Fatalf("with room again: %v", err)
		}
		at = a.Revision
	}
	if n := len(storetest.CheckLog(t, s)); n != int(at)+1 {
		t.Fatalf("got %d events, want %d", n, at+1)
	}
}

// TestSlowDisk: while a sync hangs, a queued append may be withdrawn, and later ones are shed once one has waited long.
func TestSlowDisk(t *testing.T) {
	disk, slow := vfs.NewMem(), atomic.Bool{}
	hang, hung := make(chan struct{}), make(chan struct{})
	o := small(faulty(disk, func(op errorfs.Op) error {
		if op.Kind == errorfs.OpFileSyncData && slow.CompareAndSwap(true, false) {
			close(hung)
			<-hang
		}
		return nil
	}))
	clock := atomic.Int64{} // The wall's. How long an append waits has nothing to do with it.
	o.Now, o.QueueAge = func() time.Time { return time.Unix(1_700_000_000+clock.Load(), 0) }, time.Hour
	s := mustOpen(t, o)
	slow.Store(true)
	first := make(chan error, 3)
	go func() { _, err := s.Append(t0, "a-1", eventstore.NoStream, storetest.Event(0)); first <- err }()
	<-hung
	ctx, cancel := context.WithCancel(t.Context())
	withdrawn := make(chan error, 1)
	go func() {
		_, err := s.Append(ctx, "a-2", eventstore.NoStream, storetest.Event(1))
		withdrawn <- err
	}()
	for s.Stats().Queued == 0 {
		time.Sleep(time.Millisecond)
	}
	cancel()
	if err := <-withdrawn; !errors.Is(err, context.Canceled) {
		t.Fatalf("withdrawn: got %v", err)
	}
	go func() { _, err := s.Append(t0, "a-3", eventstore.NoStream, storetest.Event(2)); first <- err }()
	for s.Stats().Queued == 0 {
		time.Sleep(time.Millisecond)
	}
	clock.Store(10 * 366 * 86_400)
	go func() { _, err := s.Append(t0, "a-5", eventstore.NoStream, storetest.Event(4)); first <- err }()
	for s.Stats().Queued < 2 {
		if s.Stats().Shed > 0 {
			t.Fatal("an append was shed for a clock that was set forward ten years")
		}
		time.Sleep(time.Millisecond)
	}
	clock.Store(0)
	s.opts.QueueAge = time.Nanosecond // Nobody else appends now.
	if _, err := s.Append(t0, "a-4", eventstore.NoStream, storetest.Event(3)); !errors.Is(err, eventstore.ErrOverloaded) {
		t.Fatalf("behind one that waited: got %v, want ErrOverloaded", err)
	}
	close(hang)
	for range 3 {
		if err := <-first; err != nil {
			t.Fatal(err)
		}
	}
	if n := len(storetest.CheckLog(t, s)); n != 3 || s.Stats().Shed != 1 {
		t.Fatalf("got %d events, %d shed", n, s.Stats().Shed)
	}
}

// TestBallast: when room runs out the ballast is given back, appends are refused unwritten and readers go on; when there
// is room again, appends are taken and the ballast is made again.
func TestBallast(t *testing.T) {
	const reserve = 4 << 20
	disk := vfs.NewMem()
	free := func(n uint64) { disk.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: n, TotalBytes: 1 << 30}) }
	ballast := func() int64 {
		info, err := disk.Stat("log/" + room.Ballast)
		if err != nil {
			return 0
		}
		return info.Size()
	}
	free(reserve)
	o := small(disk)
	o.ReserveBytes = reserve
	s := mustOpen(t, o)
	head, err := s.Append(t0, "a-1", eventstore.NoStream, storetest.Event(0))
	if err != nil {
		t.Fatal(err)
	}
	until := func(what string, ok func() bool) { // The store looks each second.
		t.Helper()
		for end := time.Now().Add(time.Minute); !ok(); time.Sleep(5 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%s: not within a minute", what)
			}
		}
	}
	until("ballast", func() bool { return ballast() == reserve/ballastShare })
	free(reserve - 1)
	until("full", func() bool { return s.disk.Full() && ballast() == 0 })
	if _, err := s.Append(t0, "a-1", head.Revision, storetest.Event(1)); !errors.Is(err, eventstore.ErrFull) || errors.Is(err, eventstore.ErrClosed) {
		t.Fatalf("full: got %v, want ErrFull", err)
	}
	if n := len(storetest.CheckLog(t, s)); n != 1 {
		t.Fatalf("full: readers see %d events, not 1", n)
	}
	if err := s.Close(); err != nil {
		t.Fatalf("close on a full disk: %v", err)
	}
	s = mustOpen(t, o)
	if _, err := s.Append(t0, "a-1", head.Revision, storetest.Event(1)); !errors.Is(err, eventstore.ErrFull) {
		t.Fatalf("opened on a full disk: got %v, want ErrFull", err)
	}
	free(2 * reserve)
	until("room again", func() bool { return !s.disk.Full() && ballast() == reserve/ballastShare })
	if _, err := s.Append(t0, "a-1", head.Revision, storetest.Event(1)); err != nil {
		t.Fatalf("with room again: %v", err)
	}
	if n := len(storetest.CheckLog(t, s)); n != 2 {
		t.Fatalf("%d events, not 2", n)
	}
}
