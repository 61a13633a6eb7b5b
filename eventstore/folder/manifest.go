package folder

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// How Pebble's package record writes a manifest: in blocks, of chunks of a checksum, a length and a kind, and their bytes. What is
// left of a block that has no room for a chunk's head is zero.
const (
	chunkBlock = 32 << 10
	chunkHead  = 4 + 2 + 1
	chunkKinds = 4       // From 1 on.
	page       = 4 << 10 // What a power loss keeps from the disk, or not.
	checkTries = 3       // Each meets a database in use that begins its next manifest meanwhile.
	manifestIs = "which says what tables there are, is damaged"
)

// CheckManifest reads the manifest of a database of Pebble in a folder. Pebble takes a damaged record for what a crash left
// unfinished, forgets all that the manifest says from there on, and may so, without a word, go on with tables that others had
// replaced, and without what only those hold. A folder that is missing, or has no database, passes, and what a crash has left
// unfinished.
func CheckManifest(disk vfs.FS, dir string) error {
	for try := 1; ; try++ {
		path, err := checkManifest(disk, dir)
		switch {
		case err == nil, path == "" && errors.Is(err, fs.ErrNotExist):
			return nil
		case try == checkTries || !errors.Is(err, fs.ErrNotExist):
			return err
		}
	}
}

func checkManifest(disk vfs.FS, dir string) (path string, err error) {
	desc, err := pebble.Peek(dir, disk)
	if err != nil || !desc.Exists {
		return "", err
	}
	f, err := disk.Open(desc.ManifestFilename)
	if err != nil {
		return desc.ManifestFilename, err
	}
	b, err := io.ReadAll(f)
	if err = errors.Join(err, f.Close()); err != nil {
		return desc.ManifestFilename, err
	}
	if at := damagedChunk(b); at >= 0 {
		return desc.ManifestFilename, fmt.Errorf("%s, %s at byte %d", desc.ManifestFilename, manifestIs, at)
	}
	return desc.ManifestFilename, nil
}

// damagedChunk is where the first chunk of a manifest starts that is damaged, -1 if none is.
func damagedChunk(b []byte) int {
	for at := 0; at < len(b); {
		end := blockEnd(b, at)
		if n := chunk(b[at:end]); n > 0 {
			at += n
		} else if end-at < chunkHead {
			at = end
		} else if unfinished(b, at) {
			return -1
		} else {
			return at
		}
	}
	return -1
}

func blockEnd(b []byte, at int) int { return min(at-at%chunkBlock+chunkBlock, len(b)) }

// chunk is the length of the chunk that b starts with, 0 if that is none.
func chunk(b []byte) int {
	if len(b) < chunkHead || b[6] < 1 || b[6] > chunkKinds {
		return 0
	}
	n := chunkHead + int(binary.LittleEndian.Uint16(b[4:]))
	if n > len(b) || !summed(b[:n]) {
		return 0
	}
	return n
}

// summed tells whether b, a chunk, has its checksum.
func summed(b []byte) bool {
	c := crc32.Checksum(b[6:], castagnoli)
	return binary.LittleEndian.Uint32(b) == (c>>15|c<<17)+0xa282ead8 // What they call a masked sum.
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// unfinished tells whether what starts at a place of a manifest, and is no chunk, may be the last that was begun: nothing
// follows it, and it does not reach just to the end, by its length or by its sum, or a page of it never came to the disk.
func unfinished(b []byte, at int) bool {
	for next := at + 1; next < len(b); next++ {
		if chunk(b[next:blockEnd(b, next)]) > 0 {
			return false
		}
	}
	for from := at; from < len(b); {
		to := min(from-from%page+page, len(b))
		if len(bytes.TrimLeft(b[from:to], "\x00")) == 0 {
			return true
		}
		from = to
	}
	whole := at+chunkHead+int(binary.LittleEndian.Uint16(b[at+4:])) == len(b)
	return !whole && (blockEnd(b, at) != len(b) || !summed(b[at:]))
}
