package domain

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Expr is a predicate or term over facts, as data. In JSON an operation is an array ["<", a, b], a fact the text
// "$lease.start", a parameter "@max_days", a field of the list item at hand ".age" ("." is the item itself), and
// everything else a literal: whole number, true, false, null, text, ["day", "2025-09-15"], ["list", "A", "B"],
// ["text", "$5"].
//
// There are no loops beyond a fact's list, no I/O and no failure: a missing fact or one of the wrong kind makes the
// result unknown, by Kleene's three-valued logic: false and unknown is false, true or unknown is true.
type Expr struct {
	Op    string // Operator, or fact, param, item, lit.
	Name  string // Path of a fact or item field, name of a parameter.
	Value any    // Literal: int64, bool, string, Day, []string, nil.
	Args  []Expr
}

// Leaf operators of Expr.
const (
	opFact  = "fact"
	opParam = "param"
	opItem  = "item"
	opLit   = "lit"
)

func (e Expr) MarshalJSON() ([]byte, error) {
	switch e.Op {
	case "":
		return []byte("null"), nil
	case opFact:
		return json.Marshal("$" + e.Name)
	case opParam:
		return json.Marshal("@" + e.Name)
	case opItem:
		return json.Marshal("." + e.Name)
	case opLit:
		switch v := e.Value.(type) {
		case Day:
			return json.Marshal([]string{"day", v.String()})
		case []string:
			return json.Marshal(append([]string{"list"}, v...))
		case string:
			if strings.HasPrefix(v, "$") || strings.HasPrefix(v, "@") || strings.HasPrefix(v, ".") {
				return json.Marshal([]string{"text", v})
			}
		}
		return json.Marshal(e.Value)
	}
	parts := make([]any, 0, 1+len(e.Args))
	parts = append(parts, e.Op)
	for _, a := range e.Args {
		parts = append(parts, a)
	}
	return json.Marshal(parts)
}

func (e *Expr) UnmarshalJSON(b []byte) error {
	var raw any
	if err := decodeNumbers(b, &raw); err != nil {
		return err
	}
	nodes := 0
	got, err := parseExpr(raw, 0, &nodes)
	if err != nil {
		return fmt.Errorf("predicate: %w", err)
	}
	*e = got
	return nil
}

func parseExpr(raw any, depth int, nodes *int) (Expr, error) {
	if *nodes++; *nodes > ruleNodesMax || depth > ruleDepthMax {
		return Expr{}, fmt.Errorf("more than %d nodes or %d levels", ruleNodesMax, ruleDepthMax)
	}
	switch v := raw.(type) {
	case string:
		for i, sigil := range []string{"$", "@", "."} {
			if name, ok := strings.CutPrefix(v, sigil); ok {
				return Expr{Op: []string{opFact, opParam, opItem}[i], Name: name}, nil
			}
		}
	case []any:
		return parseArray(v, depth, nodes)
	case map[string]any:
		return Expr{}, errors.New("an object is no expression")
	}
	lit, err := literal(raw)
	return Expr{Op: opLit, Value: lit}, err
}

func parseArray(v []any, depth int, nodes *int) (Expr, error) {
	if len(v) == 0 {
		return Expr{}, errors.New("an empty array is no expression")
	}
	op, ok := v[0].(string)
	if !ok {
		return Expr{}, errors.New("an array begins with its operator")
	}
	switch op {
	case "list":
		lit, err := literal(v[1:])
		return Expr{Op: opLit, Value: lit}, err
	case "day", "text":
		if len(v) != 2 {
			return Expr{}, fmt.Errorf("%s takes one text", op)
		}
		s, ok := v[1].(string)
		if !ok {
			return Expr{}, fmt.Errorf("%s takes one text", op)
		}
		if op == "text" {
			return Expr{Op: opLit, Value: s}, nil
		}
		d, err := ParseDay(s)
		return Expr{Op: opLit, Value: d}, err
	}
	if _, known := operators[op]; !known {
		return Expr{}, fmt.Errorf("unknown operator %q", op)
	}
	e := Expr{Op: op}
	for _, raw := range v[1:] {
		a, err := parseExpr(raw, depth+1, nodes)
		if err != nil {
			return Expr{}, err
		}
		e.Args = append(e.Args, a)
	}
	return e, nil
}

// literal turns decoded JSON (with json.Number) into int64, bool, string, []string or nil.
func literal(raw any) (any, error) {
	switch v := raw.(type) {
	case nil, bool, string:
		return v, nil
	case json.Number:
		i, err := v.Int64()
		if err != nil {
			return nil, fmt.Errorf("%s is not a whole number", v)
		}
		return i, nil
	case []any:
		list := []string{}
		for _, x := range v {
			s, ok := x.(string)
			if !ok {
				return nil, errors.New("a list holds texts only")
			}
			list = append(list, s)
		}
		return list, nil
	}
	return nil, fmt.Errorf("%T is no literal", raw)
}

// Facts lists the paths of the facts an expression reads, sorted, each once.
func (e Expr) Facts() []string {
	set := map[string]bool{}
	e.walk(func(x Expr) {
		if x.Op == opFact {
			set[x.Name] = true
		}
	})
	return slices.Sorted(maps.Keys(set))
}

// Needs lists the facts without which the expression is unknown at best: those outside first and present.
func (e Expr) Needs() []string {
	set := map[string]bool{}
	var visit func(Expr)
	visit = func(x Expr) {
		switch x.Op {
		case opFact:
			set[x.Name] = true
		case "first", "present":
			return
		}
		for _, a := range x.Args {
			visit(a)
		}
	}
	visit(e)
	return slices.Sorted(maps.Keys(set))
}

// choices are the texts each parameter is compared with. Where there are such, another value decides nothing: "≥" in
// place of ">=" would end a limit without a word.
func (e Expr) choices() map[string][]string {
	out := map[string][]string{}
	e.walk(func(x Expr) {
		if x.Op != "==" || len(x.Args) != 2 {
			return
		}
		for i, a := range x.Args {
			text, ok := x.Args[1-i].Value.(string)
			if a.Op == opParam && ok && x.Args[1-i].Op == opLit {
				out[a.Name] = append(out[a.Name], text)
			}
		}
	})
	return out
}

func (e Expr) walk(visit func(Expr)) {
	visit(e)
	for _, a := range e.Args {
		a.walk(visit)
	}
}

// FactKind is the kind of a fact or term.
type FactKind string

// Kinds of facts.
const (
	KindAny     FactKind = "any" // Not known before judging.
	KindNull    FactKind = "null"
	KindBool    FactKind = "bool"
	KindInt     FactKind = "int"
	KindText    FactKind = "text"
	KindDay     FactKind = "day"
	KindTexts   FactKind = "texts" // []string
	KindRecords FactKind = "records"
)

// operator is an operator's shape: how many arguments of which kind, and what it gives.
type operator struct {
	min, max int
	args     []FactKind // Of each argument; the last repeats.
	gives    FactKind
	item     bool // The last argument is judged once for each item of the first.
}

const argsMax = 40

var operators = map[string]operator{
	"and":     {1, argsMax, []FactKind{KindBool}, KindBool, false},
	"or":      {1, argsMax, []FactKind{KindBool}, KindBool, false},
	"not":     {1, 1, []FactKind{KindBool}, KindBool, false},
	"present": {1, 1, []FactKind{KindAny}, KindBool, false},      // False of a missing fact and of null: never unknown.
	"first":   {2, argsMax, []FactKind{KindAny}, KindAny, false}, // The first term that is known and not null.
	"==":      {2, 2, []FactKind{KindAny}, KindBool, false},
	"!=":      {2, 2, []FactKind{KindAny}, KindBool, false},
	"<":       {2, 2, []FactKind{KindAny}, KindBool, false},
	"<=":      {2, 2, []FactKind{KindAny}, KindBool, false},
	">":       {2, 2, []FactKind{KindAny}, KindBool, false},
	">=":      {2, 2, []FactKind{KindAny}, KindBool, false},
	"between": {3, 3, []FactKind{KindAny}, KindBool, false}, // Both ends included.

	"in":       {2, 2, []FactKind{KindText, KindTexts}, KindBool, false},
	"contains": {2, 2, []FactKind{KindAny, KindText}, KindBool, false}, // A list holds, or a text includes.
	"any":      {2, 2, []FactKind{KindAny, KindBool}, KindBool, true},
	"all":      {2, 2, []FactKind{KindAny, KindBool}, KindBool, true},
	"count":    {1, 2, []FactKind{KindAny, KindBool}, KindInt, true},
	"distinct": {2, 2, []FactKind{KindAny, KindAny}, KindInt, true}, // How many different values of a term.
	"sum":      {2, 2, []FactKind{KindAny, KindInt}, KindInt, true},
	"min":      {2, 2, []FactKind{KindAny, KindAny}, KindAny, true}, // Of a term over a list, or of two terms.
	"max":      {2, 2, []FactKind{KindAny, KindAny}, KindAny, true},

	"+":              {2, argsMax, []FactKind{KindInt}, KindInt, false},
	"-":              {2, 2, []FactKind{KindInt}, KindInt, false},
	"*":              {2, 2, []FactKind{KindInt}, KindInt, false},
	"pct":            {2, 2, []FactKind{KindInt}, KindInt, false},          // x × basis points / 10 000, half up.
	"date_diff_days": {2, 2, []FactKind{KindDay}, KindInt, false},          // Days from the first to the second.
	"add_days":       {2, 2, []FactKind{KindDay, KindInt}, KindDay, false}, // Also n < 0.
	"add_months":     {2, 2, []FactKind{KindDay, KindInt}, KindDay, false}, // Clamped to the month's end.
	"add_workdays":   {2, 2, []FactKind{KindDay, KindInt}, KindDay, false}, // By the calendar of the rule set.
}

// check refuses an expression of wrong shape or kinds; it must be a truth value.
func (e Expr) check(params map[string]Param, kindOf func(string) (FactKind, bool)) error {
	nodes := 0
	c := checker{params: params, kindOf: kindOf, nodes: &nodes}
	k, err := c.kind(e, 0, false)
	if err != nil {
		return err
	}
	if !fits(k, KindBool) {
		return fmt.Errorf("it is %s, not a condition", k)
	}
	return nil
}

type checker struct {
	params map[string]Param
	kindOf func(string) (FactKind, bool)
	nodes  *int
}

func fits(got, want FactKind) bool { return got == want || got == KindAny || want == KindAny }

func (c checker) kind(e Expr, depth int, item bool) (FactKind, error) {
	if *c.nodes++; *c.nodes > ruleNodesMax || depth > ruleDepthMax {
		return "", fmt.Errorf("more than %d nodes or %d levels", ruleNodesMax, ruleDepthMax)
	}
	switch e.Op {
	case opFact:
		if e.Name == "" || len(e.Name) > 100 {
			return "", fmt.Errorf("fact %q", e.Name)
		}
		if c.kindOf == nil {
			return KindAny, nil
		}
		k, ok := c.kindOf(e.Name)
		if !ok {
			return "", fmt.Errorf("nobody provides the fact %q", e.Name)
		}
		return k, nil
	case opItem:
		if !item {
			return "", fmt.Errorf("field %q outside a list", "."+e.Name)
		}
		return KindAny, nil
	case opParam:
		p, ok := c.params[e.Name]
		if !ok {
			return "", fmt.Errorf("no parameter %q", e.Name)
		}
		return literalKind(p.Value)
	case opLit:
		return literalKind(e.Value)
	}
	op, ok := operators[e.Op]
	if !ok {
		return "", fmt.Errorf("unknown operator %q", e.Op)
	}
	if len(e.Args) < op.min || len(e.Args) > op.max {
		return "", fmt.Errorf("%s takes %d to %d arguments, not %d", e.Op, op.min, op.max, len(e.Args))
	}
	kinds := make([]FactKind, len(e.Args))
	for i, a := range e.Args {
		k, err := c.kind(a, depth+1, item || (op.item && i > 0))
		if err != nil {
			return "", err
		}
		want := op.args[min(i, len(op.args)-1)]
		if !fits(k, want) {
			return "", fmt.Errorf("%s: argument %d is %s, not %s", e.Op, i+1, k, want)
		}
		kinds[i] = k
	}
	return op.gives, checkArgs(e, kinds)
}

func checkArgs(e Expr, kinds []FactKind) error {
	switch e.Op {
	case "==", "!=":
		if !fits(kinds[0], kinds[1]) && kinds[0] != KindNull && kinds[1] != KindNull {
			return fmt.Errorf("%s compares %s with %s", e.Op, kinds[0], kinds[1])
		}
	case "<", "<=", ">", ">=", "between":
		for _, k := range kinds {
			if (!fits(k, KindInt) && !fits(k, KindDay)) || !fits(k, kinds[0]) {
				return fmt.Errorf("%s compares %s with %s", e.Op, kinds[0], k)
			}
		}
	case "any", "all", "count", "distinct", "sum":
		if !fits(kinds[0], KindTexts) && !fits(kinds[0], KindRecords) {
			return fmt.Errorf("%s: %s is no list", e.Op, kinds[0])
		}
	case "contains":
		if !fits(kinds[0], KindTexts) && !fits(kinds[0], KindText) {
			return fmt.Errorf("contains: %s is neither list nor text", kinds[0])
		}
	case "present":
		if op := e.Args[0].Op; op != opFact && op != opItem {
			return errors.New("present takes a fact or a field")
		}
	}
	return nil
}

func literalKind(v any) (FactKind, error) {
	switch v.(type) {
	case nil:
		return KindNull, nil
	case bool:
		return KindBool, nil
	case int64:
		return KindInt, nil
	case string:
		return KindText, nil
	case Day:
		return KindDay, nil
	case []string:
		return KindTexts, nil
	}
	return "", fmt.Errorf("%T is no value of a rule", v)
}
