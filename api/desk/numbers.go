package desk

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"zujian/domain"
	"zujian/domain/numbering"
	"zujian/eventstore"
)

// Kinds of numbers (domain.md §3.0).
const (
	numberVerification = "HY" // 核验码
	numberFiling       = "BA" // 备案号
)

// numberBlock is how many numbers a node takes at a time. A restart loses at most the rest of a block of each series.
const numberBlock = 32

// allocator hands out serial numbers from blocks taken from the numbering streams: gaps are allowed, twice never.
type allocator struct {
	mu     sync.Mutex
	blocks map[string]*block
}

type block struct {
	mu        sync.Mutex
	next, end int64
}

// number takes the next number of a kind in a district and month.
func (d *Desk) number(ctx context.Context, call Call, kind, district string, month domain.Month) (string, error) {
	y, m, _ := month.First().Date()
	series := fmt.Sprintf("%s-%s-%02d%02d", kind, district, y%100, int(m))
	d.numbers.mu.Lock()
	b := d.numbers.blocks[series]
	if b == nil {
		b = &block{}
		d.numbers.blocks[series] = b
	}
	d.numbers.mu.Unlock()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.next == b.end {
		first, count, err := d.takeBlock(ctx, call, series)
		if err != nil {
			return "", err
		}
		b.next, b.end = first, first+count
	}
	seq := b.next
	b.next++
	no := numbering.Format(kind, district, month, seq)
	if no == "" {
		return "", fmt.Errorf("desk: no number for %s %s %s %d", kind, district, month, seq)
	}
	return no, nil
}

func (d *Desk) takeBlock(ctx context.Context, call Call, series string) (first, count int64, err error) {
	call.ID, call.IfMatch = d.o.NewID().String(), nil
	call.Actor = domain.Actor{ID: "desk:numbers", Role: domain.RoleSystem}
	receipt, err := exec(ctx, d, call, numbering.Decider, series, numbering.Command(numbering.Issue{Count: numberBlock}))
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
