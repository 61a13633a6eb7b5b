package main

import (
	"context"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

func TestMain(m *testing.M) {
	time.Local = time.UTC // As main does.
	code := m.Run()
	if programFolder != "" {
		_ = os.RemoveAll(programFolder) // A folder in the temporary one harms nobody.
	}
	os.Exit(code)
}

// insideServer is `zujian serve` in this process, over a clock or a disk of the test.
type insideServer struct {
	serverProcess // Without a process: base, logs and must.
	end           context.CancelFunc
	done          chan int
}

// serveInside runs serve here until the test ends it.
func serveInside(t *testing.T, data string, change func(*globals), args ...string) *insideServer {
	t.Helper()
	ctx, end := context.WithCancel(context.WithoutCancel(t.Context()))
	s := &insideServer{serverProcess: serverProcess{logs: &lockedBuffer{}}, end: end, done: make(chan int, 1)}
	args = append([]string{"serve", "--data", data, "--addr", "127.0.0.1:0", "--rate=-1", "--reserve=4"}, args...)
	go func() { s.done <- run(ctx, args, s.logs, s.logs, change) }()
	t.Cleanup(func() { s.close(t) })
	for began := time.Now(); ; time.Sleep(5 * time.Millisecond) {
		if _, rest, ok := strings.Cut(s.logs.String(), "serves "); ok {
			s.base = strings.TrimSuffix(strings.Fields(rest)[0], "/")
			return s
		}
		if len(s.done) > 0 || time.Since(began) > 2*time.Minute {
			t.Fatalf("it does not serve\n%s", s.logs)
		}
	}
}

// close ends it as an operator does. A second close does nothing.
func (s *insideServer) close(t *testing.T) {
	t.Helper()
	s.end()
	http.DefaultClient.CloseIdleConnections()
	select {
	case code := <-s.done:
		s.done <- 0
		if code != 0 {
			t.Errorf("it ended with %d\n%s", code, s.logs)
		}
	case <-time.After(2 * time.Minute):
		t.Errorf("it does not end\n%s", s.logs)
	}
}

// signsAll waits until a checkpoint covers what the log holds now.
func (s *insideServer) signsAll(t *testing.T, when string) {
	t.Helper()
	var head, signed uint64
	for began := time.Now(); time.Since(began) < time.Minute; time.Sleep(20 * time.Millisecond) {
		if head == 0 {
			head = uint64(metric(t, &s.serverProcess, "zujian_log_events"))
		}
		if signed = uint64(metric(t, &s.serverProcess, "zujian_register_signed_events")); signed >= head {
			return
		}
	}
	t.Fatalf("%s: %d of %d events are signed after a minute\n%s", when, signed, head, s.logs)
}
