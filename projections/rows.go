package projections

import (
	"bytes"
	"context"
	"iter"
	"slices"
	"strings"

	"zujian/domain"
)

// Bounds of the decoded rows kept for one view, in each of two generations, between batches; a batch may add all it touches.
// A row is one or two KB, of many small pieces that the collector of garbage follows one by one: in service only those
// used again and again are worth that.
const (
	rowsMax     = 1 << 13 // While batches are large, as those of a catch-up are.
	rowsService = 1 << 10
)

// rows keeps the rows a view's batches used last, as the values projections work with, so that a row is decoded when it is
// first met and encoded once a batch, not once an event. Between batches it holds what is committed and nothing else:
// after a failed batch it is emptied. When the young generation is full it becomes the old one, and the old is forgotten.
type rows struct {
	young, old map[string]*row
	order      []*row // Put in this batch, as they first came since the last flush.
	room       []byte // For encoding,
	ends       []int  // and where rows end in it.
	packing    domain.PackRoom
	kinds      []string // Of keys that asked was asked about.
}

// Rows are rows for who keeps a view without a Runner. The zero Rows is ready.
type Rows struct{ rows rows }

// Batch calls f, inside a batch of so many events, with a view whose rows are values, and gives v their bytes if f succeeds.
func (r *Rows) Batch(v View, events int, f func(View) error) error {
	r.rows.turn(events)
	cached := &rowView{View: v, rows: &r.rows}
	if err := f(cached); err != nil {
		return err
	}
	cached.flush()
	return nil
}

// Forget empties r: it MUST be called after a batch that failed.
func (r *Rows) Forget() { r.rows = rows{} }

// row is the head of one row as a value.
type row struct {
	key   string
	value rowValue // What it is the head of: putting a row again takes no memory.
	put   bool     // In this batch, and the view has not got its bytes yet.
}

// rowValue is a valueRow of some type.
type rowValue interface {
	appendTo(b []byte, room *domain.PackRoom) []byte
}

type valueRow[T any] struct {
	row
	at T
}

// appendTo is appendRow of a row in memory.
func (x *valueRow[T]) appendTo(b []byte, room *domain.PackRoom) []byte {
	return appendRow(b, room, &x.at)
}

// turn makes room, before a batch of so many events.
func (r *rows) turn(events int) {
	most := rowsService
	if events >= rowsService {
		most = rowsMax
	}
	if len(r.young) >= most {
		r.old, r.young = r.young, nil
	}
	if r.young == nil {
		r.young = map[string]*row{}
	}
}

func (r *rows) get(key string) *row {
	if x := r.young[key]; x != nil {
		return x
	}
	return r.again(r.old[key])
}

// find is get by a key that need not be kept.
func (r *rows) find(key []byte) *row {
	if x := r.young[string(key)]; x != nil {
		return x
	}
	return r.again(r.old[string(key)])
}

// again makes an old row, if it is one, a young one.
func (r *rows) again(x *row) *row {
	if x != nil {
		r.young[x.key] = x
	}
	return x
}

// keepRow remembers a row as read or put.
func keepRow[T any](r *rows, key string, value T) *row {
	if before := r.get(key); before != nil {
		if x, ok := before.value.(*valueRow[T]); ok {
			x.at = value
			return before
		}
		before.put = false // One of another type takes its place.
	}
	x := &valueRow[T]{row: row{key: key}, at: value}
	x.value = x
	r.young[key] = &x.row
	return &x.row
}

func (r *rows) forget(key string) {
	if x := r.get(key); x != nil {
		x.put = false
		delete(r.young, key)
		delete(r.old, key)
	}
}

// rowView is a view inside a batch whose rows are values. What was put is encoded by flush, or when somebody reads its bytes.
type rowView struct {
	View
	rows *rows
}

var _ View = (*rowView)(nil)

// getRow is Get of a view whose rows are values.
func getRow[T any](ctx context.Context, v *rowView, key string) (t T, err error) {
	if x := v.rows.get(key); x != nil {
		if x, ok := x.value.(*valueRow[T]); ok {
			return x.at, ctx.Err()
		}
	}
	raw, ok, err := v.Get(ctx, key)
	if err == nil && ok {
		if t, err = RowOf[T](Pair{key, raw}); err == nil {
			keepRow(v.rows, key, t)
		}
	}
	return t, err
}

func putRow[T any](v *rowView, key string, value T) {
	v.toPut(keepRow(v.rows, key, value))
}

// toPut has a row encoded by the next flush.
func (v *rowView) toPut(x *row) {
	if !x.put {
		x.put = true
		v.rows.order = append(v.rows.order, x)
	}
}

// Get implements Reader.
func (v *rowView) Get(ctx context.Context, key string) ([]byte, bool, error) {
	if x := v.rows.get(key); x != nil && x.put {
		v.flush()
	}
	return v.View.Get(ctx, key)
}

// Scan implements Reader.
func (v *rowView) Scan(ctx context.Context, from, to string, reverse bool) iter.Seq2[Pair, error] {
	within := func(x *row) bool { return x.put && x.key >= from && (to == "" || x.key < to) }
	if len(v.rows.order) > scanLooks || slices.ContainsFunc(v.rows.order, within) {
		v.flush()
	}
	return v.View.Scan(ctx, from, to, reverse)
}

// scanLooks is how many rows a scan looks at before all are flushed for it: a row that is put again later is encoded once then.
const scanLooks = 64

// Set implements View.
func (v *rowView) Set(key string, value []byte) {
	v.rows.forget(key)
	v.View.Set(key, value)
}

// Delete implements View.
func (v *rowView) Delete(key string) {
	v.rows.forget(key)
	v.View.Delete(key)
}

// asked tells whether a key's like was asked for before: view stores keep in memory what batches read, and learn of it so.
func (v *rowView) asked(key string) bool {
	kind := kindOf(key)
	if slices.Contains(v.rows.kinds, kind) {
		return true
	}
	v.rows.kinds = append(v.rows.kinds, strings.Clone(kind))
	return false
}

// flush gives the view the bytes of what was put since the last flush. The rows stay: a batch that fails empties all.
func (v *rowView) flush() {
	r := v.rows
	from := 0
	for i, x := range r.order {
		if x.put { // Else it was written otherwise since.
			r.room = x.value.appendTo(r.room, &r.packing)
		}
		r.ends = append(r.ends, len(r.room))
		if len(r.room) >= flushBytes || i+1 == len(r.order) {
			v.set(r.order[from:i+1], bytes.Clone(r.room))
			from, r.room, r.ends = i+1, r.room[:0], r.ends[:0]
		}
	}
	clear(r.order)
	r.order = r.order[:0]
}

const flushBytes = 64 << 10 // Of many rows, which the view gets in one piece.

// set gives the view rows whose bytes are one behind the other.
func (v *rowView) set(order []*row, all []byte) {
	from := 0
	for i, x := range order {
		if end := v.rows.ends[i]; x.put {
			v.View.Set(x.key, all[from:end:end])
			x.put, from = false, end
		}
	}
}
