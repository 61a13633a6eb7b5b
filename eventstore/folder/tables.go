package folder

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"
)

const tableSuffix = ".sst"

// CheckTables reads every block of the tables of Pebble in a folder against its checksum, those of filters and indexes, too,
// that who reads all rows never looks at, and its manifest. It names the file that is damaged. A folder that is missing has
// none, and a table may go meanwhile, as in a folder that is in use.
func CheckTables(ctx context.Context, disk vfs.FS, dir string) error {
	names, err := disk.List(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = CheckManifest(disk, dir)
	}
	if err != nil {
		return err
	}
	for _, name := range names {
		if !strings.HasSuffix(name, tableSuffix) {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		path := disk.PathJoin(dir, name)
		if err := checkTable(ctx, disk, path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("table %s: %w", path, Plain(err))
		}
	}
	return nil
}

func checkTable(ctx context.Context, disk vfs.FS, path string) error {
	f, err := disk.Open(path)
	if err != nil {
		return err
	}
	readable, err := sstable.NewSimpleReadable(f)
	if err != nil {
		return errors.Join(err, f.Close())
	}
	r, err := sstable.NewReader(ctx, readable, (*pebble.Options)(nil).MakeReaderOptions())
	if err != nil {
		return errors.Join(err, readable.Close())
	}
	err = r.ValidateBlockChecksums()
	if err == nil {
		err = checkFooter(f)
	}
	return errors.Join(err, r.Close())
}

// What a table ends with in the format that all of ours have, Pebble's fifth, as its package sstable writes it: the kind of
// checksum, two places of blocks as varints, zeroes, the number of the format, and eight bytes by which tables are known.
const (
	footerLen     = 53
	footerSum     = 1 // CRC-32C.
	footerHandles = 4 // Numbers.
	footerFormat  = 5 // From 6 on a footer has a checksum, to which its reader holds it.
	footerMagic   = "\xf0\x9f\xaa\xb3\xf0\x9f\xaa\xb3"
)

// checkFooter compares the end of a table, whose blocks are whole, with what would be written there: most of it no reader
// looks at, and it has no checksum.
func checkFooter(f vfs.File) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	var got, want [footerLen]byte
	if _, err := f.ReadAt(got[:], info.Size()-footerLen); err != nil {
		return err
	}
	const format = footerLen - len(footerMagic) - 4
	if binary.LittleEndian.Uint32(got[format:]) > footerFormat {
		return nil
	}
	want[0] = footerSum
	from, to := 1, 1
	for range footerHandles {
		n, size := binary.Uvarint(got[from:format])
		from += max(size, 0)
		to += binary.PutUvarint(want[to:], n)
	}
	binary.LittleEndian.PutUint32(want[format:], footerFormat)
	copy(want[format+4:], footerMagic)
	if got != want {
		return errors.New("its last bytes are damaged")
	}
	return nil
}

// Plain is an error of Pebble's without what it carries for programs alone, which would be printed, and with the file that it is
// about.
func Plain(err error) error {
	damage := pebble.ExtractDataCorruptionInfo(err)
	switch {
	case damage == nil || damage.Details == nil:
		return err
	case damage.Path == "":
		return damage.Details
	}
	return fmt.Errorf("%s: %w", damage.Path, damage.Details)
}
