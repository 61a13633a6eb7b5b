package seal_test

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"zujian/eventstore/seal"
)

// TestKilledProcess kills a process that makes and erases keys as fast as it can, several times over one folder: what
// it acknowledged is there afterwards, whatever it was in the middle of.
func TestKilledProcess(t *testing.T) {
	const folderEnv = "ZUJIAN_SEAL_CHILD_DIR"
	if dir := os.Getenv(folderEnv); dir != "" {
		child(t, dir)
		return
	}
	dir := t.TempDir()
	acked, erased := map[string]string{}, map[string]bool{}
	for round := range 4 {
		cmd := exec.Command(os.Args[0], "-test.run=^TestKilledProcess$")
		cmd.Env = append(os.Environ(), folderEnv+"="+dir, fmt.Sprint("ZUJIAN_SEAL_CHILD_ROUND=", round))
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		var kill *time.Timer // From the first word on: on a busy machine a start may take longer than all that follows.
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if kill == nil {
				kill = time.AfterFunc(100*time.Millisecond+time.Duration(round)*7*time.Millisecond, func() { _ = cmd.Process.Kill() })
			}
			word := strings.Fields(lines.Text())
			switch {
			case len(word) == 3 && word[0] == "sealed":
				acked[word[1]] = word[2]
			case len(word) == 2 && word[0] == "erased":
				erased[word[1]] = true
			}
		}
		_ = cmd.Wait() // Killed: its error is the point.
		if kill != nil {
			kill.Stop()
		}

		v := open(t, dir, seal.INTL)
		for subject, value := range acked {
			got, err := v.Open(t.Context(), subject, "s", "f", value)
			if erased[subject] {
				if !errors.Is(err, seal.ErrErased) {
					t.Errorf("round %d: %s was erased, but opens: %q %v", round, subject, got, err)
				}
			} else if (err != nil || got != subject) && !errors.Is(err, seal.ErrErased) { // An erasure may have been under way.
				t.Errorf("round %d: %s lost: %q %v", round, subject, got, err)
			}
		}
		if err := v.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if len(acked) < 20 || len(erased) < 5 {
		t.Errorf("only %d keys and %d erasures were acknowledged: the test is too short", len(acked), len(erased))
	}
}

func child(t *testing.T, dir string) {
	v, err := seal.Open(dir, seal.Options{Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 1_000_000 {
		subject := fmt.Sprintf("p%s.%d", os.Getenv("ZUJIAN_SEAL_CHILD_ROUND"), i)
		value, err := v.Seal(t.Context(), subject, "s", "f", subject)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Println("sealed", subject, value)
		if i%3 == 0 {
			if err := v.Erase(t.Context(), subject); err != nil {
				t.Fatal(err)
			}
			fmt.Println("erased", subject)
		}
	}
}

// TestAfterAFailedWrite: the vault refuses new keys and erasures for good, and still opens what it has.
func TestAfterAFailedWrite(t *testing.T) {
	v := open(t, t.TempDir(), seal.INTL)
	value := sealed(t, v, "p", "s", "f", "x")
	_ = v.Close() // Its files are gone: every write fails from here on.
	for range 2 {
		if _, err := v.Seal(t.Context(), "new", "s", "f", "x"); err == nil {
			t.Error("a key that could not be stored was used")
		}
		if err := v.Erase(t.Context(), "p"); err == nil {
			t.Error("an erasure that could not be stored was acknowledged")
		}
	}
	if got, err := v.Open(t.Context(), "p", "s", "f", value); err != nil || got != "x" {
		t.Errorf("%q %v", got, err)
	}
}
