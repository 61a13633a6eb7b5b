package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// closedFolder is a data folder of every kind of file, made by a real server that was told to stop.
func closedFolder(t *testing.T) string {
	t.Helper()
	data, p, key := startRegister(t)
	for n := range 3 {
		id := p.must(t, 201, "POST", "/v1/parties", key, map[string]any{
			"kind": "PERSON", "name": "测试人", "doc_type": "CN_ID", "doc_no": testID(n + 1), "phone": "13800000000",
		}, "Idempotency-Key", fmt.Sprint("party-", n)).field(t, "id")
		if n == 0 {
			p.forget(t, key, id)
		}
	}
	p.must(t, 201, "POST", "/v1/buildings", key, map[string]any{
		"estate": "试验苑", "building_no": "1", "street": "320115004", "address": "示例路 9 号", "units": []any{
			map[string]any{"unit_no": "101", "floor": 1, "gross_area_c": 8912, "bedrooms": 2, "planned_use": "RESIDENTIAL", "rooms": []any{}},
		},
	})
	list := filepath.Join(data, "keys", "erased")
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		if lines, err := os.ReadFile(list); err == nil && bytes.Count(lines, []byte("\n")) > 1 { // The first says whose it is.
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("nobody was erased")
		}
	}
	p.stop(t)
	return data
}

// verified runs `zujian verify` and tells what it said.
func verified(t *testing.T, data string) (code int, res verifyResult, said string) {
	t.Helper()
	var out, errs lockedBuffer
	code = run(t.Context(), []string{"verify", "--data", data, "--json"}, &out, &errs)
	if err := json.Unmarshal([]byte(out.String()), &res); err != nil {
		t.Fatalf("verify printed no JSON: %v\n%s\n%s", err, out.String(), errs.String())
	}
	return code, res, errs.String()
}

// TestDamageIsNamed flips, cuts and removes every file of a data folder, and puts another register's in its place, one at a time. Either the folder is refused,
// and the message says what is wrong, or it serves exactly what it served before: because nothing of the kind was there,
// or because it was made again from the log.
func TestDamageIsNamed(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a real process")
	}
	data, other := closedFolder(t), closedFolder(t)
	code, whole, said := verified(t, data)
	if code != 0 || whole.Events == 0 {
		t.Fatalf("unharmed: exit %d\n%s", code, said)
	}
	var files []string
	err := filepath.WalkDir(data, func(path string, d fs.DirEntry, err error) error {
		if name, _ := filepath.Rel(data, path); err == nil && !d.IsDir() && filepath.Base(name) != "ballast" {
			files = append(files, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 4))
	refused, harmless := 0, 0
	for _, name := range files {
		raw, err := os.ReadFile(filepath.Join(data, name))
		if err != nil {
			t.Fatal(err)
		}
		used := len(strings.TrimRight(string(raw), "\x00"))
		damages := map[string]func() []byte{"missing": nil}
		if used > 0 {
			damages["cut short"] = func() []byte { return raw[:used/2] }
			for i, off := range []int{rng.IntN(used), rng.IntN(used), used - 1} {
				damages[fmt.Sprintf("byte %d flipped (%d)", off, i)] = func() []byte {
					b := append([]byte(nil), raw...)
					b[off] ^= 1 << (off % 8)
					return b
				}
			}
		}
		if foreign, err := os.ReadFile(filepath.Join(other, name)); err == nil && !bytes.Equal(foreign, raw) {
			damages["another register's"] = func() []byte { return foreign }
		}
		for what, damaged := range damages {
			dir := t.TempDir()
			if err := os.CopyFS(dir, os.DirFS(data)); err != nil {
				t.Fatal(err)
			}
			chmodAsBefore(t, data, dir)
			path := filepath.Join(dir, name)
			if damaged == nil {
				err = os.Remove(path)
			} else {
				err = os.WriteFile(path, damaged(), 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
			code, res, said := verified(t, dir)
			switch {
			case code == exitFailed && res.Error != "":
				refused++
			case code != 0:
				t.Errorf("%s %s: exit %d\n%s", name, what, code, said)
			case res.Events != whole.Events || res.Head != whole.Head || fmt.Sprint(res.Views) != fmt.Sprint(whole.Views):
				t.Errorf("%s %s: %d events up to %d were verified, not %d up to %d\n%s", name, what, res.Events, res.Head, whole.Events, whole.Head, said)
			default:
				harmless++
				key := strings.HasPrefix(name, "keys/") && !strings.HasSuffix(name, "lock") && what != "missing"
				if what == "another register's" && name == "keys/place" {
					key = false // It says that this is a copy.
				}
				if key || strings.HasSuffix(name, ".seg") {
					t.Errorf("%s %s: nothing was noticed", name, what)
				}
			}
			if err := os.RemoveAll(dir); err != nil {
				t.Fatal(err)
			}
		}
	}
	t.Logf("%d files, %d damages refused, %d without effect", len(files), refused, harmless)
}

// chmodAsBefore gives the copies the modes of the originals: keys refuse to lie open.
func chmodAsBefore(t *testing.T, from, to string) {
	t.Helper()
	err := filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(from, path)
		return os.Chmod(filepath.Join(to, name), info.Mode().Perm())
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestSecondProcessIsRefused runs every command that opens a data folder while a server has it.
func TestSecondProcessIsRefused(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a real process")
	}
	data, p, key := startRegister(t)
	table := filepath.Join(t.TempDir(), "rows.csv")
	if err := os.WriteFile(table, []byte("a,b\n1,2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"serve", "--addr", "127.0.0.1:0"},
		{"serve", "--addr", "127.0.0.1:0", "--demo"},
		{"store"},
		{"vault"},
		{"verify"},
		{"verify", "--log-only"},
		{"keys", "issue", "--role", "auditor"},
		{"keys", "list"},
		{"keys", "revoke", "x"},
		{"export", "contracts", "--out", filepath.Join(t.TempDir(), "out.csv")},
		{"import", "contracts", "--map", "nsw", table},
	} {
		var out, errs lockedBuffer
		code := run(t.Context(), append(args, "--data", data), &out, &errs)
		if code == 0 || !strings.Contains(errs.String(), "in use") {
			t.Errorf("%v: exit %d, said\n%s%s", args, code, out.String(), errs.String())
		}
	}
	p.must(t, 200, "GET", "/v1/rules", key, nil) // And the first goes on.
	if p.Ended() {
		t.Error("the first process ended")
	}
}
