package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestResumeOfAVault restores the folder of a vault that signs for a node from a copy older than what it signed since. It
// signs nothing until it is told what was signed last, then goes on from exactly that, and the node that knows it does,
// too. Of a log that is not the one, or without one, it is not resumed, and nothing is made in its folder.
func TestResumeOfAVault(t *testing.T) {
	if testing.Short() {
		t.Skip("starts and kills real processes")
	}
	store := startStore(t, t.TempDir(), "--listen", "127.0.0.1:0", "--insecure")
	at := "esdb://" + store.at + "?tls=false"
	v := &vaultProcess{t: t, data: t.TempDir(), listen: "127.0.0.1:0"}
	v.start()
	data := t.TempDir()
	node := func() *serverProcess {
		return startServer(t, data, "--store", at, "--vault", v.url, "--vault-token-file", v.token)
	}
	p := node()
	city := readFirstKey(t, data)
	people := 0
	write := func(p *serverProcess) uint64 {
		t.Helper()
		for range 3 {
			people++
			p.must(t, 201, "POST", "/v1/parties", city, map[string]any{
				"kind": "PERSON", "name": "测试某", "doc_type": "CN_ID", "doc_no": testID(600 + people), "phone": "13800000001",
			})
		}
		return uint64(metric(t, p, "zujian_register_added_events"))
	}
	signs := func(p *serverProcess, size uint64) {
		t.Helper()
		for began := time.Now(); uint64(metric(t, p, "zujian_register_signed_events")) < size; time.Sleep(50 * time.Millisecond) {
			if time.Since(began) > time.Minute {
				t.Fatalf("no checkpoint of %d events\n%s", size, p.logs)
			}
		}
	}
	write(p)
	signs(p, 4)
	v.kill()
	old := filepath.Join(t.TempDir(), "vault")
	if err := os.CopyFS(old, os.DirFS(v.data)); err != nil {
		t.Fatal(err)
	}
	for name := range filesIn(t, old) {
		if err := os.Chmod(filepath.Join(old, name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	v.start()
	before := checkpointSize(t, p)
	write(p)
	signs(p, before+3)
	note := string(p.must(t, 200, "GET", "/checkpoint", "", nil).body)
	size := checkpointSize(t, p)
	kept := filepath.Join(t.TempDir(), "kept")
	if err := os.WriteFile(kept, []byte(note), 0o600); err != nil {
		t.Fatal(err)
	}
	p.stop(t)
	v.kill()

	v.data = old // The disk of the vault is lost; its copy is older than what it signed.
	if err := os.WriteFile(filepath.Join(old, "register", "held"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	v.start()
	fresh := t.TempDir() // A node that remembers nothing: the vault alone keeps it from signing.
	q := startServer(t, fresh, "--store", at, "--vault", v.url, "--vault-token-file", v.token)
	write(q)
	for began := time.Now(); metric(t, q, "zujian_register_held") != 1; time.Sleep(50 * time.Millisecond) {
		if time.Since(began) > time.Minute {
			t.Fatalf("the node does not say that its vault is held\n%s", q.logs)
		}
	}
	if got := checkpointSize(t, q); got >= size {
		t.Errorf("held, it signed %d events, %d were signed before", got, size)
	}
	q.stop(t)
	v.kill()

	other := startStore(t, t.TempDir(), "--listen", "127.0.0.1:0", "--insecure")
	was := filesIn(t, old)
	for _, c := range []struct {
		name string
		code int
		args []string
	}{
		{"nothing said", exitUsage, []string{"--store", at}},
		{"without its log", exitUsage, []string{"--witnessed", kept}},
		{"by an empty log", exitFailed, []string{"--store", "esdb://" + other.at + "?tls=false", "--witnessed", kept}},
		{"by the witnessed checkpoint", 0, []string{"--store", at, "--witnessed", kept}},
		{"what is not held", exitFailed, []string{"--store", at, "--witnessed", kept}},
	} {
		if code := command(t, nil, append([]string{"resume", "--data", old}, c.args...)...); code != c.code {
			t.Errorf("resume, %s: exit %d, want %d", c.name, code, c.code)
		}
		if c.code != 0 {
			continue
		}
		delete(was, "register/held")
	}
	for name := range filesIn(t, old) {
		if !was[name] {
			t.Errorf("resume left %s in the vault's folder", name)
		}
	}

	v.start()
	p = node() // It knows what was signed last.
	events := write(p)
	signs(p, max(events, size+1))
	p.must(t, 200, "GET", "/readyz", "", nil)
	p.stop(t)
	if logs := p.logs.String(); strings.Contains(logs, "rolled back") {
		t.Errorf("%s", logs)
	}
}

// filesIn are the files below a folder.
func filesIn(t *testing.T, dir string) map[string]bool {
	t.Helper()
	out := map[string]bool{}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if rel, _ := filepath.Rel(dir, path); err == nil && !d.IsDir() {
			out[rel] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}
