package domain

import (
	"encoding/json"
	"reflect"
	"strings"
	"time"
	"unicode/utf8"
)

// lastingCheck tells whether a value of one type is what its JSON gives back: then it need not be decoded again. It never
// says so wrongly, and says no to what it does not know. What JSON changes: an empty list left out, a time's zone and clock
// reading, text that is no UTF-8, anything behind an interface, fields that are not written.
type lastingCheck func(reflect.Value) bool

// lastingTypes are the checks of the types looked at so far, so that a type may hold itself.
type lastingTypes map[reflect.Type]*lastingCheck

func (known lastingTypes) of(t reflect.Type) lastingCheck {
	if check, ok := known[t]; ok {
		return func(v reflect.Value) bool { return (*check)(v) }
	}
	check := new(lastingCheck)
	known[t] = check
	*check = known.workOut(t)
	return *check
}

var (
	anyValue   = func(reflect.Value) bool { return true }
	noValue    = func(reflect.Value) bool { return false }
	ownJSON    = reflect.TypeFor[json.Marshaler]()
	ownDecoder = reflect.TypeFor[json.Unmarshaler]()
	ownText    = reflect.TypeFor[interface{ MarshalText() ([]byte, error) }]()
)

func (known lastingTypes) workOut(t reflect.Type) lastingCheck {
	switch t {
	case reflect.TypeFor[Day]():
		return func(v reflect.Value) bool { d := Day(v.Int()); return d == 0 || d >= DayMin && d <= DayMax }
	case reflect.TypeFor[Month]():
		return func(v reflect.Value) bool {
			m := Month(v.Int())
			return m == 0 || m.First() >= DayMin && m.First() <= DayMax
		}
	case reflect.TypeFor[time.Time]():
		return func(v reflect.Value) bool {
			t := v.Interface().(time.Time)
			return t == t.Round(0).UTC() && t.Year() >= 1 && t.Year() <= 9999
		}
	case reflect.TypeFor[Verdict]():
		return func(v reflect.Value) bool { return v.Interface().(Verdict).lasting() }
	}
	for _, own := range []reflect.Type{ownJSON, ownDecoder, ownText} {
		if t.Implements(own) || reflect.PointerTo(t).Implements(own) {
			return noValue
		}
	}
	switch t.Kind() {
	case reflect.Bool, reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return anyValue
	case reflect.String:
		return func(v reflect.Value) bool { return utf8.ValidString(v.String()) }
	case reflect.Pointer:
		return known.pointer(t)
	case reflect.Slice:
		return known.list(t)
	case reflect.Map:
		return known.dict(t)
	case reflect.Struct:
		return known.record(t)
	}
	return noValue // Floats among them: minus zero, and no event needs one.
}

// pointer: what is written as null comes back as no pointer.
func (known lastingTypes) pointer(t reflect.Type) lastingCheck {
	switch t.Elem().Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map, reflect.Interface:
		return reflect.Value.IsNil
	}
	elem := known.of(t.Elem())
	return func(v reflect.Value) bool { return v.IsNil() || elem(v.Elem()) }
}

// list: nil is null and empty is [].
func (known lastingTypes) list(t reflect.Type) lastingCheck {
	elem := known.of(t.Elem())
	return func(v reflect.Value) bool {
		for i := range v.Len() {
			if !elem(v.Index(i)) {
				return false
			}
		}
		return true
	}
}

func (known lastingTypes) dict(t reflect.Type) lastingCheck {
	if t.Key().Kind() != reflect.String {
		return noValue
	}
	key, elem := known.of(t.Key()), known.of(t.Elem())
	return func(v reflect.Value) bool {
		for it := v.MapRange(); it.Next(); {
			if !key(it.Key()) || !elem(it.Value()) {
				return false
			}
		}
		return true
	}
}

func (known lastingTypes) record(t reflect.Type) lastingCheck {
	fields := make([]lastingCheck, t.NumField())
	names := map[string]bool{}
	for i := range fields {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "" {
			name = f.Name
		}
		folded := strings.ToLower(name)
		if names[folded] {
			return noValue
		}
		names[folded] = true
		fields[i] = known.field(f, name, options)
	}
	return func(v reflect.Value) bool {
		for i, check := range fields {
			if !check(v.Field(i)) {
				return false
			}
		}
		return true
	}
}

func (known lastingTypes) field(f reflect.StructField, name, options string) lastingCheck {
	check := known.of(f.Type)
	for option := range strings.SplitSeq(options, ",") {
		switch option {
		case "":
		case "omitempty":
			check = lastingOmitted(f.Type, check)
		case "omitzero":
			if _, own := reflect.PointerTo(f.Type).MethodByName("IsZero"); own && f.Type != reflect.TypeFor[time.Time]() && f.Type != reflect.TypeFor[Day]() &&
				f.Type != reflect.TypeFor[Month]() {
				return reflect.Value.IsZero
			}
		default:
			return reflect.Value.IsZero
		}
	}
	if name == "-" || f.Anonymous || !f.IsExported() {
		return reflect.Value.IsZero
	}
	return check
}

// lastingOmitted: an empty list that is not nil is left out and comes back nil.
func lastingOmitted(t reflect.Type, check lastingCheck) lastingCheck {
	if k := t.Kind(); k != reflect.Slice && k != reflect.Map {
		return check
	}
	return func(v reflect.Value) bool { return v.IsNil() || v.Len() > 0 && check(v) }
}

// lasting: a refusal's pointer and detail are not stored, nor is a pass more than its rule and version.
func (v Verdict) lasting() bool {
	for i := range v {
		if !v[i].lasting() {
			return false
		}
	}
	return true
}

func (r *RuleResult) lasting() bool {
	if r.Pointer != "" || r.Detail != "" || r.Rule == "" || strings.ContainsFunc(r.Rule, quoted) || strings.Contains(r.Rule, "@") {
		return false
	}
	if r.Outcome == OutcomePass {
		return r.Code == "" && r.Params == nil
	}
	for k, x := range r.Params {
		if !utf8.ValidString(k) || !lastingParam(x) {
			return false
		}
	}
	return utf8.ValidString(string(r.Outcome)) && utf8.ValidString(r.Code) && (r.Params == nil || len(r.Params) > 0)
}

func lastingParam(x any) bool {
	switch x := x.(type) {
	case bool, int64:
		return true
	case string:
		return utf8.ValidString(x)
	}
	return false // Lists among them: who decodes one gives the empty one, never nil.
}
