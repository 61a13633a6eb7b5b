package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"gopkg.in/yaml.v3"
)

// parses reports whether the program takes a command line.
func parses(t *testing.T, args []string) error {
	t.Helper()
	parser, err := kong.New(&cli{}, kong.Writers(io.Discard, io.Discard), kong.Exit(func(int) { t.Errorf("%v ends the program", args) }))
	if err != nil {
		t.Fatal(err)
	}
	_, err = parser.Parse(args)
	return err
}

// TestDeployedCommands: what deploy/ starts is what the program takes, and its variables are the program's.
func TestDeployedCommands(t *testing.T) {
	raw, err := os.ReadFile("../../deploy/compose.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Services map[string]struct {
			Image       string
			Command     []string
			Environment map[string]string
		}
	}
	if err := yaml.Unmarshal(raw, &doc); err != nil {
		t.Fatal(err)
	}
	started := 0
	for name, s := range doc.Services {
		if s.Image != "zujian" {
			continue
		}
		started++
		if err := parses(t, s.Command); err != nil {
			t.Errorf("compose.yaml: %s: %v", name, err)
		}
		known := variables(t)
		for v := range s.Environment {
			if !known[v] {
				t.Errorf("compose.yaml: %s sets %s, which nothing reads", name, v)
			}
		}
	}
	units, err := filepath.Glob("../../deploy/systemd/*.service")
	if err != nil {
		t.Fatal(err)
	}
	for _, unit := range units {
		raw, err := os.ReadFile(unit)
		if err != nil {
			t.Fatal(err)
		}
		_, line, ok := strings.Cut(string(raw), "ExecStart=/usr/local/bin/zujian ")
		line, _, _ = strings.Cut(line, "\n")
		for _, instance := range []string{"api", "project", "react"} {
			if err := parses(t, strings.Fields(strings.ReplaceAll(line, "%i", instance))); err != nil || !ok {
				t.Errorf("%s: %q: %v", filepath.Base(unit), line, err)
			}
		}
	}
	if started != 8 || len(units) != 4 {
		t.Errorf("%d services and %d units were checked", started, len(units))
	}
	if parses(t, []string{"serve", "--role", "boss"}) == nil {
		t.Error("this test takes everything")
	}
}

// variables are those that the program reads.
func variables(t *testing.T) map[string]bool {
	t.Helper()
	parser, err := kong.New(&cli{})
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]bool{}
	var read func(*kong.Node)
	read = func(n *kong.Node) {
		for _, flag := range n.Flags {
			for _, v := range flag.Envs {
				out[v] = true
			}
		}
		for _, c := range n.Children {
			read(c)
		}
	}
	read(parser.Model.Node)
	return out
}
