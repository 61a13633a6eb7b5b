package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"zujian/eventstore/folder"
)

// command runs one command of the program and returns its JSON answer and exit code.
func command(t *testing.T, into any, args ...string) int {
	t.Helper()
	var out, errs lockedBuffer
	code := run(t.Context(), append(args, "--json"), &out, &errs)
	if code == 0 && into != nil {
		if err := json.Unmarshal([]byte(out.String()), into); err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out.String())
		}
	}
	if code != 0 {
		t.Logf("%v: exit %d: %s", args, code, errs.String())
	}
	return code
}

// TestBackupWhileServing backs a serving process up under a load of filings, whole and then what came since, and
// restores each: what was acknowledged before a backup began is in it, whom a later erasure forgot stays forgotten, and
// everything verifies.
func TestBackupWhileServing(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a real process")
	}
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	p := startServer(t, data)
	w := prepare(t, p, data)
	guest := p.must(t, 201, "POST", "/v1/parties", w.city, map[string]any{
		"kind": "PERSON", "name": "测试某", "doc_type": "CN_ID", "doc_no": testID(800), "phone": "13800000001",
	}).field(t, "id")
	var next, acked atomic.Int64
	ctx, stop := context.WithCancel(t.Context())
	var load sync.WaitGroup
	for range 4 {
		load.Go(func() {
			for ctx.Err() == nil {
				if _, ok := w.file(ctx, p.base, int(next.Add(1))-1); ok {
					acked.Add(1)
				}
			}
		})
	}
	wait := func(n int64) {
		for deadline := time.Now().Add(2 * time.Minute); acked.Load() < n && time.Now().Before(deadline); {
			time.Sleep(5 * time.Millisecond)
		}
	}
	wait(10)
	earlier := filepath.Join(dir, "earlier")
	if err := os.WriteFile(earlier, p.must(t, 200, "GET", "/checkpoint", "", nil).body, 0o600); err != nil {
		t.Fatal(err)
	}
	var before [2]int64
	backups := [2]string{filepath.Join(dir, "first"), filepath.Join(dir, "second")}
	for i, to := range backups {
		wait(int64(i+1) * 20)
		before[i] = acked.Load()
		args := []string{"backup", "--data", data, "--to", to}
		if i > 0 {
			args = append(args, "--since", backups[i-1])
		}
		if code := command(t, nil, args...); code != 0 {
			t.Fatalf("backup %d: exit %d", i, code)
		}
	}
	// Forgotten after both backups.
	p.forget(t, w.city, guest)
	stop()
	load.Wait()
	note := filepath.Join(dir, "checkpoint")
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		body := p.must(t, 200, "GET", "/checkpoint", "", nil).body
		if err := os.WriteFile(note, body, 0o600); err != nil {
			t.Fatal(err)
		}
		var made backupContents
		raw, err := os.ReadFile(filepath.Join(backups[1], backupFile))
		if err = errors.Join(err, json.Unmarshal(raw, &made)); err != nil {
			t.Fatal(err)
		}
		var size uint64
		if _, err := fmt.Sscan(strings.Split(string(body), "\n")[1], &size); err == nil && size > made.Log.Events {
			break
		}
	}
	p.kill()
	behind := []string{"restore", "--data", filepath.Join(dir, "behind"), "--from", backups[1], "--witnessed", note}
	if code := command(t, nil, behind...); code != exitFailed {
		t.Errorf("a backup behind a witnessed checkpoint was restored: exit %d", code)
	}
	if code := command(t, nil, append(behind, "--roll-back")...); code != 0 {
		t.Errorf("told to roll back: exit %d", code)
	}

	forged := filepath.Join(dir, "forged") // Of another log.
	raw, err := os.ReadFile(earlier)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(raw), "\n")
	lines[2] = "AAAA" + lines[2][4:]
	if err := os.WriteFile(forged, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	if code := command(t, nil, "restore", "--data", filepath.Join(dir, "forked"), "--from", backups[0], "--witnessed", forged, "--roll-back"); code != exitFailed {
		t.Errorf("a log that is not the witnessed one was restored: exit %d", code)
	}

	for i, from := range backups {
		to := filepath.Join(dir, "restored"+string(rune('1'+i)))
		var res restoreResult
		if code := command(t, &res, "restore", "--data", to, "--from", from, "--erased", filepath.Join(data, "keys", "erased"), "--witnessed", earlier, "--roll-back"); code != 0 {
			t.Fatalf("restore %d: exit %d", i, code)
		}
		if res.Tombstones != 1 {
			t.Errorf("restore %d took %d erasures from the newer list, not 1", i, res.Tombstones)
		}
		if code := command(t, nil, "verify", "--data", to); code != 0 {
			t.Errorf("restored folder %d does not verify", i)
		}
		r := startServer(t, to)
		contracts := 0
		for cursor := "/v1/views/housing/contracts?limit=200"; cursor != ""; {
			a := r.must(t, 200, "GET", cursor, w.city, nil)
			var page struct {
				Items      []json.RawMessage `json:"items"`
				NextCursor string            `json:"next_cursor"`
			}
			if err := json.Unmarshal(a.body, &page); err != nil {
				t.Fatal(err)
			}
			contracts += len(page.Items)
			if cursor = ""; page.NextCursor != "" {
				cursor = "/v1/views/housing/contracts?limit=200&cursor=" + page.NextCursor
			}
		}
		if int64(contracts) < before[i] {
			t.Errorf("restored folder %d has %d filed contracts, %d were acknowledged before", i, contracts, before[i])
		}
		if got := r.must(t, 200, "GET", "/v1/parties/"+w.tenants[0], w.city, nil).field(t, "name"); got == "" {
			t.Error("a person of the restored folder can't be read")
		}
		if got := topText(r.must(t, 200, "GET", "/v1/parties/"+guest, w.city, nil).body, "name"); got != "" {
			t.Errorf("the restored folder knows an erased person again: %q", got)
		}
		r.kill()
	}
}

// TestRestoreErasesAgain restores old keys beside a newer log: the log's own erasures are carried out first.
func TestRestoreErasesAgain(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a real process")
	}
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	p := startServer(t, data)
	city := readFirstKey(t, data)
	guest := p.must(t, 201, "POST", "/v1/parties", city, map[string]any{
		"kind": "PERSON", "name": "测试某", "doc_type": "CN_ID", "doc_no": testID(801), "phone": "13800000001",
	}).field(t, "id")
	old, late := filepath.Join(dir, "old"), filepath.Join(dir, "late")
	if code := command(t, nil, "backup", "--data", data, "--to", old); code != 0 {
		t.Fatalf("exit %d", code)
	}
	p.forget(t, city, guest)
	if code := command(t, nil, "backup", "--data", data, "--to", late, "--keys-to", filepath.Join(dir, "apart")); code != 0 {
		t.Fatalf("exit %d", code)
	}
	p.kill()
	to := filepath.Join(dir, "restored")
	if code := command(t, nil, "restore", "--data", to, "--from", late); code != 1 {
		t.Errorf("restore without keys: exit %d", code)
	}
	var res restoreResult
	if code := command(t, &res, "restore", "--data", to, "--from", late, "--keys-from", filepath.Join(old, "keys")); code != 0 || res.Erased != 1 {
		t.Errorf("exit %d, %d erased by the log", code, res.Erased)
	}
}

func TestBackupRefusals(t *testing.T) {
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	if code := command(t, nil, "keys", "issue", "--role", "city", "--data", data); code != 0 {
		t.Fatalf("exit %d", code)
	}
	good := filepath.Join(dir, "good")
	for _, c := range []struct {
		name string
		code int
		args []string
	}{
		{"a first backup", 0, []string{"backup", "--data", data, "--to", good}},
		{"over an existing folder", exitUsage, []string{"backup", "--data", data, "--to", good}},
		{"its keys among another's", exitUsage, []string{"backup", "--data", data, "--to", filepath.Join(dir, "b3"), "--keys-to", filepath.Join(good, "keys")}},
		{"of no folder", exitFailed, []string{"backup", "--data", filepath.Join(dir, "none"), "--to", filepath.Join(dir, "b1")}},
		{"since what is no backup", exitFailed, []string{"backup", "--data", data, "--to", filepath.Join(dir, "b2"), "--since", data}},
		{"restore over a folder in use", exitUsage, []string{"restore", "--data", data, "--from", good}},
		{"restore what is no backup", exitFailed, []string{"restore", "--data", filepath.Join(dir, "r1"), "--from", data}},
		{"a second backup", 0, []string{"backup", "--data", data, "--to", filepath.Join(dir, "r3.restoring")}},
		{"restore from where it is made", exitUsage, []string{"restore", "--data", filepath.Join(dir, "r3"), "--from", filepath.Join(dir, "r3.restoring")}},
		{"keys of there", exitUsage, []string{"restore", "--data", filepath.Join(dir, "r3"), "--from", good, "--keys-from", filepath.Join(dir, "r3.restoring", "keys")}},
		{"which is whole", 0, []string{"restore", "--data", filepath.Join(dir, "r4"), "--from", filepath.Join(dir, "r3.restoring"), "--roll-back"}},
	} {
		if code := command(t, nil, c.args...); code != c.code {
			t.Errorf("%s: exit %d, want %d", c.name, code, c.code)
		}
	}
	other, err := folder.Lock(folder.Real(), filepath.Join(dir, "r5.restoring.lock"))
	if err != nil {
		t.Fatal(err)
	}
	half := filepath.Join(dir, "r5.restoring", "log") // Of another restore, under way.
	if err := os.MkdirAll(half, 0o750); err != nil {
		t.Fatal(err)
	}
	if code := command(t, nil, "restore", "--data", filepath.Join(dir, "r5"), "--from", good, "--roll-back"); code != exitFailed {
		t.Errorf("beside another restore: exit %d", code)
	}
	if _, err := os.Stat(half); err != nil {
		t.Errorf("what another restore has made is gone: %v", err)
	}
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	if code := command(t, nil, "restore", "--data", filepath.Join(dir, "r5"), "--from", good, "--roll-back"); code != 0 {
		t.Errorf("after one that was killed: exit %d", code)
	}
	if left, err := filepath.Glob(filepath.Join(dir, "*.lock")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "b3")); err == nil {
		t.Error("a backup whose keys have no place was begun")
	}
	segments, err := filepath.Glob(filepath.Join(good, "log", "*.seg"))
	if err != nil || len(segments) == 0 {
		t.Fatalf("%v %v", segments, err)
	}
	raw, err := os.ReadFile(segments[0])
	if err != nil {
		t.Fatal(err)
	}
	raw[len(raw)/2] ^= 4
	if err := os.WriteFile(segments[0], raw, 0o600); err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(dir, "r2")
	if code := command(t, nil, "restore", "--data", to, "--from", good); code != exitFailed {
		t.Errorf("a damaged backup was restored: exit %d", code)
	}
	if _, err := os.Stat(to); err == nil {
		t.Error("a failed restore left a folder behind")
	}
}

// TestRestoreRefusesDamagedKeys: keys that were cut or lost in their backup are whole as far as they go, so the backup says
// what it holds. Nothing is restored of less.
func TestRestoreRefusesDamagedKeys(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a real process")
	}
	data, dir := closedFolder(t), t.TempDir()
	whole, apart, other := filepath.Join(dir, "whole"), filepath.Join(dir, "apart"), filepath.Join(dir, "other")
	for _, args := range [][]string{{"--to", whole}, {"--to", filepath.Join(dir, "log"), "--keys-to", apart}, {"--to", other}} {
		if code := command(t, nil, append([]string{"backup", "--data", data}, args...)...); code != 0 {
			t.Fatalf("backup %v: exit %d", args, code)
		}
	}
	restored := 0
	restore := func(args ...string) (code int, verified int) {
		t.Helper()
		restored++
		to := filepath.Join(dir, fmt.Sprint("restored", restored))
		if code = command(t, nil, append([]string{"restore", "--data", to}, args...)...); code != 0 {
			if _, err := os.Stat(to); err == nil {
				t.Error("a failed restore left a folder behind")
			}
			return code, 0
		}
		return 0, command(t, nil, "verify", "--log-only", "--data", to)
	}
	sources := map[string][]string{
		filepath.Join(whole, "keys"): {"--from", whole},
		apart:                        {"--from", filepath.Join(dir, "log"), "--keys-from", apart},
	}
	for keys, args := range sources {
		entries, err := os.ReadDir(keys)
		if err != nil || len(entries) != 6 {
			t.Fatalf("%v %v", entries, err)
		}
		for _, e := range entries {
			path := filepath.Join(keys, e.Name())
			raw, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			for what, harm := range map[string]func() error{
				"cut":     func() error { return os.WriteFile(path, raw[:len(bytes.TrimRight(raw, "\x00"))/2], 0o600) },
				"empty":   func() error { return os.WriteFile(path, nil, 0o600) },
				"flipped": func() error { return os.WriteFile(path, append([]byte{raw[0] ^ 1}, raw[1:]...), 0o600) },
				"longer":  func() error { return os.WriteFile(path, append(bytes.Clone(raw), 'x'), 0o600) },
				"missing": func() error { return os.Remove(path) },
			} {
				if what == "missing" && e.Name() == "sums" && keys == apart {
					continue // As in a copy of before there were sums.
				}
				if err := harm(); err != nil {
					t.Fatal(err)
				}
				if code, verified := restore(args...); code != exitFailed {
					t.Errorf("%s %s: restored with exit %d, then verify %d", path, what, code, verified)
				}
				if err := os.WriteFile(path, raw, 0o600); err != nil {
					t.Fatal(err)
				}
			}
		}
		if code, verified := restore(args...); code != 0 || verified != 0 {
			t.Errorf("%v, unharmed: exit %d, verify %d", args, code, verified)
		}
	}
	// Keys of a later day beside an earlier log are what is told to do.
	if code, verified := restore("--from", whole, "--keys-from", filepath.Join(other, "keys")); code != 0 || verified != 0 {
		t.Errorf("later keys: exit %d, verify %d", code, verified)
	}
	if err := os.Remove(filepath.Join(apart, "sums")); err != nil {
		t.Fatal(err)
	}
	if code, verified := restore(sources[apart]...); code != 0 || verified != 0 {
		t.Errorf("keys of before there were sums: exit %d, verify %d", code, verified)
	}
}
