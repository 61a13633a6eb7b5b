package main

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"zujian/eventstore/embedded"
	"zujian/eventstore/seal"
	"zujian/eventstore/transfer"
)

// copyCmd copies the log, and nothing else, from one store to another.
type copyCmd struct {
	From   string `help:"Log to copy from: esdb://…; the data folder's own if empty." placeholder:"URL"`
	To     string `help:"Log to copy to: esdb://…." placeholder:"URL"`
	ToData string `type:"path" help:"Data folder to copy to; made if missing. Its keys are not copied." placeholder:"DIR"`
}

// copyResult is what it prints.
type copyResult struct {
	Events uint64 `json:"events"`
	Before uint64 `json:"before"` // Of them were in the target already.
	Root   string `json:"root"`   // Of both logs, hexadecimal.
}

// Run implements the command.
func (c *copyCmd) Run(g *globals) (err error) {
	if (c.To == "") == (c.ToData == "") {
		return fmt.Errorf("%w: give either --to or --to-data", errUsage)
	}
	if c.From == "" {
		c.From = g.Config.Store
	}
	if c.From == "" {
		if _, err := os.Stat(filepath.Join(g.Data, "log")); err != nil {
			return fmt.Errorf("%w: %s holds no log: %w", errUsage, g.Data, err)
		}
	}
	from, err := openEngine(g, c.From, g.Data)
	if err != nil {
		return fmt.Errorf("source: %w", err)
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	to, err := openEngine(g, c.To, c.ToData)
	if err != nil {
		return fmt.Errorf("target: %w", err)
	}
	defer func() { err = errors.Join(err, to.Close()) }()
	bar := newProgress(g.Stderr, "copy", 1)
	done, err := transfer.Copy(g.Ctx, from, to, bar.set)
	bar.end()
	if err != nil {
		return err
	}
	res := copyResult{Events: done.Events, Before: done.Before, Root: hex.EncodeToString(done.Root[:])}
	if g.JSON {
		return json.NewEncoder(g.Stdout).Encode(res)
	}
	fmt.Fprintf(g.Stdout, "%d events, %d of them copied now; both logs have the root %s\n", res.Events, res.Events-res.Before, res.Root)
	return nil
}

// openEngine connects to the log at the address, or opens the folder's if that is empty.
func openEngine(g *globals, address, folder string) (engine, error) {
	if address != "" {
		elsewhere := *g.Config
		elsewhere.Store = address
		there := *g
		there.Config = &elsewhere
		return openElsewhere(&there)
	}
	suite, err := seal.ParseSuite(g.Config.Suite)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errUsage, err)
	}
	return embedded.Open(embedded.Options{Dir: filepath.Join(folder, "log"), Suite: byte(suite), Now: g.Now, Logger: g.Log, Fatal: g.fatal})
}
