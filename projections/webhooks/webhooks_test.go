package webhooks_test

import (
	"slices"
	"testing"
	"time"

	"zujian/domain"
	"zujian/domain/webhook"
	"zujian/projections"
	"zujian/projections/projectiontest"
	"zujian/projections/webhooks"
)

var at = time.Date(2026, 3, 2, 2, 0, 0, 0, time.UTC)

func TestView(t *testing.T) {
	l := &projectiontest.Log{}
	register := func(id, key, party string) {
		l.Add("webhook-"+id, at, webhook.Registered{URL: "https://example.com/" + id, Owner: webhook.Owner{Key: key, Role: domain.RoleCompany, Party: party}, Secret: "s"})
	}
	register("a", "key:1", "p1")
	register("b", "key:2", "")
	register("c", "key:3", "p1")
	register("d", "key:4", "p1")
	l.Add("webhook-c", at, webhook.Disabled{Reason: webhook.ReasonExhausted})
	l.Add("webhook-d", at, webhook.Removed{})
	l.Add("webhook-a", at, webhook.Disabled{Reason: "x"}, webhook.Enabled{})
	r := projectiontest.Laws(t, webhooks.Projection{}, l)
	projectiontest.Golden(t, r)
	rows, next, err := webhooks.Of(t.Context(), r, domain.Actor{ID: "key:9", Party: "p1"}, projections.Page{})
	if err != nil || next != "" || len(rows) != 2 || rows[0].ID != "a" || rows[0].Stage != webhook.StageEnabled || rows[1].Reason != webhook.ReasonExhausted {
		t.Errorf("%+v, %q, %v", rows, next, err)
	}
	if rows, _, err := webhooks.Of(t.Context(), r, domain.Actor{ID: "key:1"}, projections.Page{}); len(rows) != 0 || err != nil {
		t.Errorf("another's: %+v, %v", rows, err)
	}
	if ids, err := webhooks.All(t.Context(), r); err != nil || !slices.Equal(ids, []string{"a", "b", "c"}) {
		t.Errorf("%v, %v", ids, err)
	}
}
