package api

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"zujian/api/desk"
	"zujian/domain"
	"zujian/eventstore"
	"zujian/eventstore/seal"
	"zujian/projections"
)

// problemsJSON is the catalogue of every code an answer may carry. Codes are forever.
//
//go:embed problems.json
var problemsJSON []byte

// entry is one code of the catalogue.
type entry struct {
	Code    string `json:"code"`
	Status  int    `json:"status"` // 0 for codes that only stand in errors[].
	TitleEN string `json:"title_en"`
	TitleZH string `json:"title_zh"`
	HelpEN  string `json:"help_en,omitempty"` // What to do about it.
	HelpZH  string `json:"help_zh,omitempty"`
	Retired bool   `json:"retired,omitempty"` // No longer given; listed so that it is never used again.
}

func readProblems(raw []byte) (map[string]entry, error) {
	var list []entry
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, fmt.Errorf("read problems.json: %w", err)
	}
	byCode := make(map[string]entry, len(list))
	for _, e := range list {
		if _, taken := byCode[e.Code]; taken {
			return nil, fmt.Errorf("problems.json: %s is listed twice", e.Code)
		}
		byCode[e.Code] = e
	}
	return byCode, nil
}

// Refusals the desk gives as well.
var (
	errInvalid     = desk.ErrInvalid
	errForbidden   = desk.ErrForbidden
	errNotFound    = desk.ErrNotFound
	errAuthInvalid = desk.ErrKey
)

// The API's own refusals.
var (
	errParameter    = domain.Reject("request.parameter", "a query parameter is unknown, repeated or wrong")
	errHeader       = domain.Reject("request.header", "a header is missing, repeated or wrong")
	errMediaType    = domain.Reject("request.media_type", "send application/json")
	errEncoding     = domain.Reject("request.encoding", "compressed bodies are not taken")
	errTooLarge     = domain.Reject("request.too_large", "the body is larger than 1 MiB")
	errBatchTooLong = domain.Reject("request.batch_too_long", "a batch has at most 10,000 lines")
	errSlow         = domain.Reject("request.timeout", "the body did not arrive in time")
	errMethod       = domain.Reject("request.method_not_allowed", "this resource has no such method")
	errWrongHost    = domain.Reject("request.wrong_host", "this server does not answer for that host")
	errKeyRequired  = domain.Reject("request.idempotency_key_required", "money moves here: send an Idempotency-Key")
	errKeyInvalid   = domain.Reject("request.idempotency_key_invalid", "an Idempotency-Key has 1 to 255 visible ASCII characters")
	errKeyReused    = domain.Reject("request.idempotency_key_reused", "this Idempotency-Key came with another request before")
	errNotKept      = domain.Reject("request.reply_not_kept", "the first answer held a secret and was not kept; revoke the key and issue another")
	errInProgress   = domain.Reject("request.in_progress", "the same request is still at work")
	errCursor       = domain.Reject("request.cursor", "the cursor is not one of ours, or belongs to another caller or filter")
	errStreamMoved  = domain.Reject("conflict.stream_moved", "somebody else changed it at the same time; read it again")
	errPrecondition = domain.Reject("precondition.failed", "it is not at the revision in If-Match any more")
	errAuthRequired = domain.Reject("auth.required", "send Authorization: Bearer zj_…")
	errRate         = domain.Reject("limit.rate", "too many requests with this key")
	errAuthFlood    = domain.Reject("limit.auth_failures", "too many wrong keys from this address")
	errOverloaded   = domain.Reject("unavailable.overloaded", "too much work at once; try again")
	errBehind       = domain.Reject("unavailable.behind", "the view has not come that far yet; try again")
	errVaultAway    = domain.Reject("unavailable.vault", "the vault of personal data can't be reached; try again")
	errViewsAway    = domain.Reject("unavailable.views", "the view store can't be reached; try again")
	errClock        = domain.Reject("unavailable.clock", "nobody can say what day it is: the server's clock has leapt or was set back; nothing was written, reading goes on")
	errStorageFull  = domain.Reject("unavailable.storage_full", "the disk has no room to spare; nothing was written, reading goes on")
	errStoreClosed  = domain.Reject("unavailable.closed", "the log is closed")
	errTookTooLong  = domain.Reject("unavailable.timeout", "the work did not end in time; a repeat with the same Idempotency-Key is safe")
	errInternal     = domain.Reject("internal", "internal error")
)

// invalid refuses fields of the request.
func invalid(fields ...FieldError) error { return &invalidError{fields} }

type invalidError struct{ fields []FieldError }

func (e *invalidError) Error() string { return errInvalid.Error() }

// problemOf is the one mapper from an error to what the client sees. Nothing else writes an error.
func (s *Server) problemOf(err error, lang, instance string) Problem {
	rej, fields := classify(err)
	e, known := s.problems[rej.Code]
	if !known {
		e = entry{Code: rej.Code, Status: http.StatusUnprocessableEntity, TitleEN: rej.Detail, TitleZH: rej.Detail}
	}
	p := Problem{
		Type: "urn:zujian:problem:" + rej.Code, Title: e.TitleEN, Status: e.Status, Detail: rej.Detail,
		Code: rej.Code, Instance: instance, Errors: fields,
		Rule: rej.Rule, RuleVersion: rej.RuleVersion, Params: public(rej.Params),
	}
	if lang == langZH {
		p.Title, p.Detail = e.TitleZH, e.HelpZH
	}
	if rej.Pointer != "" && len(fields) == 0 {
		p.Errors = []FieldError{{Pointer: rej.Pointer, Code: rej.Code}}
	}
	for i := range p.Errors {
		p.Errors[i].Pointer = cut(p.Errors[i].Pointer, 200)
	}
	return p
}

func classify(err error) (*domain.Rejection, []FieldError) {
	if iv, ok := errors.AsType[*invalidError](err); ok {
		return errInvalid, iv.fields
	}
	if rej, ok := errors.AsType[*domain.Rejection](err); ok {
		return rej, nil
	}
	if he, ok := errors.AsType[*echo.HTTPError](err); ok {
		switch he.Code {
		case http.StatusMethodNotAllowed:
			return errMethod, nil
		case http.StatusNotFound:
			return errNotFound, nil
		}
	}
	switch {
	case errors.Is(err, eventstore.ErrWrongRevision):
		return errStreamMoved, nil
	case errors.Is(err, eventstore.ErrFull), errors.Is(err, seal.ErrFull):
		return errStorageFull, nil
	case errors.Is(err, eventstore.ErrOverloaded):
		return errOverloaded, nil
	case errors.Is(err, eventstore.ErrClosed), errors.Is(err, eventstore.ErrUnavailable):
		return errStoreClosed, nil
	case errors.Is(err, projections.ErrNotBuilt), errors.Is(err, projections.ErrBehind):
		return errBehind, nil
	case errors.Is(err, seal.ErrUnavailable):
		return errVaultAway, nil
	case errors.Is(err, projections.ErrUnavailable):
		return errViewsAway, nil
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return errTookTooLong, nil
	case errors.Is(err, eventstore.ErrInvalid):
		return errInvalid, nil
	}
	return errInternal, nil
}

// hidden are parameters that aggregates keep for us and that would tell one party about another.
var hidden = map[string]bool{"holder": true, "contract": true, "contracts": true, "party": true}

func public(params map[string]any) map[string]any {
	out := make(map[string]any, len(params))
	for k, v := range params {
		if !hidden[k] {
			out[k] = v
		}
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

// fail answers an error.
func (s *Server) fail(c echo.Context, err error) {
	if c.Response().Committed {
		return
	}
	p := s.problemOf(err, language(c.Request().Header.Get("Accept-Language")), requestID(c))
	if p.Code == errInternal.Code {
		s.log.ErrorContext(c.Request().Context(), "request failed", "request_id", p.Instance, "err", err)
	}
	h := c.Response().Header()
	switch p.Status {
	case http.StatusMethodNotAllowed:
		allowHead(c)
	case http.StatusUnauthorized:
		h.Set("WWW-Authenticate", `Bearer realm="zujian"`)
	case http.StatusServiceUnavailable, http.StatusTooManyRequests:
		if h.Get("Retry-After") == "" {
			h.Set("Retry-After", "1")
		}
	case http.StatusRequestEntityTooLarge:
		h.Set("Connection", "close") // The rest of the body is not read.
	}
	s.writeJSON(c, p.Status, mediaProblem, p)
}

func (s *Server) writeJSON(c echo.Context, status int, media string, body any) []byte {
	raw, err := json.Marshal(body)
	if err != nil {
		s.log.ErrorContext(c.Request().Context(), "encode answer", "request_id", requestID(c), "err", err)
		status, media, raw = http.StatusInternalServerError, mediaProblem, []byte(`{"type":"urn:zujian:problem:internal","title":"internal error","status":500,"code":"internal","instance":""}`)
	}
	c.Response().Header().Set("Content-Length", strconv.Itoa(len(raw)))
	_ = c.Blob(status, media, raw) // The client went away: nobody is left to tell.
	return raw
}

// Languages of titles.
const (
	langZH = "zh"
	langEN = "en"
)

// language picks zh or en by Accept-Language (RFC 9110 §12.5.4); zh when nothing is asked.
func language(header string) string {
	best, bestQ := langZH, -1.0
	for i, part := range strings.Split(header, ",") {
		if i == 20 {
			break
		}
		tag, params, _ := strings.Cut(strings.TrimSpace(part), ";")
		q := 1.0
		if v, ok := strings.CutPrefix(strings.TrimSpace(params), "q="); ok {
			if f, err := strconv.ParseFloat(v, 64); err == nil {
				q = f
			}
		}
		primary, _, _ := strings.Cut(strings.ToLower(tag), "-")
		if (primary == langZH || primary == langEN) && q > bestQ {
			best, bestQ = primary, q
		}
	}
	return best
}

func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}
