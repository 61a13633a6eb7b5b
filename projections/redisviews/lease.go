package redisviews

import (
	"context"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"
)

// Times of a lease: who dies is replaced within LeaseTTL + leaseTry.
const (
	LeaseTTL   = 3 * time.Second
	leaseRenew = 700 * time.Millisecond
	leaseTry   = 500 * time.Millisecond
)

var (
	renewScript = redis.NewScript("#!lua\n" +
		`if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end return 0`)
	releaseScript = redis.NewScript("#!lua\n" +
		`if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0`)
)

// ErrLeaseLost means another process may hold the lease by now.
var ErrLeaseLost = errors.New("redisviews: lease lost")

// Hold waits until this process alone holds the lease of a name, calls f with a context that ends when it can't be sure
// any more, and gives the lease back when f returns. It only spares work: two that both believe to hold it are kept apart
// by the fence of [Views.Batch]. It returns f's error, ErrLeaseLost, or ctx's.
func (v *Views) Hold(ctx context.Context, name string, f func(context.Context) error) error {
	key, mine := v.prefix+":lease:"+name, token()
	for {
		got, err := v.db.SetNX(ctx, key, mine, LeaseTTL).Result()
		if err == nil && got {
			break
		}
		if err := sleep(ctx, leaseTry); err != nil { // Taken, or Redis is away: either way, later.
			return err
		}
	}
	held, lose := context.WithCancelCause(ctx)
	renewed := make(chan struct{})
	go func() {
		defer close(renewed)
		v.renew(held, key, mine, lose)
	}()
	err := f(held)
	lost := errors.Is(context.Cause(held), ErrLeaseLost)
	lose(nil)
	<-renewed
	giveBack, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_ = releaseScript.Run(giveBack, v.db, []string{key}, mine).Err() // Else it expires.
	if lost {
		return errors.Join(ErrLeaseLost, err)
	}
	return err
}

// renew keeps the lease until held ends, and ends held when the lease may have run out.
func (v *Views) renew(held context.Context, key, mine string, lose context.CancelCauseFunc) {
	valid := time.AfterFunc(LeaseTTL, func() { lose(ErrLeaseLost) })
	defer valid.Stop()
	for sleep(held, leaseRenew) == nil {
		call, cancel := context.WithTimeout(held, leaseRenew)
		kept, err := renewScript.Run(call, v.db, []string{key}, mine, LeaseTTL.Milliseconds()).Int()
		cancel()
		switch {
		case err == nil && kept == 0:
			lose(ErrLeaseLost)
		case err == nil:
			valid.Reset(LeaseTTL - leaseRenew) // Counted from before the call.
		}
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
