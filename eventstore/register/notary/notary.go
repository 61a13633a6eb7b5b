// Package notary carries register.Notary over HTTP: a Handler beside the keys, and a Client in each process that makes the
// tree. The signing keys never leave the Handler's process; the key of the leaves' tags does, since without it nobody can
// make the tree. Who may call is for the caller of this package to say (package seal/remote).
package notary

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"zujian/eventstore"
	"zujian/eventstore/register"
)

// Paths of the calls, all POST.
const (
	Prefix   = "/register/"
	pathKeys = Prefix + "keys"
	pathLast = Prefix + "last"
	pathSign = Prefix + "sign"
)

const bodyMax = 64 << 10 // A proposal has at most 63 hashes and two notes.

type askKeys struct {
	Origin string `json:"origin"`
}

// Keys are what makes the tree and checks its signatures.
type Keys struct {
	Log     []byte `json:"log"`
	Ed25519 string `json:"ed25519"`
	SM2     string `json:"sm2"`
}

type reply struct {
	Keys   *Keys           `json:"keys,omitempty"`
	Record register.Record `json:"record,omitempty"`
	Code   string          `json:"code,omitempty"` // Of an error the caller tells from others.
	Error  string          `json:"error,omitempty"`
}

var codes = map[string]error{"moved": register.ErrMoved, "forked": register.ErrForked, "held": register.ErrHeld, "full": eventstore.ErrFull}

// Handler answers for a notary.
func Handler(n *register.LocalNotary) http.Handler {
	mux := http.NewServeMux()
	answer := func(path string, f func(r *http.Request, in *json.Decoder) (reply, error)) {
		mux.HandleFunc("POST "+path, func(w http.ResponseWriter, r *http.Request) {
			out, err := f(r, json.NewDecoder(http.MaxBytesReader(w, r.Body, bodyMax)))
			if err != nil {
				out = reply{Error: err.Error()}
				for code, known := range codes {
					if errors.Is(err, known) {
						out.Code = code
					}
				}
			}
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(out) // The client went away: nobody is left to tell.
		})
	}
	answer(pathKeys, func(_ *http.Request, in *json.Decoder) (reply, error) {
		var ask askKeys
		if err := in.Decode(&ask); err != nil {
			return reply{}, err
		}
		log, public, err := n.Keys(ask.Origin)
		return reply{Keys: &Keys{Log: log[:], Ed25519: public.Ed25519, SM2: public.SM2}}, err
	})
	answer(pathLast, func(r *http.Request, _ *json.Decoder) (reply, error) {
		rec, err := n.Last(r.Context())
		return reply{Record: rec}, err
	})
	answer(pathSign, func(r *http.Request, in *json.Decoder) (reply, error) {
		var p register.Proposal
		if err := in.Decode(&p); err != nil {
			return reply{}, err
		}
		rec, err := n.Sign(r.Context(), p)
		return reply{Record: rec}, err
	})
	return mux
}

// Client is a notary elsewhere.
type Client struct {
	// Call posts in to a path as JSON and reads the answer into out; it fails when nobody answers.
	Call func(ctx context.Context, path string, in, out any) error
}

var _ register.Notary = Client{}

func (c Client) ask(ctx context.Context, path string, in any) (out reply, err error) {
	if err := c.Call(ctx, path, in, &out); err != nil {
		return out, errors.Join(register.ErrNotaryAway, err)
	}
	if known, ok := codes[out.Code]; ok {
		return out, known
	}
	if out.Error != "" {
		return out, errors.New("notary: " + out.Error)
	}
	return out, nil
}

// Keys asks what a register of that origin needs to know.
func (c Client) Keys(ctx context.Context, origin string) (k register.Keys, p register.PublicKeys, err error) {
	out, err := c.ask(ctx, pathKeys, askKeys{origin})
	if err != nil {
		return k, p, err
	}
	if out.Keys == nil || copy(k.Log[:], out.Keys.Log) != len(k.Log) {
		return k, p, errors.New("notary: its answer has no keys")
	}
	return k, register.PublicKeys{Ed25519: out.Keys.Ed25519, SM2: out.Keys.SM2}, nil
}

// Last implements register.Notary.
func (c Client) Last(ctx context.Context) (register.Record, error) {
	out, err := c.ask(ctx, pathLast, struct{}{})
	return out.Record, err
}

// Sign implements register.Notary.
func (c Client) Sign(ctx context.Context, p register.Proposal) (register.Record, error) {
	out, err := c.ask(ctx, pathSign, p)
	return out.Record, err
}
