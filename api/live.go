package api

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/labstack/echo/v4"

	"zujian/eventstore"
	"zujian/projections/feed"
)

// Bell rings when the log has grown; *feed.Bell is one.
type Bell interface{ C() <-chan struct{} }

// Limits of a live stream.
const (
	liveMax       = 8                    // Streams of one key or party at once.
	liveWrite     = 10 * time.Second     // Longest a client may take to read what is sent; then it is dropped.
	liveLook      = 2 * time.Second      // Between two looks at the key and, without a bell, at the log.
	liveHeartbeat = 6                    // Looks between two signs of life.
	liveScan      = 1000                 // Events looked at …
	livePause     = 5 * time.Millisecond // … before a pause: a client far behind must not take a core.
	mediaEvents   = "text/event-stream"
)

// lives counts live streams by caller.
type lives struct {
	mu    sync.Mutex
	of    map[string]int
	ended chan struct{} // Closed when the server shuts down.
	once  sync.Once
}

func newLives() *lives { return &lives{of: map[string]int{}, ended: make(chan struct{})} }

func (l *lives) end() { l.once.Do(func() { close(l.ended) }) }

func (l *lives) enter(who string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.of[who] >= liveMax {
		return false
	}
	l.of[who]++
	return true
}

func (l *lives) leave(who string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.of[who]--; l.of[who] == 0 {
		delete(l.of, who)
	}
}

// streamEvents is never called: serve gives the operation to serveLive.
func streamEvents(context.Context, *Server, *call) (answer, error) { return answer{}, errInternal }

// serveLive answers with events as they happen (Server-Sent Events), until the client leaves, stops reading, or its key
// ends. It reads the log at the client's pace, so nothing is kept for a slow one.
func (s *Server) serveLive(ec echo.Context, c *call) error {
	after, types, err := s.liveFrom(c)
	if err != nil {
		return err
	}
	who := principal(c.Actor)
	if !s.lives.enter(who) {
		return errRate
	}
	defer s.lives.leave(who)
	control := http.NewResponseController(ec.Response())
	for _, lift := range []func(time.Time) error{control.SetReadDeadline, control.SetWriteDeadline} { // Else they end the stream.
		if err := lift(time.Time{}); err != nil && !errors.Is(err, http.ErrNotSupported) {
			return err
		}
	}
	ctx, cancel := context.WithCancel(ec.Request().Context())
	defer cancel()
	l := &live{server: s, call: c, control: control, out: ec.Response(), after: after, types: types}
	h := ec.Response().Header()
	h.Set("Content-Type", mediaEvents)
	h.Set("X-Accel-Buffering", "no")
	ec.Response().WriteHeader(http.StatusOK)
	if l.write([]byte("retry: 3000\n\n")) != nil {
		return nil
	}
	if err := l.run(ctx); err != nil && !errors.Is(err, errEnded) && ctx.Err() == nil {
		s.log.WarnContext(ctx, "live stream ended", "request_id", c.Correlation, "err", err)
	}
	return nil
}

// liveFrom is where a stream begins: after Last-Event-ID, ?after, or the log's end.
func (s *Server) liveFrom(c *call) (after eventstore.Position, types []string, err error) {
	text := c.query["after"]
	if values := c.echo.Request().Header.Values("Last-Event-ID"); len(values) == 1 {
		text = values[0]
		if _, err := strconv.ParseUint(text, 10, 63); err != nil {
			return 0, nil, errHeader.With("header", "Last-Event-ID")
		}
	} else if len(values) > 1 {
		return 0, nil, errHeader.With("header", "Last-Event-ID")
	}
	if t := c.query["types"]; t != "" {
		types = strings.Split(t, ",")
	}
	for _, t := range types {
		if _, known := s.o.Catalogue[t]; !known {
			return 0, nil, errParameter.With("parameter", "types")
		}
	}
	if text == "" {
		head, err := s.o.Store.Head(c.echo.Request().Context())
		return head.Position, types, err
	}
	n, _ := strconv.ParseUint(text, 10, 63) // Its form was checked.
	return eventstore.Position(n), types, nil
}

// live is one stream to one client.
type live struct {
	server  *Server
	call    *call
	control *http.ResponseController
	out     http.ResponseWriter
	after   eventstore.Position
	types   []string
	buffer  bytes.Buffer
	tick    *time.Ticker
	looks   int
}

// write sends, and gives up on a client that left or does not read.
func (l *live) write(raw []byte) error {
	stuck := time.AfterFunc(liveWrite, func() { _ = l.control.SetWriteDeadline(time.Unix(1, 0)) }) // Long past: the write ends.
	defer stuck.Stop()
	if _, err := l.out.Write(raw); err != nil {
		return errEnded
	}
	if err := l.control.Flush(); err != nil {
		return errEnded
	}
	return nil
}

// errEnded ends a stream without a word: the client left or does not read, its key ended, or the server does.
var errEnded = errors.New("the live stream has ended")

func (l *live) run(ctx context.Context) error {
	s := l.server
	l.tick = time.NewTicker(liveLook)
	defer l.tick.Stop()
	for {
		var ring <-chan struct{}
		if s.o.Bell != nil {
			ring = s.o.Bell.C()
		}
		if err := l.pass(ctx); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-s.lives.ended:
			return nil
		case <-ring:
		case <-l.tick.C:
			if err := l.look(ctx); err != nil {
				return err
			}
		}
	}
}

// look sees at each tick whether the stream may go on, and gives a sign of life now and then.
func (l *live) look(ctx context.Context) error {
	if _, err := l.server.resolve(ctx, l.call.echo.Request().Header.Get("Authorization")); err != nil {
		return errEnded // With the key ends what it may see.
	}
	if l.looks++; l.looks%liveHeartbeat == 0 {
		return l.write([]byte(": \n\n"))
	}
	return nil
}

// pass sends all there is after the last event sent. A client far behind may take hours of it.
func (l *live) pass(ctx context.Context) error {
	seen := 0
	for e, err := range l.server.o.Store.All(ctx, l.after) {
		if err != nil {
			return err
		}
		select {
		case <-l.server.lives.ended:
			return errEnded
		case <-l.tick.C:
			if err := l.look(ctx); err != nil {
				return err
			}
		default:
		}
		if seen++; seen%liveScan == 0 {
			pause(ctx, livePause)
		}
		l.after = e.Position
		if strings.HasPrefix(e.Type, "webhook.") || (l.types != nil && !slices.Contains(l.types, e.Type)) {
			continue
		}
		sees, err := l.server.o.Desk.SeesStream(ctx, l.call.Actor, e.Stream)
		if err != nil {
			return err
		}
		if !sees {
			continue
		}
		l.buffer.Reset()
		fmt.Fprintf(&l.buffer, "id: %d\nevent: %s\ndata: %s\n\n", e.Position, e.Type, feed.About(l.server.o.Source, e).JSON())
		if err := l.write(l.buffer.Bytes()); err != nil {
			return err
		}
	}
	return nil
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
