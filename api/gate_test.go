package api_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"zujian/api"
	"zujian/domain"
)

// heldKeys holds a request inside the server until it is let go: the one that comes with the token.
type heldKeys struct {
	api.Keys
	token         string
	inside, leave chan struct{}
}

func (h heldKeys) Authenticate(ctx context.Context, token string, now time.Time) (domain.Actor, error) {
	if token == h.token {
		h.inside <- struct{}{}
		<-h.leave
	}
	return h.Keys.Authenticate(ctx, token, now)
}

// TestOverloadSheds holds every place and asks once more: the request waits a moment and is shed, probes are answered, and
// one that waits when a place comes free is served.
func TestOverloadSheds(t *testing.T) {
	held := heldKeys{token: "zj_held", inside: make(chan struct{}), leave: make(chan struct{})}
	w := newTown(t, func(o *api.Options) {
		o.InFlight = 1
		held.Keys, o.Keys = o.Keys, nil
		o.Keys = held
	})
	var holder sync.WaitGroup
	hold := func() {
		holder.Go(func() {
			r := httptest.NewRequest("GET", "/v1/rules", nil)
			r.Header.Set("Authorization", "Bearer "+held.token)
			w.server.ServeHTTP(httptest.NewRecorder(), r)
		})
		<-held.inside
	}
	hold()
	r := w.do("city2", "GET", "/v1/rules", "").problem(http.StatusServiceUnavailable, "unavailable.overloaded")
	if r.header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	w.do("", "GET", "/healthz", "").want(http.StatusOK)
	// A bank's report waits longer than it takes to let go.
	var late sync.WaitGroup
	late.Go(func() {
		w.do("city2", "GET", "/v1/escrow/00000000-0000-4000-8000-000000000000", "").want(http.StatusNotFound)
	})
	held.leave <- struct{}{}
	late.Wait()
	holder.Wait()
	w.do("city2", "GET", "/v1/rules", "").want(http.StatusOK)
}

// TestSlowClientsKeepNobodyOut has more clients than places send their requests a byte at a time, in header and body:
// whoever asks properly is answered meanwhile, and the slow ones are.
func TestSlowClientsKeepNobodyOut(t *testing.T) {
	w := newTown(t, func(o *api.Options) { o.InFlight = 2 })
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := w.server.HTTPServer("")
	go func() { _ = server.Serve(listener) }()
	defer func() { _ = server.Close() }()
	address := listener.Addr().String()
	body := `{"to":"x"}`
	for n := range 40 {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
		start := fmt.Sprintf("POST /v1/parties HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\n", address, w.keys["city"])
		if n%2 == 0 {
			start += fmt.Sprintf("Content-Type: application/json\r\nContent-Length: %d\r\n\r\n{", len(body))
		}
		if _, err := io.WriteString(c, start); err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			defer func() { // The rest of it arrives at last.
				if _, err := io.WriteString(c, body[1:]); err != nil {
					t.Fatal(err)
				}
				answer := make([]byte, 512)
				if n, err := c.Read(answer); err != nil || !strings.HasPrefix(string(answer[:n]), "HTTP/1.1 400 ") {
					t.Errorf("the slow request got %q, %v", answer[:n], err)
				}
			}()
		}
	}
	for range 20 {
		req, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+address+"/v1/rules", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+w.keys["city2"])
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != http.StatusOK {
			t.Fatalf("got %d", res.StatusCode)
		}
	}
}
