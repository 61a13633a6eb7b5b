package esdb

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"testing"
	"time"

	"github.com/google/uuid"

	"zujian/eventstore"
	"zujian/eventstore/embedded"
	"zujian/eventstore/memory"
	"zujian/eventstore/storetest"
	"zujian/eventstore/wire"
)

const patience = 60 * time.Second

// serve serves a log and returns its address.
func serve(tb testing.TB, store eventstore.Store, address string) (at string, stop func()) {
	tb.Helper()
	return serveBy(tb, store, address, time.Now)
}

// serveBy does so by a clock.
func serveBy(tb testing.TB, store eventstore.Store, address string, now func() time.Time) (at string, stop func()) {
	tb.Helper()
	s, err := wire.New(tb.Context(), wire.Options{
		Store: store, Write: true, AppendBytesMax: wire.AppendBytesMost, Now: now,
		NewID: func() [16]byte { return uuid.New() }, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		tb.Fatal(err)
	}
	var l net.Listener
	for start := time.Now(); ; time.Sleep(10 * time.Millisecond) { // The port of a server just stopped may take a moment.
		if l, err = (&net.ListenConfig{}).Listen(tb.Context(), "tcp", address); err == nil {
			break
		}
		if time.Since(start) > patience {
			tb.Fatal(err)
		}
	}
	done := make(chan error, 1)
	go func() { done <- s.Serve(l, wire.Node{}) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		if err := s.Close(); err != nil {
			tb.Error(err)
		}
		if err := <-done; err != nil {
			tb.Error(err)
		}
	}
	tb.Cleanup(stop)
	return l.Addr().String(), stop
}

func open(tb testing.TB, o Options) *Store {
	tb.Helper()
	s, err := Open(tb.Context(), o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = s.Close() })
	return s
}

func insecure(address string) Options { return Options{Connection: "esdb://" + address + "?tls=false"} }

func TestStoreOverMemory(t *testing.T) {
	storetest.Run(t, func(tb testing.TB) eventstore.Store {
		address, _ := serve(tb, &memory.Store{}, "127.0.0.1:0")
		return open(tb, insecure(address))
	})
}

func TestStoreOverEmbedded(t *testing.T) {
	storetest.Run(t, func(tb testing.TB) eventstore.Store {
		log, err := embedded.Open(embedded.Options{Dir: tb.TempDir(), QueueAge: time.Hour})
		if err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(func() { _ = log.Close() })
		address, _ := serve(tb, log, "127.0.0.1:0")
		return open(tb, insecure(address))
	})
}

// TestStoreCounting treats our server as one that does not number its events, as EventStoreDB does not.
func TestStoreCounting(t *testing.T) {
	storetest.Run(t, func(tb testing.TB) eventstore.Store {
		address, _ := serve(tb, &memory.Store{}, "127.0.0.1:0")
		s := open(tb, insecure(address))
		s.kind.Store(counted)
		return s
	})
}

// TestStoreReal runs the laws against an EventStoreDB, each law under a prefix of its own.
func TestStoreReal(t *testing.T) {
	connection := os.Getenv("ZUJIAN_TEST_ESDB")
	if connection == "" {
		t.Skip("ZUJIAN_TEST_ESDB names no EventStoreDB")
	}
	storetest.Run(t, func(tb testing.TB) eventstore.Store {
		return open(tb, Options{Connection: connection, Prefix: uuid.NewString() + "/"})
	})
}

// TestPrefix: registers beside each other in one server do not see one another.
func TestPrefix(t *testing.T) {
	address, _ := serve(t, &memory.Store{}, "127.0.0.1:0")
	var stores []*Store
	for _, prefix := range []string{"a.", "b.", "a.b."} {
		o := insecure(address)
		o.Prefix = prefix
		stores = append(stores, open(t, o))
	}
	for n := range 30 {
		s := stores[1+n%2]
		if _, err := s.Append(t.Context(), fmt.Sprintf("contract-%d", n%4), eventstore.AnyRevision, storetest.Event(n)); err != nil {
			t.Fatal(err)
		}
	}
	for i, want := range []int{15, 15, 15} { // "a." holds what is in "a.b.", under longer names.
		if got := storetest.CheckLog(t, stores[i]); len(got) != want {
			t.Errorf("store %d: got %d events, want %d", i, len(got), want)
		}
		h, err := stores[i].Head(t.Context())
		if err != nil || h.Events != uint64(want) {
			t.Errorf("store %d: got head %+v, %v", i, h, err)
		}
	}
}

func TestOpenRefused(t *testing.T) {
	for name, connection := range map[string]string{
		"no connection string": "redis://x", "nobody listens": "esdb://127.0.0.1:1?tls=false",
	} {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		s, err := Open(ctx, Options{Connection: connection, Patience: 100 * time.Millisecond})
		if err == nil {
			_ = s.Close()
			t.Errorf("%s: opened", name)
		}
		cancel()
	}
}
