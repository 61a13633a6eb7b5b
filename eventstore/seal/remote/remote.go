// Package remote lets many processes share one vault: a Server beside the keys, and a Client in each that seals and opens
// through it. No key of a person ever leaves the server; whoever holds the token may ask it to open anything, as if it had the folder.
package remote

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"zujian/eventstore/seal"
)

const (
	bodyMax     = 1 << 20 // More than the largest sealed field, base64 and all.
	callTimeout = 5 * time.Second
)

// question is the body of every call; which fields count depends on the act.
type question struct {
	Subject string `json:"subject,omitempty"`
	Stream  string `json:"stream,omitempty"`
	Field   string `json:"field,omitempty"`
	Value   string `json:"value,omitempty"`
}

type reply struct {
	Value string `json:"value,omitempty"`
	Code  string `json:"code,omitempty"` // Of an error the caller tells from others.
	Error string `json:"error,omitempty"`
}

// codes are the errors that callers of a vault tell from others.
var codes = map[string]error{"erased": seal.ErrErased, "no_key": seal.ErrNoKey, "full": seal.ErrFull}

// Guard lets in whoever has the token.
func Guard(token string, h http.Handler) http.Handler {
	want := sha256.Sum256([]byte("Bearer " + token))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got := sha256.Sum256([]byte(r.Header.Get("Authorization")))
		if subtle.ConstantTimeCompare(got[:], want[:]) != 1 {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// Server answers for a vault to whoever has the token.
func Server(v *seal.Vault, token string) http.Handler {
	acts := map[string]func(ctx context.Context, q question) (string, error){
		"/seal": func(ctx context.Context, q question) (string, error) {
			return v.Seal(ctx, q.Subject, q.Stream, q.Field, q.Value)
		},
		"/open": func(ctx context.Context, q question) (string, error) {
			return v.Open(ctx, q.Subject, q.Stream, q.Field, q.Value)
		},
		"/erase": func(ctx context.Context, q question) (string, error) { return "", v.Erase(ctx, q.Subject) },
		"/blind": func(_ context.Context, q question) (string, error) { return v.Blind(q.Field, q.Value), nil },
	}
	return Guard(token, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		act, ok := acts[r.URL.Path]
		if !ok || r.Method != http.MethodPost {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		var q question
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, bodyMax)).Decode(&q); err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		value, err := act(r.Context(), q)
		answer := reply{Value: value}
		if err != nil {
			answer = reply{Error: err.Error()}
			for code, known := range codes {
				if errors.Is(err, known) {
					answer.Code = code
				}
			}
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(answer) // The client went away: nobody is left to tell.
	}))
}

// Here is a vault of this process, by the names of a Client's methods.
type Here struct{ *seal.Vault }

// Blind is seal.Vault.Blind; it never fails.
func (h Here) Blind(_ context.Context, purpose, value string) (string, error) {
	return h.Vault.Blind(purpose, value), nil
}

// Client is a vault elsewhere.
type Client struct {
	url    string
	token  string
	client *http.Client
}

// NewClient asks the vault at a base URL. transport holds the TLS settings; nil is the standard one without a proxy.
func NewClient(url, token string, transport *http.Transport) *Client {
	if transport == nil {
		transport = &http.Transport{}
	}
	transport.Proxy, transport.MaxIdleConnsPerHost = nil, 64
	return &Client{
		url: strings.TrimSuffix(url, "/"), token: token,
		client: &http.Client{Timeout: callTimeout, Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		}},
	}
}

// String and GoString keep the token out of logs.
func (c *Client) String() string   { return "[vault at " + c.url + "]" }
func (c *Client) GoString() string { return c.String() }

// Call posts a question to a path of the server as JSON, and reads its answer into out. It is seal.ErrUnavailable when
// there is none.
func (c *Client) Call(ctx context.Context, path string, in, out any) error {
	raw, err := json.Marshal(in)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url+path, bytes.NewReader(raw))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	res, err := c.client.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return fmt.Errorf("%w: %w", seal.ErrUnavailable, err)
	}
	defer func() { _ = res.Body.Close() }() // Only read from.
	body, err := io.ReadAll(io.LimitReader(res.Body, 2*bodyMax))
	if err != nil {
		return fmt.Errorf("%w: %w", seal.ErrUnavailable, err)
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%w: it answers %s", seal.ErrUnavailable, res.Status)
	}
	if err := json.Unmarshal(body, out); err != nil {
		return fmt.Errorf("%w: its answer is none", seal.ErrUnavailable)
	}
	return nil
}

func (c *Client) ask(ctx context.Context, act string, q question) (string, error) {
	var answer reply
	if err := c.Call(ctx, act, q, &answer); err != nil {
		return "", err
	}
	if known, ok := codes[answer.Code]; ok {
		return "", fmt.Errorf("vault: %w", known)
	}
	if answer.Error != "" {
		return "", errors.New("vault: " + answer.Error)
	}
	return answer.Value, nil
}

// Seal is seal.Vault.Seal.
func (c *Client) Seal(ctx context.Context, subject, stream, field, plain string) (string, error) {
	if plain == "" {
		return "", nil
	}
	return c.ask(ctx, "/seal", question{subject, stream, field, plain})
}

// Open is seal.Vault.Open.
func (c *Client) Open(ctx context.Context, subject, stream, field, sealed string) (string, error) {
	if sealed == "" {
		return "", nil
	}
	return c.ask(ctx, "/open", question{subject, stream, field, sealed})
}

// Erase is seal.Vault.Erase.
func (c *Client) Erase(ctx context.Context, subject string) error {
	_, err := c.ask(ctx, "/erase", question{Subject: subject})
	return err
}

// Blind is seal.Vault.Blind, with the errors that a way has.
func (c *Client) Blind(ctx context.Context, purpose, value string) (string, error) {
	return c.ask(ctx, "/blind", question{Field: purpose, Value: value})
}

// Close ends the connections.
func (c *Client) Close() error {
	c.client.CloseIdleConnections()
	return nil
}
