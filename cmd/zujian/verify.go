package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"zujian/eventstore/embedded"
	"zujian/eventstore/register"
	"zujian/projections"
)

// verifyCmd checks everything that can be checked from the folder alone.
type verifyCmd struct {
	LogOnly bool `help:"Check the log and the register, not the views against a replay."`
}

type verifyResult struct {
	Events uint64   `json:"events"`
	Head   uint64   `json:"head"`
	Leaves uint64   `json:"leaves"` // Of the register's last checkpoint, each compared with its event.
	Views  []string `json:"views,omitempty"`
	OK     bool     `json:"ok"`
	Error  string   `json:"error,omitempty"`
}

// Run implements the command.
func (c *verifyCmd) Run(g *globals) error {
	var res verifyResult
	err := c.verify(g, &res)
	res.OK = err == nil
	if err != nil {
		res.Error = err.Error()
	}
	if g.JSON {
		if e := json.NewEncoder(g.Stdout).Encode(res); e != nil {
			return e
		}
	} else if res.OK {
		fmt.Fprintf(g.Stdout, "log: %d events up to position %d are whole; register: %d leaves are theirs; views equal a replay: %v\n",
			res.Events, res.Head, res.Leaves, res.Views)
	}
	return err
}

func (c *verifyCmd) verify(g *globals, res *verifyResult) error {
	if g.Config.Store == "" { // Elsewhere whoever keeps it verifies it.
		bar := newProgress(g.Stderr, "log", 1)
		err := embedded.VerifyDir(g.Ctx, embedded.Options{Dir: g.Data + "/log"}, func(done, total int64) { bar.set(done, total) })
		bar.end()
		if err != nil {
			return fmt.Errorf("log: %w", err)
		}
	}
	return withHouse(g, func(h *house) error {
		head, err := h.store.Head(g.Ctx)
		if err != nil {
			return err
		}
		res.Events, res.Head = head.Events, uint64(head.Position)
		if err := h.verifyRegister(g, res); err != nil || c.LogOnly {
			return err
		}
		if err := h.catchUp(g.Ctx); err != nil {
			return fmt.Errorf("views: %w", err)
		}
		for _, p := range views(h.city) {
			if err := projections.CompareReplay(g.Ctx, h.store, h.views, h.catalogue, p); err != nil {
				return fmt.Errorf("view %s: %w", p.Name(), err)
			}
			res.Views = append(res.Views, p.Name())
		}
		return nil
	})
}

// verifyRegister compares the register with the log. A folder that was never served has none.
func (h *house) verifyRegister(g *globals, res *verifyResult) error {
	if _, err := os.Stat(registerDir(g)); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	o, err := h.registerOptions(g)
	if err != nil {
		return fmt.Errorf("register: %w", err)
	}
	bar := newProgress(g.Stderr, "register", 1)
	res.Leaves, err = register.Verify(g.Ctx, o, bar.set)
	bar.end()
	return err
}
