package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"slices"
	"time"

	"zujian/api/desk"
	"zujian/eventstore"
	"zujian/eventstore/register"
	"zujian/eventstore/seal"
	"zujian/projections"
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

// refuseLostVault refuses the folder of a vault that has served, or has signed, and whose keys are missing.
func refuseLostVault(g *globals) error {
	lost := hasKeys(g)
	if !errors.Is(lost, fs.ErrNotExist) {
		return lost
	}
	disk := g.fs()
	for _, path := range []string{disk.PathJoin(g.Data, vaultTokenFile), disk.PathJoin(registerDir(g), "checkpoint")} {
		if _, err := disk.Stat(path); err == nil {
			return fmt.Errorf("%s is there, so a vault was served from %s, and its keys are missing: %w", path, g.Data, lost)
		}
	}
	return nil
}

const viewsLook = 100 * time.Millisecond // Between two looks for views that are away.

const knownWithin = 16_384 // Events at either end of the log within which somebody is looked for whom the keys must know.

// refuseOtherKeys refuses keys that do not know the first person of whom the log holds something sealed, or the last one if
// the log begins with an older register's contracts: they are another register's, or were made in place of some that were
// lost, perhaps in a vault elsewhere. With them nobody of the log would be known any more.
func (h *house) refuseOtherKeys(g *globals) error {
	if h.keys == nil {
		return nil
	}
	for _, events := range []iter.Seq2[eventstore.Recorded, error]{
		h.store.All(g.Ctx, 0), h.store.AllBack(g.Ctx, eventstore.LastPosition),
	} {
		if known, err := h.knowsOneOf(g, events); known || err != nil {
			return err
		}
	}
	return nil
}

// knowsOneOf looks for the first of some events whose subject's key is not destroyed. known is false if there is none.
func (h *house) knowsOneOf(g *globals, events iter.Seq2[eventstore.Recorded, error]) (known bool, err error) {
	seals, wanted, n := desk.NewSeals(), desk.SealedTypes(), 0
	for rec, err := range events {
		if n++; err != nil || n > knownWithin {
			return false, err
		}
		if !slices.Contains(wanted, rec.Type) {
			continue
		}
		e, err := h.catalogue.Decode(rec.Type, rec.Meta.Schema, rec.Data)
		if err != nil {
			return false, fmt.Errorf("event at position %d: %w", rec.Position, err)
		}
		for _, f := range seals.Of(rec.Stream, e) {
			if f.Subject == "" {
				continue // An account's, told by an event before it.
			}
			switch _, err := h.keys.Open(g.Ctx, f.Subject, f.Stream, f.Field, string(f.Value)); {
			case errors.Is(err, seal.ErrNoKey):
				return false, fmt.Errorf("the keys do not know of whom the log says something at position %d: keys or log are another register's, or the"+
					" keys were made in place of some that were lost: restore the key folder, or the vault's", rec.Position)
			case !errors.Is(err, seal.ErrErased):
				return true, nil // It opens, or what is wrong is for those to say who ask for it.
			}
		}
	}
	return false, nil
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

// refuseOtherViews refuses views that know of events that the log does not have: they would be shown for ever. If it is the log
// that was put back, by hand, more may have been signed, too. projections.ErrUnavailable says that the views are away.
func (h *house) refuseOtherViews(ctx context.Context, g *globals) error {
	err := projections.CheckLog(ctx, h.store, h.views, views(h.city))
	if err != nil && !errors.Is(err, projections.ErrUnavailable) && h.vault != nil && !isDemo(g.Data) {
		err = errors.Join(err, register.Hold(h.disk(), registerDir(g)))
	}
	return err
}

// refuseOtherViewsLater is refuseOtherViews of views that are away, once they are back.
func (h *house) refuseOtherViewsLater(ctx context.Context, g *globals) error {
	look := time.NewTicker(viewsLook)
	defer look.Stop()
	for {
		if err := h.refuseOtherViews(ctx, g); !errors.Is(err, projections.ErrUnavailable) {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-look.C:
		}
	}
}

// lostRegister tells whether these keys have signed and what they have signed is missing, or is less than it was.
func (h *house) lostRegister(g *globals) (bool, error) {
	size, signs, err := h.vault.Signs()
	if err != nil || !signs {
		return false, err
	}
	signed, there, err := register.LoadSigned(h.disk(), registerDir(g))
	return !there || signed.Size < size, err
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

// noteSigns notes how much these keys have signed, now that it is kept. Without room for it the next start does.
func (h *house) noteSigns(g *globals) {
	signed, there, err := register.LoadSigned(h.disk(), registerDir(g))
	if err == nil && there {
		err = h.vault.NoteSigns(signed.Size)
	}
	if err != nil {
		g.Log.Warn("it was not noted that the keys have signed", "err", err)
	}
}
