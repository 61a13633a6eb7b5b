package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strconv"
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
	until("a checkpoint of all", func() bool {
		return metric(t, p, "zujian_register_signed_events") == metric(t, p, "zujian_log_events")
	})
	p.kill()
	if code := run(t.Context(), []string{"verify", "--data", data}, &lockedBuffer{}, p.logs); code != 0 {
		t.Errorf("verify: exit %d\n%s", code, p.logs)
	}
}

// TestFullDiskOfTheRegister fills the disk that the register alone is on under a real server: filings are taken and read,
// what is signed is proved, what is not yet says why, and with room again everything is signed.
func TestFullDiskOfTheRegister(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a real process")
	}
	data := t.TempDir()
	disk := filepath.Join(data, "register")
	if err := os.Mkdir(disk, 0o750); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=2m"); err != nil {
		t.Skipf("no small file system: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(disk, syscall.MNT_DETACH) })
	p := startServer(t, data, "--reserve=8")
	key := readFirstKey(t, data)
	made := 0
	register := func() {
		made++
		p.must(t, http.StatusCreated, http.MethodPost, "/v1/parties", key, map[string]any{
			"kind": "PERSON", "name": "测试人", "doc_type": "CN_ID", "doc_no": testID(made % 900), "phone": "13800000000",
		})
	}
	figure := func(name string) uint64 { return uint64(metric(t, p, name)) }
	until := func(what string, ok func() bool) {
		t.Helper()
		for end := time.Now().Add(time.Minute); !ok(); time.Sleep(20 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%s: not within a minute\n%s", what, p.logs)
			}
		}
	}
	ballast := func() bool { _, err := os.Stat(filepath.Join(disk, "ballast")); return err == nil }
	until("ballast", ballast)
	register()
	until("a checkpoint", func() bool { return figure("zujian_register_signed_events") == figure("zujian_log_events") })
	filler := filepath.Join(disk, "filler")
	fill(t, filler)
	until("a full disk", func() bool {
		register()
		if !ballast() { // Given back: somebody else takes its room, too.
			fill(t, filepath.Join(disk, "filler2"))
		}
		return figure("zujian_register_full") == 1
	})
	signed, events := figure("zujian_register_signed_events"), figure("zujian_log_events")
	if signed >= events {
		t.Fatalf("%d of %d events signed on a full disk", signed, events)
	}
	prove := func(ordinal uint64, status int) reply {
		return p.must(t, status, http.MethodGet, "/v1/proofs/inclusion?ordinal="+strconv.FormatUint(ordinal, 10), key, nil)
	}
	prove(signed-1, http.StatusOK)
	if r := prove(events-1, http.StatusServiceUnavailable); topText(r.body, "code") != "unavailable.storage_full" || r.header.Get("Retry-After") == "" {
		t.Errorf("a proof of what is not signed: %s, %v", r.body, r.header)
	}
	p.must(t, http.StatusOK, http.MethodGet, "/checkpoint", "", nil)
	p.must(t, http.StatusOK, http.MethodGet, "/readyz", "", nil)
	for _, name := range []string{filler, filepath.Join(disk, "filler2")} {
		if err := os.Remove(name); err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
	}
	until("a checkpoint of all", func() bool { return figure("zujian_register_signed_events") == figure("zujian_log_events") })
	prove(events-1, http.StatusOK)
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
