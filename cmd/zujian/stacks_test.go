package main

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// stacked is an error like those that print more than they say, asked by %+v.
type stacked struct{}

func (stacked) Error() string { return "what happened" }

func (e stacked) Format(s fmt.State, _ rune) {
	fmt.Fprint(s, e.Error())
	if s.Flag('+') {
		fmt.Fprint(s, "\nstack trace: a, b, c")
	}
}

func TestLogsHaveNoStacks(t *testing.T) {
	for _, format := range []string{"text", "json"} {
		var line bytes.Buffer
		newLogger(format, &line).Error("failed", "err", stacked{}, "wrapped", fmt.Errorf("again: %w", stacked{}), slog.Group("in", "err", stacked{}))
		if strings.Contains(line.String(), "stack") || strings.Count(line.String(), "what happened") != 3 {
			t.Errorf("%s: %s", format, line.String())
		}
	}
}

// TestFolderMovedWhileServed: the server ends, says why and shows no stack; what it acknowledged is in the folder.
func TestFolderMovedWhileServed(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a real process")
	}
	data := filepath.Join(t.TempDir(), "data")
	p := startServer(t, data)
	key := readFirstKey(t, data)
	untilSigned(t, p, 2)
	if err := os.Rename(data, data+".moved"); err != nil {
		t.Fatal(err)
	}
	var acknowledged []string
	for deadline := time.Now().Add(time.Minute); !p.ended(); time.Sleep(20 * time.Millisecond) {
		r, err := ask(t.Context(), p.base, "POST", "/v1/parties", key, map[string]any{
			"kind": "PERSON", "name": "测试人", "doc_type": "CN_ID", "doc_no": testID(len(acknowledged) + 1), "phone": "13800000000",
		})
		if err == nil && r.status == 201 {
			acknowledged = append(acknowledged, r.field(t, "id"))
		}
		if time.Now().After(deadline) {
			t.Fatal("the server went on")
		}
	}
	exit, failed := errors.AsType[*exec.ExitError](p.Wait(time.Minute))
	if said := p.logs.String(); !failed || exit.ExitCode() != exitFailed || strings.Contains(said, "goroutine ") || !strings.Contains(said, "zujian: ") {
		t.Errorf("%v\n%s", exit, said)
	}
	if len(acknowledged) == 0 {
		t.Fatal("nothing was acknowledged")
	}
	p = startServer(t, data+".moved")
	for _, id := range acknowledged {
		p.must(t, 200, "GET", "/v1/parties/"+id, key, nil)
	}
}
