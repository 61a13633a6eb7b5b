package main

import (
	"fmt"
	"path/filepath"

	"zujian/domain"
	"zujian/domain/contract"
	"zujian/eventstore/embedded"
)

// openImportTarget opens the register's log for an import. No other process may have it open.
func openImportTarget(g *globals) (*importTarget, error) {
	store, err := embedded.Open(embedded.Options{Dir: filepath.Join(g.Data, "log"), Now: g.Now, Logger: g.Log})
	if err != nil {
		return nil, fmt.Errorf("open the log: %w", err)
	}
	return &importTarget{Store: store, Catalogue: domain.NewCatalogue(contract.Types), Close: store.Close}, nil
}
