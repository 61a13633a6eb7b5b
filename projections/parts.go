package projections

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"

	"zujian/eventstore"
)

// Parted is a projection that can be kept in several parts, each a view of its own with its own checkpoint, when one core
// no longer keeps up with the whole.
type Parted interface {
	Projection
	// Part is one of the parts, from 0. Its name MUST be PartName of the whole's.
	Part(index, of int) Projection
	// Merge is the whole's row at key, given those of the parts that have one, in order of parts. Merged rows MUST be, byte
	// for byte, those that one view of all would hold at the same position.
	Merge(key string, values [][]byte) ([]byte, error)
}

// PartsMax is the most parts a view may have.
const PartsMax = 16

// PartName names a part's keyspace: "rentindex-2of4" is the second of four. One part is the whole.
func PartName(name string, index, of int) string {
	if of < 2 {
		return name
	}
	return fmt.Sprintf("%s-%dof%d", name, index+1, of)
}

// PartsOf are the parts of a projection, or itself alone if it is kept whole.
func PartsOf(p Projection, of int) []Projection {
	parted, can := p.(Parted)
	if !can || of < 2 {
		return []Projection{p}
	}
	out := make([]Projection, of)
	for i := range out {
		out[i] = parted.Part(i, of)
	}
	return out
}

// partsSuffix makes the name under which a view store remembers in how many parts readers see a view: as its version.
const partsSuffix = "-parts"

// Joined shows readers views in parts as if each were one. What it does not say is that of the Views below.
//
// # Decisions
//
// In how many parts a view is read stands in the view store itself, as the active version of "<name>-parts"; none is 1. So
// readers need not be told, all of them change over at once, and another number is built beside the one in use.
//
// Parts move on by themselves: a snapshot stands where its last part stands, and others may be ahead. A reader gets one of a
// single position if there is one within a moment; [OfOnePosition] refuses any other, for whoever must know.
type Joined struct {
	Views
	parted map[string]Parted
}

// Join shows the views of a list; those that are not Parted are as they are.
func Join(v Views, list []Projection) *Joined {
	j := &Joined{Views: v, parted: map[string]Parted{}}
	for _, p := range list {
		if x, ok := p.(Parted); ok {
			j.parted[p.Name()] = x
		}
	}
	return j
}

const (
	joinTries = 5                    // To find all parts at one position, …
	joinPause = 5 * time.Millisecond // … with this between them.
)

// Read implements Views.
func (j *Joined) Read(ctx context.Context, name string, f func(Reader) error) error {
	p := j.parted[name]
	if p == nil {
		return j.Views.Read(ctx, name, f)
	}
	of, err := ReadParts(ctx, j.Views, name)
	if err != nil {
		return err
	}
	if of < 2 {
		return j.Views.Read(ctx, name, f)
	}
	for tries := 1; ; tries++ {
		again := false
		err := j.open(ctx, p, of, nil, func(r *joinedReader) error {
			if again = r.mixed() && tries < joinTries; again {
				return nil
			}
			return f(r)
		})
		if !again || err != nil {
			return err
		}
		if err := idle(ctx, joinPause); err != nil {
			return err
		}
	}
}

// open opens the parts after those there are, one within the other.
func (j *Joined) open(ctx context.Context, p Parted, of int, parts []Reader, f func(*joinedReader) error) error {
	if len(parts) == of {
		return f(&joinedReader{parts: parts, merge: p.Merge})
	}
	return j.Views.Read(ctx, PartName(p.Name(), len(parts), of), func(r Reader) error {
		return j.open(ctx, p, of, append(parts, r), f)
	})
}

// Position is where readers of a view stand. It doesn't wait for parts to meet.
func (j *Joined) Position(ctx context.Context, name string) (at eventstore.Position, err error) {
	p, of := j.parted[name], 1
	if p != nil {
		if of, err = ReadParts(ctx, j.Views, name); err != nil {
			return 0, err
		}
	}
	return j.partsAt(ctx, name, of)
}

// partsAt is where the last of some parts stands, whether readers see them or not.
func (j *Joined) partsAt(ctx context.Context, name string, of int) (at eventstore.Position, err error) {
	for i := range of {
		err := j.Views.Read(ctx, PartName(name, i, of), func(r Reader) error {
			if i == 0 || r.Position() < at {
				at = r.Position()
			}
			return nil
		})
		if err != nil {
			return 0, err
		}
	}
	return at, nil
}

// ReadParts is in how many parts readers see a view.
func ReadParts(ctx context.Context, v Views, name string) (int, error) {
	of, err := v.Active(ctx, name+partsSuffix)
	return max(of, 1), err
}

// SetParts moves readers to that many parts.
func SetParts(ctx context.Context, v Views, name string, of int) error {
	return v.Activate(ctx, name+partsSuffix, of)
}

// Retire forgets a view whole: nobody reads it any more.
func Retire(ctx context.Context, v Views, name string) error {
	active, err := v.Active(ctx, name)
	if err != nil || active == 0 || active == retired {
		return err
	}
	return errors.Join(v.Activate(ctx, name, retired), v.Drop(ctx, name, active))
}

// retired is a version no view has: it lets the one in use be dropped.
const retired = 2*VersionMax - 1

// ErrMixed means that the parts of a view stood at different positions; try again. It is an ErrBehind.
var ErrMixed = fmt.Errorf("%w: its parts stand at different positions", ErrBehind)

// OfOnePosition refuses a snapshot that is not of one position.
func OfOnePosition(r Reader) error {
	if j, ok := r.(*joinedReader); ok && j.mixed() {
		return ErrMixed
	}
	return nil
}

// joinedReader is the parts of a view as one.
type joinedReader struct {
	parts []Reader
	merge func(key string, values [][]byte) ([]byte, error)
}

func (r *joinedReader) mixed() bool {
	for _, p := range r.parts {
		if p.Position() != r.parts[0].Position() {
			return true
		}
	}
	return false
}

// Position is the least of the parts': every event up to it is in all of them.
func (r *joinedReader) Position() eventstore.Position {
	at := r.parts[0].Position()
	for _, p := range r.parts {
		at = min(at, p.Position())
	}
	return at
}

func (r *joinedReader) row(key string, values [][]byte) ([]byte, error) {
	if len(values) == 1 {
		return values[0], nil
	}
	return r.merge(key, values)
}

// Get implements Reader.
func (r *joinedReader) Get(ctx context.Context, key string) ([]byte, bool, error) {
	var values [][]byte
	for _, p := range r.parts {
		value, ok, err := p.Get(ctx, key)
		if err != nil {
			return nil, false, err
		}
		if ok {
			values = append(values, value)
		}
	}
	if len(values) == 0 {
		return nil, false, nil
	}
	value, err := r.row(key, values)
	return value, err == nil, err
}

// Scan implements Reader.
func (r *joinedReader) Scan(ctx context.Context, from, to string, reverse bool) iter.Seq2[Pair, error] {
	return func(yield func(Pair, error) bool) {
		heads := make([]head, len(r.parts))
		for i, p := range r.parts {
			next, stop := iter.Pull2(p.Scan(ctx, from, to, reverse))
			defer stop()
			heads[i].next = next
			if err := heads[i].advance(); err != nil {
				yield(Pair{}, err)
				return
			}
		}
		for {
			pair, ok, err := r.least(heads, reverse)
			if err != nil {
				yield(Pair{}, err)
				return
			}
			if !ok || !yield(pair, nil) {
				return
			}
		}
	}
}

// head is where a scan of one part stands.
type head struct {
	next func() (Pair, error, bool)
	pair Pair
	ok   bool
}

func (h *head) advance() (err error) {
	h.pair, err, h.ok = h.next()
	return err
}

// least takes the next row of all parts.
func (r *joinedReader) least(heads []head, reverse bool) (p Pair, ok bool, err error) {
	for _, h := range heads {
		order := strings.Compare(h.pair.Key, p.Key)
		if h.ok && (!ok || !reverse && order < 0 || reverse && order > 0) {
			p.Key, ok = h.pair.Key, true
		}
	}
	if !ok {
		return p, false, nil
	}
	values := make([][]byte, 0, 1)
	for i := range heads {
		if h := &heads[i]; h.ok && h.pair.Key == p.Key {
			values = append(values, h.pair.Value)
			if err := h.advance(); err != nil {
				return p, false, err
			}
		}
	}
	p.Value, err = r.row(p.Key, values)
	return p, err == nil, err
}
