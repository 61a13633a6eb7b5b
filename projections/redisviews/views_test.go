package redisviews_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"zujian/eventstore"
	"zujian/projections"
	. "zujian/projections/redisviews"
	"zujian/projections/redisviews/redistest"
	"zujian/projections/viewstest"
)

var opened atomic.Int64

// fresh opens an empty view store: the servers are shared, the prefixes are not.
func fresh(t testing.TB, url string, rows int64) *Views {
	t.Helper()
	return open(t, url, fmt.Sprint("test", opened.Add(1)), rows)
}

func open(t testing.TB, url, prefix string, rows int64) *Views {
	t.Helper()
	v, err := Open(Options{URL: url, Prefix: prefix, RowCache: rows})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = v.Close() })
	return v
}

func TestViews(t *testing.T) {
	url := redistest.Start(t).URL()
	for name, rows := range map[string]int64{"rows in memory": 0, "few rows in memory": 300, "no rows in memory": -1} {
		t.Run(name, func(t *testing.T) {
			viewstest.Run(t, func(t testing.TB) projections.Views { return fresh(t, url, rows) })
		})
	}
}

// TestCluster holds the key rules: on a cluster a script that touches two slots is an error.
func TestCluster(t *testing.T) {
	url := redistest.Cluster(t)
	viewstest.Run(t, func(t testing.TB) projections.Views { return fresh(t, url, 0) })
	v := fresh(t, url, 0)
	large(t, v)
	if err := v.Replies(time.Now).Put(t.Context(), "k", []byte("v"), time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if err := v.Hold(t.Context(), "l", func(context.Context) error { return nil }); err != nil {
		t.Fatal(err)
	}
	v.Share(t.Context(), []string{"l", "m"}, func(context.Context, string) error { return nil })
}

func put(t testing.TB, v projections.Views, name string, version int, prev, next eventstore.Position, pairs ...string) {
	t.Helper()
	err := v.Batch(t.Context(), name, version, prev, next, func(w projections.View) error {
		for i := 0; i < len(pairs); i += 2 {
			w.Set(pairs[i], []byte(pairs[i+1]))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func contents(t testing.TB, v projections.Views, name string) string {
	t.Helper()
	var out []string
	err := v.Read(t.Context(), name, func(r projections.Reader) error {
		for p, err := range r.Scan(t.Context(), "", "", false) {
			if err != nil {
				return err
			}
			out = append(out, p.Key+"="+string(p.Value))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(out, " ")
}

func TestLargeBatch(t *testing.T) { large(t, fresh(t, redistest.Start(t).URL(), 0)) }

// large stores a batch in pieces, then a batch that deletes most of it again, while a reader holds its snapshot.
func large(t *testing.T, v *Views) {
	t.Helper()
	const n = 9001
	value := strings.Repeat("v", 700)
	var pairs []string
	for i := range n {
		pairs = append(pairs, fmt.Sprintf("k%05d", i), value)
	}
	put(t, v, "big", 1, 0, 1, pairs...)
	if err := v.Activate(t.Context(), "big", 1); err != nil {
		t.Fatal(err)
	}
	count := func(r projections.Reader) (n int) {
		for p, err := range r.Scan(t.Context(), "", "", true) {
			if err != nil || string(p.Value) != value {
				t.Fatalf("%s: %v", p.Key, err)
			}
			n++
		}
		return n
	}
	err := v.Read(t.Context(), "big", func(r projections.Reader) error {
		err := v.Batch(t.Context(), "big", 1, 1, 2, func(w projections.View) error {
			for i := range n - 1 {
				w.Delete(fmt.Sprintf("k%05d", i))
			}
			return nil
		})
		if got := count(r); got != n {
			t.Errorf("the snapshot has %d rows, not %d", got, n)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	err = v.Read(t.Context(), "big", func(r projections.Reader) error {
		if got := count(r); got != 1 || r.Position() != 2 {
			t.Errorf("%d rows at %d", got, r.Position())
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestTwoProcesses: another process's batch is seen by reads, by the fence and by the rows kept in memory.
func TestTwoProcesses(t *testing.T) {
	url := redistest.Start(t).URL()
	a, b := open(t, url, "p", 0), open(t, url, "p", 0)
	put(t, a, "v", 1, 0, 1, "x", "1")
	put(t, b, "v", 1, 1, 2, "x", "2")
	err := a.Batch(t.Context(), "v", 1, 2, 3, func(w projections.View) error {
		got, ok, err := w.Get(t.Context(), "x")
		if string(got) != "2" || !ok || err != nil {
			t.Errorf("x = %q, %t, %v: a stale row", got, ok, err)
		}
		put(t, b, "v", 1, 2, 2, "x", "3") // The checkpoint stays, the rows do not.
		if _, _, err := w.Get(t.Context(), "y"); !errors.Is(err, projections.ErrFenced) {
			t.Errorf("a read beside a foreign batch: %v", err)
		}
		w.Set("x", []byte("4"))
		return nil
	})
	if !errors.Is(err, projections.ErrFenced) {
		t.Errorf("batch over a foreign one: %v", err)
	}
	if err := a.Activate(t.Context(), "v", 1); err != nil {
		t.Fatal(err)
	}
	if got := contents(t, b, "v"); got != "x=3" {
		t.Error(got)
	}
	var wg sync.WaitGroup
	var won, fenced atomic.Int64
	for i := range 8 {
		v := open(t, url, "p", 0)
		wg.Go(func() {
			err := v.Batch(t.Context(), "v", 1, 2, 3, func(w projections.View) error { w.Set("x", fmt.Append(nil, i)); return nil })
			switch {
			case err == nil:
				won.Add(1)
			case errors.Is(err, projections.ErrFenced):
				fenced.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 || fenced.Load() != 7 {
		t.Errorf("%d won, %d fenced", won.Load(), fenced.Load())
	}
}

// TestComesBackOlder: what Redis has forgotten is not read in part, and what a process keeps in memory of it is not taken for
// what others wrote in its place.
func TestComesBackOlder(t *testing.T) {
	server := redistest.Start(t)
	client := server.Client()
	defer client.Close()
	a, b := open(t, server.URL(), "p", 0), open(t, server.URL(), "p", 0)
	put(t, a, "v", 1, 0, 1, "x", "1")
	if err := a.Activate(t.Context(), "v", 1); err != nil {
		t.Fatal(err)
	}
	older := map[string]string{}
	keys, err := client.Keys(t.Context(), "p:{v@1}:*").Result()
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range keys {
		if older[key], err = client.Dump(t.Context(), key).Result(); err != nil {
			t.Fatal(err)
		}
	}
	err = a.Batch(t.Context(), "v", 1, 1, 2, func(w projections.View) error {
		_, _, err := w.Get(t.Context(), "x") // Only what is asked for is kept in memory.
		w.Set("x", []byte("2"))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	err = b.Read(t.Context(), "v", func(r projections.Reader) error {
		for key, value := range older { // That batch is forgotten.
			if err := client.RestoreReplace(t.Context(), key, 0, value).Err(); err != nil {
				t.Fatal(err)
			}
		}
		got, _, err := r.Get(t.Context(), "x")
		if err == nil {
			t.Errorf("at %d x = %q", r.Position(), got)
		}
		return err
	})
	if !errors.Is(err, projections.ErrUnavailable) {
		t.Error(err)
	}
	put(t, b, "v", 1, 1, 3, "y", "3")
	err = a.Batch(t.Context(), "v", 1, 3, 4, func(w projections.View) error {
		got, _, err := w.Get(t.Context(), "x")
		if string(got) != "1" {
			t.Errorf("x = %q", got)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// TestSnapshotOfManyBatches: a scan in several calls sees one moment, however often the view moves meanwhile.
func TestSnapshotOfManyBatches(t *testing.T) {
	v := fresh(t, redistest.Start(t).URL(), 0)
	var pairs []string
	for i := range 300 {
		pairs = append(pairs, fmt.Sprintf("k%03d", i), "0")
	}
	put(t, v, "v", 1, 0, 1, pairs...)
	if err := v.Activate(t.Context(), "v", 1); err != nil {
		t.Fatal(err)
	}
	for _, reverse := range []bool{false, true} {
		want := strings.Fields(contents(t, v, "v"))
		if reverse {
			slices.Reverse(want)
		}
		err := v.Read(t.Context(), "v", func(r projections.Reader) error {
			var got []string
			for p, err := range r.Scan(t.Context(), "", "", reverse) {
				if err != nil {
					return err
				}
				if got = append(got, p.Key+"="+string(p.Value)); len(got)%20 == 0 {
					churn(t, v, len(got))
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("reverse %t (-before +scanned):\n%s", reverse, diff)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// churn commits ten batches that add, change and delete rows on both sides of row n.
func churn(t testing.TB, v *Views, n int) {
	t.Helper()
	for i := range 10 {
		at, err := v.Checkpoint(t.Context(), "v", 1)
		if err != nil {
			t.Fatal(err)
		}
		err = v.Batch(t.Context(), "v", 1, at, at+1, func(w projections.View) error {
			w.Set(fmt.Sprintf("k%03dx", (299-n+i+300)%300), []byte("new"))
			w.Set(fmt.Sprintf("k%03d", (n+17*i)%300), fmt.Append(nil, at))
			w.Delete(fmt.Sprintf("k%03d", (n+91*i)%300))
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestLoss: what Redis loses counts as not there; it is never half there.
func TestLoss(t *testing.T) {
	server := redistest.Start(t)
	client := server.Client()
	defer client.Close()
	ctx := t.Context()
	losses := map[string]func(t *testing.T){
		"FLUSHALL": func(t *testing.T) {
			if err := client.FlushAll(ctx).Err(); err != nil {
				t.Fatal(err)
			}
		},
		"a restart": func(t *testing.T) { server.Restart(t) },
	}
	for _, part := range []string{":r", ":k", ":g"} {
		losses["the loss of "+part] = func(t *testing.T) {
			keys, err := client.Keys(ctx, "*"+part).Result()
			if err != nil || len(keys) == 0 {
				t.Fatal("nothing to lose: ", err)
			}
			if err := client.Del(ctx, keys...).Err(); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, lose := range losses {
		t.Run(name, func(t *testing.T) {
			v := fresh(t, server.URL(), 0)
			put(t, v, "v", 1, 0, 5, "x", "1", "y", "1")
			if err := v.Activate(ctx, "v", 1); err != nil {
				t.Fatal(err)
			}
			lose(t)
			if at, err := v.Checkpoint(ctx, "v", 1); at != 0 || err != nil {
				t.Errorf("checkpoint %d, %v", at, err)
			}
			if active, err := v.Active(ctx, "v"); active != 0 || err != nil {
				t.Errorf("active %d, %v", active, err)
			}
			if err := v.Read(ctx, "v", func(projections.Reader) error { return nil }); !errors.Is(err, projections.ErrNotBuilt) {
				t.Errorf("read: %v", err)
			}
			err := v.Batch(ctx, "v", 1, 5, 6, func(w projections.View) error { w.Set("z", nil); return nil })
			if !errors.Is(err, projections.ErrFenced) {
				t.Errorf("going on as if nothing had happened: %v", err)
			}
			err = v.Batch(ctx, "v", 1, 0, 4, func(w projections.View) error {
				if got, ok, err := w.Get(ctx, "x"); ok || err != nil {
					t.Errorf("x = %q, %v: a row from before", got, err)
				}
				w.Set("y", []byte("2"))
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			if err := v.Activate(ctx, "v", 1); err != nil {
				t.Fatal(err)
			}
			if got := contents(t, v, "v"); got != "y=2" {
				t.Error(got)
			}
		})
	}
}

func TestRedisAway(t *testing.T) {
	server := redistest.Start(t)
	v := fresh(t, server.URL(), 0)
	put(t, v, "v", 1, 0, 5, "x", "1")
	server.Kill()
	_, err := v.Checkpoint(t.Context(), "v", 1)
	for what, err := range map[string]error{
		"checkpoint": err,
		"read":       v.Read(t.Context(), "v", func(projections.Reader) error { return nil }),
		"batch":      v.Batch(t.Context(), "v", 1, 5, 6, func(projections.View) error { return nil }),
		"activate":   v.Activate(t.Context(), "v", 1),
		"check":      v.Check(t.Context()),
	} {
		if !errors.Is(err, projections.ErrUnavailable) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := Open(Options{URL: "redis://user:hunter2@%zz"}); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("a bad URL: %v", err)
	}
}

func TestCheckRefusesEviction(t *testing.T) {
	if err := fresh(t, redistest.Start(t).URL(), 0).Check(t.Context()); err != nil {
		t.Error(err)
	}
	if err := fresh(t, redistest.Start(t, "--maxmemory-policy", "allkeys-lru").URL(), 0).Check(t.Context()); err == nil {
		t.Error("a Redis that throws views away is taken")
	}
}

// TestCheckRefusesWhatStaysAsItIs: a Redis that does not let us in, or write, is no Redis that may come back.
func TestCheckRefusesWhatStaysAsItIs(t *testing.T) {
	locked, replica := redistest.Start(t), redistest.Start(t)
	host, port, _ := strings.Cut(locked.Addr, ":")
	for server, order := range map[*redistest.Server][]any{
		replica: {"REPLICAOF", host, port}, locked: {"CONFIG", "SET", "requirepass", "right"},
	} {
		client := server.Client()
		if err := errors.Join(client.Do(t.Context(), order...).Err(), client.Close()); err != nil {
			t.Fatal(err)
		}
	}
	for what, url := range map[string]string{
		"no password": locked.URL(), "a wrong password": "redis://:wrong@" + locked.Addr + "/0", "a replica": replica.URL(),
	} {
		if err := fresh(t, url, 0).Check(t.Context()); err == nil || errors.Is(err, projections.ErrUnavailable) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := fresh(t, "redis://:right@"+locked.Addr+"/0", 0).Check(t.Context()); err != nil {
		t.Errorf("the right password: %v", err)
	}
}

func TestReplies(t *testing.T) {
	now := time.Now().Truncate(time.Second)
	v := fresh(t, redistest.Start(t).URL(), 0)
	r := v.Replies(func() time.Time { return now })
	get := func(key, want string, there bool) {
		t.Helper()
		if got, ok, err := r.Get(t.Context(), key); string(got) != want || ok != there || err != nil {
			t.Errorf("Get(%s) = %q, %t, %v, want %q, %t", key, got, ok, err, want, there)
		}
	}
	put := func(key, value string, hours int) {
		t.Helper()
		if err := r.Put(t.Context(), key, []byte(value), now.Add(time.Duration(hours)*time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	get("k", "", false)
	put("k", "first", 1)
	put("k", "second", 24)
	put("empty", "", 24)
	now = now.Add(time.Hour)
	get("k", "second", true)
	get("empty", "", true)
	now = now.Add(23 * time.Hour)
	get("k", "", false)
	for _, err := range []error{
		r.Put(t.Context(), "", nil, now), r.Put(t.Context(), string(make([]byte, projections.ReplyKeyBytesMax+1)), nil, now),
		r.Put(t.Context(), "k", make([]byte, projections.ReplyValueBytesMax+1), now), r.Put(t.Context(), "k", nil, time.Unix(-1, 0)),
	} {
		if err == nil {
			t.Error("a reply beyond its limits was kept")
		}
	}
}

func TestHold(t *testing.T) {
	server := redistest.Start(t)
	a, b := open(t, server.URL(), "p", 0), open(t, server.URL(), "p", 0)
	var inside, most atomic.Int64
	var wg sync.WaitGroup
	for _, v := range []*Views{a, b} {
		wg.Go(func() {
			for range 3 {
				err := v.Hold(t.Context(), "l", func(context.Context) error {
					most.Store(max(most.Load(), inside.Add(1)))
					time.Sleep(20 * time.Millisecond)
					inside.Add(-1)
					return nil
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if most.Load() != 1 {
		t.Errorf("%d held it at once", most.Load())
	}
	err := a.Hold(t.Context(), "l", func(ctx context.Context) error {
		server.Kill()
		<-ctx.Done() // Nobody can say any more that it is held.
		server.Restart(t)
		return nil
	})
	if !errors.Is(err, ErrLeaseLost) {
		t.Errorf("Hold = %v", err)
	}
	if err := b.Hold(t.Context(), "l", func(context.Context) error { return errDone }); !errors.Is(err, errDone) {
		t.Errorf("taken over: %v", err)
	}
}

// TestShare divides names among processes as they come and go: each name has one holder, none has more than its share, and
// what a dead process held is taken over.
func TestShare(t *testing.T) {
	server := redistest.Start(t)
	names := []string{"a", "b", "c", "d", "e", "f", "g"}
	var mu sync.Mutex
	holders := map[string]string{}
	held := func() map[string]int {
		mu.Lock()
		defer mu.Unlock()
		count := map[string]int{}
		for _, who := range holders {
			count[who]++
		}
		return count
	}
	start := func(who string) (v *Views, stop func()) {
		v = open(t, server.URL(), "p", 0)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			v.Share(ctx, names, func(ctx context.Context, name string) error {
				mu.Lock()
				if other := holders[name]; other != "" {
					t.Errorf("%s takes %s, which %s holds", who, name, other)
				}
				holders[name] = who
				mu.Unlock()
				<-ctx.Done()
				mu.Lock()
				defer mu.Unlock()
				delete(holders, name)
				return ctx.Err()
			})
		}()
		return v, func() { cancel(); <-done }
	}
	until := func(share int, whos ...string) { // All are held, by all of these, by none more than its share.
		t.Helper()
		for began := time.Now(); ; time.Sleep(20 * time.Millisecond) {
			now, all := held(), 0
			good := slices.Equal(slices.Sorted(maps.Keys(now)), whos)
			for _, n := range now {
				all += n
				good = good && n <= share
			}
			if good && all == min(len(names), share*len(names)) {
				return
			}
			if time.Since(began) > time.Minute {
				t.Fatalf("held %v, not by %v", now, whos)
			}
		}
	}
	_, stopOne := start("one")
	until(7, "one")
	two, stopTwo := start("two")
	until(4, "one", "two")
	_, stopThree := start("three")
	until(3, "one", "three", "two")
	stopOne()
	until(4, "three", "two")
	if err := two.Close(); err != nil { // It can renew nothing: as good as dead.
		t.Fatal(err)
	}
	until(7, "three")
	stopTwo()
	stopThree()
	until(0)
}

// TestShareDone: a name that is done with is not called again, and Share ends when all are.
func TestShareDone(t *testing.T) {
	v := open(t, redistest.Start(t).URL(), "p", 0)
	calls := map[string]int{}
	var mu sync.Mutex
	v.Share(t.Context(), []string{"a", "b"}, func(_ context.Context, name string) error {
		mu.Lock()
		defer mu.Unlock()
		if calls[name]++; name == "b" && calls[name] < 3 {
			return errors.New("again")
		}
		return nil
	})
	if calls["a"] != 1 || calls["b"] != 3 {
		t.Errorf("calls: %v", calls)
	}
}

var errDone = errors.New("done")
