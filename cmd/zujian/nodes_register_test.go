package main

import (
	"net/http"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"zujian/projections/redisviews/redistest"
)

// TestRegisterOfManyNodes: two nodes answer for one register and a vault signs for both. Who proposes is killed, twice,
// and the other goes on; the vault is killed and comes back. No size ever has two roots, every checkpoint goes on from the
// one before, a stranger's script accepts both nodes, and a node over another log gets nothing signed.
func TestRegisterOfManyNodes(t *testing.T) {
	if testing.Short() {
		t.Skip("starts and kills real processes")
	}
	n := startRegisterNodes(t)
	city := readFirstKey(t, n.data["api0"])
	people := 0
	write := func(name string) {
		t.Helper()
		for range 5 {
			people++
			n.node(name).must(t, 201, "POST", "/v1/parties", city, map[string]any{
				"kind": "PERSON", "name": "测试某", "doc_type": "CN_ID", "doc_no": testID(600 + people), "phone": "13800000001",
			})
		}
	}
	w := &rootWatch{t: t, nodes: n, seen: map[uint64]string{}}
	both := func(what string) {
		t.Helper()
		w.until(what, func() bool {
			return w.look("api0") > 1 && w.look("api0") == w.events("api0") && w.look("api1") == w.look("api0")
		})
	}
	write("api0")
	both("both serve what was written")
	for range 2 {
		holder, other := "api0", "api1"
		w.until("a node proposes", func() bool {
			if metric(t, n.node("api1"), "zujian_register_leads") == 1 {
				holder, other = "api1", "api0"
			}
			return metric(t, n.node(holder), "zujian_register_leads") == 1
		})
		before := w.look(other)
		n.node(holder).kill()
		began := time.Now()
		write(other)
		w.until("the other goes on", func() bool { return w.look(other) > before && w.look(other) == w.events(other) })
		t.Logf("%s was killed, %s signed on after %s", holder, other, time.Since(began).Round(10*time.Millisecond))
		n.start(holder)
		both("the killed node serves the same again")
	}

	n.vault.kill()
	before := w.look("api0") // Without its vault.
	if before == 0 {
		t.Error("without the vault nothing is served")
	}
	n.vault.start()
	write("api1")
	w.until("the vault signs again", func() bool { return w.look("api0") > before })
	both("both serve what the vault signed then")

	key := registerKey(t, n.node("api0"))
	if key != registerKey(t, n.node("api1")) {
		t.Error("the nodes show different keys")
	}
	for _, name := range []string{"api0", "api1"} {
		out, err := exec.CommandContext(t.Context(), "python3", "../../deploy/verify.py", key, n.node(name).base).CombinedOutput()
		if err != nil || !strings.HasPrefix(string(out), "VALID: ") {
			t.Errorf("%s: %v %s", name, err, out)
		}
	}
	w.consistent()
	n.anotherLog(t)
}

// registerNodes are two API nodes over one log, one vault and one Redis.
type registerNodes struct {
	*nodes
	vault *vaultProcess
}

func startRegisterNodes(t *testing.T) *registerNodes {
	t.Helper()
	n := &nodes{t: t, redis: redistest.Start(t), logIn: t.TempDir(), up: map[string]*serverProcess{}, data: map[string]string{}}
	n.store = startStore(t, n.logIn, "--listen", "127.0.0.1:0", "--insecure")
	n.logAt = n.store.at
	v := &vaultProcess{t: t, data: t.TempDir(), listen: "127.0.0.1:0"}
	v.start()
	n.args = []string{"--store", "esdb://" + n.logAt + "?tls=false", "--views", n.redis.URL(), "--vault", v.url, "--vault-token-file", v.token}
	for _, name := range []string{"api0", "api1"} {
		n.data[name] = filepath.Join(t.TempDir(), "fresh")
		n.start(name)
	}
	return &registerNodes{n, v}
}

// anotherLog starts nodes with another log, and a Redis of its own, beside the same vault: one shorter than what was signed,
// and longer.
func (n *registerNodes) anotherLog(t *testing.T) {
	t.Helper()
	other := startStore(t, t.TempDir(), "--listen", "127.0.0.1:0", "--insecure")
	with := []string{"--role", "api", "--store", "esdb://" + other.at + "?tls=false", "--views", redistest.Start(t).URL()}
	data := t.TempDir()
	beside := append([]string{"serve", "--addr", "127.0.0.1:0", "--vault", n.vault.url, "--vault-token-file", n.vault.token, "--data", data}, with...)
	if said := refused(t, beside...); !strings.Contains(said, "were signed over it") {
		t.Errorf("a node over a shorter log does not say why it ended:\n%s", said)
	}
	p := startServer(t, t.TempDir(), with...) // With a vault of its own.
	city := readFirstKey(t, data)
	for range 60 { // Nothing sealed: the keys would not know of whom, and nobody would ask the vault.
		p.must(t, 201, "POST", "/v1/keys", city, map[string]any{"role": "auditor", "label": "test"})
	}
	p.stop(t)
	if said := refused(t, beside...); !strings.Contains(said, "does not have the root that was signed") && !strings.Contains(said, "not the one that the checkpoint was signed over") {
		t.Errorf("a node over another log does not say why it ended:\n%s", said)
	}
}

// rootWatch remembers what was served for which size.
type rootWatch struct {
	t     *testing.T
	nodes *registerNodes
	mu    sync.Mutex
	seen  map[uint64]string // Root by size.
}

// look asks a node for its checkpoint; 0 if it has none yet.
func (w *rootWatch) look(name string) uint64 {
	r, err := ask(w.t.Context(), w.nodes.node(name).base, http.MethodGet, "/checkpoint", "", nil)
	if err != nil || r.status != http.StatusOK {
		return 0
	}
	lines := strings.Split(string(r.body), "\n")
	size, err := strconv.ParseUint(lines[1], 10, 64)
	if err != nil {
		w.t.Fatal(err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if was, ok := w.seen[size]; ok && was != lines[2] {
		w.t.Errorf("%s serves %s for %d events, %s was served before", name, lines[2], size, was)
	}
	w.seen[size] = lines[2]
	return size
}

func (w *rootWatch) events(name string) uint64 {
	return uint64(metric(w.t, w.nodes.node(name), "zujian_register_added_events"))
}

func (w *rootWatch) until(what string, ok func() bool) {
	w.t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); !ok(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			for name := range w.nodes.data {
				w.t.Logf("%s: %s", name, w.nodes.node(name).logs)
			}
			w.t.Fatalf("never: %s", what)
		}
	}
}

// consistent has a node prove of every size that was seen that its root is that of the beginning of the last tree.
func (w *rootWatch) consistent() {
	last := w.look("api1")
	for size, root := range w.seen {
		if size == 0 {
			continue
		}
		r := w.nodes.node("api1").must(w.t, 200, "GET", "/v1/proofs/consistency?from="+strconv.FormatUint(size, 10)+"&to="+strconv.FormatUint(last, 10), "", nil)
		if got := r.field(w.t, "from_root"); got != root {
			w.t.Errorf("the last tree has root %s at %d, %s was served", got, size, root)
		}
	}
	if len(w.seen) < 4 {
		w.t.Errorf("only %d checkpoints were seen", len(w.seen))
	}
}
