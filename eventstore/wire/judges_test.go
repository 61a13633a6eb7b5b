package wire_test

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"zujian/eventstore"
	"zujian/eventstore/wire"
)

// The official client's own tests expect a cluster at these addresses.
var clusterPorts = []int{2111, 2112, 2113}

// cluster serves one log as three nodes would: the first leads, the others send writers of persistent subscriptions to it.
func cluster(t *testing.T) {
	o := options(openLog(t))
	o.TLS, _ = certificate(t)
	s, err := wire.New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	awaitPorts(t)
	var members []wire.Endpoint
	for _, port := range clusterPorts {
		members = append(members, wire.Endpoint{Host: "localhost", Port: port})
	}
	for i, self := range members {
		as := wire.Node{Self: self, Members: members}
		if i > 0 {
			as.Leader = &members[0]
		}
		listen(t, s, fmt.Sprintf("127.0.0.1:%d", self.Port), as)
	}
	seedUsers(t, o.Store)
}

// awaitPorts waits while another run of this test, in another checkout, has the ports.
func awaitPorts(t *testing.T) {
	t.Helper()
	for start := time.Now(); ; time.Sleep(100 * time.Millisecond) {
		var err error
		for _, port := range clusterPorts {
			l, e := (&net.ListenConfig{}).Listen(t.Context(), "tcp", fmt.Sprintf("127.0.0.1:%d", port))
			if err = errors.Join(err, e); e == nil {
				err = errors.Join(err, l.Close())
			}
		}
		if err == nil {
			return
		}
		if time.Since(start) > 3*patience {
			t.Fatal(err)
		}
	}
}

// seedUsers writes the stream by which the suite sees that a server is ready.
func seedUsers(t *testing.T, store eventstore.Store) {
	e := eventstore.NewEvent{ID: uuid.New(), Type: "$User", Data: []byte(`"admin"`), Meta: eventstore.Metadata{Outside: true}}
	if _, err := store.Append(t.Context(), "$users", eventstore.AnyRevision, e); err != nil {
		t.Fatal(err)
	}
}

// TestOfficialGoSuite runs the tests that the official Go client brings along, unmodified, against this server.
func TestOfficialGoSuite(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a minute and fixed ports")
	}
	const client = "github.com/EventStore/EventStore-Client-Go/v4/esdb"
	cluster(t)
	dir := t.TempDir()
	write(t, filepath.Join(dir, "go.mod"), "module judge\n\ngo 1.26.0\n")
	command(t, dir, nil, "go", "get", "-t", client+"@v4.2.0")
	out, err := run(t, dir, []string{
		"CLUSTER=true", "EVENTSTORE_INSECURE=false",
		"GRPC_ENABLE_TXT_SERVICE_CONFIG=false", // Or each dial asks the name server for a TXT record of localhost: 5 s when it is lost.
	},
		"go", "test", "-count=1", "-v", "-timeout=5m", client, "-run", "TestStreams|TestPersistentSubscriptions|TestMisc")
	passed, skipped, failed := verdicts(out)
	t.Logf("official suite: %d passed, %d skipped, %d failed", len(passed), len(skipped), len(failed))
	if err != nil || len(failed) > 0 || len(passed) < 60 {
		t.Fatalf("%v\nfailed: %v\n%s", err, failed, tail(out, 20_000))
	}
	for _, name := range skipped { // Only tests that need a data image which is not to be had.
		t.Logf("skipped: %s", name)
	}
}

var verdict = regexp.MustCompile(`(?m)^\s*--- (PASS|SKIP|FAIL): (\S+)`)

func verdicts(out []byte) (passed, skipped, failed []string) {
	for _, m := range verdict.FindAllSubmatch(out, -1) {
		switch name := string(m[2]); string(m[1]) {
		case "PASS":
			passed = append(passed, name)
		case "SKIP":
			skipped = append(skipped, name)
		default:
			failed = append(failed, name)
		}
	}
	return passed, skipped, failed
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func run(t *testing.T, dir string, env []string, name string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = dir
	cmd.Env = append(append(os.Environ(), "GOFLAGS=-mod=mod"), env...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	if _, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		t.Fatal(err)
	}
	return out.Bytes(), err
}

func command(t *testing.T, dir string, env []string, name string, args ...string) {
	t.Helper()
	if out, err := run(t, dir, env, name, args...); err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, tail(out, 4000))
	}
}

func tail(b []byte, n int) []byte { return b[max(len(b)-n, 0):] }

// TestNodeClients drives the server with the official Node clients of both generations.
func TestNodeClients(t *testing.T) {
	if testing.Short() {
		t.Skip("installs packages")
	}
	for _, tool := range []string{"node", "npm"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip("needs " + tool)
		}
	}
	packages := []string{"@eventstore/db-client@6.2.1", "@kurrent/kurrentdb-client@1.3.1"}
	dir := nodeModules(t, packages)
	script, err := os.ReadFile("testdata/judge.cjs")
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "judge.cjs"), string(script))
	o := options(openLog(t))
	var authority []byte
	o.TLS, authority = certificate(t)
	caFile := filepath.Join(t.TempDir(), "ca.pem")
	write(t, caFile, string(authority))
	address, _ := serve(t, o)
	address = strings.Replace(address, "127.0.0.1", "localhost", 1)
	for _, p := range packages {
		name := p[:strings.LastIndex(p, "@")]
		t.Run(name, func(t *testing.T) {
			out, err := run(t, dir, nil, "node", "judge.cjs", name, "esdb://admin:changeit@"+address+"?tlsCAFile="+caFile)
			ok := bytes.Count(out, []byte("ok ")) - bytes.Count(out, []byte("not ok "))
			t.Logf("%s: %d checks passed", name, ok)
			if err != nil || ok < 12 {
				t.Fatalf("%v\n%s", err, tail(out, 8000))
			}
		})
	}
}

// nodeModules installs packages once into the user's cache, or into the system's folder for such if the user has none.
func nodeModules(t *testing.T, packages []string) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = filepath.Join(os.TempDir(), fmt.Sprintf("cache-%d", os.Getuid()))
	}
	dir := filepath.Join(cache, "zujian-judges", strings.NewReplacer("/", "_", "@", "_").Replace(strings.Join(packages, "+")))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	done := filepath.Join(dir, "installed")
	if _, err := os.Stat(done); err == nil {
		return dir
	}
	write(t, filepath.Join(dir, "package.json"), `{"private":true}`)
	command(t, dir, nil, "npm", append([]string{"install", "--no-audit", "--no-fund"}, packages...)...)
	write(t, done, "")
	return dir
}
