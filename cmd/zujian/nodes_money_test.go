package main

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"zujian/domain"
)

// TestStatementsOfManyNodes sends a bank's days to two nodes, one after the other and at once: each opens with what the one
// before closed with, whichever node it reached.
func TestStatementsOfManyNodes(t *testing.T) {
	if testing.Short() {
		t.Skip("starts real processes")
	}
	n := startNodes(t)
	w := prepareHomes(t, n.node("api0"), n.data["api0"], 0)
	send := func(node string, day domain.Day, opening, closing int) reply {
		body := map[string]any{"date": day.String(), "opening_fen": opening, "closing_fen": closing, "lines": []any{}}
		if opening != closing {
			body["lines"] = []any{map[string]any{"txn_id": "T" + day.String(), "amount_fen": closing - opening, "value_date": day.String()}}
		}
		r, err := ask(context.Background(), n.node(node).base, http.MethodPost, "/v1/bank-statements", w.bank, body, "Idempotency-Key", node+day.String())
		if err != nil {
			t.Error(err)
		}
		return r
	}
	refused := func(r reply) bool {
		return r.status == 422 && strings.Contains(string(r.body), "statement.chain_broken")
	}
	day, opening := domain.DayOf(time.Now()).AddDays(-1), 0 // Of what is there first.
	for i := range 10 {
		if r := send("api0", day, opening, opening); r.status != http.StatusCreated {
			t.Fatalf("%s: %d %s", day, r.status, r.body)
		}
		if r := send("api1", day.AddDays(-1), opening, opening+500); !refused(r) {
			t.Errorf("after it, %d: %d %s", i, r.status, r.body)
			day = day.AddDays(-1)
		}
		day = day.AddDays(-1)
	}
	for i := range 10 {
		var a, b reply // Either may stand before what is there, but not both.
		var sent sync.WaitGroup
		sent.Go(func() { a = send("api0", day, opening+500, opening) })
		sent.Go(func() { b = send("api1", day.AddDays(-1), opening, opening) })
		sent.Wait()
		switch {
		case a.status == http.StatusCreated && refused(b):
			day, opening = day.AddDays(-1), opening+500
		case b.status == http.StatusCreated && refused(a):
			day = day.AddDays(-2)
		default:
			t.Errorf("at once, %d: %d %s and %d %s", i, a.status, a.body, b.status, b.body)
			day = day.AddDays(-2)
		}
	}
}
