package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// mutant is a seeded fault of the product: what stands in a file once is replaced, and the one test must fail. It is
// compiled from a copy (go test -overlay); the tree is never touched.
type mutant struct {
	name      string // What a hurried change could do.
	file      string // From the root of the module.
	old, new  string // old occurs exactly once,
	pkg, test string // Which test must see it.
}

const (
	mutantsEnv     = "ZUJIAN_MUTANTS"
	mutantMax      = 3 * time.Minute // For building and finding one on a busy machine.
	mutantsAtLeast = 12
)

// TestMutants shows that the tests of what must never break can fail: each seeded fault is found by the test named for
// it. A mutant that survives is a bug in the tests. It builds a test binary for each, so `make mutants` asks for it.
func TestMutants(t *testing.T) {
	wanted := os.Getenv(mutantsEnv)
	if wanted == "" {
		t.Skip("make mutants runs them; " + mutantsEnv + " is all, or part of a name")
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	if len(mutants) < mutantsAtLeast {
		t.Fatalf("only %d mutants", len(mutants))
	}
	for _, m := range mutants {
		if wanted != "all" && wanted != "1" && !strings.Contains(m.name, wanted) {
			continue
		}
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			out, err := m.run(t, root)
			switch _, exited := errors.AsType[*exec.ExitError](err); {
			case err == nil:
				t.Errorf("it survived %s of %s\n%s", m.test, m.pkg, out)
			case !exited, strings.Contains(out, "[build failed]"), strings.Contains(out, "[setup failed]"), strings.Contains(out, "no tests to run"):
				t.Errorf("it could not be tried: %v\n%s", err, out)
			}
		})
	}
}

// TestMutantsFitTheSource holds the table to the source without running anything.
func TestMutantsFitTheSource(t *testing.T) {
	names := map[string]bool{}
	for _, m := range mutants {
		if names[m.name] {
			t.Errorf("%s stands twice", m.name)
		}
		names[m.name] = true
		if _, err := m.source("../.."); err != nil {
			t.Errorf("%s: %v", m.name, err)
		}
	}
}

func (m mutant) source(root string) (string, error) {
	raw, err := os.ReadFile(filepath.Join(root, m.file))
	if err != nil {
		return "", err
	}
	source := string(raw)
	if strings.Count(source, m.old) != 1 {
		return "", errors.New(m.file + " does not hold exactly once what the mutant changes: adapt the mutant to the source")
	}
	return strings.Replace(source, m.old, m.new, 1), nil
}

func (m mutant) run(t *testing.T, root string) (string, error) {
	source, err := m.source(root)
	if err != nil {
		return "", err
	}
	dir := t.TempDir()
	changed, overlay := filepath.Join(dir, "changed.go"), filepath.Join(dir, "overlay.json")
	replace, err := json.Marshal(map[string]any{"Replace": map[string]string{filepath.Join(root, m.file): changed}})
	if err := errors.Join(err, os.WriteFile(changed, []byte(source), 0o600), os.WriteFile(overlay, replace, 0o600)); err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(t.Context(), mutantMax)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", "test", "-overlay", overlay, "-vet=off", "-count=1", "-failfast", "-run", "^"+m.test+"$", "./"+m.pkg)
	cmd.Dir = root
	out, err := cmd.CombinedOutput()
	return string(out), err
}
