package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"zujian/api"
	"zujian/api/desk"
	"zujian/cmd/zujian/internal/watch"
	"zujian/domain"
	"zujian/domain/ruleset"
	"zujian/eventstore"
	"zujian/eventstore/aggregate"
	"zujian/eventstore/embedded"
	"zujian/eventstore/esdb"
	"zujian/eventstore/room"
	"zujian/eventstore/seal"
	"zujian/projections/feed"
	"zujian/projections/process"
	"zujian/projections/process/warnings"
	"zujian/projections/redisviews"
	"zujian/projections/rentindex"
)

// house is an opened data folder: log, views, keys, and the desk over them.
type house struct {
	city      *cityProfile
	store     engine
	log       *embedded.Store // The same, if it is in the folder; nil if it is elsewhere.
	views     viewStore
	replies   api.Replies  // Beside the views.
	room      *room.Room   // Of a vault's disk; nil if a log has one.
	vault     *seal.Vault  // Of the data folder; nil if it is elsewhere.
	keys      sharedVault  // The same, or the one elsewhere; nil in a process that opens nothing.
	unload    func() error // Of the key-encryption key's token; nil if it is in a file.
	catalogue domain.Catalogue
	cache     *aggregate.Cache
	memo      *aggregate.Memo // Of catalogue.
	desk      *desk.Desk
	runner    keeper
	recorded  recorder    // What the log in the folder records by.
	retried   func(error) // Told of each failure of a view that is tried again, if not nil.
	webhooks  feed.Figures
	shared    *redisviews.Views // The same, if other processes may keep them too; nil if none can.
}

// engine is the log, wherever it is.
type engine interface {
	eventstore.Store
	Close() error
}

// openLog opens the log in the folder, or connects to the one that --store names.
func (h *house) openLog(g *globals, o embedded.Options) (err error) {
	if g.Config.Store != "" {
		h.store, err = openElsewhere(g)
		return err
	}
	if h.log, err = embedded.Open(o); err == nil {
		h.store = h.log
	}
	return err
}

func openElsewhere(g *globals) (engine, error) {
	if !strings.HasPrefix(g.Config.Store, "esdb://") && !strings.HasPrefix(g.Config.Store, "esdb+discover://") {
		return nil, fmt.Errorf("%w: --store is esdb://…", errUsage)
	}
	ctx, cancel := context.WithTimeout(g.Ctx, connectMax)
	defer cancel()
	s, err := esdb.Open(ctx, esdb.Options{Connection: g.Config.Store, Log: g.Log})
	if err != nil {
		return nil, err
	}
	return s, nil
}

// needsFolder refuses what only a log in the data folder can do.
func needsFolder(g *globals, what string) error {
	if g.Config != nil && (g.Config.Store != "" || g.Config.Vault.URL != "") {
		return fmt.Errorf("%w: %s needs log and keys in the data folder, not --store or --vault", errUsage, what)
	}
	return nil
}

// openOptions are what differs between the uses of a folder.
type openOptions struct {
	now       func() time.Time
	deferSync bool  // Loading a folder that is thrown away when the load fails.
	role      role  // "" is all.
	parts     int   // See projections.Keeper; 0 leaves them as they are.
	reserve   int64 // Bytes of the disk left free, see embedded.Options; 0 for short work.
	segment   int64 // Bytes of a segment, if not the usual: tests copy whole files.
}

const (
	stateCache = 4096             // Aggregate states kept in memory, a KB and a dozen objects each. Others are read again.
	eventMemo  = 4096             // Events kept decoded: what a quarter of a second writes under full load.
	connectMax = 30 * time.Second // To a log elsewhere, at the start.
	viewTries  = 3                // Of a view in the folder, in short work.
	catchUpMax = 30 * time.Second // Views that are still built are waited for again.
)

// openHouse opens (or makes) the data folder. One process at a time.
func openHouse(g *globals, o openOptions) (_ *house, err error) {
	if o.now == nil {
		o.now = g.Now
	}
	suite, err := seal.ParseSuite(g.Config.Suite)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errUsage, err)
	}
	h := &house{memo: aggregate.NewMemo(eventMemo)}
	h.catalogue = catalogue().WithMemo(h.memo)
	if h.city, err = loadCity(g.Config.City); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, h.Close())
		}
	}()
	h.recorded.now = o.now
	if err = h.openLog(g, embedded.Options{FS: g.disk, Dir: filepath.Join(g.Data, "log"), Suite: byte(suite), Now: h.recorded.Now, Logger: g.Log, Fatal: g.fatal, DeferSync: o.deferSync, ReserveBytes: o.reserve, SegmentBytes: o.segment}); err != nil {
		return nil, err
	}
	if o.role.opensVault() {
		if err = h.refuseLostKeys(g); err != nil {
			return nil, err
		}
		if err = h.openVault(g, suite, o); err != nil {
			return nil, err
		}
		if err = h.refuseLostLog(g); err != nil {
			return nil, err
		}
	}
	h.cache = aggregate.NewCache(stateCache)
	if err = h.openViews(g, o.role); err != nil {
		return nil, err
	}
	h.desk = h.newDesk(g)
	h.runner = h.keeper(g, o)
	return h, nil
}

// figures are what warnings are judged from, composed of the views.
func (h *house) figures() warnings.Figures {
	f := watch.Figures{Views: h.views, City: &h.city.City, Index: rentindex.Projection{Model: h.city.Model}, Desk: h.desk}
	reads := f.Reads()
	f.Wait = func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, catchUpMax)
		defer cancel()
		return h.caughtUp(ctx, reads...)
	}
	return f
}

// caughtUp waits until these views know the log's head of now.
func (h *house) caughtUp(ctx context.Context, names ...string) error {
	head, err := h.store.Head(ctx)
	if err != nil {
		return err
	}
	for _, name := range names {
		err = errors.Join(err, h.runner.WaitFor(ctx, name, head.Position))
	}
	return err
}

// watchDay evaluates the warnings of a day, as their process does.
func (h *house) watchDay(ctx context.Context, at time.Time, id string) error {
	policy, err := h.desk.Policy(ctx)
	if err != nil {
		return err
	}
	p := warnings.Process{}
	base := process.Base{ID: id, At: at, Actor: domain.Actor{ID: "process:" + p.Name(), Role: domain.RoleSystem}, Policy: policy}
	r := aggregate.Runner{Store: h.store, Catalogue: h.catalogue, Cache: h.cache}
	return warnings.Round(ctx, r, base, h.figures(), h.city.Books, domain.DayOf(at))
}

func (h *house) newDesk(g *globals) *desk.Desk {
	return desk.New(desk.Options{
		Runner: aggregate.Runner{Store: h.store, Catalogue: h.catalogue, Cache: h.cache},
		Vault:  h.keys, Views: h.views, City: &h.city.City, Shipped: ruleset.Shipped(), Books: h.city.Books, Log: g.Log, NewID: uuid.New,
	})
}

// Close closes what was opened, the log last.
func (h *house) Close() error {
	var err error
	if h.views != nil {
		err = h.views.Close()
	}
	if h.keys != nil {
		err = errors.Join(err, h.keys.Close())
	}
	if h.unload != nil {
		err = errors.Join(err, h.unload())
	}
	if h.store != nil {
		err = errors.Join(err, h.store.Close())
	}
	return err
}

// catchUp runs the views until they reach the log's head, then stops them. A view of the folder that can't be read again
// and again ends it: it is damaged, and nobody mends it meanwhile.
func (h *house) catchUp(ctx context.Context) error {
	ctx, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	var tries atomic.Int64
	h.retried = func(err error) {
		if h.shared == nil && tries.Add(1) >= viewTries {
			giveUp(err)
		}
	}
	kept := h.keepViews(ctx)
	err := kept.caughtUp(ctx)
	if cause := context.Cause(ctx); err != nil && cause != nil {
		err = cause
	}
	return errors.Join(err, kept.stop())
}

// keptViews are views that run beside something else.
type keptViews struct {
	h    *house
	end  context.CancelFunc
	done chan error
}

func (h *house) keepViews(ctx context.Context) *keptViews {
	ctx, end := context.WithCancel(ctx)
	k := &keptViews{h: h, end: end, done: make(chan error, 1)}
	go func() { k.done <- h.runner.Run(ctx, views(h.city)) }()
	return k
}

// caughtUp waits until every view knows the log's head of now.
func (k *keptViews) caughtUp(ctx context.Context) error {
	var names []string
	for _, v := range views(k.h.city) {
		names = append(names, v.Name())
	}
	return k.h.caughtUp(ctx, names...)
}

func (k *keptViews) stop() error {
	k.end()
	return <-k.done
}
