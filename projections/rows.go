package projections

import (
	"context"
	"encoding/json"
	"iter"
)

// rowsMax bounds the decoded rows kept for one view, in each of two generations. A row is one or two KB.
const rowsMax = 1 << 13

// rows keeps the rows a view's batches used last as the values projections work with, so that a row is decoded when it is
// first met and encoded once a batch, not once an event. It holds what is committed and nothing else: after a failed
// batch it is emptied. When the young generation is full it becomes the old one, and the old is forgotten.
type rows struct{ young, old map[string]any }

func (r *rows) get(key string) (any, bool) {
	if x, ok := r.young[key]; ok {
		return x, true
	}
	x, ok := r.old[key]
	if ok {
		r.put(key, x)
	}
	return x, ok
}

func (r *rows) put(key string, x any) {
	if _, there := r.young[key]; !there && len(r.young) >= rowsMax {
		r.old, r.young = r.young, nil
	}
	if r.young == nil {
		r.young = map[string]any{}
	}
	r.young[key] = x
}

func (r *rows) forget(key string) {
	delete(r.young, key)
	delete(r.old, key)
}

// rowView is a view inside a batch whose rows are values. What was put is encoded by flush, or when somebody reads its bytes.
type rowView struct {
	View
	rows  *rows
	put   map[string]any // Put in this batch; gone once its bytes were replaced or deleted.
	order []string       // Keys of put as they first came since the last flush.
}

var _ View = (*rowView)(nil)

// value is the row at key, if it is known as a value.
func (v *rowView) value(key string) (any, bool) {
	if x, mine := v.put[key]; mine {
		return x, true
	}
	return v.rows.get(key)
}

func (v *rowView) putValue(key string, x any) {
	if v.put == nil {
		v.put = map[string]any{}
	}
	v.put[key] = x
	v.order = append(v.order, key)
}

// Get implements Reader.
func (v *rowView) Get(ctx context.Context, key string) ([]byte, bool, error) {
	if _, mine := v.put[key]; mine {
		v.flush()
	}
	return v.View.Get(ctx, key)
}

// Scan implements Reader.
func (v *rowView) Scan(ctx context.Context, from, to string, reverse bool) iter.Seq2[Pair, error] {
	v.flush()
	return v.View.Scan(ctx, from, to, reverse)
}

// Set implements View.
func (v *rowView) Set(key string, value []byte) {
	v.forget(key)
	v.View.Set(key, value)
}

// Delete implements View.
func (v *rowView) Delete(key string) {
	v.forget(key)
	v.View.Delete(key)
}

func (v *rowView) forget(key string) {
	delete(v.put, key)
	v.rows.forget(key)
}

// flush gives the view the bytes of what was put since the last flush.
func (v *rowView) flush() {
	for _, key := range v.order {
		x, mine := v.put[key]
		if !mine {
			continue // Written otherwise since, or done: a key may come twice.
		}
		v.View.Set(key, encodeRow(x))
		v.rows.put(key, x) // Of this batch still: a failure empties all.
		delete(v.put, key)
	}
	v.order = v.order[:0]
}

// encodeRow is the stored form of a row. View values are plain structs, so encoding can't fail.
func encodeRow(x any) []byte {
	raw, err := json.Marshal(x)
	if err != nil {
		panic("projections: " + err.Error())
	}
	return raw
}
