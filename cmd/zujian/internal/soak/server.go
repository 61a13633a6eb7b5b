package soak

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

const (
	startMax = 2 * time.Minute  // Until a server says where it listens, on a busy machine.
	killMax  = 20 * time.Second // Until a killed process is gone.
)

// Buffer keeps what a process says. It may be read meanwhile.
type Buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write implements io.Writer.
func (b *Buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *Buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// Server is a running `zujian serve`, a process of its own.
type Server struct {
	Base string // http://127.0.0.1:port
	Logs *Buffer
	cmd  *exec.Cmd
	done chan error
}

// Start runs `zujian serve` over a folder and waits until it says where it listens.
func Start(bin, data string, args ...string) (*Server, error) {
	s := &Server{Logs: &Buffer{}, done: make(chan error, 1)}
	s.cmd = exec.Command(bin, append([]string{"serve", "--data", data, "--addr", "127.0.0.1:0", "--rate=-1", "--reserve=4"}, args...)...)
	s.cmd.Stderr = s.Logs
	stdout, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	where := make(chan string, 1)
	go func() {
		lines := bufio.NewScanner(stdout)
		for lines.Scan() {
			fmt.Fprintln(s.Logs, lines.Text())
			if _, rest, ok := strings.Cut(lines.Text(), "serves "); ok {
				where <- strings.TrimSuffix(strings.Fields(rest)[0], "/")
			}
		}
		s.done <- s.cmd.Wait()
	}()
	select {
	case s.Base = <-where:
		return s, nil
	case err := <-s.done:
		s.done <- err
		return nil, fmt.Errorf("the server ended: %w\n%s", err, s.Logs)
	case <-time.After(startMax):
		s.Kill()
		return nil, fmt.Errorf("the server did not start in %v\n%s", startMax, s.Logs)
	}
}

// Kill ends the server as a power cut would end its process (SIGKILL), and waits for it.
func (s *Server) Kill() {
	_ = s.cmd.Process.Kill() // It may have ended already.
	_ = s.Wait(killMax)      // Killed: its error is the point.
}

// Ended reports whether the process is gone.
func (s *Server) Ended() bool {
	select {
	case err := <-s.done:
		s.done <- err
		return true
	default:
		return false
	}
}

// Signal sends the process a signal.
func (s *Server) Signal(sig os.Signal) error { return s.cmd.Process.Signal(sig) }

// Wait waits for the end of the process and returns how it ended.
func (s *Server) Wait(atMost time.Duration) error {
	select {
	case err := <-s.done:
		s.done <- err
		return err
	case <-time.After(atMost):
		return fmt.Errorf("the server did not end in %v", atMost)
	}
}

// Reply is one HTTP answer.
type Reply struct {
	Status int
	Header http.Header
	Body   []byte
}

// Text is a top-level string of the body's JSON object, "" if there is none.
func (r Reply) Text(name string) string {
	var v map[string]any
	if json.Unmarshal(r.Body, &v) != nil {
		return ""
	}
	s, _ := v[name].(string)
	return s
}

// Ask makes one request. body is marshalled, unless it is nil or a string.
func Ask(ctx context.Context, base, method, path, key string, body any, headers ...string) (Reply, error) {
	var r io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		r = strings.NewReader(b)
	default:
		raw, err := json.Marshal(b)
		if err != nil {
			return Reply{}, err
		}
		r = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(ctx, method, base+path, r)
	if err != nil {
		return Reply{}, err
	}
	req.GetBody = nil // Else the transport sends a POST with an Idempotency-Key again by itself, and tells nobody.
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := client.Do(req)
	if err != nil {
		return Reply{}, err
	}
	raw, err := io.ReadAll(res.Body)
	return Reply{res.StatusCode, res.Header, raw}, errors.Join(err, res.Body.Close())
}

// client keeps a connection for each of many workers. Servers come and go.
var client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64, IdleConnTimeout: 5 * time.Second}}

// FirstKey reads the key a fresh register starts with.
func FirstKey(data string) (string, error) {
	raw, err := os.ReadFile(filepath.Join(data, "first-key.json"))
	return Reply{Body: raw}.Text("key"), err
}
