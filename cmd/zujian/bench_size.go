package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"zujian/eventstore/register"
)

const (
	benchSizeLeast   = 1000
	benchSizeMost    = 20_000_000
	benchSizeMonths  = 36
	benchSizePerHome = 46   // Events of a home of the demo city in so many months, about.
	benchSizeDisk    = 1800 // Bytes of disk an event at most, at any time of the run.
	benchSizeSlack   = 256 << 20
	benchSizeProofs  = 2000
	fsckModule       = "deploy/fsck.mod"
	fsckRate         = 4000 // Events a second at least; slower it hangs.
	fsckLeast        = 5 * time.Minute
)

// benchSize makes a register of about so many events, a demo city's, and does to it what an operator and an outsider do:
// how large it is, how long it takes to open after a kill, to replay, to verify, to prove an event, to back up and restore.
// One copy stands beside the register at a time.
func benchSize(b *bench) (_ []benchRow, err error) {
	g := b.below("size")
	g.Stdout, g.Stderr, g.JSON = io.Discard, io.Discard, true
	defer func() { err = errors.Join(err, os.RemoveAll(g.Data)) }()
	var disk syscall.Statfs_t
	if err := syscall.Statfs(b.dir, &disk); err != nil {
		return nil, fmt.Errorf("look at the disk: %w", err)
	}
	if needs, free := uint64(b.events)*benchSizeDisk+benchSizeSlack, disk.Bavail*uint64(disk.Bsize); free < needs {
		return nil, fmt.Errorf("%d events need up to %s bytes of disk, %s are free", b.events, figure(float64(needs)), figure(float64(free)))
	}
	z := &sized{b: b, g: g}
	return profiled(b, func() ([]benchRow, error) {
		for _, step := range []func() error{z.make, z.open, z.live, z.fsck, z.verify, z.backup} {
			if err := step(); err != nil {
				return nil, err
			}
		}
		z.memory("peak memory of all, mapped files included")
		return z.rows, nil
	})
}

// sized is a register under measurement.
type sized struct {
	b      *bench
	g      *globals
	events int64
	rows   []benchRow
}

// row adds a figure, and says it at once: a large register takes hours.
func (z *sized) row(name, unit string, value float64) {
	z.b.say("%s: %s %s", name, figure(value), unit)
	z.rows = append(z.rows, benchRow{Name: fmt.Sprintf("%s, %s events", name, figure(float64(z.events))), Value: value, Unit: unit})
}

// lap is when something began, and what this process had used of the processor.
type lap struct {
	start time.Time
	used  time.Duration
}

func startLap() lap { return lap{time.Now(), processorTime()} }

// since adds how long something took, how many events a second that is, and what of the processor it cost: where others
// share the machine, that moves less.
func (z *sized) since(name string, w lap) {
	took, used := time.Since(w.start).Seconds(), processorTime()-w.used
	z.row(fmt.Sprintf("%s (%s/s, %s µs of processor each)", name, figure(float64(z.events)/took), figure(float64(used)/1e3/float64(z.events))), "s", took)
}

// memory gives the most that the process has used so far.
func (z *sized) memory(name string) { z.row(name, "MiB", float64(peakMemory())/(1<<20)) }

// make makes the city, and copies the folder while it is in use: what a kill would leave.
func (z *sized) make() error {
	homes := max(z.b.events/benchSizePerHome, 10)
	z.b.say("making a city of %d homes", homes)
	start := startLap()
	h, _, err := makeCity(z.g, homes, benchSizeMonths, 1, nil)
	if err != nil {
		return err
	}
	z.events = h.log.Stats().Events
	z.since("making the city", start)
	z.memory("peak memory of making it")
	return errors.Join(linkFolder(z.g.Data, z.killed()), h.Close())
}

// live opens the register and measures it in use.
func (z *sized) live() (err error) {
	h, err := openHouse(z.g, openOptions{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.Close()) }()
	flags := registerFlags{Origin: benchOrigin}
	z.b.say("building the tree of %d events", z.events)
	start := startLap()
	r, err := flags.open(z.g, h, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	if err := z.tree(r, start); err != nil {
		return err
	}
	z.b.say("replaying and building the views")
	start = startLap()
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
	for _, part := range []string{"log", "views", "register", "keys"} {
		size, err := folderBytes(filepath.Join(z.g.Data, part))
		if err != nil {
			return err
		}
		z.row("disk, "+part, "bytes/event", float64(size)/float64(z.events))
	}
	start = startLap()
	if _, err := foldAll(z.b, h); err != nil {
		return err
	}
	z.since("building all views anew", start)
	return nil
}

// tree signs the whole log and asks for proofs of any of its events.
func (z *sized) tree(r *register.Register, start lap) error {
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
	syscall.Sync() // The load synced nothing; in service little waits to be written.
	start := startLap()
	h, err := openHouse(&g, openOptions{})
	if err != nil {
		return err
	}
	took, used := time.Since(start.start), processorTime()-start.used
	z.row(fmt.Sprintf("opening after a kill (%s ms of processor)", figure(float64(used)/1e6)), "ms", float64(took)/1e6)
	if n := h.log.Stats().Events; n != z.events {
		err = fmt.Errorf("%d events are there after the kill, not %d", n, z.events)
	}
	return errors.Join(err, h.Close())
}

// fsck lets another project's tool check the whole register over HTTP, if it can be built here. Beside it, how long the
// register takes from opening to serving.
func (z *sized) fsck() (err error) {
	start := time.Now()
	s, err := serveHouse(z.b, z.g, true)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	z.row("opening and serving", "ms", float64(time.Since(start))/1e6)
	tool, err := fsckTool(z.b.ctx)
	if err != nil {
		z.b.say("no fsck of another project: %v", err)
		return nil
	}
	z.b.say("letting %s check the register", filepath.Base(tool))
	key, _ := s.register.VerifierKeys()
	keyFile := filepath.Join(z.b.dir, "register.key")
	if err := os.WriteFile(keyFile, []byte(key), 0o600); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(z.b.ctx, fsckLeast+time.Duration(z.events)*time.Second/fsckRate)
	defer cancel()
	checking := startLap()
	out, err := exec.CommandContext(ctx, tool, "-ui=false", "-logtostderr", "-storage_url="+s.url, "-public_key="+keyFile).CombinedOutput()
	if want := fmt.Sprintf("Successfully fsck'd log with size %d", z.events); err != nil || !strings.Contains(string(out), want) {
		return fmt.Errorf("fsck does not say %q: %w: %.2000s", want, err, out)
	}
	z.since("fsck of another project, over HTTP, its own processor time not counted", checking)
	return nil
}

// fsckTool builds the tool that this repository names, when this is the repository and go is here.
func fsckTool(ctx context.Context) (path string, err error) {
	module := fsckModule
	for range 3 { // From a package's folder too.
		if _, err = os.Stat(module); err == nil {
			break
		}
		module = filepath.Join("..", module)
	}
	if err != nil {
		return "", err
	}
	out, err := exec.CommandContext(ctx, "go", "tool", "-modfile="+module, "-n", "fsck").Output()
	return strings.TrimSpace(string(out)), err
}

func (z *sized) verify() error {
	z.b.say("verifying")
	for _, c := range []struct {
		name string
		cmd  verifyCmd
	}{{"verifying log and register", verifyCmd{LogOnly: true}}, {"verifying views as well", verifyCmd{}}} {
		start := startLap()
		if err := c.cmd.Run(z.g); err != nil {
			return fmt.Errorf("verify: %w", err)
		}
		z.since(c.name, start)
	}
	return nil
}

// backup backs up and restores. What is not needed any more goes first: it would not fit on the disk beside.
func (z *sized) backup() error {
	z.b.say("backing up and restoring")
	first, second, restored := z.g.Data+".backup", z.g.Data+".again", z.b.below("restored")
	restored.Stdout, restored.Stderr = io.Discard, io.Discard
	for _, step := range []struct {
		name  string
		run   func() error
		spent string
	}{
		{"", func() error { return nil }, filepath.Join(z.g.Data, "views")},
		{"backup", func() error { return (&backupCmd{To: first}).Run(z.g) }, ""},
		{"incremental backup of nothing new", func() error { return (&backupCmd{To: second, Since: first}).Run(z.g) }, z.g.Data},
		{"restoring it", func() error { return (&restoreCmd{From: first}).Run(restored) }, ""},
	} {
		start := startLap()
		if err := step.run(); err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
		if step.name != "" {
			z.since(step.name, start)
		}
		if step.spent != "" {
			if err := os.RemoveAll(step.spent); err != nil {
				return err
			}
		}
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

// linkFolder copies a register that is in use for its owner alone: keys that others could read are refused. Files that
// are never written again, tables and finished segments, are linked.
func linkFolder(from, to string) error {
	entries, err := os.ReadDir(from)
	if err == nil {
		err = os.Mkdir(to, 0o700)
	}
	if err != nil {
		return err
	}
	finished := "" // The last segment but one.
	for _, e := range entries {
		a, b := filepath.Join(from, e.Name()), filepath.Join(to, e.Name())
		switch ext := filepath.Ext(a); {
		case e.IsDir():
			err = linkFolder(a, b)
		case ext == ".sst":
			err = os.Link(a, b)
		case ext == ".seg":
			if finished != "" {
				err = os.Link(filepath.Join(from, finished), filepath.Join(to, finished))
			}
			finished = e.Name()
		default:
			err = copyWhole(a, b)
		}
		if err != nil {
			return err
		}
	}
	if finished != "" {
		return copyWhole(filepath.Join(from, finished), filepath.Join(to, finished))
	}
	return nil
}
