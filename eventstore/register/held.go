package register

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2/vfs"

	"zujian/eventstore/folder"
	"zujian/eventstore/room"
)

// A folder that was restored from a backup can't know whether more was signed after the backup. Until somebody who does
// says so, it is held: the file "held" is in it, and nothing larger than the checkpoint that it has is signed. Witnesses
// say so when they have cosigned what it has; without witnesses the operator does ([Release]).
const heldName = "held"

const heldText = "This register was restored from a backup and signs nothing new: more may have been signed after the backup was made.\n" +
	"`zujian resume` lets it go on.\n"

// Hold makes the register in a folder sign nothing new until it is released. The folder is made if it is missing. Here and
// below a nil fs is the real disk.
func Hold(fs vfs.FS, dir string) error {
	fs = disk(fs)
	if err := fs.MkdirAll(dir, foldersPerms); err != nil {
		return fmt.Errorf("register: hold: %w", err)
	}
	f, err := fs.Create(fs.PathJoin(dir, heldName), "register")
	if err != nil {
		return fmt.Errorf("register: hold: %w", err)
	}
	_, err = f.Write([]byte(heldText))
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = folder.Sync(fs, dir)
	}
	if err != nil {
		return fmt.Errorf("register: hold: %w", err)
	}
	return nil
}

// Held tells whether the register in a folder is held.
func Held(fs vfs.FS, dir string) bool {
	fs = disk(fs)
	_, err := fs.Stat(fs.PathJoin(dir, heldName))
	return err == nil
}

// Release lets the register in a folder sign again.
func Release(fs vfs.FS, dir string) error {
	fs = disk(fs)
	if err := errors.Join(fs.Remove(fs.PathJoin(dir, heldName)), folder.Sync(fs, dir)); err != nil {
		return fmt.Errorf("register: release: %w", err)
	}
	return nil
}

// Forget removes the tree and what was signed over it from a folder, which stays held: its log ends before that, and whoever
// calls this has been told to roll back.
func Forget(fs vfs.FS, dir string) error {
	fs = disk(fs)
	names, err := fs.List(dir)
	if err != nil {
		return fmt.Errorf("register: forget: %w", err)
	}
	for _, name := range names {
		if name == heldName || name == lockName || name == room.Ballast || name == checkpointName {
			continue
		}
		if err := fs.Remove(fs.PathJoin(dir, name)); err != nil {
			return fmt.Errorf("register: forget: %w", err)
		}
	}
	// The checkpoint last: a tree without one is refused.
	if err := errors.Join(fs.Remove(fs.PathJoin(dir, checkpointName)), folder.Sync(fs, dir)); err != nil {
		return fmt.Errorf("register: forget: %w", err)
	}
	return nil
}

// may tells whether anything new may be signed now. What holds a restored register ends when enough witnesses have agreed.
func (r *Register) may() (bool, error) {
	if !r.panel.cleared() {
		return false, nil
	}
	if !r.held.Load() {
		return true, nil
	}
	if r.panel.empty() {
		return false, nil
	}
	if err := Release(r.o.FS, r.o.Dir); err != nil {
		return false, err
	}
	r.held.Store(false)
	r.o.Logger.Info("witnesses know no more than this restored register: it signs again")
	return true, nil
}

// Signed is what a register has signed last, as its folder or a backup keeps it.
type Signed struct {
	Checkpoint
	Confirmed string // The last note that enough witnesses had cosigned by then.
	record    signed
}

// LoadSigned reads what the register in a folder has signed last; ok is false if it never has. The signatures are not
// checked: see [Signed.By].
func LoadSigned(fs vfs.FS, dir string) (s Signed, ok bool, err error) {
	rec, ok, err := loadSigned(disk(fs), dir)
	if err != nil || !ok {
		return s, false, err
	}
	return Signed{
		Checkpoint: Checkpoint{Origin: rec.Origin, Size: rec.Size, Root: [32]byte(rec.Root), Note: rec.Note},
		Confirmed:  rec.Confirmed, record: rec,
	}, true, nil
}

// By checks that these keys have signed s.
func (s *Signed) By(keys Keys) error { return s.record.verify(keys) }

// Save writes s to a folder, durably: a register opened there knows what it has signed.
func (s *Signed) Save(fs vfs.FS, dir string) error {
	fs = disk(fs)
	if err := fs.MkdirAll(dir, foldersPerms); err != nil {
		return fmt.Errorf("register: save checkpoint: %w", err)
	}
	return s.record.save(fs, dir)
}

func disk(fs vfs.FS) vfs.FS {
	if fs == nil {
		return folder.Real()
	}
	return fs
}
