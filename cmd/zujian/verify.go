package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"

	"golang.org/x/sync/errgroup"

	"zujian/eventstore"
	"zujian/eventstore/embedded"
	"zujian/eventstore/folder"
	"zujian/eventstore/register"
	"zujian/projections"
	"zujian/projections/pebbleviews"
)

// verifyCmd checks everything that can be checked from the folder alone.
type verifyCmd struct {
	LogOnly     bool   `help:"Check the log, the register and the seals, not the views against a replay."`
	WithoutKeys bool   `help:"The keys are not here: seals are looked at but not opened, and the tags of the register's leaves are taken as they are."`
	RegisterKey string `help:"Without the keys: the register's Ed25519 verifier key, to check the signature of its checkpoint." placeholder:"KEY"`
}

// withoutKeysLimit is what verify says of itself when the keys are not here.
const withoutKeysLimit = "without the keys: no sealed field was opened, tags of leaves were not tied to their streams"

type verifyResult struct {
	Events uint64      `json:"events"`
	Head   uint64      `json:"head"`
	Leaves uint64      `json:"leaves"` // Of the register's last checkpoint, each compared with its event.
	Seals  sealsResult `json:"seals"`
	Views  []string    `json:"views,omitempty"`
	Limit  string      `json:"limit,omitempty"` // What could not be checked.
	OK     bool        `json:"ok"`
	Error  string      `json:"error,omitempty"`
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
		fmt.Fprintf(g.Stdout, "log: %d events up to position %d are whole; register: %d leaves are theirs; seals: %d of %d fields open, %d are erased; views equal a replay: %v\n",
			res.Events, res.Head, res.Leaves, res.Seals.Opened, res.Seals.Fields, res.Seals.Erased, res.Views)
		if res.Seals.Pending > 0 {
			fmt.Fprintf(g.Stdout, "the keys of %d erased people are still there: the next start of serve destroys them\n", res.Seals.Pending)
		}
		if res.Limit != "" {
			fmt.Fprintln(g.Stdout, res.Limit)
		}
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
		if err := folder.CheckTables(g.Ctx, g.fs(), filepath.Join(g.Data, "log", "index")); err != nil {
			return fmt.Errorf("log: index: %w: delete that folder, it is built again", err)
		}
	}
	if g.Config.Views == "" && !c.LogOnly {
		if err := folder.CheckTables(g.Ctx, g.fs(), filepath.Join(g.Data, "views")); err != nil {
			return fmt.Errorf("views: %w: delete that folder, it is built again", err)
		}
	}
	o := openOptions{}
	if c.WithoutKeys {
		o.role, res.Limit = roleProject, withoutKeysLimit
	} else if err := hasKeys(g); err != nil {
		return err
	}
	h, err := openHouse(g, o)
	if err != nil {
		return err
	}
	return errors.Join(c.verifyHouse(g, h, res), h.Close())
}

func (c *verifyCmd) verifyHouse(g *globals, h *house, res *verifyResult) error {
	head, err := h.store.Head(g.Ctx)
	if err != nil {
		return err
	}
	res.Events, res.Head = head.Events, uint64(head.Position)
	if err := c.verifyRegister(g, h, res); err != nil {
		return err
	}
	if err := h.verifySeals(g, &res.Seals); err != nil || c.LogOnly {
		return err
	}
	if err := h.catchUp(g.Ctx); err != nil {
		return fmt.Errorf("views: %w", err)
	}
	return h.verifyViews(g, res)
}

// replayDir is where verify builds the views again; it is removed afterwards.
const replayDir = "replay.tmp"

// verifyViews builds every view again from the log, beside the one in use, and compares them: as many at once as there are
// processors, each by itself, so that the answer hangs on nothing that service does to be fast.
func (h *house) verifyViews(g *globals, res *verifyResult) (err error) {
	dir := filepath.Join(g.Data, replayDir)
	disk := g.fs()
	if err := disk.RemoveAll(dir); err != nil { // Of one that was killed.
		return err
	}
	defer func() { err = errors.Join(err, disk.RemoveAll(dir)) }()
	o := viewOptions(g)
	o.Scratch, o.FS = true, disk
	fresh, err := pebbleviews.Open(dir, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, fresh.Close()) }()
	list := views(h.city)
	bar := newProgress(g.Stderr, "views", int64(res.Events)*int64(len(list)))
	defer bar.end()
	work, ctx := errgroup.WithContext(g.Ctx)
	work.SetLimit(cores)
	for _, p := range list {
		work.Go(func() error {
			if err := projections.CompareReplay(ctx, shown{h.store, bar}, h.views, h.catalogue, p, fresh); err != nil {
				return fmt.Errorf("view %s: %w", p.Name(), err)
			}
			return nil
		})
	}
	if err := work.Wait(); err != nil {
		return err
	}
	for _, p := range list {
		res.Views = append(res.Views, p.Name())
	}
	return nil
}

// verifyRegister compares the register with the log. A folder that was never served has none.
func (c *verifyCmd) verifyRegister(g *globals, h *house, res *verifyResult) error {
	if h.vault != nil {
		if lost, err := h.lostRegister(g); err != nil || lost {
			return errors.Join(err, fmt.Errorf("register: what these keys have signed is missing from %s", registerDir(g)))
		}
	}
	if _, err := g.fs().Stat(registerDir(g)); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	o := register.Options{Dir: registerDir(g), FS: g.disk, Log: registerLog(h.store), Now: g.Now, Logger: g.Log}
	o.Public.Ed25519 = c.RegisterKey
	if h.vault == nil && res.Limit == "" {
		res.Limit = "the vault is elsewhere: tags of leaves were not tied to their streams"
	}
	if h.vault != nil {
		var err error
		if o, err = h.registerOptions(g); err != nil {
			return fmt.Errorf("register: %w", err)
		}
	}
	bar := newProgress(g.Stderr, "register", 1)
	defer bar.end()
	var err error
	res.Leaves, err = register.Verify(g.Ctx, o, bar.set)
	return err
}

// shown is a store whose readers, several at once, show how far they are together.
type shown struct {
	eventstore.Store
	bar *progress
}

const shownEvery = 1 << 12 // Events between two looks at the bar.

// All implements eventstore.Store.
func (w shown) All(ctx context.Context, after eventstore.Position) iter.Seq2[eventstore.Recorded, error] {
	return func(yield func(eventstore.Recorded, error) bool) {
		n := int64(0)
		defer func() { w.bar.add(n) }()
		for rec, err := range w.Store.All(ctx, after) {
			if n++; n == shownEvery {
				w.bar.add(n)
				n = 0
			}
			if !yield(rec, err) {
				return
			}
		}
	}
}
