package redisviews

import (
	"context"
	"encoding/hex"
	"errors"
	"hash/fnv"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// Times of a lease: who dies is replaced within LeaseTTL + leaseEvery.
const (
	LeaseTTL   = 3 * time.Second
	leaseEvery = 500 * time.Millisecond // Between two looks: to renew what is held and take what is free.
	leaseCall  = time.Second            // A look takes no longer. So what is held is held for LeaseTTL less this after it.
)

// ErrLeaseLost means another process may hold the lease by now.
var ErrLeaseLost = errors.New("redisviews: lease lost")

// shareScript(nodes, lease, …; me, ttl ms, may, …) says that this process is there, renews what it holds, and takes what is
// free and it may, up to its share: as many as come on each process that shares these names. It answers the share, and of
// each lease whether it is held.
var shareScript = redis.NewScript("#!lua\n" + `
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local me, ttl = ARGV[1], tonumber(ARGV[2])
redis.call('ZADD', KEYS[1], now + ttl, me)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
redis.call('PEXPIRE', KEYS[1], 2 * ttl)
local share = math.ceil((#KEYS - 1) / redis.call('ZCARD', KEYS[1]))
local out, held = {share}, 0
for i = 2, #KEYS do
  out[i] = 0
  if redis.call('GET', KEYS[i]) == me then
    redis.call('PEXPIRE', KEYS[i], ttl)
    out[i], held = 1, held + 1
  end
end
for i = 2, #KEYS do
  if held < share and out[i] == 0 and ARGV[i + 1] == '1' and redis.call('SET', KEYS[i], me, 'NX', 'PX', ttl) then
    out[i], held = 1, held + 1
  end
end
return out
`)

var releaseScript = redis.NewScript("#!lua\n" +
	`if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0`)

// Hold waits until this process alone holds the lease of a name, calls f with a context that ends when it can't be sure
// any more, and gives the lease back when f returns. It only spares work: two that both believe to hold it are kept apart
// by the fence of [Views.Batch]. It returns f's error, ErrLeaseLost, or ctx's.
func (v *Views) Hold(ctx context.Context, name string, f func(context.Context) error) error {
	var once error
	v.Share(ctx, []string{name}, func(ctx context.Context, _ string) error {
		once = f(ctx)
		if errors.Is(context.Cause(ctx), ErrLeaseLost) {
			once = errors.Join(ErrLeaseLost, once)
		}
		return nil
	})
	return errors.Join(once, ctx.Err())
}

// Share divides names among the processes that share the same ones, by number: it holds the leases of some, at most as many
// as come on each process, and calls f for each, with a context that ends when the lease is lost or given to another. When f returns nil the
// name is done with, else it is taken again by whoever is first. Share returns when ctx ends or all names are done with,
// after every f. What Hold says of two that both believe to hold a lease is true here too.
func (v *Views) Share(ctx context.Context, names []string, f func(ctx context.Context, name string) error) {
	s := &sharing{views: v, me: token(), names: slices.Clone(names), call: f, turns: map[string]*turn{}, ended: make(chan *turn)}
	for len(s.names) > 0 && ctx.Err() == nil {
		s.look(ctx)
		s.wait(ctx)
	}
	s.giveUp(ctx)
}

// sharing is one process's part. Only the goroutine of Share touches it.
type sharing struct {
	views *Views
	me    string
	names []string // Not done with.
	call  func(ctx context.Context, name string) error
	turns map[string]*turn // Of what is held.
	ended chan *turn
	work  sync.WaitGroup
}

// turn is the time a name is held.
type turn struct {
	name   string
	cancel context.CancelCauseFunc
	valid  *time.Timer // Ends it when the lease may have run out.
	err    error       // Of the function, once it is over.
	asked  bool        // It was told to end, for another process.
	over   bool
	rest   int // When it is over: looks before the name may be taken again.
}

var errGivenBack = errors.New("redisviews: lease given to another process")

func (s *sharing) key(name string) string { return s.views.prefix + ":{lease}:" + name }

// presence is the key where processes that share the same names meet.
func (s *sharing) presence() string {
	h := fnv.New64a()
	for _, name := range s.names {
		_, _ = h.Write([]byte(name + "/")) // Never fails.
	}
	return s.views.prefix + ":{lease}:/nodes/" + hex.EncodeToString(h.Sum(nil))
}

// look renews, takes, begins, ends.
func (s *sharing) look(ctx context.Context) {
	for name, t := range s.turns {
		if !t.over {
			continue
		}
		if t.rest--; t.rest < 0 {
			delete(s.turns, name)
		}
	}
	keys, args := []string{s.presence()}, []any{s.me, LeaseTTL.Milliseconds()}
	for _, name := range s.names {
		may := 1
		if s.turns[name] != nil {
			may = 0 // Held, or to be left for a moment.
		}
		keys, args = append(keys, s.key(name)), append(args, may)
	}
	call, cancel := context.WithTimeout(ctx, leaseCall)
	defer cancel()
	held, err := shareScript.Run(call, s.views.db, keys, args...).Int64Slice()
	if err != nil || len(held) != len(keys) {
		return // Redis is away: what is held runs out by itself.
	}
	var running []*turn
	for i, name := range s.names {
		t := s.turns[name]
		switch mine := held[i+1] == 1; {
		case mine && t == nil:
			t = s.begin(ctx, name)
			running = append(running, t)
		case mine && !t.over && !t.asked:
			t.valid.Reset(LeaseTTL - leaseCall)
			running = append(running, t)
		case !mine && t != nil:
			t.cancel(ErrLeaseLost)
		}
	}
	spread(running, int(held[0]), func(t *turn) {
		t.asked = true
		t.cancel(errGivenBack)
	})
}

// spread gives away all but n of a list, evenly over it: what lies side by side is often alike.
func spread[T any](list []T, n int, give func(T)) {
	for i, x := range list {
		if n < len(list) && (i+1)*n/len(list) == i*n/len(list) {
			give(x)
		}
	}
}

func (s *sharing) begin(ctx context.Context, name string) *turn {
	ctx, cancel := context.WithCancelCause(ctx)
	t := &turn{name: name, cancel: cancel}
	t.valid = time.AfterFunc(LeaseTTL-leaseCall, func() { cancel(ErrLeaseLost) })
	s.turns[name] = t
	s.work.Go(func() {
		t.err = s.call(ctx, name)
		s.ended <- t
	})
	return t
}

// wait lets time go by until the next look, and takes note of turns that are over.
func (s *sharing) wait(ctx context.Context) {
	timer := time.NewTimer(leaseEvery)
	defer timer.Stop()
	for len(s.names) > 0 {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
			return
		case t := <-s.ended:
			s.finish(ctx, t)
		}
	}
}

// finish gives a lease back.
func (s *sharing) finish(ctx context.Context, t *turn) {
	t.valid.Stop()
	t.cancel(nil)
	if t.over = true; t.asked {
		t.asked, t.rest = false, 1 // The other process comes first.
	}
	if t.err == nil {
		s.names = slices.DeleteFunc(s.names, func(name string) bool { return name == t.name })
	}
	s.release(ctx, t.name)
}

func (s *sharing) release(ctx context.Context, name string) {
	call, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_ = releaseScript.Run(call, s.views.db, []string{s.key(name)}, s.me).Err() // Else it expires.
}

// giveUp ends what is running and gives everything back.
func (s *sharing) giveUp(ctx context.Context) {
	done := make(chan struct{})
	go func() { s.work.Wait(); close(done) }()
	for over := false; !over; {
		select {
		case t := <-s.ended:
			s.finish(ctx, t)
		case <-done:
			over = true
		}
	}
	call, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_ = s.views.db.ZRem(call, s.presence(), s.me).Err() // Else it expires.
}
