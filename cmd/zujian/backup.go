package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"zujian/domain/party"
	"zujian/eventstore/embedded"
	"zujian/eventstore/register"
	"zujian/eventstore/seal"
)

// backupFile is the list of contents of a backup. It is written last: a folder without it is no backup.
const backupFile = "backup.json"

// backupFormat is the version of that list.
const backupFormat = 1

// backupContents is what a backup holds.
type backupContents struct {
	Format  int             `json:"format"`
	Made    time.Time       `json:"made"`
	Program string          `json:"program"`
	City    string          `json:"city"`
	Log     embedded.Copied `json:"log"`
}

// backupCmd copies a data folder while it is in use.
type backupCmd struct {
	To     string `required:"" type:"path" help:"Folder to make the backup in; it must not exist."`
	Since  string `type:"path" help:"An earlier backup: its finished segments are linked, not copied." placeholder:"DIR"`
	KeysTo string `type:"path" help:"Folder for the keys; in the backup if empty. Keep them apart, and no longer than an erasure may take." placeholder:"DIR"`
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
	contents := backupContents{Format: backupFormat, Made: started, Program: version, City: g.Config.City}
	var since *embedded.Copied
	sinceDir := ""
	if c.Since != "" {
		earlier, err := readBackup(c.Since)
		if err != nil {
			return err
		}
		since, sinceDir = &earlier.Log, filepath.Join(c.Since, "log")
	}
	// The log first: the keys copied after it open everything that is in it.
	bar := newProgress(g.Stderr, "log", 1)
	var err error
	contents.Log, err = embedded.CopyLog(g.Ctx, embedded.Options{Dir: filepath.Join(g.Data, "log"), Logger: g.Log},
		filepath.Join(c.To, "log"), since, sinceDir, bar.set)
	bar.end()
	if err != nil {
		return err
	}
	keys := c.KeysTo
	if keys == "" {
		keys = filepath.Join(c.To, "keys")
	}
	if err := seal.CopyKeys(g.Data, keys); err != nil {
		return err
	}
	if err := writeSecret(filepath.Join(c.To, backupFile), contents); err != nil {
		return err
	}
	took := g.Now().Sub(started)
	if g.JSON {
		return json.NewEncoder(g.Stdout).Encode(map[string]any{
			"events": contents.Log.Events, "position": contents.Log.End.Position, "seconds": took.Seconds(), "to": c.To, "keys": keys,
		})
	}
	fmt.Fprintf(g.Stdout, "%d events up to position %d are in %s, the keys in %s (%.1f s)\n", contents.Log.Events,
		contents.Log.End.Position, c.To, keys, took.Seconds())
	return nil
}

func readBackup(dir string) (c backupContents, err error) {
	raw, err := os.ReadFile(filepath.Join(dir, backupFile))
	if errors.Is(err, fs.ErrNotExist) {
		return c, fmt.Errorf("%s is no finished backup: it has no %s", dir, backupFile)
	}
	if err != nil {
		return c, fmt.Errorf("read backup: %w", err)
	}
	if err := json.Unmarshal(raw, &c); err != nil {
		return c, fmt.Errorf("read backup %s: %s: %w", dir, backupFile, err)
	}
	if c.Format != backupFormat {
		return c, fmt.Errorf("backup %s has format %d; this program reads format %d", dir, c.Format, backupFormat)
	}
	return c, nil
}

// restoreCmd makes a data folder of a backup.
type restoreCmd struct {
	From      string   `required:"" type:"existingdir" help:"The backup."`
	KeysFrom  string   `type:"existingdir" help:"The keys, if they are not in the backup." placeholder:"DIR"`
	Erased    []string `type:"existingfile" help:"Newer lists of erased people (keys/erased): whom they name stays forgotten." placeholder:"FILE"`
	Witnessed string   `type:"existingfile" help:"The newest checkpoint that you or a witness kept, as /checkpoint served it: a backup that ends before it is refused." placeholder:"FILE"`
	RollBack  bool     `help:"Restore it all the same: what came after it is lost, and witnesses will say so."`
}

type restoreResult struct {
	Events     uint64 `json:"events"`
	Position   uint64 `json:"position"`
	Tombstones int    `json:"tombstones"` // Taken from newer lists.
	Erased     int    `json:"erased"`     // Erasures of the log that the keys did not know.
}

// Run implements the command.
func (c *restoreCmd) Run(g *globals) error {
	if err := needsFolder(g, "restore"); err != nil {
		return err
	}
	if entries, err := os.ReadDir(g.Data); err == nil && len(entries) > 0 {
		return fmt.Errorf("%w: %s is not empty: a backup is restored to a fresh folder", errUsage, g.Data)
	}
	contents, err := readBackup(c.From)
	if err != nil {
		return err
	}
	res := restoreResult{Events: contents.Log.Events, Position: uint64(contents.Log.End.Position)}
	next := strings.TrimSuffix(g.Data, string(filepath.Separator)) + ".restoring"
	if err := os.RemoveAll(next); err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	if err := c.fill(g, next, contents, &res); err != nil {
		return errors.Join(err, os.RemoveAll(next))
	}
	if err := os.Remove(g.Data); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("restore: %w", err)
	}
	if err := os.Rename(next, g.Data); err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	if g.JSON {
		return json.NewEncoder(g.Stdout).Encode(res)
	}
	fmt.Fprintf(g.Stdout, "restored %d events up to position %d to %s; %d people stay erased by newer lists, %d by the log\n"+
		"views are rebuilt at the next start\n", res.Events, res.Position, g.Data, res.Tombstones, res.Erased)
	return nil
}

// fill makes the whole folder under another name.
func (c *restoreCmd) fill(g *globals, dir string, contents backupContents, res *restoreResult) error {
	from := filepath.Join(c.From, "log")
	if err := embedded.CheckCopy(g.Ctx, nil, from, contents.Log); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(dir, "log"), 0o750); err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	bar := newProgress(g.Stderr, "copy", int64(len(contents.Log.Files)))
	for _, f := range contents.Log.Files {
		if err := copyWhole(filepath.Join(from, f.Name), filepath.Join(dir, "log", f.Name)); err != nil {
			return err
		}
		bar.add(1)
	}
	bar.end()
	keys := c.KeysFrom
	if keys == "" {
		keys = filepath.Join(c.From, "keys")
	}
	if err := os.Mkdir(filepath.Join(dir, "keys"), 0o700); err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	entries, err := os.ReadDir(keys)
	if err != nil {
		return fmt.Errorf("restore keys (--keys-from names their folder): %w", err)
	}
	for _, e := range entries {
		if err := copyWhole(filepath.Join(keys, e.Name()), filepath.Join(dir, "keys", e.Name())); err != nil {
			return err
		}
	}
	for _, list := range c.Erased {
		n, err := seal.AddTombstones(dir, list)
		if err != nil {
			return err
		}
		res.Tombstones += n
	}
	check := newProgress(g.Stderr, "check", 1)
	err = embedded.VerifyDir(g.Ctx, embedded.Options{Dir: filepath.Join(dir, "log"), Logger: g.Log}, check.set)
	check.end()
	if err != nil {
		return err
	}
	restored := *g
	restored.Data = dir
	return withHouse(&restored, func(h *house) error {
		if err := c.checkWitnessed(&restored, h); err != nil {
			return err
		}
		n, err := eraseAgain(&restored, h)
		res.Erased = n
		return err
	})
}

// checkWitnessed refuses a log that would take back what was signed over.
func (c *restoreCmd) checkWitnessed(g *globals, h *house) error {
	if c.Witnessed == "" {
		return nil
	}
	note, err := os.ReadFile(c.Witnessed)
	if err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	o, err := h.registerOptions(g)
	if err != nil {
		return err
	}
	err = register.CheckAgainst(g.Ctx, o.Log, o.Keys, "", string(note))
	if errors.Is(err, register.ErrBehind) && c.RollBack {
		g.Log.Warn("rolling back behind a witnessed checkpoint, as told", "err", err)
		return nil
	}
	if errors.Is(err, register.ErrBehind) {
		return fmt.Errorf("%w; --roll-back restores it all the same", err)
	}
	return err
}

// eraseAgain destroys the keys of everybody whose erasure is in the log, and gives how many still had one.
func eraseAgain(g *globals, h *house) (n int, err error) {
	for rec, err := range h.store.All(g.Ctx, 0) {
		if err != nil {
			return n, err
		}
		if rec.Type != (party.PersonalDataErased{}).EventType() {
			continue
		}
		id := strings.TrimPrefix(rec.Stream, party.Decider.Category+"-")
		if h.vault.Erased(id) {
			continue
		}
		if err := h.vault.Erase(g.Ctx, id); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

// copyWhole copies a file durably.
func copyWhole(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	defer func() { _ = in.Close() }() // Only read.
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	_, err = io.Copy(out, in)
	if err = errors.Join(err, out.Sync(), out.Close()); err != nil {
		return fmt.Errorf("restore %s: %w", to, err)
	}
	return nil
}
