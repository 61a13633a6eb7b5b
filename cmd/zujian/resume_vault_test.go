package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"zujian/eventstore/seal"
)

// parted is a register in parts: its log in a store, its keys in a vault, and a node; each part may be put in the place of
// another.
type parted struct {
	t      *testing.T
	logIn  string // Folder of the store,
	store  *storeProcess
	vault  *vaultProcess
	data   string // and of the node.
	node   *serverProcess
	city   string
	people int
}

func startParted(t *testing.T) *parted {
	p := &parted{t: t, logIn: t.TempDir()}
	p.store = startStore(t, p.logIn, "--listen", "127.0.0.1:0", "--insecure")
	p.vault = &vaultProcess{t: t, data: t.TempDir(), listen: "127.0.0.1:0"}
	p.vault.start()
	p.start(t.TempDir())
	p.city = readFirstKey(t, p.data)
	return p
}

func (p *parted) log() string { return "esdb://" + p.store.at + "?tls=false" }

func (p *parted) args() []string {
	return []string{"--store", p.log(), "--vault", p.vault.url, "--vault-token-file", p.vault.token}
}

func (p *parted) start(data string) {
	p.t.Helper()
	p.data, p.node = data, startServer(p.t, data, p.args()...)
}

func (p *parted) write() (id string) {
	p.t.Helper()
	for range 3 {
		p.people++
		id = p.node.must(p.t, 201, "POST", "/v1/parties", p.city, map[string]any{
			"kind": "PERSON", "name": "测试某", "doc_type": "CN_ID", "doc_no": testID(600 + p.people), "phone": "13800000001",
		}).field(p.t, "id")
	}
	return id
}

// signs waits for a checkpoint of what is in the log, keeps it in a file, and gives its size.
func (p *parted) signs() (size uint64, kept string) {
	p.t.Helper()
	events := metric(p.t, p.node, "zujian_register_added_events")
	for began := time.Now(); metric(p.t, p.node, "zujian_register_signed_events") < events; time.Sleep(50 * time.Millisecond) {
		if time.Since(began) > time.Minute {
			p.t.Fatalf("no checkpoint of %v events\n%s", events, p.node.logs)
		}
	}
	note := string(p.node.must(p.t, 200, "GET", "/checkpoint", "", nil).body)
	kept = filepath.Join(p.t.TempDir(), "kept")
	if err := os.WriteFile(kept, []byte(note), 0o600); err != nil {
		p.t.Fatal(err)
	}
	return checkpointSize(p.t, p.node), kept
}

// erasedIn tells whether the key folder of a data folder that is not in use has forgotten a person.
func erasedIn(t *testing.T, data, id string) bool {
	t.Helper()
	v, err := seal.Open(data, seal.Options{Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	return v.Erased(id)
}

// holds waits until the node says that its vault signs nothing new.
func (p *parted) holds() {
	p.t.Helper()
	for began := time.Now(); metric(p.t, p.node, "zujian_register_held") != 1; time.Sleep(50 * time.Millisecond) {
		if time.Since(began) > time.Minute {
			p.t.Fatalf("the node does not say that its vault is held\n%s", p.node.logs)
		}
	}
}

// refused runs a command of the program that is to end by itself, and gives what it said.
func refused(t *testing.T, args ...string) string {
	t.Helper()
	bin, err := program()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, bin, args...).CombinedOutput()
	if err == nil || ctx.Err() != nil {
		t.Errorf("%v was not refused: %v\n%s", args, err, out)
	}
	return string(out)
}

// copyOf copies a folder file by file, as an operator would.
func copyOf(t *testing.T, dir string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "copy")
	if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	chmodAsBefore(t, dir, to)
	return to
}

func (p *parted) commands(cases []commandCase) {
	p.t.Helper()
	for _, c := range cases {
		if code := command(p.t, nil, c.args...); code != c.code {
			p.t.Errorf("%s: exit %d, want %d", c.name, code, c.code)
		}
	}
}

type commandCase struct {
	name string
	code int
	args []string
}

// TestVaultOfABackup restores the keys of a vault from a backup that is older than an erasure and than what was signed
// since: nobody is known again, nothing is signed until it is told what was signed last, then it goes on from exactly
// that, and the node that knows it does, too. A folder copied file by file is refused until the same was said.
func TestVaultOfABackup(t *testing.T) {
	if testing.Short() {
		t.Skip("starts and kills real processes")
	}
	p := startParted(t)
	guest := p.write()
	before, _ := p.signs()
	dir := t.TempDir()
	backup := filepath.Join(dir, "backup")
	p.commands([]commandCase{
		{"a vault's folder as a whole one", exitFailed, []string{"backup", "--data", p.vault.data, "--to", filepath.Join(dir, "whole")}},
		{"a vault's folder since another", exitUsage, []string{"backup", "--only", "keys", "--data", p.vault.data, "--to", backup, "--since", dir}},
		{"a vault's folder", 0, []string{"backup", "--only", "keys", "--data", p.vault.data, "--to", backup}},
	})
	p.vault.kill()
	copied := copyOf(t, p.vault.data)
	p.vault.start()
	p.node.forget(t, p.city, guest)
	p.write()
	size, kept := p.signs()
	data := p.data
	p.node.stop(t)
	p.vault.kill()

	restored := filepath.Join(t.TempDir(), "vault")
	p.commands([]commandCase{{"keys without their log", exitUsage, []string{"restore", "--from", backup, "--data", restored}}})
	var res restoreResult
	if code := command(t, &res, "restore", "--from", backup, "--data", restored, "--store", p.log()); code != 0 || !res.Held || res.Erased != 1 || res.Signed != before {
		t.Fatalf("exit %d %+v", code, res)
	}
	if !erasedIn(t, restored, guest) {
		t.Error("the restored vault knows an erased person again")
	}
	p.vault.data = restored
	p.vault.start()
	p.start(t.TempDir()) // A node that remembers nothing: the vault alone keeps it from signing.
	p.write()
	p.holds()
	if got := checkpointSize(t, p.node); got >= size {
		t.Errorf("held, it signed %d events, %d were signed before", got, size)
	}
	p.node.stop(t)
	p.vault.kill()

	other := startStore(t, t.TempDir(), "--listen", "127.0.0.1:0", "--insecure")
	was := filesIn(t, restored)
	p.commands([]commandCase{
		{"nothing said", exitUsage, []string{"resume", "--data", restored, "--store", p.log()}},
		{"without its log", exitUsage, []string{"resume", "--data", restored, "--witnessed", kept}},
		{"by an empty log", exitFailed, []string{"resume", "--data", restored, "--store", "esdb://" + other.at + "?tls=false", "--witnessed", kept}},
		{"by the witnessed checkpoint", 0, []string{"resume", "--data", restored, "--store", p.log(), "--witnessed", kept}},
		{"what is not held", exitFailed, []string{"resume", "--data", restored, "--store", p.log(), "--witnessed", kept}},
	})
	for name := range filesIn(t, restored) {
		if !was[name] {
			t.Errorf("resume left %s in the vault's folder", name)
		}
	}
	p.vault.start()
	p.start(data) // It knows what was signed last.
	p.write()
	got, last := p.signs()
	if got <= size {
		t.Errorf("resumed, it signed %d events, %d were signed before", got, size)
	}
	p.node.must(t, 200, "GET", "/readyz", "", nil)
	p.node.stop(t)
	p.vault.kill()
	if logs := p.node.logs.String(); strings.Contains(logs, "rolled back") {
		t.Errorf("%s", logs)
	}

	for range 2 { // Also when it was tried before.
		if said := refused(t, "vault", "--data", copied, "--listen", "127.0.0.1:0"); !strings.Contains(said, "zujian resume --store") {
			t.Errorf("a copied folder: does not name the command\n%s", said)
		}
	}
	p.commands([]commandCase{{"a copied folder", 0, []string{"resume", "--data", copied, "--store", p.log(), "--witnessed", last}}})
	if !erasedIn(t, copied, guest) {
		t.Error("the copied vault knows an erased person again")
	}
	p.vault.data = copied
	p.vault.start()
	p.start(data)
	p.write()
	p.signs()
}

// TestLogOfAnOlderBackup restores the log of a store from a backup that is older than what the vault has signed: no node
// starts on it, and no vault is restored beside it, until told to roll back; then all goes on from there.
func TestLogOfAnOlderBackup(t *testing.T) {
	if testing.Short() {
		t.Skip("starts and kills real processes")
	}
	p := startParted(t)
	dir := t.TempDir()
	p.write()
	backup, keys := filepath.Join(dir, "log"), filepath.Join(dir, "keys")
	p.commands([]commandCase{
		{"a store's folder as a whole one", exitFailed, []string{"backup", "--data", p.logIn, "--to", filepath.Join(dir, "whole")}},
		{"a store's folder", 0, []string{"backup", "--only", "log", "--data", p.logIn, "--to", backup}},
		{"a store's folder again", 0, []string{"backup", "--only", "log", "--data", p.logIn, "--to", filepath.Join(dir, "more"), "--since", backup}},
	})
	p.write()
	size, _ := p.signs()
	p.commands([]commandCase{{"keys later than the log", 0, []string{"backup", "--only", "keys", "--data", p.vault.data, "--to", keys}}})
	p.node.stop(t)
	p.store.stop(t)

	restored := filepath.Join(dir, "restored")
	var res restoreResult
	if code := command(t, &res, "restore", "--from", backup, "--data", restored); code != 0 || res.Events == 0 || res.Events >= size {
		t.Fatalf("exit %d %+v", code, res)
	}
	p.store = startStore(t, restored, "--listen", "127.0.0.1:0", "--insecure")
	for what, data := range map[string]string{"a node that remembers": p.data, "a node that remembers nothing": t.TempDir()} {
		if said := refused(t, append([]string{"serve", "--addr", "127.0.0.1:0", "--data", data}, p.args()...)...); !strings.Contains(said, "zujian resume --roll-back") {
			t.Errorf("%s: does not name the command\n%s", what, said)
		}
	}
	p.vault.kill()
	vault := filepath.Join(dir, "vault")
	p.commands([]commandCase{
		{"a vault that signed more", exitFailed, []string{"restore", "--from", keys, "--data", vault, "--store", p.log()}},
		{"told to roll back", 0, []string{"restore", "--from", keys, "--data", vault, "--store", p.log(), "--roll-back"}},
		{"the vault in use", exitUsage, []string{"resume", "--data", p.vault.data, "--store", p.log()}},
		{"the vault in use, told to roll back", 0, []string{"resume", "--data", p.vault.data, "--store", p.log(), "--roll-back"}},
	})
	for _, v := range []string{p.vault.data, vault} {
		p.vault.data = v
		p.vault.start()
		p.start(t.TempDir())
		p.write()
		p.signs()
		p.node.stop(t)
		p.vault.kill()
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
