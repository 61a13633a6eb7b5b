package api_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// TestHeadIsGetWithoutBody asks a real HTTP server, which leaves the body out: the headers are those of GET.
func TestHeadIsGetWithoutBody(t *testing.T) {
	w := newTown(t)
	w.people()
	w.covered()
	server := httptest.NewServer(w.server)
	defer server.Close()
	ask := func(method, path string) (*http.Response, int) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, server.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r, err := server.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Fatal(err)
		}
		return r, len(body)
	}
	for _, path := range []string{
		"/checkpoint", fmt.Sprintf("/tile/0/000.p/%d", w.register.Checkpoint().Size), "/tile/0/000", "/v1/proofs/checkpoint", "/v1/rules", "/v1/nothing", "/healthz", "/docs",
	} {
		get, _ := ask(http.MethodGet, path)
		head, n := ask(http.MethodHead, path)
		if head.StatusCode != get.StatusCode || n > 0 || head.Header.Get("Content-Type") != get.Header.Get("Content-Type") ||
			get.ContentLength >= 0 && head.ContentLength != get.ContentLength {
			t.Errorf("%s: HEAD gives %d, %d bytes of %d, GET %d, %d", path, head.StatusCode, n, head.ContentLength, get.StatusCode, get.ContentLength)
		}
	}
	for _, path := range []string{"/v1/events/stream", "/v1/filings"} {
		if head, _ := ask(http.MethodHead, path); head.StatusCode != http.StatusMethodNotAllowed {
			t.Errorf("%s: HEAD gives %d", path, head.StatusCode)
		}
	}
}

// TestAllowIsWhatIsAnswered: the methods that a path says it takes are those that it takes.
func TestAllowIsWhatIsAnswered(t *testing.T) {
	w := newTown(t)
	for path, want := range map[string]string{
		"/checkpoint": "OPTIONS, GET, HEAD", "/tile/0/000": "OPTIONS, GET, HEAD", "/v1/parties": "OPTIONS, POST", "/v1/rules": "OPTIONS, GET, HEAD",
		"/v1/webhook-endpoints": "OPTIONS, GET, POST, HEAD", "/v1/events/stream": "OPTIONS, GET", "/healthz": "OPTIONS, GET, HEAD",
	} {
		for _, method := range []string{http.MethodOptions, http.MethodTrace, http.MethodDelete} {
			rec := httptest.NewRecorder()
			w.server.ServeHTTP(rec, httptest.NewRequest(method, path, nil))
			if got := rec.Header().Get("Allow"); got != want {
				t.Errorf("%s %s: %d, Allow: %s", method, path, rec.Code, got)
			}
		}
	}
}

// TestTooLargeIsHeard: a client that sends its whole body before it listens hears that it was too large.
func TestTooLargeIsHeard(t *testing.T) {
	w := newTown(t)
	server := httptest.NewServer(w.server)
	defer server.Close()
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	const size = 12 << 20
	_, err = fmt.Fprintf(conn, "POST /v1/parties HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", size, strings.Repeat("x", size))
	if err != nil {
		t.Fatalf("while it sends: %v", err)
	}
	r, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	if r.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("it hears %s", r.Status)
	}
}
