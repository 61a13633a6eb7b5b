package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"zujian/eventstore/embedded"
	"zujian/eventstore/register"
	"zujian/eventstore/seal"
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
	if errors.Is(err, register.ErrBehind) && s.RollBack {
		g.Log.Warn("rolling back behind a signed checkpoint, as told", "checkpoint", where, "err", err)
		return nil
	}
	if errors.Is(err, register.ErrBehind) {
		return fmt.Errorf("%s: %w; --roll-back goes on all the same", where, err)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", where, err)
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
	if !register.Held(nil, registerDir(g)) {
		return fmt.Errorf("the register in %s is not held", g.Data)
	}
	// The log and the keys are all that is needed, and nothing is made: the folder may be a vault's, the log elsewhere.
	if _, err := os.Stat(filepath.Join(g.Data, "log")); err != nil && g.Config.Store == "" {
		return fmt.Errorf("%w: there is no log in %s: say where it is, by --store", errUsage, g.Data)
	}
	if err := hasKeys(g); err != nil {
		return err
	}
	suite, err := seal.ParseSuite(g.Config.Suite)
	if err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	h := &house{}
	if err = h.openLog(g, embedded.Options{Dir: filepath.Join(g.Data, "log"), Now: g.Now, Logger: g.Log}); err == nil {
		err = h.openVault(g, suite, openOptions{now: g.Now})
	}
	if err == nil {
		err = c.resume(g, h)
	}
	return errors.Join(err, h.Close())
}

func (c *resumeCmd) resume(g *globals, h *house) error {
	o, err := h.registerOptions(g)
	if err != nil {
		return err
	}
	if err := c.check(g, &o); err != nil {
		return err
	}
	if c.Witnessed != "" && !c.RollBack {
		text, err := os.ReadFile(c.Witnessed)
		if err == nil {
			err = register.Adopt(g.Ctx, nil, o.Dir, o.Log, o.Keys, string(text))
		}
		if err != nil {
			return fmt.Errorf("%s: %w", c.Witnessed, err)
		}
	}
	if err := register.Release(nil, o.Dir); err != nil {
		return err
	}
	fmt.Fprintln(g.Stdout, "the register signs again at the next start")
	return nil
}
