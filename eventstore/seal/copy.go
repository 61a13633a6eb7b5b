package seal

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	folders "zujian/eventstore/folder"
)

// keyFiles are the files of a key folder in the order in which they are copied: tombstones last, so that an erasure
// during the copy is in it.
var keyFiles = [...]string{"subjects", "identity", "register", "kek", "erased"}

// CopyKeys copies the key folder of DIR to the folder to, which it makes, while a vault may have it open. A copy opens
// everything sealed up to its beginning. Keep copies no longer than an erasure may take, and apart from the log's.
func CopyKeys(dir, to string) error {
	if err := os.MkdirAll(to, 0o700); err != nil {
		return fmt.Errorf("seal: copy keys: %w", err)
	}
	for _, name := range keyFiles {
		err := copyFile(filepath.Join(dir, "keys", name), filepath.Join(to, name), name == "subjects")
		if errors.Is(err, os.ErrNotExist) && (name == "kek" || name == "register") {
			continue // The wrapper keeps the one elsewhere; the other comes with the first start of a server.
		}
		if err != nil {
			return fmt.Errorf("seal: copy keys: %w", err)
		}
	}
	return errors.Join(folders.Sync(vfs.Default, to), folders.Sync(vfs.Default, filepath.Dir(to)))
}

func copyFile(from, to string, slots bool) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if slots {
		err = copySlots(in, out)
	} else {
		_, err = io.Copy(out, in)
	}
	return errors.Join(err, out.Sync(), out.Close())
}

const slotTries = 1000 // A slot that is being overwritten is whole a moment later.

// copySlots copies whole slots. What a group under way leaves torn at the end was not acknowledged, and is cut at opening.
func copySlots(in *os.File, out io.Writer) error {
	w := bufio.NewWriterSize(out, 1<<20)
	var b [slotLen]byte
	for n := int64(0); ; n++ {
		for try := 0; ; try++ {
			got, err := in.ReadAt(b[:], n*slotLen)
			if err != nil && !errors.Is(err, io.EOF) {
				return err
			}
			if got < slotLen {
				return w.Flush()
			}
			if _, whole := decodeSlot(b[:]); whole || b == [slotLen]byte{} || try == slotTries {
				break // Damaged for good: copied as it is, and named when the copy is opened.
			}
		}
		if _, err := w.Write(b[:]); err != nil {
			return err
		}
	}
}

// AddTombstones adds the erasures that the file lists, in the form of a key folder's own list ("erased"), to the list of
// DIR's key folder, before it is opened: a restored folder must not know anybody whom a later erasure forgot. It gives
// how many were new.
func AddTombstones(dir, file string) (added int, err error) {
	list, err := os.ReadFile(file)
	if err != nil {
		return 0, fmt.Errorf("seal: add tombstones: %w", err)
	}
	return keyFolder(vfs.Default, dir).addTombstones(list, file)
}

func (d folder) addTombstones(list []byte, file string) (added int, err error) {
	known := map[subjectID]bool{}
	before, err := readSeen(d)
	if err != nil {
		return 0, err
	}
	t, err := openTombstones(d, before.graveyard, func(id subjectID) { known[id] = true })
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, t.f.Close()) }()
	whole, err := parseTombstones(list, func(id subjectID, at time.Time) error {
		if known[id] {
			return nil
		}
		if err := t.add(id, at); err != nil {
			return err
		}
		known[id] = true
		added++
		return nil
	})
	torn := list[whole:]
	// A crash tears one line: it leaves a part of it, or loses a part in the middle to zeroes.
	if err == nil && (len(torn) > tombstoneMax || bytes.HasSuffix(torn, []byte("\n")) && bytes.IndexByte(torn, 0) < 0) {
		err = fmt.Errorf("seal: tombstone at byte %d is damaged", whole)
	}
	if err != nil {
		return added, fmt.Errorf("add tombstones of %s: %w", file, err)
	}
	return added, nil
}
