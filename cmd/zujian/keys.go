package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"zujian/api/desk"
	"zujian/domain"
	"zujian/domain/apikey"
)

// keysCmd manages API keys at the machine; over HTTP a city regulator does it at /v1/keys.
type keysCmd struct {
	Issue  keysIssueCmd  `cmd:"" help:"Issue a key and print it, once."`
	List   keysListCmd   `cmd:"" help:"List keys, without secrets."`
	Revoke keysRevokeCmd `cmd:"" help:"End a key."`
	Rotate keysRotateCmd `cmd:"" help:"Wrap the keys of data subjects under a new key-encryption key. Events stay as they are."`
}

type keysIssueCmd struct {
	Role  string `required:"" enum:"landlord,tenant,company,broker,bank,partner,district,city,auditor" help:"What the key may do."`
	Party string `help:"Party it acts as."`
	Area  string `help:"District of a district regulator."`
	Days  int    `default:"365" help:"Days it works, at most a year."`
	Label string `help:"What it is for."`
}

// Run implements the command.
func (c *keysIssueCmd) Run(g *globals) error {
	if c.Days < 1 || c.Days > 366 {
		return fmt.Errorf("%w: --days is 1 to 366", errUsage)
	}
	return withNewHouse(g, func(h *house) error {
		if err := h.trustClock(g); err != nil {
			return err
		}
		key, id, _, err := h.desk.IssueKey(g.Ctx, operator(g), desk.NewKey{
			Role: domain.Role(c.Role), Party: c.Party, Area: c.Area, Label: c.Label, Expires: g.Now().UTC().Add(time.Duration(c.Days) * 24 * time.Hour),
		})
		if err != nil {
			return err
		}
		if g.JSON {
			return json.NewEncoder(g.Stdout).Encode(map[string]string{"id": id, "key": key})
		}
		fmt.Fprintln(g.Stdout, key)
		return nil
	})
}

type keysListCmd struct{}

type listedKey struct {
	ID      string      `json:"id"`
	Role    domain.Role `json:"role"`
	Party   string      `json:"party,omitempty"`
	Area    string      `json:"area,omitempty"`
	Label   string      `json:"label,omitempty"`
	Expires time.Time   `json:"expires,omitzero"`
	Revoked bool        `json:"revoked,omitempty"`
}

// Run implements the command.
func (c *keysListCmd) Run(g *globals) error {
	return withHouse(g, func(h *house) error {
		var keys []listedKey
		at := map[string]int{}
		for rec, err := range h.store.All(g.Ctx, 0) {
			if err != nil {
				return err
			}
			if rec.Type != (apikey.Issued{}).EventType() && rec.Type != (apikey.Revoked{}).EventType() {
				continue
			}
			e, err := h.catalogue.Decode(rec.Type, rec.Meta.Schema, rec.Data)
			if err != nil {
				return err
			}
			switch e := e.(type) {
			case apikey.Issued:
				at[rec.Stream] = len(keys)
				keys = append(keys, listedKey{ID: rec.Stream[len("apikey-"):], Role: e.Role, Party: e.Party, Area: e.Area, Label: e.Label, Expires: e.Expires})
			case apikey.Revoked:
				keys[at[rec.Stream]].Revoked = true
			}
		}
		if g.JSON {
			return json.NewEncoder(g.Stdout).Encode(keys)
		}
		for _, k := range keys {
			fmt.Fprintf(g.Stdout, "%s  %-9s party=%s area=%s revoked=%v %s\n", k.ID, k.Role, k.Party, k.Area, k.Revoked, k.Label)
		}
		return nil
	})
}

type keysRevokeCmd struct {
	ID     string `arg:"" help:"Key id."`
	Reason string `help:"Why." default:"revoked by the operator"`
}

// Run implements the command.
func (c *keysRevokeCmd) Run(g *globals) error {
	return withHouse(g, func(h *house) error {
		if err := h.trustClock(g); err != nil {
			return err
		}
		_, err := h.desk.RevokeKey(g.Ctx, operator(g), c.ID, c.Reason)
		return err
	})
}

type keysRotateCmd struct {
	Retire bool `help:"Destroy the older key-encryption keys afterwards: key folders backed up before no longer open."`
}

// Run implements the command.
func (c *keysRotateCmd) Run(g *globals) error {
	return withHouse(g, func(h *house) error {
		if h.vault == nil {
			return errVaultElsewhere
		}
		bar := newProgress(g.Stderr, "keys", 1)
		version, rewrapped, err := h.vault.Rotate(g.Ctx, c.Retire, bar.set)
		bar.end()
		if err != nil {
			return err
		}
		if g.JSON {
			return json.NewEncoder(g.Stdout).Encode(map[string]any{"kek_version": version, "rewrapped": rewrapped, "retired": c.Retire})
		}
		fmt.Fprintf(g.Stdout, "key-encryption key version %d wraps %d keys; older versions destroyed: %v\n", version, rewrapped, c.Retire)
		return nil
	})
}

// withHouse opens the data folder of a register for one command. It makes none of a mistyped name: of an empty register
// any command would say that all is well.
func withHouse(g *globals, f func(*house) error) error {
	if g.Config.Store == "" {
		disk := g.fs()
		if _, err := disk.Stat(disk.PathJoin(g.Data, "log")); err != nil {
			return fmt.Errorf("%w: %s holds no register: %w", errUsage, g.Data, err)
		}
	}
	return withNewHouse(g, f)
}

// withNewHouse is withHouse of a folder that may be a new one.
func withNewHouse(g *globals, f func(*house) error) error {
	h, err := openHouse(g, openOptions{})
	if err != nil {
		return err
	}
	return errors.Join(f(h), h.Close())
}
