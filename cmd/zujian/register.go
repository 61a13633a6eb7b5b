package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"zujian/eventstore"
	"zujian/eventstore/register"
	"zujian/eventstore/register/notary"
	"zujian/eventstore/seal"
	"zujian/eventstore/seal/remote"
)

// registerFlags configure the verifiable register.
type registerFlags struct {
	Origin  string   `help:"Name of the register: its public URL without scheme. Set it once, before the first outsider looks." default:"localhost/zujian" env:"ZUJIAN_ORIGIN"`
	Witness []string `help:"A witness that cosigns, as it prints itself: KEY=URL. Once for each." env:"ZUJIAN_WITNESS" placeholder:"KEY=URL"`
	Quorum  int      `name:"witness-quorum" help:"Cosignatures that confirm a checkpoint; 0 is a majority." env:"ZUJIAN_WITNESS_QUORUM"`
}

func registerDir(g *globals) string { return filepath.Join(g.Data, "register") }

// registerOptions are what every use of the register in the data folder shares. A register that has signed must have its
// keys; only a fresh one gets new ones.
func (h *house) registerOptions(g *globals) (o register.Options, err error) {
	o = register.Options{Dir: registerDir(g), FS: g.disk, Log: registerLog(h.store), Now: g.Now, Logger: g.Log}
	o.Keys, err = registerKeys(g, h.vault)
	return o, err
}

func registerKeys(g *globals, v *seal.Vault) (k register.Keys, err error) {
	disk := g.fs()
	_, missing := disk.Stat(disk.PathJoin(registerDir(g), "checkpoint"))
	k.Log, k.Ed25519, k.SM2, err = v.RegisterKeys(g.Ctx, errors.Is(missing, os.ErrNotExist))
	return k, err
}

// openNotary opens the notary that a vault elsewhere is for the processes that make the tree. Its folder has the form of a
// register's: it may be the one of a register of one process before.
func openNotary(g *globals, h *house) (*register.LocalNotary, error) {
	if err := h.holdLostRegister(g); err != nil {
		return nil, err
	}
	k, err := registerKeys(g, h.vault)
	if err != nil {
		return nil, err
	}
	n, err := register.OpenNotary(h.disk(), registerDir(g), k, g.Log)
	if err != nil {
		return nil, err
	}
	h.noteSigns(g)
	return n, nil
}

// memberOptions are those of a process whose vault is elsewhere, which signs what the process proposes.
func (h *house) memberOptions(g *globals, origin string, c *remote.Client) (o register.Options, err error) {
	n := notary.Client{Call: c.Call}
	o = register.Options{Dir: registerDir(g), FS: g.disk, Log: registerLog(h.store), Now: g.Now, Logger: g.Log, Notary: n}
	if h.shared != nil {
		o.Turn = func(ctx context.Context, f func(context.Context) error) error {
			return h.shared.Hold(ctx, "register", f)
		}
	}
	ask, cancel := context.WithTimeout(g.Ctx, connectMax)
	defer cancel()
	for {
		if o.Keys, o.Public, err = n.Keys(ask, origin); !errors.Is(err, register.ErrNotaryAway) {
			return o, err
		}
		select { // It may be started after this process.
		case <-ask.Done():
			return o, err
		case <-time.After(time.Second):
		}
	}
}

// reaches refuses a log that ends before what was signed over it: writes to it would take the place of others.
func reaches(ctx context.Context, log eventstore.Store, n register.Notary) error {
	rec, err := n.Last(ctx)
	if errors.Is(err, register.ErrNotaryAway) {
		return nil // It keeps what it signs from being another tree.
	}
	size, err2 := register.SizeOf(rec)
	head, err3 := log.Head(ctx)
	if err = errors.Join(err, err2, err3); err == nil && head.Events < size {
		err = fmt.Errorf("the log ends after %d events, and %d were signed over it: it is another, or was restored from an older backup. Restore a newer one, or stop the"+
			" vault and run `zujian resume --roll-back --store LOG --data VAULTDIR`, then start the nodes with an empty Redis and without their register/", head.Events, size)
	}
	return err
}

// registerLog is the store as the register reads it.
func registerLog(s eventstore.Store) register.Log {
	if log, ok := s.(register.Log); ok {
		return log
	}
	return register.Over(s)
}

// registerShare is the part of the reserve that is the register's own ballast: its folder may be on another disk than the
// log's, and what it writes for an event is a tenth of that.
const registerShare = 64

// open opens the register that serve keeps, over a disk of which reserve bytes are left free. It fails if the log does not go on from what was signed.
func (f *registerFlags) open(g *globals, h *house, reserve int64) (*register.Register, error) {
	var o register.Options
	var err error
	if client, elsewhere := h.keys.(*remote.Client); elsewhere {
		o, err = h.memberOptions(g, f.Origin, client)
	} else if err = h.holdLostRegister(g); err == nil {
		o, err = h.registerOptions(g)
	}
	if err != nil {
		return nil, err
	}
	if o.Notary != nil {
		if err := reaches(g.Ctx, h.store, o.Notary); err != nil {
			return nil, err
		}
	}
	o.Origin, o.Quorum, o.Ballast = f.Origin, f.Quorum, reserve/registerShare
	for _, text := range f.Witness {
		w, err := register.ParseWitness(text)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errUsage, err)
		}
		o.Witnesses = append(o.Witnesses, w)
	}
	r, err := register.Open(g.Ctx, o)
	if err == nil && o.Notary == nil {
		h.noteSigns(g)
	}
	return r, err
}

// keepRegister runs the register. When witnesses have stopped it the server goes on without signing, and is not ready.
func keepRegister(ctx context.Context, g *globals, r *register.Register) error {
	err := r.Run(ctx)
	if errors.Is(err, register.ErrStopped) {
		g.Log.Error("nothing is signed any more: find out which log is the true one", "err", err)
		<-ctx.Done()
		return nil
	}
	return err
}

// registerMetrics adds the register's figures to what /metrics shows.
func registerMetrics(reg *prometheus.Registry, r *register.Register) {
	for name, f := range map[string]struct {
		help string
		of   func(register.Status) float64
	}{
		"added_events":         {"Events in the tree.", func(s register.Status) float64 { return float64(s.Added) }},
		"signed_events":        {"Events under the last signed checkpoint.", func(s register.Status) float64 { return float64(s.Signed) }},
		"signed_time_seconds":  {"When the last checkpoint was signed, in seconds since 1970.", func(s register.Status) float64 { return float64(s.SignedAt.Unix()) }},
		"confirmed_events":     {"Events under the last checkpoint that enough witnesses cosigned.", func(s register.Status) float64 { return float64(s.Confirmed) }},
		"witnesses":            {"Witnesses that are asked.", func(s register.Status) float64 { return float64(s.Witnesses) }},
		"witnesses_agreeing":   {"Witnesses that have cosigned since the start.", func(s register.Status) float64 { return float64(s.Agreeing) }},
		"witnesses_dissenting": {"Witnesses that have cosigned another log under this name.", func(s register.Status) float64 { return float64(s.Dissenting) }},
		"stopped":              {"1 when nothing is signed because witnesses dissent.", func(s register.Status) float64 { return boolean(s.Stopped) }},
		"leads":                {"1 while this process proposes checkpoints and asks witnesses; always where no other does.", func(s register.Status) float64 { return boolean(s.Leads) }},
		"full":                 {"1 while nothing new is signed because the register's disk is full.", func(s register.Status) float64 { return boolean(s.Full) }},
		"held":                 {"1 while a restored register signs nothing new until it is told to.", func(s register.Status) float64 { return boolean(s.Held) }},
		"waiting":              {"1 while nothing is signed until witnesses have answered.", func(s register.Status) float64 { return boolean(s.Waiting) }},
	} {
		reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "zujian_register_" + name, Help: f.help},
			func() float64 { return f.of(r.Status()) }))
	}
	reg.MustRegister(
		prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "zujian_register_audited_total", Help: "Events compared with their leaves in the background since the start."},
			func() float64 { return float64(r.Status().Audited) }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "zujian_register_audit_rounds_total", Help: "How often all events were compared with their leaves since the start."},
			func() float64 { return float64(r.Status().Rounds) }),
	)
}

func boolean(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
