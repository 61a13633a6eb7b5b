package domain

import (
	"encoding/json"
	"fmt"
	"reflect"
)

// Upcast lifts stored JSON from one schema version to the next (旧版事件升级).
type Upcast func(map[string]any)

// Type is the storage format of one event type: its name, its current version and how to read older ones.
type Type struct {
	Name    string
	Version int
	decode  func([]byte) (Event, error)
	encode  func([]byte, Event) ([]byte, error)
	lasting lastingCheck
	upcasts []Upcast
	memo    Memo
}

// Memo keeps decoded events, so that what was written a moment ago is not decoded by every reader again. It may forget
// at will. An event is shared by all who find it: nobody changes it, nor what it points to.
type Memo interface {
	Find(name string, version int, data []byte) (Event, bool)
	Keep(name string, version int, data []byte, e Event) // data is never changed afterwards.
}

// Stored declares T at version 1 plus one version for each upcast, oldest first.
func Stored[T Event](upcasts ...Upcast) Type {
	var zero T
	form := FormOf[T]()
	return Type{
		Name: zero.EventType(), Version: 1 + len(upcasts), upcasts: upcasts, lasting: lastingTypes{}.of(reflect.TypeFor[T]()),
		decode: func(b []byte) (Event, error) { return form.Unmarshal(b) },
		encode: func(b []byte, e Event) ([]byte, error) { return form.Append(b, e) },
	}
}

// Append writes an event of the type in the bytes of json.Marshal.
func (t Type) Append(b []byte, e Event) ([]byte, error) { return t.encode(b, e) }

// Lasting tells whether an event of the type is the one that its JSON gives back, so that it need not be decoded again.
func (t Type) Lasting(e Event) bool { return t.lasting(reflect.ValueOf(e)) }

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
	e, err := t.decode(data)
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

// WithMemo is the same catalogue with a memo, which Written fills and Decode looks into.
func (c Catalogue) WithMemo(m Memo) Catalogue {
	out := make(Catalogue, len(c))
	for name, t := range c {
		t.memo = m
		out[name] = t
	}
	return out
}

// Written is what will be read of an event that is about to be written as data: itself, if its data gives back the same,
// else what its data gives. An error means that nobody could read it. The memo, if any, keeps it for those who will.
func (c Catalogue) Written(e Event, data []byte) (Event, error) {
	name := e.EventType()
	t := c[name]
	if !t.Lasting(e) {
		var err error
		if e, err = t.Decode(t.Version, data); err != nil {
			return nil, err
		}
	}
	if t.memo != nil {
		t.memo.Keep(name, t.Version, data, e)
	}
	return e, nil
}
