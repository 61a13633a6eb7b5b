package main

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"zujian/projections/redisviews/redistest"
)

// TestViewsInRedis files against a real process whose views are in Redis, and takes Redis away: emptied, restarted with
// nothing, and the process killed. Nothing acknowledged is lost or doubled, readers are told that views are away or
// behind, and in the end the views are what the log says.
func TestViewsInRedis(t *testing.T) {
	if testing.Short() {
		t.Skip("starts and kills real processes")
	}
	redis := redistest.Start(t)
	client := redis.Client()
	defer client.Close()
	data := t.TempDir()
	p := startServer(t, data, "--views", redis.URL())
	w := prepare(t, p, data)
	var next, behind, wrong atomic.Int64
	var mu sync.Mutex
	acked, paid := map[string]filed{}, map[string]int64{}
	takeAway := []func(){
		func() {
			if err := client.FlushAll(t.Context()).Err(); err != nil {
				t.Error(err)
			}
		},
		func() { redis.Kill(); time.Sleep(200 * time.Millisecond); redis.Restart(t) },
		func() { p.kill() },
	}
	for _, take := range takeAway {
		ctx, stop := context.WithCancel(t.Context())
		var load sync.WaitGroup
		base := p.base
		for range 4 {
			load.Go(func() {
				for ctx.Err() == nil {
					n := int(next.Add(1)) - 1
					f, ok := w.file(ctx, base, n)
					if !ok {
						continue
					}
					amount, isPaid := w.pay(ctx, base, f, n)
					mu.Lock()
					acked[f.contract] = f
					if isPaid {
						paid[f.contract] = amount
					}
					mu.Unlock()
				}
			})
		}
		load.Go(func() {
			for ctx.Err() == nil {
				r, err := ask(ctx, base, http.MethodGet, "/v1/views/housing/contracts?limit=200", w.city, nil)
				switch {
				case err != nil:
				case r.status == http.StatusServiceUnavailable:
					behind.Add(1)
				case r.status != http.StatusOK:
					wrong.Add(1)
				}
			}
		})
		time.Sleep(400 * time.Millisecond)
		take()
		time.Sleep(400 * time.Millisecond)
		stop()
		load.Wait()
		if p.ended() {
			p = startServer(t, data, "--views", redis.URL())
		}
	}
	w.check(t, p, acked, paid)
	t.Logf("%d filings asked, %d acknowledged, %d paid, 0 lost; %d reads were told to wait", next.Load(), len(acked), len(paid), behind.Load())
	if len(acked) < 3 || behind.Load() == 0 || wrong.Load() > 0 {
		t.Errorf("%d acknowledged, %d told to wait, %d reads failed otherwise", len(acked), behind.Load(), wrong.Load())
	}
	p.kill()
	var out, errs lockedBuffer
	if code := run(t.Context(), []string{"verify", "--data", data, "--views", redis.URL(), "--json"}, &out, &errs); code != 0 {
		t.Errorf("verify: exit %d\n%s\n%s", code, out.String(), errs.String())
	}
}

// TestOlderLogUnderNewerViewsThatAreAway puts an old log back and starts a server while Redis can't be reached: once it can be,
// what it shows never was in that log.
func TestOlderLogUnderNewerViewsThatAreAway(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a real process")
	}
	redis := redistest.Start(t)
	data := t.TempDir()
	p := startServer(t, data, "--views", redis.URL())
	key := readFirstKey(t, data)
	p.stop(t)
	old := copyOf(t, data)
	p = startServer(t, data, "--views", redis.URL())
	at := p.must(t, 201, "POST", "/v1/parties", key, map[string]any{
		"kind": "PERSON", "name": "测试人", "doc_type": "CN_ID", "doc_no": testID(1), "phone": "13800000000",
	}).header.Get("Zujian-Position")
	p.must(t, 200, "GET", "/v1/views/housing/contracts", key, nil, "Zujian-At-Least", at)
	p.stop(t)
	for _, part := range []string{"log", "register"} {
		to, from := filepath.Join(data, part), filepath.Join(old, part)
		if err := errors.Join(os.RemoveAll(to), os.CopyFS(to, os.DirFS(from))); err != nil {
			t.Fatal(err)
		}
	}
	door, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer door.Close()
	var open atomic.Bool
	go func() {
		for {
			in, err := door.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", redis.Addr)
			if err != nil || !open.Load() {
				_ = in.Close()
				continue
			}
			go func() { _, _ = io.Copy(in, out); _ = in.Close() }()
			go func() { _, _ = io.Copy(out, in); _ = out.Close() }()
		}
	}()
	p = startServer(t, data, "--views", "redis://"+door.Addr().String()+"/0")
	open.Store(true)
	for deadline := time.Now().Add(time.Minute); !p.ended(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it serves on")
		}
	}
	if !strings.Contains(p.logs.String(), "delete the views") {
		t.Errorf("it says %s", p.logs.String())
	}
}
