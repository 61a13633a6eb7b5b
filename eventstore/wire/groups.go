package wire

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"

	"zujian/eventstore"
)

// The configuration of persistent subscriptions is a stream of changes.
const (
	configStream      = "$persistentSubscriptionConfig"
	typeGroupSet      = "$PersistentSubscriptionSet"
	typeGroupRemoved  = "$PersistentSubscriptionRemoved"
	groupsMax         = 10_000
	groupNameBytesMax = 256
)

type groupChange struct {
	Stream   string    `json:"stream"`
	Group    string    `json:"group"`
	Settings *settings `json:"settings,omitempty"`
	By       string    `json:"by,omitempty"`
}

// ownStream tells the streams that only the protocol itself writes: what is in them is believed.
func ownStream(stream string) bool {
	return base(stream) == configStream ||
		(strings.HasPrefix(base(stream), "$persistentsubscription-") && strings.HasSuffix(stream, "-checkpoint"))
}

// groups are all persistent subscriptions.
type groups struct {
	server *Server
	change sync.Mutex // Changes to the configuration are one at a time.

	mu   sync.Mutex
	list map[groupName]*group
}

// load reads the configuration and where each group stands.
func (gs *groups) load(ctx context.Context) error {
	sets := map[groupName]settings{}
	for r, err := range gs.server.o.Store.Stream(ctx, configStream, 0) {
		if err != nil {
			return err
		}
		var c groupChange
		if r.Type != typeGroupSet && r.Type != typeGroupRemoved {
			continue
		}
		if err := json.Unmarshal(r.Data, &c); err != nil { // Not ours: we wrote none that does not decode.
			gs.server.o.Log.Warn("persistent subscription left out", slog.Int64("revision", int64(r.Revision)), slog.Any("err", err))
			continue
		}
		name := groupName{c.Stream, c.Group}
		if delete(sets, name); r.Type == typeGroupSet && c.Settings != nil {
			sets[name] = *c.Settings
		}
	}
	list := map[groupName]*group{}
	for name, set := range sets {
		g, err := newGroup(gs.server, name, set)
		if err == nil {
			err = g.load(ctx)
		}
		if err != nil {
			return fmt.Errorf("group %s on %s: %w", name.group, name.stream, err)
		}
		list[name] = g
	}
	gs.mu.Lock()
	defer gs.mu.Unlock()
	gs.list = list
	return nil
}

func (gs *groups) get(name groupName) (*group, error) {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	if g := gs.list[name]; g != nil {
		return g, nil
	}
	return nil, groupMissing(name)
}

func (gs *groups) put(name groupName, g *group) {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	if g == nil {
		delete(gs.list, name)
		return
	}
	gs.list[name] = g
}

// all returns the groups on a stream, or every one, in the order of their names.
func (gs *groups) all(stream string) []*group {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	var out []*group
	for name, g := range gs.list {
		if stream == "" || name.stream == stream {
			out = append(out, g)
		}
	}
	slices.SortFunc(out, func(a, b *group) int {
		if a.name.stream != b.name.stream {
			if a.name.stream < b.name.stream {
				return -1
			}
			return 1
		}
		if a.name.group < b.name.group {
			return -1
		}
		return 1
	})
	return out
}

func (gs *groups) record(ctx context.Context, name groupName, set *settings, eventType string) error {
	data, err := json.Marshal(groupChange{Stream: name.stream, Group: name.group, Settings: set, By: callerOf(ctx).Name})
	if err != nil {
		return err
	}
	e := gs.server.system(eventType, data)
	_, err = gs.server.write(ctx, configStream, expectation{revision: eventstore.AnyRevision}, []eventstore.NewEvent{e})
	return err
}

func (gs *groups) create(ctx context.Context, name groupName, set settings) error {
	gs.change.Lock()
	defer gs.change.Unlock()
	if _, err := gs.get(name); err == nil {
		return groupExists(name)
	}
	if len(gs.all("")) >= groupsMax {
		return groupFailed(name, fmt.Sprintf("there are %d groups", groupsMax))
	}
	g, err := newGroup(gs.server, name, set)
	if err != nil {
		return err
	}
	if err := g.load(ctx); err != nil { // One of this name may have been before: its parked messages are hidden.
		return err
	}
	g.next, g.checkpointed, g.seen, g.known = set.From, false, false, 0
	if err := gs.record(ctx, name, &set, typeGroupSet); err != nil {
		return err
	}
	gs.put(name, g)
	return nil
}

// update gives a group other settings. Its consumers are dropped and come back to the new ones; it goes on from its
// checkpoint, or from where it is told to start if it has none.
func (gs *groups) update(ctx context.Context, name groupName, change func(settings) (settings, error)) error {
	gs.change.Lock()
	defer gs.change.Unlock()
	g, err := gs.get(name)
	if err != nil {
		return err
	}
	g.mu.Lock()
	old := g.set
	g.mu.Unlock()
	set, err := change(old)
	if err != nil {
		return err
	}
	set.Filter = old.Filter // A filter cannot be changed.
	if err := gs.record(ctx, name, &set, typeGroupSet); err != nil {
		return err
	}
	g.dropAll(groupDropped(name))
	g.flush()
	next, err := newGroup(gs.server, name, set)
	if err == nil {
		err = next.load(ctx)
	}
	if err != nil {
		return err
	}
	gs.put(name, next)
	return nil
}

func (gs *groups) remove(ctx context.Context, name groupName) error {
	gs.change.Lock()
	defer gs.change.Unlock()
	g, err := gs.get(name)
	if err != nil {
		return err
	}
	if err := gs.record(ctx, name, nil, typeGroupRemoved); err != nil {
		return err
	}
	gs.put(name, nil)
	g.mu.Lock()
	g.removed = true
	g.mu.Unlock()
	g.dropAll(groupDropped(name))
	for _, stream := range []string{name.checkpoints(), name.parked()} {
		_, err := gs.server.remove(ctx, stream, expectation{revision: eventstore.AnyRevision}, false)
		if err != nil && !errors.Is(err, eventstore.ErrWrongRevision) { // It never was.
			return err
		}
	}
	return nil
}

// restart drops every consumer and reads everything again from the log.
func (gs *groups) restart(ctx context.Context) error {
	gs.change.Lock()
	defer gs.change.Unlock()
	for _, g := range gs.all("") {
		g.dropAll(groupDropped(g.name))
		g.flush()
	}
	return gs.load(ctx)
}

func (gs *groups) close() error {
	gs.change.Lock()
	defer gs.change.Unlock()
	for _, g := range gs.all("") {
		g.dropAll(errNotReady)
		g.flush()
	}
	return nil
}
