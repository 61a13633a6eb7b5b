package desk

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"time"

	"zujian/domain"
	"zujian/domain/alert"
	"zujian/domain/contract"
	"zujian/domain/escrow"
	"zujian/domain/listing"
	"zujian/domain/party"
	"zujian/domain/statement"
	"zujian/domain/unit"
	"zujian/domain/webhook"
	"zujian/eventstore"
	"zujian/eventstore/aggregate"
	"zujian/projections/alerts"
	"zujian/projections/feed"
	"zujian/projections/webhooks"
)

const webhookSecret = "secret" // Field under which a signing secret is sealed.

// webhookSubject is whose key seals the secrets of an endpoint: they go with it.
func webhookSubject(id string) string { return "webhook:" + id }

// SeesStream is the scope decision for one stream of the log: may the actor hear of what happens in it?
func (d *Desk) SeesStream(ctx context.Context, a domain.Actor, stream string) (bool, error) {
	if Sees(a, Row{}) { // Those who see all.
		return true, nil
	}
	category, id, _ := strings.Cut(stream, "-")
	var err error
	switch category {
	case contract.Decider.Category:
		_, _, err = d.Contract(ctx, a, id, time.Time{})
	case escrow.Decider.Category:
		_, _, err = d.Ledger(ctx, a, id, time.Time{})
	case listing.Decider.Category:
		_, _, err = d.Listing(ctx, a, id, time.Time{})
	case statement.Decider.Category:
		_, err = d.statementOf(ctx, a, id)
	case unit.Decider.Category:
		var s unit.State
		s, _, err = d.Unit(ctx, a, id, time.Time{})
		if err == nil {
			return SeesUnit(a, s), nil
		}
	case party.Decider.Category:
		_, _, err = view(ctx, d, a, party.Decider, id, time.Time{}, func(s party.State) (Row, bool) { return partyRow(id, s), false })
	case alert.Decider.Category:
		s, _, _, err := load(ctx, d, alert.Decider, id)
		return err == nil && alerts.Sees(officer(a), s.Subject), err
	default:
		return false, nil
	}
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

func (d *Desk) statementOf(ctx context.Context, a domain.Actor, id string) (statement.State, error) {
	s, _, err := d.Statement(ctx, a, id)
	return s, err
}

// KeyWorks reports whether the key behind an actor of an earlier request still does.
func (d *Desk) KeyWorks(ctx context.Context, a domain.Actor, now time.Time) (bool, error) {
	s, err := d.key(ctx, strings.TrimPrefix(a.ID, "key:"), now)
	return err == nil && s.Live(now), err
}

// RegisterWebhook makes an endpoint and returns its secret, once. loopback is for development, see feed.CheckURL.
func (d *Desk) RegisterWebhook(ctx context.Context, call Call, url string, types []string, loopback bool) (id, secret string, r Receipt, err error) {
	if err := feed.CheckURL(url, loopback); err != nil {
		return "", "", r, err
	}
	for _, t := range types {
		if _, known := d.o.Runner.Catalogue[t]; !known || !(webhook.State{}).Wants(t) {
			return "", "", r, webhook.ErrTypes.At("/types")
		}
	}
	id = derive("webhook", call.ID)
	sealed, err := d.newSecret(ctx, id)
	if err != nil {
		return "", "", r, err
	}
	head, err := d.o.Runner.Store.Head(ctx)
	if err != nil {
		return "", "", r, err
	}
	a := call.Actor
	r, err = exec(ctx, d, call, webhook.Decider, id, webhook.Command(webhook.Register{
		URL: url, Types: types, Secret: sealed, After: uint64(head.Position), Owner: webhook.Owner{Key: a.ID, Role: a.Role, Party: a.Party, Area: a.Area},
	}))
	if err != nil {
		return "", "", r, err
	}
	secret, err = d.currentSecret(ctx, id) // A repeat of the request finds the first one's.
	return id, secret, r, err
}

func (d *Desk) newSecret(ctx context.Context, id string) (domain.Sealed, error) {
	var raw [feed.SecretBytes]byte
	if _, err := rand.Read(raw[:]); err != nil {
		return "", err
	}
	clear := feed.SecretPrefix + base64.StdEncoding.EncodeToString(raw[:])
	s, err := d.o.Vault.Seal(ctx, webhookSubject(id), aggregate.Stream(webhook.Decider.Category, id), webhookSecret, clear)
	return domain.Sealed(s), err
}

// WebhookSecret opens a signing secret, for the feed.
func (d *Desk) WebhookSecret(ctx context.Context, id string, sealed domain.Sealed) (string, error) {
	return d.o.Vault.Open(ctx, webhookSubject(id), aggregate.Stream(webhook.Decider.Category, id), webhookSecret, string(sealed))
}

func (d *Desk) currentSecret(ctx context.Context, id string) (string, error) {
	s, _, err := d.WebhookState(ctx, id)
	if err != nil {
		return "", err
	}
	return d.WebhookSecret(ctx, id, s.Secret)
}

// WebhookState is an endpoint as it stands, for the feed.
func (d *Desk) WebhookState(ctx context.Context, id string) (webhook.State, Receipt, error) {
	s, rev, _, err := load(ctx, d, webhook.Decider, id)
	return s, Receipt{Revision: rev}, err
}

// Webhook is an endpoint of the actor's own.
func (d *Desk) Webhook(ctx context.Context, a domain.Actor, id string) (webhook.State, Receipt, error) {
	s, r, err := d.WebhookState(ctx, id)
	if err != nil {
		return webhook.State{}, r, err
	}
	if s.Stage == webhook.StageNone || s.Stage == webhook.StageRemoved || webhooks.OwnerOf(s.Owner.Actor()) != webhooks.OwnerOf(a) {
		return webhook.State{}, Receipt{}, ErrNotFound
	}
	return s, r, nil
}

// WebhookAct is a command of the owner on its endpoint.
func (d *Desk) WebhookAct(ctx context.Context, call Call, id string, cmd webhook.Command) (Receipt, error) {
	if _, _, err := d.Webhook(ctx, call.Actor, id); err != nil {
		return Receipt{}, err
	}
	return exec(ctx, d, call, webhook.Decider, id, cmd)
}

// RotateWebhookSecret makes a new secret and returns it, once; the one before signs too for a day.
func (d *Desk) RotateWebhookSecret(ctx context.Context, call Call, id string) (string, Receipt, error) {
	if _, _, err := d.Webhook(ctx, call.Actor, id); err != nil {
		return "", Receipt{}, err
	}
	sealed, err := d.newSecret(ctx, id)
	if err != nil {
		return "", Receipt{}, err
	}
	r, err := exec(ctx, d, call, webhook.Decider, id, webhook.Command(webhook.RotateSecret{Secret: sealed}))
	if err != nil {
		return "", r, err
	}
	secret, err := d.currentSecret(ctx, id)
	return secret, r, err
}

// RemoveWebhook ends an endpoint; the key that sealed its secrets is destroyed.
func (d *Desk) RemoveWebhook(ctx context.Context, call Call, id string) (Receipt, error) {
	r, err := d.WebhookAct(ctx, call, id, webhook.Remove{})
	if err == nil {
		err = d.o.Vault.Erase(ctx, webhookSubject(id))
	}
	return r, err
}

// RecordDeliveries writes down what became of messages; the feed alone calls it.
func (d *Desk) RecordDeliveries(ctx context.Context, id string, now time.Time, rec webhook.Record) error {
	call := Call{ID: d.o.NewID().String(), At: now, Actor: domain.Actor{ID: "process:feed", Role: domain.RoleSystem}}
	_, err := exec(ctx, d, call, webhook.Decider, id, webhook.Command(rec))
	return err
}

// Redeliver sends a message again, which was sent to this endpoint before.
func (d *Desk) Redeliver(ctx context.Context, call Call, id, message string) (Receipt, error) {
	at := uint64(0)
	err := d.deliveries(ctx, call.Actor, id, webhookEnd, func(_ eventstore.Revision, _ int, x webhook.Delivery) bool {
		if x.Message == message {
			at = x.Position
		}
		return at == 0
	})
	switch {
	case err != nil:
		return Receipt{}, err
	case at == 0:
		return Receipt{}, webhook.ErrNoDelivery
	}
	return exec(ctx, d, call, webhook.Decider, id, webhook.Command(webhook.Redeliver{Position: at}))
}

// webhookEnd is the revision from which deliveries are read back when no page came before.
const webhookEnd = eventstore.Revision(1 << 62)

// Deliveries reads attempts back from the last, before item `before` of revision from. more says where the next page
// begins.
func (d *Desk) Deliveries(ctx context.Context, a domain.Actor, id string, from eventstore.Revision, before, limit int,
) (out []webhook.Delivery, next eventstore.Revision, item int, more bool, err error) {
	if from < 0 {
		from = webhookEnd
	}
	err = d.deliveries(ctx, a, id, from, func(rev eventstore.Revision, i int, x webhook.Delivery) bool {
		if rev == from && before >= 0 && i >= before {
			return true
		}
		if len(out) == limit {
			more = true
			return false
		}
		out, next, item = append(out, x), rev, i
		return true
	})
	return out, next, item, more, err
}

// deliveries yields attempts back from a revision, until f says no.
func (d *Desk) deliveries(ctx context.Context, a domain.Actor, id string, from eventstore.Revision,
	f func(rev eventstore.Revision, item int, x webhook.Delivery) bool,
) error {
	if _, _, err := d.Webhook(ctx, a, id); err != nil {
		return err
	}
	for e, err := range d.o.Runner.Store.StreamBack(ctx, aggregate.Stream(webhook.Decider.Category, id), from) {
		if err != nil {
			return err
		}
		decoded, err := d.o.Runner.Catalogue.Decode(e.Type, e.Meta.Schema, e.Data)
		if err != nil {
			return err
		}
		if rec, ok := decoded.(webhook.DeliveriesRecorded); ok {
			for i, x := range slices.Backward(rec.Items) {
				if !f(e.Revision, i, x) {
					return nil
				}
			}
		}
	}
	return nil
}
