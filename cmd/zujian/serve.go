package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/net/netutil"

	"zujian/api"
	"zujian/api/desk"
	"zujian/api/web"
	"zujian/cmd/zujian/internal/wallclock"
	"zujian/domain"
	"zujian/domain/plan"
	"zujian/eventstore/folder"
	"zujian/eventstore/register"
	"zujian/projections"
	"zujian/projections/feed"
	"zujian/projections/rentindex"
)

// serveCmd runs the product: API, views and processes in one process over one folder.
type serveCmd struct {
	Role     role      `help:"Part of this process: all, or api, project (views), react (processes, webhooks) over a shared log, views and vault." enum:"all,api,project,react" default:"all" env:"ZUJIAN_ROLE"`
	Parts    int       `help:"In how many parts views are kept that can be (the rent index), 1 to 16; nodes divide views and parts among them. Another number is built beside the one in use. 0 leaves them as they are. Needs --views." default:"0" env:"ZUJIAN_PARTS"`
	Addr     string    `help:"Address to listen on." default:"127.0.0.1:8080" env:"ZUJIAN_ADDR"`
	Host     string    `help:"Public host name; requests for another are refused. Empty takes any." env:"ZUJIAN_HOST"`
	Demo     bool      `help:"Load a demo city into a fresh folder; keys go to demo-keys.json."`
	DemoCity demoFlags `embed:""`
	Rate     int       `help:"Requests a second one key may make; negative is no limit." default:"200" env:"ZUJIAN_RATE"`
	Reserve  int64     `help:"MiB of the disk left free: below it writes are refused, and a quarter of it, kept as DIR/log/ballast, is given back. 0 watches nothing." default:"256" env:"ZUJIAN_RESERVE"`
	InFlight int       `help:"Requests at work at once; more wait a moment, then are shed." default:"128" env:"ZUJIAN_IN_FLIGHT"`

	Register registerFlags `embed:""`
	ESDB     esdbFlags     `embed:"" prefix:"esdb-"`

	WebhookLoopback bool `help:"Development only: webhooks may call this machine, on any port and without TLS." env:"ZUJIAN_WEBHOOK_LOOPBACK"`
}

// demoFlags say which demo city; nil is what the help shows.
type demoFlags struct {
	Homes  *int    `help:"Homes of the demo city." placeholder:"2000"`
	Months *int    `help:"Months of the demo city's history." placeholder:"36"`
	Seed   *uint64 `help:"Seed of the demo city." placeholder:"1"`
}

func (f demoFlags) load(g *globals) error {
	return loadDemo(g, *cmp.Or(f.Homes, new(2000)), *cmp.Or(f.Months, new(36)), *cmp.Or(f.Seed, new(uint64(1))))
}

const (
	folderPerms    = 0o750
	drain          = 10 * time.Second // For requests at work when the server is told to stop.
	connectionsMax = 4096             // Each may hold one body in memory; more wait to be accepted.
)

// Run implements the command.
func (c *serveCmd) Run(g *globals) error {
	if err := c.Role.check(g); err != nil {
		return err
	}
	if c.Parts != 0 && (g.Config.Views == "" || c.Parts < 0 || c.Parts > projections.PartsMax) {
		return fmt.Errorf("%w: --parts is 1 to %d, with --views", errUsage, projections.PartsMax)
	}
	if c.InFlight < 1 || c.Reserve < 0 {
		return fmt.Errorf("%w: --in-flight is 1 or more, --reserve 0 or more", errUsage)
	}
	if q := c.Register.Quorum; q < 0 || q > len(c.Register.Witness) {
		return fmt.Errorf("%w: of %d witnesses, %d never confirm anything: --witness-quorum is 0 to as many as there are", errUsage, len(c.Register.Witness), q)
	}
	if !c.Demo && c.DemoCity != (demoFlags{}) {
		return fmt.Errorf("%w: --homes, --months and --seed are of the demo city: say --demo", errUsage)
	}
	if c.Demo {
		if err := needsFolder(g, "--demo"); err != nil {
			return err
		}
		l, err := c.listen(g) // What is wrong with it is said now, not when the city is made.
		if err == nil {
			err = l.Close()
		}
		if err != nil {
			return err
		}
		if err := c.DemoCity.load(g); err != nil {
			return fmt.Errorf("load the demo city: %w", err)
		}
	}
	if err := g.fs().MkdirAll(g.Data, folderPerms); err != nil { // With log, keys and views elsewhere nobody else makes it.
		return fmt.Errorf("make the data folder: %w", err)
	}
	h, err := openHouse(g, openOptions{role: c.Role, parts: c.Parts, reserve: c.Reserve << 20})
	if err != nil {
		return err
	}
	if err = h.refuseOtherKeys(g); err == nil {
		err = h.settle(g)
	}
	if err != nil {
		return errors.Join(err, h.Close())
	}
	var r *register.Register
	if c.Role.is(roleAPI) && (c.Role.is(roleProject) || h.vault == nil) { // Of many processes each that answers makes the tree; the vault signs.
		if r, err = c.Register.open(g, h, c.Reserve<<20); err != nil {
			return errors.Join(err, h.Close())
		}
	}
	if err = h.refuseOtherViews(g.Ctx, g); err == nil || errors.Is(err, projections.ErrUnavailable) {
		err = c.serve(g, h, r)
	}
	if r != nil {
		if err = errors.Join(err, r.Close()); h.vault != nil {
			h.noteSigns(g)
		}
	}
	return errors.Join(err, h.Close())
}

func (c *serveCmd) listen(g *globals) (net.Listener, error) {
	l, err := (&net.ListenConfig{}).Listen(g.Ctx, "tcp", c.Addr)
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	return l, nil
}

func (c *serveCmd) serve(g *globals, h *house, r *register.Register) error {
	listener, err := c.listen(g)
	if err != nil {
		return err
	}
	listener = netutil.LimitListener(listener, connectionsMax)
	if c.Role.is(roleAPI) {
		if err := errors.Join(h.firstKey(g), h.loadPlan(g.Ctx, operator(g))); err != nil {
			return errors.Join(err, listener.Close())
		}
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(g.Ctx)) // Views go on while requests drain.
	defer stop()
	dates, err := h.dates(g, c.Role, r)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	now := g.Now
	if dates != nil {
		now = dates.Now
	}
	reactor := h.reactor(g, now)
	metrics := newRegistry(h, reactor, g.Now)
	if dates != nil {
		clockMetrics(metrics, dates)
	}
	if r != nil {
		registerMetrics(metrics, r)
	}
	bell, err := h.openBell(g, c.Role.is(roleReact))
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	httpServer, err := c.front(g, h, parts{bell, metrics, r, dates})
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	protocol, err := c.ESDB.start(ctx, g, h)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	var work sync.WaitGroup
	failed := make(chan error, 9) // Of each of these.
	run := func(f func() error) {
		work.Go(func() {
			if err := f(); err != nil {
				failed <- err
			}
		})
	}
	run(func() error { return h.runner.Run(ctx, views(h.city)) })
	run(func() error { return h.refuseOtherViewsLater(ctx, g) })
	run(func() error { return bell.Run(ctx) })
	run(func() error { return h.sweepReplies(ctx, g) })
	if dates != nil {
		run(func() error { return dates.Run(ctx) })
	}
	if c.Role.is(roleReact) {
		run(func() error { return reactor.Run(ctx, processes(h)) })
		run(func() error { return h.runFeed(ctx, g, bell, c.WebhookLoopback) })
	}
	run(func() error {
		if err := httpServer.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	if r != nil {
		run(func() error { return keepRegister(ctx, g, r) })
		key, _ := r.VerifierKeys()
		fmt.Fprintf(g.Stdout, "register: verifier key %s\n", key)
	}
	fmt.Fprintf(g.Stdout, "zujian %s serves http://%s/ from %s (docs at /docs)\n", version, listener.Addr(), g.Data)
	if c.Demo {
		fmt.Fprintf(g.Stdout, "demo city: keys for every role in %s\n", filepath.Join(g.Data, demoKeysFile))
	}
	select {
	case <-g.Ctx.Done():
	case err = <-failed:
	case err = <-protocol:
		protocol = nil
	}
	graceful, cancel := context.WithTimeout(context.WithoutCancel(g.Ctx), drain)
	defer cancel()
	err = errors.Join(err, httpServer.Shutdown(graceful))
	stop()
	work.Wait()
	if protocol != nil {
		err = errors.Join(err, <-protocol)
	}
	return err
}

// parts are what the HTTP server shows beside the house.
type parts struct {
	bell     *feed.Bell
	metrics  *prometheus.Registry
	register *register.Register // nil if another process makes the tree.
	dates    *wallclock.Guard   // nil if nothing is done by date here.
}

func (p *parts) status(ctx context.Context, h *house) web.Status {
	st := h.status(ctx)
	st.Ready = st.Ready && (p.register == nil || !p.register.Status().Stopped)
	if p.dates != nil {
		clock := p.dates.Status()
		st.ClockHeld, st.ClockDoubted = clock.Held, clock.Doubted
	}
	return st
}

// front is the HTTP server: the API, or probes alone.
func (c *serveCmd) front(g *globals, h *house, p parts) (*http.Server, error) {
	status := func(ctx context.Context) web.Status { return p.status(ctx, h) }
	if !c.Role.is(roleAPI) {
		return probeServer(probes(status, p.metrics)), nil
	}
	secret, err := h.keys.Blind(g.Ctx, "cursor", "1") // The same on all nodes: a list may go on at another, and so may a repeat.
	if err != nil {
		return nil, err
	}
	var when func() (time.Time, bool)
	if p.dates != nil {
		when = func() (time.Time, bool) { return p.dates.Now(), p.dates.Status().Doubted }
	}
	o := api.Options{
		When:   when,
		Secret: []byte(secret),
		Desk:   h.desk, Views: h.views, Kept: views(h.city), Waiter: h.runner, Keys: h.desk, Replies: h.replies,
		Store: h.store, Catalogue: h.catalogue, Log: g.Log, Now: g.Now, NewID: uuid.New, Host: c.Host, Version: version,
		StoreName: h.storeName(), Demo: isDemo(g.Data), RatePerSecond: c.Rate, InFlight: c.InFlight,
		Register: p.register, Status: status,
		Bell: p.bell, Source: source(g), WebhookLoopback: c.WebhookLoopback,
		Index: rentindex.Projection{Model: h.city.Model}, Registry: p.metrics,
	}
	if h.shared != nil {
		o.Alone = h.shared.Hold
	}
	server, err := api.New(o)
	if err != nil {
		return nil, err
	}
	return server.HTTPServer(c.Addr), nil
}

// status is what the start page and /readyz say.
func (h *house) status(ctx context.Context) web.Status {
	head, err := h.store.Head(ctx)
	s := web.Status{Version: version, Store: h.storeName(), Events: head.Events, Position: uint64(head.Position), Ready: err == nil}
	for _, v := range h.runner.Status() {
		s.Views = append(s.Views, web.ViewStatus{Name: v.Name, Version: v.Version, State: string(v.State), LagEvents: v.LagEvents, LagSeconds: v.LagSeconds})
		s.Ready = s.Ready && v.State != "stopped"
	}
	return s
}

func (h *house) storeName() string {
	if h.log == nil {
		return "esdb"
	}
	return "embedded"
}

// firstKeyFile holds the one key of a fresh folder: a city regulator's, who issues all others.
const firstKeyFile = "first-key.json"

// firstKey gives an empty register the key it starts with. There are no default secrets.
func (h *house) firstKey(g *globals) error {
	if head, err := h.store.Head(g.Ctx); err != nil || head.Events > 0 {
		return err
	}
	key, id, _, err := h.desk.IssueKey(g.Ctx, operator(g), desk.NewKey{Role: domain.RoleCity, Label: "first key"})
	if err != nil {
		return fmt.Errorf("issue the first key: %w", err)
	}
	path := filepath.Join(g.Data, firstKeyFile)
	if err := writeSecret(path, map[string]string{"id": id, "role": string(domain.RoleCity), "key": key}); err != nil {
		return err
	}
	fmt.Fprintf(g.Stdout, "a fresh register: its first key (city regulator) is in %s\n", path)
	return nil
}

// loadPlan puts the plan of the profile on record, if it has one. A plan on record stays as it is.
func (h *house) loadPlan(ctx context.Context, call desk.Call) error {
	if h.city.Plan == nil {
		return nil
	}
	if _, err := h.desk.LoadPlan(ctx, call, *h.city.Plan); err != nil && !plan.ErrLoaded.Is(err) {
		return fmt.Errorf("load the plan of the city profile: %w", err)
	}
	return nil
}

// operator is a call made at the command line of the machine.
func operator(g *globals) desk.Call {
	id := uuid.NewString()
	return desk.Call{ID: id, At: g.Now().UTC(), Actor: domain.Actor{ID: "operator", Role: domain.RoleSystem}, Correlation: id}
}

// writeSecret writes a file only its owner may read, whole or not at all, and durably: what it opens is durable.
func writeSecret(path string, v any) error {
	raw, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return folder.File{Path: path, Data: append(raw, '\n'), Mode: 0o600}.Write(folder.Real())
}
