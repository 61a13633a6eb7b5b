// Package witness is a transparency-log witness that speaks C2SP tlog-witness: it cosigns a checkpoint of a log it was
// told about only if that goes on from the last one it cosigned. It is a program of its own, run by somebody else than
// the register's operator: a district bureau, an escrow bank, a notary, a court. It imports nothing of the register,
// and checks proofs with transparency-dev/merkle, which did not make them.
//
// # Decisions
//
// One file per log, replaced whole and synced before the answer, under one lock for each log: the check and the record
// are one step. The folder is the witness's memory, and a witness that lost it must get a new key. So the key's file lists
// the logs that it has begun with: one of those without its file was lost, and is not begun again. A state is summed together
// with the key, so that no other witness's is taken for it. An older state of its own can't be told.
package witness

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"github.com/transparency-dev/formats/log"
	cosignature "github.com/transparency-dev/formats/note"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/note"

	"zujian/eventstore/folder"
)

const (
	requestBytesMax = 64 << 10
	proofLinesMax   = 63
)

// Options of a witness.
type Options struct {
	Dir    string   // Its key and what it has cosigned.
	Name   string   // Its key's name, for instance a host name; only used when the key is made.
	Logs   []string // Ed25519 verifier keys of the logs it cosigns; the key's name is the origin.
	Logger *slog.Logger
}

// Witness is a http.Handler for POST /add-checkpoint.
type Witness struct {
	o      Options
	lock   io.Closer
	signer *cosignature.Signer
	key    string
	kept   keyFile
	logs   map[string]*witnessed
	mux    *http.ServeMux
}

// witnessed is one log.
type witnessed struct {
	verifiers []note.Verifier
	path      string

	mu   sync.Mutex
	last state
}

// state is the last checkpoint that was cosigned.
type state struct {
	Origin string `json:"origin"`
	Size   uint64 `json:"size"`
	Root   []byte `json:"root"`
	Note   string `json:"note,omitempty"` // As the log signed it: evidence.
}

// Open opens the witness's folder, or makes it with a new key.
func Open(o Options) (_ *Witness, err error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	w := &Witness{o: o, logs: map[string]*witnessed{}, mux: http.NewServeMux()}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("witness: make folder: %w", err)
	}
	if w.lock, err = folder.Lock(folder.Real(), filepath.Join(o.Dir, "lock")); err != nil {
		return nil, fmt.Errorf("witness: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.Close())
		}
	}()
	if err := w.openKey(); err != nil {
		return nil, err
	}
	for _, key := range o.Logs {
		v, err := note.NewVerifier(key)
		if err != nil {
			return nil, fmt.Errorf("witness: log key %q: %w", key, err)
		}
		if err := w.know(v); err != nil {
			return nil, err
		}
	}
	if err := w.begin(); err != nil {
		return nil, err
	}
	w.mux.HandleFunc("POST /add-checkpoint", w.addCheckpoint)
	w.mux.HandleFunc("GET /healthz", func(rw http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(rw, "ok\n") })
	return w, nil
}

// Close gives the folder free.
func (w *Witness) Close() error {
	lock := w.lock
	if w.lock = nil; lock == nil {
		return nil
	}
	return lock.Close()
}

// Key is what others check its cosignatures with.
func (w *Witness) Key() string { return w.key }

// know adds a log. A log with several keys is named once with each.
func (w *Witness) know(v note.Verifier) error {
	if l := w.logs[v.Name()]; l != nil {
		l.verifiers = append(l.verifiers, v)
		return nil
	}
	l := &witnessed{verifiers: []note.Verifier{v}, path: filepath.Join(w.o.Dir, stateName(v.Name()))}
	var err error
	if l.last, err = w.remember(l.path, v.Name()); err != nil {
		return err
	}
	w.logs[v.Name()] = l
	return nil
}

// ServeHTTP implements http.Handler.
func (w *Witness) ServeHTTP(rw http.ResponseWriter, r *http.Request) { w.mux.ServeHTTP(rw, r) }

// refusal is an answer that is no cosignature.
type refusal struct {
	status int
	why    string
	size   *uint64 // For 409 of a stale size.
}

func (e *refusal) Error() string { return e.why }

func (w *Witness) addCheckpoint(rw http.ResponseWriter, r *http.Request) {
	raw, err := io.ReadAll(http.MaxBytesReader(rw, r.Body, requestBytesMax))
	if err != nil {
		http.Error(rw, "the request is too large or was cut short", http.StatusBadRequest)
		return
	}
	line, err := w.cosign(string(raw))
	if refused, ok := errors.AsType[*refusal](err); ok {
		w.o.Logger.Warn("refused", "status", refused.status, "why", refused.why)
		if refused.size != nil {
			rw.Header().Set("Content-Type", "text/x.tlog.size")
			rw.WriteHeader(refused.status)
			_, _ = fmt.Fprintf(rw, "%d\n", *refused.size)
			return
		}
		http.Error(rw, refused.why, refused.status)
		return
	}
	if err != nil {
		w.o.Logger.Error("cosign", "err", err)
		http.Error(rw, "internal error", http.StatusInternalServerError)
		return
	}
	rw.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = io.WriteString(rw, line)
}

// submission is a parsed request.
type submission struct {
	old   uint64
	proof [][]byte
	text  string // The checkpoint's note.
}

func parse(body string) (s submission, err error) {
	bad := func(why string) error { return &refusal{status: http.StatusBadRequest, why: why} }
	head, text, ok := strings.Cut(body, "\n\n")
	if !ok {
		return s, bad("no empty line before the checkpoint")
	}
	lines := strings.Split(head, "\n")
	size, ok := strings.CutPrefix(lines[0], "old ")
	s.old, err = strconv.ParseUint(size, 10, 63)
	if !ok || err != nil || strconv.FormatUint(s.old, 10) != size {
		return s, bad("malformed old size")
	}
	if len(lines)-1 > proofLinesMax {
		return s, bad("more than 63 proof lines")
	}
	for _, line := range lines[1:] {
		h, err := base64.StdEncoding.Strict().DecodeString(line)
		if err != nil || len(h) != sha256.Size {
			return s, bad("a proof line is not a hash in base64")
		}
		s.proof = append(s.proof, h)
	}
	s.text = text
	return s, nil
}

// cosign checks and records, in the order of the specification.
func (w *Witness) cosign(body string) (string, error) {
	s, err := parse(body)
	if err != nil {
		return "", err
	}
	origin, _, _ := strings.Cut(s.text, "\n")
	l := w.logs[origin]
	if l == nil {
		return "", &refusal{status: http.StatusNotFound, why: "unknown origin"}
	}
	n, err := note.Open([]byte(s.text), note.VerifierList(l.verifiers...))
	if err != nil {
		return "", &refusal{status: http.StatusForbidden, why: "no signature by a key of this log"}
	}
	var c log.Checkpoint
	rest, err := c.Unmarshal([]byte(n.Text))
	if err != nil || len(rest) > 0 || c.Origin != origin || len(c.Hash) != sha256.Size || c.Size > 1<<62 {
		return "", &refusal{status: http.StatusBadRequest, why: "malformed checkpoint"}
	}
	if s.old > c.Size {
		return "", &refusal{status: http.StatusBadRequest, why: "old size beyond the checkpoint's"}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if s.old != l.last.Size {
		size := l.last.Size
		return "", &refusal{status: http.StatusConflict, why: fmt.Sprintf("old size %d, last cosigned %d", s.old, size), size: &size}
	}
	if err := l.extends(&s, &c); err != nil {
		w.o.Logger.Error("a log was forked", "origin", origin, "old", s.old, "size", c.Size, "cosigned", l.last.Note, "submitted", s.text)
		return "", err
	}
	next := state{Origin: origin, Size: c.Size, Root: c.Hash, Note: s.text}
	if err := w.save(l.path, &next); err != nil {
		return "", err
	}
	l.last = next
	msg, err := note.Sign(&note.Note{Text: n.Text}, w.signer)
	if err != nil {
		return "", fmt.Errorf("witness: sign: %w", err)
	}
	return string(msg[len(n.Text)+1:]), nil
}

// extends holds the checkpoint to the last one.
func (l *witnessed) extends(s *submission, c *log.Checkpoint) error {
	switch {
	case s.old == c.Size && string(c.Hash) != string(l.last.Root):
		return &refusal{status: http.StatusConflict, why: "another root at the same size"}
	case (s.old == 0 || s.old == c.Size) && len(s.proof) > 0:
		return &refusal{status: http.StatusUnprocessableEntity, why: "a proof where none belongs"}
	case s.old == 0 || s.old == c.Size:
		return nil
	}
	if err := proof.VerifyConsistency(rfc6962.DefaultHasher, s.old, c.Size, s.proof, l.last.Root, c.Hash); err != nil {
		return &refusal{status: http.StatusUnprocessableEntity, why: "the consistency proof does not verify"}
	}
	return nil
}
