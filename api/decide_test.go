package api_test

import (
	"context"
	"net/http"
	"sync/atomic"
	"testing"

	"zujian/api"
	"zujian/eventstore"
)

// waits notes how far views were waited for.
type waits struct {
	api.Waiter
	last atomic.Uint64
}

func (w *waits) WaitFor(ctx context.Context, view string, at eventstore.Position) error {
	w.last.Store(uint64(at))
	return w.Waiter.WaitFor(ctx, view, at)
}

// TestDecisionsKnowWhatOthersWrote: what views decide they decide of all that the log has, also of what another server has
// answered, or this one before it was started again.
func TestDecisionsKnowWhatOthersWrote(t *testing.T) {
	var o api.Options
	waited := &waits{}
	w := newTown(t, func(given *api.Options) {
		waited.Waiter = given.Waiter
		given.Waiter = waited
		o = *given
	})
	w.people()
	w.do("landlord", "POST", "/v1/contracts/"+w.sign(w.home())+"/filing", `{}`).want(http.StatusOK)
	for _, ask := range []struct{ who, path, body string }{
		{"city", "/v1/parties/" + w.ids["tenant"] + "/erasure", `{"reason":"当事人申请","decision_no":"决字2026-1"}`},
		{"city", "/v1/parties/" + w.ids["tenant"] + "/merger", `{"survivor_id":"` + w.ids["landlord2"] + `","reason":"重复登记","decision_no":"决字2026-2"}`},
		{"bank", "/v1/bank-statements", `{"date":"2026-11-22","opening_fen":0,"closing_fen":0,"lines":[]}`},
	} {
		var err error
		if w.server, err = api.New(o); err != nil { // It has answered nothing yet.
			t.Fatal(err)
		}
		head, err := w.store.Head(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		waited.last.Store(0)
		got := w.do(ask.who, "POST", ask.path, ask.body, "Idempotency-Key: "+ask.path)
		if at := waited.last.Load(); at < uint64(head.Position) {
			t.Errorf("%s: answered %d %s by a view of position %d or later, the log ended at %d", ask.path, got.status, got.body, at, head.Position)
		}
	}
}
