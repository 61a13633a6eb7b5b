package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	notes "golang.org/x/mod/sumdb/note"

	"zujian/cmd/zujian/internal/soak"
)

// TestOutsidersVerifyTheRegister runs a register with three witnesses as real processes, and lets strangers check it: a
// script of the specifications alone, and the fsck of another project. Each finds a changed byte.
func TestOutsidersVerifyTheRegister(t *testing.T) {
	if testing.Short() {
		t.Skip("starts real processes")
	}
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	// The key is known once the register was served; witnesses are told of it.
	p := startServer(t, data, "--demo", "--homes", "900", "--months", "12")
	key := registerKey(t, p)
	p.kill()
	args := []string{"--demo"}
	for _, name := range []string{"bureau", "bank", "notary"} {
		args = append(args, "--witness", startWitness(t, filepath.Join(dir, name), "example.com/"+name, key))
	}
	p = startServer(t, data, args...)
	var proofs struct {
		Confirmed *struct{ Size int64 } `json:"confirmed"`
		Quorum    int
	}
	for deadline := time.Now().Add(time.Minute); proofs.Confirmed == nil || proofs.Confirmed.Size == 0; time.Sleep(100 * time.Millisecond) {
		if err := json.Unmarshal(p.must(t, 200, "GET", "/v1/proofs/checkpoint", "", nil).body, &proofs); err != nil {
			t.Fatal(err)
		}
		if time.Now().After(deadline) {
			t.Fatal("no checkpoint was confirmed by the witnesses")
		}
	}
	if proofs.Quorum != 2 {
		t.Errorf("%d witnesses confirm, want 2 of 3", proofs.Quorum)
	}
	note := ""
	for deadline := time.Now().Add(time.Minute); strings.Count(note, "\n— ") < 4 && time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		note = string(p.must(t, 200, "GET", "/checkpoint", "", nil).body) // They come after the signature.
	}
	if strings.Count(note, "\n— ") < 4 {
		t.Errorf("the checkpoint has no cosignatures:\n%s", note)
	}

	keyFile := filepath.Join(dir, "key")
	if err := os.WriteFile(keyFile, []byte(key), 0o600); err != nil {
		t.Fatal(err)
	}
	fsck := func() string { // It hangs on some damage, and says OK by its words alone.
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		out, _ := exec.CommandContext(ctx, "go", "tool", "-modfile=../../deploy/fsck.mod", "fsck", "-ui=false", "-logtostderr",
			"-storage_url="+p.base, "-public_key="+keyFile).CombinedOutput()
		return string(out)
	}
	if out := fsck(); !strings.Contains(out, "Successfully fsck'd log with size") {
		t.Errorf("fsck: %s", out)
	}
	if size := checkpointSize(t, p); size < 18_000 {
		t.Errorf("a city of %d events: too small to say much", size)
	}
	var keys struct{ City struct{ Key string } }
	raw, err := os.ReadFile(filepath.Join(data, demoKeysFile))
	if err = errors.Join(err, json.Unmarshal(raw, &keys)); err != nil {
		t.Fatal(err)
	}
	slowListeners(t, p, keys.City.Key)

	script := func(what string) (string, error) {
		out, err := exec.CommandContext(t.Context(), "python3", "../../deploy/verify.py", key, what).CombinedOutput()
		return string(out), err
	}
	if out, err := script(p.base); err != nil || !strings.HasPrefix(out, "VALID: ") {
		t.Errorf("the register: %v %s", err, out)
	}
	receipt := filepath.Join(dir, "receipt.json")
	proof := p.must(t, 200, "GET", "/v1/proofs/inclusion?ordinal=77", "", nil).body
	for _, c := range []struct {
		name  string
		body  []byte
		valid bool
	}{
		{"as it was given", proof, true},
		{"another place", bytes.Replace(proof, []byte(`"leaf_index":77`), []byte(`"leaf_index":78`), 1), false},
		{"another leaf", regexp.MustCompile(`"leaf":"AQ.`).ReplaceAll(proof, []byte(`"leaf":"AQB`)), false},
		{"another register's checkpoint", bytes.Replace(proof, []byte("localhost/zujian\\n"), []byte("localhost/zujiam\\n"), 1), false},
	} {
		if err := os.WriteFile(receipt, c.body, 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := script(receipt); (err == nil) != c.valid {
			t.Errorf("%s: %v %s", c.name, err, out)
		}
	}
	if err := os.WriteFile(receipt, []byte(`{"filing_no":"BA1","receipt":{"leaf":"AQ==","leaf_index":1,"origin":"localhost/zujian","position":1}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := script(receipt); err == nil || !strings.HasPrefix(out, "NOT VALID: the receipt has no proof yet") {
		t.Errorf("a receipt of this moment: %v %s", err, out)
	}

	var filed struct {
		Items []struct {
			ID       string `json:"id"`
			FilingNo string `json:"filing_no"`
		}
	}
	if err := json.Unmarshal(p.must(t, 200, "GET", "/v1/views/housing/contracts?state=FILED&limit=1", keys.City.Key, nil).body, &filed); err != nil || len(filed.Items) != 1 {
		t.Fatalf("%v, %+v", err, filed)
	}
	certificate := p.must(t, 200, "GET", "/v1/contracts/"+filed.Items[0].ID+"/certificate", keys.City.Key, nil).body
	for _, c := range []struct {
		field, is, says string
	}{
		{"", "", "VALID: "},
		{"monthly_rent_fen", "1", "NOT VALID: the certificate was changed"},
		{"end", `"2099-12-31"`, "NOT VALID: the certificate was changed"},
		{"certificate_hash", "null", "VALID: "},
		{"unit_id", `"another"`, "NOT VALID: the certificate was changed"},
		{"lessees", `[]`, "NOT VALID: the certificate was changed"},
	} {
		said := map[string]json.RawMessage{}
		err := json.Unmarshal(certificate, &said)
		if c.field != "" {
			said[c.field] = json.RawMessage(c.is)
		}
		raw, err2 := json.Marshal(said)
		if err := errors.Join(err, err2, os.WriteFile(receipt, raw, 0o600)); err != nil {
			t.Fatal(err)
		}
		out, _ := script(receipt)
		if !strings.HasPrefix(out, c.says) || c.field == "" && !strings.Contains(out, "/v1/verify/filings/"+filed.Items[0].FilingNo) ||
			c.field == "certificate_hash" && !strings.Contains(out, "Nothing else in it was checked") {
			t.Errorf("a certificate with another %s: %s", c.field, out)
		}
	}

	// One bit of one leaf: both find it, and so does the register's own command.
	p.kill()
	keyless := []string{"verify", "--log-only", "--data", data, "--without-keys", "--register-key"}
	if code := command(t, nil, append(keyless, key)...); code != 0 {
		t.Errorf("verify without the keys: exit %d", code)
	}
	_, stranger, err := notes.GenerateKey(rand.Reader, "localhost/zujian")
	if err != nil {
		t.Fatal(err)
	}
	if code := command(t, nil, append(keyless, stranger)...); code != exitFailed {
		t.Errorf("verify with another's key: exit %d", code)
	}
	leaves := filepath.Join(data, "register", "leaves")
	if raw, err = os.ReadFile(leaves); err != nil {
		t.Fatal(err)
	}
	raw[len(raw)/2] ^= 1
	if err := os.WriteFile(leaves, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"verify", "--log-only", "--data", data}, append(keyless, key)} {
		if code := command(t, nil, args...); code != exitFailed {
			t.Errorf("%v of a changed leaf: exit %d", args, code)
		}
	}
	bin, err := program()
	if err != nil {
		t.Fatal(err)
	}
	if s, err := soak.Start(bin, data, args...); err == nil {
		s.Kill()
		t.Error("a server started over a changed leaf")
	} else if !strings.Contains(err.Error(), "is not the one that was signed as leaf") {
		t.Errorf("a changed leaf at the start: %v", err)
	}
	raw[len(raw)/2] ^= 1
	if err := os.WriteFile(leaves, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	p = startServer(t, data, args...)
	raw[len(raw)/2] ^= 1
	if err := os.WriteFile(leaves, raw, 0o600); err != nil { // Under the server's feet.
		t.Fatal(err)
	}
	if out, err := script(p.base); err == nil {
		t.Errorf("a changed leaf: %s", out)
	}
}

func registerKey(t *testing.T, p *serverProcess) string {
	t.Helper()
	var proofs struct {
		Keys struct{ Ed25519 string }
	}
	if err := json.Unmarshal(p.must(t, 200, "GET", "/v1/proofs/checkpoint", "", nil).body, &proofs); err != nil {
		t.Fatal(err)
	}
	return proofs.Keys.Ed25519
}

// startWitness runs a witness and gives what serve is told of it.
func startWitness(t *testing.T, state, name, key string) string {
	t.Helper()
	bin, err := program()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(bin, "witness", "--state", state, "--name", name, "--log", key, "--addr", "127.0.0.1:0")
	var out lockedBuffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // Killed: its error is the point.
	})
	found := regexp.MustCompile(`--witness '([^']+)'`)
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if m := found.FindStringSubmatch(out.String()); m != nil {
			return m[1]
		}
	}
	t.Fatalf("the witness did not start:\n%s", out.String())
	return ""
}
