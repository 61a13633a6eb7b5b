package folder

import (
	"errors"
	"syscall"
	"testing"
)

// TestEndOfASync: what the kernel says of a sync is its error, and who did not hear it syncs nothing more.
func TestEndOfASync(t *testing.T) {
	if err := (ioEvent{}).err(); err != nil {
		t.Error(err)
	}
	if err := (ioEvent{result: -int64(syscall.EIO)}).err(); !errors.Is(err, syscall.EIO) {
		t.Errorf("an I/O error is %v", err)
	}
	s, err := takeSyncer()
	if err != nil {
		t.Skip(err)
	}
	s.lost = true
	before := len(idle)
	if leaveSyncer(s); len(idle) != before {
		t.Error("it is kept for another")
	}
}
