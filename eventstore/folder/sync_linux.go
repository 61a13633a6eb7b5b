package folder

import (
	"os"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Of io_submit(2); linux/aio_abi.h.
const (
	iocbDataSync = 3      // IOCB_CMD_FDSYNC, since Linux 4.18.
	iocbBell     = 1 << 0 // IOCB_FLAG_RESFD.
)

// iocb asks for one operation: struct iocb, in as far as a sync fills it.
type iocb struct {
	_           uint64
	_, _        uint32
	op          uint16
	_           int16
	file        uint32
	_, _, _, _  uint64
	flags, bell uint32
}

// ioEvent is its end: struct io_event.
type ioEvent struct {
	_, _   uint64
	result int64 // Or -errno.
	_      int64
}

// syncer has a file synced by the kernel's workers, one at a time.
type syncer struct {
	queue uintptr  // Of io_setup.
	bell  *os.File // An eventfd, which the scheduler waits for as it waits for a network.
	ask   iocb
	lost  bool // It does not know how its last sync ended: the next would be told of that one.
}

// idle are syncers that nobody uses. As many are made as files are synced at once.
var idle = make(chan *syncer, 16)

func takeSyncer() (*syncer, error) {
	select {
	case s := <-idle:
		return s, nil
	default:
	}
	s := new(syncer)
	if _, _, err := syscall.Syscall(unix.SYS_IO_SETUP, 1, uintptr(unsafe.Pointer(&s.queue)), 0); err != 0 {
		return nil, err
	}
	bell, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		s.destroy()
		return nil, err
	}
	s.bell = os.NewFile(uintptr(bell), "eventfd")
	s.ask.op, s.ask.flags, s.ask.bell = iocbDataSync, iocbBell, uint32(bell)
	return s, nil
}

func (s *syncer) destroy() { _, _, _ = syscall.Syscall(unix.SYS_IO_DESTROY, s.queue, 0, 0) }

// syncApart is fdatasync(2). Not taken means that this machine or file system has it done by the caller alone.
func syncApart(file uintptr) (taken bool, err error) {
	s, err := takeSyncer()
	if err != nil {
		return false, nil
	}
	defer leaveSyncer(s)
	return s.sync(file)
}

func leaveSyncer(s *syncer) {
	if !s.lost {
		select {
		case idle <- s:
			return
		default:
		}
	}
	s.destroy()
	_ = s.bell.Close() // Nobody waits for it.
}

func (s *syncer) sync(file uintptr) (taken bool, err error) {
	s.ask.file = uint32(file)
	asks := [1]*iocb{&s.ask}
	// Raw: neither of the two waits.
	if _, _, err := syscall.RawSyscall(unix.SYS_IO_SUBMIT, s.queue, 1, uintptr(unsafe.Pointer(&asks))); err != 0 {
		return false, nil
	}
	runtime.KeepAlive(s)
	s.lost = true
	var rung [8]byte
	if _, err := s.bell.Read(rung[:]); err != nil {
		return true, os.NewSyscallError("wait for fdatasync", err)
	}
	var end [1]ioEvent
	n, _, errno := syscall.RawSyscall6(unix.SYS_IO_GETEVENTS, s.queue, 1, 1, uintptr(unsafe.Pointer(&end)), 0, 0)
	if n != 1 {
		return true, os.NewSyscallError("io_getevents", errno)
	}
	s.lost = false
	return true, end[0].err()
}

func (e ioEvent) err() error {
	if e.result < 0 {
		return os.NewSyscallError("fdatasync", syscall.Errno(-e.result))
	}
	return nil
}
