package folder_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/uuid"
	"golang.org/x/sys/unix"

	"zujian/eventstore"
	"zujian/eventstore/embedded"
	"zujian/eventstore/folder"
)

// busyFS opens files that are synced by the kernel's workers, where it lets them.
type busyFS struct{ vfs.FS }

func (b busyFS) OpenReadWrite(name string, c vfs.DiskWriteCategory, o ...vfs.OpenOption) (vfs.File, error) {
	f, err := b.FS.OpenReadWrite(name, c, o...)
	if err != nil {
		return nil, err
	}
	return folder.Busy(f), nil
}

const logVariable = "ZUJIAN_TEST_LOG" // Of a child of TestRefusedByTheKernel: its log's folder, and what is refused.

// TestRefusedByTheKernel has a process of its own in which the kernel refuses one call that a sync by its workers makes.
// Without the first of them a log is synced by its own threads; when the last fails, nobody knows what is on the disk:
// nothing more is acknowledged, and the log of a process that opens it next holds all that was.
func TestRefusedByTheKernel(t *testing.T) {
	if child, is := os.LookupEnv(logVariable); is {
		dir, call, _ := strings.Cut(child, "\n")
		inRefusal(t, dir, call)
		return
	}
	if !folder.SyncsApart() {
		t.Skip("the kernel does not sync")
	}
	for _, call := range []string{"io_setup", "io_getevents"} {
		t.Run(call, func(t *testing.T) {
			dir := t.TempDir()
			child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestRefusedByTheKernel$", "-test.v")
			child.Env = append(os.Environ(), logVariable+"="+dir+"\n"+call)
			out, err := child.CombinedOutput()
			switch {
			case strings.Contains(string(out), "--- SKIP"):
				t.Skipf("%s", out)
			case err != nil:
				t.Fatalf("%v\n%s", err, out)
			}
			s, err := embedded.Open(embedded.Options{Dir: dir})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if got := events(t, s); len(got) < 3 || !slices.Equal(got[:3], []string{"0", "1", "2"}) {
				t.Errorf("of three acknowledged there are %v", got)
			}
		})
	}
}

// inRefusal writes events to a log while the kernel refuses a call.
func inRefusal(t *testing.T, dir, call string) {
	if call == "io_setup" {
		refuse(t, unix.SYS_IO_SETUP)
		if folder.SyncsApart() {
			t.Error("the kernel syncs")
		}
	}
	s, err := embedded.Open(embedded.Options{Dir: dir, FS: busyFS{folder.Real()}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	add := func(n int) error {
		_, err := s.Append(t.Context(), "s-1", eventstore.AnyRevision,
			eventstore.NewEvent{ID: uuid.New(), Type: fmt.Sprint(n), Data: []byte("{}")})
		return err
	}
	for n := range 3 {
		if err := add(n); err != nil {
			t.Fatal(err)
		}
	}
	if call == "io_setup" {
		return
	}
	refuse(t, unix.SYS_IO_GETEVENTS)
	if err := add(3); !errors.Is(err, syscall.EIO) {
		t.Errorf("its sync failed, and append says %v", err)
	}
	if err := add(4); !errors.Is(err, eventstore.ErrClosed) {
		t.Errorf("after it append says %v", err)
	}
	if got := events(t, s); len(got) != 3 {
		t.Errorf("readers see %v", got)
	}
}

func events(t *testing.T, s eventstore.Store) (types []string) {
	t.Helper()
	for rec, err := range s.All(t.Context(), 0) {
		if errors.Is(err, eventstore.ErrClosed) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		types = append(types, rec.Type)
	}
	return types
}

// refuse has a call of this process end with an I/O error from now on (seccomp(2)).
func refuse(t *testing.T, call uint32) {
	t.Helper()
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0}, // seccomp_data.nr
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: call, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(syscall.EIO)},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	runtime.LockOSThread() // The second call is for the thread of the first, and makes all others like it.
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		t.Skipf("no filter of calls: %v", err)
	}
	if _, _, err := syscall.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC,
		uintptr(unsafe.Pointer(&program))); err != 0 {
		t.Skipf("no filter of calls: %v", err)
	}
}
