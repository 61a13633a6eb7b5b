package soak

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"zujian/eventstore/embedded"
	"zujian/eventstore/faults"
)

// Config is a run of rounds. Round n has the seed Seed+n, so any round can be run again alone.
type Config struct {
	Bin, Dir string // The program, and a folder to work in.
	Seed     uint64
	Rounds   int           // Ends after so many; 0 is by time.
	For      time.Duration // No round begins later.
	Crashes  int           // Power losses and kills on the simulated disk, in a round: of the log, and as many of the keys.
	Calls    int           // Of the history, in a round.
	// Whole has log, keys, register and views of one house lose power together; see faults.Products.
	Whole func(ctx context.Context, seed uint64, crashes int, each func(crashes, verified int)) (faults.ProductsTally, error)
	// Progress is told how far a part of a round has come.
	Progress func(part string, done, total int)
	Now      func() time.Time
}

// Report is what a run did and found.
type Report struct {
	Seed    uint64        `json:"seed"`
	Rounds  int           `json:"rounds"`
	Seeds   []uint64      `json:"seeds"`
	Took    time.Duration `json:"took_ns"`
	Failure string        `json:"failure,omitempty"` // "" if nothing was found.

	Crashes          int            `json:"crash_iterations"`
	CrashesPerMinute float64        `json:"crash_iterations_per_minute"`
	Verified         int            `json:"acknowledged_appends_verified"`
	Repeated         int            `json:"unanswered_appends_sent_again"`
	Faults           map[string]int `json:"faults_by_kind"`
	KeyCrashes       int            `json:"key_crash_iterations"`
	KeysVerified     int            `json:"keys_and_erasures_verified"`
	SigningCrashes   int            `json:"signing_crash_iterations"`
	// CheckpointsVerified are checkpoints handed out before a power loss and held to their roots and tiles after it.
	CheckpointsVerified int `json:"checkpoints_verified"`
	WholeCrashes        int `json:"whole_crash_iterations"` // Of log, keys, register and views together,
	FilingsVerified     int `json:"filings_verified"`       // and acknowledged filings looked for after them.

	Histories    int     `json:"histories_checked"`
	Calls        int     `json:"history_calls"`
	Lost         int     `json:"lost_answers"`
	Folders      int     `json:"folders_verified"`
	LossPerCrash float64 `json:"loss_per_crash_below"` // 3/n: the 95 % bound for 0 losses in n.

	crashing time.Duration
}

// sweepEvery is how many rounds come between two sweeps of disk errors: where a process would end, the sweep leaves what
// it had open in memory, a megabyte or so at each of some thirty points.
const sweepEvery = 8

// Run runs rounds until the time is up or something is found. What was found is in the report and in the error.
func Run(ctx context.Context, c Config) (Report, error) {
	r := Report{Seed: c.Seed, Faults: map[string]int{}}
	began := c.Now()
	var err error
	for n := 0; err == nil && ctx.Err() == nil; n++ {
		if c.Rounds > 0 && n == c.Rounds || c.Rounds == 0 && n > 0 && c.Now().Sub(began) >= c.For {
			break
		}
		seed := c.Seed + uint64(n)
		r.Seeds = append(r.Seeds, seed)
		if err = r.round(ctx, c, seed); err == nil {
			r.Rounds++
		}
	}
	r.Took = c.Now().Sub(began)
	if r.crashing > 0 {
		r.CrashesPerMinute = float64(r.Crashes) / r.crashing.Minutes()
	}
	if err = errors.Join(err, ctx.Err()); err != nil {
		r.Failure = err.Error()
	} else if r.Crashes > 0 {
		r.LossPerCrash = 3 / float64(r.Crashes)
	}
	return r, err
}

func (r *Report) round(ctx context.Context, c Config, seed uint64) error {
	began := c.Now()
	power, err := faults.PowerLoss(ctx, faults.PowerConfig{
		Seed: seed, Crashes: c.Crashes, Derived: "log/index", Open: func(fs faults.FS) (faults.Log, error) { return embedded.Open(small(fs, c.Now)) },
		Each: func(n, _ int) { c.Progress("power loss", n, c.Crashes) },
	})
	r.crashing += c.Now().Sub(began)
	r.Crashes += power.Crashes
	r.Verified += power.Verified
	r.Repeated += power.Repeated
	r.count("power", power.At)
	if err != nil {
		return fmt.Errorf("seed %d: power loss: %w", seed, err)
	}
	if err := r.losses(ctx, c, seed); err != nil {
		return err
	}
	if seed != r.Seed && seed%sweepEvery != 0 {
		return r.history(ctx, c, seed)
	}
	errs, err := faults.Errors(ctx, faults.ErrorsConfig{
		Seed: seed, Derived: "log/index", Open: func(fs faults.FS, fatal func(error)) (faults.Log, error) {
			o := small(fs, c.Now)
			o.Fatal = fatal
			return embedded.Open(o)
		},
	})
	for kind, n := range errs.Points {
		r.Faults["error: "+kind] += n
	}
	if err != nil {
		return fmt.Errorf("seed %d: disk errors: %w", seed, err)
	}
	return r.history(ctx, c, seed)
}

// small is a log that rolls often and keeps almost nothing in memory.
func small(fs faults.FS, now func() time.Time) embedded.Options {
	return embedded.Options{Dir: "log", FS: fs, SegmentBytes: 16 << 10, Heads: 8, QueueAge: 24 * time.Hour, Now: now}
}

// history runs one history against a real server, then verifies its folder from outside.
func (r *Report) history(ctx context.Context, c Config, seed uint64) error {
	data := filepath.Join(c.Dir, fmt.Sprintf("seed-%d", seed))
	_, h, err := Histories(ctx, HistoryConfig{
		Bin: c.Bin, Data: data, Seed: seed, Calls: c.Calls, Kills: max(c.Calls/3500, 1), Stalls: c.Calls / 10_000,
		Progress: func(n int) { c.Progress("history", n, c.Calls) },
	})
	r.Calls += h.Calls
	r.Lost += h.Lost
	r.Faults["process: SIGKILL"] += h.Kills
	r.Faults["process: SIGSTOP"] += h.Stalls
	if err != nil {
		return fmt.Errorf("seed %d: history (its folder is kept in %s): %w", seed, data, err)
	}
	r.Histories++
	out, err := exec.CommandContext(ctx, c.Bin, "verify", "--data", data, "--json").CombinedOutput()
	var said struct {
		OK bool `json:"ok"`
	}
	if err != nil || json.Unmarshal(out, &said) == nil && !said.OK {
		return fmt.Errorf("seed %d: verify (its folder is kept in %s): %w\n%s", seed, data, err, out)
	}
	r.Folders++
	return os.RemoveAll(data)
}
