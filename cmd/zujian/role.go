package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"zujian/api/web"
)

// role is the part that one process has in the product (--role).
type role string

// Roles. Several processes may have the same: each view, the processes and the webhooks are served by one at a time; they
// divide the views among them, and take over from each other.
const (
	roleAll     role = "all"
	roleAPI     role = "api"     // Answers requests.
	roleProject role = "project" // Keeps the views.
	roleReact   role = "react"   // Runs the processes and sends webhooks.
)

func (r role) is(part role) bool { return r == part || r == roleAll || r == "" }

func (r role) opensVault() bool { return r.is(roleAPI) || r.is(roleReact) }
func (r role) keepsViews() bool { return r.is(roleProject) }

// check refuses a part where nothing is shared.
func (r role) check(g *globals) error {
	if r != roleAll && (g.Config.Views == "" || g.Config.Store == "") {
		return fmt.Errorf("%w: --role %s needs what processes share: --store and --views", errUsage, r)
	}
	return nil
}

// probes is what a process without the API answers: whether it lives, is ready, and its figures.
func probes(status func(context.Context) web.Status, registry *prometheus.Registry) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		s := status(r.Context())
		w.Header().Set("Content-Type", "application/json")
		if !s.Ready {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		_ = json.NewEncoder(w).Encode(s) // The client went away: nobody is left to tell.
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	return mux
}

func probeServer(h http.Handler) *http.Server {
	return &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second, MaxHeaderBytes: 8 << 10}
}
