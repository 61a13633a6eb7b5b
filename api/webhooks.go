package api

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"zujian/domain/webhook"
	"zujian/eventstore"
	"zujian/projections"
	"zujian/projections/webhooks"
)

func registerWebhook(ctx context.Context, s *Server, c *call, in NewWebhook) (answer, error) {
	id, secret, r, err := s.o.Desk.RegisterWebhook(ctx, c.Call, in.Url, in.Types, s.o.WebhookLoopback)
	a := wrote(http.StatusCreated, r, WebhookSecret{Id: id, Secret: secret})
	a.location = "/v1/webhook-endpoints/" + id
	return a, err
}

func rotateWebhookSecret(ctx context.Context, s *Server, c *call) (answer, error) {
	secret, r, err := s.o.Desk.RotateWebhookSecret(ctx, c.Call, c.path("id"))
	return wrote(http.StatusOK, r, WebhookSecret{Id: c.path("id"), Secret: secret}), err
}

func listWebhooks(ctx context.Context, s *Server, c *call) (answer, error) {
	return listView(ctx, s, c, webhooks.Projection{}, func(r projections.Reader, _ projections.Scope, p projections.Page) ([]Webhook, string, error) {
		rows, next, err := webhooks.Of(ctx, r, c.Actor, p)
		out := make([]Webhook, 0, len(rows))
		for _, x := range rows {
			out = append(out, Webhook{Id: x.ID, Url: x.URL, Types: x.Types, State: string(x.Stage), Reason: x.Reason})
		}
		return out, next, err
	})
}

func readWebhook(ctx context.Context, s *Server, c *call) (answer, error) {
	st, r, err := s.o.Desk.Webhook(ctx, c.Actor, c.path("id"))
	waiting := 0
	for _, d := range st.Open {
		if d.Outcome == webhook.Retry {
			waiting++
		}
	}
	return answer{body: Webhook{
		Id: c.path("id"), Url: st.URL, Types: st.Types, State: string(st.Stage), Reason: st.Reason, SettledTo: int64(st.Cursor), Retrying: waiting,
	}, revision: &r.Revision}, err
}

func removeWebhook(ctx context.Context, s *Server, c *call) (answer, error) {
	r, err := s.o.Desk.RemoveWebhook(ctx, c.Call, c.path("id"))
	return wrote(http.StatusOK, r, Done{Id: c.path("id")}), err
}

func enableWebhook(ctx context.Context, s *Server, c *call) (answer, error) {
	return webhookAct(ctx, s, c, webhook.Enable{})
}

func disableWebhook(ctx context.Context, s *Server, c *call) (answer, error) {
	return webhookAct(ctx, s, c, webhook.Disable{Reason: "ASKED"})
}

func replayWebhook(ctx context.Context, s *Server, c *call, in Replay) (answer, error) {
	return webhookAct(ctx, s, c, webhook.Replay{After: uint64(in.AfterPosition)})
}

func webhookAct(ctx context.Context, s *Server, c *call, cmd webhook.Command) (answer, error) {
	r, err := s.o.Desk.WebhookAct(ctx, c.Call, c.path("id"), cmd)
	return wrote(http.StatusOK, r, Done{Id: c.path("id")}), err
}

func redeliver(ctx context.Context, s *Server, c *call) (answer, error) {
	r, err := s.o.Desk.Redeliver(ctx, c.Call, c.path("id"), c.path("message"))
	return wrote(http.StatusOK, r, Done{Id: c.path("message")}), err
}

// listDeliveries reads from the log itself, latest first.
func listDeliveries(ctx context.Context, s *Server, c *call) (answer, error) {
	cursor, err := s.unseal(c)
	if err != nil {
		return answer{}, err
	}
	from, before := eventstore.Revision(-1), -1
	if rev, item, ok := strings.Cut(cursor, "."); ok { // Ours.
		r, _ := strconv.ParseInt(rev, 10, 63)
		from = eventstore.Revision(r)
		before, _ = strconv.Atoi(item)
	}
	rows, rev, item, more, err := s.o.Desk.Deliveries(ctx, c.Actor, c.path("id"), from, before, c.limit())
	if err != nil {
		return answer{}, err
	}
	body := page[webhook.Delivery]{Items: []webhook.Delivery{}, Made: made{Made: projections.Made{View: "log", Position: s.atLeast(0)}, Events: []string{}}}
	body.Items = append(body.Items, rows...)
	if more {
		body.NextCursor = s.seal(c, fmt.Sprintf("%d.%d", rev, item))
	}
	return answer{body: body, next: body.NextCursor}, nil
}
