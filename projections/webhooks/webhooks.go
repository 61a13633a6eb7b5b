// Package webhooks is the view of webhook endpoints (回调端点): which there are, whose, and how each stands.
package webhooks

import (
	"context"

	"zujian/domain"
	"zujian/domain/webhook"
	"zujian/eventstore"
	"zujian/projections"
)

// Projection is listed in cmd/zujian/registry.go.
type Projection struct{}

// Name of the view's keyspace.
func (Projection) Name() string { return "webhooks" }

// Version of Apply's meaning.
func (Projection) Version() int { return 2 }

// Types the view reads: not what becomes of each message.
func (Projection) Types() []string {
	return []string{"webhook.registered", "webhook.enabled", "webhook.disabled", "webhook.removed"}
}

// Keys of the view.
const (
	keyEndpoint = "e" // id → Endpoint
	keyOwner    = "o" // owner, position → id
)

// Endpoint is one row.
type Endpoint struct {
	ID     string              `json:"id"`
	URL    string              `json:"url"`
	Types  []string            `json:"types,omitempty"`
	Stage  webhook.Stage       `json:"state"`
	Reason string              `json:"reason,omitempty"` // Why it is disabled.
	Owner  string              `json:"owner"`            // As OwnerOf names it.
	Since  eventstore.Position `json:"since"`            // Where it was registered.
}

// OwnerOf names who owns what an actor registers: the party it acts for, else its key.
func OwnerOf(a domain.Actor) string {
	if a.Party != "" {
		return "party:" + a.Party
	}
	return a.ID
}

// Apply folds a batch.
func (Projection) Apply(ctx context.Context, v projections.View, batch []projections.Event) error {
	for _, e := range batch {
		id := projections.ID(e.Stream)
		row, err := projections.Get[Endpoint](ctx, v, projections.Key(keyEndpoint, id))
		if err != nil {
			return err
		}
		switch f := e.Event.(type) {
		case webhook.Registered:
			row = Endpoint{ID: id, URL: f.URL, Types: f.Types, Stage: webhook.StageEnabled, Owner: OwnerOf(f.Owner.Actor()), Since: e.Position}
			v.Set(ownerKey(row), []byte(id))
		case webhook.Enabled:
			row.Stage, row.Reason = webhook.StageEnabled, ""
		case webhook.Disabled:
			row.Stage, row.Reason = webhook.StageDisabled, f.Reason
		case webhook.Removed:
			v.Delete(ownerKey(row))
			v.Delete(projections.Key(keyEndpoint, id))
			continue
		}
		projections.Put(v, projections.Key(keyEndpoint, id), row)
	}
	return nil
}

func ownerKey(row Endpoint) string {
	return projections.Key(keyOwner, row.Owner, projections.PositionKey(row.Since))
}

// Of lists the endpoints of an actor, oldest first.
func Of(ctx context.Context, r projections.Reader, a domain.Actor, p projections.Page) ([]Endpoint, string, error) {
	return projections.List(ctx, r, []string{keyOwner, OwnerOf(a)}, false, p, func(pair projections.Pair) (Endpoint, bool, error) {
		row, err := projections.Get[Endpoint](ctx, r, projections.Key(keyEndpoint, string(pair.Value)))
		return row, err == nil, err
	})
}

// All lists the ids of every endpoint there is.
func All(ctx context.Context, r projections.Reader) ([]string, error) {
	var out []string
	for p, err := range r.Scan(ctx, projections.Prefix(keyEndpoint), projections.PrefixEnd(keyEndpoint), false) {
		if err != nil {
			return nil, err
		}
		out = append(out, projections.Tail(p.Key))
	}
	return out, nil
}
