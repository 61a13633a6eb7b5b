package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"zujian/api/desk"
	"zujian/domain"
	"zujian/domain/contract"
	"zujian/eventstore/faults"
	"zujian/eventstore/register"
)

const (
	wholeFlats   = 60
	wholeSegment = 64 << 10              // Rolls within a life or two.
	wholeResume  = 50 * time.Millisecond // Between two looks for what is due.
	wholePatient = time.Minute           // For views and processes to come up with the log, on a busy machine.
	wholeLook    = 5 * time.Millisecond
)

// wholeWorld makes the lives of a product whose disk loses power; see [faults.Products].
type wholeWorld struct {
	g     globals
	open  openOptions
	flats []benchFlat
}

// wholeLosses has log, keys, register and views of one folder lose power together, while clerks file.
func wholeLosses(ctx context.Context, g *globals, seed uint64, crashes int, o openOptions, each func(crashes, verified int)) (faults.ProductsTally, error) {
	w := &wholeWorld{g: *g, open: o}
	w.g.Ctx, w.g.Data, w.g.Stderr, w.g.Log, w.g.resumeEvery = ctx, "", io.Discard, slog.New(slog.DiscardHandler), wholeResume
	w.open.segment = wholeSegment
	return faults.Products(ctx, faults.ProductsConfig{
		Seed: seed, Crashes: crashes, Filings: 2 * wholeFlats, Make: w.make, Open: w.life, Each: each,
	})
}

func (w *wholeWorld) on(disk faults.FS) *globals {
	g := w.g
	g.disk = disk
	return &g
}

func (w *wholeWorld) make(ctx context.Context, disk faults.FS) (err error) {
	g := w.on(disk)
	w.flats, err = makeBenchWorld(&bench{ctx: ctx, g: g, say: func(string, ...any) {}}, g, wholeFlats)
	return err
}

// wholeLife is one life of it: all of serve but HTTP.
type wholeLife struct {
	w    *wholeWorld
	g    *globals
	h    *house
	r    *register.Register
	stop context.CancelFunc
	work sync.WaitGroup
	err  atomic.Pointer[error] // What ended before it was told to.
}

func (w *wholeWorld) life(ctx context.Context, disk faults.FS) (_ faults.Product, err error) {
	l := &wholeLife{w: w, g: w.on(disk), stop: func() {}}
	defer func() {
		if err != nil {
			err = errors.Join(err, l.Close())
		}
	}()
	if l.h, err = openHouse(l.g, w.open); err != nil {
		return nil, err
	}
	signing, seconds := *l.g, atomic.Int64{}
	signing.Now = func() time.Time { return time.Unix(1_700_000_000+seconds.Add(1), 0) } // It is always time for a checkpoint.
	flags := registerFlags{Origin: "localhost/soak"}
	if l.r, err = flags.open(&signing, l.h, 0); err != nil {
		return nil, err
	}
	ctx, l.stop = context.WithCancel(context.WithoutCancel(ctx))
	l.run(func() error { return l.h.runner.Run(ctx, views(l.h.city)) })
	l.run(func() error { return l.h.reactor(l.g, l.g.Now).Run(ctx, processes(l.h)) })
	l.run(func() error { return l.r.Run(ctx) })
	return l, nil
}

func (l *wholeLife) run(f func() error) {
	l.work.Go(func() {
		if err := f(); err != nil {
			l.err.CompareAndSwap(nil, &err)
		}
	})
}

// Close implements faults.Product.
func (l *wholeLife) Close() (err error) {
	l.stop()
	l.work.Wait()
	if failed := l.err.Load(); failed != nil {
		err = *failed
	}
	if l.r != nil {
		err = errors.Join(err, l.r.Close())
	}
	if l.h != nil {
		err = errors.Join(err, l.h.Close())
	}
	return err
}

// Signed implements faults.Product.
func (l *wholeLife) Signed() (uint64, [32]byte) {
	c := l.r.Checkpoint()
	return c.Size, c.Root
}

// File implements faults.Product: two filings want each flat for the same days.
func (l *wholeLife) File(ctx context.Context, n int) (faults.Filing, error) {
	f := l.w.flats[n/2]
	tenant := l.w.flats[(n/2+n%2)%len(l.w.flats)].tenant
	today := domain.DayOf(l.g.Now())
	actor, err := l.h.desk.Authenticate(ctx, f.key, l.g.Now())
	if err != nil {
		return faults.Filing{}, err
	}
	days := 7
	sign := func(party uuid.UUID) desk.Evidence {
		return desk.Evidence{Party: party.String(), Method: contract.MethodESign, DocumentSHA256: strings.Repeat("ab", 32)}
	}
	share := func(party uuid.UUID) []desk.OneParty {
		return []desk.OneParty{{PartyShare: contract.PartyShare{Party: party.String()}}}
	}
	id := uuid.NewSHA1(uuid.NameSpaceOID, fmt.Append(nil, n)).String()
	contractID, s, receipt, err := l.h.desk.FileOneCall(ctx, desk.Call{ID: id, At: l.g.Now(), Actor: actor, Correlation: id}, desk.OneCall{
		Terms: contract.Terms{
			Kind: contract.KindOut, Unit: f.unit.String(), LetMode: "WHOLE", Use: "RESIDENTIAL", Start: today.AddDays(1), End: today.AddDays(365),
			SignedOn: today, MonthlyRentFen: 350_000, PayCycleMonths: 3, DepositFen: 350_000, DepositReturnDays: &days,
			DeductionGrounds: []string{"DAMAGE"}, Escrow: contract.Escrow{Mode: "VOLUNTARY"},
		},
		Occupants: []desk.NewOccupant{{
			Occupant:  contract.Occupant{DocType: domain.DocCNID, Relation: "SELF"},
			ClearName: "示例", ClearDoc: benchID(f.occupant),
		}},
		Lessors: share(f.owner), Lessees: share(tenant), Evidence: []desk.Evidence{sign(f.owner), sign(tenant)},
	})
	if no, ok := errors.AsType[*domain.Rejection](err); ok {
		return faults.Filing{}, fmt.Errorf("%w: %w", faults.ErrRefused, no)
	}
	return faults.Filing{ID: contractID, Number: s.FilingNo, Position: uint64(receipt.Position)}, err
}

// Check implements faults.Product.
func (l *wholeLife) Check(ctx context.Context, made map[int]faults.Filing, signed map[uint64][32]byte) error {
	if err := l.h.log.Verify(ctx, nil); err != nil {
		return fmt.Errorf("log: %w", err)
	}
	now, _ := l.Signed()
	for size, root := range signed {
		if size > now {
			return fmt.Errorf("LOST: a checkpoint of %d was handed out, now there is one of %d", size, now)
		}
		if got, err := l.r.RootAt(size); err != nil || got != root {
			return fmt.Errorf("CHANGED: the root of %d leaves is another than the one handed out, or %w", size, err)
		}
	}
	if err := l.settled(ctx, made); err != nil {
		return err
	}
	var res verifyResult
	if err := (&verifyCmd{}).verifyRegister(l.g, l.h, &res); err != nil {
		return err
	}
	if err := l.h.verifySeals(l.g, &res.Seals); err != nil {
		return err
	}
	if res.Seals.Opened < len(made) { // Each filing has an occupant.
		return fmt.Errorf("LOST: %d sealed fields open, of %d filings", res.Seals.Opened, len(made))
	}
	ctx, cancel := context.WithTimeout(ctx, wholePatient)
	defer cancel()
	for _, v := range views(l.h.city) {
		if err := l.h.caughtUp(ctx, v.Name()); err != nil {
			return fmt.Errorf("view %s: %w", v.Name(), err)
		}
	}
	return l.h.verifyViews(l.w.on(faults.NewDisk()), &res) // The replay has a disk of its own.
}

// settled waits until the processes have finished what the power loss left, and holds every filing to both of its streams.
func (l *wholeLife) settled(ctx context.Context, made map[int]faults.Filing) error {
	acked := map[string]filed{}
	for n, f := range made {
		if other, twice := acked[f.ID]; twice {
			return fmt.Errorf("CHANGED: filings %s and %d are one contract", other.number, n)
		}
		acked[f.ID] = filed{contract: f.ID, number: f.Number, unit: l.w.flats[n/2].unit.String()}
	}
	for waited := time.Duration(0); ; waited += wholeLook {
		h := newHalves()
		for r, err := range l.h.log.All(ctx, 0) {
			if err != nil {
				return err
			}
			if err := h.add(&r); err != nil {
				return err
			}
		}
		for id, f := range acked {
			if h.filed[id] != f.number {
				return fmt.Errorf("LOST: acknowledged contract %s has number %q, not %q", id, h.filed[id], f.number)
			}
		}
		err := h.whole(acked)
		if err == nil || waited >= wholePatient {
			return err
		}
		time.Sleep(wholeLook)
	}
}
