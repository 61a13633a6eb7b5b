//go:build pkcs11

package main

import (
	"fmt"

	"zujian/eventstore/seal"
	"zujian/eventstore/seal/hsm"
)

// open logs in to the token that the flags name; without them the key-encryption key is in a file of the folder.
func (f hsmFlags) open() (seal.KeyWrapper, func() error, error) {
	if f.Module == "" {
		return nil, nil, nil
	}
	if f.Token == "" || f.PINFile == "" {
		return nil, nil, fmt.Errorf("%w: --hsm-module needs --hsm-token and --hsm-pin-file", errUsage)
	}
	w, err := hsm.Open(hsm.Options{Module: f.Module, Token: f.Token, PINFile: f.PINFile}, true)
	if err != nil {
		return nil, nil, err
	}
	return w, w.Close, nil
}
