package main

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/google/uuid"

	"zujian/domain"
	"zujian/domain/webhook"
	"zujian/projections"
	"zujian/projections/feed"
	"zujian/projections/redisviews"
	"zujian/projections/webhooks"
)

// openBell makes what rings when the log has grown: in this process, or over Redis when views are there.
func (h *house) openBell(g *globals, relay bool) (*feed.Bell, error) {
	shared, ok := h.views.(*redisviews.Views)
	if !ok {
		return feed.Local(h.store, uuid.NewString, g.Log), nil
	}
	bell, err := feed.Distributed(h.store, shared.Client(), shared.Topic("events"), "", relay, uuid.NewString, g.Log)
	if err != nil {
		return nil, fmt.Errorf("open the bell: %w", err)
	}
	return bell, nil
}

// source names this register in messages (CloudEvents).
func source(g *globals) string { return "/zujian/" + filepath.Base(g.Config.City) }

// runFeed sends webhooks while no other process does.
func (h *house) runFeed(ctx context.Context, g *globals, bell *feed.Bell, loopback bool) error {
	f := feed.New(feed.Options{
		Store: h.store, Bell: bell, Now: g.Now, Source: source(g), Loopback: loopback, Logger: g.Log, Figures: &h.webhooks,
		Endpoints: func(ctx context.Context) (ids []string, err error) {
			err = h.views.Read(ctx, webhooks.Projection{}.Name(), func(r projections.Reader) error {
				ids, err = webhooks.All(ctx, r)
				return err
			})
			return ids, err
		},
		Load: func(ctx context.Context, id string) (webhook.State, error) {
			s, _, err := h.desk.WebhookState(ctx, id)
			return s, err
		},
		Record: func(ctx context.Context, id string, r webhook.Record) error {
			return h.desk.RecordDeliveries(ctx, id, g.Now().UTC(), r)
		},
		Secret: func(ctx context.Context, id string, sealed domain.Sealed) (string, error) {
			return h.desk.WebhookSecret(ctx, id, sealed)
		},
		Sees: func(ctx context.Context, o webhook.Owner, stream string) (bool, error) {
			works, err := h.desk.KeyWorks(ctx, o.Actor(), g.Now())
			if err != nil || !works {
				return false, err
			}
			return h.desk.SeesStream(ctx, o.Actor(), stream)
		},
	})
	if h.shared == nil {
		return f.Run(ctx)
	}
	for ctx.Err() == nil {
		_ = h.shared.Hold(ctx, "webhooks", f.Run) // Lost to another process: wait for the next turn.
	}
	return nil
}
