package register

import (
	"math/rand/v2"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/tlog"

	"zujian/eventstore/leaf"
)

// TestTreeAgreesWithOtherCode holds root, inclusion and consistency proofs to transparency-dev/merkle, which shares no
// code with the tree or with golang.org/x/mod, for every size up to 2,000.
func TestTreeAgreesWithOtherCode(t *testing.T) {
	const sizes = 2000
	rng := rand.New(rand.NewPCG(1, 2))
	tr, err := openTree(vfs.NewMem(), "", 0)
	if err != nil {
		t.Fatal(err)
	}
	defer tr.close()
	h := rfc6962.DefaultHasher
	other := (&compact.RangeFactory{Hash: h.HashChildren}).NewEmptyRange(0)
	roots := [][]byte{h.EmptyRoot()}
	var leaves [][]byte
	for size := uint64(1); size <= sizes; size++ {
		b := make([]byte, leaf.Size)
		for i := range b {
			b[i] = byte(rng.Uint32())
		}
		leaves = append(leaves, h.HashLeaf(b))
		if err := tr.add(b); err != nil {
			t.Fatal(err)
		}
		if err := other.Append(h.HashLeaf(b), nil); err != nil {
			t.Fatal(err)
		}
		if err := tr.flush(); err != nil {
			t.Fatal(err)
		}
		root, err := tr.root(size)
		if err != nil {
			t.Fatal(err)
		}
		want, err := other.GetRootHash(nil)
		if err != nil || string(want) != string(root[:]) {
			t.Fatalf("root of %d leaves: got %x, want %x (%v)", size, root, want, err)
		}
		roots = append(roots, want)
		for _, index := range []uint64{0, size - 1, rng.Uint64N(size)} {
			hs, err := tlog.ProveRecord(int64(size), int64(index), &tr.files)
			if err != nil {
				t.Fatal(err)
			}
			if err := proof.VerifyInclusion(h, index, size, leaves[index], byteSlices(arrays(hs)), want); err != nil {
				t.Fatalf("leaf %d of %d: %v", index, size, err)
			}
		}
		for _, from := range []uint64{0, size, rng.Uint64N(size)} {
			hs, err := tr.consistency(from, size)
			if err != nil {
				t.Fatal(err)
			}
			if err := proof.VerifyConsistency(h, from, size, byteSlices(hs), roots[from], want); err != nil {
				t.Fatalf("%d in %d: %v", from, size, err)
			}
		}
	}
}

// TestTreeReopens: a tree opened at any size goes on as if it had never been closed, whatever lies behind.
func TestTreeReopens(t *testing.T) {
	for _, size := range []uint64{0, 1, 255, 256, 257, 511, 512, 1000, 65535, 65536, 65537} {
		fs := vfs.NewMem()
		tr, err := openTree(fs, "", 0)
		if err != nil {
			t.Fatal(err)
		}
		add := func(tr *tree, n uint64) {
			b := make([]byte, leaf.Size)
			for range n {
				b[0], b[1], b[2] = byte(tr.size), byte(tr.size>>8), byte(tr.size>>16)
				if err := tr.add(b); err != nil {
					t.Fatal(err)
				}
			}
			if err := tr.sync(); err != nil {
				t.Fatal(err)
			}
		}
		add(tr, size+300)
		want, err := tr.root(size + 300)
		if err != nil {
			t.Fatal(err)
		}
		if err := tr.close(); err != nil {
			t.Fatal(err)
		}
		if tr, err = openTree(fs, "", size); err != nil {
			t.Fatal(err)
		}
		add(tr, 300)
		if got, err := tr.root(size + 300); err != nil || got != want {
			t.Fatalf("reopened at %d: root %x, want %x (%v)", size, got, want, err)
		}
		if err := tr.close(); err != nil {
			t.Fatal(err)
		}
		if _, err := openTree(fs, "", size+301); err == nil {
			t.Fatalf("a tree of %d leaves was opened as one of %d", size+300, size+301)
		}
	}
}

func BenchmarkTree(b *testing.B) {
	tr, err := openTree(vfs.Default, b.TempDir(), 0)
	if err != nil {
		b.Fatal(err)
	}
	defer tr.close()
	tagger := leaf.NewTagger([32]byte{1})
	c := leaf.Committed{Suite: 1, Stream: []byte("contract-0198f0a2-8a5c-7d3e-9b1f-3c2d1e0f9a8b")}
	var buf []byte
	for b.Loop() {
		c.Ordinal++
		c.Revision++
		buf = tagger.Append(buf[:0], &c)
		if err := tr.add(buf); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "leaves/s")
}
