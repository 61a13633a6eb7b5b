package guidance

import (
	"context"
	"iter"

	"zujian/domain"
	"zujian/projections"
)

// Rents are the rents of new lettings signed in a month, in order of contract.
func Rents(ctx context.Context, r projections.Reader, m domain.Month) iter.Seq2[Rent, error] {
	return func(yield func(Rent, error) bool) {
		for pair, err := range r.Scan(ctx, projections.Prefix(keyRent, m.String()), projections.PrefixEnd(keyRent, m.String()), false) {
			var rent Rent
			if err == nil {
				rent, err = projections.Get[Rent](ctx, r, pair.Key)
			}
			if !yield(rent, err) || err != nil {
				return
			}
		}
	}
}
