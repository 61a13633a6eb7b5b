package main

import (
	"errors"
	"fmt"
	"io/fs"

	"zujian/eventstore/register"
)

// Log, keys and register of a folder belong together, and each is made where there is none yet. So where one is there and
// another is not, it is not made anew: it was lost.

// hasKeys refuses a folder whose keys are missing: opening it would make new ones, which open nothing.
func hasKeys(g *globals) error {
	if g.Config.Vault.URL != "" {
		return nil
	}
	disk := g.fs()
	if _, err := disk.Stat(disk.PathJoin(g.Data, "keys", "identity")); err != nil {
		return fmt.Errorf("keys: %w: restore them (`zujian verify --without-keys` checks what can be checked without)", err)
	}
	return nil
}

// refuseLostKeys refuses a folder's log of a register without its keys. Over a log elsewhere each server may have keys of its own.
func (h *house) refuseLostKeys(g *globals) error {
	if h.log == nil {
		return nil
	}
	lost := hasKeys(g)
	if !errors.Is(lost, fs.ErrNotExist) {
		return lost
	}
	for rec, err := range h.store.All(g.Ctx, 0) {
		if err != nil {
			return err
		}
		if _, err := h.catalogue.Decode(rec.Type, rec.Meta.Schema, rec.Data); err == nil {
			return fmt.Errorf("the log has events of a register, and its keys are missing: %w", lost)
		}
		break // Somebody else's: a register may begin behind them.
	}
	return nil
}

// refuseLostLog refuses the keys of people of whom the log knows nothing. New events would take the place of others.
func (h *house) refuseLostLog(g *globals) error {
	if h.vault == nil || h.vault.Keys() == 0 {
		return nil
	}
	head, err := h.store.Head(g.Ctx)
	if err == nil && head.Events == 0 {
		err = fmt.Errorf("the keys of %d people are in %s, and the log has no event: it is missing, or another: restore it", h.vault.Keys(), g.Data)
	}
	return err
}

// lostRegister tells whether these keys have signed and what they have signed is missing.
func (h *house) lostRegister(g *globals) (bool, error) {
	signs, err := h.vault.Signs()
	if err != nil || !signs {
		return false, err
	}
	_, there, err := register.LoadSigned(h.disk(), registerDir(g))
	return !there, err
}

// holdLostRegister makes a register that has lost what it had signed sign nothing new until witnesses or an operator say what
// that was: signed anew from the beginning, the log of today may be another tree than the one of then.
func (h *house) holdLostRegister(g *globals) error {
	lost, err := h.lostRegister(g)
	if err != nil || !lost || isDemo(g.Data) {
		return err
	}
	g.Log.Error("what the register had signed is missing, though its keys have signed: nothing new is signed until witnesses agree, or"+
		" `zujian resume --witnessed CHECKPOINT` says what was signed last", "folder", registerDir(g))
	return register.Hold(h.disk(), registerDir(g))
}

// noteSigns notes that these keys sign, now that what they have signed is kept. Without room for it the next start does.
func (h *house) noteSigns(g *globals) {
	if err := h.vault.NoteSigns(true); err != nil {
		g.Log.Warn("it was not noted that the keys have signed", "err", err)
	}
}
