package main

import (
	"net/http"
	"testing"
)

// TestTheEventsBehindEveryViewCanBeRead follows the link that answers give to the events they were made from.
func TestTheEventsBehindEveryViewCanBeRead(t *testing.T) {
	w := newWorld(t, worldDay)
	w.officers()
	for _, v := range views(w.house.city) {
		w.get("auditor", "/v1/events?view="+v.Name()).want(http.StatusOK)
	}
	link := w.get("city", "/v1/guidance-prices/draft?period=2026Q3").want(http.StatusOK).text("made.events.0")
	w.get("auditor", link).want(http.StatusOK)
}
