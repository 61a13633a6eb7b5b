//go:build !linux

package embedded

import "github.com/cockroachdb/pebble/v2/vfs"

// mapFile maps nothing: outside Linux a mapping need not see what is written to the file.
func mapFile(vfs.File, int64) []byte { return nil }

func unmapFile([]byte) error { return nil }
