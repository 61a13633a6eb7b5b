package main

import (
	"errors"
	"fmt"
	"path/filepath"

	"zujian/eventstore/embedded"
	"zujian/eventstore/register"
	"zujian/eventstore/seal"
)

// A data folder that was copied file by file may be an old one: put in the place of the one in use it would know people again
// who were erased since, and sign a second tree over what was signed since. See [seal.Vault.Copied].

// settle makes a copied folder the one in use: whom its log says so of is erased again, and nothing new is signed until
// somebody says that no more was. A demo city is nobody's register.
func (h *house) settle(g *globals) error {
	if h.vault == nil || !h.vault.Copied() {
		return nil
	}
	if !isDemo(g.Data) {
		if err := register.Hold(nil, registerDir(g)); err != nil {
			return err
		}
		n, err := eraseAgain(g, h)
		if err != nil {
			return err
		}
		g.Log.Error("the data folder was copied file by file, and more may have been signed than this copy knows: nothing new is signed until"+
			" witnesses agree, or `zujian resume --witnessed CHECKPOINT` says what was signed last", "data", g.Data, "erased_again", n)
	}
	return h.vault.Settle()
}

// refuseCopy refuses the folder of a vault that was copied, which has no log that says who was erased since.
func (h *house) refuseCopy(g *globals) error {
	if !h.vault.Copied() {
		return nil
	}
	if err := register.Hold(nil, registerDir(g)); err != nil {
		return err
	}
	return fmt.Errorf("%s is a copy of a vault's folder, made file by file: people who were erased since would be known again, and more may have been "+
		"signed since. `zujian resume --store LOG --data %s --witnessed CHECKPOINT` (or --roll-back) makes it the one in use", g.Data, g.Data)
}

// withKeys opens log and keys for one command, and makes nothing else in the folder.
func withKeys(g *globals, f func(*house) error) error {
	suite, err := seal.ParseSuite(g.Config.Suite)
	if err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	h := &house{}
	if err = h.openLog(g, embedded.Options{FS: g.disk, Dir: filepath.Join(g.Data, "log"), Suite: byte(suite), Now: g.Now, Logger: g.Log, Fatal: g.fatal}); err == nil {
		err = h.openVault(g, suite, openOptions{now: g.Now})
	}
	if err == nil {
		err = f(h)
	}
	return errors.Join(err, h.Close())
}
