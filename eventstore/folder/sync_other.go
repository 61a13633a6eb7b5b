//go:build !linux

package folder

import "errors"

type syncer struct{}

func takeSyncer() (*syncer, error) { return nil, errors.ErrUnsupported }

func syncApart(uintptr) (taken bool, err error) { return false, nil }

func leaveSyncer(*syncer) {}
