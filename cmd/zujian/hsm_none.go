//go:build !pkcs11

package main

import (
	"fmt"

	"zujian/eventstore/seal"
)

// open says that this program was built without tokens: they need a C compiler.
func (f hsmFlags) open() (seal.KeyWrapper, func() error, error) {
	if f.Module == "" {
		return nil, nil, nil
	}
	return nil, nil, fmt.Errorf("%w: this program was built without PKCS#11: CGO_ENABLED=1 go build -tags pkcs11 ./cmd/zujian", errUsage)
}
