package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"zujian/eventstore"
	"zujian/eventstore/embedded"
)

const (
	benchBareRounds   = 3
	benchBareRequired = 0.45
	benchBareBytes    = 1 << 10
)

// benchBare measures what one durable append costs over HTTP: a handler that decodes a document of a kilobyte strictly
// and appends it, beside the same handler that only decodes. No key, no rules, no views: the log and HTTP alone.
func benchBare(b *bench) (_ []benchRow, err error) {
	log, err := embedded.Open(embedded.Options{Dir: filepath.Join(b.dir, "bare")})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	var n atomic.Uint64
	handler := func(durable bool) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			var doc struct {
				Stream string `json:"stream"`
				Text   string `json:"text"`
			}
			raw, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
			dec := json.NewDecoder(bytes.NewReader(raw))
			dec.DisallowUnknownFields()
			if err = errors.Join(err, dec.Decode(&doc)); err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
			if durable {
				e := benchEvent(n.Add(1))
				e.Data = raw
				if _, err := log.Append(r.Context(), doc.Stream, eventstore.AnyRevision, e); err != nil {
					http.Error(w, err.Error(), http.StatusInternalServerError)
					return
				}
			}
			w.WriteHeader(http.StatusCreated)
		}
	}
	mux := http.NewServeMux()
	mux.Handle("POST /append", handler(true))
	mux.Handle("POST /decode", handler(false))
	listener, err := (&net.ListenConfig{}).Listen(b.ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	server := &http.Server{Handler: mux, ReadHeaderTimeout: benchHTTPTimeout}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	s := &benchServer{b: b, url: "http://" + listener.Addr().String(), client: benchClient(b.clients)}
	defer func() {
		err = errors.Join(err, server.Close())
		s.client.CloseIdleConnections()
		if e := <-served; !errors.Is(e, http.ErrServerClosed) {
			err = errors.Join(err, e)
		}
	}()
	return profiled(b, s.bare)
}

func (s *benchServer) bare() ([]benchRow, error) {
	slice := time.Duration(s.b.seconds * float64(time.Second) / (2 * (benchBareRounds + 1)))
	var n atomic.Uint64
	send := func(path string) func() (bool, error) {
		return func() (bool, error) {
			body := fmt.Sprintf(`{"stream":"bare-%d","text":"%s"}`, n.Add(1)%benchStreams, strings.Repeat("x", benchBareBytes-32))
			res, err := s.client.Post(s.url+path, "application/json", strings.NewReader(body))
			if err != nil {
				return false, err
			}
			said, err := io.ReadAll(res.Body)
			if err = errors.Join(err, res.Body.Close()); err == nil && res.StatusCode != http.StatusCreated {
				err = fmt.Errorf("%s was answered %d: %.300s", path, res.StatusCode, said)
			}
			return true, err
		}
	}
	var own, peer []slicing
	for round := -1; round < benchBareRounds; round++ { // The first warms up.
		without, err1 := s.hammer(slice, send("/decode"))
		with, err2 := s.hammer(slice, send("/append"))
		if err := errors.Join(err1, err2); err != nil {
			return nil, err
		}
		if round >= 0 {
			own, peer = append(own, with), append(peer, without)
		}
	}
	return []benchRow{compare(fmt.Sprintf("one append over HTTP, %d clients", s.b.clients), "requests/s",
		fmt.Sprintf("the same request without it (required %.2f)", benchBareRequired), own, peer, func(x slicing) float64 { return x.rate })}, nil
}
