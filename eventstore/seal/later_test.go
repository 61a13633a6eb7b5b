package seal_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"zujian/eventstore/seal"
)

// TestLaterSlots: a slot of a later format, whole, is said to be one, and nothing is written over it.
func TestLaterSlots(t *testing.T) {
	dir := t.TempDir()
	v := open(t, dir, seal.INTL)
	for i := range 3 {
		sealed(t, v, fmt.Sprint("p", i), "s", "f", "x")
	}
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "keys", "subjects")
	now, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	const slotLen = 128
	for name, change := range map[string]func(slot []byte){
		"format 7, status 1": func(slot []byte) { slot[3] = 7 },
		"format 0, status 9": func(slot []byte) { slot[0] = 9 },
	} {
		for n := range 4 { // The fourth is behind the last.
			later := slices.Clone(now)
			slot := later[n*slotLen : (n+1)*slotLen]
			copy(slot, now[:slotLen])
			change(slot)
			binary.BigEndian.PutUint32(slot[slotLen-4:], crc32.Checksum(slot[:slotLen-4], crc32.MakeTable(crc32.Castagnoli)))
			if err := os.WriteFile(path, later, 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := seal.Open(dir, seal.Options{Now: time.Now})
			if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("key slot %d is of %s, which this program does not read", n, name)) {
				t.Errorf("slot %d of %s: %v", n, name, err)
			}
			if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, later) {
				t.Errorf("slot %d of %s: the file was changed (%v)", n, name, err)
			}
		}
	}
}
