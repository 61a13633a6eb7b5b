//go:build unix

package seal

import (
	"fmt"
	"os"
	"syscall"
)

// lockFile takes the folder for this process; the lock ends with it.
func lockFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("seal: lock: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("seal: the key folder is in use by another process: %w", err)
	}
	return f, nil
}
