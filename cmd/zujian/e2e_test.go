package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"zujian/cmd/zujian/internal/soak"
)

// programFolders are where tests build the binary: 69 MB a run. TestMain removes this run's.
const (
	programFolders = "zujian-e2e"
	programOld     = 3 * time.Hour // No run takes that long: what is older was left by one that was killed.
)

var programFolder string

// program builds the binary once for every end-to-end test.
var program = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", programFolders)
	if err != nil {
		return "", err
	}
	programFolder = dir
	left, err := filepath.Glob(filepath.Join(os.TempDir(), programFolders+"*"))
	if err != nil {
		return "", err
	}
	for _, old := range left {
		if info, err := os.Stat(old); err == nil && time.Since(info.ModTime()) > programOld {
			_ = os.RemoveAll(old) // Another run may do the same, or it is another user's.
		}
	}
	bin := filepath.Join(dir, "zujian")
	out, err := exec.Command("go", "build", "-o", bin, ".").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build: %w: %s", err, out)
	}
	return bin, nil
})

// serverProcess is a running server under test, started and ended by its own process.
type serverProcess struct {
	*soak.Server
	base string // http://127.0.0.1:port
	logs *lockedBuffer
}

type lockedBuffer = soak.Buffer

// startServer runs `zujian serve` over a folder and waits until it says where it listens.
func startServer(t *testing.T, data string, args ...string) *serverProcess {
	t.Helper()
	bin, err := program()
	if err != nil {
		t.Fatal(err)
	}
	s, err := soak.Start(bin, data, args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Kill)
	return &serverProcess{s, s.Base, s.Logs}
}

func (p *serverProcess) kill() { p.Kill() }

// stop ends the process as an operator does.
func (p *serverProcess) stop(t *testing.T) {
	t.Helper()
	if err := p.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := p.Wait(time.Minute); err != nil {
		t.Fatalf("graceful stop: %v\n%s", err, p.logs)
	}
}

// ended reports whether the process is gone.
func (p *serverProcess) ended() bool { return p.Ended() }

// reply is one HTTP answer.
type reply struct {
	status int
	header http.Header
	body   []byte
}

// field reads a string at a path like "units.0.id" of a JSON answer.
func (r reply) field(t testing.TB, path string) string {
	t.Helper()
	var v any
	if err := json.Unmarshal(r.body, &v); err != nil {
		t.Fatalf("not JSON: %s", r.body)
	}
	for _, step := range strings.Split(path, ".") {
		switch x := v.(type) {
		case map[string]any:
			v = x[step]
		case []any:
			n := 0
			if _, err := fmt.Sscan(step, &n); err != nil || n >= len(x) {
				t.Fatalf("no %s in %s", path, r.body)
			}
			v = x[n]
		}
	}
	s, ok := v.(string)
	if !ok {
		t.Fatalf("%s is no string in %s", path, r.body)
	}
	return s
}

// ask makes one request. body is marshalled, unless it is nil or a string.
func ask(ctx context.Context, base, method, path, key string, body any, headers ...string) (reply, error) {
	r, err := soak.Ask(ctx, base, method, path, key, body, headers...)
	return reply{r.Status, r.Header, r.Body}, err
}

// must asks and wants a status.
func (p *serverProcess) must(t testing.TB, status int, method, path, key string, body any, headers ...string) reply {
	t.Helper()
	r, err := ask(t.Context(), p.base, method, path, key, body, headers...)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	if r.status != status {
		t.Fatalf("%s %s: got %d, want %d\n%s", method, path, r.status, status, r.body)
	}
	return r
}

// forget has two regulators erase a person: one proposes, another approves.
func (p *serverProcess) forget(t testing.TB, city, id string) {
	t.Helper()
	second := p.must(t, http.StatusCreated, "POST", "/v1/keys", city, map[string]any{"role": "city", "label": "second"}).field(t, "key")
	for _, key := range []string{city, second} {
		p.must(t, http.StatusOK, "POST", "/v1/parties/"+id+"/erasure", key, map[string]any{"reason": "当事人申请", "decision_no": "决字1"})
	}
}

// topText is a top-level string of a JSON object, "" if there is none.
func topText(raw []byte, name string) string { return soak.Reply{Body: raw}.Text(name) }

// received adds up a ledger's receipts.
func received(raw []byte) (sum int64) {
	var v struct {
		Receipts []struct {
			AmountFen int64 `json:"amount_fen"`
		} `json:"receipts"`
	}
	if json.Unmarshal(raw, &v) != nil {
		return -1
	}
	for _, r := range v.Receipts {
		sum += r.AmountFen
	}
	return sum
}

// readFirstKey reads the key a fresh register starts with.
func readFirstKey(t testing.TB, data string) string {
	t.Helper()
	key, err := soak.FirstKey(data)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// startRegister starts a server over a fresh folder, and reads its first key.
func startRegister(t *testing.T) (data string, p *serverProcess, key string) {
	t.Helper()
	data = t.TempDir()
	p = startServer(t, data)
	return data, p, readFirstKey(t, data)
}

// testID is a valid synthetic CN_ID number of the 1880s for each n < 900.
func testID(n int) string {
	body := fmt.Sprintf("32010218850101%03d", n)
	sum := 0
	for i, w := range [17]int{7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2} {
		sum += int(body[i]-'0') * w
	}
	return body + "10X98765432"[sum%11:][:1]
}

// readmePath runs the shell block of README against a server, and returns what it printed.
func readmePath(t *testing.T, dir, base string, logs *lockedBuffer) string {
	t.Helper()
	raw, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, block, _ := strings.Cut(string(raw), "```bash\n")
	block, _, ok := strings.Cut(block, "```")
	if !ok {
		t.Fatal("README has no shell block")
	}
	cmd := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", strings.Replace(block, "http://127.0.0.1:8080", base, 1))
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s\n%s", err, out, logs)
	}
	return string(out)
}

// TestReadmePathWorksAsPasted runs the shell block of README against a running demo.
func TestReadmePathWorksAsPasted(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a real process")
	}
	for _, tool := range []string{"bash", "curl", "python3"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip("needs " + tool)
		}
	}
	dir := t.TempDir()
	data := filepath.Join(dir, ".data")
	p := startServer(t, data, "--demo", "--homes", "60", "--months", "6")
	out := readmePath(t, dir, p.base, p.logs)
	for _, want := range []string{`"filing_no":"BA`, `"stage":"FILED"`, `"received_fen":1400000`, `"held_fen":350000`} {
		if !strings.Contains(string(out), want) {
			t.Errorf("no %s in\n%s", want, out)
		}
	}
}
