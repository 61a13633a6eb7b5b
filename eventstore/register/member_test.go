package register

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"zujian/eventstore/memory"
)

// watchedNotary remembers every tree that was signed.
type watchedNotary struct {
	*LocalNotary
	t     testing.TB
	mu    sync.Mutex
	roots map[uint64][32]byte
	away  bool
}

func (w *watchedNotary) Sign(ctx context.Context, p Proposal) (Record, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.away {
		return nil, ErrNotaryAway
	}
	rec, err := w.LocalNotary.Sign(ctx, p)
	if err == nil {
		if was, ok := w.roots[p.Size]; ok && was != p.Root {
			w.t.Errorf("two trees of %d leaves were signed", p.Size)
		}
		w.roots[p.Size] = p.Root
	}
	return rec, err
}

func watchNotary(t testing.TB, dir string) *watchedNotary {
	n, err := OpenNotary(nil, dir, testKeys, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return &watchedNotary{LocalNotary: n, t: t, roots: map[uint64][32]byte{}}
}

// turns lets one at a time propose, whoever asks first.
type turns struct{ mu sync.Mutex }

func (m *turns) Hold(ctx context.Context, f func(context.Context) error) error {
	for !m.mu.TryLock() {
		if err := sleep(ctx, time.Millisecond); err != nil {
			return err
		}
	}
	defer m.mu.Unlock()
	return f(ctx)
}

func member(t testing.TB, dir string, log Log, n Notary, m *turns) Options {
	_, public, err := n.(*watchedNotary).Keys("register.example/zujian")
	if err != nil {
		t.Fatal(err)
	}
	o := options(dir, log)
	o.Keys, o.Public, o.Notary = Keys{Log: testKeys.Log}, public, n
	if m != nil {
		o.Turn = m.Hold
	}
	return o
}

// TestMembersServeOneTree: several processes make the tree, one at a time proposes, another takes over, and all serve
// what was signed; a process that believes it is alone, on another log, gets nothing signed.
func TestMembersServeOneTree(t *testing.T) {
	dir := t.TempDir()
	s := &memory.Store{}
	fill(t, s, 0, 300)
	n := watchNotary(t, filepath.Join(dir, "notary"))
	m := &turns{}
	ws, _ := jury(t)
	var rs [3]*Register
	var stops [3]func()
	start := func(i int) {
		o := member(t, filepath.Join(dir, fmt.Sprint(i)), Over(s), n, m)
		o.Witnesses = ws
		rs[i] = mustOpen(t, o)
		stops[i] = run(t, rs[i])
	}
	for i := range rs {
		start(i)
	}
	all := func(size uint64, among ...int) {
		t.Helper()
		for _, i := range among {
			signedSize(t, rs[i], size)
			c := rs[i].Checkpoint()
			if _, err := rs[i].Inclusion(size - 1); err != nil || c.Note == "" {
				t.Errorf("member %d at %d: %v %q", i, size, err, c.Note)
			}
		}
	}
	all(300, 0, 1, 2)
	leader := func() int {
		found := -1
		until(t, "a leader", func() bool {
			for i, r := range rs {
				if r != nil && r.Status().Leads {
					found = i
				}
			}
			return found >= 0
		})
		return found
	}
	first := leader()
	stops[first]()
	rs[first] = nil
	fill(t, s, 300, 700)
	second := leader()
	if second == first {
		t.Fatal("who has stopped leads")
	}
	all(700, second)
	until(t, "confirmation by the witnesses", func() bool { return rs[second].Status().Confirmed == 700 })
	start(first)
	all(700, 0, 1, 2)

	// The vault is away: nothing is signed, nothing ends; then it goes on.
	n.mu.Lock()
	n.away = true
	n.mu.Unlock()
	fill(t, s, 700, 900)
	until(t, "the trees", func() bool { return rs[first].Status().Added == 900 && rs[second].Status().Added == 900 })
	n.mu.Lock()
	n.away = false
	n.mu.Unlock()
	all(900, 0, 1, 2)
	for i := range rs {
		if want, err := rs[0].RootAt(700); err != nil || want != n.roots[700] || rs[i].Checkpoint().Root != n.roots[900] {
			t.Errorf("member %d serves another root: %v", i, err)
		}
		if st := rs[i].Status(); st.Stopped || st.Dissenting > 0 {
			t.Errorf("member %d: %+v", i, st)
		}
	}

	// Two who both lead, on another log: whoever is asked signs nothing for it.
	other := &memory.Store{}
	fill(t, other, 1, 1200)
	fork := mustOpen(t, member(t, filepath.Join(dir, "fork"), Over(other), n, nil))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := fork.Run(ctx); !named(err) {
		t.Errorf("another log: %v", err)
	}
	if c := fork.Checkpoint(); c.Note != "" {
		t.Errorf("another log serves %q", c.Note)
	}
	if err := fork.Close(); err != nil {
		t.Fatal(err)
	}
	for i := range stops {
		stops[i]()
	}
}

// TestNotaryRefuses: what the notary holds a proposal to, whoever makes it.
func TestNotaryRefuses(t *testing.T) {
	dir := t.TempDir()
	good, bad := &memory.Store{}, &memory.Store{}
	fill(t, good, 0, 500)
	fill(t, bad, 1, 701)
	n := watchNotary(t, filepath.Join(dir, "notary"))
	tree := func(name string, s *memory.Store) *Register {
		r := mustOpen(t, options(filepath.Join(dir, name), Over(s)))
		stop := run(t, r)
		until(t, "the tree", func() bool { c := r.Checkpoint(); return c.Size == r.Status().Added && c.Size > 300 })
		t.Cleanup(stop)
		return r
	}
	a, b := tree("a", good), tree("b", bad)
	ask := func(r *Register, from, size uint64) Proposal {
		p := Proposal{Origin: "register.example/zujian", From: from, Size: size}
		var err1, err2 error
		p.Root, err1 = r.RootAt(size)
		p.Proof, err2 = r.Consistency(min(from, size), size)
		if err := errors.Join(err1, err2); err != nil {
			t.Fatal(err)
		}
		return p
	}
	if _, err := n.Sign(t.Context(), ask(a, 0, 200)); err != nil {
		t.Fatal(err)
	}
	proofless := ask(a, 200, 400)
	proofless.Proof = nil
	renamed := ask(a, 200, 200)
	renamed.Origin = "elsewhere.example/zujian"
	unnamed := ask(a, 200, 400)
	unnamed.Origin = "a b"
	for _, c := range []struct {
		name string
		p    Proposal
		want error
	}{
		{"another log", ask(b, 200, 400), ErrForked},
		{"another tree of the same size", ask(b, 200, 200), ErrForked},
		{"without proof", proofless, ErrForked},
		{"from an older size", ask(a, 100, 400), ErrMoved},
		{"from nothing", ask(b, 0, 400), ErrMoved},
		{"a smaller tree", ask(a, 200, 100), ErrMoved},
	} {
		if _, err := n.Sign(t.Context(), c.p); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
	if _, err := n.Sign(t.Context(), unnamed); err == nil {
		t.Error("no name: signed")
	}
	for _, p := range []Proposal{ask(a, 200, 200), renamed, ask(a, 200, 400)} {
		if _, err := n.Sign(t.Context(), p); err != nil {
			t.Errorf("from %d to %d as %s: %v", p.From, p.Size, p.Origin, err)
		}
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}

	n = watchNotary(t, filepath.Join(dir, "notary")) // It knows what it has signed.
	if _, err := n.Sign(t.Context(), ask(b, 400, 450)); !errors.Is(err, ErrForked) {
		t.Errorf("after a restart, another log: %v", err)
	}
	if err := Hold(nil, filepath.Join(dir, "notary")); err != nil {
		t.Fatal(err)
	}
	if _, err := n.Sign(t.Context(), ask(a, 400, 450)); !errors.Is(err, ErrHeld) {
		t.Errorf("restored: %v", err)
	}
	if _, err := n.Sign(t.Context(), ask(a, 400, 400)); err != nil {
		t.Errorf("restored, the same again: %v", err)
	}
	if err := Release(nil, filepath.Join(dir, "notary")); err != nil {
		t.Fatal(err)
	}
	if _, err := n.Sign(t.Context(), ask(a, 400, 450)); err != nil {
		t.Errorf("released: %v", err)
	}
	if _, err := OpenNotary(nil, filepath.Join(dir, "notary"), testKeys, slog.New(slog.DiscardHandler)); err == nil {
		t.Error("two notaries over one folder")
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenNotary(nil, filepath.Join(dir, "notary"), Keys{Log: testKeys.Log}, slog.New(slog.DiscardHandler)); err == nil {
		t.Error("other keys were taken over what these have signed")
	}
}
