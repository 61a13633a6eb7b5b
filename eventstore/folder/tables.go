package folder

import (
	"context"
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
// that who reads all rows never looks at. It names the table that is damaged. A folder that is missing has none, and a table
// may go meanwhile, as in a folder that is in use.
func CheckTables(ctx context.Context, disk vfs.FS, dir string) error {
	names, err := disk.List(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
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
	return errors.Join(r.ValidateBlockChecksums(), r.Close())
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
