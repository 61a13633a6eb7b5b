package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"zujian/cmd/zujian/internal/soak"
	"zujian/eventstore/faults"
)

// soakCmd breaks the product for as long as asked: power loss and disk errors under log, keys, register and views, a killed and stalled server
// under load, histories and folders checked. It works in a folder of its own and leaves the data folder alone.
type soakCmd struct {
	Seed    uint64  `help:"Where the schedule of faults begins; each round adds one." default:"1"`
	Minutes float64 `help:"No round begins later than this." default:"5"`
	Rounds  int     `help:"End after so many rounds instead; 1 runs the round of a seed again."`
	Crashes int     `help:"Power losses and kills on the simulated disk in a round." default:"3000"`
	Calls   int     `help:"Calls over HTTP in a round." default:"21500"`
}

const callsMin = 2000 // Fewer would end before the first kill.

// Run implements the command.
func (c *soakCmd) Run(g *globals) error {
	if c.Minutes < 0 || c.Rounds < 0 || c.Crashes < 1 || c.Calls < callsMin {
		return fmt.Errorf("%w: --minutes and --rounds are not negative, --crashes is at least 1, --calls at least %d", errUsage, callsMin)
	}
	bin, err := os.Executable()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "zujian-soak")
	if err != nil {
		return err
	}
	var bar *progress
	var part string
	r, err := soak.Run(g.Ctx, soak.Config{
		Bin: bin, Dir: dir, Seed: c.Seed, Rounds: c.Rounds, For: time.Duration(c.Minutes * float64(time.Minute)),
		Crashes: c.Crashes, Calls: c.Calls, Now: g.Now, Whole: func(ctx context.Context, seed uint64, crashes int, each func(int, int)) (faults.ProductsTally, error) {
			return wholeLosses(ctx, g, seed, crashes, openOptions{}, each)
		},
		Progress: func(name string, done, total int) {
			if bar == nil || part != name || done < int(bar.done) {
				if bar != nil {
					bar.end()
				}
				bar, part = newProgress(g.Stderr, name, int64(total)), name
			}
			bar.set(int64(done), int64(total))
		},
	})
	if bar != nil {
		bar.end()
	}
	if err == nil {
		err = os.RemoveAll(dir)
	}
	if g.JSON {
		return errors.Join(json.NewEncoder(g.Stdout).Encode(r), err)
	}
	g.soaked(r)
	return err
}

func (g *globals) soaked(r soak.Report) {
	fmt.Fprintf(g.Stdout, "%d rounds in %v, seeds %s\n", r.Rounds, r.Took.Round(time.Second), strings.Trim(fmt.Sprint(r.Seeds), "[]"))
	fmt.Fprintf(g.Stdout, "%d crash iterations (%.0f a minute), %d acknowledged appends verified, %d unanswered ones sent again\n",
		r.Crashes, r.CrashesPerMinute, r.Verified, r.Repeated)
	fmt.Fprintf(g.Stdout, "%d crash iterations of keys, %d keys and erasures verified; %d of the register, %d checkpoints verified\n",
		r.KeyCrashes, r.KeysVerified, r.SigningCrashes, r.CheckpointsVerified)
	fmt.Fprintf(g.Stdout, "%d crash iterations of log, keys, register and views together, %d acknowledged filings verified\n", r.WholeCrashes, r.FilingsVerified)
	fmt.Fprintf(g.Stdout, "%d histories of %d calls checked (%d answers lost), %d folders verified\n", r.Histories, r.Calls, r.Lost, r.Folders)
	for _, kind := range slices.Sorted(maps.Keys(r.Faults)) {
		fmt.Fprintf(g.Stdout, "  %6d  %s\n", r.Faults[kind], kind)
	}
	if r.Failure == "" {
		fmt.Fprintf(g.Stdout, "0 lost of %d: with 95 %% confidence fewer than %.4f %% of crashes lose anything\n", r.Crashes, 100*r.LossPerCrash)
	}
}
