package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"zujian/eventstore/register/witness"
)

// witnessCmd runs a witness: a process of its own, best run by somebody else than the register's operator.
type witnessCmd struct {
	State string   `required:"" type:"path" help:"Folder of its key and of what it has cosigned; never restore an older one." env:"ZUJIAN_WITNESS_STATE"`
	Name  string   `help:"Name of its key, made at the first start: a host name." default:"localhost/witness" env:"ZUJIAN_WITNESS_NAME"`
	Log   []string `required:"" help:"Ed25519 verifier key of a register it watches (/v1/proofs/checkpoint shows it). Once for each." placeholder:"KEY"`
	Addr  string   `help:"Address to listen on." default:"127.0.0.1:8091" env:"ZUJIAN_WITNESS_ADDR"`
}

// Run implements the command.
func (c *witnessCmd) Run(g *globals) (err error) {
	w, err := witness.Open(witness.Options{Dir: c.State, Name: c.Name, Logs: c.Log, Logger: g.Log})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	listener, err := (&net.ListenConfig{}).Listen(g.Ctx, "tcp", c.Addr)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	server := &http.Server{
		Handler: w, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second,
		IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10, ErrorLog: slog.NewLogLogger(g.Log.Handler(), slog.LevelWarn),
	}
	fmt.Fprintf(g.Stdout, "witness %s\nserve … --witness '%s=http://%s'\n", w.Key(), w.Key(), listener.Addr())
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err = <-failed:
		return err
	case <-g.Ctx.Done():
	}
	graceful, cancel := context.WithTimeout(context.WithoutCancel(g.Ctx), drain)
	defer cancel()
	err = server.Shutdown(graceful)
	<-failed
	return err
}
