package pebbleviews

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math"

	"github.com/cockroachdb/pebble/v2"

	"zujian/eventstore"
	"zujian/eventstore/folder"
)

// The database holds, big-endian:
//
//	'n' name 0 version          → the number of a view's version, two bytes: given once, and never to another
//	'v' number key              → a view's value
//	'p' number                  → its checkpoint
//	'd' name 0 version key      → a value of a version that was begun before there were numbers
//	'c' name 0 version          → its checkpoint
//	'a' name                    → the active version
//	'r' key                     → a reply: when it expires (µs), then its bytes
//	'x' expires key             → nothing: replies by expiry
//
// A name holds no 0. A filing writes some thirty rows: names before their keys would take a fifth of a memtable.
const (
	keyNumber, keyData, keyCheckpoint      = 'n', 'v', 'p'
	keyNamedData, keyNamedCheckpoint       = 'd', 'c'
	keyActive, keyReply, keyExpiry    byte = 'a', 'r', 'x'
)

func versioned(kind byte, name string, version int) []byte {
	k := make([]byte, 0, 1+len(name)+1+4)
	k = append(k, kind)
	k = append(k, name...)
	k = append(k, 0)
	return binary.BigEndian.AppendUint32(k, uint32(version))
}

func numbered(kind byte, number uint16) []byte {
	return binary.BigEndian.AppendUint16([]byte{kind}, number)
}

func activeKey(name string) []byte { return append([]byte{keyActive}, name...) }

// after is the first key behind all that begin with prefix.
func after(prefix []byte) []byte {
	end := append([]byte(nil), prefix...)
	for i := len(end) - 1; i >= 0; i-- {
		if end[i]++; end[i] != 0 {
			return end[:i+1]
		}
	}
	return nil
}

// getter is a database or a snapshot of one.
type getter interface {
	pebble.Reader
}

// get copies the value at key.
func get(from getter, key []byte) (value []byte, ok bool, err error) {
	raw, closer, err := from.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, folder.Plain(err)
	}
	value = make([]byte, len(raw))
	copy(value, raw)
	return value, true, closer.Close()
}

// readPosition is the checkpoint at key; false if there never was a batch.
func readPosition(from getter, key []byte) (eventstore.Position, bool, error) {
	raw, ok, err := get(from, key)
	if err != nil || !ok {
		return 0, false, err
	}
	if len(raw) != 8 {
		return 0, false, fmt.Errorf("pebbleviews: checkpoint of %d bytes", len(raw))
	}
	return eventstore.Position(binary.BigEndian.Uint64(raw)), true, nil
}

func (v *Views) loadActive() error {
	it, err := v.db.NewIter(&pebble.IterOptions{LowerBound: []byte{keyActive}, UpperBound: []byte{keyActive + 1}})
	if err != nil {
		return err
	}
	for it.First(); it.Valid(); it.Next() {
		if len(it.Value()) != 4 {
			return errors.Join(fmt.Errorf("pebbleviews: active version of %q is damaged", it.Key()[1:]), it.Close())
		}
		v.active[string(it.Key()[1:])] = int(binary.BigEndian.Uint32(it.Value()))
	}
	return it.Close()
}

func (v *Views) loadNumbers() error {
	it, err := v.db.NewIter(&pebble.IterOptions{LowerBound: []byte{keyNumber}, UpperBound: []byte{keyNumber + 1}})
	if err != nil {
		return err
	}
	for it.First(); it.Valid(); it.Next() {
		name, version, ok := bytes.Cut(it.Key()[1:], []byte{0})
		if !ok || len(version) != 4 || len(it.Value()) != 2 {
			return errors.Join(fmt.Errorf("pebbleviews: number of %q is damaged", it.Key()[1:]), it.Close())
		}
		v.numbers[space{string(name), int(binary.BigEndian.Uint32(version))}] = binary.BigEndian.Uint16(it.Value())
	}
	return it.Close()
}

// place is where a version of a view stands.
type place struct {
	prefix   []byte // What the keys of its rows begin with.
	standing []byte // The key of its checkpoint.
}

// placeOf finds it. The caller holds v.mu.
func (v *Views) placeOf(id space) place {
	if n, ok := v.numbers[id]; ok {
		return place{numbered(keyData, n), numbered(keyCheckpoint, n)}
	}
	return place{versioned(keyNamedData, id.name, id.version), versioned(keyNamedCheckpoint, id.name, id.version)}
}

// number gives a version that has no rows yet its number. It is written before them, so no crash leaves them without. The
// caller holds v.mu.
func (v *Views) number(id space) error {
	n := 0
	for _, used := range v.numbers {
		n = max(n, int(used)+1)
	}
	if n > math.MaxUint16 {
		return errors.New("pebbleviews: no number is left")
	}
	value := binary.BigEndian.AppendUint16(nil, uint16(n))
	if err := v.db.Set(versioned(keyNumber, id.name, id.version), value, pebble.NoSync); err != nil {
		return err
	}
	v.numbers[id] = uint16(n)
	return nil
}

// logger passes Pebble's words on.
type logger struct {
	to    *slog.Logger
	fatal func(error)
}

func (l logger) Infof(string, ...any) {}

func (l logger) Errorf(format string, args ...any) {
	for i, a := range args {
		if err, is := a.(error); is {
			args[i] = folder.Plain(err)
		}
	}
	l.to.Error("view store", slog.String("err", fmt.Sprintf(format, args...)))
}

// damaged hears that a table is damaged. Who reads it gets an error: the views can be built again in an empty folder, so
// ending the process would only keep the other views from being read.
func damaged(log *slog.Logger) func(pebble.DataCorruptionInfo) {
	return func(info pebble.DataCorruptionInfo) {
		log.Error("the view store is damaged: stop, delete its folder, start", slog.String("file", info.Path), slog.Any("err", info.Details))
	}
}

// Fatalf is called when Pebble can't keep its promises any more: going on could only do harm.
func (l logger) Fatalf(format string, args ...any) {
	err := errors.New("pebbleviews: " + fmt.Sprintf(format, args...))
	if l.fatal != nil {
		l.fatal(err)
	}
	panic(err)
}
