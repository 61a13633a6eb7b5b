package seal

import (
	"errors"
	"fmt"
	"hash/crc32"
	"os"
)

// seen is how much of the key folder was durable when it was last opened or closed: the file "seen". It tells damage at
// the end of the key slots or of the tombstones from what a crash left unfinished there, which alone may be cut. A copy
// of the folder has no such file, so an older copy opens.
type seen struct {
	slots     uint64 // Key slots.
	graveyard int64  // Bytes of tombstones.
}

const seenName = "seen"

func readSeen(d folder) (s seen, err error) {
	data, err := d.read(seenName)
	if errors.Is(err, os.ErrNotExist) {
		return seen{}, nil
	}
	if err != nil {
		return s, fmt.Errorf("seal: read %s: %w", seenName, err)
	}
	var sum uint32
	if n, _ := fmt.Sscanf(string(data), "%d slots %d bytes of tombstones %08x", &s.slots, &s.graveyard, &sum); n != 3 || s.line() != string(data) {
		return s, fmt.Errorf("seal: %s in the key folder is damaged: restore the key folder from its backup", seenName)
	}
	return s, nil
}

func (s seen) line() string {
	text := fmt.Sprintf("%d slots %d bytes of tombstones", s.slots, s.graveyard)
	return fmt.Sprintf("%s %08x\n", text, crc32.Checksum([]byte(text), castagnoli))
}

// note writes down what is durable now. Erasing and making keys have ended.
func (v *Vault) note() error {
	return v.folder.write(seenName, []byte(seen{slots: v.slots.done, graveyard: v.graves.size}.line()))
}
