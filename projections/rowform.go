package projections

import (
	"errors"
	"fmt"
	"reflect"
	"sync"

	"zujian/domain"
)

// Packed is a type of rows that are stored in few bytes (domain.Form.Pack) rather than as JSON: rows written often. They are
// read by the very fields they were written with, so whatever changes a field of one, or of a state in it, MUST raise the
// view's version; the golden view shows it. Rows that outlive versions stay JSON.
type Packed interface{ Packed() }

// rowForm is how rows of a type are stored.
type rowForm[T any] struct {
	domain.Form[T]
	packed bool
	own    bool // It is an ownRow.
}

var (
	rowForms    sync.Map // Of the types of rows: reflect.Type → rowForm.
	packedTexts sync.Map // Of those packed: reflect.Type → what reads one as text.
)

// formOf works out once how rows of a type are stored.
func formOf[T any]() rowForm[T] {
	t := reflect.TypeFor[T]()
	known, ok := rowForms.Load(t)
	if !ok {
		_, own := any(new(T)).(ownRow)
		f := rowForm[T]{Form: domain.FormOf[T](), packed: t.Implements(reflect.TypeFor[Packed]()), own: own}
		if known, ok = rowForms.LoadOrStore(t, f); !ok && f.packed {
			packedTexts.Store(t, f.text)
		}
	}
	return known.(rowForm[T])
}

// text is a packed row as JSON, behind the mark of its form.
func (f rowForm[T]) text(raw []byte) (string, bool) {
	if !f.Packed(raw) {
		return "", false
	}
	row, err := f.Unpack(raw)
	if err != nil {
		return "", false
	}
	text, err := f.Append(nil, &row)
	return fmt.Sprintf("%x %s", raw[:domain.FormBytes], text), err == nil
}

// RowText shows a row to people, of whatever type this process has stored or read.
func RowText(raw []byte) string {
	out := string(raw)
	packedTexts.Range(func(_, read any) bool {
		text, is := read.(func([]byte) (string, bool))(raw)
		if is {
			out = text
		}
		return !is
	})
	return out
}

// RowOf reads the row of a pair, as Get does one.
func RowOf[T any](p Pair) (t T, err error) {
	switch f := formOf[T](); {
	case f.packed:
		t, err = f.Unpack(p.Value)
	case f.own:
		t, err = readOwn[T](p.Value)
	default:
		t, err = f.Unmarshal(p.Value)
	}
	switch {
	case errors.Is(err, domain.ErrOtherForm): // By a program with another version of the view, which is read by now.
		err = fmt.Errorf("%w: row %q: %w", ErrUnavailable, p.Key, err)
	case err != nil:
		err = fmt.Errorf("row %q: %w", p.Key, err)
	}
	return t, err
}

// readOwn is apart so that other rows need no memory of their own while they are read.
func readOwn[T any](raw []byte) (t T, err error) {
	err = any(&t).(ownRow).readRow(raw)
	return t, err
}

// appendRow writes the stored form of a row. View values are plain structs, so encoding can't fail.
func appendRow[T any](b []byte, room *domain.PackRoom, at *T) []byte {
	var err error
	switch f := formOf[T](); {
	case f.packed:
		b, err = f.Pack(b, room, at)
	case f.own:
		b = any(at).(ownRow).appendRow(b)
	default:
		b, err = f.Append(b, at)
	}
	if err != nil {
		panic("projections: " + err.Error())
	}
	return b
}
