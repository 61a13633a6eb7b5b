// Package redistest starts real Redis servers for tests: on free loopback ports, in folders of the test, stopped by
// their process. deploy/test-deps.sh installs redis-server.
package redistest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// Server is one Redis server.
type Server struct {
	Addr string // 127.0.0.1:port
	args []string
	cmd  *exec.Cmd
	done chan struct{} // Closed when the process is gone.
}

const startsWithin = time.Minute // On a slow, busy machine.

// Start runs a server that keeps nothing on disk.
func Start(t testing.TB, more ...string) *Server {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		t.Fatal("redis-server is not installed: run deploy/test-deps.sh")
	}
	var err error
	for range 5 { // Another process may take the free port first.
		port := freePort(t)
		s := &Server{Addr: "127.0.0.1:" + port, args: append([]string{
			"--port", port, "--bind", "127.0.0.1", "--dir", t.TempDir(), "--save", "", "--appendonly", "no",
		}, more...)}
		if err = s.run(t.Context()); err == nil {
			t.Cleanup(s.Kill)
			return s
		}
		s.Kill()
	}
	t.Fatal(err)
	return nil
}

func freePort(t testing.TB) string {
	t.Helper()
	for {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		port := l.Addr().(*net.TCPAddr).Port
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if port < 55_000 { // A cluster's nodes talk on the port 10,000 above.
			return strconv.Itoa(port)
		}
	}
}

// URL for redisviews.Open.
func (s *Server) URL() string { return "redis://" + s.Addr + "/0" }

// Client speaks to the server.
func (s *Server) Client() *redis.Client {
	return redis.NewClient(&redis.Options{Addr: s.Addr, MaxRetries: -1, DialTimeout: time.Second})
}

func (s *Server) run(ctx context.Context) error {
	cmd := exec.Command("redis-server", s.args...)
	cmd.Stdout, cmd.Stderr = io.Discard, io.Discard
	if err := cmd.Start(); err != nil {
		return err
	}
	done := make(chan struct{})
	go func() {
		_ = cmd.Wait() // A killed server says so here.
		close(done)
	}()
	s.cmd, s.done = cmd, done
	return s.ready(ctx)
}

func (s *Server) ready(ctx context.Context) error {
	client := s.Client()
	defer client.Close()
	return poll(ctx, func() error {
		select {
		case <-s.done:
			return &endedError{s.Addr}
		default:
			return client.Ping(ctx).Err()
		}
	})
}

type endedError struct{ addr string }

func (e *endedError) Error() string { return "redis-server on " + e.addr + " ended" }

// poll tries f until it succeeds or startsWithin is over.
func poll(ctx context.Context, f func() error) error {
	ctx, cancel := context.WithTimeout(ctx, startsWithin)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := f()
		if err == nil {
			return nil
		}
		if _, ended := errors.AsType[*endedError](err); ended {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return err
		}
	}
}

// Kill ends the server at once, with all it holds.
func (s *Server) Kill() {
	if s.cmd == nil || s.cmd.Process == nil {
		return
	}
	_ = s.cmd.Process.Kill() // It may be gone already.
	<-s.done
}

// Restart runs the server again on the same port, with nothing in it.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	s.Kill()
	if err := s.run(t.Context()); err != nil {
		t.Fatalf("restart redis: %v", err)
	}
}

// Cluster runs three masters that share the slots, and gives the URL.
func Cluster(t testing.TB) string {
	t.Helper()
	ctx := t.Context()
	var nodes []*Server
	for range 3 {
		nodes = append(nodes, Start(t, "--cluster-enabled", "yes", "--cluster-node-timeout", "5000"))
	}
	first, err := strconv.Atoi(nodes[0].Addr[strings.LastIndex(nodes[0].Addr, ":")+1:])
	if err != nil {
		t.Fatal(err)
	}
	for i, n := range nodes {
		c := n.Client()
		defer c.Close()
		from, to := i*16384/3, (i+1)*16384/3-1
		if err := c.ClusterAddSlotsRange(ctx, from, to).Err(); err != nil {
			t.Fatal(err)
		}
		if err := c.ClusterMeet(ctx, "127.0.0.1", strconv.Itoa(first)).Err(); err != nil && i > 0 {
			t.Fatal(err)
		}
	}
	for _, n := range nodes {
		c := n.Client()
		defer c.Close()
		err := poll(ctx, func() error {
			info, err := c.ClusterInfo(ctx).Result()
			if err != nil {
				return err
			}
			if !strings.Contains(info, "cluster_state:ok") || !strings.Contains(info, "cluster_known_nodes:3") {
				return fmt.Errorf("the cluster is not ready: %s", info)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return fmt.Sprintf("redis://%s?addr=%s&addr=%s", nodes[0].Addr, nodes[1].Addr, nodes[2].Addr)
}
