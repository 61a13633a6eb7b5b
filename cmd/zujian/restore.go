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

	"zujian/domain/party"
	"zujian/eventstore/embedded"
	"zujian/eventstore/folder"
	"zujian/eventstore/register"
	"zujian/eventstore/seal"
)

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
func (c *restoreCmd) Run(g *globals) (err error) {
	if entries, err := os.ReadDir(g.Data); err == nil && len(entries) > 0 {
		return fmt.Errorf("%w: %s is not empty: a backup is restored to a fresh folder", errUsage, g.Data)
	}
	if inside(g.Data, c.From) {
		return fmt.Errorf("%w: %s is in the backup itself", errUsage, g.Data)
	}
	contents, err := readBackup(c.From)
	if err != nil {
		return err
	}
	if err := c.fits(g, contents.Only); err != nil {
		return err
	}
	res := restoreResult{Events: contents.Log.Events, Position: uint64(contents.Log.End.Position)}
	next := strings.TrimSuffix(g.Data, string(filepath.Separator)) + ".restoring"
	for _, from := range append([]string{c.From, c.KeysFrom, c.Witnessed}, c.Erased...) {
		if from != "" && inside(from, next) {
			return fmt.Errorf("%w: %s is in the folder that a restore is made in, which is emptied: rename it", errUsage, from)
		}
	}
	if err := os.MkdirAll(filepath.Dir(next), folderPerms); err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	lock, err := folder.Lock(folder.Real(), next+".lock") // Two that empty and fill it at once end in a mixture of both.
	if err != nil {
		return fmt.Errorf("restore to %s: %w", g.Data, err)
	}
	defer func() { err = errors.Join(err, os.Remove(next+".lock"), lock.Close()) }()
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
	c.say(g, contents.Only, &res)
	return nil
}

// fits refuses what is not for a backup of this part.
func (c *restoreCmd) fits(g *globals, only string) error {
	switch {
	case only != onlyKeys:
		if err := needsFolder(g, "restore"); err != nil {
			return err
		}
		if only == onlyLog && (c.said() || c.KeysFrom != "" || len(c.Erased) > 0) {
			return fmt.Errorf("%w: a log alone has no keys: what was signed over it, and whose keys are gone, is for its vault to know", errUsage)
		}
		return nil
	case g.Config.Vault.URL != "":
		return errVaultElsewhere
	case g.Config.Store == "":
		return fmt.Errorf("%w: these are the keys of a vault, and people may have been erased since: say where its log is, by --store", errUsage)
	}
	return nil
}

func (c *restoreCmd) say(g *globals, only string, res *restoreResult) {
	if only != onlyKeys {
		fmt.Fprintf(g.Stdout, "restored %d events up to position %d to %s\n", res.Events, res.Position, g.Data)
	}
	if only != onlyLog {
		fmt.Fprintf(g.Stdout, "restored the keys to %s; %d people stay erased by newer lists, %d by the log\n", g.Data, res.Tombstones, res.Erased)
	}
	switch only {
	case "":
		fmt.Fprintln(g.Stdout, "views are rebuilt at the next start")
	case onlyLog:
		fmt.Fprintln(g.Stdout, "if it ends before the log that was in use: run `zujian resume --roll-back --store …` in the vault's folder, and start the nodes"+
			" with an empty Redis and without their register/")
	}
	if res.Held && only == onlyKeys {
		fmt.Fprintf(g.Stdout, "the vault signs nothing new until `zujian resume --store … --data %s --witnessed CHECKPOINT` says what was signed last\n", g.Data)
	} else if res.Held {
		fmt.Fprintln(g.Stdout, "the register signs nothing new until its witnesses, or you by `zujian resume`, say that nothing newer was signed")
	}
}

// fill makes the whole folder under another name.
func (c *restoreCmd) fill(g *globals, dir string, contents backupContents, res *restoreResult) error {
	if contents.Only != onlyKeys {
		if err := c.fillLog(g, dir, contents.Log); err != nil {
			return err
		}
	}
	if contents.Only == onlyLog {
		return nil
	}
	if err := c.fillKeys(g, dir, contents.Keys, res); err != nil {
		return err
	}
	return c.finish(g, dir, contents, res)
}

func (c *restoreCmd) fillLog(g *globals, dir string, want embedded.Copied) error {
	from := filepath.Join(c.From, "log")
	if err := embedded.CheckCopy(g.Ctx, nil, from, want); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(dir, "log"), 0o750); err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	bar := newProgress(g.Stderr, "copy", int64(len(want.Files)))
	for _, f := range want.Files {
		if err := copyWhole(filepath.Join(from, f.Name), filepath.Join(dir, "log", f.Name)); err != nil {
			return err
		}
		bar.add(1)
	}
	bar.end()
	check := newProgress(g.Stderr, "check", 1)
	err := embedded.VerifyDir(g.Ctx, embedded.Options{Dir: filepath.Join(dir, "log"), Logger: g.Log}, check.set)
	check.end()
	return err
}

// fillKeys restores the keys that were copied with the log, or those of --keys-from, which may be of a later day.
func (c *restoreCmd) fillKeys(g *globals, dir, sum string, res *restoreResult) error {
	keys := filepath.Join(c.From, "keys")
	if c.KeysFrom != "" {
		keys, sum = c.KeysFrom, ""
	}
	if _, err := os.Stat(keys); err != nil {
		return fmt.Errorf("restore keys (--keys-from names their folder): %w", err)
	}
	switch summed, err := seal.RestoreKeys(keys, dir, sum); {
	case err != nil:
		return err
	case !summed:
		g.Log.Warn("this copy of the keys does not say what was copied: `zujian verify` tells whether all are there", "keys", keys)
	}
	for _, list := range c.Erased {
		n, err := seal.AddTombstones(dir, list)
		if err != nil {
			return err
		}
		res.Tombstones += n
	}
	return nil
}

// finish brings what was signed and what was erased up to what is known now.
func (c *restoreCmd) finish(g *globals, dir string, contents backupContents, res *restoreResult) error {
	restored := *g
	restored.Data = dir
	signed, err := c.restoreSigned(g, registerDir(&restored), contents.Signed)
	if err != nil {
		return err
	}
	return withKeys(&restored, func(h *house) error {
		o, err := h.registerOptions(&restored)
		if err != nil {
			return err
		}
		if signed != nil {
			res.Signed = signed.Size
			if err := c.holdToSigned(&restored, &o, signed, contents.Only); err != nil {
				return err
			}
		}
		if err := c.check(&restored, &o); err != nil {
			return err
		}
		if err := c.checkNear(&restored, &o, dir, g.Data, c.From); err != nil {
			return err
		}
		if res.Held = !c.said(); res.Held {
			if err := register.Hold(nil, o.Dir); err != nil {
				return err
			}
		} else if c.Witnessed != "" && !c.RollBack {
			if err := c.adopt(g, &o); err != nil {
				return err
			}
		}
		if res.Erased, err = eraseAgain(&restored, h); err != nil {
			return err
		}
		return h.vault.Settle()
	})
}

// holdToSigned holds the log to the checkpoint that was restored. That of a vault alone may be of a longer log than there is.
func (c *restoreCmd) holdToSigned(g *globals, o *register.Options, signed *register.Signed, only string) error {
	if err := signed.By(o.Keys); err != nil {
		return fmt.Errorf("the backup's checkpoint is not one of its keys: %w", err)
	}
	err := register.CheckAgainst(g.Ctx, o.Log, o.Keys, "", signed.Note)
	if only == onlyKeys && errors.Is(err, register.ErrBehind) {
		if err := c.behind(g, err, "the backup's checkpoint"); err != nil {
			return err
		}
		return register.Forget(nil, o.Dir)
	}
	if err != nil {
		return fmt.Errorf("hold the log to the backup's checkpoint: %w", err)
	}
	return nil
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
	in, err := folder.Real().Open(from)
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
