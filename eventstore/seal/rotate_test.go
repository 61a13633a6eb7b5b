package seal_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"zujian/eventstore/seal"
)

// TestRotate wraps every key anew: values sealed before, blind indexes, signatures and erasures stay as they were, under
// both suites and when the suite changes meanwhile.
func TestRotate(t *testing.T) {
	dir := t.TempDir()
	values := map[string]string{}
	var blind string
	var public []byte
	for round, suite := range []seal.Suite{seal.INTL, seal.GM, seal.INTL} {
		v := open(t, dir, suite)
		for n := range 5 {
			subject := fmt.Sprintf("p%d.%d", round, n)
			values[subject] = sealed(t, v, subject, "s", "f", subject)
		}
		gone := fmt.Sprintf("p%d.0", round)
		if err := v.Erase(t.Context(), gone); err != nil {
			t.Fatal(err)
		}
		if round == 0 {
			blind, public = v.Blind("id_no", "x"), v.PublicKey()
		}
		kek, rewrapped, err := v.Rotate(t.Context(), round == 1, nil)
		if err != nil || int(kek) != round+2 || rewrapped != 4*(round+1) {
			t.Fatalf("round %d: version %d, %d keys, %v", round, kek, rewrapped, err)
		}
		late := fmt.Sprintf("late%d", round) // The vault goes on with the new file.
		values[late] = sealed(t, v, late, "s", "f", late)
		check := func(v *seal.Vault, when string) {
			for subject, value := range values {
				got, err := v.Open(t.Context(), subject, "s", "f", value)
				if strings.HasSuffix(subject, ".0") {
					if !errors.Is(err, seal.ErrErased) {
						t.Errorf("round %d %s: %s was erased, but opens: %q %v", round, when, subject, got, err)
					}
				} else if err != nil || got != subject {
					t.Errorf("round %d %s: %s: %q %v", round, when, subject, got, err)
				}
			}
			if v.Blind("id_no", "x") != blind || string(v.PublicKey()) != string(public) {
				t.Errorf("round %d %s: blind index or signing key changed", round, when)
			}
		}
		check(v, "at once")
		if err := v.Close(); err != nil {
			t.Fatal(err)
		}
		again := open(t, dir, suite)
		check(again, "opened again")
		if err := again.Close(); err != nil {
			t.Fatal(err)
		}
		delete(values, late) // Counted anew in the next round.
		v = open(t, dir, suite)
		if err := v.Erase(t.Context(), late); err != nil {
			t.Fatal(err)
		}
		_ = v.Close()
	}
}

// TestRetiredKeyNoLongerOpens: a key folder backed up before the retirement is dead without the old key-encryption key.
func TestRetiredKeyNoLongerOpens(t *testing.T) {
	dir := t.TempDir()
	v := open(t, dir, seal.INTL)
	sealed(t, v, "p", "s", "f", "x")
	_ = v.Close()
	old, err := os.ReadFile(filepath.Join(dir, "keys", "subjects"))
	if err != nil {
		t.Fatal(err)
	}
	v = open(t, dir, seal.INTL)
	value := sealed(t, v, "p", "s", "f", "x")
	if _, _, err := v.Rotate(t.Context(), true, nil); err != nil {
		t.Fatal(err)
	}
	_ = v.Close()
	if err := os.WriteFile(filepath.Join(dir, "keys", "subjects"), old, 0o600); err != nil {
		t.Fatal(err)
	}
	if v, err := seal.Open(dir, seal.Options{Now: time.Now}); err == nil {
		got, err := v.Open(t.Context(), "p", "s", "f", value)
		_ = v.Close()
		t.Errorf("an old key file opens without its key-encryption key: %q %v", got, err)
	}
}

// TestRotateCutShort leaves what a crash between the steps would: the new version made, some or none of the keys moved.
func TestRotateCutShort(t *testing.T) {
	for _, keep := range []string{"subjects", "identity", "subjects identity"} {
		dir := t.TempDir()
		v := open(t, dir, seal.GM)
		value := sealed(t, v, "p", "s", "f", "x")
		before := map[string][]byte{}
		for name := range strings.FieldsSeq(keep) {
			data, err := os.ReadFile(filepath.Join(dir, "keys", name))
			if err != nil {
				t.Fatal(err)
			}
			before[name] = data
		}
		if _, _, err := v.Rotate(t.Context(), false, nil); err != nil {
			t.Fatal(err)
		}
		_ = v.Close()
		for name, data := range before {
			if err := os.WriteFile(filepath.Join(dir, "keys", name), data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(filepath.Join(dir, "keys", "subjects.tmp"), []byte("torn"), 0o600); err != nil {
			t.Fatal(err)
		}
		v = open(t, dir, seal.GM)
		if got, err := v.Open(t.Context(), "p", "s", "f", value); err != nil || got != "x" {
			t.Errorf("with the old %s: %q %v", keep, got, err)
		}
		if _, n, err := v.Rotate(t.Context(), true, nil); err != nil || n != 1 {
			t.Errorf("with the old %s: rotating again: %d keys, %v", keep, n, err)
		}
		_ = v.Close()
	}
}

// TestCopyDuringRotation copies the keys while key-encryption keys are made and retired: a copy opens, or is not said to be one.
func TestCopyDuringRotation(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	v, err := seal.Open(dir, seal.Options{Now: time.Now, DeferSync: true})
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	for n := range 500 {
		if _, err := v.Seal(t.Context(), fmt.Sprint(n), "party-1", "name", "张三"); err != nil {
			t.Fatal(err)
		}
	}
	done := make(chan error)
	go func() {
		var err error
		for n := 0; n < 40 && err == nil; n++ {
			_, _, err = v.Rotate(t.Context(), true, nil)
		}
		done <- err
	}()
	copies, refused := 0, 0
	for ; ; copies++ {
		select {
		case err := <-done:
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%d copies, %d refused", copies, refused)
			return
		default:
		}
		to := filepath.Join(t.TempDir(), "copy")
		if _, err := seal.CopyKeys(dir, filepath.Join(to, "keys")); err != nil {
			if !strings.Contains(err.Error(), "rotated") {
				t.Fatal(err)
			}
			refused++
			continue
		}
		c, err := seal.Open(to, seal.Options{Now: time.Now})
		if err != nil {
			t.Errorf("copy %d: %v", copies, err)
			continue
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
