package domain

import (
	"math"
	"math/bits"
	"slices"
	"strings"
)

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

// value is a fact or the result of an operation. The zero value is unknown.
type value struct {
	kind kind
	n    int64 // Of a bool, int or day.
	text string
	many any // []string, []Facts or Facts.
}

func (v value) truth() bool { return v.n != 0 }

func (v value) texts() []string {
	list, _ := v.many.([]string)
	return list
}

func (v value) records() []Facts {
	list, _ := v.many.([]Facts)
	return list
}

func (v value) record() Facts {
	f, _ := v.many.(Facts)
	return f
}

func truth(b bool) value {
	if b {
		return value{kind: kindBool, n: 1}
	}
	return value{kind: kindBool}
}

func valueOf(some any) value {
	switch x := some.(type) {
	case nil:
		return value{kind: kindNull}
	case bool:
		return truth(x)
	case int:
		return value{kind: kindInt, n: int64(x)}
	case int64:
		return value{kind: kindInt, n: x}
	case Fen:
		return value{kind: kindInt, n: int64(x)}
	case string:
		return value{kind: kindText, text: x}
	case Day:
		return value{kind: kindDay, n: int64(x)}
	case []string:
		return value{kind: kindTexts, many: some}
	case []Facts:
		return value{kind: kindRecords, many: some}
	case Facts:
		return value{kind: kindRecord, many: some}
	}
	return value{}
}

// lookup follows a dotted path. A zero Day is absent, like an absent key.
func lookup(f Facts, path string) value {
	for {
		head, rest, more := strings.Cut(path, ".")
		x, ok := f[head]
		if !ok {
			return value{}
		}
		if !more {
			v := valueOf(x)
			if v.kind == kindDay && v.n == 0 {
				return value{kind: kindNull}
			}
			return v
		}
		if f, ok = x.(Facts); !ok {
			return value{}
		}
		path = rest
	}
}

// term is an expression made ready to be asked of many facts: its parameters and literals are values, its shape is checked.
type term struct {
	op    string // An operator, opFact, opItem, or opLit of what is known beforehand.
	name  string // Path of a fact or item field.
	known value
	args  []term
}

// termOf makes an expression ready. What could never be computed is unknown.
func termOf(e *Expr, params map[string]Param) term {
	switch e.Op {
	case opFact, opItem:
		return term{op: e.Op, name: e.Name}
	case opParam:
		if p, ok := params[e.Name]; ok {
			return term{op: opLit, known: valueOf(p.Value)}
		}
		return term{op: opLit}
	case opLit:
		return term{op: opLit, known: valueOf(e.Value)}
	}
	op, known := operators[e.Op]
	if !known || len(e.Args) < op.min || len(e.Args) > op.max {
		return term{op: opLit}
	}
	t := term{op: e.Op, args: make([]term, len(e.Args))}
	for i := range e.Args {
		t.args[i] = termOf(&e.Args[i], params)
	}
	return t
}

// evaluation is one judgement of one rule. Every operation is total: what can't be computed is unknown.
type evaluation struct {
	facts    Facts
	item     value // The list item at hand.
	calendar Calendar
}

func (ev *evaluation) eval(e *term) value {
	switch e.op {
	case opFact:
		return lookup(ev.facts, e.name)
	case opItem:
		return ev.field(e.name)
	case opLit:
		return e.known
	case "and", "or":
		return ev.logic(e.args, e.op == "or")
	case "any", "all", "count", "distinct", "sum", "min", "max":
		return ev.overList(e)
	case "first":
		for i := range e.args {
			if v := ev.eval(&e.args[i]); v.kind != kindUnknown && v.kind != kindNull {
				return v
			}
		}
		return value{}
	}
	var buf [4]value
	args := buf[:0]
	for i := range e.args {
		args = append(args, ev.eval(&e.args[i]))
	}
	switch e.op {
	case "present":
		return truth(args[0].kind != kindUnknown && args[0].kind != kindNull)
	case "not":
		if args[0].kind != kindBool {
			return value{}
		}
		return truth(!args[0].truth())
	}
	for _, a := range args {
		if a.kind == kindUnknown {
			return value{}
		}
	}
	switch e.op {
	case "==", "!=":
		return equal(args[0], args[1], e.op == "==")
	case "<", "<=", ">", ">=", "between":
		return compare(e.op, args)
	case "in":
		return member(args[1], args[0])
	case "contains":
		return member(args[0], args[1])
	case "+", "-", "*", "pct":
		return arithmetic(e.op, args)
	}
	return ev.dates(e.op, args[0], args[1])
}

func (ev *evaluation) field(name string) value {
	if name == "" {
		return ev.item
	}
	if ev.item.kind != kindRecord {
		return value{}
	}
	return lookup(ev.item.record(), name)
}

// logic is Kleene's and/or: deciding is the value that settles it alone.
func (ev *evaluation) logic(args []term, deciding bool) value {
	out := truth(!deciding)
	for i := range args {
		switch v := ev.eval(&args[i]); {
		case v.kind != kindBool:
			out = value{}
		case v.truth() == deciding:
			return v
		}
	}
	return out
}

func (ev *evaluation) overList(e *term) value {
	list := ev.eval(&e.args[0])
	var n int
	switch list.kind {
	case kindRecords:
		n = len(list.records())
	case kindTexts:
		n = len(list.texts())
	default:
		if e.op == "min" || e.op == "max" {
			return extreme(e.op, list, ev.eval(&e.args[1]))
		}
		return value{}
	}
	if len(e.args) == 1 {
		return value{kind: kindInt, n: int64(n)}
	}
	outer := ev.item
	defer func() { ev.item = outer }()
	if e.op == "distinct" {
		results := make([]value, n)
		for i := range n {
			ev.item = item(list, i)
			results[i] = ev.eval(&e.args[1])
		}
		return distinct(results)
	}
	sum := start(e.op)
	for i := range n {
		ev.item = item(list, i)
		next, done := reduce(e.op, i, sum, ev.eval(&e.args[1]))
		if sum = next; done {
			break
		}
	}
	return sum
}

func item(list value, i int) value {
	if list.kind == kindRecords {
		return value{kind: kindRecord, many: list.records()[i]}
	}
	return value{kind: kindText, text: list.texts()[i]}
}

// start is the result over an empty list; the least and the most of nothing are unknown.
func start(op string) value {
	switch op {
	case "any", "all":
		return truth(op == "all")
	case "count", "sum":
		return value{kind: kindInt}
	}
	return value{}
}

// reduce adds the i-th result to sum; done means that nothing later changes it.
func reduce(op string, i int, sum, r value) (next value, done bool) {
	switch op {
	case "any", "all":
		if r.kind != kindBool {
			return value{}, false
		}
		if r.truth() == (op == "any") {
			return r, true
		}
		return sum, false
	case "count":
		if r.kind != kindBool {
			return value{}, true
		}
		sum.n += r.n
	case "sum":
		sum = arithmetic("+", []value{sum, r})
	default:
		if i == 0 {
			sum = r
		} else {
			sum = extreme(op, sum, r)
		}
	}
	return sum, sum.kind == kindUnknown
}

func distinct(results []value) value {
	type key struct {
		kind kind
		n    int64
		text string
	}
	seen := map[key]bool{}
	for _, r := range results {
		if r.kind == kindUnknown || r.kind > kindDay {
			return value{}
		}
		seen[key{r.kind, r.n, r.text}] = true
	}
	return value{kind: kindInt, n: int64(len(seen))}
}

func extreme(op string, a, b value) value {
	if a.kind != b.kind || (a.kind != kindInt && a.kind != kindDay) {
		return value{}
	}
	if (a.n < b.n) == (op == "min") {
		return a
	}
	return b
}

func equal(a, b value, want bool) value {
	switch {
	case a.kind == kindNull || b.kind == kindNull:
		return truth((a.kind == b.kind) == want)
	case a.kind != b.kind || a.kind > kindDay:
		return value{}
	}
	return truth((a.n == b.n && a.text == b.text) == want)
}

func compare(op string, args []value) value {
	for _, a := range args {
		if a.kind != args[0].kind || (a.kind != kindInt && a.kind != kindDay) {
			return value{}
		}
	}
	x, y := args[0].n, args[1].n
	switch op {
	case "<":
		return truth(x < y)
	case "<=":
		return truth(x <= y)
	case ">":
		return truth(x > y)
	case ">=":
		return truth(x >= y)
	}
	return truth(x >= y && x <= args[2].n)
}

func member(list, x value) value {
	switch {
	case x.kind != kindText:
		return value{}
	case list.kind == kindTexts:
		return truth(slices.Contains(list.texts(), x.text))
	case list.kind == kindText:
		return truth(strings.Contains(list.text, x.text))
	}
	return value{}
}

func arithmetic(op string, args []value) value {
	for _, a := range args {
		if a.kind != kindInt {
			return value{}
		}
	}
	out := args[0]
	for _, b := range args[1:] {
		n, ok := calculate(op, out.n, b.n)
		if !ok {
			return value{}
		}
		out.n = n
	}
	return out
}

func calculate(op string, a, b int64) (int64, bool) {
	switch op {
	case "+":
		return a + b, (a+b > a) == (b > 0)
	case "-":
		return a - b, (a-b < a) == (b > 0)
	case "*":
		if a == math.MinInt64 || b == math.MinInt64 {
			return 0, false
		}
		hi, lo := bits.Mul64(uint64(max(a, -a)), uint64(max(b, -b)))
		return a * b, hi == 0 && lo <= math.MaxInt64
	}
	if a < -int64(FenMax) || a > int64(FenMax) {
		return 0, false
	}
	got, err := Fen(a).MulDiv(b, 10_000)
	return int64(got), err == nil
}

// termMax bounds the days, months and working days a rule may add.
const termMax = 10_000

func (ev *evaluation) dates(op string, a, b value) value {
	if a.kind != kindDay {
		return value{}
	}
	if op == "date_diff_days" {
		if b.kind != kindDay {
			return value{}
		}
		return value{kind: kindInt, n: b.n - a.n}
	}
	from := Day(a.n)
	if b.kind != kindInt || b.n < -termMax || b.n > termMax || from < DayMin || from > DayMax {
		return value{}
	}
	var d Day
	switch op {
	case "add_days":
		d = from.AddDays(int(b.n))
	case "add_months":
		d = from.AddMonths(int(b.n))
	case "add_workdays":
		d = ev.calendar.AddWorkdays(from, int(b.n))
	default:
		return value{}
	}
	return value{kind: kindDay, n: int64(d)}
}

// used is what a judgement read, for the answer and the event: parameters by name, single facts by path, and under
// "missing" the facts nobody gave. Lists stay out: they may be long and name people.
func used(r *Rule, f Facts) map[string]any {
	out := map[string]any{}
	var missing []string
	r.Predicate.walk(func(x Expr) {
		switch x.Op {
		case opParam:
			out[x.Name] = r.Params[x.Name].Value
		case opFact:
			switch v := lookup(f, x.Name); v.kind {
			case kindUnknown:
				missing = append(missing, x.Name)
			case kindBool:
				out[x.Name] = v.truth()
			case kindInt:
				out[x.Name] = v.n
			case kindText:
				out[x.Name] = v.text
			case kindDay:
				out[x.Name] = Day(v.n).String()
			}
		}
	})
	if len(missing) > 0 {
		slices.Sort(missing)
		out["missing"] = strings.Join(slices.Compact(missing), ",")
	}
	if len(out) == 0 {
		return nil
	}
	return out
}
