package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"zujian/cmd/zujian/internal/demo"
	"zujian/domain"
)

const (
	demoKeysFile  = "demo-keys.json"
	demoHomesMax  = 1_000_000
	demoMonthsMax = 120
	demoWorked    = 10 * time.Hour // After midnight the commands of a day have been given; the first comes at nine.
	demoLoading   = "demo-loading" // There while a load is under way: a folder that has it is thrown away and loaded anew.
)

// loadDemo makes the demo city in an empty folder. A folder that holds a register already is left as it is.
func loadDemo(g *globals, homes, months int, seed uint64) error {
	if homes < 1 || homes > demoHomesMax || months < 1 || months > demoMonthsMax {
		return fmt.Errorf("%w: --homes is 1 to %d and --months 1 to %d", errUsage, demoHomesMax, demoMonthsMax)
	}
	marker := filepath.Join(g.Data, demoLoading)
	if _, err := os.Stat(marker); err == nil { // A load was cut off: nothing in here was ever served.
		for _, part := range []string{"log", "views", "keys", demoKeysFile} {
			if err := os.RemoveAll(filepath.Join(g.Data, part)); err != nil {
				return fmt.Errorf("clear a load that was cut off: %w", err)
			}
		}
	} else if _, err := os.Stat(filepath.Join(g.Data, "log")); err == nil {
		return nil
	}
	if err := os.MkdirAll(g.Data, 0o750); err != nil {
		return err
	}
	if err := os.WriteFile(marker, nil, 0o600); err != nil {
		return err
	}
	var bar *progress
	h, keys, err := makeCity(g, homes, months, seed, func(done, total int) {
		if bar == nil {
			bar = newProgress(g.Stderr, "demo city", int64(total))
		}
		bar.set(int64(done), int64(total))
	})
	if bar != nil {
		bar.end()
	}
	if err == nil {
		err = h.Close()
	}
	if err != nil {
		return err
	}
	if err := writeSecret(filepath.Join(g.Data, demoKeysFile), keys); err != nil {
		return err
	}
	return os.Remove(marker)
}

// makeCity makes a demo city in an empty folder and gives the house, open and durable: its clock stands where the city's
// history ends. step may be nil.
func makeCity(g *globals, homes, months int, seed uint64, step func(done, total int)) (_ *house, keys map[string]demo.Key, err error) {
	var simulated atomic.Int64
	h, err := openHouse(g, openOptions{deferSync: true, now: func() time.Time { return time.UnixMicro(simulated.Load()).UTC() }})
	if err != nil {
		return nil, nil, err
	}
	views := h.keepViews(g.Ctx) // Beside the load, on the other core.
	keys, _, err = demo.Build(g.Ctx, demo.Options{
		Homes: homes, Months: months, Seed: seed, Today: demoToday(g.Now()), City: &h.city.City, Desk: h.desk, Log: g.Log,
		Clock: func(t time.Time) { simulated.Store(t.UnixMicro()) },
		Views: func() error { return views.caughtUp(g.Ctx) },
		Watch: func(at time.Time, id string) error { return h.watchDay(g.Ctx, at, id) },
		Step:  step,
	})
	if err == nil {
		call := operator(g)
		call.ID = "demo plan" // The same city has the same events.
		err = h.loadPlan(g.Ctx, call)
	}
	if err == nil {
		err = errors.Join(h.vault.Sync(), h.log.Sync())
	}
	if err == nil {
		err = views.caughtUp(g.Ctx)
	}
	if err = errors.Join(err, views.stop()); err != nil {
		return nil, nil, errors.Join(fmt.Errorf("make a city: %w", err), h.Close())
	}
	return h, keys, nil
}

// demoToday is the last day whose morning, when the demo city's offices work, is over: nothing is recorded ahead of the clock.
func demoToday(now time.Time) domain.Day { return domain.DayOf(now.Add(-demoWorked)) }

// isDemo tells a folder that holds a demo city from a register.
func isDemo(data string) bool {
	_, err := os.Stat(filepath.Join(data, demoKeysFile))
	return err == nil
}
