package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
)

// script runs deploy/verify.py, and gives what it said and its exit code.
func script(t *testing.T, args ...string) (string, int) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "python3", append([]string{"../../deploy/verify.py"}, args...)...).CombinedOutput()
	exit, ended := errors.AsType[*exec.ExitError](err)
	if err != nil && !ended {
		t.Fatal(err)
	}
	if strings.Contains(string(out), "Traceback") {
		t.Errorf("verify.py %v: a stack trace\n%s", args, out)
	}
	if ended {
		return string(out), exit.ExitCode()
	}
	return string(out), 0
}

// damages are what a field of a proof may be turned into.
func damages(field any) []any {
	switch x := field.(type) {
	case string:
		return []any{"", x[1:], x[:len(x)-1], x + "=", strings.ToUpper(x)}
	case float64:
		return []any{x + 1, x - 1, fmt.Sprint(x)}
	case []any:
		return []any{x[1:], x[:len(x)-1], append(slices.Clone(x), x[0]), []any{}}
	}
	panic("a proof has no other fields")
}

// TestScriptChecksABusyRegister: the last tile of the checkpoint that the script was given is filled while it reads, and the
// server tells it to ask more slowly.
func TestScriptChecksABusyRegister(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a real process")
	}
	data := t.TempDir()
	p := startServer(t, data)
	verifier, key := registerKey(t, p), readFirstKey(t, data)
	old := untilSigned(t, p, 1)
	for n := 0; n < 26; n++ {
		units := make([]any, 10)
		for i := range units {
			units[i] = map[string]any{"unit_no": fmt.Sprint(101 + i), "floor": 1, "gross_area_c": 8912, "bedrooms": 2, "planned_use": "RESIDENTIAL", "rooms": []any{}}
		}
		p.must(t, 201, "POST", "/v1/buildings", key, map[string]any{
			"estate": fmt.Sprint("试验苑", n), "building_no": "1", "street": "320115004", "address": "示例路 9 号", "units": units,
		})
	}
	untilSigned(t, p, 257)
	target, err := url.Parse(p.base)
	if err != nil {
		t.Fatal(err)
	}
	var slowed atomic.Bool
	pass := httputil.NewSingleHostReverseProxy(target)
	busy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/checkpoint":
			fmt.Fprint(w, old)
		case !slowed.Swap(true):
			http.Error(w, "too fast", http.StatusTooManyRequests)
		default:
			pass.ServeHTTP(w, r)
		}
	}))
	defer busy.Close()
	size := strings.Split(old, "\n")[1]
	if out, code := script(t, verifier, busy.URL+"/"); code != 0 || !strings.HasPrefix(out, "VALID: "+size+" events") {
		t.Errorf("an earlier checkpoint of %s: exit %d, %s", size, code, out)
	}
	var proof map[string]any
	if err := json.Unmarshal(p.must(t, 200, "GET", "/v1/proofs/inclusion?ordinal=5", key, nil).body, &proof); err != nil {
		t.Fatal(err)
	}
	answer := filepath.Join(t.TempDir(), "proof.json")
	check := func(says string) {
		t.Helper()
		raw, err := json.Marshal(proof)
		if err := errors.Join(err, os.WriteFile(answer, raw, 0o600)); err != nil {
			t.Fatal(err)
		}
		if out, _ := script(t, verifier, answer); !strings.HasPrefix(out, says) {
			t.Errorf("%s was wanted, got %s\n%s", says, out, raw)
		}
	}
	check("VALID: event 5 is one of ")
	proof["origin"] = "localhost/zujian" // As in a filing's receipt.
	for name, is := range proof {
		for _, damaged := range damages(is) {
			proof[name] = damaged
			check("NOT VALID: ")
		}
		proof[name] = is
	}
	check("VALID: event 5 is one of ")
	p.stop(t)

	malformed := filepath.Join(t.TempDir(), "answer.json")
	if err := os.WriteFile(malformed, []byte(`["no object"]`), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		says string
		code int
		args []string
	}{
		{"Checks a Zujian register", 2, nil},
		{"NOT CHECKED: ", 1, []string{verifier, p.base}},
		{"NOT CHECKED: ", 1, []string{verifier, malformed + ".not"}},
		{"NOT VALID: ", 1, []string{verifier, malformed}},
		{"NOT VALID: ", 1, []string{"no key", busy.URL}},
		{"NOT VALID: ", 1, []string{"localhost/zujian+00000000+AQ", busy.URL}},
	} {
		if out, code := script(t, c.args...); code != c.code || !strings.HasPrefix(out, c.says) {
			t.Errorf("verify.py %v: exit %d, want %d and %q\n%s", c.args, code, c.code, c.says, out)
		}
	}
}
