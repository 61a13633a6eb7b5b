package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"zujian/eventstore"
	"zujian/eventstore/embedded"
	"zujian/eventstore/esdb"
)

// benchWire measures the log by the EventStoreDB protocol, through the official client and over TLS on the loopback
// address, beside the same log called directly.
func benchWire(b *bench) (rows []benchRow, err error) {
	for _, writers := range []int{1, benchWriters} {
		more, err := b.wireWith(filepath.Join(b.dir, "wire", fmt.Sprint(writers)), writers)
		if err != nil {
			return nil, err
		}
		rows = append(rows, more...)
	}
	return rows, nil
}

// wireWith measures appends with so many writers, and with many reads what they wrote.
func (b *bench) wireWith(dir string, writers int) (rows []benchRow, err error) {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, err
	}
	direct, err := embedded.Open(embedded.Options{Dir: filepath.Join(dir, "direct")})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, direct.Close()) }()
	served, err := embedded.Open(embedded.Options{Dir: filepath.Join(dir, "log")})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, served.Close()) }()
	far, _, stop, err := b.protocol(dir, served)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, far.Close(), stop()) }()
	slice := time.Duration(b.seconds / (2 * 2 * (benchRounds + 1) * 1.3) * float64(time.Second))
	kinds := [2]appender{newLogAppender(far, writers), newLogAppender(direct, writers)}
	var got [2][]slicing
	for round := -1; round < benchRounds; round++ { // The first warms up.
		for k, a := range kinds {
			res, err := runSlice(b.ctx, a, writers, slice)
			if err != nil {
				return nil, err
			}
			if round >= 0 {
				got[k] = append(got[k], res)
			}
		}
	}
	name := fmt.Sprintf("append by the protocol, %d writers", writers)
	if writers == 1 {
		name = "append by the protocol, 1 writer"
	}
	rows = append(rows, compare(name, "events/s", "called directly", got[0], got[1], func(s slicing) float64 { return s.rate }))
	if writers == 1 {
		return rows, nil
	}
	more, err := benchWireReads(b.ctx, far, served)
	return append(rows, more...), err
}

// protocol serves a log as zujian store does, and connects to it by a connection string.
func (b *bench) protocol(dir string, log *embedded.Store) (far *esdb.Store, connection string, stop func() error, err error) {
	own := *b.g
	own.Data = dir
	l, err := (&net.ListenConfig{}).Listen(b.ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, "", nil, err
	}
	o := wireOptions(&own, log)
	o.Write = true
	if _, err := (&storeCmd{}).secure(&own, &o, l.Addr()); err != nil {
		return nil, "", nil, errors.Join(err, l.Close())
	}
	keys, err := storeKeys(&own, l.Addr(), "")
	if err != nil {
		return nil, "", nil, errors.Join(err, l.Close())
	}
	ctx, cancel := context.WithCancel(b.ctx)
	done, err := serveWire(ctx, o, l)
	if err != nil {
		cancel()
		return nil, "", nil, err
	}
	stop = func() error { cancel(); return <-done }
	if far, err = esdb.Open(b.ctx, esdb.Options{Connection: keys[0].Connection}); err != nil {
		return nil, "", nil, errors.Join(err, stop())
	}
	return far, keys[0].Connection, stop, nil
}

const wireReadMax = 200_000 // Events read in one round.

// benchWireReads reads the whole log, and streams as an aggregate is loaded.
func benchWireReads(ctx context.Context, far, near eventstore.Store) ([]benchRow, error) {
	whole := func(s eventstore.Store) (res slicing, err error) {
		start, n := time.Now(), 0
		for _, err := range s.All(ctx, 0) {
			if err != nil {
				return res, err
			}
			if n++; n == wireReadMax {
				break
			}
		}
		res.rate = float64(n) / time.Since(start).Seconds()
		return res, nil
	}
	streams := func(s eventstore.Store) (res slicing, err error) {
		start := time.Now()
		for i := range 300 {
			one := time.Now()
			for _, err := range s.Stream(ctx, fmt.Sprintf("contract-%04d-%08d", 0, i%benchStreams), 0) {
				if err != nil {
					return res, err
				}
			}
			res.took = append(res.took, time.Since(one))
		}
		res.rate = float64(len(res.took)) / time.Since(start).Seconds()
		return res, nil
	}
	var rows []benchRow
	for _, r := range []struct {
		name, unit string
		read       func(eventstore.Store) (slicing, error)
	}{{"read all by the protocol", "events/s", whole}, {"load a stream by the protocol", "streams/s", streams}} {
		var own, peer []slicing
		for range benchRounds {
			a, err := r.read(far)
			if err != nil {
				return nil, err
			}
			c, err := r.read(near)
			if err != nil {
				return nil, err
			}
			own, peer = append(own, a), append(peer, c)
		}
		rows = append(rows, compare(r.name, r.unit, "called directly", own, peer, func(s slicing) float64 { return s.rate }))
	}
	return rows, nil
}
