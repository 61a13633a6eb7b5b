package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// slowListeners asks for the live events of a whole city on as many connections as one key may have, and reads none of
// them. Meanwhile the register takes writes; the server drops each of them in time and gives its place to another.
func slowListeners(t *testing.T, p *serverProcess, key string) {
	t.Helper()
	const places = 8
	for i := range places {
		c, err := net.Dial("tcp", strings.TrimPrefix(p.base, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if err := c.(*net.TCPConn).SetReadBuffer(4 << 10); err != nil {
			t.Fatal(err)
		}
		_, err = fmt.Fprintf(c, "GET /v1/events/stream?after=0 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n", key)
		head := make([]byte, len("HTTP/1.1 200 "))
		if err == nil {
			_, err = io.ReadFull(c, head)
		}
		if err != nil || string(head) != "HTTP/1.1 200 " {
			t.Fatalf("stream %d: %v %q", i, err, head)
		}
	}
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	listen := func() bool { // And keeps the place.
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.base+"/v1/events/stream", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+key)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = res.Body.Close() }) // Left open on purpose.
		if res.StatusCode != http.StatusOK && res.StatusCode != http.StatusTooManyRequests {
			t.Fatalf("status %d", res.StatusCode)
		}
		return res.StatusCode == http.StatusOK
	}
	if listen() {
		t.Error("one stream more than there are places")
	}
	began := time.Now()
	for n, free := 0, 0; free < places; n++ {
		p.must(t, 201, "POST", "/v1/parties", key, map[string]any{
			"kind": "PERSON", "name": "测试某", "doc_type": "CN_ID", "doc_no": testID(n%900 + 1), "phone": "13800000001",
		})
		if listen() {
			free++
			continue
		}
		if time.Since(began) > 2*time.Minute {
			t.Fatalf("%d of %d places became free: slow clients are not dropped", free, places)
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Logf("all slow clients were dropped after %s", time.Since(began).Round(100*time.Millisecond))
}
