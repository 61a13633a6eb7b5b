package api

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"

	"zujian/api/desk"
	"zujian/api/web"
	"zujian/domain"
	"zujian/eventstore"
	"zujian/eventstore/register"
	"zujian/projections"
	"zujian/projections/rentindex"
)

// Limits of the server. Zero fields of Options take these.
const (
	RateDefault     = 200              // Requests a second of one key.
	BurstDefault    = 400              //
	InFlightDefault = 128              // Requests at work at once; more wait a moment, then are shed with 503.
	workTimeout     = 20 * time.Second // Longest a request may work.
	atLeastWait     = 2 * time.Second
	headerBytesMax  = 32 << 10
)

// Waiter tells when a view has come as far as a position.
type Waiter interface {
	WaitFor(ctx context.Context, view string, at eventstore.Position) error
}

// Keys resolves API keys. It MUST compare in constant time and notice a revocation within 5 s. A key that is unknown,
// expired or revoked is desk.ErrKey. *desk.Desk is one.
type Keys interface {
	Authenticate(ctx context.Context, token string, now time.Time) (domain.Actor, error)
}

// Replies keeps the answers given under an Idempotency-Key until they expire.
type Replies interface {
	Get(ctx context.Context, key string) (value []byte, found bool, err error)
	Put(ctx context.Context, key string, value []byte, expires time.Time) error
}

// Options are what a Server is made of. Desk, Views, Kept, Keys, Replies, Store, Catalogue, Index, Log, Now and NewID are needed; the
// rest may be absent.
type Options struct {
	Desk      *desk.Desk
	Views     projections.Views
	Kept      []projections.Projection // What Views holds.
	Waiter    Waiter                   // nil = Zujian-At-Least is answered without waiting.
	Keys      Keys
	Replies   Replies
	Store     eventstore.Store   // For events, histories and receipts.
	Register  *register.Register // nil = this server keeps none: no proofs, no receipts.
	Catalogue domain.Catalogue
	Index     rentindex.Projection // What /v1/rent-index reads.
	Log       *slog.Logger
	Now       func() time.Time         // The clock that waits, limits and durations go by,
	When      func() (time.Time, bool) // and what time it is for whoever asks; true while that is in doubt and nothing may be decided. nil = Now.
	NewID     func() uuid.UUID
	// Alone calls f while no other server over the same log does what; nil = there is none.
	Alone func(ctx context.Context, what string, f func(context.Context) error) error

	Host      string // Public host name; other Host headers are refused. "" takes any.
	Version   string
	StoreName string // What the start page says the log is.
	Demo      bool   // Pages say that the data is made up (示例数据).
	Secret    []byte // Of list cursors and of what command ids hang on; the same on all nodes, for good. nil = random.

	RatePerSecond int // Of one key. Negative = no limit.
	Burst         int
	InFlight      int

	Bell            Bell   // Rings when the log has grown; nil = live streams look every other second.
	Source          string // CloudEvents source of live events: "/zujian/nanjing".
	WebhookLoopback bool   // Development: webhooks may name this machine.

	Registry *prometheus.Registry             // nil = a new one.
	Status   func(context.Context) web.Status // For the start page and /readyz; nil = ready, nothing to say.
}

// Server is the HTTP API. Make one with New.
type Server struct {
	o        Options
	log      *slog.Logger
	echo     *echo.Echo
	ops      []*operation
	problems map[string]entry
	pages    *web.Pages
	limits   *limiters
	flood    *limiters
	metrics  *metrics
	lives    *lives

	requestKey  []byte // Of fingerprints.
	simulations *simulations
	solved      rentindex.Solved // Of /v1/rent-index.
	work        *gate            // Requests.
	lasting     *gate            // Batches and streams.
	busy        sync.Map         // Idempotency keys at work: string → struct{}.
	position    atomic.Uint64
	imports     sync.Mutex // Of bank statements: each is held to the days that are there.

	disclosures quota // Readings of personal data in clear.
}

// New builds the server. It fails when openapi.yaml and the handlers do not match.
func New(o Options) (*Server, error) {
	ops, err := readSpec(openapiYAML)
	if err != nil {
		return nil, err
	}
	problems, err := readProblems(problemsJSON)
	if err != nil {
		return nil, err
	}
	pages, err := web.New(openapiYAML)
	if err != nil {
		return nil, err
	}
	if o.Demo {
		pages.Demo()
	}
	if o.RatePerSecond == 0 {
		o.RatePerSecond = RateDefault
	}
	if o.Burst == 0 {
		o.Burst = BurstDefault
	}
	if o.InFlight == 0 {
		o.InFlight = InFlightDefault
	}
	if o.Secret == nil {
		o.Secret = make([]byte, 32)
		_, _ = rand.Read(o.Secret) // Never fails.
	}
	if o.Registry == nil {
		o.Registry = prometheus.NewRegistry()
	}
	s := &Server{
		o: o, log: o.Log, ops: ops, problems: problems, pages: pages,
		limits: newLimiters(o.RatePerSecond, o.Burst), flood: newLimiters(1, authFailuresBurst),
		work: newGate(o.InFlight), lasting: newGate(streamsMax), lives: newLives(), simulations: newSimulations(),
	}
	code := hmac.New(sha256.New, o.Secret)
	code.Write([]byte("requests"))
	s.requestKey = code.Sum(nil)
	s.metrics = newMetrics(o.Registry)
	return s, s.route()
}

// route binds every operation of openapi.yaml to its handler, and the pages beside them.
func (s *Server) route() error {
	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	e.HTTPErrorHandler = func(err error, c echo.Context) { s.fail(c, err) }
	e.Pre(s.guard)
	handlers := handlers()
	for _, op := range s.ops {
		h, ok := handlers[op.id]
		if !ok {
			return fmt.Errorf("api: openapi.yaml has %s, and there is no handler for it", op.id)
		}
		delete(handlers, op.id)
		e.Add(op.method, op.path, s.serve(op, h))
	}
	for id := range handlers {
		return fmt.Errorf("api: there is a handler for %s, and openapi.yaml does not have it", id)
	}
	s.routePages(e)
	s.routeRegister(e)
	s.echo = e
	return nil
}

// ServeHTTP makes Server a http.Handler. HEAD is GET whose body the HTTP server leaves out (RFC 9110 9.3.2), but of a live
// stream, which would never end.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodHead && !streams(r) {
		get := r.WithContext(r.Context())
		get.Method = http.MethodGet
		r = get
	}
	s.echo.ServeHTTP(w, r)
}

// allowHead names HEAD among the methods of a path that answers it as GET.
func allowHead(c echo.Context) {
	h := c.Response().Header()
	if allow := h.Get(echo.HeaderAllow); slices.Contains(strings.Split(allow, ", "), http.MethodGet) && !streams(c.Request()) {
		h.Set(echo.HeaderAllow, allow+", "+http.MethodHead)
	}
}

// HTTPServer is a server for addr with every timeout set. The caller listens and shuts it down.
func (s *Server) HTTPServer(addr string) *http.Server {
	server := &http.Server{
		Addr: addr, Handler: s,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      60 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    headerBytesMax,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelWarn),
	}
	server.RegisterOnShutdown(s.lives.end)
	server.RegisterOnShutdown(s.simulations.shut)
	return server
}

const requestIDKey = "zujian.request_id"

func requestID(c echo.Context) string {
	id, _ := c.Get(requestIDKey).(string)
	return id
}

// guard wraps every request: its id, headers, host, in-flight bound, panics, log line and metrics.
func (s *Server) guard(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) (err error) {
		r, start := c.Request(), s.o.Now()
		id := s.o.NewID().String()
		c.Set(requestIDKey, id)
		secure(c.Response().Header(), id)
		if r.Method == http.MethodOptions {
			c.Response().Before(func() { allowHead(c) })
		}
		defer func() {
			if v := recover(); v != nil {
				s.log.ErrorContext(r.Context(), "panic", "request_id", id, "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
				s.fail(c, errInternal)
			}
			s.account(c, start)
		}()
		if err := s.admit(c); err != nil {
			if errors.Is(err, errTooLarge) {
				letSend(r)
			}
			s.fail(c, err)
			return nil
		}
		if probe(r.URL.Path) {
			return s.finish(c, next)
		}
		receive(c.Response().Writer, r)
		place, patience := s.place(r)
		if err := place.enter(r.Context(), patience); err != nil {
			s.fail(c, err)
			return nil
		}
		defer place.leave()
		return s.finish(c, next)
	}
}

func (s *Server) finish(c echo.Context, next echo.HandlerFunc) error {
	if err := next(c); err != nil {
		s.fail(c, err)
	}
	return nil
}

// probe paths are answered even when all slots are taken and whatever the Host header.
func probe(path string) bool { return path == "/healthz" || path == "/readyz" || path == "/metrics" }

func (s *Server) admit(c echo.Context) error {
	r := c.Request()
	if s.o.Host != "" && !probe(r.URL.Path) {
		host := r.Host
		if h, _, err := net.SplitHostPort(host); err == nil {
			host = h
		}
		want := s.o.Host
		if h, _, err := net.SplitHostPort(want); err == nil {
			want = h
		}
		if !strings.EqualFold(host, want) {
			return errWrongHost
		}
	}
	if r.ContentLength > bodyBytesMax && !strings.HasPrefix(r.Header.Get("Content-Type"), mediaNDJSON) {
		return errTooLarge
	}
	return nil
}

// secure sets the headers every answer has; pages loosen the policy for their own style sheet.
func secure(h http.Header, id string) {
	h.Set("X-Request-Id", id)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Strict-Transport-Security", "max-age=31536000; includeSubDomains")
	h.Set("Cache-Control", "no-store")
}

// account writes the request line and the metrics. The line has the route, never the path or the query: those carry
// ids and codes.
func (s *Server) account(c echo.Context, start time.Time) {
	route := c.Path()
	if route == "" {
		route = "unmatched"
	}
	status, took := c.Response().Status, s.o.Now().Sub(start)
	s.metrics.observe(route, method(c.Request().Method), status, took)
	attrs := []slog.Attr{
		slog.String("request_id", requestID(c)), slog.String("method", method(c.Request().Method)), slog.String("route", route),
		slog.Int("status", status), slog.Int64("bytes", c.Response().Size), slog.Int64("took_us", took.Microseconds()),
	}
	if a, ok := c.Get(actorKey).(domain.Actor); ok {
		attrs = append(attrs, slog.String("key_id", a.ID), slog.String("role", string(a.Role)))
	}
	s.log.LogAttrs(c.Request().Context(), slog.LevelInfo, "request", attrs...)
}

// method bounds the label: a client may send any word.
func method(m string) string {
	switch m {
	case http.MethodGet, http.MethodPost, http.MethodPatch, http.MethodDelete, http.MethodHead, http.MethodOptions, http.MethodPut:
		return m
	}
	return "OTHER"
}
