package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"zujian/eventstore/register"
)

// signedUpTo says how far a register has signed, as far as whoever restores it knows.
type signedUpTo struct {
	Witnessed string `type:"existingfile" help:"The newest checkpoint that you or a witness kept, as /checkpoint served it: a log that ends before it is refused." placeholder:"FILE"`
	RollBack  bool   `help:"Go on from an earlier log all the same: what was signed after it is denied, and witnesses will say so."`
}

// said tells whether anything was said at all.
func (s *signedUpTo) said() bool { return s.Witnessed != "" || s.RollBack }

// check refuses a log that would take back what was signed over.
func (s *signedUpTo) check(g *globals, o *register.Options) error {
	if s.Witnessed == "" {
		return nil
	}
	note, err := os.ReadFile(s.Witnessed)
	if err != nil {
		return fmt.Errorf("read the witnessed checkpoint: %w", err)
	}
	return s.against(g, o, string(note), s.Witnessed)
}

func (s *signedUpTo) against(g *globals, o *register.Options, note, where string) error {
	err := register.CheckAgainst(g.Ctx, o.Log, o.Keys, "", note)
	if errors.Is(err, register.ErrBehind) {
		return s.behind(g, err, where)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", where, err)
	}
	return nil
}

// behind refuses a log that ends before what was signed, unless told.
func (s *signedUpTo) behind(g *globals, err error, where string) error {
	if !s.RollBack {
		return fmt.Errorf("%s: %w; --roll-back goes on all the same", where, err)
	}
	g.Log.Warn("rolling back behind a signed checkpoint, as told", "checkpoint", where, "err", err)
	return nil
}

// adopt makes the register know that it has signed the witnessed checkpoint.
func (s *signedUpTo) adopt(g *globals, o *register.Options) error {
	text, err := os.ReadFile(s.Witnessed)
	if err == nil {
		err = register.Adopt(g.Ctx, nil, o.Dir, o.Log, o.Keys, string(text))
	}
	if err != nil {
		return fmt.Errorf("%s: %w", s.Witnessed, err)
	}
	return nil
}

// checkNear looks in the folders beside the given ones for what these keys have signed over a longer log: an older backup
// beside a newer one, or beside the folder that went on.
func (s *signedUpTo) checkNear(g *globals, o *register.Options, not string, folders ...string) error {
	var newest register.Signed
	where := ""
	for _, folder := range folders {
		beside, err := filepath.Glob(filepath.Join(filepath.Dir(filepath.Clean(folder)), "*", "register"))
		if err != nil {
			return err
		}
		for _, dir := range beside {
			if filepath.Dir(dir) == not {
				continue
			}
			signed, ok, err := register.LoadSigned(nil, dir)
			if err != nil || !ok || signed.By(o.Keys) != nil { // Damaged, or another register's: it says nothing of this one.
				continue
			}
			if where == "" || signed.Size > newest.Size {
				newest, where = signed, dir
			}
		}
	}
	if where == "" {
		return nil
	}
	err := s.against(g, o, newest.Note, where)
	if errors.Is(err, register.ErrForked) && s.RollBack { // It went on by itself, as this one will.
		g.Log.Warn("another folder has signed another log under these keys", "folder", where)
		return nil
	}
	return err
}

// resumeCmd lets a restored register sign again.
type resumeCmd struct {
	signedUpTo `embed:""`
}

// Run implements the command.
func (c *resumeCmd) Run(g *globals) error {
	if g.Config.Vault.URL != "" { // The log may be elsewhere: what was restored then is the vault's folder.
		return errVaultElsewhere
	}
	if !c.said() {
		return fmt.Errorf("%w: say what was signed last, by --witnessed FILE, or --roll-back", errUsage)
	}
	// The log and the keys are all that is needed, and nothing is made: the folder may be a vault's, the log elsewhere.
	if _, err := os.Stat(filepath.Join(g.Data, "log")); err != nil && g.Config.Store == "" {
		return fmt.Errorf("%w: there is no log in %s: say where it is, by --store", errUsage, g.Data)
	}
	if err := hasKeys(g); err != nil {
		return err
	}
	return withKeys(g, func(h *house) error { return c.resume(g, h) })
}

func (c *resumeCmd) resume(g *globals, h *house) error {
	o, err := h.registerOptions(g)
	if err != nil {
		return err
	}
	behind, err := c.behindSigned(g, h, o.Dir)
	if err != nil {
		return err
	}
	held := register.Held(nil, o.Dir)
	if !held && !behind && !h.vault.Copied() {
		return fmt.Errorf("the register in %s is not held", g.Data)
	}
	if err := c.check(g, &o); err != nil {
		return err
	}
	if !held { // Until all that follows is done.
		if err := register.Hold(nil, o.Dir); err != nil {
			return err
		}
	}
	erased, err := eraseAgain(g, h)
	if err != nil {
		return err
	}
	if behind {
		if err := register.Forget(nil, o.Dir); err != nil {
			return err
		}
	}
	if c.Witnessed != "" && !c.RollBack {
		if err := c.adopt(g, &o); err != nil {
			return err
		}
	}
	signed, there, err := register.LoadSigned(nil, o.Dir)
	if err = errors.Join(err, h.vault.ForgetSigns()); err == nil && there { // If not, it was told to forget it, or that there is nothing.
		err = h.vault.NoteSigns(signed.Size)
	}
	if err != nil {
		return err
	}
	if err := errors.Join(h.vault.Settle(), register.Release(nil, o.Dir)); err != nil {
		return err
	}
	if erased > 0 {
		fmt.Fprintf(g.Stdout, "%d people were erased again, as the log says\n", erased)
	}
	fmt.Fprintln(g.Stdout, "the register signs again at the next start")
	return nil
}

// behindSigned tells whether the log ends before what the folder itself has signed, which is refused unless told.
func (c *resumeCmd) behindSigned(g *globals, h *house, dir string) (bool, error) {
	head, err := h.store.Head(g.Ctx)
	if err != nil {
		return false, err
	}
	signed, ok, err := register.LoadSigned(nil, dir)
	if err != nil || !ok || signed.Size <= head.Events {
		return false, err
	}
	return true, c.behind(g, fmt.Errorf("%w: %d events, not %d", register.ErrBehind, head.Events, signed.Size), dir)
}
