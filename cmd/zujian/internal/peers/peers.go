// Package peers keeps the same events in stores that others would take instead of a log of their own, so that a figure
// can be read beside theirs from the same run: SQLite in this process, Postgres and Redis as servers of the measurement's
// own on a socket in its folder, where they are installed. Each does what our log promises: an append is durable when it
// returns, at an expected revision of its stream, and an event id stands once.
package peers

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"sync"
	"syscall"
)

// Event is what a peer keeps of an event.
type Event struct {
	Stream   string
	Revision int64 // 0 is the first of its stream.
	ID       [16]byte
	Type     string
	Meta     []byte
	Data     []byte
}

// Peer is a store of events. Its methods may be called by many goroutines at once.
type Peer interface {
	Append(ctx context.Context, e Event) error                       // Durable when it returns; fails if the revision is taken.
	Load(ctx context.Context, stream string) (events int, err error) // Reads a whole stream, in order.
	Close() error                                                    // Ends the server, if it has one.
}

// ErrNotInstalled says that a peer's program is not on this machine.
var ErrNotInstalled = errors.New("not installed")

// server is a process that was started for the measurement.
type server struct {
	process *os.Process
	signal  os.Signal // That ends it in an orderly way.
}

func (s server) end() error {
	if err := s.process.Signal(s.signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	_, err := s.process.Wait()
	return err
}

// start runs a program in a group of its own, so that an interrupt from the keyboard reaches us first.
func start(cmd *exec.Cmd, signal os.Signal) (server, error) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true
	if err := cmd.Start(); err != nil {
		return server{}, err
	}
	return server{cmd.Process, signal}, nil
}

// grouped lets one of the waiting write for all of them, as our log does.
type grouped struct {
	write func([]Event) error

	mu      sync.Mutex
	waiting []Event
	done    []chan error
	leading bool
}

func (g *grouped) append(e Event) error {
	done := make(chan error, 1)
	g.mu.Lock()
	g.waiting, g.done = append(g.waiting, e), append(g.done, done)
	lead := !g.leading
	g.leading = true
	g.mu.Unlock()
	if lead {
		g.lead()
	}
	return <-done
}

// lead writes until nobody waits any more.
func (g *grouped) lead() {
	for {
		g.mu.Lock()
		events, done := g.waiting, g.done
		g.waiting, g.done = nil, nil
		g.leading = len(events) > 0
		g.mu.Unlock()
		if len(events) == 0 {
			return
		}
		err := g.write(events)
		for _, d := range done {
			d <- err
		}
	}
}
