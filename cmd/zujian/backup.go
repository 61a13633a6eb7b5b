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
	Signed  *backupSigned   `json:"signed,omitempty"` // nil in backups of before they had it, and of a log that was never served.
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
	// What was signed first: the log copied after it goes at least as far.
	var err error
	if contents.Signed, err = backUpSigned(registerDir(g), filepath.Join(c.To, "register")); err != nil {
		return err
	}
	// The log before the keys: those open everything that is in it.
	bar := newProgress(g.Stderr, "log", 1)
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

// backUpSigned copies what the register has signed last; nil if it never has.
func backUpSigned(from, to string) (*backupSigned, error) {
	signed, ok, err := register.LoadSigned(nil, from)
	if err != nil || !ok {
		return nil, err
	}
	return &backupSigned{Size: signed.Size, Root: register.Encode(signed.Root)}, signed.Save(nil, to)
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
	From       string   `required:"" type:"existingdir" help:"The backup."`
	KeysFrom   string   `type:"existingdir" help:"The keys, if they are not in the backup." placeholder:"DIR"`
	Erased     []string `type:"existingfile" help:"Newer lists of erased people (keys/erased): whom they name stays forgotten." placeholder:"FILE"`
	signedUpTo `embed:""`
}

type restoreResult struct {
	Events     uint64 `json:"events"`
	Position   uint64 `json:"position"`
	Tombstones int    `json:"tombstones"` // Taken from newer lists.
	Erased     int    `json:"erased"`     // Erasures of the log that the keys did not know.
	Signed     uint64 `json:"signed"`     // Events under the checkpoint in the backup; 0 if it has none.
	Held       bool   `json:"held"`       // The register signs nothing new until it is told to.
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
	if res.Held {
		fmt.Fprintln(g.Stdout, "the register signs nothing new until its witnesses, or you by `zujian resume`, say that nothing newer was signed")
	}
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
	return c.finish(g, dir, contents, res)
}

// finish brings what was signed and what was erased up to what is known now.
func (c *restoreCmd) finish(g *globals, dir string, contents backupContents, res *restoreResult) error {
	restored := *g
	restored.Data = dir
	signed, err := c.restoreSigned(g, registerDir(&restored), contents.Signed)
	if err != nil {
		return err
	}
	return withHouse(&restored, func(h *house) error {
		o, err := h.registerOptions(&restored)
		if err != nil {
			return err
		}
		if signed != nil {
			res.Signed = signed.Size
			if err := errors.Join(signed.By(o.Keys), register.CheckAgainst(g.Ctx, o.Log, o.Keys, "", signed.Note)); err != nil {
				return fmt.Errorf("the backup's checkpoint is not one of its log and keys: %w", err)
			}
		}
		if err := c.check(&restored, &o); err != nil {
			return err
		}
		if err := c.checkNear(&restored, &o, dir, g.Data, c.From); err != nil {
			return err
		}
		if res.Held = !c.said(); res.Held {
			if err := register.Hold(nil, registerDir(&restored)); err != nil {
				return err
			}
		}
		res.Erased, err = eraseAgain(&restored, h)
		return err
	})
}

// restoreSigned puts the backup's checkpoint back, so that the folder knows what it has signed.
func (c *restoreCmd) restoreSigned(g *globals, to string, listed *backupSigned) (*register.Signed, error) {
	signed, ok, err := register.LoadSigned(nil, filepath.Join(c.From, "register"))
	switch {
	case err != nil:
		return nil, err
	case listed == nil:
		g.Log.Warn("this backup does not hold what the register had signed")
		return nil, nil
	case !ok || signed.Size != listed.Size || register.Encode(signed.Root) != listed.Root:
		return nil, fmt.Errorf("the backup's register/checkpoint is missing, or is not that of its %s", backupFile)
	}
	return &signed, signed.Save(nil, to)
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
