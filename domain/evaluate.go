package domain

import (
	"math"
	"math/bits"
	"slices"
	"strings"
)

// term is an expression made ready to be asked of many facts: its parameters and literals are values, its shape is checked.
type term struct {
	op    string // An operator, opFact, opItem, or opLit of what is known beforehand.
	name  string // Path of a fact or item field.
	known Value
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

// evaluation is one judgement, rule by rule. Every operation is total: what can't be computed is unknown.
type evaluation struct {
	facts    Source
	item     Value // The list item at hand.
	calendar Calendar
}

func (ev *evaluation) eval(e *term) Value {
	switch e.op {
	case opFact:
		return ev.facts.Fact(e.name)
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
		return Value{}
	}
	return ev.operate(e)
}

// operate is an operation on all of its arguments: unknown if one is, unless it asks just that.
func (ev *evaluation) operate(e *term) Value {
	a := ev.eval(&e.args[0])
	switch e.op {
	case "present":
		return FactBool(a.kind != kindUnknown && a.kind != kindNull)
	case "not":
		if a.kind != kindBool {
			return Value{}
		}
		return FactBool(!a.truth())
	}
	b := &e.args[1].known
	if e.args[1].op != opLit {
		v := ev.eval(&e.args[1])
		b = &v
	}
	if a.kind == kindUnknown || b.kind == kindUnknown {
		return Value{}
	}
	switch e.op {
	case "==", "!=":
		return equal(&a, b, e.op == "==")
	case "<", "<=", ">", ">=":
		return compare(e.op, &a, b)
	case "between":
		c := ev.eval(&e.args[2])
		return both(compare(">=", &a, b), compare("<=", &a, &c))
	case "in":
		return member(b, &a)
	case "contains":
		return member(&a, b)
	case "+", "-", "*", "pct":
		sum := arithmetic(e.op, a, *b)
		for i := 2; i < len(e.args); i++ {
			sum = arithmetic(e.op, sum, ev.eval(&e.args[i]))
		}
		return sum
	}
	return ev.dates(e.op, a, *b)
}

func (ev *evaluation) field(name string) Value {
	if name == "" {
		return ev.item
	}
	if ev.item.kind != kindRecord {
		return Value{}
	}
	return ev.item.many.(Source).Fact(name)
}

// logic is Kleene's and/or: deciding is the value that settles it alone.
func (ev *evaluation) logic(args []term, deciding bool) Value {
	out := FactBool(!deciding)
	for i := range args {
		switch v := ev.eval(&args[i]); {
		case v.kind != kindBool:
			out = Value{}
		case v.truth() == deciding:
			return v
		}
	}
	return out
}

func (ev *evaluation) overList(e *term) Value {
	list := ev.eval(&e.args[0])
	var n int
	switch list.kind {
	case kindRecords:
		n = list.many.(records).len()
	case kindTexts:
		n = len(list.texts())
	default:
		if e.op == "min" || e.op == "max" {
			return extreme(e.op, list, ev.eval(&e.args[1]))
		}
		return Value{}
	}
	if len(e.args) == 1 {
		return FactInt(n)
	}
	outer := ev.item
	defer func() { ev.item = outer }()
	if e.op == "distinct" {
		results := make([]Value, n)
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

func item(list Value, i int) Value {
	if list.kind == kindRecords {
		return Value{kind: kindRecord, many: list.many.(records).at(i)}
	}
	return FactText(list.texts()[i])
}

// start is the result over an empty list; the least and the most of nothing are unknown.
func start(op string) Value {
	switch op {
	case "any", "all":
		return FactBool(op == "all")
	case "count", "sum":
		return FactInt(0)
	}
	return Value{}
}

// reduce adds the i-th result to sum; done means that nothing later changes it.
func reduce(op string, i int, sum, r Value) (next Value, done bool) {
	switch op {
	case "any", "all":
		if r.kind != kindBool {
			return Value{}, false
		}
		if r.truth() == (op == "any") {
			return r, true
		}
		return sum, false
	case "count":
		if r.kind != kindBool {
			return Value{}, true
		}
		sum.n += r.n
	case "sum":
		sum = arithmetic("+", sum, r)
	default:
		if i == 0 {
			sum = r
		} else {
			sum = extreme(op, sum, r)
		}
	}
	return sum, sum.kind == kindUnknown
}

func distinct(results []Value) Value {
	type key struct {
		kind kind
		n    int64
		text string
	}
	seen := map[key]bool{}
	for _, r := range results {
		if r.kind == kindUnknown || r.kind > kindDay {
			return Value{}
		}
		seen[key{r.kind, r.n, r.text}] = true
	}
	return FactInt(len(seen))
}

func extreme(op string, a, b Value) Value {
	if a.kind != b.kind || (a.kind != kindInt && a.kind != kindDay) {
		return Value{}
	}
	if (a.n < b.n) == (op == "min") {
		return a
	}
	return b
}

func equal(a, b *Value, want bool) Value {
	switch {
	case a.kind == kindNull || b.kind == kindNull:
		return FactBool((a.kind == b.kind) == want)
	case a.kind != b.kind || a.kind > kindDay:
		return Value{}
	}
	return FactBool((a.n == b.n && a.text == b.text) == want)
}

func compare(op string, a, b *Value) Value {
	if a.kind != b.kind || (a.kind != kindInt && a.kind != kindDay) {
		return Value{}
	}
	switch op {
	case "<":
		return FactBool(a.n < b.n)
	case "<=":
		return FactBool(a.n <= b.n)
	case ">":
		return FactBool(a.n > b.n)
	}
	return FactBool(a.n >= b.n)
}

// both is unknown if one is.
func both(a, b Value) Value {
	if a.kind != kindBool || b.kind != kindBool {
		return Value{}
	}
	return FactBool(a.truth() && b.truth())
}

func member(list, x *Value) Value {
	switch {
	case x.kind != kindText:
		return Value{}
	case list.kind == kindTexts:
		return FactBool(slices.Contains(list.texts(), x.text))
	case list.kind == kindText:
		return FactBool(strings.Contains(list.text, x.text))
	}
	return Value{}
}

func arithmetic(op string, a, b Value) Value {
	if a.kind != kindInt || b.kind != kindInt {
		return Value{}
	}
	n, ok := calculate(op, a.n, b.n)
	if !ok {
		return Value{}
	}
	return FactInt(n)
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

func (ev *evaluation) dates(op string, a, b Value) Value {
	if a.kind != kindDay {
		return Value{}
	}
	if op == "date_diff_days" {
		if b.kind != kindDay {
			return Value{}
		}
		return FactInt(b.n - a.n)
	}
	from := Day(a.n)
	if b.kind != kindInt || b.n < -termMax || b.n > termMax || from < DayMin || from > DayMax {
		return Value{}
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
		return Value{}
	}
	return Value{kind: kindDay, n: int64(d)}
}

// used is what a judgement read, for the answer and the event: parameters by name, single facts by path, and under
// "missing" the facts nobody gave. Lists stay out: they may be long and name people.
func used(r *Rule, f Source) map[string]any {
	out := map[string]any{}
	var missing []string
	r.Predicate.walk(func(x Expr) {
		switch x.Op {
		case opParam:
			out[x.Name] = r.Params[x.Name].Value
		case opFact:
			switch v := f.Fact(x.Name); v.kind {
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
