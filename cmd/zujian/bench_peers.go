package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"zujian/cmd/zujian/internal/peers"
	"zujian/eventstore"
	"zujian/eventstore/embedded"
	"zujian/eventstore/register"
	"zujian/eventstore/seal"
)

const (
	benchPeerRounds   = 3
	benchPeerStreams  = 100  // Of benchStreamEvents each, to be loaded.
	benchPeerLoads    = 1000 // In one round.
	benchSubjects     = 1024 // People whose data is sealed; each has a key.
	benchPlain        = "110101188001010012"
	benchSealedField  = "doc_no"
	benchSealRequired = 0.80
	benchPGRequired   = 6
	benchLoadRequired = 0.5 // Of SQLite's.
)

// benchPeers measures the log beside stores that others would take, with the same events and the same promise, and
// beside itself without the register and the sealing that service adds.
func benchPeers(b *bench) (rows []benchRow, err error) {
	if err := os.Chmod(b.dir, 0o711); err != nil { // A Postgres started by root runs as another user.
		return nil, err
	}
	kinds, closeAll, err := b.openPeers()
	defer func() { err = errors.Join(err, closeAll()) }()
	if err != nil {
		return nil, err
	}
	got, err := profiled(b, func() ([][]slicing, error) { return b.appendPeers(kinds) })
	if err != nil {
		return nil, err
	}
	rate := func(s slicing) float64 { return s.rate }
	name := fmt.Sprintf("append, %d writers", benchWriters)
	for k, kind := range kinds[1:] {
		own, peer := got[0], got[k+1]
		if kind.required > 0 {
			kind.name += fmt.Sprintf(" (required %g)", kind.required)
		}
		if kind.peer == nil { // The log itself, with more to do.
			rows = append(rows, compare(name+" with leaves and sealing", "events/s", kind.name, peer, own, rate))
			continue
		}
		rows = append(rows, compare(name, "events/s", kind.name, own, peer, rate))
	}
	loads, err := b.loadPeers(kinds)
	return append(rows, loads...), err
}

// appendPeers gives every kind a slice of each round. What a store leaves to be merged in the background falls into the
// slice after its own, so every second round goes the other way.
func (b *bench) appendPeers(kinds []benchKind) ([][]slicing, error) {
	slice := time.Duration(b.seconds * 0.7 * float64(time.Second) / float64(benchPeerRounds*len(kinds)))
	got := make([][]slicing, len(kinds))
	for round := -1; round < benchPeerRounds; round++ { // The first warms up.
		for i := range kinds {
			k := i
			if round%2 != 0 {
				k = len(kinds) - 1 - i
			}
			res, err := runSlice(b.ctx, kinds[k], benchWriters, slice)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", kinds[k].name, err)
			}
			if round >= 0 {
				got[k] = append(got[k], res)
			}
		}
	}
	return got, nil
}

// benchKind is one store under measurement.
type benchKind struct {
	appender
	name     string
	required float64 // Of the ratio of appends; 0 if nothing is.
	loadMost float64 // Of the ratio of loads; 0 if nothing is.
	store    eventstore.Store
	peer     peers.Peer
}

// openPeers opens the log, the log as service keeps it, and every peer that this machine has.
func (b *bench) openPeers() (kinds []benchKind, closeAll func() error, err error) {
	var closers []func() error
	closeAll = func() (err error) {
		for _, c := range slices.Backward(closers) {
			err = errors.Join(err, c())
		}
		return err
	}
	plain, err := embedded.Open(embedded.Options{Dir: filepath.Join(b.dir, "peers", "log")})
	if err != nil {
		return nil, closeAll, err
	}
	closers = append(closers, plain.Close)
	kinds = append(kinds, benchKind{appender: newLogAppender(plain, benchWriters), name: "log", store: plain})
	sealed, end, err := b.openSealed(filepath.Join(b.dir, "peers", "sealed"))
	closers = append(closers, end)
	if err != nil {
		return nil, closeAll, err
	}
	kinds = append(kinds, benchKind{appender: sealed, name: "without", required: benchSealRequired})
	for _, p := range []struct {
		name     string
		required float64
		loadMost float64
		open     func(context.Context, string) (peers.Peer, error)
	}{
		{"SQLite, grouped", 0, benchLoadRequired, peers.SQLite},
		{"Postgres, 64 connections", benchPGRequired, 0, func(ctx context.Context, dir string) (peers.Peer, error) {
			return peers.Postgres(ctx, dir, benchWriters)
		}},
		{"Redis, append-only file always synchronised", 0, 0, func(ctx context.Context, dir string) (peers.Peer, error) { return peers.Redis(ctx, dir, benchWriters) }},
	} {
		dir := filepath.Join(b.dir, fmt.Sprint("peer", len(kinds))) // Short: a socket's path is.
		if err := os.Mkdir(dir, 0o755); err != nil {
			return nil, closeAll, err
		}
		peer, err := p.open(b.ctx, dir)
		if errors.Is(err, peers.ErrNotInstalled) {
			b.say("%v: left out", err)
			continue
		}
		if err != nil {
			return nil, closeAll, err
		}
		closers = append(closers, peer.Close)
		kinds = append(kinds, benchKind{appender: newPeerAppender(peer, benchWriters), name: p.name, required: p.required, loadMost: p.loadMost, peer: peer})
	}
	return kinds, closeAll, nil
}

// sealedAppender seals a field of every event before it appends it, while a register follows the log.
type sealedAppender struct {
	*logAppender
	vault *seal.Vault
	count atomic.Uint64
}

func (b *bench) openSealed(dir string) (_ *sealedAppender, end func() error, err error) {
	var closers []func() error
	end = func() (err error) {
		for _, c := range slices.Backward(closers) {
			err = errors.Join(err, c())
		}
		return err
	}
	s, err := embedded.Open(embedded.Options{Dir: filepath.Join(dir, "log")})
	if err != nil {
		return nil, end, err
	}
	closers = append(closers, s.Close)
	vault, err := seal.Open(dir, seal.Options{Now: b.g.Now})
	if err != nil {
		return nil, end, err
	}
	closers = append(closers, vault.Close)
	for n := range benchSubjects { // A key's first use is a write of its own.
		if _, err := vault.Seal(b.ctx, fmt.Sprint("party-", n), "warm", benchSealedField, benchPlain); err != nil {
			return nil, end, err
		}
	}
	o := register.Options{Dir: filepath.Join(dir, "register"), Log: s, Origin: "localhost/bench", Now: b.g.Now}
	if o.Keys.Log, o.Keys.Ed25519, o.Keys.SM2, err = vault.RegisterKeys(b.ctx, true); err != nil {
		return nil, end, err
	}
	r, err := register.Open(b.ctx, o)
	if err != nil {
		return nil, end, err
	}
	ctx, stop := context.WithCancel(b.ctx)
	ran := make(chan error, 1)
	go func() { ran <- r.Run(ctx) }()
	closers = append(closers, r.Close, func() error { stop(); return <-ran })
	return &sealedAppender{logAppender: newLogAppender(s, benchWriters), vault: vault}, end, nil
}

func (a *sealedAppender) append(ctx context.Context, w, n int) error {
	stream := a.names[w][n%benchStreams]
	sealed, err := a.vault.Seal(ctx, fmt.Sprint("party-", a.count.Add(1)%benchSubjects), stream, benchSealedField, benchPlain)
	if err != nil {
		return err
	}
	if len(sealed) == 0 {
		return errors.New("nothing was sealed")
	}
	return a.logAppender.append(ctx, w, n)
}

// peerAppender gives a peer the events that the log gets.
type peerAppender struct {
	peer  peers.Peer
	names [][]string
	seq   []uint64
	meta  []byte
}

func newPeerAppender(p peers.Peer, writers int) *peerAppender {
	meta, err := json.Marshal(benchEvent(0).Meta)
	if err != nil {
		panic("bench: " + err.Error()) // Strings and numbers encode.
	}
	return &peerAppender{peer: p, names: newLogAppender(nil, writers).names, seq: make([]uint64, writers), meta: meta}
}

func (a *peerAppender) append(ctx context.Context, w, _ int) error {
	n := a.seq[w]
	a.seq[w]++
	e := benchEvent(uint64(w)<<40 | a.seq[w])
	return a.peer.Append(ctx, peers.Event{
		Stream: a.names[w][n%benchStreams], Revision: int64(n / benchStreams), ID: e.ID, Type: e.Type, Meta: a.meta, Data: e.Data,
	})
}

// loadPeers loads streams of a hundred events from the log and from each peer in turn.
func (b *bench) loadPeers(kinds []benchKind) (rows []benchRow, err error) {
	name := func(i int) string { return fmt.Sprintf("load-%04d", i) }
	streams := min(max(int(b.seconds*10), 4), benchPeerStreams)
	b.say("writing %d events to load them", streams*benchStreamEvents)
	for _, kind := range kinds {
		fill, ctx := errgroup.WithContext(b.ctx)
		for i := range streams {
			fill.Go(func() error { return kind.fill(ctx, name(i), i) })
		}
		if err := fill.Wait(); err != nil {
			return nil, fmt.Errorf("fill %s: %w", kind.name, err)
		}
	}
	got := make([][]slicing, len(kinds))
	for range benchPeerRounds {
		for k, kind := range kinds {
			if kind.store == nil && kind.peer == nil {
				continue
			}
			var s slicing
			for i := range benchPeerLoads {
				start := time.Now()
				n, err := kind.load(b.ctx, name(i*37%streams))
				s.took = append(s.took, time.Since(start))
				if err != nil || n != benchStreamEvents {
					return nil, fmt.Errorf("%s: a stream has %d events, not %d: %w", kind.name, n, benchStreamEvents, err)
				}
			}
			slices.Sort(s.took)
			got[k] = append(got[k], s)
		}
	}
	p50 := func(s slicing) float64 { return float64(s.at(0.5)) / 1e3 }
	for k, kind := range kinds {
		if kind.peer == nil {
			continue
		}
		atMost := ""
		if kind.loadMost > 0 {
			atMost = fmt.Sprintf(" (required at most %g)", kind.loadMost)
		}
		rows = append(rows, compare(fmt.Sprintf("load of a stream of %d events, p50", benchStreamEvents), "µs",
			kind.name+atMost, got[0], got[k], p50))
	}
	return rows, nil
}

// fill writes one stream, its revisions one after the other.
func (k benchKind) fill(ctx context.Context, stream string, at int) error {
	for n := range benchStreamEvents {
		e := benchEvent(uint64(1)<<56 | uint64(at*benchStreamEvents+n))
		if k.store != nil {
			if _, err := k.store.Append(ctx, stream, eventstore.Revision(n-1), e); err != nil {
				return err
			}
		}
		if k.peer != nil {
			if err := k.peer.Append(ctx, peers.Event{Stream: stream, Revision: int64(n), ID: e.ID, Type: e.Type, Meta: []byte("{}"), Data: e.Data}); err != nil {
				return err
			}
		}
	}
	return nil
}

func (k benchKind) load(ctx context.Context, stream string) (n int, err error) {
	if k.peer != nil {
		return k.peer.Load(ctx, stream)
	}
	for _, err := range k.store.Stream(ctx, stream, 0) {
		if err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}
