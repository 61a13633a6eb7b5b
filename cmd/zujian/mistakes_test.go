package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestImpossibleFlagsAreUsage: what no server can be run with is said at once, not by a panic or by waiting for ever.
func TestImpossibleFlagsAreUsage(t *testing.T) {
	for _, flags := range []string{"--in-flight=-1", "--in-flight=0", "--reserve=-1", "--witness-quorum=1", "--witness-quorum=-1", "--months=5", "--homes=5", "--seed=2"} {
		var out, errs lockedBuffer
		dir := filepath.Join(t.TempDir(), "data")
		if code := run(t.Context(), []string{"serve", "--data", dir, "--addr", "127.0.0.1:0", flags}, &out, &errs); code != exitUsage {
			t.Errorf("%s: exit %d\n%s", flags, code, errs.String())
		}
		if _, err := os.Stat(dir); err == nil {
			t.Errorf("%s: the folder was made", flags)
		}
	}
}

// TestMistypedFolderIsNoRegister: a command about a register does not make an empty one and report of that.
func TestMistypedFolderIsNoRegister(t *testing.T) {
	for _, args := range [][]string{
		{"keys", "list"},
		{"keys", "rotate"},
		{"keys", "revoke", "x"},
		{"export", "contracts", "--out", filepath.Join(t.TempDir(), "out.csv")},
		{"simulate", "--from", "2026-01-01"},
		{"index", "recompute", "--release", "2026-10"},
	} {
		var out, errs lockedBuffer
		dir := filepath.Join(t.TempDir(), "mistyped")
		if code := run(t.Context(), append(args, "--data", dir), &out, &errs); code != exitUsage || !strings.Contains(errs.String(), "holds no register") {
			t.Errorf("%v: exit %d\n%s%s", args, code, out.String(), errs.String())
		}
		if _, err := os.Stat(dir); err == nil {
			t.Errorf("%v: the folder was made", args)
		}
	}
}

// TestWhatCouldNotBePrintedIsNotDone: a command whose output was lost does not end as if it had been read.
func TestWhatCouldNotBePrintedIsNotDone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	for _, args := range [][]string{{"keys", "issue", "--role", "auditor"}, {"keys", "list"}} {
		var errs lockedBuffer
		if code := run(t.Context(), append(args, "--data", dir), fullOutput{}, &errs); code != exitFailed || !strings.Contains(errs.String(), "no space left") {
			t.Errorf("%v: exit %d\n%s", args, code, errs.String())
		}
	}
}

// fullOutput is a file on a full disk.
type fullOutput struct{}

func (fullOutput) Write([]byte) (int, error) { return 0, syscall.ENOSPC }

// TestConfigurationFileIsTakenWhole: each name of it is some command's flag, written as the help writes it or with
// underscores; what is mistyped is not left out without a word.
func TestConfigurationFileIsTakenWhole(t *testing.T) {
	for text, want := range map[string]string{
		`{"log-format": "json", "city": "nsw"}`:             "",
		`{"log_format": "json", "city": "nsw"}`:             "",
		`{"log-format": "json", "city": "nsw", "rate": 50}`: "", // Another command's.
		`{"log-format": "json", "ctiy": "nsw"}`:             `no command has a flag "ctiy"`,
		`{"log-format": "json", "log_format": "text"}`:      `"log_format" is there twice`,
		`{"log-format": "yaml"}`:                            "--log-format must be one of",
		`[]`:                                                "it is no JSON object",
		`{} {}`:                                             "there is more after the object",
	} {
		var out, errs lockedBuffer
		file := filepath.Join(t.TempDir(), "zujian.json")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		code := run(t.Context(), []string{"config", "--config", file}, &out, &errs)
		switch said := out.String(); {
		case want == "" && (code != 0 || !strings.Contains(said, `"log_format": "json"`) || !strings.Contains(said, `"city": "nsw"`)):
			t.Errorf("%s: exit %d\n%s%s", text, code, said, errs.String())
		case want != "" && (code != exitUsage || !strings.Contains(errs.String(), want)):
			t.Errorf("%s: exit %d\n%s%s", text, code, said, errs.String())
		}
	}
	var out, errs lockedBuffer
	file := filepath.Join(t.TempDir(), "zujian.json")
	if err := os.WriteFile(file, []byte(`{"in-flight": -1}`), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(t.Context(), time.Minute) // One that reads nothing of it serves.
	defer stop()
	if code := run(ctx, []string{"serve", "--data", filepath.Join(t.TempDir(), "d"), "--config", file, "--addr", "127.0.0.1:0"}, &out, &errs); code != exitUsage {
		t.Errorf("a flag with a dash is not read from the file: exit %d\n%s", code, errs.String())
	}
}

// TestNoBackupInsideWhatItIsOf: it would be lost with it.
func TestNoBackupInsideWhatItIsOf(t *testing.T) {
	dir := t.TempDir()
	data, link := filepath.Join(dir, "data"), filepath.Join(dir, "link")
	if err := os.MkdirAll(filepath.Join(data, "log"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(data, link); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"backup", "--data", data, "--to", filepath.Join(data, "b")},
		{"backup", "--data", data, "--to", filepath.Join(data, "log", "b", "c")},
		{"backup", "--data", data, "--to", filepath.Join(link, "b")},
		{"backup", "--data", link, "--to", filepath.Join(dir, "b"), "--keys-to", filepath.Join(data, "keys", "b")},
		{"restore", "--from", data, "--data", filepath.Join(data, "d")},
	} {
		var out, errs lockedBuffer
		if code := run(t.Context(), args, &out, &errs); code != exitUsage || !strings.Contains(errs.String(), "is in the") {
			t.Errorf("%v: exit %d\n%s%s", args, code, out.String(), errs.String())
		}
	}
	if !inside(filepath.Join(dir, "data"), dir) || inside(filepath.Join(dir, "data-2"), filepath.Join(dir, "data")) || inside(dir, data) {
		t.Error("a folder beside is taken for one within")
	}
}
