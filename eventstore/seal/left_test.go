package seal

import (
	"errors"
	"path"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// TestWhatAKilledProcessLeft: what a process wrote and was killed before it synced, the next one makes durable before it goes
// by it: a power loss then neither gives an erased person's key back nor takes the key away that something was sealed with.
func TestWhatAKilledProcessLeft(t *testing.T) {
	t.Parallel()
	clock := func() time.Time { return time.Unix(1_790_000_000, 0) }
	begin := func(t *testing.T, disk vfs.FS) *Vault {
		v, err := Open("", Options{FS: disk, Now: clock})
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	seal := func(t *testing.T, v *Vault, who string) string {
		value, err := v.Seal(t.Context(), who, "s", "f", "plain")
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
	// killedAt lets a process do something whose sync of one file never comes.
	killedAt := func(t *testing.T, disk vfs.FS, file string, do func(*Vault) error) {
		working := false
		v := begin(t, errorfs.Wrap(disk, errorfs.InjectorFunc(func(op errorfs.Op) error {
			switch op.Kind {
			case errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo:
				if working && path.Base(op.Path) == file {
					return errorfs.ErrInjected
				}
			}
			return nil
		})))
		working = true
		if err := do(v); !errors.Is(err, errorfs.ErrInjected) {
			t.Fatalf("it was not killed: %v", err)
		}
		_ = v.Close() // As the killed process's files are closed: nothing more is synced.
	}
	lost := vfs.CrashCloneCfg{UnsyncedDataPercent: 0}

	t.Run("a tombstone", func(t *testing.T) {
		disk := vfs.NewCrashableMem()
		v := begin(t, disk)
		value := seal(t, v, "p")
		if err := v.Close(); err != nil {
			t.Fatal(err)
		}
		killedAt(t, disk, tombstonesName, func(v *Vault) error { return v.Erase(t.Context(), "p") })
		next := begin(t, disk)
		if plain, err := next.Open(t.Context(), "p", "s", "f", value); !errors.Is(err, ErrErased) {
			t.Fatalf("with the tombstone there it opens as %q: %v", plain, err)
		}
		list, err := keyFolder(disk.CrashClone(lost), "").read(tombstonesName)
		if err != nil || len(list) == 0 || int64(len(list)) != next.graves.size {
			t.Errorf("after the power loss the list holds %d bytes: %v", len(list), err)
		}
		if err := next.Close(); err != nil {
			t.Error(err)
		}
	})
	t.Run("a key", func(t *testing.T) {
		disk := vfs.NewCrashableMem()
		if err := begin(t, disk).Close(); err != nil {
			t.Fatal(err)
		}
		killedAt(t, disk, slotsName, func(v *Vault) error {
			_, err := v.Seal(t.Context(), "p", "s", "f", "plain")
			return err
		})
		next := begin(t, disk)
		value := seal(t, next, "p")
		after := begin(t, disk.CrashClone(lost))
		if plain, err := after.Open(t.Context(), "p", "s", "f", value); err != nil || plain != "plain" {
			t.Errorf("after the power loss it opens as %q: %v", plain, err)
		}
		if err := errors.Join(after.Close(), next.Close()); err != nil {
			t.Error(err)
		}
	})
}
