package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestImpossibleFlagsAreUsage: what no server can be run with is said at once, not by a panic or by waiting for ever.
func TestImpossibleFlagsAreUsage(t *testing.T) {
	for _, flags := range []string{"--in-flight=-1", "--in-flight=0", "--reserve=-1", "--witness-quorum=1", "--witness-quorum=-1"} {
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
