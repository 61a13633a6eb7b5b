package register

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"zujian/eventstore/memory"
)

// TestHeld: a restored register knows what it has signed and signs nothing new until it is released.
func TestHeld(t *testing.T) {
	dir := t.TempDir()
	s := &memory.Store{}
	fill(t, s, 0, 300)
	o := options(filepath.Join(dir, "first"), Over(s))
	r := mustOpen(t, o)
	stop := run(t, r)
	signedSize(t, r, 300)
	stop()
	first, ok, err := LoadSigned(nil, o.Dir)
	if err != nil || !ok || first.Size != 300 || first.By(testKeys) != nil || first.By(Keys{}) == nil {
		t.Fatalf("%+v %v %v", first, ok, err)
	}

	restored := filepath.Join(dir, "restored")
	if err := first.Save(nil, restored); err != nil {
		t.Fatal(err)
	}
	if err := Hold(nil, restored); err != nil {
		t.Fatal(err)
	}
	fill(t, s, 300, 700)
	other := &memory.Store{}
	fill(t, other, 1, 701)
	o.Dir = restored
	for _, c := range []struct {
		name   string
		log    Log
		events uint64
		good   bool
	}{{"the log", Over(s), 300, true}, {"another log", Over(other), 300, false}} {
		o := o
		o.Log = c.log
		if n, err := Verify(t.Context(), o, nil); n != c.events || (err == nil) != c.good {
			t.Errorf("verify before the tree is made, %s: %d %v", c.name, n, err)
		}
	}
	r = mustOpen(t, o)
	stop = run(t, r)
	until(t, "the tree", func() bool { return r.Status().Added == 700 })
	if !r.Status().Held {
		t.Error("it does not say that it is held")
	}
	stop() // It would sign now what it has.
	if c := r.Checkpoint(); c.Size != 300 || c.Note != first.Note {
		t.Errorf("held, it signed %d", c.Size)
	}
	if err := Release(nil, restored); err != nil {
		t.Fatal(err)
	}
	r = mustOpen(t, o)
	stop = run(t, r)
	signedSize(t, r, 700)
	stop()
}

// TestWitnessesRelease: a restored register goes on once witnesses have cosigned what it has, and stops if they know more.
func TestWitnessesRelease(t *testing.T) {
	dir := t.TempDir()
	s := &memory.Store{}
	fill(t, s, 0, 300)
	o := options(filepath.Join(dir, "first"), Over(s))
	o.Witnesses, _ = jury(t)
	r := mustOpen(t, o)
	stop := run(t, r)
	until(t, "a confirmed checkpoint of 300", func() bool { return r.Status().Confirmed == 300 })
	stop()
	early, _, err := LoadSigned(nil, o.Dir)
	if err != nil {
		t.Fatal(err)
	}
	restore := func(name string) {
		o.Dir = filepath.Join(dir, name)
		if err := early.Save(nil, o.Dir); err != nil {
			t.Fatal(err)
		}
		if err := Hold(nil, o.Dir); err != nil {
			t.Fatal(err)
		}
	}
	fill(t, s, 300, 400)
	restore("good")
	r = mustOpen(t, o)
	stop = run(t, r)
	until(t, "a confirmed checkpoint of 400", func() bool { return r.Status().Confirmed == 400 })
	stop()
	if Held(nil, o.Dir) {
		t.Error("it is held still")
	}
	late, _, err := LoadSigned(nil, o.Dir)
	if err != nil || !bytes.Contains([]byte(late.Confirmed), []byte("\n— ")) {
		t.Errorf("no cosignatures are kept: %v %q", err, late.Confirmed)
	}

	restore("behind") // They know 400 by now.
	r = mustOpen(t, o)
	fill(t, s, 400, 500)
	ctx := t.Context()
	if err := r.Run(ctx); err == nil {
		t.Error("a register behind its witnesses ran on")
	}
	if c := r.Checkpoint(); c.Size != 300 || !Held(nil, o.Dir) {
		t.Errorf("it signed %d", c.Size)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(o.Dir, heldName)); err != nil {
		t.Error(err)
	}
}
