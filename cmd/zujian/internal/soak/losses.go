package soak

import (
	"context"
	"fmt"
	"time"

	"zujian/eventstore/embedded"
	"zujian/eventstore/faults"
	"zujian/eventstore/register"
	"zujian/eventstore/seal"
)

// signingShare is the part of a round's losses that hit the register: one takes as long as ten of the log's.
const signingShare = 10

// wholeShare is the part of losses that hit everything together, after each of which all of a house is looked at.
const wholeShare = 20

// losses has keys and checkpoints lose power as the log does, then everything together.
func (r *Report) losses(ctx context.Context, c Config, seed uint64) error {
	keys, err := faults.Keys(ctx, faults.KeysConfig{
		Seed: seed, Crashes: c.Crashes, Erased: seal.ErrErased,
		Open: func(fs faults.FS) (faults.Vault, error) { return seal.Open("", seal.Options{FS: fs, Now: c.Now}) },
		Each: func(n, _ int) { c.Progress("keys", n, c.Crashes) },
	})
	r.KeyCrashes += keys.Crashes
	r.KeysVerified += keys.Verified
	r.count("keys", keys.At)
	if err != nil {
		return fmt.Errorf("seed %d: keys: %w", seed, err)
	}
	crashes := max(c.Crashes/signingShare, 1)
	signed, err := faults.Checkpoints(ctx, faults.CheckpointsConfig{
		Seed: seed, Crashes: crashes, Dir: "register", Kept: "checkpoint",
		Log: func(fs faults.FS) (faults.Log, error) { return embedded.Open(small(fs, c.Now)) },
		Open: func(fs faults.FS, log faults.Log, now func() time.Time) (faults.Signer, error) {
			return register.Open(ctx, signing(fs, log, now))
		},
		Signed: func(s faults.Signer) (uint64, [32]byte) {
			p := s.(*register.Register).Checkpoint()
			return p.Size, p.Root
		},
		Verify: func(ctx context.Context, fs faults.FS, log faults.Log) error {
			_, err := register.Verify(ctx, signing(fs, log, c.Now), nil)
			return err
		},
		Each: func(n, _ int) { c.Progress("checkpoints", n, crashes) },
	})
	r.SigningCrashes += signed.Crashes
	r.CheckpointsVerified += signed.Verified
	r.count("checkpoints", signed.At)
	if err != nil {
		return fmt.Errorf("seed %d: checkpoints: %w", seed, err)
	}
	return r.whole(ctx, c, seed, max(c.Crashes/wholeShare, 1))
}

// count adds the power losses of one kind by their places.
func (r *Report) count(kind string, at map[string]int) {
	for place, n := range at {
		r.Faults[kind+": "+place] += n
	}
}

// whole has all of a house lose power at once.
func (r *Report) whole(ctx context.Context, c Config, seed uint64, crashes int) error {
	whole, err := c.Whole(ctx, seed, crashes, func(n, _ int) { c.Progress("everything", n, crashes) })
	r.WholeCrashes += whole.Crashes
	r.FilingsVerified += whole.Verified
	r.CheckpointsVerified += whole.Signed
	r.count("everything", whole.At)
	if err != nil {
		return fmt.Errorf("seed %d: everything: %w", seed, err)
	}
	return nil
}

func signing(fs faults.FS, log faults.Log, now func() time.Time) register.Options {
	return register.Options{
		FS: fs, Dir: "register", Log: log.(register.Log), Origin: "soak.example/zujian", Now: now,
		Keys: register.Keys{Log: [32]byte{1}, Ed25519: [32]byte{2}, SM2: [32]byte{3}},
	}
}
