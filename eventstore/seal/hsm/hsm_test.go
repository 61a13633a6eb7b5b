//go:build pkcs11

package hsm_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"zujian/eventstore/seal"
	"zujian/eventstore/seal/hsm"
)

// token makes a SoftHSM token in a folder of its own.
func token(t *testing.T) hsm.Options {
	t.Helper()
	module := ""
	for _, path := range []string{"/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so", "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so"} {
		if _, err := os.Stat(path); err == nil {
			module = path
		}
	}
	if module == "" {
		t.Skip("needs Debian's softhsm2")
	}
	dir := t.TempDir()
	config := filepath.Join(dir, "softhsm2.conf")
	pin := filepath.Join(dir, "pin")
	for path, text := range map[string]string{config: "directories.tokendir = " + dir + "\nlog.level = ERROR\n", pin: "271828\n"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("SOFTHSM2_CONF", config)
	out, err := exec.CommandContext(t.Context(), "softhsm2-util", "--init-token", "--free", "--label", "zujian", "--pin", "271828", "--so-pin", "314159").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return hsm.Options{Module: module, Token: "zujian", PINFile: pin}
}

func now() time.Time { return time.Unix(1_790_000_000, 0) }

// TestVaultOverToken seals, erases and rotates with the key-encryption key in a token, under both suites.
func TestVaultOverToken(t *testing.T) {
	o := token(t)
	dir := t.TempDir()
	open := func(suite seal.Suite) (*seal.Vault, *hsm.Wrapper) {
		w, err := hsm.Open(o, true)
		if err != nil {
			t.Fatal(err)
		}
		v, err := seal.Open(dir, seal.Options{Suite: suite, Now: now, Wrapper: w})
		if err != nil {
			t.Fatal(err)
		}
		return v, w
	}
	values := map[string]string{}
	for round, suite := range []seal.Suite{seal.INTL, seal.GM} {
		v, w := open(suite)
		for _, subject := range []string{"a", "b"} {
			name := subject + suite.String()
			value, err := v.Seal(t.Context(), name, "s", "f", name)
			if err != nil {
				t.Fatal(err)
			}
			values[name] = value
		}
		if err := v.Erase(t.Context(), "b"+suite.String()); err != nil {
			t.Fatal(err)
		}
		if kek, n, err := v.Rotate(t.Context(), true, nil); err != nil || int(kek) != round+2 || n != round+1 {
			t.Fatalf("rotate: version %d, %d keys, %v", kek, n, err)
		}
		if err := errors.Join(v.Close(), w.Close()); err != nil {
			t.Fatal(err)
		}
		v, w = open(suite)
		for name, value := range values {
			got, err := v.Open(t.Context(), name, "s", "f", value)
			if name[0] == 'b' {
				if !errors.Is(err, seal.ErrErased) {
					t.Errorf("%s was erased, but opens: %q %v", name, got, err)
				}
			} else if err != nil || got != name {
				t.Errorf("%s: %q %v", name, got, err)
			}
		}
		if err := errors.Join(v.Close(), w.Close()); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "keys", "kek")); err == nil {
		t.Error("a key-encryption key lies in the folder")
	}
}

func TestTokenRefuses(t *testing.T) {
	o := token(t)
	if _, err := hsm.Open(o, false); err == nil {
		t.Error("a token without a key was opened")
	}
	w, err := hsm.Open(o, true)
	if err != nil {
		t.Fatal(err)
	}
	key := bytes.Repeat([]byte{7}, 48)
	wrapped, err := w.Wrap(t.Context(), seal.INTL, []byte("label"), key)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := w.Unwrap(t.Context(), 1, seal.INTL, []byte("label"), wrapped); err != nil || !bytes.Equal(got, key) {
		t.Errorf("%x %v", got, err)
	}
	if _, err := w.Unwrap(t.Context(), 1, seal.INTL, []byte("other"), wrapped); err == nil {
		t.Error("a wrapped key opens under another label")
	}
	wrapped[20] ^= 1
	if _, err := w.Unwrap(t.Context(), 1, seal.INTL, []byte("label"), wrapped); err == nil {
		t.Error("a changed wrapped key opens")
	}
	if _, err := w.Unwrap(t.Context(), 9, seal.INTL, []byte("label"), wrapped); err == nil {
		t.Error("a version the token never had unwraps")
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	bad := o
	bad.Token = "another"
	if _, err := hsm.Open(bad, true); err == nil {
		t.Error("a token of another name was opened")
	}
	if err := os.WriteFile(o.PINFile, []byte("000000"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := hsm.Open(o, true); err == nil {
		t.Error("a wrong PIN opens the token")
	}
	if err := os.Chmod(o.PINFile, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := hsm.Open(o, true); err == nil {
		t.Error("a PIN file readable by all was taken")
	}
}
