package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"time"

	"zujian/eventstore/register"
)

const (
	benchSizeLeast   = 1000
	benchSizeMost    = 20_000_000
	benchSizeMonths  = 36
	benchSizePerHome = 52 // Events of a home of the demo city in so many months, about.
	benchSizeProofs  = 2000
)

// benchSize makes a register of about so many events, a demo city's, and does to it what an operator and an outsider do:
// how large it is, how long it takes to open after a kill, to replay, to verify, to prove an event, to back up and restore.
func benchSize(b *bench) (rows []benchRow, err error) {
	g := b.below("size")
	g.Stdout, g.Stderr, g.JSON = io.Discard, io.Discard, true
	homes := max(b.events/benchSizePerHome, 10)
	b.say("making a city of %d homes", homes)
	defer func() { err = errors.Join(err, os.RemoveAll(g.Data)) }()
	if err := loadDemo(g, homes, benchSizeMonths, 1); err != nil {
		return nil, err
	}
	z := &sized{b: b, g: g}
	for _, step := range []func() error{z.live, z.open, z.verify, z.backup} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	return z.rows, nil
}

// sized is a register under measurement.
type sized struct {
	b      *bench
	g      *globals
	events int64
	rows   []benchRow
}

func (z *sized) row(name, unit string, value float64) {
	z.rows = append(z.rows, benchRow{Name: fmt.Sprintf("%s, %s events", name, figure(float64(z.events))), Value: value, Unit: unit})
}

// since adds how long something took, and how many events a second that is.
func (z *sized) since(name string, start time.Time) {
	took := time.Since(start).Seconds()
	z.row(name, "s", took)
	z.rows[len(z.rows)-1].Name += fmt.Sprintf(" (%s/s)", figure(float64(z.events)/took))
}

// live opens the register and measures it in use; a copy of the folder is taken meanwhile, as a kill would leave it.
func (z *sized) live() (err error) {
	h, err := openHouse(z.g, openOptions{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.Close()) }()
	z.events = h.log.Stats().Events
	flags := registerFlags{Origin: "localhost/bench"}
	z.b.say("building the tree of %d events", z.events)
	start := time.Now()
	r, err := flags.open(z.g, h, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	if err := z.tree(r, start); err != nil {
		return err
	}
	z.b.say("replaying and building the views")
	start = time.Now()
	n := int64(0)
	for _, err := range h.store.All(z.b.ctx, 0) {
		if err != nil {
			return err
		}
		n++
	}
	if n != z.events {
		return fmt.Errorf("replayed %d events, not %d", n, z.events)
	}
	z.since("raw replay", start)
	start = time.Now()
	if _, err := foldAll(z.b, h); err != nil {
		return err
	}
	z.since("building all views anew", start)
	for _, part := range []string{"log", "views", "register", "keys"} {
		size, err := folderBytes(filepath.Join(z.g.Data, part))
		if err != nil {
			return err
		}
		z.row("disk, "+part, "bytes/event", float64(size)/float64(z.events))
	}
	return copyFolder(z.g.Data, z.killed())
}

// tree signs the whole log and asks for proofs of any of its events.
func (z *sized) tree(r *register.Register, start time.Time) error {
	ctx, stop := context.WithCancel(z.b.ctx)
	ran := make(chan error, 1)
	go func() { ran <- r.Run(ctx) }()
	var failed error
	for r.Checkpoint().Size < uint64(z.events) && failed == nil {
		select {
		case failed = <-ran:
			ran <- failed
			failed = errors.Join(failed, errors.New("the register ended early"))
		case <-time.After(5 * time.Millisecond):
		}
	}
	z.since("building and signing the tree", start)
	var took slicing
	for range benchSizeProofs {
		start := time.Now()
		_, _, err := r.InclusionAt(rand.Uint64N(uint64(z.events)), uint64(z.events))
		took.took = append(took.took, time.Since(start))
		failed = errors.Join(failed, err)
	}
	slices.Sort(took.took)
	z.row("proof of one event, p50", "µs", float64(took.at(0.5))/1e3)
	last := &z.rows[len(z.rows)-1]
	last.P50, last.P99 = took.at(0.5), took.at(0.99)
	stop()
	return errors.Join(failed, <-ran)
}

func (z *sized) killed() string { return z.g.Data + ".killed" }

// open opens log, keys and views as they were found after the kill.
func (z *sized) open() (err error) {
	defer func() { err = errors.Join(err, os.RemoveAll(z.killed())) }()
	g := *z.g
	g.Data = z.killed()
	start := time.Now()
	h, err := openHouse(&g, openOptions{})
	if err != nil {
		return err
	}
	took := time.Since(start)
	z.row("opening after a kill", "ms", float64(took)/1e6)
	if n := h.log.Stats().Events; n != z.events {
		err = fmt.Errorf("%d events are there after the kill, not %d", n, z.events)
	}
	return errors.Join(err, h.Close())
}

func (z *sized) verify() error {
	z.b.say("verifying")
	for _, c := range []struct {
		name string
		cmd  verifyCmd
	}{{"verifying log and register", verifyCmd{LogOnly: true}}, {"verifying views as well", verifyCmd{}}} {
		start := time.Now()
		if err := c.cmd.Run(z.g); err != nil {
			return fmt.Errorf("verify: %w", err)
		}
		z.since(c.name, start)
	}
	return nil
}

func (z *sized) backup() error {
	z.b.say("backing up and restoring")
	first, second, restored := z.g.Data+".backup", z.g.Data+".again", z.b.below("restored")
	restored.Stdout, restored.Stderr = io.Discard, io.Discard
	for _, step := range []struct {
		name string
		run  func() error
	}{
		{"backup", func() error { return (&backupCmd{To: first}).Run(z.g) }},
		{"incremental backup of nothing new", func() error { return (&backupCmd{To: second, Since: first}).Run(z.g) }},
		{"restoring it", func() error { return (&restoreCmd{From: first}).Run(restored) }},
	} {
		start := time.Now()
		if err := step.run(); err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
		z.since(step.name, start)
	}
	return errors.Join(os.RemoveAll(first), os.RemoveAll(second), os.RemoveAll(restored.Data))
}

func folderBytes(dir string) (n int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			n += info.Size()
		}
		return err
	})
	return n, err
}

// copyFolder copies a register for its owner alone: keys that others could read are refused.
func copyFolder(from, to string) error {
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		return err
	}
	return filepath.WalkDir(to, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			return os.Chmod(path, 0o700)
		}
		return os.Chmod(path, 0o600)
	})
}
