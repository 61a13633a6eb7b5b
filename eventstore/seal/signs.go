package seal

import (
	"errors"
	"fmt"
	"os"
)

// signsName is a file that says that a register has signed with these keys here: what it has signed last is then in its own
// folder, and if that is not there it is lost. A copy of the folder has no such file: whoever restores one knows that more
// may have been signed.
const (
	signsName = "signs"
	signsText = "A register has signed with these keys.\n"
)

// Signs tells whether a register has signed with these keys in this folder.
func (v *Vault) Signs() (bool, error) {
	text, err := v.folder.read(signsName)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("seal: read %s: %w", signsName, err)
	case string(text) != signsText:
		return false, fmt.Errorf("seal: %s in the key folder is damaged: restore the key folder from its backup", signsName)
	}
	return true, nil
}

// NoteSigns writes down whether a register has signed with these keys, once what it has signed is itself durable.
func (v *Vault) NoteSigns(signs bool) error {
	if there, err := v.Signs(); err != nil || there == signs {
		return err
	}
	if signs {
		return v.folder.write(signsName, []byte(signsText))
	}
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
