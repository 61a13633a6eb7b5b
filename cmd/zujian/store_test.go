package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"
)

// storeProcess is a running `zujian store`.
type storeProcess struct {
	cmd  *exec.Cmd
	logs *lockedBuffer
	at   string // host:port
	done chan error
}

func startStore(t *testing.T, data string, args ...string) *storeProcess {
	t.Helper()
	bin, err := program()
	if err != nil {
		t.Fatal(err)
	}
	p := &storeProcess{logs: &lockedBuffer{}, done: make(chan error, 1)}
	p.cmd = exec.Command(bin, append([]string{"store", "--data", data, "--reserve=4"}, args...)...)
	p.cmd.Stderr = p.logs
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	where := make(chan string, 1)
	go func() {
		lines := bufio.NewScanner(stdout)
		for lines.Scan() {
			fmt.Fprintln(p.logs, lines.Text())
			if _, rest, ok := strings.Cut(lines.Text(), "esdb://"); ok {
				where <- strings.FieldsFunc(rest, func(r rune) bool { return r == ' ' || r == '?' })[0]
			}
		}
		p.done <- p.cmd.Wait()
	}()
	t.Cleanup(func() { p.stop(t) })
	select {
	case p.at = <-where:
	case err := <-p.done:
		p.done <- err
		t.Fatalf("the store ended: %v\n%s", err, p.logs)
	case <-time.After(time.Minute):
		t.Fatalf("the store did not start\n%s", p.logs)
	}
	return p
}

func (p *storeProcess) stop(t *testing.T) {
	t.Helper()
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // It may have ended already.
	select {
	case err := <-p.done:
		p.done <- err
		if err != nil {
			t.Errorf("the store ended with %v\n%s", err, p.logs)
		}
	case <-time.After(time.Minute):
		_ = p.cmd.Process.Kill()
		t.Errorf("the store did not end\n%s", p.logs)
	}
}

func storeKeyOf(t *testing.T, data, user string) storeKey {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(data, storeKeysFile))
	if err != nil {
		t.Fatal(err)
	}
	var keys []storeKey
	if err := json.Unmarshal(raw, &keys); err != nil {
		t.Fatal(err)
	}
	for _, k := range keys {
		if k.User == user {
			return k
		}
	}
	t.Fatalf("no key of %s in %s", user, raw)
	return storeKey{}
}

// TestReadmePathOverTheProtocol runs the README's path with the log in a process of its own: over TLS, with a key. The
// same folder serves first as one process, so the positions of the views must be those of the protocol.
func TestReadmePathOverTheProtocol(t *testing.T) {
	if testing.Short() {
		t.Skip("starts real processes")
	}
	dir := t.TempDir()
	data := filepath.Join(dir, ".data")
	alone := startServer(t, data, "--demo", "--homes", "60", "--months", "6")
	stopServer(t, alone)
	log := startStore(t, data, "--listen", "127.0.0.1:0")
	p := startServer(t, data, "--store", storeKeyOf(t, data, "writer").Connection)
	out := readmePath(t, dir, p.base, p.logs)
	for _, want := range []string{`"filing_no":"BA`, `"stage":"FILED"`, `"received_fen":1400000`} {
		if !strings.Contains(out, want) {
			t.Errorf("no %s in\n%s", want, out)
		}
	}
	stopServer(t, p)
	log.stop(t)
	var printed, errs bytes.Buffer
	if code := run(t.Context(), []string{"verify", "--data", data}, &printed, &errs); code != 0 {
		t.Fatalf("verify: exit %d\n%s%s", code, &printed, &errs)
	}
}

// storeClient is the official client of a store, without its log.
func storeClient(t *testing.T, connection string) *esdb.Client {
	t.Helper()
	config, err := esdb.ParseConnectionString(connection)
	if err != nil {
		t.Fatal(err)
	}
	config.Logger = esdb.NoopLogging()
	client, err := esdb.NewClient(config)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// TestStoreKeepsAReserve: the log alone refuses writes while less of the disk is free than it was told to leave, serves
// reads, and keeps a ballast once there is room.
func TestStoreKeepsAReserve(t *testing.T) {
	if testing.Short() {
		t.Skip("starts real processes")
	}
	data := t.TempDir()
	appends := func(reserve string) error {
		p := startStore(t, data, "--listen", "127.0.0.1:0", "--insecure", "--reserve="+reserve)
		defer p.stop(t)
		client := storeClient(t, "esdb://"+p.at+"?tls=false&maxDiscoverAttempts=1")
		defer client.Close()
		_, err := client.AppendToStream(t.Context(), "theirs", esdb.AppendToStreamOptions{}, esdb.EventData{EventType: "x", ContentType: esdb.ContentTypeJson, Data: []byte("{}")})
		stream, rerr := client.ReadAll(t.Context(), esdb.ReadAllOptions{}, 10)
		if rerr != nil {
			t.Fatalf("reading with a reserve of %s MiB: %v\n%s", reserve, rerr, p.logs)
		}
		stream.Close()
		return err
	}
	ballast := filepath.Join(data, "log", "ballast")
	if err := appends("1000000000"); err == nil { // A petabyte is not free.
		t.Error("a write was taken with less free than the reserve")
	}
	if _, err := os.Stat(ballast); err == nil {
		t.Error("a ballast was made without room")
	}
	if err := appends("4"); err != nil {
		t.Errorf("with room: %v", err)
	}
	if info, err := os.Stat(ballast); err != nil || info.Size() != 1<<20 {
		t.Errorf("the ballast of 4 MiB: %v, %v", info, err)
	}
}

func stopServer(t *testing.T, p *serverProcess) {
	t.Helper()
	if err := p.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := p.Wait(time.Minute); err != nil {
		t.Fatalf("%v\n%s", err, p.logs)
	}
}

// TestTwoServersOneLog: a fresh log alone, and two servers on it: what one writes the other answers.
func TestTwoServersOneLog(t *testing.T) {
	if testing.Short() {
		t.Skip("starts real processes")
	}
	logData, a, b := t.TempDir(), t.TempDir(), t.TempDir()
	startStore(t, logData, "--listen", "127.0.0.1:0")
	connection := storeKeyOf(t, logData, "writer").Connection
	first := startServer(t, a, "--store", connection)
	second := startServer(t, b, "--store", connection)
	key := readFirstKey(t, a)
	if _, err := os.Stat(filepath.Join(b, firstKeyFile)); err == nil {
		t.Fatal("the second server took the register for a fresh one")
	}
	made := first.must(t, http.StatusCreated, http.MethodPost, "/v1/keys", key, map[string]any{"role": "auditor", "label": "shared"}, "Idempotency-Key", uuid.NewString())
	at := made.header.Get("Zujian-Position")
	second.must(t, http.StatusOK, http.MethodGet, "/v1/views/housing/contracts", key, nil, "Zujian-At-Least", at)
	second.must(t, http.StatusOK, http.MethodGet, "/v1/events", made.field(t, "key"), nil)

	// A reader of the log may read it with any client, and write nothing.
	client := storeClient(t, storeKeyOf(t, logData, "reader").Connection)
	defer client.Close()
	stream, err := client.ReadAll(t.Context(), esdb.ReadAllOptions{}, 10)
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	if e, err := stream.Recv(); err != nil || e.OriginalEvent().EventType != "apikey.issued" {
		t.Fatalf("got %+v, %v", e, err)
	}
	_, err = client.AppendToStream(t.Context(), "theirs", esdb.AppendToStreamOptions{}, esdb.EventData{EventType: "x", ContentType: esdb.ContentTypeJson, Data: []byte("{}")})
	if e, ok := esdb.FromError(err); ok || e.Code() != esdb.ErrorCodeAccessDenied {
		t.Fatalf("a reader wrote: %v", err)
	}
}

// TestServeProtocol: the log beside the API, to API keys of auditors and of the city; the register's own streams are
// nobody's to write.
func TestServeProtocol(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a real process")
	}
	data := t.TempDir()
	p := startServer(t, data, "--esdb-listen", "127.0.0.1:0", "--esdb-write")
	_, rest, _ := strings.Cut(p.logs.String(), "at esdb://")
	address, _, _ := strings.Cut(rest, "\n")
	city := readFirstKey(t, data)
	key := func(role, area string) string {
		body := map[string]any{"role": role, "label": role}
		if area != "" {
			body["area"] = area
		}
		return p.must(t, http.StatusCreated, http.MethodPost, "/v1/keys", city, body, "Idempotency-Key", uuid.NewString()).field(t, "key")
	}
	event := esdb.EventData{EventType: "theirs", ContentType: esdb.ContentTypeBinary, Data: []byte{0}}
	forged := esdb.EventData{EventType: "contract.filed", ContentType: esdb.ContentTypeJson, Data: []byte("{}")}
	for _, try := range []struct {
		name, key, stream string
		event             esdb.EventData
		read, write       bool
	}{
		{"the city", city, "theirs-1", event, true, true},
		{"the city, a stream of the register", city, "contract-1", event, true, false},
		{"the city, its metadata", city, "$$contract-1", event, true, false},
		{"the city, a type of the register", city, "theirs-1", forged, true, false},
		{"an auditor", key("auditor", ""), "theirs-1", event, true, false},
		{"a district", key("district", "320115"), "theirs-1", event, false, false},
		{"nobody", "zj_nonsense", "theirs-1", event, false, false},
	} {
		client := storeClient(t, "esdb://any:"+try.key+"@"+address+"?tlsCAFile="+filepath.Join(data, storeAuthorityFile))
		stream, err := client.ReadAll(t.Context(), esdb.ReadAllOptions{}, 1)
		if err == nil {
			_, err = stream.Recv()
			stream.Close()
		}
		if (err == nil) != try.read {
			t.Errorf("%s reads: %v", try.name, err)
		}
		_, err = client.AppendToStream(t.Context(), try.stream, esdb.AppendToStreamOptions{ExpectedRevision: esdb.Any{}}, try.event)
		if (err == nil) != try.write {
			t.Errorf("%s writes: %v", try.name, err)
		}
		_ = client.Close() // It returns nil always.
	}
}
