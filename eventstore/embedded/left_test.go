package embedded

import (
	"path"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"zujian/eventstore"
	"zujian/eventstore/storetest"
)

// TestWhatAKilledProcessLeft: a group that a process wrote and was killed before it synced is made durable by the next one
// before anybody reads it: a power loss then does not take it away again.
func TestWhatAKilledProcessLeft(t *testing.T) {
	t.Parallel()
	disk, working := vfs.NewCrashableMem(), false
	killed, err := Open(crashOptions(errorfs.Wrap(disk, errorfs.InjectorFunc(func(op errorfs.Op) error {
		switch op.Kind {
		case errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo:
			if working && path.Dir(op.Path) == "log" { // A segment is opened as the spare it was.
				return errorfs.ErrInjected
			}
		}
		return nil
	})), false))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := killed.Append(t0, "a-1", eventstore.NoStream, storetest.Event(1)); err != nil {
		t.Fatal(err)
	}
	working = true
	if _, err := killed.Append(t0, "a-1", 0, storetest.Event(2)); err == nil {
		t.Fatal("it was not killed")
	}
	_ = killed.Close() // As a killed process's files are closed: nothing more is synced.

	next, err := Open(crashOptions(disk, false))
	if err != nil {
		t.Fatal(err)
	}
	seen, err := next.Head(t0)
	if err != nil || seen.Events != 2 {
		t.Fatalf("the next process sees %d events: %v", seen.Events, err)
	}
	after, err := Open(crashOptions(disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 0}), false))
	if err != nil {
		t.Fatal(err)
	}
	if kept, err := after.Head(t0); err != nil || kept.Events != seen.Events {
		t.Errorf("after the power loss %d events are there: %v", kept.Events, err)
	}
	if err := next.Close(); err != nil {
		t.Error(err)
	}
	if err := after.Close(); err != nil {
		t.Error(err)
	}
}
