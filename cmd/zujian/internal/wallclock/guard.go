// Package wallclock guards what is done by date against a clock that was set wrong. Contracts end, deposits are settled and
// rent is passed on by date, for good: a clock set forward by days would do all of that at once. So the processes that do
// it ask a Guard what time it is, which does not believe a leap until somebody who knows says that the clock is right.
//
// # Decisions
//
// Serving, the clock may step forward by [Step]; what it steps more is a leap, since the monotonic clock (with the time the
// machine slept) says how much has passed. At the start it may be [Away] after the time that was last believed, or where
// that is not known after the last recorded event: a server is down for days, not for months. Behind a leap time goes on
// from where it was: what is due by it is done, what is not waits. A clock set back is followed: what is due is then done later,
// which harms nobody, and its return is no leap.
//
// Requests are decided by a day, too: deadlines, the rules in force, what lies in the future. Nobody can say which day it is
// while the clock is in doubt, having leapt or been set back by more than Step: so what is asked is answered by the time that
// Now says, what would be decided is refused, and the log records by the same time, which one leap would else move for good.
//
// Doubt ends when an operator confirms the clock (zujian clock --confirm), when it comes back, or when a quorum of witnesses
// has cosigned since at the clock's own time, as their clocks are others'. It outlasts a restart: what is noted of it is
// summed, and a damaged note, which may have said so, is doubt.
package wallclock

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"zujian/eventstore/folder"
)

const (
	// Step is how far the clock may be set forward unasked: less than a time zone mistaken, more than summer time.
	Step = 2 * time.Hour
	// Away is how long a server may have been down.
	Away = 31 * 24 * time.Hour
	// again is how far a clock that was set back before the start may be behind still: time has passed since.
	again = time.Minute

	look       = time.Second      // Between two looks for a confirmation.
	noteEvery  = time.Minute      // Between two notes of the time that is believed.
	remindWait = 10 * time.Minute // Between two words about a leap.

	noteName    = "clock"           // In the data folder: what is believed.
	confirmName = "clock.confirmed" // The same, of an operator.
)

// Options configure a Guard. Now and Dir are mandatory.
type Options struct {
	Now    func() time.Time     // With a monotonic reading.
	Slept  func() time.Duration // How long the machine has slept in all, which no monotonic reading counts; nil is never.
	Dir    string               // The data folder.
	Last   time.Time            // Of the last recorded event; zero if there is none.
	Agreed func() time.Time     // The reading of Now at which a quorum of witnesses last agreed with it; nil if nobody does.
	Logger *slog.Logger
}

// Guard says what time it is for what is done by date. Its methods may be called from any goroutine.
type Guard struct {
	o Options

	mu       sync.Mutex
	believed time.Time // At reading.
	reading  time.Time
	slept    time.Duration
	allow    time.Duration // How far the clock may be ahead,
	back     time.Duration // and behind.
	held     bool
	behind   bool
	lost     bool      // Nobody knows whether it was in doubt: held until it is believed again.
	since    time.Time // Reading at which it came into doubt.
	reminded time.Time
}

// Note is what the data folder keeps of a guard.
type Note struct {
	Believed time.Time     `json:"believed"`
	Held     bool          `json:"held"`
	Behind   bool          `json:"behind,omitempty"`
	Lost     bool          `json:"lost,omitempty"`     // What was noted before was damaged.
	Ahead    time.Duration `json:"ahead_ns,omitempty"` // How far the clock was ahead.
}

// Open is the guard of a data folder. It fails with folder.ErrNotFile if what is there for a note is none, which the next
// note could not replace, as it does a damaged one.
func Open(o Options) (*Guard, error) {
	if o.Slept == nil {
		o.Slept = func() time.Duration { return 0 }
	}
	now := o.Now()
	g := &Guard{o: o, believed: wall(now), reading: now, slept: o.Slept(), allow: Step, back: Step}
	n, err := Read(o.Dir)
	if errors.Is(err, folder.ErrNotFile) {
		return nil, err
	}
	if g.lost = n.Lost || err != nil; err != nil {
		o.Logger.Error("what was noted of the clock is damaged, and may have said that it is in doubt: so it is", "err", err)
	}
	switch {
	case n.Believed.IsZero() && o.Last.IsZero():
		return g, nil
	case n.Believed.IsZero():
		n.Believed = o.Last
	}
	switch ahead := wall(now).Sub(n.Believed); {
	case ahead < -Step || n.Behind && ahead < -again:
		g.believed = n.Believed
		if n.Behind {
			g.back = again
		}
	case ahead > Step:
		g.believed, g.allow = n.Believed, Away
		if n.Held && ahead >= n.Ahead { // It was not set back meanwhile, or by less than has passed.
			g.allow = Step
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.judge(now)
	g.confirmed(now)
	return g, nil
}

func wall(t time.Time) time.Time { return t.Round(0) }

// Now is the time for what is done by date.
func (g *Guard) Now() time.Time {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.o.Now()
	g.judge(now)
	if g.held {
		return g.passed(now)
	}
	return now
}

// Status is how the clock stands.
type Status struct {
	Held    bool          // It has leapt: nothing is done by its date.
	Doubted bool          // It has leapt, or was set back: nothing is decided by it.
	Ahead   time.Duration // Of the time that is believed.
}

// Status says how the clock stands.
func (g *Guard) Status() Status {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.o.Now()
	g.judge(now)
	return Status{Held: g.held, Doubted: g.held || g.behind, Ahead: wall(now).Sub(g.passed(now))}
}

// passed is the time that was believed and what has passed since.
func (g *Guard) passed(now time.Time) time.Time {
	return g.believed.Add(now.Sub(g.reading) + g.o.Slept() - g.slept)
}

// judge holds the clock to what has passed.
func (g *Guard) judge(now time.Time) {
	ahead, doubted := wall(now).Sub(g.passed(now)), g.held || g.behind
	g.held, g.behind = ahead > g.allow || g.lost, ahead < -g.back
	switch {
	case !g.held && !g.behind:
		if doubted {
			g.o.Logger.Warn("the clock came back: it is believed again", "clock", wall(now))
		}
		g.believe(now)
		return
	case !doubted:
		g.since = now
	case now.Sub(g.reminded) < remindWait:
		return
	}
	g.reminded = now
	g.o.Logger.Error("the clock has leapt, or was set back: nothing is decided by it, nor done by its date where it leapt, until `zujian clock --confirm`"+
		" says that it is right, or it comes back", "clock", wall(now), "believed", g.passed(now), "ahead", ahead.Round(time.Second))
}

func (g *Guard) believe(now time.Time) {
	g.believed, g.reading, g.slept, g.allow, g.back, g.held, g.behind, g.lost = wall(now), now, g.o.Slept(), Step, Step, false, false, false
}

// Run looks for confirmations, and notes what is believed, until ctx ends.
func (g *Guard) Run(ctx context.Context) error {
	tick := time.NewTicker(look)
	defer tick.Stop()
	noted := g.note()
	var held, behind bool
	for {
		select {
		case <-ctx.Done():
			g.note()
			return nil
		case <-tick.C:
		}
		h, b := g.look()
		if h != held || b != behind || g.o.Now().Sub(noted).Abs() >= noteEvery {
			noted = g.note()
		}
		held, behind = h, b
	}
}

// look returns how the clock stands once confirmations have been read.
func (g *Guard) look() (held, behind bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.o.Now()
	g.judge(now)
	g.confirmed(now)
	return g.held, g.behind
}

// confirmed believes a clock in doubt that somebody has confirmed. Of a word said when there was no doubt nothing is kept.
func (g *Guard) confirmed(now time.Time) {
	path := filepath.Join(g.o.Dir, confirmName)
	n, err := read(path)
	said := !n.Believed.IsZero()
	if said || err != nil {
		if rerr := os.Remove(path); rerr != nil {
			err = errors.Join(err, rerr)
		}
	}
	right := said && err == nil && wall(now).Sub(n.Believed).Abs() <= Step
	switch {
	case err != nil:
		g.o.Logger.Error("a confirmation of the clock is not used", "err", err)
	case said && !right:
		g.o.Logger.Error("a confirmation of the clock is of another time and is not used", "confirmed", n.Believed, "clock", wall(now))
	case !g.held && !g.behind:
	case right:
		g.o.Logger.Warn("the clock was confirmed: it is believed", "clock", wall(now))
		g.believe(now)
	case g.agreed(now):
		g.o.Logger.Warn("witnesses agree with the clock: it is believed", "clock", wall(now))
		g.believe(now)
	}
}

// agreed tells whether witnesses have agreed with the clock since the leap, and it has not leapt since.
func (g *Guard) agreed(now time.Time) bool {
	if g.o.Agreed == nil {
		return false
	}
	at := g.o.Agreed()
	return !at.IsZero() && at.Sub(g.since) >= 0 && (wall(now).Sub(wall(at))-now.Sub(at)).Abs() <= Step
}

// note writes down what is believed, and gives the reading at which it was.
func (g *Guard) note() time.Time {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.o.Now()
	g.judge(now)
	n := Note{Believed: wall(now)}
	if g.held || g.behind {
		n = Note{Believed: g.passed(now), Held: g.held, Behind: g.behind, Lost: g.lost, Ahead: wall(now).Sub(g.passed(now))}
	}
	if err := write(filepath.Join(g.o.Dir, noteName), n); err != nil { // The last recorded event says nearly the same.
		g.o.Logger.Warn("the time that is believed was not noted", "err", err)
	}
	return now
}

// Read is what the data folder's guard noted last; a zero Note if there is none.
func Read(dir string) (Note, error) { return read(filepath.Join(dir, noteName)) }

// Confirm tells the data folder's guard, whether it runs or not, that the clock is right.
func Confirm(dir string, now time.Time) error {
	return write(filepath.Join(dir, confirmName), Note{Believed: wall(now)})
}

func read(path string) (n Note, err error) {
	raw, err := folder.Read(folder.Real(), path)
	if errors.Is(err, fs.ErrNotExist) {
		return Note{}, nil
	}
	text, sum, summed := bytes.Cut(raw, []byte("\n")) // A note of before there were sums has none.
	if summed = summed && len(sum) > 0; err == nil && summed && string(sum) != sumOf(text) {
		err = errors.New("it is damaged")
	}
	if err == nil {
		err = json.Unmarshal(text, &n)
	}
	if err != nil {
		return Note{}, fmt.Errorf("read %s: %w", path, err)
	}
	return n, nil
}

func sumOf(text []byte) string { return fmt.Sprintf("%08x\n", crc32.ChecksumIEEE(text)) }

func write(path string, n Note) error {
	raw, err := json.Marshal(n)
	if err != nil {
		return err
	}
	w := folder.File{
		Path: path, Data: fmt.Appendf(nil, "%s\n%s", raw, sumOf(raw)),
		Mode: 0o644,                              // An operator may confirm as another user than the server's. The folder lets nobody else in.
		Next: path + "." + rand.Text() + ".next", // Two operators may say it at once.
	}
	if err := w.Write(folder.Real()); err != nil { // Durably: doubt that a power loss takes away is believed again.
		return fmt.Errorf("note the time: %w", err)
	}
	return nil
}
