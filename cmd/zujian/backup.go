package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"zujian/eventstore/embedded"
	"zujian/eventstore/folder"
	"zujian/eventstore/register"
	"zujian/eventstore/seal"
)

// backupFile is the list of contents of a backup. It is written last: a folder without it is no backup.
const backupFile = "backup.json"

// backupFormat is the version of that list; that of a part alone is another, which programs of before refuse.
const (
	backupFormat     = 1
	backupFormatPart = 2
)

// Parts of a register that a folder may hold alone: those of `zujian store` and of `zujian vault`.
const (
	onlyLog  = "log"
	onlyKeys = "keys"
)

// backupContents is what a backup holds.
type backupContents struct {
	Format  int             `json:"format"`
	Made    time.Time       `json:"made"`
	Program string          `json:"program"`
	City    string          `json:"city"`
	Only    string          `json:"only,omitempty"` // The part that it is of; empty if of both.
	Log     embedded.Copied `json:"log"`
	Keys    string          `json:"keys,omitempty"`   // SHA-256 of the sums of the keys; empty in backups of before they had it, and of a log alone.
	Signed  *backupSigned   `json:"signed,omitempty"` // nil in backups of before they had it, and of a log that was never served.
	Sum     string          `json:"sum,omitempty"`    // SHA-256 of the file with noSum here; empty in backups of before they had it.
}

var noSum = strings.Repeat("0", 2*sha256.Size)

// write writes the list, its sum in it.
func (c backupContents) write(path string) error {
	c.Sum = noSum
	raw, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return err
	}
	return folder.File{Path: path, Data: withSum(raw, noSum, hexSum(raw)), Mode: 0o600}.Write(folder.Real())
}

// withSum puts another sum in place of the one in a list.
func withSum(raw []byte, was, is string) []byte {
	at := max(bytes.LastIndex(raw, []byte(was)), 0)
	return append(append(bytes.Clone(raw[:at]), is...), raw[min(at+len(was), len(raw)):]...)
}

func hexSum(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// backupSigned says what the register had signed when the backup began. The note, with its cosignatures, is beside it in
// register/checkpoint.
type backupSigned struct {
	Size uint64 `json:"size"`
	Root string `json:"root"` // Base64, as in the note.
}

// backupCmd copies a data folder while it is in use.
type backupCmd struct {
	To     string `required:"" type:"path" help:"Folder to make the backup in; it must not exist."`
	Since  string `type:"path" help:"An earlier backup: its finished segments are linked, not copied." placeholder:"DIR"`
	Only   string `enum:"log,keys," default:"" help:"The folder holds a part alone: log (of zujian store) or keys (of zujian vault, with what it has signed)."`
	KeysTo string `type:"path" help:"Folder for the keys; in the backup if empty. Keep them apart, and no longer than an erasure may take." placeholder:"DIR"`
}

// inside says whether a path is a folder or in it, links on the way to what is there resolved.
func inside(path, dir string) bool {
	rel, err := filepath.Rel(resolved(dir), resolved(path))
	return err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator))
}

func resolved(path string) string {
	path, _ = filepath.Abs(path) // It fails without a working folder only; then Rel does, too.
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real
	}
	above := filepath.Dir(path)
	if above == path {
		return path
	}
	return filepath.Join(resolved(above), filepath.Base(path))
}

// Run implements the command.
func (c *backupCmd) Run(g *globals) error {
	if err := needsFolder(g, "backup"); err != nil {
		return err
	}
	started := g.Now()
	if _, err := os.Lstat(c.To); err == nil {
		return fmt.Errorf("%w: %s exists", errUsage, c.To)
	}
	for _, to := range []string{c.To, c.KeysTo} {
		if to != "" && inside(to, g.Data) {
			return fmt.Errorf("%w: %s is in the folder that is backed up, and would be lost with it", errUsage, to)
		}
	}
	if there, err := os.ReadDir(c.KeysTo); c.KeysTo != "" && err == nil && len(there) > 0 {
		return fmt.Errorf("%w: %s is not empty: each backup's keys have a folder of their own", errUsage, c.KeysTo)
	}
	contents := backupContents{Format: backupFormat, Made: started, Program: version, City: g.Config.City, Only: c.Only}
	if c.Only != "" {
		contents.Format = backupFormatPart
	}
	if c.Only == onlyLog && c.KeysTo != "" || c.Only == onlyKeys && c.Since != "" {
		return fmt.Errorf("%w: --keys-to is not for the log alone, nor --since for keys", errUsage)
	}
	var since *embedded.Copied
	sinceDir := ""
	if c.Since != "" {
		earlier, err := readBackup(c.Since)
		if err != nil {
			return err
		}
		if earlier.Only == onlyKeys {
			return fmt.Errorf("%w: %s is a backup of keys alone", errUsage, c.Since)
		}
		since, sinceDir = &earlier.Log, filepath.Join(c.Since, "log")
	}
	keys := ""
	if c.Only != onlyLog { // What was signed first: the log copied after it goes at least as far.
		var err error
		if contents.Signed, err = backUpSigned(registerDir(g), filepath.Join(c.To, "register")); err != nil {
			return err
		}
	}
	if c.Only != onlyKeys { // The log before the keys: those open everything that is in it.
		var err error
		bar := newProgress(g.Stderr, "log", 1)
		contents.Log, err = embedded.CopyLog(g.Ctx, embedded.Options{Dir: filepath.Join(g.Data, "log"), Logger: g.Log},
			filepath.Join(c.To, "log"), since, sinceDir, bar.set)
		bar.end()
		if err != nil {
			return err
		}
	}
	if c.Only != onlyLog {
		if keys = c.KeysTo; keys == "" {
			keys = filepath.Join(c.To, "keys")
		}
		var err error
		contents.Keys, err = seal.CopyKeys(g.Data, keys)
		if errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("%w (--only log backs up the folder of a zujian store, which has none)", err)
		}
		if err != nil {
			return err
		}
	}
	if err := contents.write(filepath.Join(c.To, backupFile)); err != nil {
		return err
	}
	took := g.Now().Sub(started)
	if g.JSON {
		return json.NewEncoder(g.Stdout).Encode(map[string]any{
			"events": contents.Log.Events, "position": contents.Log.End.Position, "seconds": took.Seconds(), "to": c.To, "keys": keys,
		})
	}
	switch c.Only {
	case onlyLog:
		fmt.Fprintf(g.Stdout, "%d events up to position %d are in %s, without keys (%.1f s)\n", contents.Log.Events, contents.Log.End.Position, c.To, took.Seconds())
	case onlyKeys:
		fmt.Fprintf(g.Stdout, "the keys are in %s, without a log (%.1f s)\n", keys, took.Seconds())
	default:
		fmt.Fprintf(g.Stdout, "%d events up to position %d are in %s, the keys in %s (%.1f s)\n", contents.Log.Events,
			contents.Log.End.Position, c.To, keys, took.Seconds())
	}
	return nil
}

// backUpSigned copies what the register has signed last; nil if it never has.
func backUpSigned(from, to string) (*backupSigned, error) {
	signed, ok, err := register.LoadSigned(nil, from)
	if err != nil || !ok {
		return nil, err
	}
	return &backupSigned{Size: signed.Size, Root: register.Encode(signed.Root)}, signed.Save(nil, to)
}

func readBackup(dir string) (c backupContents, err error) {
	raw, err := folder.Read(folder.Real(), filepath.Join(dir, backupFile))
	if errors.Is(err, fs.ErrNotExist) {
		return c, fmt.Errorf("%s is no finished backup: it has no %s", dir, backupFile)
	}
	if err != nil {
		return c, fmt.Errorf("read backup: %w", err)
	}
	if err := json.Unmarshal(raw, &c); err != nil {
		return c, fmt.Errorf("read backup %s: %s: %w", dir, backupFile, err)
	}
	if c.Sum != "" && hexSum(withSum(raw, c.Sum, noSum)) != c.Sum {
		return c, fmt.Errorf("backup %s: %s is damaged: use another backup", dir, backupFile)
	}
	if c.Format != backupFormat && c.Format != backupFormatPart {
		return c, fmt.Errorf("backup %s has format %d; this program reads formats %d and %d", dir, c.Format, backupFormat, backupFormatPart)
	}
	if whole := c.Format == backupFormat; whole != (c.Only == "") || !whole && c.Only != onlyLog && c.Only != onlyKeys {
		return c, fmt.Errorf("backup %s: %s says format %d of %q", dir, backupFile, c.Format, c.Only)
	}
	return c, nil
}
