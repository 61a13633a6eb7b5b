package main

import (
	"net/http"
	"strconv"
	"strings"
)

// askStale asks with an If-Match that is wrong. Where the document lets a request have one the answer is a refusal, also of
// what was done already, and a failed precondition has written nothing anywhere: no reservation, number or claim of its own.
func (w *world) askStale(who, key, method, path string, body any) {
	w.t.Helper()
	r, err := http.NewRequest(method, w.base+path, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	router, err := document()
	if err != nil {
		w.t.Fatal(err)
	}
	r.URL.Scheme, r.URL.Host = "", ""
	route, _, err := router.FindRoute(r)
	if method == http.MethodGet || err != nil || route.Operation.Parameters.GetByInAndName("header", "If-Match") == nil {
		return
	}
	before := w.logHead().Position
	a, err := ask(w.t.Context(), w.base, method, path, key, body, "If-Match", `"99999"`, "Idempotency-Key", "stale"+strconv.FormatInt(w.serial.Add(1), 10))
	if err != nil {
		w.t.Fatal(err)
	}
	if a.status < http.StatusBadRequest {
		w.t.Errorf("%s: %s %s: with a wrong If-Match it gets %d", who, method, path, a.status)
	}
	if a.status != http.StatusPreconditionFailed {
		return
	}
	for e, err := range w.house.store.All(w.t.Context(), before) {
		if err != nil {
			w.t.Fatal(err)
		}
		if !strings.HasPrefix(e.Meta.Actor, "process:") {
			w.t.Errorf("%s: %s %s: with a wrong If-Match it wrote %s to %s", who, method, path, e.Type, e.Stream)
		}
	}
}
