package wallclock

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"zujian/eventstore/faults"
	"zujian/eventstore/folder"
)

const (
	hour = time.Hour
	day  = 24 * hour
	year = 8766 * hour
)

// machine is a clock somebody sets, and a guard of it over one folder.
type machine struct {
	faults.Clock
	t      *testing.T
	dir    string
	agreed time.Time
	guard  *Guard
}

func (m *machine) start(last time.Time) {
	m.t.Helper()
	var err error
	if m.guard, err = Open(Options{
		Now: m.Now, Dir: m.dir, Last: last, Agreed: func() time.Time { return m.agreed }, Logger: slog.New(slog.DiscardHandler),
	}); err != nil {
		m.t.Fatal(err)
	}
}

// restart stops the guard, lets time pass, and starts another.
func (m *machine) restart(down time.Duration) {
	m.t.Helper()
	ctx, stop := context.WithCancel(m.t.Context())
	stop()
	if err := m.guard.Run(ctx); err != nil {
		m.t.Fatal(err)
	}
	m.Pass(down)
	m.start(time.Time{})
}

// says holds the guard to what time it says, as an offset from that of the machine.
func (m *machine) says(what string, held bool, ahead time.Duration) {
	m.t.Helper()
	gotHeld := m.guard.Status().Held
	got := m.Now().Round(0).Sub(m.guard.Now().Round(0))
	if gotHeld != held || (got-ahead).Abs() > time.Minute {
		m.t.Errorf("%s: held %v, %v ahead; want %v, %v", what, gotHeld, got, held, ahead)
	}
}

func newMachine(t *testing.T) *machine {
	m := &machine{t: t, dir: t.TempDir()}
	m.start(time.Time{})
	m.says("at the first start", false, 0)
	return m
}

func TestLeapsWhileServing(t *testing.T) {
	t.Parallel()
	for _, leap := range []time.Duration{3 * hour, 10 * day, 10 * year} {
		m := newMachine(t)
		m.Set(leap)
		m.says("after a leap", true, leap)
		m.Pass(5 * day) // Time goes on from where it was.
		m.says("five days later", true, leap)
		m.Set(0)
		m.says("when it is back", false, 0)
		m.Set(-leap)
		m.says("set back", false, 0)
		m.Pass(day)
		m.Set(0)
		m.says("and forward again", false, 0)
		m.Set(leap)
		m.says("after another leap", true, leap)
		m.Set(-leap)
		m.says("set back from a leap", false, 0)
	}
}

func TestStepsAndSleep(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	for _, step := range []time.Duration{hour, 0, 2*hour - time.Minute, hour, -hour} {
		m.Set(step)
		m.says("a step", false, 0)
	}
	m.Pass(90 * day) // By both clocks, in one look.
	m.says("much later", false, 0)
	var slept time.Duration
	m.guard.o.Slept = func() time.Duration { return slept }
	m.Set(8 * day)
	slept = 8 * day
	m.says("after sleep", false, 0)
	if Slept() < 0 {
		t.Error("it slept less than nothing")
	}
}

func TestStarts(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	m.restart(30 * day)
	m.says("down for thirty days", false, 0)
	m.restart(40 * day)
	m.says("down for forty days", true, 40*day)
	m.restart(day)
	m.says("and once more", true, 41*day)
	m.Set(-20 * day)
	m.says("by a clock that was set back since", true, 21*day)
	m.restart(0)
	m.says("and started by that clock", true, 21*day) // As much as was not believed before.
	m.Set(-41*day + hour)
	m.says("when it is back", false, 0)

	m = newMachine(t)
	m.Set(10 * day)
	m.says("after a leap", true, 10*day)
	m.restart(0)
	m.says("a leap and a start", true, 10*day)
	m.Set(0)
	m.restart(8 * day)
	m.says("down for eight days, and back", false, 0)

	for _, c := range []struct {
		ago  time.Duration
		held bool
	}{{-5 * year, false}, {hour, false}, {30 * day, false}, {60 * day, true}} {
		m := &machine{t: t, dir: t.TempDir()}
		m.start(m.Now().Add(-c.ago))
		ahead := c.ago
		if !c.held {
			ahead = 0
		}
		m.says("by the last event of "+c.ago.String()+" ago", c.held, ahead)
	}
	m = newMachine(t)
	m.restart(0)
	if err := os.WriteFile(filepath.Join(m.dir, noteName), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	m.start(m.Now().Add(-60 * day))
	m.says("with a broken note, by the last event", true, 60*day)
}

// TestDoubt holds the guard to when requests may be decided, and to what time it is for those that only ask.
func TestDoubt(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	doubts := func(what string, want bool) {
		t.Helper()
		if got := m.guard.Status().Doubted; got != want {
			t.Errorf("%s: doubted %v", what, got)
		}
	}
	confirm := func() {
		t.Helper()
		if err := Confirm(m.dir, m.Now()); err != nil {
			t.Fatal(err)
		}
		m.guard.look()
	}
	doubts("at first", false)
	for _, set := range []time.Duration{hour, -hour / 2, 0} {
		m.Set(set)
		doubts("a step of "+set.String(), false)
	}
	for _, set := range []time.Duration{3 * hour, -3 * hour, day, -day, 10 * year, -10 * year, 280 * year} {
		m.Set(set)
		doubts("set by "+set.String(), true)
		m.restart(hour)
		doubts("set by "+set.String()+", and started again", true)
		m.Set(0)
		doubts("back", false)
	}
	m.Set(-20 * day) // And it was the clock before that was wrong.
	doubts("set back", true)
	confirm()
	doubts("set back and confirmed", false)
	m.says("set back and confirmed", false, 0)
	m.restart(hour)
	doubts("and started again", false)
	m.Set(20 * day)
	doubts("and forward from there", true)
	m.says("and forward from there", true, 40*day)
	m.Set(-60 * day)
	doubts("from there far back", true)
	m.says("from there far back", false, 0)
	confirm()
	confirm() // There is nothing to confirm any more,
	m.Set(-20 * day)
	m.guard.look()
	doubts("after a needless confirmation", true) // and it is not kept for later.
}

// TestConfirmedAtOnce has operators confirm at once, again and again, while the guard looks: none fails, and no part of a
// confirmation is read.
func TestConfirmedAtOnce(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	var said lockedLog
	m.guard.o.Logger = slog.New(slog.NewTextHandler(&said, nil))
	m.Set(10 * day)
	m.says("after a leap", true, 10*day)
	var operators sync.WaitGroup
	for range 8 {
		operators.Go(func() {
			for range 50 {
				if err := Confirm(m.dir, m.Now()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { operators.Wait(); close(done) }()
	for open := true; open; {
		select {
		case <-done:
			open = false
		default:
		}
		m.guard.look()
	}
	m.says("confirmed by many", false, 0)
	if text := said.String(); strings.Contains(text, "not used") {
		t.Error(text)
	}
	left, err := os.ReadDir(m.dir)
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

// lockedLog is what was logged.
type lockedLog struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lockedLog) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *lockedLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func TestConfirmations(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	confirm := func() {
		t.Helper()
		if err := Confirm(m.dir, m.Now()); err != nil {
			t.Fatal(err)
		}
	}
	m.Set(10 * day)
	m.says("after a leap", true, 10*day)
	confirm()
	if m.guard.look(); true {
		m.says("confirmed", false, 0)
	}
	if _, err := os.Stat(filepath.Join(m.dir, confirmName)); err == nil {
		t.Error("the confirmation is kept: it would be used again")
	}
	m.restart(hour)
	m.says("confirmed, and started again", false, 0)

	m.Set(10 * year)
	confirm() // Before the leap was seen; of another clock than the next.
	m.Set(30 * year)
	m.guard.look()
	m.says("confirmed for another time", true, 30*year-10*day)
	m.restart(0)
	confirm()
	m.start(time.Time{})
	m.says("confirmed while it was down", false, 0)

	m.Set(0)
	m.agreed = m.Now()
	m.says("back", false, 0)
	m.Set(40 * day)
	m.guard.look()
	m.says("witnesses agreed before the leap", false, 0) // 30 years back, then 40 days ahead of that: the clock was ahead.
	confirm()
	m.guard.look()
	m.restart(40 * day)
	m.says("down for forty days", true, 40*day)
	m.guard.look()
	m.says("witnesses agreed before the start", true, 40*day)
	m.agreed = m.Now()
	m.guard.look()
	m.says("witnesses agree", false, 0)
	m.Set(80 * day)
	m.guard.look()
	m.says("witnesses agreed with another time", true, 40*day)
}

// TestDamagedNoteIsDoubt: whatever becomes of the note of a clock in doubt, it is in doubt at the next start and the one
// after it, until it is confirmed. Without any harm it would have been, too.
func TestDamagedNoteIsDoubt(t *testing.T) {
	t.Parallel()
	for name, harm := range map[string]func([]byte) []byte{
		"whole":   func(b []byte) []byte { return b },
		"empty":   func([]byte) []byte { return nil },
		"cut":     func(b []byte) []byte { return b[:len(b)/2] },
		"zeroed":  func(b []byte) []byte { return make([]byte, len(b)) },
		"a digit": func(b []byte) []byte { b[len(`{"believed":"20`)] ^= 1; return b },
		"a word":  func(b []byte) []byte { return []byte(strings.Replace(string(b), `"held":true`, `"held":null`, 1)) },
	} {
		m := newMachine(t)
		m.Set(10 * day) // Less than a server may be down: only the note tells of it.
		m.says(name+": after a leap", true, 10*day)
		ctx, stop := context.WithCancel(t.Context())
		stop()
		if err := m.guard.Run(ctx); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(m.dir, noteName)
		raw, err := os.ReadFile(path)
		if err == nil {
			err = os.WriteFile(path, harm(raw), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		m.start(m.Now().Add(-10 * day).Round(0))
		if !m.guard.Status().Doubted {
			t.Errorf("%s: it is believed", name)
		}
		m.restart(time.Second)
		if !m.guard.Status().Doubted {
			t.Errorf("%s: it is believed after one more restart", name)
		}
		if err := Confirm(m.dir, m.Now()); err != nil {
			t.Fatal(err)
		}
		m.guard.look()
		m.says(name+": confirmed", false, 0)
	}
}

func TestAFolderIsNoNote(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, noteName), 0o750); err != nil {
		t.Fatal(err)
	}
	m := machine{}
	if _, err := Open(Options{Now: m.Now, Dir: dir, Logger: slog.New(slog.DiscardHandler)}); !errors.Is(err, folder.ErrNotFile) {
		t.Errorf("a folder in place of the note: %v, want %v", err, folder.ErrNotFile)
	}
}
