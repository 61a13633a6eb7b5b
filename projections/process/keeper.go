package process

import (
	"context"
	"errors"
	"sync"
	"time"

	"zujian/eventstore"
)

// Keeper is a Runner of many: processes shared by several operating-system processes, of which one runs them at a time
// and the others stand by. Set the fields, then call Run once.
type Keeper struct {
	Runner func() *Runner // A fresh one each time it is this process's turn.
	// Alone calls f once this process alone may run them, with a context that ends when it may no longer. It only
	// spares work: what is sent twice is recognised by its target, and views are fenced.
	Alone func(ctx context.Context, f func(context.Context) error) error

	mu      sync.Mutex
	running *Runner
}

const keeperPause = 200 * time.Millisecond // Between two turns.

// Run runs the processes whenever it is this process's turn, until ctx ends; then it returns nil. It returns an error
// early only when the log is closed. Being fenced means to begin again from where the views are.
func (k *Keeper) Run(ctx context.Context, list []Process) error {
	for ctx.Err() == nil {
		err := k.Alone(ctx, func(ctx context.Context) error {
			r := k.Runner()
			r.Shared = true
			k.set(r)
			defer k.set(nil)
			return r.Run(ctx, list)
		})
		if errors.Is(err, eventstore.ErrClosed) {
			return err
		}
		timer := time.NewTimer(keeperPause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
		}
	}
	return nil
}

func (k *Keeper) set(r *Runner) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.running = r
}

// Status of every process while they run here; none while another runs them.
func (k *Keeper) Status() []Status {
	k.mu.Lock()
	r := k.running
	k.mu.Unlock()
	if r == nil {
		return nil
	}
	return r.Status()
}
