package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
)

const (
	profileBlockRate     = 10_000 // Nanoseconds blocked for one sample.
	profileMutexFraction = 10
)

// profiled runs what a part measures, without the making of its data, and leaves profiles as <part>.<kind>.pprof if asked.
func profiled[T any](b *bench, run func() (T, error)) (out T, err error) {
	dir, part := b.profile, b.part
	if dir == "" {
		return run()
	}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return out, fmt.Errorf("make profile folder: %w", err)
	}
	runtime.SetBlockProfileRate(profileBlockRate)
	before := runtime.SetMutexProfileFraction(profileMutexFraction)
	defer func() {
		runtime.SetBlockProfileRate(0)
		runtime.SetMutexProfileFraction(before)
	}()
	cpu, err := os.Create(filepath.Join(dir, part+".cpu.pprof"))
	if err != nil {
		return out, err
	}
	if err := pprof.StartCPUProfile(cpu); err != nil {
		return out, errors.Join(err, cpu.Close())
	}
	out, err = run()
	pprof.StopCPUProfile()
	err = errors.Join(err, cpu.Close())
	for _, kind := range []string{"mutex", "block", "allocs"} {
		err = errors.Join(err, writeProfile(filepath.Join(dir, part+"."+kind+".pprof"), kind))
	}
	return out, err
}

func writeProfile(path, kind string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(pprof.Lookup(kind).WriteTo(f, 0), f.Close())
}
