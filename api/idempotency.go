package api

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"

	"zujian/domain"
)

const (
	replyKept      = 24 * time.Hour
	idempotencyMax = 255
)

// commandSpace is the namespace of command ids made from Idempotency-Keys.
var commandSpace = uuid.MustParse("5a0f2c7e-8d0b-5c55-9d0e-1b6f4f0a2f11")

// stored is what is kept under a key. Status 0 means the request was refused and wrote nothing that is known: it may
// be tried again, but only as the same request, because a part of it may have been written under this command id.
type stored struct {
	Request  string          `json:"of"` // The request's fingerprint.
	Status   int             `json:"status"`
	Body     json.RawMessage `json:"body,omitempty"`
	Location string          `json:"location,omitempty"`
	ETag     string          `json:"etag,omitempty"`
	Position string          `json:"position,omitempty"`
}

// once runs a POST under its Idempotency-Key: the same key and body give the same answer for 24 h, through any
// number of repeats, restarts and lost answers. Without a key the command id is random.
func (s *Server) once(ctx context.Context, c *call, h handler) error {
	key, err := readKey(c.echo.Request().Header, c.op.money)
	if err != nil {
		return err
	}
	if key == "" {
		c.ID = s.o.NewID().String()
		a, err := h(ctx, s, c)
		if err != nil {
			return s.mapConflict(c, err)
		}
		s.reply(c, a)
		return nil
	}
	slot := replySlot(c, key)
	if _, busy := s.busy.LoadOrStore(slot, struct{}{}); busy {
		return errInProgress
	}
	defer s.busy.Delete(slot)
	request := s.fingerprint(c)
	c.ID = commandID(c, key, request)
	return s.replayOrRun(ctx, c, h, slot, request)
}

func (s *Server) replayOrRun(ctx context.Context, c *call, h handler, slot, request string) error {
	raw, found, err := s.o.Replies.Get(ctx, slot)
	if err != nil {
		return err
	}
	var was stored
	if found {
		if err := json.Unmarshal(raw, &was); err != nil {
			return err
		}
		found = was.Request != "" // Else it was kept by a version whose command ids were others.
	}
	if found {
		if was.Request != request {
			return errKeyReused
		}
		if was.Status != 0 && c.op.secret {
			return errNotKept
		}
		if was.Status != 0 {
			s.replay(c, was)
			return nil
		}
	}
	keep := stored{Request: request}
	if !found { // Before any event of it: a crash must not free the key for another body.
		if err := s.keep(ctx, slot, keep, c.At); err != nil {
			return err
		}
	}
	a, err := h(ctx, s, c)
	if err != nil {
		return s.mapConflict(c, err)
	}
	keep.Body = s.reply(c, a)
	if c.op.secret {
		keep.Body = nil
	}
	head := c.echo.Response().Header()
	keep.Status, keep.Location = c.echo.Response().Status, head.Get("Location")
	keep.ETag, keep.Position = head.Get("ETag"), head.Get("Zujian-Position")
	if err := s.keep(context.WithoutCancel(ctx), slot, keep, c.At); err != nil {
		// The write stands and the command id makes a repeat find it: only the stored answer is lost.
		s.log.ErrorContext(ctx, "keep reply", "request_id", c.Correlation, "err", err)
	}
	return nil
}

// storedRoom is enough for all of what is stored but its body.
const storedRoom = 384

var storedForm = domain.FormOf[stored]()

func (s *Server) keep(ctx context.Context, slot string, r stored, now time.Time) error {
	body := r.Body // It was just encoded: it need not be checked again.
	r.Body = nil
	raw, err := storedForm.Append(make([]byte, 0, storedRoom+len(body)), &r)
	if err != nil {
		return err
	}
	if len(body) > 0 {
		raw = append(append(append(raw[:len(raw)-1], `,"body":`...), body...), '}')
	}
	return s.o.Replies.Put(ctx, slot, raw, now.Add(replyKept))
}

func (s *Server) replay(c *call, was stored) {
	h := c.echo.Response().Header()
	h.Set("Idempotent-Replayed", "true")
	for name, v := range map[string]string{"Location": was.Location, "ETag": was.ETag, "Zujian-Position": was.Position} {
		if v != "" {
			h.Set(name, v)
		}
	}
	_ = c.echo.Blob(was.Status, mediaJSON, was.Body) // The client went away: nobody is left to tell.
}

// readKey reads Idempotency-Key, bare or as a structured string (draft-ietf-httpapi-idempotency-key-header-06).
func readKey(h http.Header, required bool) (string, error) {
	values := h.Values("Idempotency-Key")
	if len(values) == 0 {
		if required {
			return "", errKeyRequired
		}
		return "", nil
	}
	key := values[0]
	if len(key) >= 2 && key[0] == '"' && key[len(key)-1] == '"' {
		key = key[1 : len(key)-1]
	}
	if len(values) > 1 || key == "" || len(key) > idempotencyMax || strings.ContainsFunc(key, notVisibleASCII) {
		return "", errKeyInvalid
	}
	return key, nil
}

func notVisibleASCII(r rune) bool { return r < 0x20 || r > 0x7e || r == '"' || r == '\\' }

// replySlot names the stored reply: hashed, because a client may put anything into its key.
func replySlot(c *call, key string) string {
	sum := sha256.Sum256([]byte(principal(c.Actor) + "\n" + key))
	return hex.EncodeToString(sum[:])
}

// commandID is that of a request under a key: the same for its repeats, and of another request another.
func commandID(c *call, key, fingerprint string) string {
	return uuid.NewSHA1(commandSpace, []byte(principal(c.Actor)+"\n"+key+"\n"+fingerprint)).String()
}

// fingerprint tells requests apart by method, path, condition and body. It is a code (HMAC-SHA256), and no hash that anybody
// can make: command ids hang on it, which are in the log for good, and a body may name somebody who is erased from that.
func (s *Server) fingerprint(c *call) string {
	sum := hmac.New(sha256.New, s.requestKey)
	sum.Write([]byte(c.op.method + " " + c.echo.Request().URL.EscapedPath() + "\n" + c.echo.Request().Header.Get("If-Match") + "\n"))
	sum.Write(bytes.TrimSpace(c.raw))
	return hex.EncodeToString(sum.Sum(nil))
}
