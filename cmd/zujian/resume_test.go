package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestNoSecondTreeIsSigned restores a backup that is older than what was signed since, beside the folder that signed it
// and far from it: never is another tree signed under the same keys unless somebody says so.
func TestNoSecondTreeIsSigned(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a real process")
	}
	dir, far := t.TempDir(), t.TempDir()
	data := filepath.Join(dir, "data")
	p := startServer(t, data)
	city := readFirstKey(t, data)
	write := func(p *serverProcess, n int) {
		t.Helper()
		p.must(t, 201, "POST", "/v1/parties", city, map[string]any{
			"kind": "PERSON", "name": "测试某", "doc_type": "CN_ID", "doc_no": testID(n), "phone": "13800000001",
		})
	}
	write(p, 810)
	untilSigned(t, p, 1)
	backup, second := filepath.Join(far, "backup"), filepath.Join(far, "second")
	if code := command(t, nil, "backup", "--data", data, "--to", backup); code != 0 {
		t.Fatalf("exit %d", code)
	}
	contents, err := readBackup(backup)
	if err != nil || contents.Signed == nil || contents.Signed.Size == 0 {
		t.Fatalf("the backup says nothing of what was signed: %+v %v", contents.Signed, err)
	}
	write(p, 811)
	note := untilSigned(t, p, contents.Log.Events+1)
	if code := command(t, nil, "backup", "--data", data, "--to", second, "--since", backup); code != 0 {
		t.Fatalf("exit %d", code)
	}
	kept := filepath.Join(dir, "kept")
	if err := os.WriteFile(kept, []byte(note), 0o600); err != nil {
		t.Fatal(err)
	}
	p.kill()

	if code := command(t, nil, "restore", "--from", backup, "--data", filepath.Join(dir, "beside")); code != exitFailed {
		t.Errorf("beside the folder that signed more: exit %d", code)
	}
	if code := command(t, nil, "restore", "--from", backup, "--data", filepath.Join(t.TempDir(), "later")); code != exitFailed {
		t.Errorf("beside a later backup: exit %d", code)
	}
	if code := command(t, nil, "restore", "--from", backup, "--data", data); code != exitUsage {
		t.Errorf("over the folder that signed more: exit %d", code)
	}
	if err := os.Rename(second, filepath.Join(dir, "second")); err != nil {
		t.Fatal(err)
	}

	restored := filepath.Join(t.TempDir(), "restored")
	var res restoreResult
	if code := command(t, &res, "restore", "--from", backup, "--data", restored); code != 0 || !res.Held || res.Signed != contents.Signed.Size {
		t.Fatalf("far from all that: exit %d %+v", code, res)
	}
	p = startServer(t, restored)
	write(p, 812) // Another event where the first folder has signed one.
	for deadline := time.Now().Add(time.Minute); metric(t, p, "zujian_register_added_events") <= float64(res.Events); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the event is not in the tree")
		}
	}
	if size := checkpointSize(t, p); size > contents.Signed.Size || metric(t, p, "zujian_register_held") != 1 {
		t.Errorf("held, it signed %d events, %d were signed before", size, contents.Signed.Size)
	}
	p.stop(t)
	for _, c := range []struct {
		name string
		code int
		args []string
	}{
		{"nothing said", exitUsage, nil},
		{"a checkpoint of what is lost", exitFailed, []string{"--witnessed", kept}},
		{"told to roll back", 0, []string{"--roll-back"}},
		{"what is not held", exitFailed, []string{"--roll-back"}},
	} {
		if code := command(t, nil, append([]string{"resume", "--data", restored}, c.args...)...); code != c.code {
			t.Errorf("resume, %s: exit %d, want %d", c.name, code, c.code)
		}
	}
	p = startServer(t, restored)
	untilSigned(t, p, contents.Log.Events+1)
	p.kill()

	oldBackup(t, backup)
	old := filepath.Join(t.TempDir(), "old")
	var out, errs lockedBuffer
	if code := run(t.Context(), []string{"restore", "--from", backup, "--data", old}, &out, &errs); code != 0 ||
		!strings.Contains(errs.String(), "does not hold what the register had signed") || !strings.Contains(out.String(), "signs nothing new") {
		t.Errorf("a backup of before: exit %d\n%s%s", code, out.String(), errs.String())
	}
	p = startServer(t, old)
	if size := checkpointSize(t, p); size != 0 {
		t.Errorf("it signed %d events", size)
	}
}

// TestCopiedFolder puts what an operator copied file by file in the place of what was in use: a whole data folder signs no
// second tree, and an old key folder knows nobody again whom the log says is erased.
func TestCopiedFolder(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a real process")
	}
	data, p, city := startRegister(t)
	people := 820
	write := func() string {
		people++
		return p.must(t, 201, "POST", "/v1/parties", city, map[string]any{
			"kind": "PERSON", "name": "测试某", "doc_type": "CN_ID", "doc_no": testID(people), "phone": "13800000001",
		}).field(t, "id")
	}
	guest := write()
	untilSigned(t, p, 2)
	p.stop(t)
	old, backup := copyOf(t, data), filepath.Join(t.TempDir(), "backup")
	if code := command(t, nil, "backup", "--data", data, "--to", backup); code != 0 {
		t.Fatalf("backup: exit %d", code)
	}
	p = startServer(t, data) // The one in use is not taken for a copy.
	p.forget(t, city, guest)
	size := uint64(metric(t, p, "zujian_register_added_events"))
	kept := filepath.Join(t.TempDir(), "kept")
	if err := os.WriteFile(kept, []byte(untilSigned(t, p, size)), 0o600); err != nil {
		t.Fatal(err)
	}
	held := func(want float64) {
		t.Helper()
		if got := metric(t, p, "zujian_register_held"); got != want {
			t.Errorf("held %v, want %v\n%s", got, want, p.logs)
		}
	}
	held(0)
	p.stop(t)

	moved := filepath.Join(t.TempDir(), "moved")
	if err := os.Rename(data, moved); err != nil {
		t.Fatal(err)
	}
	p = startServer(t, moved)
	held(0)
	p.stop(t)

	keys := filepath.Join(moved, "keys") // Lost, and an old copy of it is put there, or the keys of an old backup.
	for _, from := range []string{filepath.Join(old, "keys"), filepath.Join(backup, "keys")} {
		if err := errors.Join(os.RemoveAll(keys), os.CopyFS(keys, os.DirFS(from))); err != nil {
			t.Fatal(err)
		}
		chmodAsBefore(t, from, keys)
		p = startServer(t, moved)
		held(1)
		p.stop(t)
		if !erasedIn(t, moved, guest) {
			t.Errorf("%s put in place knows an erased person again", from)
		}
		if code := command(t, nil, "resume", "--data", moved, "--witnessed", kept); code != 0 {
			t.Errorf("resume by what was signed: exit %d", code)
		}
	}
	p = startServer(t, moved)
	held(0)
	write()
	untilSigned(t, p, size+1)
	p.kill()

	for range 2 { // It stays held.
		p = startServer(t, old)
		held(1)
		write()
		p.stop(t)
	}
	if !strings.Contains(p.logs.String(), "zujian resume") {
		t.Errorf("the log does not name the command\n%s", p.logs)
	}
	if code := command(t, nil, "resume", "--data", old, "--witnessed", kept); code != exitFailed {
		t.Errorf("resume behind what was signed: exit %d", code)
	}
}

// oldBackup makes a backup what it was before it held what the register had signed.
func oldBackup(t *testing.T, dir string) {
	t.Helper()
	list := filepath.Join(dir, backupFile)
	raw, err := os.ReadFile(list)
	if err != nil {
		t.Fatal(err)
	}
	var doc map[string]any
	if err := json.Unmarshal(raw, &doc); err != nil {
		t.Fatal(err)
	}
	delete(doc, "signed")
	delete(doc, "sum")
	if raw, err = json.Marshal(doc); err == nil {
		err = os.WriteFile(list, raw, 0o600)
	}
	if err == nil {
		err = os.RemoveAll(filepath.Join(dir, "register"))
	}
	if err != nil {
		t.Fatal(err)
	}
}

func checkpointSize(t *testing.T, p *serverProcess) (size uint64) {
	t.Helper()
	note := string(p.must(t, 200, "GET", "/checkpoint", "", nil).body)
	if _, err := fmt.Sscan(strings.Split(note, "\n")[1], &size); err != nil {
		t.Fatal(err)
	}
	return size
}

// untilSigned waits for a checkpoint of so many events or more, and gives it.
func untilSigned(t *testing.T, p *serverProcess, size uint64) string {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); checkpointSize(t, p) < size; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("no checkpoint of %d", size)
		}
	}
	return string(p.must(t, 200, "GET", "/checkpoint", "", nil).body)
}

// metric is one figure without labels of /metrics.
func metric(t *testing.T, p *serverProcess, name string) float64 {
	t.Helper()
	_, rest, ok := strings.Cut(string(p.must(t, 200, "GET", "/metrics", "", nil).body), "\n"+name+" ")
	value, _, _ := strings.Cut(rest, "\n")
	v, err := strconv.ParseFloat(value, 64)
	if !ok || err != nil {
		t.Fatalf("there is no %s: %v", name, err)
	}
	return v
}
