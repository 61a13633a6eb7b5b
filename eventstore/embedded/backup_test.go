package embedded

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"zujian/eventstore"
	"zujian/eventstore/faults"
	"zujian/eventstore/storetest"
)

// TestCopyWhileWriting copies a log that is being written to, each copy on top of the one before: every copy opens, is
// whole, holds what was acknowledged before it began, and is a beginning of the log.
func TestCopyWhileWriting(t *testing.T) {
	dir := t.TempDir()
	opts := Options{Dir: dir + "/log", SegmentBytes: 64 << 10}
	s, err := Open(opts)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var acked atomic.Int64
	var writers sync.WaitGroup
	for w := range 4 {
		writers.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				e := storetest.Event(w<<32 + n)
				if _, err := s.Append(t.Context(), fmt.Sprintf("copied-%d", w), eventstore.Revision(n-1), e); err != nil {
					t.Errorf("append: %v", err)
					return
				}
				acked.Add(1)
			}
		})
	}
	var since *Copied
	sinceDir, linked := "", 0
	for n := range 12 {
		for deadline := time.Now().Add(time.Minute); acked.Load() < int64(n+1)*400 && time.Now().Before(deadline); {
			time.Sleep(time.Millisecond)
		}
		before := acked.Load()
		to := fmt.Sprintf("%s/copy%d", dir, n)
		c, err := CopyLog(t.Context(), opts, to, since, sinceDir, nil)
		if err != nil {
			t.Fatalf("copy %d: %v", n, err)
		}
		if int64(c.Events) < before {
			t.Errorf("copy %d holds %d events, %d were acknowledged before it began", n, c.Events, before)
		}
		if err := CheckCopy(t.Context(), nil, to, c); err != nil {
			t.Errorf("copy %d: %v", n, err)
		}
		if since != nil {
			for _, f := range c.Files {
				a, _ := os.Stat(to + "/" + f.Name)
				if b, err := os.Stat(sinceDir + "/" + f.Name); err == nil && os.SameFile(a, b) {
					linked++
				}
			}
		}
		if n%4 == 3 { // Opening writes, so the chain goes on from a copy that stays closed.
			checkCopy(t, s, to, c)
			since, sinceDir = nil, ""
		} else {
			since, sinceDir = &c, to
		}
	}
	stop()
	writers.Wait()
	if linked == 0 {
		t.Error("no sealed segment was linked")
	}
}

// checkCopy opens the copy and compares it with the log.
func checkCopy(t *testing.T, s *Store, dir string, want Copied) {
	t.Helper()
	if err := VerifyDir(t.Context(), Options{Dir: dir}, nil); err != nil {
		t.Errorf("copy is not whole: %v", err)
	}
	c, err := Open(Options{Dir: dir, SegmentBytes: 64 << 10})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if h, err := c.Head(t.Context()); err != nil || h.Events != want.Events {
		t.Errorf("copy opens with %d events, not %d: %v", h.Events, want.Events, err)
	}
	var n uint64
	mine := c.All(t.Context(), 0)
	next := make(chan eventstore.Recorded)
	go func() {
		defer close(next)
		for e, err := range mine {
			if err != nil {
				return
			}
			next <- e
		}
	}()
	for e, err := range s.All(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		if n == want.Events {
			break
		}
		if got := <-next; got.ID != e.ID || got.Position != e.Position || string(got.Data) != string(e.Data) {
			t.Fatalf("event %d: %v at %d, the log has %v at %d", n, got.ID, got.Position, e.ID, e.Position)
		}
		n++
	}
	if _, err := c.Append(t.Context(), "after-1", eventstore.NoStream, storetest.Event(1<<40)); err != nil {
		t.Errorf("append to the copy: %v", err)
	}
	if n != want.Events {
		t.Errorf("the copy holds %d events, the log only %d", want.Events, n)
	}
}

// TestCopySurvivesPowerLoss cuts the power while copies are made: a copy whose making was finished is whole afterwards,
// and the log lost nothing that the copy holds.
func TestCopySurvivesPowerLoss(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for round := range 25 {
		fs := faults.NewDisk()
		s, err := Open(crashOptions(fs, false))
		if err != nil {
			t.Fatal(err)
		}
		for n := range 1 + rng.IntN(60) {
			if _, err := s.Append(t.Context(), "a-1", eventstore.Revision(n-1), storetest.Event(n)); err != nil {
				t.Fatal(err)
			}
		}
		c, err := CopyLog(t.Context(), crashOptions(fs, false), "copy", nil, "", nil)
		if err != nil {
			t.Fatal(err)
		}
		after := fs.PowerLoss(faults.Survival[rng.IntN(len(faults.Survival))], rng)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if err := CheckCopy(t.Context(), after, "copy", c); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		o := crashOptions(after, false)
		o.Dir = "copy"
		if err := VerifyDir(t.Context(), o, nil); err != nil {
			t.Errorf("round %d: %v", round, err)
		}
	}
}

// TestCopyOfACutCopy goes on from a copy of which a segment was cut short, as by a transfer that ended early: it is copied anew.
func TestCopyOfACutCopy(t *testing.T) {
	dir := t.TempDir()
	opts := Options{Dir: dir + "/log", SegmentBytes: 64 << 10}
	s, err := Open(opts)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for n := range 1000 {
		if _, err := s.Append(t.Context(), "x-1", eventstore.Revision(n-1), storetest.Event(n)); err != nil {
			t.Fatal(err)
		}
	}
	first, err := CopyLog(t.Context(), opts, dir+"/first", nil, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(first.Files) < 3 {
		t.Fatalf("%d segments", len(first.Files))
	}
	if err := os.Truncate(dir+"/first/"+first.Files[0].Name, first.Files[0].Bytes/2); err != nil {
		t.Fatal(err)
	}
	second, err := CopyLog(t.Context(), opts, dir+"/second", &first, dir+"/first", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := CheckCopy(t.Context(), nil, dir+"/second", second); err != nil {
		t.Error(err)
	}
}

func TestCopyRefuses(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a", "b"} {
		s, err := Open(Options{Dir: dir + "/" + name})
		if err != nil {
			t.Fatal(err)
		}
		for n := range 3 {
			if _, err := s.Append(t.Context(), "x-1", eventstore.Revision(n-1), storetest.Event(n+len(name)*int(name[0])<<8)); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	a, err := CopyLog(t.Context(), Options{Dir: dir + "/a"}, dir+"/copy", nil, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := CopyLog(t.Context(), Options{Dir: dir + "/b"}, dir+"/wrong", &a, dir+"/copy", nil); err == nil {
		t.Error("a copy of another log was taken as the earlier one")
	}
	ahead := a
	ahead.End.Position += 1 << 30
	if _, err := CopyLog(t.Context(), Options{Dir: dir + "/a"}, dir+"/ahead", &ahead, dir+"/copy", nil); err == nil {
		t.Error("the log is behind its earlier copy, and that was not noticed")
	}
	if _, err := CopyLog(t.Context(), Options{Dir: dir + "/none"}, dir+"/nothing", nil, "", nil); err == nil {
		t.Error("a missing log was copied")
	}
	path := dir + "/copy/" + a.Files[0].Name
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)-3] ^= 1
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := CheckCopy(t.Context(), nil, dir+"/copy", a); err == nil {
		t.Error("a flipped bit in a copy was not noticed")
	}
}
