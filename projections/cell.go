package projections

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"zujian/domain"
)

// Counters are named whole numbers of one figure's cell. Their JSON is sorted by name, so equal counters are equal bytes.
type Counters map[string]int64

// Bump adds deltas to the counters at key. A counter at 0 is dropped, an empty cell deleted.
func Bump(ctx context.Context, v View, key string, deltas Counters) error {
	all := make([]counter, 0, len(deltas))
	for name, n := range deltas {
		all = append(all, counter{name, n})
	}
	slices.SortFunc(all, func(a, b counter) int { return strings.Compare(a.name, b.name) })
	return bump(ctx, v, []byte(key), all)
}

// bump is Bump of deltas in order of names, each once. It looks for the cell once, and keeps the key only of one that is new:
// most are in memory.
func bump(ctx context.Context, v View, key []byte, deltas []counter) error {
	rows, _ := v.(*rowView)
	if rows != nil {
		if x := rows.rows.find(key); x != nil {
			if c, ok := x.value.(*valueRow[cell]); ok {
				if c.at = c.at.plus(deltas); len(c.at) == 0 {
					v.Delete(x.key)
				} else {
					rows.toPut(x)
				}
				return ctx.Err()
			}
		}
	}
	name := string(key)
	c, err := Get[cell](ctx, v, name)
	if err != nil {
		return err
	}
	if c = c.plus(deltas); len(c) == 0 {
		v.Delete(name)
		return nil
	}
	Put(v, name, c)
	return nil
}

// cell is Counters in memory while they are added to, some thirty at a filing: a list in order of names takes less than a
// map. What is stored is the same.
type cell []counter

type counter struct {
	name string
	n    int64
}

// plus adds deltas, in the cell's own memory.
func (c cell) plus(deltas []counter) cell {
	at := 0
	for _, d := range deltas {
		for at < len(c) && c[at].name < d.name {
			at++
		}
		switch {
		case at == len(c) || c[at].name != d.name:
			if d.n != 0 {
				c = slices.Insert(c, at, d)
			}
		case c[at].n+d.n == 0:
			c = slices.Delete(c, at, at+1)
		default:
			c[at].n += d.n
		}
	}
	return c
}

// ownRow is a type of rows that reads and writes its stored form itself.
type ownRow interface {
	readRow(raw []byte) error
	appendRow(b []byte) []byte
}

var _ ownRow = (*cell)(nil)

// readRow reads what appendRow writes, and any other JSON of Counters.
func (c *cell) readRow(raw []byte) error {
	if c.readPlain(string(raw)) {
		return nil
	}
	all, err := formOf[Counters]().Unmarshal(raw)
	if err != nil {
		return fmt.Errorf("counters: %w", err)
	}
	*c = (*c)[:0]
	for name, n := range all {
		*c = append(*c, counter{name, n})
	}
	slices.SortFunc(*c, func(a, b counter) int { return cmp.Compare(a.name, b.name) })
	return nil
}

// readPlain reads counters in order of plain names; if it is false they are otherwise.
func (c *cell) readPlain(text string) bool {
	rest, ok := strings.CutPrefix(text, "{")
	*c = make(cell, 0, strings.Count(text, ":"))
	for ok && rest != "}" {
		var name, digits string
		if len(*c) > 0 {
			if rest, ok = strings.CutPrefix(rest, ","); !ok {
				return false
			}
		}
		if rest, ok = strings.CutPrefix(rest, `"`); !ok {
			return false
		}
		if name, rest, ok = strings.Cut(rest, `":`); !ok || !plainName(name) || len(*c) > 0 && name <= (*c)[len(*c)-1].name {
			return false
		}
		end := strings.IndexAny(rest, ",}")
		if end < 0 {
			return false
		}
		digits, rest = rest[:end], rest[end:]
		n, err := strconv.ParseInt(digits, 10, 64)
		if err != nil || n == 0 || digits[0] == '+' || digits[0] == '0' {
			return false
		}
		*c = append(*c, counter{name, n})
	}
	return ok
}

func plainName(name string) bool {
	return !strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r >= utf8.RuneSelf || strings.ContainsRune(`"\<>&`, r) })
}

// appendRow writes the JSON of Counters.
func (c *cell) appendRow(b []byte) []byte {
	from := len(b)
	b = append(b, '{')
	for i, x := range *c {
		if !plainName(x.name) {
			return c.appendWide(b[:from])
		}
		if i > 0 {
			b = append(b, ',')
		}
		b = append(append(append(b, '"'), x.name...), '"', ':')
		b = strconv.AppendInt(b, x.n, 10)
	}
	return append(b, '}')
}

// appendWide writes counters of any names.
func (c *cell) appendWide(b []byte) []byte {
	all := make(Counters, len(*c))
	for _, x := range *c {
		all[x.name] = x.n
	}
	return appendRow(b, new(domain.PackRoom), &all)
}
