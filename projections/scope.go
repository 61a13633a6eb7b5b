package projections

import (
	"context"
	"encoding/base64"
	"errors"
	"slices"
	"strings"

	"zujian/eventstore"
)

// Scope is which rows a reader may see. The zero Scope sees none. One function of the API makes it from the caller.
type Scope struct {
	All      bool   // City regulators, auditors, processes.
	District string // A district regulator: rows of this six-digit code.
	Party    string // A landlord, tenant, company or broker: rows it is a party to.
	Bank     string // A supervising bank: rows of money it holds.
}

// Sees is true when a row of a district, with these parties and this bank, is within the scope.
func (s Scope) Sees(district string, parties []string, bank string) bool {
	return s.All || (s.District != "" && s.District == district) || (s.Party != "" && slices.Contains(parties, s.Party)) ||
		(s.Bank != "" && s.Bank == bank)
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
	return ListBetween(ctx, r, prefix, "", "", reverse, p, row)
}

// ListBetween is List over the keys whose part after the prefix is at least first and below before; "" is no bound. A
// part that begins with a day is so cut by days.
func ListBetween[T any](
	ctx context.Context, r Reader, prefix []string, first, before string, reverse bool, p Page, row func(Pair) (T, bool, error),
) (rows []T, next string, err error) {
	limit := p.Limit
	if limit <= 0 {
		limit = LimitDefault
	}
	limit = min(limit, LimitMax)
	from, to := Prefix(prefix...)+first, PrefixEnd(prefix...)
	if before != "" {
		to = Prefix(prefix...) + before
	}
	if p.Cursor != "" {
		tail, err := base64.RawURLEncoding.DecodeString(p.Cursor)
		if err != nil || len(tail) == 0 || len(tail) > 1024 {
			return nil, "", ErrCursor
		}
		if at := Prefix(prefix...) + Key(strings.Split(string(tail), keySeparator)...); reverse {
			to = min(to, at)
		} else {
			from = max(from, at+"\x00")
		}
		if from >= to {
			return nil, "", nil
		}
	}
	seen, last := 0, ""
	for pair, err := range r.Scan(ctx, from, to, reverse) {
		if err != nil {
			return nil, "", err
		}
		if len(rows) == limit || seen == scanMax {
			return rows, base64.RawURLEncoding.EncodeToString([]byte(KeyText(last[len(Prefix(prefix...)):]))), nil
		}
		seen, last = seen+1, pair.Key
		t, keep, err := row(pair)
		if err != nil {
			return nil, "", err
		}
		if keep {
			rows = append(rows, t)
		}
	}
	return rows, "", nil
}
