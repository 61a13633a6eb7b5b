package main

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"time"

	"zujian/api"
	"zujian/eventstore"
	"zujian/eventstore/aggregate"
	"zujian/projections"
	"zujian/projections/pebbleviews"
	"zujian/projections/process"
	"zujian/projections/redisviews"
)

// viewStore is where views are kept: Pebble in the data folder, or Redis.
type viewStore interface {
	projections.Views
	Close() error
}

// keeper keeps views up to date, or leaves it to another process and knows how they stand.
type keeper interface {
	Run(ctx context.Context, list []projections.Projection) error
	WaitFor(ctx context.Context, name string, at eventstore.Position) error
	Status() []projections.Status
}

// reactor runs processes, or leaves it to another.
type reactor interface {
	Run(ctx context.Context, list []process.Process) error
	Status() []process.Status
}

// sharedViews are views that several processes keep, some of them in parts.
type sharedViews struct {
	*projections.Joined
	store *redisviews.Views
}

func (v sharedViews) Close() error { return v.store.Close() }

// openViews opens where --views says.
func (h *house) openViews(g *globals, r role) error {
	if g.Config.Views == "" {
		o := viewOptions(g)
		if h.log != nil {
			o.FS = h.log.Disk()
		}
		v, err := pebbleviews.Open(filepath.Join(g.Data, "views"), o)
		if err != nil {
			return err
		}
		h.views, h.replies = v, replies{v.Replies(g.Now)}
		return nil
	}
	prefix, err := h.logName(g, r)
	if err != nil {
		return err
	}
	v, err := redisviews.Open(redisviews.Options{URL: g.Config.Views, Prefix: "zujian:" + prefix})
	if err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	if err := v.Check(g.Ctx); err != nil && !errors.Is(err, projections.ErrUnavailable) { // Away is no fault: it may come back.
		return errors.Join(err, v.Close())
	}
	h.views, h.replies, h.shared = sharedViews{projections.Join(v, views(h.city)), v}, v.Replies(g.Now), v
	return nil
}

// logName tells this log from any other that may share a Redis: the id of its first event. An empty log gets its first
// event, the first key, here; a process without the API waits for it.
func (h *house) logName(g *globals, r role) (string, error) {
	for {
		for rec, err := range h.store.All(g.Ctx, 0) {
			if err != nil {
				return "", err
			}
			return hex.EncodeToString(rec.ID[:8]), nil
		}
		if !r.is(roleAPI) {
			if err := h.store.Wait(g.Ctx, 0); err != nil {
				return "", err
			}
			continue
		}
		h.desk = h.newDesk(g)
		if err := h.firstKey(g); err != nil {
			return "", err
		}
	}
}

const (
	viewPace      = 10 * time.Millisecond // What a busy log shows later for it, twice that, is a fifth of what it may be; the first event after a pause not at all.
	processLinger = 50 * time.Millisecond // A filing confirms its space and plans its money within that.
)

// keeper makes what keeps the views of this house, or only knows how they stand if this process's part is another.
func (h *house) keeper(g *globals, o openOptions) keeper {
	r := &projections.Runner{Store: h.store, Views: h.views, Catalogue: h.catalogue, Now: g.Now, Logger: g.Log, Pace: viewPace}
	if o.deferSync {
		r.Pace = 0 // A load waits for what it reads, again and again.
	}
	r.Metrics.Retry = func(_ string, err error) {
		if f := h.retried; f != nil {
			f(err)
		}
	}
	shared, ok := h.views.(sharedViews)
	if !ok {
		r.Workers, r.BatchMax = cores, viewBatch()
		return r
	}
	r.BatchMax = redisviews.BatchEvents
	k := &projections.Keeper{Runner: r, Parts: o.parts, Store: h.store, Views: shared.Joined, Now: g.Now}
	if o.role.keepsViews() {
		k.Share = func(ctx context.Context, names []string, f func(context.Context, string) error) {
			leases := make([]string, len(names))
			for i, name := range names {
				leases[i] = "view/" + name
			}
			h.shared.Share(ctx, leases, func(ctx context.Context, lease string) error { return f(ctx, strings.TrimPrefix(lease, "view/")) })
		}
	}
	return k
}

// reactor runs the processes over the same log, by the dates of now.
func (h *house) reactor(g *globals, now func() time.Time) reactor {
	fresh := func() *process.Runner {
		return &process.Runner{
			Aggregates: aggregate.Runner{Store: h.store, Catalogue: h.catalogue, Cache: h.cache}, Views: h.views,
			Policy: h.desk.Policy, Now: now, Logger: g.Log, Linger: processLinger, ResumeEvery: g.resumeEvery,
		}
	}
	if h.shared == nil {
		return fresh()
	}
	return &process.Keeper{Runner: fresh, Alone: func(ctx context.Context, f func(context.Context) error) error {
		return h.shared.Hold(ctx, "react", f)
	}}
}

// replies gives the API's port of idempotent replies to the view store's.
type replies struct{ *pebbleviews.Replies }

func (r replies) Get(_ context.Context, key string) ([]byte, bool, error) { return r.Replies.Get(key) }

func (r replies) Put(_ context.Context, key string, value []byte, expires time.Time) error {
	return r.Replies.Put(key, value, expires)
}

var _ api.Replies = replies{}

// sweepEvery is how often kept replies that have expired are deleted.
const sweepEvery = time.Minute

// sweepReplies deletes what has expired, at once and then now and then, until ctx ends. Redis forgets by itself.
func (h *house) sweepReplies(ctx context.Context, g *globals) error {
	kept, ok := h.replies.(replies)
	if !ok {
		return nil
	}
	turn := time.NewTicker(cmp.Or(g.resumeEvery, sweepEvery))
	defer turn.Stop()
	for {
		if _, err := kept.Sweep(ctx); err != nil && ctx.Err() == nil {
			g.Log.WarnContext(ctx, "replies not swept", slog.Any("err", err))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-turn.C:
		}
	}
}
