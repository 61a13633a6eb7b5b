package feed

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"
)

// Limits of one call (trust.md §5.3).
const (
	callTimeout  = 10 * time.Second // From the dial to the end of the answer.
	answerMax    = 64 << 10         // Bytes of an answer that are read.
	headersMax   = 64 << 10
	idleConnsMax = 2 // Of one host.
)

var errRefused = errors.New("feed: an address that may not be called")

// newClient calls public addresses on port 443 and nothing else, whatever a name resolves to when it is dialled. It uses
// no proxy and follows no redirect.
func newClient(loopback bool) *http.Client {
	dialer := &net.Dialer{Timeout: callTimeout / 2, Control: func(_, address string, _ syscall.RawConn) error {
		return dialable(address, loopback)
	}}
	return &http.Client{
		Timeout: callTimeout,
		Transport: &http.Transport{
			DialContext: dialer.DialContext, TLSHandshakeTimeout: callTimeout / 2, ResponseHeaderTimeout: callTimeout,
			MaxResponseHeaderBytes: headersMax, MaxIdleConnsPerHost: idleConnsMax, MaxIdleConns: 256, IdleConnTimeout: time.Minute,
			DisableCompression: true, TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12},
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// dialable judges the address a connection is about to be made to.
func dialable(address string, loopback bool) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return errRefused
	}
	if loopback && at.Addr().Unmap().IsLoopback() {
		return nil
	}
	if at.Port() != 443 || !Public(at.Addr()) {
		return errRefused
	}
	return nil
}

// answered is what came of one call: the status, or a code for why there is none.
type answered struct {
	status int
	code   string
}

// taken reports whether the message need not be sent again.
func (a answered) taken() bool { return a.status >= 200 && a.status < 300 && a.code == "" }

// post sends one message. Its errors are answers too.
func post(ctx context.Context, client *http.Client, url string, at time.Time, id string, body []byte, secrets []string) answered {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return answered{code: "url"}
	}
	req.Header.Set("Content-Type", "application/cloudevents+json; charset=utf-8")
	req.Header.Set("User-Agent", "zujian-webhooks/1")
	if err := sign(req.Header, id, at, body, secrets); err != nil {
		return answered{code: "secret"}
	}
	res, err := client.Do(req)
	if err != nil {
		return answered{code: why(err)}
	}
	defer func() { _ = res.Body.Close() }() // Only read from.
	a := answered{status: res.StatusCode}
	if a.status == http.StatusSwitchingProtocols { // What follows is the connection itself, and no timeout ends that.
		a.code = "status"
		return a
	}
	n, err := io.Copy(io.Discard, io.LimitReader(res.Body, answerMax+1))
	switch {
	case err != nil:
		a.code = why(err)
	case n > answerMax:
		a.code = "answer_too_long"
	case a.status >= 300 && a.status < 400:
		a.code = "redirect"
	case !a.taken():
		a.code = "status"
	}
	return a
}

func why(err error) string {
	var timeout interface{ Timeout() bool }
	var cert *tls.CertificateVerificationError
	switch {
	case errors.Is(err, errRefused):
		return "refused_address"
	case errors.As(err, &timeout) && timeout.Timeout():
		return "timeout"
	case errors.As(err, &cert):
		return "certificate"
	}
	return "connection"
}
