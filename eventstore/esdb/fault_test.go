package esdb

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"zujian/eventstore"
	"zujian/eventstore/memory"
	"zujian/eventstore/storetest"
)

// proxy is a TCP proxy that can cut, reset, stall and slow what passes.
type proxy struct {
	address string
	target  atomic.Pointer[string]
	stalled atomic.Bool
	refuse  atomic.Bool
	delay   atomic.Int64 // Nanoseconds for each piece.

	listener net.Listener
	mu       sync.Mutex
	conns    map[net.Conn]struct{}
	work     sync.WaitGroup
}

func newProxy(tb testing.TB, target string) *proxy {
	tb.Helper()
	l, err := (&net.ListenConfig{}).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	p := &proxy{address: l.Addr().String(), listener: l, conns: map[net.Conn]struct{}{}}
	p.target.Store(&target)
	p.work.Go(p.accept)
	tb.Cleanup(func() {
		_ = l.Close()
		p.stalled.Store(false)
		p.cut(false)
		p.work.Wait()
	})
	return p
}

func (p *proxy) accept() {
	for {
		c, err := p.listener.Accept()
		if err != nil {
			return
		}
		if p.refuse.Load() {
			_ = c.Close()
			continue
		}
		s, err := net.Dial("tcp", *p.target.Load())
		if err != nil {
			_ = c.Close()
			continue
		}
		p.mu.Lock()
		p.conns[c], p.conns[s] = struct{}{}, struct{}{}
		p.mu.Unlock()
		p.work.Go(func() { p.copy(s, c) })
		p.work.Go(func() { p.copy(c, s) })
	}
}

func (p *proxy) copy(to, from net.Conn) {
	defer func() { _, _ = to.Close(), from.Close() }()
	buf := make([]byte, 16<<10)
	for {
		n, err := from.Read(buf)
		for p.stalled.Load() {
			time.Sleep(5 * time.Millisecond)
		}
		time.Sleep(time.Duration(p.delay.Load()))
		if n > 0 {
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// cut ends every connection: in good order, or with a reset.
func (p *proxy) cut(reset bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		if t, ok := c.(*net.TCPConn); ok && reset {
			_ = t.SetLinger(0)
		}
		_ = c.Close()
		delete(p.conns, c)
	}
}

// leftBehind waits until no goroutine of this package or of the client it uses is left.
func leftBehind(tb testing.TB) {
	tb.Helper()
	var stacks string
	for start := time.Now(); time.Since(start) < patience; time.Sleep(20 * time.Millisecond) {
		buf := make([]byte, 4<<20)
		stacks = string(buf[:runtime.Stack(buf, true)])
		if !slices.ContainsFunc([]string{"esdb.(*Store)", "esdb.(*links)", "esdb.call", "Client-Go", "grpc.(*ClientConn)", "grpc.(*ccBalancerWrapper)"},
			func(s string) bool { return strings.Contains(stacks, s) }) {
			return
		}
	}
	tb.Fatalf("goroutines are left behind:\n%s", stacks)
}

// impatient makes faults show soon.
func impatient(address string) Options {
	o := insecure(address)
	o.Timeout, o.Watch = 500*time.Millisecond, 200*time.Millisecond
	o.Patience = patience
	return o
}

// TestFaults writes, reads and waits through a proxy that fails in every way there is. What was acknowledged is there
// once, in order; every call ends; nothing is left running.
func TestFaults(t *testing.T) {
	for name, fault := range map[string]func(*proxy){
		"cut":   func(p *proxy) { p.cut(false) },
		"reset": func(p *proxy) { p.cut(true) },
		"refuse": func(p *proxy) {
			p.refuse.Store(true)
			p.cut(true)
			time.Sleep(300 * time.Millisecond)
			p.refuse.Store(false)
		},
		"stall": func(p *proxy) { p.stalled.Store(true); time.Sleep(800 * time.Millisecond); p.stalled.Store(false) },
		"slow": func(p *proxy) {
			p.delay.Store(int64(30 * time.Millisecond))
			time.Sleep(300 * time.Millisecond)
			p.delay.Store(0)
		},
	} {
		t.Run(name, func(t *testing.T) {
			address, stop := serve(t, &memory.Store{}, "127.0.0.1:0")
			p := newProxy(t, address)
			s := open(t, impatient(p.address))
			failing(t, s, func() { fault(p) })
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			stop()
			leftBehind(t)
		})
	}
}

// failing runs writers and a reader while faults happen, and checks the log after them.
func failing(t *testing.T, s *Store, fault func()) {
	const writers, each = 3, 40
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	var work sync.WaitGroup
	var written atomic.Int64
	for w := range writers {
		work.Go(func() {
			for n := range each {
				e := storetest.Event(w*1000 + n)
				if _, err := s.Append(ctx, fmt.Sprintf("contract-%d", w), eventstore.Revision(n-1), e); err != nil {
					t.Errorf("writer %d, event %d: %v", w, n, err)
					cancel()
					return
				}
				written.Add(1)
				time.Sleep(2 * time.Millisecond)
			}
		})
	}
	work.Go(func() {
		var after eventstore.Position
		for seen := uint64(0); seen < writers*each; {
			if err := s.Wait(ctx, after); err != nil {
				t.Errorf("wait: %v", err)
				return
			}
			for r, err := range s.All(ctx, after) {
				if err != nil {
					t.Errorf("all: %v", err)
					return
				}
				if r.Ordinal != seen {
					t.Errorf("got event %d, want %d", r.Ordinal, seen)
					return
				}
				seen, after = seen+1, r.Position
			}
		}
	})
	for n := 0; n < 6 && written.Load() < writers*each && !t.Failed(); n++ {
		fault()
		time.Sleep(20 * time.Millisecond)
	}
	work.Wait()
	if n := len(storetest.CheckLog(t, s)); n != writers*each {
		t.Errorf("got %d events, want %d", n, writers*each)
	}
}

// TestRestart: a node goes away and comes back at the same address.
func TestRestart(t *testing.T) {
	log := &memory.Store{}
	address, stop := serve(t, log, "127.0.0.1:0")
	s := open(t, impatient(address))
	failing(t, s, func() {
		stop()
		_, stop = serve(t, log, address)
	})
}

// TestDown: while nobody is there, calls end with ErrUnavailable, or with their context, whichever comes first.
func TestDown(t *testing.T) {
	address, stop := serve(t, &memory.Store{}, "127.0.0.1:0")
	o := impatient(address)
	o.Patience = 200 * time.Millisecond
	s := open(t, o)
	stop()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	calls := map[string]func(context.Context) error{
		"append": func(ctx context.Context) error {
			_, err := s.Append(ctx, "contract-1", eventstore.NoStream, storetest.Event(0))
			return err
		},
		"head":        func(ctx context.Context) error { _, err := s.Head(ctx); return err },
		"all":         func(ctx context.Context) error { return last(s.All(ctx, 0)) },
		"stream":      func(ctx context.Context) error { return last(s.Stream(ctx, "contract-1", 0)) },
		"stream back": func(ctx context.Context) error { return last(s.StreamBack(ctx, "contract-1", 5)) },
	}
	var work sync.WaitGroup
	for range 8 { // All at once: callers of a dead client must not hang.
		for name, f := range calls {
			work.Go(func() {
				if err := f(ctx); !errors.Is(err, eventstore.ErrUnavailable) {
					t.Errorf("%s: got %v, want ErrUnavailable", name, err)
				}
				short, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
				defer cancel()
				if err := f(short); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("%s: got %v, want the context's error", name, err)
				}
			})
		}
	}
	work.Wait()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	leftBehind(t)
}

func last(seq func(func(eventstore.Recorded, error) bool)) (err error) {
	for _, err = range seq {
	}
	return err
}

// TestSilentSubscription: a subscription that stays open and tells nothing is found out.
func TestSilentSubscription(t *testing.T) {
	log := &memory.Store{}
	address, _ := serve(t, log, "127.0.0.1:0")
	p := newProxy(t, address)
	s := open(t, impatient(p.address))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	woken := make(chan error, 1)
	go func() { woken <- s.Wait(ctx, 0) }()
	for s.links.count() == 0 {
		time.Sleep(time.Millisecond)
	}
	p.stalled.Store(true)
	if _, err := log.Append(ctx, "contract-1", eventstore.NoStream, storetest.Event(0)); err != nil { // Behind its back.
		t.Fatal(err)
	}
	time.Sleep(time.Second)
	p.stalled.Store(false)
	if err := <-woken; err != nil {
		t.Fatal(err)
	}
}

// TestOneReplacement: a hundred callers that lose the connection make one new client, not a hundred.
func TestOneReplacement(t *testing.T) {
	address, _ := serve(t, &memory.Store{}, "127.0.0.1:0")
	p := newProxy(t, address)
	o := insecure(p.address)
	o.Patience = patience
	s := open(t, o)
	before := s.links.count()
	var work sync.WaitGroup
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	p.refuse.Store(true)
	p.cut(true)
	for n := range 100 {
		work.Go(func() {
			if _, err := s.Append(ctx, fmt.Sprintf("contract-%d", n), eventstore.NoStream, storetest.Event(n)); err != nil {
				t.Error(err)
			}
		})
	}
	time.Sleep(200 * time.Millisecond)
	p.refuse.Store(false)
	work.Wait()
	if made := s.links.count() - before; made < 1 || made > 30 {
		t.Errorf("%d new clients for 100 callers", made)
	}
}

func (ls *links) count() int {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	return ls.made
}
