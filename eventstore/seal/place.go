package seal

import (
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// placeName is a file that says when it was itself made on its disk: no copy of it can have been made then. So a key folder
// that was copied file by file, perhaps long ago, is told from the one that was in use. [CopyKeys] copies neither it nor seen,
// and [RestoreKeys] is followed by Settle: keys without either were put there by hand. A folder that is moved on its disk keeps
// it; a snapshot of a whole disk can't be told.
const placeName = "place"

// Copied tells whether this is a copy of the folder that was in use, which may know people who were erased since, until
// Settle. A disk that does not say when a file was made has no copies.
func (v *Vault) Copied() bool { return v.copied }

// Settle makes a copy the folder in use: whoever calls it has erased again whom the log says so of.
func (v *Vault) Settle() error {
	if !v.copied {
		return nil
	}
	if err := v.folder.settle(); err != nil {
		return err
	}
	v.copied = false
	return nil
}

// settled tells whether the folder is where it was in use; one that does not say is from here on, unless it holds a copy by
// hand. beside is an open file of it, by which the disk is asked whether it can tell.
func (d folder) settled(beside vfs.File, byHand bool) (bool, error) {
	if _, tells := born(beside); !tells {
		return true, nil
	}
	f, err := d.fs.Open(d.path(placeName))
	if errors.Is(err, os.ErrNotExist) {
		if byHand { // Seen is written next, so that only this goes on saying so.
			return false, d.write(placeName, []byte(placeLine(time.Time{})))
		}
		return true, d.settle()
	}
	if err != nil {
		return false, fmt.Errorf("seal: read %s: %w", placeName, err)
	}
	at, _ := born(f)
	data, err := readAll(f)
	if err = errors.Join(err, f.Close()); err != nil {
		return false, fmt.Errorf("seal: read %s: %w", placeName, err)
	}
	text, _, _ := strings.Cut(string(data), " ")
	was, err := time.Parse(time.RFC3339Nano, text)
	if err != nil || placeLine(was) != string(data) {
		return false, fmt.Errorf("seal: %s in the key folder is damaged: restore the key folder from its backup", placeName)
	}
	return at.Equal(was), nil
}

// settle writes the file.
func (d folder) settle() error {
	return d.writeBy(placeName, func(f vfs.File) []byte {
		at, _ := born(f)
		return []byte(placeLine(at))
	})
}

func placeLine(at time.Time) string {
	text := at.UTC().Format(time.RFC3339Nano)
	return fmt.Sprintf("%s %08x\n", text, crc32.Checksum([]byte(text), castagnoli))
}
