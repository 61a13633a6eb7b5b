package seal_test

import (
	"fmt"
	"testing"
	"time"

	"zujian/eventstore/seal"
)

// BenchmarkFirstUses is what a new subject costs: one key, one slot. With DeferSync it is a bulk load.
func BenchmarkFirstUses(b *testing.B) {
	for _, deferred := range []bool{false, true} {
		b.Run(fmt.Sprintf("deferSync=%v", deferred), func(b *testing.B) {
			v, err := seal.Open(b.TempDir(), seal.Options{Now: time.Now, DeferSync: deferred})
			if err != nil {
				b.Fatal(err)
			}
			defer v.Close()
			i := 0
			for b.Loop() {
				i++
				if _, err := v.Seal(b.Context(), fmt.Sprint("p", i), "s", "f", "张三"); err != nil {
					b.Fatal(err)
				}
			}
			if err := v.Sync(); err != nil {
				b.Fatal(err)
			}
		})
	}
}

// BenchmarkReopen opens a folder of 100,000 subjects.
func BenchmarkReopen(b *testing.B) {
	dir := b.TempDir()
	o := seal.Options{Now: time.Now, DeferSync: true}
	v, err := seal.Open(dir, o)
	if err != nil {
		b.Fatal(err)
	}
	for i := range 100_000 {
		if _, err := v.Seal(b.Context(), fmt.Sprint("p", i), "s", "f", "x"); err != nil {
			b.Fatal(err)
		}
	}
	_ = v.Close()
	b.ReportAllocs()
	for b.Loop() {
		v, err := seal.Open(dir, o)
		if err != nil {
			b.Fatal(err)
		}
		_ = v.Close()
	}
}

// BenchmarkOpenCold opens a field of each subject of a folder, as a filing does of a party it has not met: its key is
// unwrapped.
func BenchmarkOpenCold(b *testing.B) {
	const subjects = 20_000
	dir, o := b.TempDir(), seal.Options{Now: time.Now, DeferSync: true}
	v, err := seal.Open(dir, o)
	if err != nil {
		b.Fatal(err)
	}
	sealed := make([]string, subjects)
	for i := range sealed {
		if sealed[i], err = v.Seal(b.Context(), fmt.Sprint("p", i), "s", "f", "1988-01-01"); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if i%subjects == 0 { // No key is at hand.
			if err := v.Close(); err != nil {
				b.Fatal(err)
			}
			if v, err = seal.Open(dir, o); err != nil {
				b.Fatal(err)
			}
		}
		if _, err := v.Open(b.Context(), fmt.Sprint("p", i%subjects), "s", "f", sealed[i%subjects]); err != nil {
			b.Fatal(err)
		}
	}
	if err := v.Close(); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkValues seals and opens a field of each of a thousand subjects in turn, as a bulk of filings does.
func BenchmarkValues(b *testing.B) {
	const subjects, stream, field, plain = 1024, "contract-0001-00000001", "doc_no", "110101188001010012"
	v, err := seal.Open(b.TempDir(), seal.Options{Now: time.Now, DeferSync: true})
	if err != nil {
		b.Fatal(err)
	}
	defer v.Close()
	var names, sealed [subjects]string
	for i := range subjects {
		names[i] = fmt.Sprint("party-", i)
		if sealed[i], err = v.Seal(b.Context(), names[i], stream, field, plain); err != nil {
			b.Fatal(err)
		}
	}
	for name, value := range map[string]func(i int) error{
		"seal":  func(i int) error { _, err := v.Seal(b.Context(), names[i], stream, field, plain); return err },
		"open":  func(i int) error { _, err := v.Open(b.Context(), names[i], stream, field, sealed[i]); return err },
		"blind": func(int) error { v.Blind("id_no", plain); return nil },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if err := value(i % subjects); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
