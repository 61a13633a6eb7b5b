package embedded

import (
	"errors"
	"fmt"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"zujian/eventstore"
	"zujian/eventstore/storetest"
)

// benchStore has streams of 100 events of 556 bytes each, mixed.
func benchStore(b *testing.B, o Options, streams int) *Store {
	o.Dir, o.DeferSync = b.TempDir(), true
	s := mustOpen(b, o)
	data := make([]byte, 556)
	for part := range 10 {
		for i := range streams {
			es := storetest.Events(part*10, part*10+10)
			for j := range es {
				es[j].Data = data
			}
			if _, err := s.Append(t0, fmt.Sprintf("contract-%08d", i), eventstore.Revision(part*10-1), es...); err != nil {
				b.Fatal(err)
			}
		}
	}
	return s
}

func BenchmarkReplay(b *testing.B) {
	for name, o := range map[string]Options{"mapped": {}, "pread": {NoMmap: true}} {
		b.Run(name, func(b *testing.B) {
			s := benchStore(b, o, 1000)
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				for _, err := range s.All(t0, 0) {
					if err != nil {
						b.Fatal(err)
					}
					n++
				}
			}
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "events/s")
		})
	}
}

func BenchmarkLoad100(b *testing.B) {
	for name, o := range map[string]Options{"mapped": {}, "pread": {NoMmap: true}} {
		b.Run(name, func(b *testing.B) {
			s := benchStore(b, o, 1000)
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				for _, err := range s.Stream(t0, fmt.Sprintf("contract-%08d", i*7919%1000), 0) {
					if err != nil {
						b.Fatal(err)
					}
				}
				i++
			}
		})
	}
}

func BenchmarkAppend(b *testing.B) {
	for _, deferred := range []bool{false, true} {
		b.Run(fmt.Sprintf("defer=%v", deferred), func(b *testing.B) {
			s := mustOpen(b, Options{Dir: b.TempDir(), DeferSync: deferred})
			b.ReportAllocs()
			e := storetest.Event(0)
			e.Data = make([]byte, 556)
			n := 0
			for b.Loop() {
				at := eventstore.Revision(n/1000 - 1)
				if _, err := s.Append(t0, fmt.Sprintf("contract-%04d", n%1000), at, e); err != nil {
					b.Fatal(err)
				}
				n++
			}
		})
	}
}

// BenchmarkAppendAny appends at any revision to streams in turn, in groups of 64, as clients of the protocol do.
func BenchmarkAppendAny(b *testing.B) {
	for _, streams := range []int{256, 1 << 20} {
		b.Run(fmt.Sprint(streams), func(b *testing.B) {
			s := mustOpen(b, Options{Dir: b.TempDir(), DeferSync: true})
			b.ReportAllocs()
			b.SetParallelism(32)
			c := make(chan int, 1024)
			go func() {
				for n := range b.N {
					c <- n
				}
				close(c)
			}()
			b.RunParallel(func(p *testing.PB) {
				for p.Next() {
					n := <-c
					e := storetest.Event(n)
					if _, err := s.Append(t0, fmt.Sprintf("contract-%08d", n%streams), eventstore.AnyRevision, e); err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
}

// BenchmarkStreamCold loads streams nobody used since the open, and streams that are not there, in a log that has been
// written to since: what a filing finds.
func BenchmarkStreamCold(b *testing.B) {
	o := Options{Dir: b.TempDir(), DeferSync: true}
	s := mustOpen(b, o)
	name := func(kind string, n int) string {
		return fmt.Sprintf("%s-%08x-0000-4000-8000-%012x", kind, n*2654435761&(1<<32-1), n)
	}
	const streams, events = 1 << 17, 3
	write := func(stream string) {
		if _, err := s.Append(t0, stream, eventstore.NoStream, storetest.Events(0, events)...); err != nil {
			b.Fatal(err)
		}
	}
	for n := range streams {
		write(name("unit", n))
	}
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
	s = mustOpen(b, o)
	for n := range 8 << 10 {
		write(name("contract", n))
	}
	for kind, want := range map[string]int{"unit": events, "none": 0} {
		b.Run(kind, func(b *testing.B) {
			b.ReportAllocs()
			for n := 0; b.Loop(); n++ {
				got := 0
				for _, err := range s.Stream(t0, name(kind, n*7919%streams), 0) {
					if err != nil {
						b.Fatal(err)
					}
					got++
				}
				if got != want {
					b.Fatalf("%d events, want %d", got, want)
				}
			}
		})
	}
}

// BenchmarkFiling reads and writes as a filing does: a flat and a party that nobody used since the open, and streams that are
// not there yet.
func BenchmarkFiling(b *testing.B) {
	o := Options{Dir: b.TempDir(), DeferSync: true}
	s := mustOpen(b, o)
	name := func(kind string, n int) string {
		return fmt.Sprintf("%s-%08x-0000-4000-8000-%012x", kind, n*2654435761&(1<<32-1), n)
	}
	const streams = 1 << 17
	for n := range streams {
		for _, kind := range []string{"unit", "party"} {
			if _, err := s.Append(t0, name(kind, n), eventstore.NoStream, storetest.Events(0, 3)...); err != nil {
				b.Fatal(err)
			}
		}
	}
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
	s = mustOpen(b, o)
	b.ReportAllocs()
	filing := 0
	for b.Loop() {
		filing++
		n := filing * 7919 % streams
		last := eventstore.NoStream
		for _, stream := range []string{name("party", n), name("contract", filing), name("unit", n)} {
			last = eventstore.NoStream
			for e, err := range s.Stream(t0, stream, 0) {
				if err != nil {
					b.Fatal(err)
				}
				last = e.Revision
			}
		}
		events := storetest.Events(3*filing+8, 3*filing+11)
		part := func(stream string, expected eventstore.Revision, events ...eventstore.NewEvent) eventstore.Part {
			return eventstore.Part{Stream: stream, Expected: expected, Events: events}
		}
		if _, err := s.AppendTogether(t0, part(name("unit", n), last, events[0]),
			part(name("contract", filing), eventstore.NoStream, events...), part(name("unit", n), last+1, events[1]),
			part(name("escrow", filing), eventstore.NoStream, events...)); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRebuild opens a log whose index is gone: streams of 8 events, written two at a time in turn.
func BenchmarkRebuild(b *testing.B) {
	const streams, rounds = 1 << 15, 4
	o := Options{Dir: b.TempDir(), DeferSync: true, FS: vfs.Default}
	s := mustOpen(b, o)
	for round := range rounds {
		for n := range streams {
			es := storetest.Events(2*round, 2*round+2)
			if _, err := s.Append(t0, fmt.Sprintf("contract-%08x-0000-4000-8000-%012x", n*2654435761&(1<<32-1), n), eventstore.Revision(2*round-1), es...); err != nil {
				b.Fatal(err)
			}
		}
	}
	for b.Loop() {
		b.StopTimer()
		if err := errors.Join(s.Close(), o.FS.RemoveAll(o.FS.PathJoin(o.Dir, indexName))); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		s = mustOpen(b, o)
	}
	b.ReportMetric(float64(b.N*streams*rounds*2)/b.Elapsed().Seconds(), "events/s")
}
