package domain

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// Upcast lifts stored JSON from one schema version to the next (旧版事件升级).
type Upcast func(map[string]any)

// Type is the storage format of one event type: its name, its current version and how to read older ones.
type Type struct {
	Name    string
	Version int
	decode  func([]byte, Memo) (Event, error)
	encode  func([]byte, Event) (out []byte, lasting bool, err error)
	upcasts []Upcast
	memo    Memo
}

// Memo keeps decoded events, so that what was written a moment ago is not decoded by every reader again, and texts that
// many events have, so that what is kept of those holds each once. It may forget at will. An event is shared by all who
// find it: nobody changes it, nor what it points to.
type Memo interface {
	Text(b []byte) string // string(b)
	Find(name string, version int, data []byte) (Event, bool)
	Keep(name string, version int, data []byte, e Event) // data is never changed afterwards.
}

// Stored declares T at version 1 plus one version for each upcast, oldest first.
func Stored[T Event](upcasts ...Upcast) Type {
	var zero T
	form := FormOf[T]()
	return Type{
		Name: zero.EventType(), Version: 1 + len(upcasts), upcasts: upcasts,
		decode: func(b []byte, memo Memo) (Event, error) {
			at := new(T)
			err := form.read(at, b, memo)
			return eventAt(zero, at), err
		},
		encode: func(b []byte, e Event) ([]byte, bool, error) { return form.AppendLasting(b, e) },
	}
}

// Append writes an event of the type in the bytes of json.Marshal. A lasting one is what they give back, so that it need not
// be decoded again.
func (t Type) Append(b []byte, e Event) (out []byte, lasting bool, err error) { return t.encode(b, e) }

// Decode reads data written at version as the current T. A version it does not know is an error: skipping an event
// would corrupt every view of it.
func (t Type) Decode(version int, data []byte) (Event, error) {
	if version < 1 || version > t.Version {
		return nil, fmt.Errorf("domain: %s: unknown schema version %d", t.Name, version)
	}
	if t.memo != nil {
		if e, ok := t.memo.Find(t.Name, version, data); ok {
			return e, nil
		}
	}
	if pending := t.upcasts[version-1:]; len(pending) > 0 {
		doc := map[string]any{}
		if err := json.Unmarshal(data, &doc); err != nil {
			return nil, fmt.Errorf("domain: %s v%d: %w", t.Name, version, err)
		}
		for _, up := range pending {
			up(doc)
		}
		data, _ = json.Marshal(doc) // A decoded document always encodes.
	}
	e, err := t.decode(data, t.memo)
	if err != nil {
		return nil, fmt.Errorf("domain: %s v%d: %w", t.Name, version, err)
	}
	return e, nil
}

// Catalogue finds a Type by its stored name.
type Catalogue map[string]Type

// NewCatalogue indexes types. It panics on a name declared twice: only a programming error gets here.
func NewCatalogue(types ...[]Type) Catalogue {
	c := Catalogue{}
	for _, group := range types {
		for _, t := range group {
			if _, taken := c[t.Name]; taken {
				panic("domain: event type declared twice: " + t.Name)
			}
			c[t.Name] = t
		}
	}
	return c
}

// Decode reads a stored event of any known type.
func (c Catalogue) Decode(name string, version int, data []byte) (Event, error) {
	t, ok := c[name]
	if !ok {
		return nil, fmt.Errorf("domain: unknown event type %q", name)
	}
	return t.Decode(version, data)
}

// WithMemo is the same catalogue with a memo, which Write fills and Decode looks into.
func (c Catalogue) WithMemo(m Memo) Catalogue {
	out := make(Catalogue, len(c))
	for name, t := range c {
		t.memo = m
		out[name] = t
	}
	return out
}

// Written is an event as it stands in the log.
type Written struct {
	Type  Type
	Data  []byte
	Event Event // What will be read of it: the one that was to be written, if its data gives back the same, else what that gives.
}

// Write encodes an event, in room, if there is enough; what it returns has a copy. An error means that its type is not known,
// or that nobody could read it. The memo, if any, keeps it for those who will.
func (c Catalogue) Write(room *[]byte, e Event) (w Written, err error) {
	name := e.EventType()
	t, known := c[name]
	if !known {
		return w, errors.New("the type is not in the catalogue")
	}
	lasting := false
	if *room, lasting, err = t.encode((*room)[:0], e); err != nil {
		return w, err
	}
	w = Written{Type: t, Data: bytes.Clone(*room), Event: e}
	if !lasting {
		if w.Event, err = t.Decode(t.Version, w.Data); err != nil {
			return w, fmt.Errorf("it can't be read back: %w", err)
		}
	}
	if t.memo != nil {
		t.memo.Keep(name, t.Version, w.Data, w.Event)
	}
	return w, nil
}
