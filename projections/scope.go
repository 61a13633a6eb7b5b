package projections

import (
	"context"
	"encoding/base64"
	"errors"
	"iter"
	"slices"
	"strings"

	"zujian/domain"
	"zujian/eventstore"
)

// Scope is which rows a reader may see. The zero Scope sees none. One function of the API makes it from the caller.
type Scope struct {
	All      bool       // City regulators, auditors, processes.
	District string     // A district regulator: rows of this six-digit code, a district's or a reporting unit's.
	Party    string     // A landlord, tenant, company or broker: rows it is a party to.
	Today    domain.Day // On which it is a party: what ended before, a mandate or an ownership, shows nothing. Zero is any day.
	Bank     string     // A supervising bank: rows of money it holds.
}

// Place is where a row lies. The reporting unit may be an overlay of streets of several districts.
type Place struct{ District, Unit string }

// Sees is true when a row that lies there, with these parties and this bank, is within the scope.
func (s Scope) Sees(at Place, parties []string, bank string) bool {
	return s.All || (s.District != "" && (s.District == at.District || s.District == at.Unit)) ||
		(s.Party != "" && slices.Contains(parties, s.Party)) || (s.Bank != "" && s.Bank == bank)
}

// Made says how an answer was made: which view, and which events of the log it knew.
type Made struct {
	View     string              `json:"view"`
	Version  int                 `json:"version"`
	Position eventstore.Position `json:"position"`
}

// MadeBy is the Made of an answer of p read from r.
func MadeBy(p Projection, r Reader) Made {
	return Made{View: p.Name(), Version: p.Version(), Position: r.Position()}
}

// Trail is where a row comes from: read its stream up to Last to see every event behind it.
type Trail struct {
	Stream string              `json:"stream"`
	Events int                 `json:"events"` // Applied.
	First  eventstore.Position `json:"first"`
	Last   eventstore.Position `json:"last"`
}

// Add counts one more event.
func (t Trail) Add(e Event) Trail {
	if t.Events == 0 {
		t.Stream, t.First = e.Stream, e.Position
	}
	t.Events, t.Last = t.Events+1, e.Position
	return t
}

// ID is the second part of a stream name: "contract-<id>".
func ID(stream string) string {
	_, id, _ := strings.Cut(stream, "-")
	return id
}

// LimitMax is the longest page; LimitDefault that of a Page without one.
const (
	LimitMax     = 200
	LimitDefault = 50
	scanMax      = 5000 // Rows looked at for one page: a page out of scope ends early with a cursor, it never scans a view.
)

// ErrCursor means a cursor that this list did not give.
var ErrCursor = errors.New("projections: bad cursor")

// Page asks for one page of a list.
type Page struct {
	Limit  int    // 0 = LimitDefault, above LimitMax = LimitMax.
	Cursor string // Opaque; "" = from the start.
}

// List reads one page of the keys under a prefix, in key order or reversed. row turns a pair into a row, and false
// leaves it out. next is "" at the end; a page may be short or empty and still have a next one.
func List[T any](ctx context.Context, r Reader, prefix []string, reverse bool, p Page, row func(Pair) (T, bool, error)) (rows []T, next string, err error) {
	return ListBetween(ctx, r, [][]string{prefix}, "", "", reverse, p, row)
}

// ListBetween is List over the keys under several prefixes, in order of what follows these, which no two have alike: of
// those where it is at least first and below before; "" is no bound. What begins with a day is so cut by days.
func ListBetween[T any](
	ctx context.Context, r Reader, prefixes [][]string, first, before string, reverse bool, p Page, row func(Pair) (T, bool, error),
) (rows []T, next string, err error) {
	limit := p.Limit
	if limit <= 0 {
		limit = LimitDefault
	}
	limit = min(limit, LimitMax)
	if p.Cursor != "" {
		tail, err := base64.RawURLEncoding.DecodeString(p.Cursor)
		if err != nil || len(tail) == 0 || len(tail) > 1024 {
			return nil, "", ErrCursor
		}
		switch at := Key(strings.Split(string(tail), keySeparator)...); {
		case !reverse:
			first = max(first, at+"\x00")
		case before == "" || at < before:
			before = at
		}
		if before != "" && first >= before {
			return nil, "", nil
		}
	}
	seen, last := 0, ""
	for at, err := range scanUnder(ctx, r, prefixes, first, before, reverse) {
		if err != nil {
			return nil, "", err
		}
		if len(rows) == limit || seen == scanMax {
			return rows, base64.RawURLEncoding.EncodeToString([]byte(KeyText(last))), nil
		}
		seen, last = seen+1, at.tail()
		t, keep, err := row(at.pair)
		if err != nil {
			return nil, "", err
		}
		if keep {
			rows = append(rows, t)
		}
	}
	return rows, "", nil
}

// under is where a scan of the keys under a prefix stands.
type under struct {
	prefix string
	pair   Pair
	next   func() (Pair, error, bool)
}

// tail is what follows the prefix.
func (u *under) tail() string { return u.pair.Key[len(u.prefix):] }

// scanUnder scans the keys under several prefixes, in order of their tails from one up to another.
func scanUnder(ctx context.Context, r Reader, prefixes [][]string, from, to string, reverse bool) iter.Seq2[*under, error] {
	return func(yield func(*under, error) bool) {
		var all []*under
		for _, parts := range prefixes {
			u, end := &under{prefix: Prefix(parts...)}, PrefixEnd(parts...)
			if to != "" {
				end = u.prefix + to
			}
			next, stop := iter.Pull2(r.Scan(ctx, u.prefix+from, end, reverse))
			defer stop()
			u.next = next
			all = append(all, u)
		}
		advance := func(i int) error {
			p, err, ok := all[i].next()
			if all[i].pair = p; !ok {
				all = slices.Delete(all, i, i+1)
			}
			return err
		}
		for i := len(all) - 1; i >= 0; i-- {
			if err := advance(i); err != nil {
				yield(nil, err)
				return
			}
		}
		for len(all) > 0 {
			at := 0
			for i, u := range all {
				if order := strings.Compare(u.tail(), all[at].tail()); order < 0 && !reverse || order > 0 && reverse {
					at = i
				}
			}
			if !yield(all[at], nil) {
				return
			}
			if err := advance(at); err != nil {
				yield(nil, err)
				return
			}
		}
	}
}
