package api

import (
	"bytes"
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"zujian/api/desk"
	"zujian/domain"
	"zujian/eventstore"
	"zujian/projections"
)

// handler answers one operation. It decides nothing: it turns the call into a use case of the desk or a query.
type handler func(ctx context.Context, s *Server, c *call) (answer, error)

// call is a request that was let in: its key is good, its role may, its body fits the schema.
type call struct {
	desk.Call
	op    *operation
	echo  echo.Context
	lang  string
	raw   []byte // The body as it came; nil without one.
	query map[string]string
}

// answer is what a handler gives.
type answer struct {
	status   int                  // 0 = 200.
	body     any                  //
	location string               // For 201.
	revision *eventstore.Revision // ETag.
	position eventstore.Position  // Zujian-Position; 0 for reads.
	next     string               // Cursor of the next page; "" = last.
	file     *file                // Sent instead of body: a table of a GET.
}

// file is an answer that is no JSON.
type file struct {
	media, name string
	content     []byte
}

// wrote is the answer of a write.
func wrote(status int, r desk.Receipt, body any) answer {
	return answer{status: status, body: body, revision: &r.Revision, position: r.Position}
}

// path is a path parameter; its form was checked.
func (c *call) path(name string) string { return c.echo.Param(name) }

// with decodes the body for a handler that takes one.
func with[B any](f func(ctx context.Context, s *Server, c *call, body B) (answer, error)) handler {
	form := domain.FormOf[B]()
	return func(ctx context.Context, s *Server, c *call) (answer, error) {
		body, err := form.Unmarshal(c.raw)
		if err != nil {
			return answer{}, invalid(FieldError{Pointer: "", Code: codeFormat}) // The schema let through what the model can't hold.
		}
		return f(ctx, s, c, body)
	}
}

// serve runs the steps every operation shares, in the order in which they tell least to a stranger.
func (s *Server) serve(op *operation, h handler) echo.HandlerFunc {
	return func(ec echo.Context) error {
		ctx, cancel := context.WithTimeout(ec.Request().Context(), workTimeout)
		defer cancel()
		c, err := s.enter(ctx, ec, op)
		if err != nil {
			return err
		}
		if op.live {
			return s.serveLive(ec, c)
		}
		if op.batch && mediaType(ec.Request()) == mediaNDJSON {
			return s.serveBatch(ec, c, h)
		}
		if err := s.readBody(ec, c); err != nil {
			return err
		}
		if op.method == http.MethodPost {
			return s.once(ctx, c, h)
		}
		c.ID = s.o.NewID().String()
		a, err := h(ctx, s, c)
		if err != nil {
			return s.mapConflict(c, err)
		}
		s.reply(c, a)
		return nil
	}
}

// enter lets a request in or says why not.
func (s *Server) enter(ctx context.Context, ec echo.Context, op *operation) (*call, error) {
	actor, err := s.authenticate(ctx, ec, op)
	if err != nil {
		return nil, err
	}
	ec.Set(actorKey, actor)
	who := actor.ID
	if actor.Role == domain.RolePublic {
		who = "addr:" + remote(ec)
	}
	if !s.limits.take(ec.Response().Header(), who, s.o.Now()) {
		return nil, errRate
	}
	at, err := s.permit(op, actor)
	if err != nil {
		return nil, err
	}
	c := &call{op: op, echo: ec, lang: language(ec.Request().Header.Get("Accept-Language")), query: map[string]string{}}
	c.Actor, c.At, c.Correlation = actor, at, requestID(ec)
	if err := c.readParams(); err != nil {
		return nil, err
	}
	if c.IfMatch, err = readIfMatch(ec.Request().Header); err != nil {
		return nil, err
	}
	if op.method == http.MethodGet {
		return c, s.await(ctx, c)
	}
	return c, nil
}

// permit tells what time it is for who may do this now.
func (s *Server) permit(op *operation, actor domain.Actor) (time.Time, error) {
	if !op.allows(actor.Role) {
		return time.Time{}, errForbidden
	}
	at, doubted := s.when()
	if doubted && op.method != http.MethodGet {
		return time.Time{}, errClock
	}
	return at, nil
}

// when is what time it is for whoever asks, and whether that is in doubt.
func (s *Server) when() (at time.Time, doubted bool) {
	if s.o.When == nil {
		return s.o.Now().UTC().Truncate(time.Microsecond), false
	}
	at, doubted = s.o.When()
	return at.UTC().Truncate(time.Microsecond), doubted
}

// readParams holds path and query to their schemas. A path that can't be an id is simply not there.
func (c *call) readParams() error {
	for name, p := range c.op.params {
		if p.in == "path" && !p.check(c.path(name)) {
			return errNotFound
		}
	}
	values, err := urlQuery(c.echo.Request())
	if err != nil {
		return err
	}
	for name, vs := range values {
		p, known := c.op.params[name]
		if !known || p.in != "query" || len(vs) != 1 || !p.check(vs[0]) {
			return errParameter.With("parameter", cut(name, 40))
		}
		c.query[name] = vs[0]
	}
	for name, p := range c.op.params {
		if _, there := c.query[name]; p.in == "query" && p.required && !there {
			return errParameter.With("parameter", name)
		}
	}
	return nil
}

// await keeps a GET until its views include the position the client has seen and, with ?asOf, all that was recorded by now:
// what was known at an instant must not grow later.
func (s *Server) await(ctx context.Context, c *call) error {
	at, err := s.recorded(ctx, c)
	if err != nil {
		return err
	}
	if values := c.echo.Request().Header.Values("Zujian-At-Least"); len(values) > 0 {
		seen, err := strconv.ParseUint(values[0], 10, 63)
		if len(values) > 1 || err != nil {
			return errHeader.With("header", "Zujian-At-Least")
		}
		at = max(at, eventstore.Position(seen))
	}
	if at == 0 || s.o.Waiter == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, atLeastWait)
	defer cancel()
	for _, view := range c.op.views {
		if err := s.o.Waiter.WaitFor(ctx, view, at); err != nil {
			if errors.Is(err, projections.ErrUnknownView) {
				continue // Not kept here: the handler says so.
			}
			return err
		}
	}
	return nil
}

// recorded is where the log ends once nothing is under way that bears an earlier time; 0 for a question without ?asOf.
func (s *Server) recorded(ctx context.Context, c *call) (eventstore.Position, error) {
	at, err := c.asOf()
	if err != nil || at.IsZero() {
		return 0, err
	}
	if log, can := s.o.Store.(eventstore.Settling); can {
		if err := log.Settle(ctx, at); err != nil {
			return 0, err
		}
	}
	head, err := s.o.Store.Head(ctx)
	return head.Position, err
}

// atLeast is the later of position and the latest this server has answered with. An answer that must not tell whether
// it wrote anything gives this.
func (s *Server) atLeast(position eventstore.Position) eventstore.Position {
	for {
		last := s.position.Load()
		if uint64(position) <= last {
			return eventstore.Position(last)
		}
		if s.position.CompareAndSwap(last, uint64(position)) {
			return position
		}
	}
}

// catchUp waits until a view includes all that the log has, whoever wrote it: a use case reads it for a decision.
func (s *Server) catchUp(ctx context.Context, view string) error {
	if s.o.Waiter == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, atLeastWait)
	defer cancel()
	head, err := s.o.Store.Head(ctx)
	if err != nil {
		return err
	}
	return s.o.Waiter.WaitFor(ctx, view, head.Position)
}

// readBody reads, decodes and validates the body, or makes sure there is none.
func (s *Server) readBody(ec echo.Context, c *call) error {
	r := ec.Request()
	if c.op.body == nil {
		return refuseBody(r)
	}
	if v := r.Header.Get("Content-Encoding"); v != "" && !strings.EqualFold(v, "identity") {
		return errEncoding
	}
	if mediaType(r) != mediaJSON {
		return errMediaType
	}
	raw, err := readAll(ec.Response(), r, bodyBytesMax)
	if err != nil {
		return err
	}
	c.raw = raw
	return c.op.checkBody(raw)
}

func (o *operation) checkBody(raw []byte) error {
	v, ferr := strictJSON(raw)
	if ferr != nil {
		return invalid(*ferr)
	}
	if fields := validate(o.body, v); fields != nil {
		return invalid(fields...)
	}
	return nil
}

// refuseBody lets an empty body and {} pass where none is taken.
func refuseBody(r *http.Request) error {
	raw, err := io.ReadAll(io.LimitReader(r.Body, 3))
	if err != nil {
		return readFailed(err)
	}
	if text := strings.TrimSpace(string(raw)); text != "" && text != "{}" {
		return invalid(FieldError{Pointer: "", Code: codeUnknown})
	}
	return nil
}

func mediaType(r *http.Request) string {
	media, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		return ""
	}
	if cs, ok := params["charset"]; ok && !strings.EqualFold(cs, "utf-8") {
		return ""
	}
	return media
}

// bodyUsual is as much room as a body gets that says it is so long and is not there yet.
const bodyUsual = 16 << 10

func readAll(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	var raw bytes.Buffer
	raw.Grow(int(min(max(r.ContentLength, 0), bodyUsual)) + bytes.MinRead)
	if _, err := raw.ReadFrom(http.MaxBytesReader(w, r.Body, limit)); err != nil {
		return nil, readFailed(err)
	}
	return raw.Bytes(), nil
}

func readFailed(err error) error {
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		return errTooLarge
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return errSlow
	}
	return invalid(FieldError{Pointer: "", Code: codeSyntax}) // The client broke off.
}

// mapConflict tells a lost race from a client's own expectation.
func (s *Server) mapConflict(c *call, err error) error {
	if c.IfMatch != nil && errors.Is(err, eventstore.ErrWrongRevision) {
		return errPrecondition
	}
	return err
}

// reply writes a handler's answer and returns its body.
func (s *Server) reply(c *call, a answer) []byte {
	h := c.echo.Response().Header()
	if a.revision != nil && *a.revision >= 0 {
		tag := etag(*a.revision)
		h.Set("ETag", tag)
		if c.op.method == http.MethodGet && slices.Contains(c.echo.Request().Header.Values("If-None-Match"), tag) {
			_ = c.echo.NoContent(http.StatusNotModified)
			return nil
		}
	}
	s.atLeast(a.position)
	if a.position > 0 {
		h.Set("Zujian-Position", strconv.FormatUint(uint64(a.position), 10))
	}
	if a.location != "" {
		h.Set("Location", a.location)
	}
	if a.next != "" {
		h.Set("Link", "<"+c.nextURL(a.next)+`>; rel="next"`)
	}
	if a.status == 0 {
		a.status = http.StatusOK
	}
	if a.file != nil {
		h.Set("Content-Disposition", `attachment; filename="`+a.file.name+`"`)
		_ = c.echo.Blob(a.status, a.file.media, a.file.content) // The client went away: nobody is left to tell.
		return nil
	}
	return s.writeJSON(c.echo, a.status, mediaJSON, a.body)
}
