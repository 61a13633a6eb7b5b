package register

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"zujian/eventstore"
	"zujian/eventstore/embedded"
	"zujian/eventstore/leaf"
	"zujian/eventstore/memory"
	"zujian/eventstore/storetest"
)

// detect looks at a data folder as `zujian verify` does.
func detect(tb testing.TB, dir string) error {
	tb.Helper()
	logDir := filepath.Join(dir, "log")
	if err := embedded.VerifyDir(tb.Context(), embedded.Options{Dir: logDir}, nil); err != nil {
		return err
	}
	s, err := embedded.Open(embedded.Options{Dir: logDir})
	if err != nil {
		return err
	}
	defer s.Close()
	_, err = Verify(tb.Context(), options(filepath.Join(dir, "register"), s), nil)
	return err
}

func named(err error) bool {
	_, a := errors.AsType[*DamageError](err)
	_, b := errors.AsType[*embedded.DamageError](err)
	return a || b
}

// TestEveryFlippedBitIsFound flips a thousand random bits, one at a time, in the log's events, the tree and the
// checkpoint. Each is found, and the position named.
func TestEveryFlippedBitIsFound(t *testing.T) {
	dir := t.TempDir()
	build(t, dir, 700)
	if err := detect(t, dir); err != nil {
		t.Fatal(err)
	}
	names, err := filepath.Glob(filepath.Join(dir, "log", "*.seg"))
	if err != nil || len(names) != 1 {
		t.Fatalf("segments: %v, %v", names, err)
	}
	rng := rand.New(rand.NewPCG(7, 7))
	files := []string{names[0], filepath.Join(dir, "register", leavesName), filepath.Join(dir, "register", levelName(1)), filepath.Join(dir, "register", checkpointName)}
	whole := make([][]byte, len(files))
	for i, name := range files {
		if whole[i], err = os.ReadFile(name); err != nil {
			t.Fatal(err)
		}
	}
	end := len(strings.TrimRight(string(whole[0]), "\x00")) // Behind the last event there are zeroes.
	flips := map[string]int{}
	var leaves []leaf.Committed // Of the log, read once for all that is flipped beside it.
	log := openLog(t, filepath.Join(dir, "log"))
	for c, err := range log.Leaves(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		leaves = append(leaves, c)
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	for n := range 1000 {
		i := n % len(files)
		size := len(whole[i])
		if i == 0 {
			size = end
		}
		at, bit := rng.IntN(size), rng.IntN(8)
		f, err := os.OpenFile(files[i], os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteAt([]byte{whole[i][at] ^ 1<<bit}, int64(at)); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			err = detect(t, dir)
		} else {
			_, err = Verify(t.Context(), options(filepath.Join(dir, "register"), kept(leaves)), nil)
		}
		if !named(err) {
			t.Fatalf("flip %d, bit %d of byte %d of %s: got %v", n, bit, at, files[i], err)
		}
		if _, err := f.WriteAt(whole[i][max(0, at-4096):min(size, at+4096)], int64(max(0, at-4096))); err != nil {
			t.Fatal(err)
		}
		if i == 0 { // Looking at a log cuts what seems torn.
			if _, err := f.WriteAt(whole[0][:end], 0); err != nil {
				t.Fatal(err)
			}
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		flips[filepath.Base(files[i])]++
	}
	if err := detect(t, dir); err != nil {
		t.Fatalf("after all was put back: %v", err)
	}
	t.Logf("found: %v", flips)
}

// kept is a log whose leaves were read before.
type kept []leaf.Committed

func (k kept) Leaves(context.Context, eventstore.Position) iter.Seq2[leaf.Committed, error] {
	return func(yield func(leaf.Committed, error) bool) {
		for _, c := range k {
			if !yield(c, nil) {
				return
			}
		}
	}
}

func (kept) Wait(context.Context, eventstore.Position) error { return nil }

// TestLogsThatDoNotGoOn: a log that lost its end, was forked, or had an event replaced or moved is not signed on, and
// the event is named.
func TestLogsThatDoNotGoOn(t *testing.T) {
	events := storetest.Events(0, 900)
	log := func(n int, change func([]eventstore.NewEvent)) *memory.Store {
		es := append([]eventstore.NewEvent(nil), events[:n]...)
		if change != nil {
			change(es)
		}
		s := &memory.Store{}
		for i, e := range es {
			if _, err := s.Append(t.Context(), []string{"contract-1", "contract-2"}[i%2], eventstore.AnyRevision, e); err != nil {
				t.Fatal(err)
			}
		}
		return s
	}
	dir := t.TempDir()
	r := mustOpen(t, options(dir, Over(log(800, nil))))
	stop := run(t, r)
	signedSize(t, r, 800)
	stop()
	swap := func(a, b int) func([]eventstore.NewEvent) {
		return func(es []eventstore.NewEvent) { es[a], es[b] = es[b], es[a] }
	}
	for name, try := range map[string]struct {
		log       *memory.Store
		openFails bool
		want      string
	}{
		"the same":            {log(800, nil), false, ""},
		"longer":              {log(900, nil), false, ""},
		"last event gone":     {log(799, nil), true, "rolled back"},
		"empty":               {log(0, nil), true, "rolled back"},
		"last two swapped":    {log(800, swap(798, 799)), true, "not the one that was signed"},
		"fork, longer":        {log(900, func(es []eventstore.NewEvent) { es[799].Data = []byte(`{}`) }), true, "not the one that was signed"},
		"two swapped":         {log(800, swap(100, 102)), true, "event 100 is not"},
		"data changed":        {log(800, func(es []eventstore.NewEvent) { es[300].Data = []byte(`{}`) }), true, "event 300 is not"},
		"salt changed":        {log(800, func(es []eventstore.NewEvent) { es[5].Meta.Salt[9]++ }), true, "event 5 is not"},
		"moved to its stream": {log(800, func(es []eventstore.NewEvent) { copy(es[10:], events[11:800]); es[799] = events[10] }), true, ""},
	} {
		r, err := Open(context.Background(), options(dir, Over(try.log)))
		if err == nil {
			_ = r.Close()
		}
		if (err != nil) != try.openFails || err != nil && (!named(err) || !strings.Contains(err.Error(), try.want)) {
			t.Errorf("%s: open: %v", name, err)
		}
		if _, err = Verify(t.Context(), options(dir, Over(try.log)), nil); (err == nil) != (name == "the same" || name == "longer") {
			t.Errorf("%s: verify: %v", name, err)
		}
		if err != nil && (!named(err) || !try.openFails && !strings.Contains(err.Error(), try.want)) {
			t.Errorf("%s: verify: %v", name, err)
		}
	}
	for name, keys := range map[string]Keys{
		"another Ed25519 key": {Log: testKeys.Log, Ed25519: [32]byte{9}, SM2: testKeys.SM2},
		"another SM2 key":     {Log: testKeys.Log, Ed25519: testKeys.Ed25519, SM2: [32]byte{9}},
		"another log key":     {Log: [32]byte{9}, Ed25519: testKeys.Ed25519, SM2: testKeys.SM2},
	} {
		o := options(dir, Over(log(800, nil)))
		o.Keys = keys
		if r, err := Open(t.Context(), o); !named(err) {
			_ = r.Close()
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, cut := range []string{leavesName, levelName(1)} {
		if err := os.Truncate(filepath.Join(dir, cut), 50); err != nil {
			t.Fatal(err)
		}
		if r, err := Open(t.Context(), options(dir, Over(log(800, nil)))); !named(err) {
			_ = r.Close()
			t.Errorf("%s cut: %v", cut, err)
		}
	}
	for _, gone := range []string{leavesName, levelName(1)} { // The tree is made again, and is another one.
		if err := os.Remove(filepath.Join(dir, gone)); err != nil {
			t.Fatal(err)
		}
	}
	r, err := Open(t.Context(), options(dir, Over(log(800, swap(100, 102)))))
	if err == nil {
		_ = r.Close()
	}
	if !named(err) || !strings.Contains(err.Error(), "does not have the root that was signed") {
		t.Errorf("tree deleted, two swapped: %v", err)
	}
}

// TestNothingDamagedIsHandedOut flips bits of the tree's files under an open register: each tile, proof and root that it is
// asked for is what it was, or is refused as damage.
func TestNothingDamagedIsHandedOut(t *testing.T) {
	dir := t.TempDir()
	const size = 700
	build(t, dir, size)
	s := openLog(t, filepath.Join(dir, "log"))
	r := mustOpen(t, options(filepath.Join(dir, "register"), s))
	tiles := []string{"entries/000", "entries/001", "0/000", "0/001", "entries/002.p/188", "0/002.p/188", "1/000.p/2"}
	ask := func() map[string]string {
		said := map[string]string{}
		put := func(what string, answer any, err error) {
			if said[what] = fmt.Sprint(answer); err != nil {
				said[what] = "refused"
				if !named(err) {
					t.Errorf("%s: %v", what, err)
				}
			}
		}
		for _, path := range tiles {
			b, err := r.Tile(path)
			put(path, b, err)
		}
		for _, n := range []uint64{0, 255, 256, 511, 512, 699} {
			p, err := r.Inclusion(n)
			put(fmt.Sprint("inclusion ", n), p, err)
			leaf, hashes, err := r.InclusionAt(n/2, n/2+100)
			put(fmt.Sprint("inclusion at ", n), fmt.Sprint(leaf, hashes), err)
			cons, err := r.Consistency(n, n+1)
			put(fmt.Sprint("consistency ", n), cons, err)
			root, err := r.RootAt(n)
			put(fmt.Sprint("root ", n), root, err)
		}
		return said
	}
	whole := ask()
	for what, answer := range whole {
		if answer == "refused" {
			t.Fatalf("%s is refused unharmed", what)
		}
	}
	rng := rand.New(rand.NewPCG(9, 9))
	refused := 0
	for n := range 60 {
		name := filepath.Join(dir, "register", leavesName)
		if n%2 == 1 {
			name = filepath.Join(dir, "register", levelName(1))
		}
		raw, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		f, err := os.OpenFile(name, os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		at := rng.IntN(len(raw))
		write := func(b byte) {
			if _, err := f.WriteAt([]byte{b}, int64(at)); err != nil {
				t.Fatal(err)
			}
		}
		write(raw[at] ^ 1<<rng.IntN(8))
		for what, answer := range ask() {
			if answer == "refused" {
				refused++
			} else if answer != whole[what] {
				t.Errorf("byte %d of %s is flipped, and %s is another", at, filepath.Base(name), what)
			}
		}
		write(raw[at])
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if refused < 60 {
		t.Errorf("only %d answers were refused", refused)
	}
}

// TestNewerCheckpoint names a checkpoint file of a later program as what it is.
func TestNewerCheckpoint(t *testing.T) {
	dir := t.TempDir()
	build(t, dir, 10)
	name := filepath.Join(dir, "register", checkpointName)
	raw, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(strings.Replace(string(raw), "checkpoint 1 ", "checkpoint 2 ", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := detect(t, dir); err == nil || !named(err) || !strings.Contains(err.Error(), `format "2"`) {
		t.Errorf("%v", err)
	}
}
