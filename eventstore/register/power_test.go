package register

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"zujian/eventstore/embedded"
	"zujian/eventstore/faults"
	"zujian/eventstore/memory"
)

// signLosses has a register and its log lose power, or their process, or an operation of their disk.
func signLosses(seed uint64, crashes int, skipSync bool) (faults.CheckpointsTally, error) {
	folder := func(fs faults.FS, log faults.Log, now func() time.Time) Options {
		o := options("register", log.(Log))
		o.FS, o.Now, o.skipSync = fs, now, skipSync
		return o
	}
	return faults.Checkpoints(context.Background(), faults.CheckpointsConfig{
		Seed: seed, Crashes: crashes, Dir: "register", Kept: checkpointName,
		Log: func(fs faults.FS) (faults.Log, error) {
			return embedded.Open(embedded.Options{Dir: "log", FS: fs, SegmentBytes: 256 << 10, QueueAge: time.Hour})
		},
		Open: func(fs faults.FS, log faults.Log, now func() time.Time) (faults.Signer, error) {
			r, err := Open(context.Background(), folder(fs, log, now))
			if err != nil {
				return nil, err
			}
			return r, nil
		},
		Signed: func(s faults.Signer) (uint64, [32]byte) {
			c := s.(*Register).Checkpoint()
			return c.Size, c.Root
		},
		Verify: func(ctx context.Context, fs faults.FS, log faults.Log) error {
			_, err := Verify(ctx, folder(fs, log, time.Now), nil)
			return err
		},
	})
}

// TestPowerLoss: at whatever operation the power fails, the register opens again, and has signed no smaller and no other
// tree than it handed out.
func TestPowerLoss(t *testing.T) {
	t.Parallel()
	const crashes = 300
	seed := uint64(time.Now().UnixNano())
	got, err := signLosses(seed, crashes, false)
	if err != nil {
		t.Fatalf("seed %d: %v", seed, err)
	}
	t.Logf("seed %d: %+v", seed, got)
	if got.Verified < crashes || got.Rebuilds == 0 {
		t.Errorf("seed %d: too little happened: %+v", seed, got)
	}
	for _, at := range []string{"checkpoint", "leaves", "level1", "register", "open", "run", "killed", "error"} {
		if faults.Times(got.At, at) == 0 {
			t.Errorf("seed %d: no power loss at %q: %v", seed, at, got.At)
		}
	}
}

// TestWhatIsHandedOutIsDurable looks at the checkpoint that anybody may ask for before each operation of a signing that
// changes the disk: a power loss at that moment leaves no less.
func TestWhatIsHandedOutIsDurable(t *testing.T) {
	t.Parallel()
	s := &memory.Store{}
	fill(t, s, 0, 300)
	clock := time.Unix(1_700_000_000, 0)
	at := func(fs vfs.FS) Options {
		o := options("register", Over(s))
		o.FS, o.Now = fs, func() time.Time { clock = clock.Add(time.Second); return clock }
		return o
	}
	disk, looked := faults.NewDisk(), 0
	var r *Register
	look := func(op errorfs.Op) error {
		switch faults.Kind(op) {
		case "write", "sync", "create", "rename", "remove":
			if r == nil {
				return nil
			}
			left := disk.PowerLoss(0, nil)
			signed, _, err := loadSigned(left, "register")
			if handed := r.Checkpoint().Size; err != nil || signed.Size < handed {
				t.Errorf("before %s: %d events are handed out as signed, a power loss leaves %d, %v", faults.Kind(op), handed, signed.Size, err)
			}
			looked++
		}
		return nil
	}
	r = mustOpen(t, at(errorfs.Wrap(disk, errorfs.InjectorFunc(look))))
	for n := range 3 {
		if n > 0 {
			fill(t, s, n*300, n*300+300)
		}
		if err := r.follow(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if r.Checkpoint().Size != 900 || looked < 10 {
		t.Errorf("%d events are signed, %d looks", r.Checkpoint().Size, looked)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

// TestEveryStartThatIsKilled kills the first start of a register, one that makes its tree again, and one that has events
// to sign, before each operation that changes the disk. The next start, and the one after a power loss behind it, open and
// have signed no less than was handed out.
func TestEveryStartThatIsKilled(t *testing.T) {
	t.Parallel()
	s := &memory.Store{}
	fill(t, s, 0, 600)
	at := func(fs vfs.FS) Options {
		clock := time.Unix(1_700_000_000, 0)
		o := options("register", Over(s))
		o.FS, o.Now = fs, func() time.Time { clock = clock.Add(time.Second); return clock }
		return o
	}
	signedOn := func(disk *faults.Disk) uint64 {
		r := mustOpen(t, at(disk))
		defer r.Close()
		return r.Checkpoint().Size
	}
	signAll := func(fs vfs.FS) error {
		r, err := Open(t.Context(), at(fs))
		if err != nil {
			return err
		}
		err = r.follow(t.Context()) // By its clock it is time to sign.
		return errors.Join(err, r.Close())
	}
	whole := faults.NewDisk()
	if err := signAll(whole); err != nil {
		t.Fatal(err)
	}
	bare := whole.PowerLoss(0, nil)
	for _, name := range []string{leavesName, levelName(1)} {
		if err := bare.Remove(bare.PathJoin("register", name)); err != nil {
			t.Fatal(err)
		}
	}
	d, err := bare.OpenDir("register")
	if err := errors.Join(err, d.Sync(), d.Close()); err != nil {
		t.Fatal(err)
	}
	for name, start := range map[string]*faults.Disk{"first": faults.NewDisk(), "tree deleted": bare} {
		killed := 0
		for k := 1; ; k++ {
			disk, n := start.PowerLoss(0, nil), 0
			err := signAll(errorfs.Wrap(disk, errorfs.InjectorFunc(func(op errorfs.Op) error {
				switch faults.Kind(op) {
				case "write", "sync", "create", "rename", "remove":
					if n++; n >= k {
						return errors.New("killed")
					}
				}
				return nil
			})))
			if n < k {
				if err != nil {
					t.Fatal(err)
				}
				break
			}
			killed++
			handed := signedOn(disk)
			if got := signedOn(disk.PowerLoss(0, nil)); got < handed {
				t.Fatalf("%s start, killed at operation %d: %d events were signed, after a power loss %d", name, k, handed, got)
			}
			if _, err := Verify(t.Context(), at(disk), nil); err != nil {
				t.Fatalf("%s start, killed at operation %d: %v", name, k, err)
			}
		}
		if killed < 10 {
			t.Errorf("%s start: only %d operations", name, killed)
		}
	}
}

// TestPowerLossFindsAnUnsyncedTree: a register that signs before its tree is durable does not live long.
func TestPowerLossFindsAnUnsyncedTree(t *testing.T) {
	t.Parallel()
	for seed := range uint64(5) {
		if got, err := signLosses(seed, 300, true); err == nil {
			t.Errorf("seed %d: it came through %d losses", seed, got.Crashes)
		}
	}
}
