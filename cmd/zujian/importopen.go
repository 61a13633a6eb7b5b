package main

import (
	"errors"
	"fmt"
)

// openImportTarget opens the register for an import. No other process may have it open; `serve` feeds the views from
// what was recorded when it starts.
func openImportTarget(g *globals) (*importTarget, error) {
	h, err := openHouse(g, openOptions{})
	if err != nil {
		return nil, fmt.Errorf("open the register: %w", err)
	}
	if h.vault == nil {
		return nil, errors.Join(errVaultElsewhere, h.Close())
	}
	if err := h.trustClock(g); err != nil {
		return nil, errors.Join(err, h.Close())
	}
	policy, err := h.desk.Policy(g.Ctx)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("read the rule set: %w", err), h.Close())
	}
	return &importTarget{
		Store: h.store, Catalogue: catalogue(), Policy: policy, Close: h.Close, // Without memo: nobody reads the rows now.
		Blind: func(id string) string { return h.vault.Blind("legacy_lessor", id) },
	}, nil
}
