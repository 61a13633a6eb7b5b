package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"zujian/eventstore"
	"zujian/eventstore/embedded"
	"zujian/eventstore/seal"
)

// TestCopyToAStoreAndBack copies a city's log to a store over TLS, killed on its way and taken up again, and from there to a
// fresh folder: the roots are equal, and so is what the views say.
func TestCopyToAStoreAndBack(t *testing.T) {
	if testing.Short() {
		t.Skip("starts real processes")
	}
	dir := t.TempDir()
	data, logData, back := filepath.Join(dir, "data"), filepath.Join(dir, "store"), filepath.Join(dir, "back")
	city := startServer(t, data, "--demo", "--homes", "60", "--months", "6")
	if code := command(t, nil, "copy", "--data", data, "--to-data", back); code != exitFailed {
		t.Errorf("a folder in use was copied: exit %d", code)
	}
	stopServer(t, city)
	if err := os.MkdirAll(logData, 0o700); err != nil {
		t.Fatal(err)
	}
	startStore(t, logData, "--listen", "127.0.0.1:0")
	writer, reader := storeKeyOf(t, logData, "writer").Connection, storeKeyOf(t, logData, "reader").Connection
	killedCopy(t, "copy", "--data", data, "--to", writer)
	var there, here, again copyResult
	if code := command(t, &there, "copy", "--data", data, "--to", writer); code != 0 {
		t.Fatalf("exit %d", code)
	}
	if there.Before == 0 || there.Before == there.Events {
		t.Errorf("the copy that was killed left %d of %d events", there.Before, there.Events)
	}
	if err := os.RemoveAll(back); err != nil {
		t.Fatal(err)
	}
	if code := command(t, &here, "copy", "--from", reader, "--to-data", back); code != 0 {
		t.Fatalf("exit %d", code)
	}
	if code := command(t, &again, "copy", "--data", data, "--to-data", back); code != 0 || again.Before != again.Events {
		t.Errorf("the way round is no copy: exit %d, %+v", code, again)
	}
	if here.Root != there.Root || again.Root != there.Root || len(there.Root) != 64 || here.Events != there.Events || there.Events < 500 {
		t.Errorf("%+v there, %+v here, %+v again", there, here, again)
	}
	if _, err := seal.CopyKeys(data, filepath.Join(back, "keys")); err != nil {
		t.Fatal(err)
	}
	if code := command(t, nil, "verify", "--data", back); code != 0 {
		t.Errorf("verify: exit %d", code)
	}
	for _, what := range []string{"contracts", "units", "ledgers", "index"} {
		a, b := exportOf(t, what, data), exportOf(t, what, back)
		if !bytes.Equal(a, b) || bytes.Count(a, []byte("\n")) < 3 {
			t.Errorf("%s: %d bytes at the source are %d at the copy of its copy", what, len(a), len(b))
		}
	}
	foreignTarget(t, data, back, again.Events)
}

// killedCopy runs a copy until it has done something, and kills it.
func killedCopy(t *testing.T, args ...string) {
	t.Helper()
	bin, err := program()
	if err != nil {
		t.Fatal(err)
	}
	said := &lockedBuffer{}
	cmd := exec.Command(bin, args...)
	cmd.Stdout, cmd.Stderr = said, said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for start := time.Now(); !strings.Contains(said.String(), "copy 10 %"); time.Sleep(time.Millisecond) {
		if time.Since(start) > time.Minute {
			t.Errorf("no progress: %s", said)
			break
		}
	}
	_ = cmd.Process.Kill() // It may have ended already.
	_ = cmd.Wait()         // "signal: killed"
}

func exportOf(t *testing.T, what, data string) []byte {
	t.Helper()
	out := filepath.Join(t.TempDir(), "out.csv")
	if code := command(t, nil, "export", what, "--data", data, "--out", out); code != 0 {
		t.Fatalf("export %s: exit %d", what, code)
	}
	raw, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// foreignTarget: a log that has an event of its own is refused with the event's ordinal, and keeps what it has.
func foreignTarget(t *testing.T, data, to string, ordinal uint64) {
	t.Helper()
	s, err := embedded.Open(embedded.Options{Dir: filepath.Join(to, "log")})
	if err != nil {
		t.Fatal(err)
	}
	e := eventstore.NewEvent{ID: uuid.New(), Type: "foreign", Data: []byte(`{}`), Meta: eventstore.Metadata{Outside: true}}
	if _, err := s.Append(t.Context(), "foreign-1", eventstore.NoStream, e); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	var out, errs lockedBuffer
	code := run(t.Context(), []string{"copy", "--data", data, "--to-data", to}, &out, &errs)
	if want := fmt.Sprintf("ordinal %d:", ordinal); code != exitFailed || !strings.Contains(errs.String(), want) || out.String() != "" {
		t.Errorf("exit %d, %q does not name %s", code, errs.String(), want)
	}
}

func TestCopyUsage(t *testing.T) {
	dir := t.TempDir()
	for _, args := range [][]string{
		{"copy", "--data", dir},
		{"copy", "--data", dir, "--to", "esdb://127.0.0.1:1", "--to-data", dir},
		{"copy", "--data", dir, "--to-data", filepath.Join(dir, "new")},
		{"copy", "--from", "http://127.0.0.1:1", "--to-data", filepath.Join(dir, "new")},
	} {
		if code := command(t, nil, args...); code != exitUsage {
			t.Errorf("%v: exit %d", args, code)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "new")); err == nil {
		t.Error("a refused copy made its target")
	}
}
