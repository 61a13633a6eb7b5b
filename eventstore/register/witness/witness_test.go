package witness_test

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	cosignature "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"zujian/eventstore/register/witness"
)

// testLog is a log in memory, made with code that the witness does not use.
type testLog struct {
	hashes []tlog.Hash
	size   int64
	signer note.Signer
	key    string
}

const origin = "log.example/one"

func newLog(tb testing.TB) *testLog {
	skey, vkey, err := note.GenerateKey(rand.Reader, origin)
	if err != nil {
		tb.Fatal(err)
	}
	s, err := note.NewSigner(skey)
	if err != nil {
		tb.Fatal(err)
	}
	return &testLog{signer: s, key: vkey}
}

func (l *testLog) ReadHashes(indexes []int64) (out []tlog.Hash, _ error) {
	for _, i := range indexes {
		out = append(out, l.hashes[i])
	}
	return out, nil
}

func (l *testLog) grow(tb testing.TB, to int64, salt string) *testLog {
	for ; l.size < to; l.size++ {
		hs, err := tlog.StoredHashes(l.size, fmt.Append(nil, l.size, salt), l)
		if err != nil {
			tb.Fatal(err)
		}
		l.hashes = append(l.hashes, hs...)
	}
	return l
}

func (l *testLog) fork() *testLog {
	c := *l
	c.hashes = append([]tlog.Hash(nil), l.hashes...)
	return &c
}

func (l *testLog) checkpoint(tb testing.TB, size int64, signers ...note.Signer) string {
	root, err := tlog.TreeHash(size, l)
	if err != nil {
		tb.Fatal(err)
	}
	return sign(tb, fmt.Sprintf("%s\n%d\n%s\n", origin, size, root), append(signers, l.signer)...)
}

func sign(tb testing.TB, text string, signers ...note.Signer) string {
	msg, err := note.Sign(&note.Note{Text: text}, signers...)
	if err != nil {
		tb.Fatal(err)
	}
	return string(msg)
}

func (l *testLog) request(tb testing.TB, old, size int64) string {
	body := fmt.Sprintf("old %d\n", old)
	if old > 0 && old < size {
		hs, err := tlog.ProveTree(size, old, l)
		if err != nil {
			tb.Fatal(err)
		}
		for _, h := range hs {
			body += h.String() + "\n"
		}
	}
	return body + "\n" + l.checkpoint(tb, size)
}

func open(tb testing.TB, dir string, logs ...string) *witness.Witness {
	tb.Helper()
	w, err := witness.Open(witness.Options{Dir: dir, Name: "witness.example", Logs: logs})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = w.Close() })
	return w
}

func post(w http.Handler, body string) *http.Response {
	rec := httptest.NewRecorder()
	w.ServeHTTP(rec, httptest.NewRequest(http.MethodPost, "/add-checkpoint", strings.NewReader(body)))
	return rec.Result()
}

func text(tb testing.TB, res *http.Response) string {
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		tb.Fatal(err)
	}
	return string(raw)
}

func TestAddCheckpoint(t *testing.T) {
	l, stranger := newLog(t).grow(t, 300, ""), newLog(t)
	w := open(t, t.TempDir(), l.key)
	v, err := cosignature.NewVerifierForCosignatureV1(w.Key())
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range [][2]int64{{0, 0}, {0, 7}, {7, 7}, {7, 256}, {256, 300}} {
		res := post(w, l.request(t, step[0], step[1]))
		answer := text(t, res)
		if res.StatusCode != 200 {
			t.Fatalf("%v: status %d: %s", step, res.StatusCode, answer)
		}
		n, err := note.Open([]byte(l.checkpoint(t, step[1])+answer), note.VerifierList(v))
		if err != nil || len(n.Sigs) != 1 {
			t.Fatalf("%v: %q: %v", step, answer, err)
		}
	}
	fork := l.fork()
	fork.size, fork.hashes = 200, fork.hashes[:tlog.StoredHashIndex(0, 200)]
	fork.grow(t, 400, "fork")
	l.grow(t, 350, "")
	good := l.request(t, 300, 350)
	_, ckpt, _ := strings.Cut(good, "\n\n")
	flip := func(s string) string { // One bit of the first proof hash.
		lines := strings.Split(s, "\n")
		h, _ := base64.StdEncoding.DecodeString(lines[1])
		h[3] ^= 1
		lines[1] = base64.StdEncoding.EncodeToString(h)
		return strings.Join(lines, "\n")
	}
	for name, try := range map[string]struct {
		body   string
		status int
	}{
		"stale size":                 {l.request(t, 256, 350), 409},
		"size of one who knows none": {l.request(t, 0, 350), 409},
		"old size ahead of ours":     {l.request(t, 320, 350), 409},
		"another root, same size":    {fork.request(t, 300, 300), 409},
		"a fork":                     {fork.request(t, 300, 400), 422},
		"a bit of the proof":         {flip(good), 422},
		"no proof":                   {"old 300\n\n" + ckpt, 422},
		"a line too many":            {strings.Replace(good, "\n\n", "\n"+strings.Repeat("A", 43)+"=\n\n", 1), 422},
		"proof at the same size":     {"old 300\n" + strings.Repeat("A", 43) + "=\n\n" + l.checkpoint(t, 300), 422},
		"old size beyond":            {"old 351\n\n" + ckpt, 400},
		"unknown origin":             {"old 0\n\n" + sign(t, "other.example\n5\n"+strings.Repeat("A", 43)+"=\n", l.signer), 404},
		"signed by a stranger":       {"old 300\n\n" + sign(t, fmt.Sprintf("%s\n350\n%s=\n", origin, strings.Repeat("A", 43)), stranger.signer), 403},
		"not signed":                 {"old 300\n\n" + strings.SplitAfter(ckpt, "\n\n")[0], 403},
		"text changed":               {strings.Replace(good, "\n350\n", "\n351\n", 1), 403},
		"no body":                    {"", 400},
		"no checkpoint":              {"old 300\n", 400},
		"no old line":                {"\n" + ckpt, 400},
		"old size 0300":              {strings.Replace(good, "old 300", "old 0300", 1), 400},
		"old size -1":                {strings.Replace(good, "old 300", "old -1", 1), 400},
		"old size beyond 64 bits":    {strings.Replace(good, "old 300", "old 99999999999999999999", 1), 400},
		"proof line not base64":      {strings.Replace(good, "old 300\n", "old 300\n!\n", 1), 400},
		"64 proof lines":             {"old 300\n" + strings.Repeat(strings.Repeat("A", 43)+"=\n", 64) + "\n" + ckpt, 400},
		"too large":                  {good + strings.Repeat("x", 1<<17), 400},
		"a size that is none":        {"old 300\n\n" + sign(t, origin+"\nmany\n"+strings.Repeat("A", 43)+"=\n", l.signer), 400},
		"absurd size":                {"old 300\n\n" + sign(t, origin+"\n18446744073709551615\n"+strings.Repeat("A", 43)+"=\n", l.signer), 400},
		"short root":                 {"old 300\n\n" + sign(t, origin+"\n350\nAAAA\n", l.signer), 400},
		"extension line":             {"old 300\n\n" + sign(t, origin+"\n350\n"+strings.Repeat("A", 43)+"=\nmore\n", l.signer), 400},
	} {
		res := post(w, try.body)
		answer := text(t, res)
		if res.StatusCode != try.status || strings.Contains(answer, "— witness.example") {
			t.Errorf("%s: status %d (%s), want %d", name, res.StatusCode, answer, try.status)
		}
		stale := try.status == 409 && name != "another root, same size"
		if got := res.Header.Get("Content-Type") == "text/x.tlog.size"; got != stale || stale && answer != "300\n" {
			t.Errorf("%s: Content-Type %q, %q", name, res.Header.Get("Content-Type"), answer)
		}
	}
	if res := post(w, good); res.StatusCode != 200 {
		t.Fatalf("after all that: status %d", res.StatusCode)
	}
	if rec := httptest.NewRecorder(); true {
		w.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/add-checkpoint", nil))
		if rec.Code != http.StatusMethodNotAllowed {
			t.Errorf("GET: status %d", rec.Code)
		}
	}
}

func TestRemembers(t *testing.T) {
	dir, l := t.TempDir(), newLog(t).grow(t, 100, "")
	w := open(t, dir, l.key)
	if _, err := witness.Open(witness.Options{Dir: dir, Name: "x"}); err == nil {
		t.Fatal("the folder was opened twice")
	}
	key := w.Key()
	if res := post(w, l.request(t, 0, 90)); res.StatusCode != 200 {
		t.Fatal(res.StatusCode)
	}
	_ = w.Close()
	w = open(t, dir, l.key)
	if w.Key() != key {
		t.Fatal("the key changed")
	}
	if res := post(w, l.request(t, 0, 100)); res.StatusCode != 409 {
		t.Fatalf("after a restart: status %d", res.StatusCode)
	}
	_ = w.Close()
	names, err := filepath.Glob(filepath.Join(dir, "log-*"))
	if err != nil || len(names) != 1 {
		t.Fatal(names, err)
	}
	for _, name := range []string{names[0], filepath.Join(dir, "key")} {
		whole, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		broken := append([]byte(nil), whole...)
		broken[len(broken)/2] ^= 1
		if err := os.WriteFile(name, broken[:len(broken)-3], 0o600); err != nil {
			t.Fatal(err)
		}
		if w, err := witness.Open(witness.Options{Dir: dir, Name: "x", Logs: []string{l.key}}); err == nil {
			_ = w.Close()
			t.Errorf("%s damaged: opened", name)
		}
		if err := os.WriteFile(name, whole, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if info, err := os.Stat(filepath.Join(dir, "key")); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("the key file: %v, %v", info.Mode(), err)
	}
}

// TestNeverGoesBack: of many submissions at once from the same size only one is cosigned, and the record never shrinks.
func TestNeverGoesBack(t *testing.T) {
	l := newLog(t).grow(t, 200, "")
	w := open(t, t.TempDir(), l.key)
	if res := post(w, l.request(t, 0, 100)); res.StatusCode != 200 {
		t.Fatal(res.StatusCode)
	}
	var bodies []string
	for size := int64(101); size <= 116; size++ {
		bodies = append(bodies, l.request(t, 100, size))
	}
	codes := make([]int, len(bodies))
	var all sync.WaitGroup
	for i, body := range bodies {
		all.Go(func() { codes[i] = post(w, body).StatusCode })
	}
	all.Wait()
	won := 0
	for _, code := range codes {
		if code == 200 {
			won++
		} else if code != 409 {
			t.Errorf("status %d", code)
		}
	}
	if won != 1 {
		t.Fatalf("%d submissions from one size were cosigned", won)
	}
}

// TestLostMemory: a witness that lost a part of its folder does not begin anew with the key that others trust.
func TestLostMemory(t *testing.T) {
	l := newLog(t).grow(t, 100, "")
	begun := func(t *testing.T) (dir, state, key string) { // Of a witness that has cosigned.
		dir = t.TempDir()
		w := open(t, dir, l.key)
		if res := post(w, l.request(t, 0, 90)); res.StatusCode != 200 {
			t.Fatal(res.StatusCode)
		}
		_ = w.Close()
		names, err := filepath.Glob(filepath.Join(dir, "log-*"))
		if err != nil || len(names) != 1 {
			t.Fatal(names, err)
		}
		return dir, names[0], filepath.Join(dir, "key")
	}
	edit := func(t *testing.T, path string, how func(string) string) {
		raw, err := os.ReadFile(path)
		if err == nil {
			err = os.WriteFile(path, []byte(how(string(raw))), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	remove := func(t *testing.T, path string) {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name, says string
		harm       func(t *testing.T, state, key string)
	}{
		{"state missing", "state of log.example/one is missing", func(t *testing.T, state, _ string) { remove(t, state) }},
		{"key missing", "key file is missing", func(t *testing.T, _, key string) { remove(t, key) }},
		{"key of another format", "later version", func(t *testing.T, _, key string) {
			edit(t, key, func(s string) string { return strings.Replace(s, "witness 1", "witness 2", 1) })
		}},
		{"key cut to its first lines", "key file is damaged", func(t *testing.T, _, key string) {
			edit(t, key, func(s string) string { return strings.Join(strings.SplitAfter(s, "\n")[:2], "") })
		}},
		{"a letter of the key", "key file is damaged", func(t *testing.T, _, key string) {
			edit(t, key, func(s string) string { i := strings.Index(s, "\nlog ") - 9; return s[:i] + flip(s[i]) + s[i+1:] })
		}},
		{"a letter of the key of an earlier version", "key file is damaged", func(t *testing.T, _, key string) {
			edit(t, key, func(s string) string {
				s = strings.Split(s, "\n")[1]
				i := len(s) - 9
				return s[:i] + flip(s[i]) + s[i+1:] + "\n"
			})
		}},
		{"key open to others", "chmod 600", func(t *testing.T, _, key string) {
			if err := os.Chmod(key, 0o640); err != nil {
				t.Fatal(err)
			}
		}},
		{"another witness's key", "another witness's", func(t *testing.T, _, key string) {
			dir := t.TempDir()
			w, err := witness.Open(witness.Options{Dir: dir, Name: "third.example", Logs: []string{l.key}})
			if err != nil {
				t.Fatal(err)
			}
			_ = w.Close()
			if err := os.Rename(filepath.Join(dir, "key"), key); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir, state, key := begun(t)
			c.harm(t, state, key)
			w, err := witness.Open(witness.Options{Dir: dir, Name: "witness.example", Logs: []string{l.key}})
			if err == nil {
				res := post(w, l.fork().grow(t, 120, "fork").request(t, 0, 120))
				_ = w.Close()
				t.Fatalf("opened; of another tree from the beginning it said %d", res.StatusCode)
			}
			if !strings.Contains(err.Error(), c.says) {
				t.Errorf("it says %q", err)
			}
		})
	}
}

func flip(letter byte) string {
	if letter == 'A' {
		return "B"
	}
	return "A"
}

// TestEarlierFolder: a folder of an earlier version, whose key file has the key alone and whose states are summed without
// it, is opened, goes on from where it was, and from then on knows what it has begun with.
func TestEarlierFolder(t *testing.T) {
	dir, l := t.TempDir(), newLog(t).grow(t, 100, "")
	skey, _, err := note.GenerateKey(rand.Reader, "witness.example")
	if err != nil {
		t.Fatal(err)
	}
	id := sha256.Sum256([]byte(origin))
	name := filepath.Join(dir, fmt.Sprintf("log-%x", id[:16]))
	root, err := tlog.TreeHash(90, l)
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf(`{"origin":%q,"size":90,"root":%q}`, origin, root)
	for path, data := range map[string]string{filepath.Join(dir, "key"): skey + "\n", name: fmt.Sprintf("%x\n%s", sha256.Sum256([]byte(text)), text)} {
		if err := os.WriteFile(path, []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		w := open(t, dir, l.key)
		if res := post(w, l.request(t, 0, 100)); res.StatusCode != 409 {
			t.Fatalf("status %d", res.StatusCode)
		}
		if res := post(w, l.request(t, 90, 90)); res.StatusCode != 200 {
			t.Fatalf("status %d", res.StatusCode)
		}
		_ = w.Close()
	}
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	if w, err := witness.Open(witness.Options{Dir: dir, Logs: []string{l.key}}); err == nil {
		_ = w.Close()
		t.Fatal("its state was removed, and it was opened")
	}
}
