package seal

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"zujian/eventstore/faults"
)

// keyLosses has vaults lose power, or their process, at random operations.
func keyLosses(tb testing.TB, seed uint64, crashes int) (faults.KeysTally, error) {
	random := rand.NewChaCha8([32]byte{byte(seed)})
	opens := int64(0)
	return faults.Keys(tb.Context(), faults.KeysConfig{
		Seed: seed, Crashes: crashes, Erased: ErrErased,
		Open: func(fs faults.FS) (faults.Vault, error) {
			opens++ // Every third grows as it does on a disk, the others all the time.
			return Open("", Options{FS: fs, growth: opens % 3 * 4 * slotLen, Rand: random, Now: func() time.Time { return time.Unix(1_790_000_000, 0) }})
		},
		Forget: func(old, now faults.FS) error {
			list, err := keyFolder(now, "").read(tombstonesName)
			if errors.Is(err, os.ErrNotExist) {
				return nil // The folder was being made.
			}
			if err != nil {
				return err
			}
			_, err = keyFolder(old, "").addTombstones(list, tombstonesName)
			return err
		},
	})
}

// TestKeysAndPowerLoss: at whatever operation the power fails, a key whose destruction was acknowledged never opens
// anything again, no other is lost, and a key folder restored from before forgets whom the present one forgot.
func TestKeysAndPowerLoss(t *testing.T) {
	t.Parallel()
	const crashes = 3000
	seed := uint64(time.Now().UnixNano())
	got, err := keyLosses(t, seed, crashes)
	if err != nil {
		t.Fatalf("seed %d: %v", seed, err)
	}
	t.Logf("seed %d: %+v", seed, got)
	if got.Verified < crashes || got.Repeated == 0 || got.Restores == 0 {
		t.Errorf("seed %d: too little happened: %+v", seed, got)
	}
	for _, at := range []string{"work subjects", "work erased", "open subjects", "open erased", "rotate", "restore erased", "killed", "error"} {
		if faults.Times(got.At, at) == 0 {
			t.Errorf("seed %d: no power loss at %q: %v", seed, at, got.At)
		}
	}
}

// TestEveryErrorOfTheKeyFile: whichever write or sync of the key file fails, for once or from then on, the vault takes no new
// key afterwards, and neither it nor the next one, whatever a power loss leaves, has lost an acknowledged one.
func TestEveryErrorOfTheKeyFile(t *testing.T) {
	t.Parallel()
	const subjects = 24
	rng := rand.New(rand.NewPCG(6, 6))
	errs := map[string]int{}
	for _, kind := range []string{"write", "sync"} {
		for _, stays := range []bool{false, true} {
			for k, failed := 1, true; failed; k++ {
				failed = false
				disk := faults.NewDisk()
				begun := false
				n := 0
				v, err := Open("", Options{growth: 4 * slotLen, Now: time.Now, FS: errorfs.Wrap(disk, errorfs.InjectorFunc(func(op errorfs.Op) error {
					if !begun || path.Base(op.Path) != slotsName || faults.Kind(op) != kind {
						return nil
					}
					if n++; n != k && !(stays && n > k) {
						return nil
					}
					failed = true
					return errorfs.ErrInjected
				}))})
				if err != nil {
					t.Fatal(err)
				}
				begun = true
				sealed, erased := map[string]string{}, map[string]bool{}
				for i := range subjects {
					name := fmt.Sprint("party-", i)
					value, err := v.Seal(t.Context(), name, "s", "f", name)
					if failed != (err != nil) {
						t.Fatalf("%s %d: a key after the error: %v", kind, k, err)
					}
					if err != nil {
						continue
					}
					sealed[name] = value
					if i%6 == 5 {
						if err := v.Erase(t.Context(), name); err == nil {
							erased[name] = true
						} else {
							delete(sealed, name) // Either way.
						}
					}
				}
				holds(t, v, sealed, erased)
				for _, percent := range faults.Survival {
					afterPowerLoss(t, disk.PowerLoss(percent, rng), sealed, erased)
				}
				_ = v.Close() // After an error it has one.
				errs[kind]++
			}
		}
	}
	if errs["write"] < 2*subjects || errs["sync"] < 2*subjects {
		t.Errorf("too few errors: %v", errs)
	}
}

// TestListsOfErasures: what a crash tore off the end of a list was never acknowledged and is passed over; any other damage
// is named.
func TestListsOfErasures(t *testing.T) {
	dir := t.TempDir()
	v, err := Open(dir, Options{Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	for _, who := range []string{"a", "b"} {
		if err := v.Erase(t.Context(), who); err != nil {
			t.Fatal(err)
		}
	}
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}
	list, err := keyFolder(vfs.Default, dir).read(tombstonesName)
	if err != nil {
		t.Fatal(err)
	}
	line := bytes.LastIndexByte(list[:len(list)-1], '\n') + 1 // Where the last begins.
	flipped := bytes.Clone(list)
	flipped[line+5] ^= 1
	for name, try := range map[string]struct {
		list  []byte
		added int
		bad   bool
	}{
		"whole":                    {list, 2, false},
		"torn":                     {list[:len(list)-7], 1, false},
		"torn, its beginning lost": {append(append(bytes.Clone(list[:line]), make([]byte, 40)...), list[line+40:]...), 1, false},
		"last line flipped":        {flipped, 1, true},
		"first line gone bad":      {append(make([]byte, line), list[line:]...), 0, true},
		"more than a line torn":    {append(bytes.Clone(list[:line]), make([]byte, 100)...), 1, true},
	} {
		to := folder{vfs.NewMem(), "keys"}
		if err := to.fs.MkdirAll(to.dir, privateFolder); err != nil {
			t.Fatal(err)
		}
		added, err := to.addTombstones(try.list, "erased")
		if added != try.added || (err != nil) != try.bad {
			t.Errorf("%s: %d added, %v", name, added, err)
		}
	}
}
