//go:build !unix

package seal

import (
	"fmt"
	"os"
)

// lockFile only holds the file open: this system has no advisory lock in the standard library.
func lockFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("seal: lock: %w", err)
	}
	return f, nil
}
