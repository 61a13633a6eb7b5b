package folder

import (
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Ordered is a disk for Pebble's databases. Pebble makes a manifest and then an empty file, a marker, whose name tells which
// manifest counts, and makes both names durable together: a power loss between the two may leave the marker alone, and the
// database can't be opened again. Here the names made so far are durable before a marker is made.
func Ordered(disk vfs.FS) vfs.FS { return ordered{disk} }

type ordered struct{ vfs.FS }

const markerPrefix = "marker." // Pebble's package atomicfs.

// Create implements vfs.FS.
func (o ordered) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if strings.HasPrefix(o.PathBase(name), markerPrefix) {
		if err := Sync(o.FS, o.PathDir(name)); err != nil {
			return nil, err
		}
	}
	return o.FS.Create(name, category)
}

// Unwrap implements vfs.FS.
func (o ordered) Unwrap() vfs.FS { return o.FS }
