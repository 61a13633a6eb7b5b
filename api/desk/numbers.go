package desk

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"zujian/domain"
	"zujian/domain/numbering"
	"zujian/eventstore"
)

// Kinds of numbers (domain.md §3.0).
const (
	numberVerification = "HY" // 核验码
	numberFiling       = "BA" // 备案号
)

// How many numbers a node takes at a time: few at first, twice as many each time somebody had to wait for the next block.
// A restart loses at most the rest of two blocks of each series.
const (
	numberBlock    = 32
	numberBlockMax = 1024
)

// blockWait bounds taking a block: it goes on when the request that began it has ended, since others wait for it too.
const blockWait = 10 * time.Second

// allocator hands out serial numbers from blocks taken from the numbering streams: gaps are allowed, twice never.
type allocator struct {
	mu     sync.Mutex
	blocks map[series]*block
}

// series is what is numbered by itself; its name is its numbering stream's id.
type series struct {
	kind, district string
	month          domain.Month
}

func (s series) String() string {
	y, m, _ := s.month.First().Date()
	return fmt.Sprintf("%s-%s-%02d%02d", s.kind, s.district, y%100, int(m))
}

// block is what is left of the blocks of one series. The next one is taken while half of this one is left, so that
// nobody waits for the disk with a number's lock in hand.
type block struct {
	mu         sync.Mutex
	size       int64 // Of the next one to take; numberBlock if 0.
	short      bool  // Somebody waits for it.
	next, end  int64
	spare, top int64         // The block after it, if top is more.
	taking     chan struct{} // Closed when the one being taken is there or has failed; nil if none is.
	failed     error         // Why the last one was not taken.
}

// number takes the next number of a kind in a district and month.
func (d *Desk) number(ctx context.Context, call Call, kind, district string, month domain.Month) (string, error) {
	of := series{kind, district, month}
	d.numbers.mu.Lock()
	b := d.numbers.blocks[of]
	if b == nil {
		b = &block{}
		d.numbers.blocks[of] = b
	}
	d.numbers.mu.Unlock()
	seq, ok := b.ready()
	if !ok {
		var err error
		if seq, err = d.takeNumber(ctx, call, of, b); err != nil {
			return "", err
		}
	}
	no := numbering.Format(kind, district, month, seq)
	if no == "" {
		return "", fmt.Errorf("desk: no number for %s %s %s %d", kind, district, month, seq)
	}
	return no, nil
}

// takeNumber is apart so that who finds a number ready makes nothing for taking a block.
func (d *Desk) takeNumber(ctx context.Context, call Call, of series, b *block) (int64, error) {
	return b.take(ctx, func(size int64) (first, count int64, err error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), blockWait)
		defer cancel()
		return d.takeBlock(ctx, call, of.String(), size)
	})
}

// ready gives the next number if one is there and none are to be taken.
func (b *block) ready() (int64, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.next == b.end || b.low() {
		return 0, false
	}
	b.next++
	return b.next - 1, true
}

// low tells whether the next block is to be taken now; under the lock.
func (b *block) low() bool {
	return b.taking == nil && b.spare == b.top && b.end-b.next <= max(b.size, numberBlock)/2
}

// take gives the next number, and has more taken when they run low.
func (b *block) take(ctx context.Context, more func(size int64) (first, count int64, err error)) (int64, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for waited := false; ; waited = true {
		if b.next == b.end && b.spare < b.top {
			b.next, b.end, b.spare, b.top = b.spare, b.top, 0, 0
		}
		if waited && b.next == b.end && b.taking == nil && b.failed != nil {
			return 0, b.failed
		}
		if b.low() {
			b.taking = make(chan struct{})
			if b.short {
				b.size = min(2*b.size, numberBlockMax)
			}
			b.size, b.short = max(b.size, numberBlock), false
			go b.fill(more, b.size)
		}
		if b.next < b.end {
			b.next++
			return b.next - 1, nil
		}
		b.short = b.end > 0 // At first everybody waits.
		taking := b.taking
		b.mu.Unlock()
		var err error
		select {
		case <-taking:
		case <-ctx.Done():
			err = ctx.Err()
		}
		b.mu.Lock()
		if err != nil {
			return 0, err
		}
	}
}

func (b *block) fill(more func(size int64) (first, count int64, err error), size int64) {
	first, count, err := more(size)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.failed = err; err == nil {
		b.spare, b.top = first, first+count
	}
	close(b.taking)
	b.taking = nil
}

func (d *Desk) takeBlock(ctx context.Context, call Call, series string, size int64) (first, count int64, err error) {
	call.ID, call.IfMatch = d.o.NewID().String(), nil
	call.Actor = domain.Actor{ID: "desk:numbers", Role: domain.RoleSystem}
	receipt, err := exec(ctx, d, call, numbering.Decider, series, numbering.Command(numbering.Issue{Count: size}))
	if err != nil {
		return 0, 0, err
	}
	// Another node may have taken a block after ours: read exactly the event our command wrote.
	for rec, err := range d.o.Runner.Store.Stream(ctx, "numbering-"+series, receipt.Revision) {
		if err != nil {
			return 0, 0, fmt.Errorf("read number block: %w", err)
		}
		e, err := d.o.Runner.Catalogue.Decode(rec.Type, rec.Meta.Schema, rec.Data)
		if err != nil {
			return 0, 0, err
		}
		if issued, ok := e.(numbering.BlockIssued); ok && rec.Meta.Command == call.ID {
			return issued.First, issued.Count, nil
		}
		break
	}
	return 0, 0, errors.Join(errors.New("desk: number block not found after it was issued"), eventstore.ErrWrongRevision)
}
