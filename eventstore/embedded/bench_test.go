package embedded

import (
	"fmt"
	"testing"

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
