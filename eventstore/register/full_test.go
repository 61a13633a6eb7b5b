package register

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"zujian/eventstore"
	"zujian/eventstore/faults"
	"zujian/eventstore/memory"
	"zujian/eventstore/room"
)

// fullDisk is a disk that has no room for what is written into the register's folder, from some operation on.
type fullDisk struct {
	*faults.Disk
	seen, from atomic.Int64 // Operations, and the first that finds no room; none if 0.
	while      func() bool  // Only then, if not nil.
}

func (d *fullDisk) fs() vfs.FS {
	return errorfs.Wrap(d.Disk, errorfs.InjectorFunc(func(op errorfs.Op) error {
		switch faults.Kind(op) {
		case "write", "create", "rename", "sync":
			if !strings.HasPrefix(op.Path, "register/") || strings.HasSuffix(op.Path, room.Ballast) {
				return nil
			}
			if n, from := d.seen.Add(1), d.from.Load(); from > 0 && n >= from && (d.while == nil || d.while()) {
				return syscall.ENOSPC
			}
		}
		return nil
	}))
}

func (d *fullDisk) fillsAt(k int64) { d.seen.Store(0); d.from.Store(k) }

// TestFullDiskAtEveryOperation fills the register's disk at each operation of a signing: nothing is handed out whose tree
// a power loss would take, what was signed is served, and with room again everything is signed, over the same tree.
func TestFullDiskAtEveryOperation(t *testing.T) {
	t.Parallel()
	ended, end := context.WithCancel(t.Context())
	end() // Nobody waits here.
	const first, later, last = 300, 900, 1000
	points := 0
	for k := int64(1); ; k++ {
		s, clock := &memory.Store{}, time.Unix(1_700_000_000, 0)
		fill(t, s, 0, first)
		disk := &fullDisk{Disk: faults.NewDisk()}
		at := func(fs vfs.FS) Options {
			o := options("register", Over(s))
			o.FS, o.Now = fs, func() time.Time { clock = clock.Add(time.Second); return clock }
			return o
		}
		r := mustOpen(t, at(disk.fs()))
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatalf("full at operation %d: %v", k, err)
			}
		}
		must(r.follow(t.Context()))
		fill(t, s, first, later)
		disk.fillsAt(k)
		err := r.follow(t.Context())
		if err == nil {
			must(r.Close())
			break
		}
		points++
		for range 2 { // It is still full the next time.
			if !vfs.IsNoSpaceError(err) || !r.patient(ended, err) || !r.Status().Full {
				t.Fatalf("full at operation %d: %v, full %v", k, err, r.Status().Full)
			}
			holdsWhatItSigned(t, r, disk, at, first, later-1)
			err = r.follow(t.Context())
		}
		if !r.patient(ended, err) {
			t.Fatalf("full at operation %d, the third time: %v", k, err)
		}
		disk.fillsAt(0)
		fill(t, s, later, last)
		must(r.follow(t.Context()))
		if st := r.Status(); st.Full || st.Signed != last {
			t.Fatalf("full at operation %d, with room again: %+v", k, st)
		}
		want, err := rootOver(t.Context(), Over(s), testKeys, last)
		if must(err); r.Checkpoint().Root != hash(want.Root) {
			t.Fatalf("full at operation %d: another tree was signed", k)
		}
		must(r.Close())
		_, err = Verify(t.Context(), at(disk.PowerLoss(0, nil)), nil)
		must(err)
	}
	if points < 6 {
		t.Errorf("only %d operations", points)
	}
	t.Logf("%d operations", points)
}

// holdsWhatItSigned looks at a register on a full disk from outside, and at what a power loss would leave.
func holdsWhatItSigned(t *testing.T, r *Register, disk *fullDisk, at func(vfs.FS) Options, signed, unsigned uint64) {
	t.Helper()
	if got := r.Checkpoint().Size; got != signed {
		t.Fatalf("%d are signed on a full disk, %d were", got, signed)
	}
	if _, err := r.Inclusion(signed - 1); err != nil {
		t.Fatalf("a proof on a full disk: %v", err)
	}
	if _, err := r.Inclusion(unsigned); !errors.Is(err, eventstore.ErrFull) {
		t.Fatalf("a proof of what is not signed: %v, want ErrFull", err)
	}
	for _, percent := range []int{0, 50, 100} {
		left := disk.PowerLoss(percent, rand.New(rand.NewPCG(signed, uint64(percent))))
		last, there, err := loadSigned(left, "register")
		if err != nil || !there || last.Size < signed {
			t.Fatalf("a power loss leaves %d signed, %v", last.Size, err)
		}
		if _, err := Verify(t.Context(), at(left), nil); err != nil {
			t.Fatal(err)
		}
	}
}

// TestFullDiskWhileItRuns: the ballast is given back and signing goes on; when that is used up, too, nothing is signed and
// Run goes on; with room again it signs, and the ballast is made again. It ends in peace on a full disk.
func TestFullDiskWhileItRuns(t *testing.T) {
	t.Parallel()
	const ballast = 64 << 10
	s := &memory.Store{}
	fill(t, s, 0, 10)
	disk := &fullDisk{Disk: faults.NewDisk()}
	free := func(n uint64) { disk.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: n, TotalBytes: 1 << 30}) }
	kept := func() bool { _, err := disk.Stat("register/" + room.Ballast); return err == nil }
	var gone atomic.Bool // The ballast's room is used up, too.
	disk.while = func() bool { return gone.Load() || kept() }
	free(1 << 20)
	o := options("register", Over(s))
	o.FS, o.Ballast = disk.fs(), ballast
	r := mustOpen(t, o)
	stop := run(t, r)
	signedSize(t, r, 10)
	until(t, "ballast", kept)
	free(0)
	disk.fillsAt(1)
	fill(t, s, 10, 20)
	signedSize(t, r, 20)
	if kept() || r.Status().Full {
		t.Errorf("with a ballast: kept %v, %+v", kept(), r.Status())
	}
	gone.Store(true)
	fill(t, s, 20, 30)
	until(t, "a full disk", func() bool { return r.Status().Full })
	disk.fillsAt(0)
	free(1 << 20)
	signedSize(t, r, 30)
	until(t, "ballast again", kept)
	until(t, "room", func() bool { return !r.Status().Full })
	free(0)
	disk.fillsAt(1)
	fill(t, s, 30, 40)
	until(t, "a full disk again", func() bool { return r.Status().Full })
	stop()
	disk.fillsAt(0)
	o.FS = disk.PowerLoss(0, nil)
	r = mustOpen(t, o)
	run(t, r)
	signedSize(t, r, 40)
}

// TestNotaryOnAFullDisk: a notary that can't write what it signs signs nothing, says so, and goes on when it can.
func TestNotaryOnAFullDisk(t *testing.T) {
	t.Parallel()
	s := &memory.Store{}
	fill(t, s, 0, 20)
	disk := &fullDisk{Disk: faults.NewDisk()}
	n, err := OpenNotary(disk.fs(), "register", testKeys, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	propose := func(size uint64) Proposal {
		s, err := rootOver(t.Context(), Over(s), testKeys, size)
		if err != nil {
			t.Fatal(err)
		}
		return Proposal{Origin: "register.example/zujian", Size: size, Root: hash(s.Root)}
	}
	for k := int64(1); k <= 4; k++ { // Make, write, sync, rename.
		disk.fillsAt(k)
		if _, err := n.Sign(t.Context(), propose(10)); !errors.Is(err, eventstore.ErrFull) {
			t.Fatalf("full at operation %d: %v", k, err)
		}
		if rec, err := n.Last(t.Context()); rec != nil || err != nil {
			t.Fatalf("full at operation %d: it says it signed %s, %v", k, rec, err)
		}
		if _, there, err := loadSigned(disk.PowerLoss(100, rand.New(rand.NewPCG(1, uint64(k)))), "register"); there || err != nil {
			t.Fatalf("full at operation %d: something is kept: %v", k, err)
		}
	}
	disk.fillsAt(0)
	if _, err := n.Sign(t.Context(), propose(20)); err != nil {
		t.Fatal(err)
	}
}
