package main

import (
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"zujian/cmd/zujian/internal/soak"
)

// TestFullDisk fills the disk under a real server, a small file system in memory: writes are refused with a code, reads
// are served, the ballast is given back, and with room again writes are taken.
func TestFullDisk(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a real process")
	}
	disk := t.TempDir()
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=192m"); err != nil {
		t.Skipf("no small file system: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(disk, syscall.MNT_DETACH) }) // With the server gone, nothing holds it.
	data, filler := filepath.Join(disk, "data"), filepath.Join(disk, "filler")
	p := startServer(t, data, "--reserve=16")
	key := readFirstKey(t, data)
	n := 0
	register := func() soak.Reply {
		n++
		r, err := soak.Ask(t.Context(), p.base, http.MethodPost, "/v1/parties", key, map[string]any{
			"kind": "PERSON", "name": "测试人", "doc_type": "CN_ID", "doc_no": testID(n % 900), "phone": "13800000000",
		})
		if err != nil {
			t.Fatalf("%v\n%s", err, p.logs)
		}
		return r
	}
	until := func(what string, ok func() bool) {
		t.Helper()
		for end := time.Now().Add(time.Minute); !ok(); time.Sleep(20 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%s: not within a minute\n%s", what, p.logs)
			}
		}
	}
	ballast := func() bool { _, err := os.Stat(filepath.Join(data, "log", "ballast")); return err == nil }
	until("ballast", ballast)
	first := register()
	if first.Status != http.StatusCreated {
		t.Fatalf("with room: %d %s", first.Status, first.Body)
	}
	fill(t, filler)
	until("a refusal", func() bool {
		r := register()
		return r.Status == http.StatusServiceUnavailable && r.Text("code") == "unavailable.storage_full"
	})
	if ballast() {
		t.Error("the ballast was kept on a full disk")
	}
	if p.must(t, 200, "GET", "/v1/parties/"+first.Text("id"), key, nil).field(t, "id") != first.Text("id") {
		t.Error("reading on a full disk")
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	until("writing again", func() bool { return register().Status == http.StatusCreated })
	until("ballast again", ballast)
	p.kill()
	if code := run(t.Context(), []string{"verify", "--data", data}, &lockedBuffer{}, p.logs); code != 0 {
		t.Errorf("verify: exit %d\n%s", code, p.logs)
	}
}

// fill writes until nothing more fits.
func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	piece := make([]byte, 1<<20)
	for err == nil {
		_, err = f.Write(piece)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}
