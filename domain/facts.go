package domain

import "strings"

// Source gives the facts that a rule's predicate reads, by dotted path ("lease.deposit_fen"): [Facts], or whoever works
// them out when they are asked for.
type Source interface{ Fact(path string) Value }

// Facts is one typed record: values are int64, bool, string, Day, []string or []Facts, and nested Facts. An absent key is
// a missing fact, never false. A nil value is known to be none.
type Facts map[string]any

// Fact follows a path.
func (f Facts) Fact(path string) Value {
	for {
		head, rest, more := strings.Cut(path, ".")
		x, ok := f[head]
		if !ok {
			return Value{}
		}
		if !more {
			return valueOf(x)
		}
		if f, ok = x.(Facts); !ok {
			return Value{}
		}
		path = rest
	}
}

type kind uint8

const (
	kindUnknown kind = iota
	kindNull
	kindBool
	kindInt
	kindText
	kindDay
	kindTexts
	kindRecords
	kindRecord
)

// Value is a fact or the result of an operation. The zero Value is unknown: a missing fact.
type Value struct {
	kind kind
	n    int64 // Of a bool, int or day.
	text string
	many any // []string, records or a Source.
}

// FactInt is a whole number: fen, days, 0.01 ㎡, basis points.
func FactInt[N ~int | ~int64](n N) Value { return Value{kind: kindInt, n: int64(n)} }

// FactText is a text.
func FactText(s string) Value { return Value{kind: kindText, text: s} }

// FactBool is true or false.
func FactBool(b bool) Value {
	if b {
		return Value{kind: kindBool, n: 1}
	}
	return Value{kind: kindBool}
}

// FactDay is a day; the zero Day is none.
func FactDay(d Day) Value {
	if d == 0 {
		return FactNone()
	}
	return Value{kind: kindDay, n: int64(d)}
}

// FactTexts is a list of texts.
func FactTexts(list []string) Value { return Value{kind: kindTexts, many: list} }

// FactRecords is a list of records, each of which gives its fields.
func FactRecords[T any, P recordOf[T]](list []T) Value {
	return Value{kind: kindRecords, many: recordList[T, P](list)}
}

// recordOf is where a record stands.
type recordOf[T any] interface {
	*T
	Source
}

type records interface {
	len() int
	at(i int) Source
}

type recordList[T any, P recordOf[T]] []T

func (l recordList[T, P]) len() int        { return len(l) }
func (l recordList[T, P]) at(i int) Source { return P(&l[i]) }

// FactNone is known to be none.
func FactNone() Value { return Value{kind: kindNull} }

// Kind is the kind of a value; "" is unknown.
func (v Value) Kind() FactKind {
	return [...]FactKind{"", KindNull, KindBool, KindInt, KindText, KindDay, KindTexts, KindRecords, ""}[v.kind]
}

func (v Value) truth() bool { return v.n != 0 }

func (v Value) texts() []string {
	list, _ := v.many.([]string)
	return list
}

func valueOf(some any) Value {
	switch x := some.(type) {
	case nil:
		return FactNone()
	case bool:
		return FactBool(x)
	case int:
		return FactInt(x)
	case int64:
		return FactInt(x)
	case Fen:
		return FactInt(x)
	case string:
		return FactText(x)
	case Day:
		return FactDay(x)
	case []string:
		return FactTexts(x)
	case []Facts:
		return FactRecords(x)
	case Facts:
		return Value{kind: kindRecord, many: some}
	}
	return Value{}
}
