package domain

import (
	"reflect"
	"unsafe"
)

// place is where a value lies in memory. Forms read and write values there, whose types they have worked out once, as
// reflection asks for its type at each step. Whoever uses a place MUST know the type of what lies there: nothing here looks.
// All that is unsafe in the domain is in this file.
type place struct{ at unsafe.Pointer }

func placeOf[T any](at *T) place { return place{unsafe.Pointer(at)} }

// as is what lies there, which MUST be a T, or of a type that has the same in memory.
func as[T any](p place) *T { return (*T)(p.at) }

// field is the place of a part that lies so many bytes behind p.
func (p place) field(offset uintptr) place { return place{unsafe.Add(p.at, offset)} }

// pointer is a pointer to what lies there. like is nil of its type; reflect.NewAt would look for that each time.
func (p place) pointer(like any) any {
	as[boxed](placeOf(&like)).value = p
	return like
}

// value is what lies there, by reflection.
func (p place) value(like any) reflect.Value { return reflect.ValueOf(p.pointer(like)).Elem() }

// newPlace is where a new value lies, which is zero.
func newPlace(t reflect.Type) place { return place{reflect.New(t).UnsafePointer()} }

// elem is where a pointer points to that lies at p.
func (p place) elem() place { return *as[place](p) }

// listHead is how a list lies in memory.
type listHead struct {
	first place
	len   int
	cap   int
}

// at is the place of an element, of so many bytes each.
func (l *listHead) at(i int, size uintptr) place { return l.first.field(uintptr(i) * size) }

// word is an integer of any size and either sign, or the bits of what else has the size of one.
func (p place) word(size uintptr) int64 {
	switch size {
	case 8:
		return *as[int64](p)
	case 4:
		return int64(*as[int32](p))
	case 2:
		return int64(*as[int16](p))
	default:
		return int64(*as[int8](p))
	}
}

// unsigned is an integer without sign.
func (p place) unsigned(size uintptr) uint64 {
	return uint64(p.word(size)) << (64 - 8*size) >> (64 - 8*size)
}

// setInt writes an integer of either sign, and is false if there is no room for it.
func (p place) setInt(size uintptr, n int64) bool {
	switch size {
	case 8:
		*as[int64](p) = n
	case 4:
		*as[int32](p) = int32(n)
	case 2:
		*as[int16](p) = int16(n)
	default:
		*as[int8](p) = int8(n)
	}
	return p.word(size) == n
}

func (p place) setUint(size uintptr, n uint64) bool {
	_ = p.setInt(size, int64(n))
	return p.unsigned(size) == n
}

// bytesOf is a text as bytes that nobody may change.
func bytesOf(text string) []byte { return unsafe.Slice(unsafe.StringData(text), len(text)) }

// boxed is how an interface lies in memory. A pointer lies in it itself, and so may what else fills one word.
type boxed struct {
	_     unsafe.Pointer // Its type.
	value place
}

func fillsWord[T any]() bool { return unsafe.Sizeof(*new(T)) == unsafe.Sizeof(place{}) }

// inside is the place of the T that an interface holds; nobody may write there.
func inside[T any](x any) place {
	if fillsWord[T]() {
		t := x.(T)
		return placeOf(&t)
	}
	_ = x.(T)
	return as[boxed](placeOf(&x)).value
}

// eventAt is an event that nobody changes any more, without a copy of it. like is any T.
func eventAt[T Event](like Event, at *T) Event {
	if fillsWord[T]() {
		return *at
	}
	as[boxed](placeOf(&like)).value = placeOf(at)
	return like
}
