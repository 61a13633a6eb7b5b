package desk

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"strings"
	"sync"
	"time"

	"zujian/domain"
	"zujian/domain/apikey"
)

// ErrKey is the one answer to a key that is unknown, wrong, revoked or expired.
var ErrKey = domain.Reject("auth.invalid_key", "the API key is not valid")

// keyFresh bounds how long a revoked key may still work on a node that did not revoke it.
const keyFresh = 2 * time.Second

const keysMax = 10_000 // Cached keys; beyond it the cache starts over.

type keyCache struct {
	mu      sync.Mutex
	at      map[string]cachedKey
	revoked int // How often a key was revoked here: what was read before is not kept.
}

type cachedKey struct {
	state apikey.State
	read  time.Time
}

// NewKey describes a key to issue.
type NewKey struct {
	Role    domain.Role
	Party   string
	Area    string
	Expires time.Time
	Label   string
}

// ErrUnknownArea is for a district that the city does not have: its key would see nothing.
var ErrUnknownArea = domain.Reject("apikey.unknown_area", "the city has no such district")

// IssueKey issues an API key and returns its one clear copy: "zj_<id>_<secret>". Only its hash is kept.
func (d *Desk) IssueKey(ctx context.Context, call Call, in NewKey) (key, id string, r Receipt, err error) {
	if err := d.fitsRole(ctx, in); err != nil {
		return "", "", Receipt{}, err
	}
	var secret [32]byte
	if _, err := rand.Read(secret[:]); err != nil {
		return "", "", Receipt{}, err
	}
	id = strings.ReplaceAll(d.o.NewID().String(), "-", "")[:16]
	text := base64.RawURLEncoding.EncodeToString(secret[:])
	hash := sha256.Sum256([]byte(text))
	r, err = exec(ctx, d, call, apikey.Decider, id, apikey.Command(apikey.Issue{
		Hash: hex.EncodeToString(hash[:]), Role: in.Role, Party: in.Party, Area: in.Area, Expires: in.Expires, Label: in.Label,
	}))
	return "zj_" + id + "_" + text, id, r, err
}

// fitsRole refuses a key for somebody whom its role is not for. A bank's key says what money has come, and the first
// to say so keeps a ledger: it is a supervising bank's alone, never a tenant's own.
func (d *Desk) fitsRole(ctx context.Context, in NewKey) error {
	switch {
	case in.Role == domain.RoleBank:
		return d.mustBank(ctx, in.Party, "/party_id")
	case in.Role == domain.RoleDistrict && in.Area != "" && !d.o.City.Has(in.Area):
		return ErrUnknownArea.At("/area")
	case in.Party != "":
		return d.mustParty(ctx, in.Party, "/party_id")
	}
	return nil
}

// RevokeKey ends a key at once.
func (d *Desk) RevokeKey(ctx context.Context, call Call, id, reason string) (Receipt, error) {
	r, err := exec(ctx, d, call, apikey.Decider, id, apikey.Command(apikey.Revoke{Reason: reason}))
	d.keys.mu.Lock()
	delete(d.keys.at, id)
	d.keys.revoked++
	d.keys.mu.Unlock()
	return r, err
}

// Authenticate finds the actor behind a bearer token at an instant.
func (d *Desk) Authenticate(ctx context.Context, token string, now time.Time) (domain.Actor, error) {
	rest, ok := strings.CutPrefix(token, "zj_")
	id, secret, ok2 := strings.Cut(rest, "_")
	if !ok || !ok2 || len(id) != 16 || len(secret) != 43 {
		return domain.Actor{}, ErrKey
	}
	for _, c := range id {
		if !strings.ContainsRune("0123456789abcdef", c) {
			return domain.Actor{}, ErrKey
		}
	}
	state, err := d.key(ctx, id, now)
	if err != nil {
		return domain.Actor{}, err
	}
	hash := sha256.Sum256([]byte(secret))
	want, _ := hex.DecodeString(state.Issued.Hash)
	if subtle.ConstantTimeCompare(hash[:], want) != 1 || !state.Live(now) {
		return domain.Actor{}, ErrKey
	}
	return state.Actor("key:" + id), nil
}

func (d *Desk) key(ctx context.Context, id string, now time.Time) (apikey.State, error) {
	d.keys.mu.Lock()
	c, ok := d.keys.at[id]
	revoked := d.keys.revoked
	d.keys.mu.Unlock()
	if ok && now.Sub(c.read) < keyFresh && !now.Before(c.read) {
		return c.state, nil
	}
	state, _, _, err := load(ctx, d, apikey.Decider, id)
	if err != nil {
		return state, err
	}
	d.keys.mu.Lock()
	defer d.keys.mu.Unlock()
	if len(d.keys.at) >= keysMax {
		clear(d.keys.at)
	}
	if d.keys.revoked == revoked {
		d.keys.at[id] = cachedKey{state, now}
	}
	return state, nil
}
