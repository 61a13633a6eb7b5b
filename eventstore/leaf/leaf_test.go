package leaf_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"zujian/eventstore"
	"zujian/eventstore/leaf"
	"zujian/eventstore/storetest"
)

var update = flag.Bool("update", false, "rewrite the golden file")

func recorded(n int) eventstore.Recorded {
	return eventstore.Recorded{
		NewEvent: storetest.Event(n), Stream: "contract-1", Revision: eventstore.Revision(n), Ordinal: uint64(100 + n),
		Position: 7, StoredAt: time.Unix(1, 0),
	}
}

// TestGolden holds the leaves still: a root signed today is made of them.
func TestGolden(t *testing.T) {
	tagger := leaf.NewTagger([32]byte{1, 2, 3})
	got := ""
	for n := range 5 { // Both suites, and an event from outside.
		r := recorded(n)
		if n == 4 {
			r.NewEvent, r.Stream = storetest.Outside(n), strings.Repeat("s", 600)
		}
		c := leaf.Of(&r)
		got += fmt.Sprintf("content %x\nleaf    %x\n", leaf.AppendContent(nil, r.Stream, &r.NewEvent), tagger.Append(nil, &c))
	}
	const path = "testdata/leaves.golden"
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Fatalf("leaves changed, which breaks every signed root. Got\n%s", got)
	}
}

// TestCommitsToAllThatSurvivesACopy: each such field changes the commitment, and the store's own fields do not.
func TestCommitsToAllThatSurvivesACopy(t *testing.T) {
	base := recorded(1)
	want := leaf.Of(&base).Commitment
	for name, change := range map[string]func(*eventstore.Recorded){
		"id": func(r *eventstore.Recorded) { r.ID[3]++ }, "type": func(r *eventstore.Recorded) { r.Type += "x" },
		"data": func(r *eventstore.Recorded) { r.Data = append([]byte(" "), r.Data...) }, "stream": func(r *eventstore.Recorded) { r.Stream += "x" },
		"revision": func(r *eventstore.Recorded) { r.Revision++ }, "ordinal": func(r *eventstore.Recorded) { r.Ordinal++ },
		"schema": func(r *eventstore.Recorded) { r.Meta.Schema++ }, "actor": func(r *eventstore.Recorded) { r.Meta.Actor += "x" },
		"role": func(r *eventstore.Recorded) { r.Meta.Role += "x" }, "command": func(r *eventstore.Recorded) { r.Meta.Command += "x" },
		"causation": func(r *eventstore.Recorded) { r.Meta.Causation += "x" }, "correlation": func(r *eventstore.Recorded) { r.Meta.Correlation += "x" },
		"at":     func(r *eventstore.Recorded) { r.Meta.At = r.Meta.At.Add(time.Microsecond) },
		"policy": func(r *eventstore.Recorded) { r.Meta.Policy++ }, "salt": func(r *eventstore.Recorded) { r.Meta.Salt[15]++ },
		"suite": func(r *eventstore.Recorded) { r.Meta.Salt[0] ^= 3 },
		// A byte moved from one text to the next.
		"boundary": func(r *eventstore.Recorded) { r.Meta.Role, r.Meta.Actor = r.Meta.Role+"k", r.Meta.Actor[1:] },
	} {
		r := base
		change(&r)
		if leaf.Of(&r).Commitment == want {
			t.Errorf("the commitment does not cover %s", name)
		}
	}
	own := base
	own.Position, own.StoredAt = 1<<40, time.Now()
	if leaf.Of(&own).Commitment != want {
		t.Error("the commitment depends on what a copy does not keep")
	}
}

func TestMetadataSurvivesJSON(t *testing.T) { // As EventStoreDB keeps it.
	r := recorded(3)
	raw, err := json.Marshal(r.Meta)
	if err != nil {
		t.Fatal(err)
	}
	back := r
	back.Meta = eventstore.Metadata{}
	if err := json.Unmarshal(raw, &back.Meta); err != nil {
		t.Fatal(err)
	}
	if leaf.Of(&back).Commitment != leaf.Of(&r).Commitment {
		t.Fatalf("metadata through JSON commit to something else: %s", raw)
	}
	var s eventstore.Salt
	for _, bad := range []string{"", "01", hex.EncodeToString(make([]byte, 17)), "zz" + hex.EncodeToString(make([]byte, 15))} {
		if s.UnmarshalText([]byte(bad)) == nil {
			t.Errorf("salt %q was taken", bad)
		}
	}
}

func TestTagsLinkOnlyWithTheStreamKey(t *testing.T) {
	tagger := leaf.NewTagger([32]byte{9})
	seen := map[[leaf.TagSize]byte]bool{}
	for _, stream := range []string{"contract-1", "contract-2"} {
		var key [32]byte
		for _, stream := range []string{"", "contract-", "contract-", stream + "1", stream, stream} { // In whatever order they are asked for.
			key = tagger.StreamKey([]byte(stream))
			mac := hmac.New(sha256.New, append([]byte{9}, make([]byte, 31)...))
			mac.Write([]byte("zujian.stream.v1" + stream))
			if string(mac.Sum(nil)) != string(key[:]) {
				t.Fatalf("the stream key of %q is not the HMAC it is said to be", stream)
			}
		}
		for rev := range eventstore.Revision(100) {
			r := recorded(int(rev))
			r.Stream, r.Revision = stream, rev
			c := leaf.Of(&r)
			l, err := leaf.Parse(tagger.Append(nil, &c))
			if err != nil {
				t.Fatal(err)
			}
			if l.Tag != leaf.Tag(key, rev) || l.Commitment != c.Commitment || l.Ordinal != r.Ordinal || l.Suite != r.Meta.Salt.Suite() {
				t.Fatalf("leaf %+v is not that of %s %d", l, stream, rev)
			}
			if seen[l.Tag] {
				t.Fatalf("tag %x comes twice", l.Tag)
			}
			seen[l.Tag] = true
		}
	}
	if other := leaf.NewTagger([32]byte{8}); other.StreamKey([]byte("contract-1")) == tagger.StreamKey([]byte("contract-1")) {
		t.Fatal("stream keys do not depend on the log key")
	}
	if got := fmt.Sprintf("%v %+v %#v", tagger, tagger, tagger); got != "[redacted] [redacted] [redacted]" {
		t.Fatalf("a tagger prints %s", got)
	}
}

func TestParseRefuses(t *testing.T) {
	r := recorded(0)
	c := leaf.Of(&r)
	good := leaf.NewTagger([32]byte{}).Append(nil, &c)
	for name, bad := range map[string][]byte{
		"short": good[:len(good)-1], "long": append(append([]byte{}, good...), 0), "empty": nil,
		"version": append([]byte{2}, good[1:]...), "suite": append([]byte{1, 7}, good[2:]...),
	} {
		if _, err := leaf.Parse(bad); err == nil || (name == "suite") != errors.Is(err, leaf.ErrSuite) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// TestEdge compares the edge's root with the definition's, for every size up to 300.
func TestEdge(t *testing.T) {
	var edge leaf.Edge
	var leaves [][]byte
	for n := range 301 {
		if want := naive(leaves); edge.Root() != want || edge.Size() != uint64(n) {
			t.Fatalf("%d leaves: size %d, root %x, want %x", n, edge.Size(), edge.Root(), want)
		}
		b := fmt.Appendf(nil, "leaf %d", n)
		leaves = append(leaves, b)
		edge.Add(leaf.NodeHash(b))
	}
}

// naive is the definition of the Merkle tree hash, RFC 6962 §2.1.
func naive(leaves [][]byte) [32]byte {
	switch len(leaves) {
	case 0:
		return sha256.Sum256(nil)
	case 1:
		return sha256.Sum256(append([]byte{0}, leaves[0]...))
	}
	k := 1
	for k*2 < len(leaves) {
		k *= 2
	}
	left, right := naive(leaves[:k]), naive(leaves[k:])
	return sha256.Sum256(append(append([]byte{1}, left[:]...), right[:]...))
}
