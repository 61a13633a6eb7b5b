package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"zujian/cmd/zujian/internal/soak"
	"zujian/eventstore/seal"
)

// TestLostPartsAreNotMadeAnew removes whole parts of a folder that was in use. What was lost is named, and neither an empty
// register is served in place of the one there was, nor another tree signed under its keys.
func TestLostPartsAreNotMadeAnew(t *testing.T) {
	if testing.Short() {
		t.Skip("starts real processes")
	}
	bin, err := program()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ parts, says string }{
		{"register", ""},
		{"log register", "restore it"},
		{"log register views", "restore it"},
		{"keys", "keys are missing"},
		{"keys register", "keys are missing"},
		{"keys register views", "keys are missing"},
	} {
		t.Run(c.parts, func(t *testing.T) {
			t.Parallel()
			data, p, key := startRegister(t)
			register := func(n int) {
				t.Helper()
				p.must(t, 201, "POST", "/v1/parties", key, newPerson(n), "Idempotency-Key", fmt.Sprint("party-", n))
			}
			register(1)
			was := untilSigned(t, p, 4)
			p.stop(t)
			for part := range strings.FieldsSeq(c.parts) {
				if err := os.RemoveAll(filepath.Join(data, part)); err != nil {
					t.Fatal(err)
				}
			}
			if code := command(t, nil, "verify", "--data", data); code != exitFailed {
				t.Errorf("verify: exit %d", code)
			}
			if c.says != "" {
				s, err := soak.Start(bin, data)
				if err == nil {
					s.Kill()
					t.Fatal("a server started")
				}
				if !strings.Contains(err.Error(), c.says) {
					t.Errorf("it says %v", err)
				}
				return
			}
			p = startServer(t, data)
			register(2)
			if held := metric(t, p, "zujian_register_held"); held != 1 {
				t.Errorf("held: %v", held)
			}
			if size := checkpointSize(t, p); size != 0 {
				t.Errorf("%d events were signed anew", size)
			}
			p.stop(t)
			note := filepath.Join(t.TempDir(), "checkpoint")
			if err := os.WriteFile(note, []byte(was), 0o600); err != nil {
				t.Fatal(err)
			}
			if code := command(t, nil, "resume", "--data", data, "--witnessed", note); code != 0 {
				t.Fatalf("resume: exit %d", code)
			}
			p = startServer(t, data)
			register(3)
			var before uint64
			if _, err := fmt.Sscan(strings.Split(was, "\n")[1], &before); err != nil {
				t.Fatal(err)
			}
			untilSigned(t, p, before+4)
		})
	}
}

// putBack puts parts of an old copy in place of those in use.
func putBack(t *testing.T, data, old string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		to, from := filepath.Join(data, part), filepath.Join(old, part)
		if err := errors.Join(os.RemoveAll(to), os.CopyFS(to, os.DirFS(from))); err != nil {
			t.Fatal(err)
		}
	}
}

// TestOlderLogUnderNewerViews puts an old copy of log and register in place of those in use, as views and keys know: what the
// views show never was in that log, and another tree may not be signed once they are deleted.
func TestOlderLogUnderNewerViews(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a real process")
	}
	bin, err := program()
	if err != nil {
		t.Fatal(err)
	}
	data, p, key := startRegister(t)
	write := func(n int) { t.Helper(); p.must(t, 201, "POST", "/v1/parties", key, newPerson(n)) }
	write(1)
	untilSigned(t, p, 4)
	p.stop(t)
	old := copyOf(t, data)
	p = startServer(t, data)
	write(2)
	p.stop(t)
	if code := command(t, nil, "verify", "--data", data); code != 0 { // It brings the views to the log's end.
		t.Fatalf("verify: exit %d", code)
	}
	putBack(t, data, old, "log", "register")
	s, err := soak.Start(bin, data)
	if err == nil {
		s.Kill()
		t.Fatal("a server started")
	}
	if !strings.Contains(err.Error(), "delete the views") {
		t.Errorf("it says %v", err)
	}
	if err := os.RemoveAll(filepath.Join(data, "views")); err != nil {
		t.Fatal(err)
	}
	p = startServer(t, data)
	write(3)
	if held := metric(t, p, "zujian_register_held"); held != 1 {
		t.Errorf("held: %v", held)
	}
}

// TestOlderFolderUnderKeysInUse puts an old copy of everything but the keys in place: these know that more was signed.
func TestOlderFolderUnderKeysInUse(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a real process")
	}
	data, p, key := startRegister(t)
	write := func(n int) { t.Helper(); p.must(t, 201, "POST", "/v1/parties", key, newPerson(n)) }
	write(1)
	untilSigned(t, p, 4)
	size := checkpointSize(t, p)
	p.stop(t)
	old := copyOf(t, data)
	p = startServer(t, data)
	write(2)
	untilSigned(t, p, size+1)
	p.stop(t)
	putBack(t, data, old, "log", "register", "views")
	if code := command(t, nil, "verify", "--data", data); code != exitFailed {
		t.Errorf("verify: exit %d", code)
	}
	for range 2 { // It stays held.
		p = startServer(t, data)
		write(3)
		if held := metric(t, p, "zujian_register_held"); held != 1 {
			t.Errorf("held: %v", held)
		}
		if now := checkpointSize(t, p); now > size {
			t.Errorf("%d events were signed anew, %d were before", now, size)
		}
		p.stop(t)
	}
	if code := command(t, nil, "resume", "--data", data, "--roll-back"); code != 0 {
		t.Fatalf("resume: exit %d", code)
	}
	p = startServer(t, data)
	untilSigned(t, p, size+1)
	p.stop(t)
	if code := command(t, nil, "verify", "--data", data); code != 0 {
		t.Errorf("verify after resume: exit %d", code)
	}
}

// TestLostVault removes the keys of a vault that has served: no other keys are made in their place. Where nothing is left of
// the vault's folder new ones can't but be made: then no server takes them for those of the log.
func TestLostVault(t *testing.T) {
	if testing.Short() {
		t.Skip("starts real processes")
	}
	p := startParted(t)
	p.write()
	p.signs()
	stopServer(t, p.node)
	p.vault.kill()
	whole := copyOf(t, p.vault.data)
	lose := func(names ...string) {
		t.Helper()
		for _, name := range names {
			if err := os.RemoveAll(filepath.Join(p.vault.data, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	vault := []string{"vault", "--data", p.vault.data, "--listen", "127.0.0.1:0"}

	lose("keys")
	for _, left := range []string{"its register", "its token"} {
		if said := refused(t, vault...); !strings.Contains(said, "keys are missing") {
			t.Errorf("with %s left it says %s", left, said)
		}
		if _, err := os.Stat(filepath.Join(p.vault.data, "keys")); err == nil {
			t.Errorf("with %s left new keys were made", left)
		}
		lose("register")
	}
	lose("vault-token")
	p.vault.start()
	node := append([]string{"serve", "--data", t.TempDir(), "--addr", "127.0.0.1:0"}, p.args()...)
	if said := refused(t, node...); !strings.Contains(said, "the keys do not know") {
		t.Errorf("a node of new keys says %s", said)
	}
	p.vault.kill()

	other := t.TempDir() // Another register's keys in one folder, whose own register is lost, too.
	s := startServer(t, other)
	s.must(t, 201, "POST", "/v1/parties", readFirstKey(t, other), map[string]any{
		"kind": "PERSON", "name": "测试某", "doc_type": "CN_ID", "doc_no": testID(600), "phone": "13800000001",
	})
	s.stop(t)
	if err := os.RemoveAll(filepath.Join(other, "keys")); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(other, "register")); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(whole, "keys"), filepath.Join(other, "keys")); err != nil {
		t.Fatal(err)
	}
	if said := refused(t, "serve", "--data", other, "--addr", "127.0.0.1:0"); !strings.Contains(said, "the keys do not know") {
		t.Errorf("with another register's keys it says %s", said)
	}
}

// TestEmptyVaultToken: a token that a power loss or a full disk left empty is no token that everybody has.
func TestEmptyVaultToken(t *testing.T) {
	data := t.TempDir()
	v, err := seal.Open(data, seal.Options{Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(data, vaultTokenFile), []byte("\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var out, errs lockedBuffer
	if code := run(ctx, []string{"vault", "--data", data, "--listen", "127.0.0.1:0"}, &out, &errs); code != exitFailed || !strings.Contains(errs.String(), "holds no token") {
		t.Errorf("exit %d, said %s%s", code, out.String(), errs.String())
	}
}
