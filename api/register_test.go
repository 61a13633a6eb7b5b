package api_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/note"

	"zujian/api"
	"zujian/eventstore"
	"zujian/eventstore/leaf"
)

func decode[T any](t testing.TB, r reply) (v T) {
	t.Helper()
	if err := json.Unmarshal(r.body, &v); err != nil {
		t.Fatalf("%s: %v\n%s", r.asked, err, r.body)
	}
	return v
}

func hashes(t testing.TB, in []string) (out [][]byte) {
	t.Helper()
	for _, s := range in {
		h, err := base64.StdEncoding.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, h)
	}
	return out
}

// covered waits for a checkpoint over all events so far.
func (w *town) covered() {
	w.t.Helper()
	size := uint64(w.events())
	for deadline := time.Now().Add(time.Minute); w.register.Checkpoint().Size < size; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			w.t.Fatalf("no checkpoint of %d events came", size)
		}
	}
}

// fileOne files a contract of the landlord and the tenant.
func (w *town) fileOne() (id string, filing reply) {
	w.t.Helper()
	id = w.sign(w.home())
	return id, w.do("landlord", "POST", "/v1/contracts/"+id+"/filing", "", "Idempotency-Key: f1").want(http.StatusOK)
}

// TestReceipts follows a filing from its receipt to a proof that an outsider checks with other people's code.
func TestReceipts(t *testing.T) {
	w := newTown(t)
	w.people()
	id, filing := w.fileOne()
	first := decode[api.Filing](t, filing)
	if first.Receipt == nil || len(first.Receipt.Leaf) != leaf.Size || first.Receipt.Position == 0 {
		t.Fatalf("the filing has no receipt: %s", filing.body)
	}
	w.do("landlord", "POST", "/v1/contracts/"+id+"/occupants", `{"name":"示例","doc_type":"CN_ID","doc_no":"320102188801010015","relation":"OTHER"}`, "Idempotency-Key: o1").want(http.StatusOK)
	again := decode[api.Filing](t, w.do("landlord", "POST", "/v1/contracts/"+id+"/filing", "", "Idempotency-Key: f2").want(http.StatusOK))
	if again.Receipt == nil || again.Receipt.LeafHash != first.Receipt.LeafHash || again.Receipt.Position != first.Receipt.Position {
		t.Fatalf("asked again after the contract went on: %+v, at first %+v", again.Receipt, first.Receipt)
	}
	w.covered()
	cert := decode[api.Certificate](t, w.do("tenant", "GET", "/v1/contracts/"+id+"/certificate", "").want(200))
	rc := cert.Receipt
	if rc == nil || rc.Proof == nil || rc.LeafHash != first.Receipt.LeafHash || rc.LeafIndex != first.Receipt.LeafIndex {
		t.Fatalf("the certificate's receipt: %+v, the filing's: %+v", rc, first.Receipt)
	}
	keys := decode[api.CheckpointAnswer](t, w.do("", "GET", "/v1/proofs/checkpoint", "").want(200))
	v, err := note.NewVerifier(keys.Keys.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	n, err := note.Open([]byte(rc.Proof.Checkpoint), note.VerifierList(v))
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("register.example/zujian\n%d\n%s\n", rc.Proof.Size, rc.Proof.Root)
	if n.Text != want {
		t.Fatalf("checkpoint %q, want %q", n.Text, want)
	}
	h := rfc6962.DefaultHasher
	root := hashes(t, []string{rc.Proof.Root})[0]
	if err := proof.VerifyInclusion(h, uint64(rc.LeafIndex), uint64(rc.Proof.Size), h.HashLeaf(rc.Leaf), hashes(t, rc.Proof.Hashes), root); err != nil {
		t.Fatal(err)
	}

	// An outsider with the number, or with the ordinal, gets the same proof.
	for _, query := range []string{"filing_no=" + cert.FilingNo, fmt.Sprintf("ordinal=%d", rc.LeafIndex)} {
		p := decode[api.InclusionProof](t, w.do("", "GET", "/v1/proofs/inclusion?"+query, "").want(200))
		root := hashes(t, []string{p.Root})[0]
		if err := proof.VerifyInclusion(h, uint64(p.LeafIndex), uint64(p.Size), h.HashLeaf(p.Leaf), hashes(t, p.Hashes), root); err != nil {
			t.Fatalf("%s: %v", query, err)
		}
		if p.LeafIndex != rc.LeafIndex || string(p.Leaf) != string(rc.Leaf) {
			t.Fatalf("%s: another leaf", query)
		}
	}
	size := rc.Proof.Size
	at := decode[api.InclusionProof](t, w.do("", "GET", fmt.Sprintf("/v1/proofs/inclusion?ordinal=0&size=%d", size-1), "").want(200))
	c := decode[api.ConsistencyProof](t, w.do("", "GET", fmt.Sprintf("/v1/proofs/consistency?from=%d&to=%d", size-1, size), "").want(200))
	if c.FromRoot != at.Root || c.ToRoot != rc.Proof.Root {
		t.Fatalf("roots %+v", c)
	}
	if err := proof.VerifyConsistency(h, uint64(c.From), uint64(c.To), hashes(t, c.Hashes), hashes(t, []string{c.FromRoot})[0], hashes(t, []string{c.ToRoot})[0]); err != nil {
		t.Fatal(err)
	}
}

// TestOpenings: a party opens every leaf of its contract with what it gets; a stranger gets nothing.
func TestOpenings(t *testing.T) {
	w := newTown(t)
	w.people()
	id, _ := w.fileOne()
	path := "/v1/contracts/" + id + "/openings"
	w.do("landlord2", "GET", path, "").problem(http.StatusNotFound, "resource.not_found")
	w.do("", "GET", path, "").problem(http.StatusUnauthorized, "auth.required")
	o := decode[api.Openings](t, w.do("tenant", "GET", path, "").want(200))
	if len(o.Leaves) < 4 || o.Stream != "contract-"+id {
		t.Fatalf("openings %+v", o)
	}
	for i, e := range o.Leaves {
		l, err := leaf.Parse(e.Leaf)
		if err != nil {
			t.Fatal(err)
		}
		content := leaf.Hash(e.Salt[0], append([]byte(leaf.Domain), e.Content...))
		if e.Revision != int64(i) || l.Ordinal != uint64(e.LeafIndex) || l.Suite != e.Salt[0] ||
			l.Commitment != leaf.Commit(e.Salt[0], l.Ordinal, eventstore.Revision(e.Revision), content) {
			t.Errorf("leaf %d does not open", i)
		}
		if l.Tag != leaf.Tag([32]byte(o.StreamKey), eventstore.Revision(e.Revision)) || string(l.Tag[:]) != string(e.Tag) {
			t.Errorf("the tag of leaf %d is not the stream's", i)
		}
		if !strings.Contains(string(e.Content), string(e.Salt)) || !strings.Contains(string(e.Content), e.Type) {
			t.Errorf("content %d is not the event's", i)
		}
	}
}

// TestRegisterRoutes holds /checkpoint and /tile to C2SP tlog-tiles, and what is out of range to 404.
func TestRegisterRoutes(t *testing.T) {
	w := newTown(t)
	w.people()
	w.covered()
	size := w.register.Checkpoint().Size
	r := w.do("", "GET", "/checkpoint", "").want(200)
	if ct, cc := r.header.Get("Content-Type"), r.header.Get("Cache-Control"); ct != "text/plain; charset=utf-8" || cc != "public, max-age=1" {
		t.Errorf("checkpoint: %q, %q", ct, cc)
	}
	partial := fmt.Sprintf("/tile/0/000.p/%d", size)
	r = w.do("", "GET", partial, "").want(200)
	if ct, cc := r.header.Get("Content-Type"), r.header.Get("Cache-Control"); ct != "application/octet-stream" || cc != "public, max-age=31536000, immutable" || len(r.body) != int(size)*32 {
		t.Errorf("tile: %q, %q, %d bytes", ct, cc, len(r.body))
	}
	w.do("", "GET", fmt.Sprintf("/tile/entries/000.p/%d", size), "").want(200)
	for _, path := range []string{
		"/tile/", "/tile/0/000", "/tile/00/000.p/1", "/tile/0/000.p/0", "/tile/0/000.p/256", partial + "/", partial + "?x=1", "/tile/1/000",
		fmt.Sprintf("/tile/0/000.p/%d", size+1), fmt.Sprintf("/tile/0/000.p/0%d", size), "/tile/0/%30%30%30.p/" + fmt.Sprint(size), "/tile/8/0/000", "/tile/entries/000",
		"/tile/0//000.p/" + fmt.Sprint(size), "/checkpoint/", "/checkpoint/1",
	} {
		w.do("", "GET", path, "").problem(http.StatusNotFound, "resource.not_found")
	}
	for _, query := range []string{
		fmt.Sprintf("inclusion?ordinal=%d", size), "inclusion?ordinal=9223372036854775807", fmt.Sprintf("inclusion?ordinal=0&size=%d", size+1),
		"inclusion?ordinal=5&size=5", "inclusion?filing_no=BA0000000000000000", fmt.Sprintf("consistency?from=%d", size+1),
		fmt.Sprintf("consistency?from=0&to=%d", size+1), "consistency?from=3&to=2",
	} {
		w.do("", "GET", "/v1/proofs/"+query, "").problem(http.StatusNotFound, "resource.not_found")
	}
	for _, query := range []string{
		"inclusion", "inclusion?ordinal=1&filing_no=BA1", "inclusion?ordinal=-1", "inclusion?ordinal=x", "inclusion?ordinal=1e3", "inclusion?ordinal=99999999999999999999",
		"inclusion?ordinal=0&size=0", "consistency", "consistency?from=1&to=x", "consistency?from=1&from=2", "inclusion?filing_no=%00", "checkpoint?x=1",
	} {
		r := w.do("", "GET", "/v1/proofs/"+query, "")
		if r.status != http.StatusBadRequest {
			t.Errorf("%s: status %d %s", query, r.status, r.body)
		}
	}
	w.do("", "POST", "/checkpoint", "{}").problem(http.StatusMethodNotAllowed, "request.method_not_allowed")
}

// TestErasureLeavesTheRoot: a person's key is destroyed, and the leaves before it, the root over them and the proofs
// are as they were.
func TestErasureLeavesTheRoot(t *testing.T) {
	w := newTown(t)
	w.people()
	w.covered()
	before := w.register.Checkpoint()
	leaves, err := w.register.Tile(fmt.Sprintf("entries/000.p/%d", before.Size))
	if err != nil {
		t.Fatal(err)
	}
	w.do("city", "POST", "/v1/parties/"+w.ids["landlord2"]+"/erasure", `{"reason":"当事人申请","decision_no":"决字2026-3"}`).want(http.StatusOK)
	w.covered()
	if w.register.Checkpoint().Size == before.Size {
		t.Fatal("the erasure left no event")
	}
	if root, err := w.register.RootAt(before.Size); err != nil || root != before.Root {
		t.Fatalf("the root changed, or: %v", err)
	}
	if again, err := w.register.Tile(fmt.Sprintf("entries/000.p/%d", before.Size)); err != nil || string(again) != string(leaves) {
		t.Fatalf("the leaves changed, or: %v", err)
	}
}
