package embedded

import (
	"bytes"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"

	"zujian/eventstore"
)

// tables look up keys in the index's tables alone, and pass over what is not yet in any: a skip list of all that was
// written lately, which no processor's cache holds, and in which nothing is of who was not written to lately. The iterators
// they look up with are kept for the next who asks, until the tables change.
type tables struct {
	db      *pebble.DB
	id      logID
	changes atomic.Uint64

	mu   sync.Mutex
	kept []*tableIter
}

// tableIter is used by one at a time.
type tableIter struct {
	home    *tables
	it      *pebble.Iterator
	upTo    eventstore.Position // The log before it is in the tables.
	changes uint64              // When it was made.
}

const tableItersMax = 16 // Kept; more may be in use.

// get gives an iterator, to be closed, over tables that hold the log up to a position; nil if they don't.
func (t *tables) get(upTo eventstore.Position) (*tableIter, error) {
	now := t.changes.Load()
	i, old := t.take(now)
	err := closeAll(old)
	if i == nil {
		var err2 error
		i, err2 = t.open(now)
		err = errors.Join(err, err2)
	}
	if i != nil && (err != nil || i.upTo < upTo) {
		return nil, errors.Join(err, i.Close())
	}
	return i, err
}

func (t *tables) open(now uint64) (*tableIter, error) {
	it, err := t.db.NewIter(&pebble.IterOptions{OnlyReadGuaranteedDurable: true, UseL6Filters: true})
	if err != nil {
		return nil, err
	}
	i := &tableIter{home: t, it: it, changes: now}
	v, err := i.look([]byte{keyMark})
	if err == nil && v != nil {
		var m mark
		m, err = decodeMark(v, t.id)
		i.upTo = m.pos
	}
	if err != nil {
		return nil, errors.Join(err, it.Close())
	}
	return i, nil
}

// take gives an iterator of now, if one is kept, else all that are.
func (t *tables) take(now uint64) (i *tableIter, old []*tableIter) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if n := len(t.kept); n > 0 && t.kept[n-1].changes == now {
		i, t.kept = t.kept[n-1], t.kept[:n-1]
		return i, nil
	}
	old, t.kept = t.kept, nil
	return nil, old
}

// keep tells whether it kept i.
func (t *tables) keep(i *tableIter) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.kept) == tableItersMax || i.changes != t.changes.Load() || i.it.Error() != nil {
		return false
	}
	t.kept = append(t.kept, i)
	return true
}

// close closes what is kept. Nobody looks anything up any more.
func (t *tables) close() error {
	_, old := t.take(t.changes.Add(1))
	return closeAll(old)
}

func closeAll(is []*tableIter) (err error) {
	for _, i := range is {
		err = errors.Join(err, i.it.Close())
	}
	return err
}

// look gives the value of a key, which is good until the next look, or nil.
func (i *tableIter) look(key []byte) ([]byte, error) {
	if !i.it.SeekPrefixGE(key) || !bytes.Equal(i.it.Key(), key) {
		return nil, i.it.Error()
	}
	return i.it.ValueAndErr()
}

// Close implements io.Closer: the next who asks may have it.
func (i *tableIter) Close() error {
	if i.home.keep(i) {
		return nil
	}
	return i.it.Close()
}
