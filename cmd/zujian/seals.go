package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"zujian/api/desk"
	"zujian/domain"
	"zujian/eventstore"
	"zujian/eventstore/seal"
)

// sealsResult is what was found of sealed fields.
type sealsResult struct {
	Fields   int  `json:"fields"`            // In all events.
	Opened   int  `json:"opened"`            // With their keys; their plaintext was thrown away.
	Erased   int  `json:"erased"`            // Whose key is destroyed, as a tombstone or an event of the log says.
	Pending  int  `json:"pending,omitempty"` // People whom the log says are erased and whose key is still there.
	Formal   int  `json:"formal,omitempty"`  // Only looked at, without the keys.
	Damaged  int  `json:"damaged,omitempty"` // Fields that open by no key.
	KeysHere bool `json:"keys_here"`         // Whether there were keys to open them with.
}

const sealsNamed = 10 // Damaged fields that an error lists; the others are counted.

// sealCheck opens every sealed field of the log.
type sealCheck struct {
	vault   desk.Vault // nil without the keys.
	buried  func(subject string) bool
	types   domain.Catalogue
	seals   *desk.Seals
	res     *sealsResult
	erased  map[string]bool // Subjects whose erasure is in the log.
	live    map[string]bool // Subjects whose key opened something.
	without []lacking       // Fields whose key is gone without a tombstone.
	damage  []string
}

// lacking is a field that can't be opened, unless an event says why.
type lacking struct{ subject, what string }

// verifySeals opens every sealed field of every event: with its key, or there is a tombstone or an erasure in the log that
// says why not. The error names the events concerned. Without keys only the form of the values is looked at.
func (h *house) verifySeals(g *globals, res *sealsResult) error {
	c := &sealCheck{
		types: h.catalogue, seals: desk.NewSeals(), res: res,
		erased: map[string]bool{}, live: map[string]bool{},
	}
	if h.keys != nil {
		c.vault, res.KeysHere = h.keys, true
	}
	if c.buried = func(string) bool { return true }; h.vault != nil { // A vault elsewhere gives its word alone.
		c.buried = h.vault.Buried
	}
	wanted := map[string]bool{}
	for _, t := range desk.SealedTypes() {
		wanted[t] = true
	}
	bar := newProgress(g.Stderr, "seals", 1)
	defer bar.end()
	for rec, err := range (shown{h.store, bar}).All(g.Ctx, 0) {
		if err != nil {
			return err
		}
		if !wanted[rec.Type] {
			continue
		}
		if err := c.event(g.Ctx, &rec); err != nil {
			return err
		}
	}
	return c.end()
}

func (c *sealCheck) event(ctx context.Context, rec *eventstore.Recorded) error {
	e, err := c.types.Decode(rec.Type, rec.Meta.Schema, rec.Data)
	if err != nil {
		return fmt.Errorf("event at position %d: %w", rec.Position, err)
	}
	if who := c.seals.Erases(rec.Stream, e); who != "" {
		c.erased[who] = true
	}
	for _, f := range c.seals.Of(rec.Stream, e) {
		c.res.Fields++
		what := fmt.Sprintf("%s of %s, ordinal %d, at position %d", f.Path, rec.Type, rec.Ordinal, rec.Position)
		if c.vault == nil {
			if err := seal.Inspect(string(f.Value)); err != nil {
				c.lost(what, err)
			}
			c.res.Formal++
			continue
		}
		_, err := c.vault.Open(ctx, f.Subject, f.Stream, f.Field, string(f.Value))
		switch {
		case err == nil:
			c.res.Opened++
			c.live[f.Subject] = true
		case errors.Is(err, seal.ErrErased) && c.buried(f.Subject):
			c.res.Erased++
		case errors.Is(err, seal.ErrErased), errors.Is(err, seal.ErrNoKey):
			c.without = append(c.without, lacking{f.Subject, what})
		case errors.Is(err, seal.ErrUnavailable) || ctx.Err() != nil:
			return err
		default:
			c.lost(what, err)
		}
	}
	return nil
}

func (c *sealCheck) lost(what string, err error) {
	if c.res.Damaged++; len(c.damage) < sealsNamed {
		c.damage = append(c.damage, fmt.Sprintf("%s: %v", what, err))
	}
}

// end judges what only the whole log could tell.
func (c *sealCheck) end() error {
	for _, f := range c.without {
		if c.erased[f.subject] {
			c.res.Erased++
			continue
		}
		c.lost(f.what, errors.New("its key is gone, and no tombstone or event says that it was erased"))
	}
	for subject := range c.live {
		if c.erased[subject] {
			c.res.Pending++
		}
	}
	if c.res.Damaged == 0 {
		return nil
	}
	return fmt.Errorf("seals: %d of %d sealed fields can't be opened:\n%s", c.res.Damaged, c.res.Fields, strings.Join(c.damage, "\n"))
}
