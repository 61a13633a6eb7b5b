package register

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/note"

	"zujian/eventstore"
	"zujian/eventstore/embedded"
	"zujian/eventstore/leaf"
	"zujian/eventstore/memory"
	"zujian/eventstore/storetest"
)

const patience = 60 * time.Second

var testKeys = Keys{Log: [32]byte{1}, Ed25519: [32]byte{2}, SM2: [32]byte{3}}

func options(dir string, log Log) Options {
	return Options{Dir: dir, Log: log, Origin: "register.example/zujian", Keys: testKeys, Now: time.Now}
}

func mustOpen(tb testing.TB, o Options) *Register {
	tb.Helper()
	r, err := Open(context.Background(), o)
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

// run starts the register; stop ends it and closes it.
func run(tb testing.TB, r *Register) (stop func()) {
	tb.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			if err := errors.Join(<-done, r.Close()); err != nil {
				tb.Errorf("run: %v", err)
			}
		})
	}
	tb.Cleanup(stop)
	return stop
}

// until waits for a condition that must come true.
func until(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			tb.Fatalf("%s did not come", what)
		}
	}
}

func signedSize(tb testing.TB, r *Register, size uint64) {
	tb.Helper()
	until(tb, fmt.Sprintf("a checkpoint of %d", size), func() bool { return r.Checkpoint().Size == size })
}

// fill appends events to several streams, a part of them of outsiders, in both suites.
func fill(tb testing.TB, s eventstore.Store, from, to int) {
	tb.Helper()
	for n := from; n < to; {
		k := min(1+n%7, to-n)
		es := storetest.Events(n, n+k)
		stream := fmt.Sprintf("contract-%d", n%13)
		if n%5 == 0 {
			es = []eventstore.NewEvent{storetest.Outside(n)}
			k = 1
		}
		if _, err := s.Append(context.Background(), stream, eventstore.AnyRevision, es...); err != nil {
			tb.Fatal(err)
		}
		n += k
	}
}

func openLog(tb testing.TB, dir string) *embedded.Store {
	tb.Helper()
	s, err := embedded.Open(embedded.Options{Dir: dir, Suite: eventstore.SaltGM})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = s.Close() })
	return s
}

// build makes a log of n events and its register, both closed again.
func build(tb testing.TB, dir string, n int) {
	tb.Helper()
	s := openLog(tb, filepath.Join(dir, "log"))
	fill(tb, s, 0, n)
	r := mustOpen(tb, options(filepath.Join(dir, "register"), s))
	stop := run(tb, r)
	signedSize(tb, r, uint64(n))
	stop()
	if err := s.Close(); err != nil {
		tb.Fatal(err)
	}
}

func TestCheckpointsAndProofs(t *testing.T) {
	s := &memory.Store{}
	r := mustOpen(t, options(t.TempDir(), Over(s)))
	run(t, r)
	if c := r.Checkpoint(); c.Size != 0 || c.Root != [32]byte(rfc6962.DefaultHasher.EmptyRoot()) {
		t.Fatalf("an empty register has the checkpoint %+v", c)
	}
	if _, err := r.Inclusion(0); !errors.Is(err, ErrRange) {
		t.Fatalf("a proof in an empty register: %v", err)
	}
	fill(t, s, 0, 700)
	signedSize(t, r, 700)
	ed, gm := r.VerifierKeys()
	edV, err := note.NewVerifier(ed)
	if err != nil {
		t.Fatal(err)
	}
	gmV, err := NewSM2Verifier(gm)
	if err != nil {
		t.Fatal(err)
	}
	c := r.Checkpoint()
	for _, v := range []note.Verifier{edV, gmV} { // Each alone is enough, the other is passed over.
		n, err := note.Open([]byte(c.Note), note.VerifierList(v))
		if err != nil || len(n.Sigs) != 1 || len(n.UnverifiedSigs) != 1 || n.Text != body("register.example/zujian", 700, c.Root) {
			t.Fatalf("checkpoint %q: %v", c.Note, err)
		}
	}
	h, all := rfc6962.DefaultHasher, storetest.Collect(t, s.All(t.Context(), 0))
	for i, e := range all {
		p, err := r.Inclusion(uint64(i))
		if err != nil {
			t.Fatal(err)
		}
		if string(p.Leaf) != string(r.LeafOf(&e)) {
			t.Fatalf("leaf %d is not its event's", i)
		}
		if err := proof.VerifyInclusion(h, uint64(i), p.Size, h.HashLeaf(p.Leaf), byteSlices(p.Hashes), p.Root[:]); err != nil {
			t.Fatalf("leaf %d: %v", i, err)
		}
		l, err := leaf.Parse(p.Leaf)
		if err != nil || l.Tag != leaf.Tag(r.StreamKey(e.Stream), e.Revision) {
			t.Fatalf("leaf %d does not open: %v", i, err)
		}
	}
	for _, pair := range [][2]uint64{{0, 0}, {0, 700}, {1, 700}, {256, 512}, {699, 700}, {700, 700}, {128, 129}} {
		hs, err := r.Consistency(pair[0], pair[1])
		if err != nil {
			t.Fatal(err)
		}
		a, err1 := r.RootAt(pair[0])
		b, err2 := r.RootAt(pair[1])
		if err := errors.Join(err1, err2, proof.VerifyConsistency(h, pair[0], pair[1], byteSlices(hs), a[:], b[:])); err != nil {
			t.Fatalf("%v: %v", pair, err)
		}
	}
	for _, pair := range [][2]uint64{{0, 701}, {5, 4}, {701, 700}, {1 << 62, 1 << 63}} {
		if _, err := r.Consistency(pair[0], pair[1]); !errors.Is(err, ErrRange) {
			t.Errorf("consistency of %v: got %v, want ErrRange", pair, err)
		}
		if _, _, err := r.InclusionAt(pair[0], pair[1]); !errors.Is(err, ErrRange) && pair[0] >= pair[1] {
			t.Errorf("inclusion of %v: got %v, want ErrRange", pair, err)
		}
	}
	if _, err := r.RootAt(701); !errors.Is(err, ErrRange) {
		t.Errorf("root at 701: %v", err)
	}
}

func byteSlices(hs [][32]byte) [][]byte {
	out := make([][]byte, len(hs))
	for i := range hs {
		out[i] = hs[i][:]
	}
	return out
}

// TestACopyHasTheSameRoot: the tree commits to what every store keeps, so a log copied event by event, here through two
// stores of different kinds and into other positions and times, has the same leaves and root.
func TestACopyHasTheSameRoot(t *testing.T) {
	first := openLog(t, filepath.Join(t.TempDir(), "log"))
	fill(t, first, 0, 600)
	second := &memory.Store{Now: func() time.Time { return time.Unix(3_000_000_000, 0) }}
	third := openLog(t, filepath.Join(t.TempDir(), "log"))
	copyAll := func(from, to eventstore.Store) {
		for e, err := range from.All(t.Context(), 0) {
			if err != nil {
				t.Fatal(err)
			}
			// As EventStoreDB keeps metadata: JSON. An outsider's are bytes.
			if !e.Meta.Outside {
				raw, err := json.Marshal(e.Meta)
				e.Meta = eventstore.Metadata{}
				if err = errors.Join(err, json.Unmarshal(raw, &e.Meta)); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := to.Append(t.Context(), e.Stream, e.Revision-1, e.NewEvent); err != nil {
				t.Fatal(err)
			}
		}
	}
	copyAll(first, second)
	copyAll(second, third)
	var roots [][32]byte
	for _, log := range []Log{first, Over(first), Over(second), third} {
		r := mustOpen(t, options(t.TempDir(), log))
		run(t, r)
		signedSize(t, r, 600)
		roots = append(roots, r.Checkpoint().Root)
	}
	for i, root := range roots {
		if root != roots[0] {
			t.Errorf("copy %d has another root", i)
		}
	}
}

func TestTiles(t *testing.T) {
	s := &memory.Store{}
	r := mustOpen(t, options(t.TempDir(), Over(s)))
	run(t, r)
	fill(t, s, 0, 70_000)
	signedSize(t, r, 70_000)
	for path, size := range map[string]int{
		"0/000": 8192, "0/272": 8192, "0/273.p/112": 112 * 32, "1/000": 8192, "1/001.p/17": 17 * 32, "2/000.p/1": 32,
		"entries/000": 256 * 60, "entries/273.p/112": 112 * 60,
	} {
		b, err := r.Tile(path)
		if err != nil || len(b) != size {
			t.Errorf("tile %s: got %d bytes, %v, want %d", path, len(b), err, size)
		}
	}
	for _, path := range []string{
		"", "0", "0/", "/0/000", "0/0", "0/00", "0/0000", "00/000", "01/000", "0/x000/000", "0/x000/x000/272", "0/273", "0/274", "0/273.p/111",
		"0/273.p/113", "0/273.p/0", "0/273.p/00", "0/273.p/0112", "0/273.p/256", "0/273.p/112/", "0/272.p/256", "0/272.p/1", "0/272.p/255",
		"1/001", "1/001.p/18", "1/001.p/016", "2/000", "3/000.p/1", "64/000", "63/000", "8/000", "-1/000", "data/000", "entries/273",
		"entries/273.p/111", "entries/x001/000", "entries", "entries/000.p/", "0/000?x", "0/000.p/1", "0/xabc/000", "0/..", "0/x999/x999/x999/x999/x999/x999/x999/999",
		"0/%30%30%30", "0/０００", "0/000\n", "checkpoint",
	} {
		if b, err := r.Tile(path); !errors.Is(err, ErrRange) {
			t.Errorf("tile %q: got %d bytes, %v, want ErrRange", path, len(b), err)
		}
	}
	// The next checkpoint: the partial that had one stays until its tile is full.
	fill(t, s, 70_000, 70_020)
	signedSize(t, r, 70_020)
	for path, want := range map[string]error{"0/273.p/112": nil, "0/273.p/132": nil, "0/273.p/120": ErrRange, "1/001.p/17": nil} {
		if _, err := r.Tile(path); !errors.Is(err, want) {
			t.Errorf("tile %s: %v, want %v", path, err, want)
		}
	}
	fill(t, s, 70_020, 70_200)
	signedSize(t, r, 70_200)
	for path, want := range map[string]error{"0/273.p/112": ErrRange, "0/273": nil, "0/274.p/56": nil} {
		if _, err := r.Tile(path); !errors.Is(err, want) {
			t.Errorf("tile %s: %v, want %v", path, err, want)
		}
	}
}

// TestWidthsSurviveARestart: what had a checkpoint before the restart is still served.
func TestWidthsSurviveARestart(t *testing.T) {
	s, dir := &memory.Store{}, t.TempDir()
	for _, n := range []int{3, 10, 40} {
		r := mustOpen(t, options(dir, Over(s)))
		stop := run(t, r)
		fill(t, s, int(r.Checkpoint().Size), n)
		signedSize(t, r, uint64(n))
		stop()
	}
	r := mustOpen(t, options(dir, Over(s)))
	defer r.Close()
	for w, want := range map[int]error{3: nil, 10: nil, 40: nil, 4: ErrRange, 41: ErrRange, 1: ErrRange} {
		if _, err := r.Tile(fmt.Sprintf("0/000.p/%d", w)); !errors.Is(err, want) {
			t.Errorf("width %d: %v, want %v", w, err, want)
		}
	}
}

// TestRebuild: everything but the checkpoint may be deleted.
func TestRebuild(t *testing.T) {
	dir := t.TempDir()
	build(t, dir, 1500)
	s := openLog(t, filepath.Join(dir, "log"))
	o := options(filepath.Join(dir, "register"), s)
	r := mustOpen(t, o)
	want := r.Checkpoint()
	_ = r.Close()
	names, err := vfs.Default.List(o.Dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if name == leavesName || strings.HasPrefix(name, "level") {
			if err := vfs.Default.Remove(filepath.Join(o.Dir, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	r = mustOpen(t, o)
	run(t, r)
	if got := r.Checkpoint(); got.Note != want.Note {
		t.Fatalf("rebuilt: %q, want %q", got.Note, want.Note)
	}
	if size, err := Verify(t.Context(), o, nil); err != nil || size != 1500 {
		t.Fatalf("verify: %d, %v", size, err)
	}
	if err := vfs.Default.Remove(filepath.Join(o.Dir, checkpointName)); err != nil {
		t.Fatal(err)
	}
	if _, err := Verify(t.Context(), o, nil); err == nil || !strings.Contains(err.Error(), "checkpoint file is missing") {
		t.Fatalf("without its checkpoint: %v", err)
	}
}

func TestTwoProcesses(t *testing.T) {
	dir := t.TempDir()
	r := mustOpen(t, options(dir, Over(&memory.Store{})))
	defer r.Close()
	if _, err := Open(t.Context(), options(dir, Over(&memory.Store{}))); err == nil {
		t.Fatal("the folder was opened twice")
	}
	for _, origin := range []string{"", "a b", "https://x/y", "a+b", "x/"} {
		o := options(t.TempDir(), Over(&memory.Store{}))
		o.Origin = origin
		if _, err := Open(t.Context(), o); err == nil {
			t.Errorf("origin %q was taken", origin)
		}
	}
}

func BenchmarkOpen(b *testing.B) {
	dir := b.TempDir()
	s := &memory.Store{}
	r := mustOpen(b, options(dir, Over(s)))
	stop := run(b, r)
	fill(b, s, 0, 200_000)
	signedSize(b, r, 200_000)
	stop()
	for b.Loop() {
		r, err := Open(b.Context(), options(dir, Over(s)))
		if err != nil {
			b.Fatal(err)
		}
		_ = r.Close()
	}
}
