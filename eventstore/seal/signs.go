package seal

import (
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"strconv"
)

// signsName is a file that says that a register has signed with these keys here, and how many events at least: what it has
// signed last is then in its own folder, and if that is not there, or is less, it is lost. A copy of the folder has no such
// file: whoever restores one knows that more may have been signed.
const (
	signsName = "signs"
	signsText = "A register has signed with these keys.\n" // Of before there was a number.
	signsForm = "A register has signed %d events with these keys. %08x\n"
)

// signsLine is summed together with whose keys they are, so that no other folder's is taken for it.
func (v *Vault) signsLine(size uint64) string {
	owner := v.identity.owner()
	return fmt.Sprintf(signsForm, size, crc32.Checksum(strconv.AppendUint(owner[:], size, 10), castagnoli))
}

// Signs tells whether a register has signed with these keys in this folder, and how many events at least.
func (v *Vault) Signs() (size uint64, signs bool, err error) {
	text, err := v.folder.read(signsName)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return 0, false, nil
	case err != nil:
		return 0, false, fmt.Errorf("seal: read %s: %w", signsName, err)
	case string(text) == signsText:
		return 0, true, nil
	}
	var sum uint32
	if n, _ := fmt.Sscanf(string(text), signsForm, &size, &sum); n != 2 || v.signsLine(size) != string(text) {
		return 0, false, fmt.Errorf("seal: %s in the key folder is damaged: restore the key folder from its backup", signsName)
	}
	return size, true, nil
}

// NoteSigns writes down how many events a register has signed with these keys, once what it has signed is itself durable. It
// never takes any back.
func (v *Vault) NoteSigns(size uint64) error {
	if was, there, err := v.Signs(); err != nil || there && was >= size {
		return err
	}
	return v.folder.write(signsName, []byte(v.signsLine(size)))
}

// ForgetSigns takes back that a register has signed with these keys.
func (v *Vault) ForgetSigns() error {
	if err := v.folder.fs.Remove(v.folder.path(signsName)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("seal: remove %s: %w", signsName, err)
	}
	return v.folder.sync()
}

// Keys is how many subjects have or had a key.
func (v *Vault) Keys() uint64 {
	v.slots.mu.Lock()
	defer v.slots.mu.Unlock()
	return v.slots.done
}
