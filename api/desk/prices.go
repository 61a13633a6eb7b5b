package desk

import (
	"context"
	"sync"

	"zujian/domain"
	"zujian/domain/guidance"
	"zujian/domain/listing"
)

// priceBook finds the guidance prices that count on a day; nil when there are none.
type priceBook func(ctx context.Context, on domain.Day) (*book, error)

// book is a published version, indexed.
type book struct {
	reference string
	version   int
	cells     guidance.Book
}

// books keeps the version looked into last: its cells never change.
type books struct {
	mu   sync.Mutex
	last *book
}

func (b *books) of(period string, v guidance.Version) *book {
	reference := guidance.Reference(guidance.ID(period), v.Version)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.last == nil || b.last.reference != reference {
		b.last = &book{reference, v.Version, v.Book()}
	}
	return b.last
}

// bookInForce are the published prices in force on a day.
func (d *Desk) bookInForce(ctx context.Context, on domain.Day) (*book, error) {
	period, v, ok, err := d.GuidanceInForce(ctx, on)
	if err != nil || !ok {
		return nil, err
	}
	return d.books.of(period, v), nil
}

// listingPrice is what counts for the space of an offer (L-09); nil for nothing.
func (d *Desk) listingPrice(ctx context.Context, o listing.Offer, u listing.UnitFacts, fitout string, on domain.Day, in priceBook) (*listing.GuidanceFacts, error) {
	b, err := in(ctx, on)
	if err != nil || b == nil {
		return nil, err
	}
	area := u.GrossAreaC
	if len(o.Rooms) > 0 {
		area = 0
		for _, r := range u.Rooms {
			if contains(o.Rooms, r.ID) {
				area += r.UsableAreaC
			}
		}
	}
	let := guidance.CellID{LetMode: o.LetMode, SizeBand: domain.Home{AreaC: area}.Bands().Size, Fitout: fitout}
	cell, ok := b.cells.Price(u.Street, u.ReportUnit, let)
	if !ok {
		return nil, nil
	}
	return &listing.GuidanceFacts{Version: b.version, MedianFen: cell.Median, P25Fen: cell.P25, P75Fen: cell.P75}, nil
}
