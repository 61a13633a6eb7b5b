package domain

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
)

// verdict reads a list of rule results; most are texts.
func (r *plainReader) verdict(v *Verdict) bool {
	if r.has("null") {
		return true
	}
	if !r.next('[') {
		return false
	}
	var out results
	list := verdictText{from: r.at}
	if end := bytes.IndexByte(r.b[r.at:], ']'); end >= 0 { // Of the list, unless a result has one inside.
		list.text = string(r.b[r.at : r.at+end])
		out = resultsOf(strings.Count(list.text, ",") + 1)
	}
	for more := !r.next(']'); more; more = !r.next(']') {
		if len(out.all) > 0 && !r.next(',') {
			return false
		}
		r.space()
		if !r.result(out.next(), list) {
			return false
		}
	}
	*v = slices.Clip(out.all)
	return true
}

// verdictText is a list of results as one text, of which the rules are parts: fifty texts of their own would cost more.
type verdictText struct {
	from int
	text string
}

// part is b, which ends at to in the document.
func (l verdictText) part(b []byte, to int) string {
	if to -= l.from; to <= len(l.text) {
		return l.text[to-len(b) : to]
	}
	return string(b)
}

func (r *plainReader) result(x *RuleResult, list verdictText) bool {
	from := r.at
	if b, ok := r.text(); ok {
		return x.pass(list.part(b, r.at-1)) == nil
	}
	if r.fired(x) {
		return true
	}
	r.at, *x = from, RuleResult{}
	raw, ok := r.raw()
	return ok && json.Valid(raw) && x.UnmarshalJSON(raw) == nil
}

// fired reads a result that is an object, as appendObject writes it.
func (r *plainReader) fired(x *RuleResult) bool {
	ok := r.has(`{"rule":`) && r.into(&x.Rule) && r.has(`,"version":`) && r.whole(&x.Version) &&
		r.has(`,"outcome":`) && r.into((*string)(&x.Outcome)) &&
		(!r.has(`,"code":`) || r.into(&x.Code))
	x.Unconfirmed = ok && r.has(`,"unconfirmed":true`)
	return ok && (!r.has(`,"params":`) || r.params(x)) && r.has("}")
}

func (r *plainReader) into(to *string) bool {
	b, ok := r.text()
	if ok {
		*to = r.kept(b)
	}
	return ok
}

func (r *plainReader) whole(to *int) bool {
	n, ok := r.integer()
	*to = int(n)
	return ok && int64(*to) == n
}

func (r *plainReader) params(x *RuleResult) bool {
	if !r.has("{") {
		return false
	}
	x.Params = map[string]any{}
	for more := !r.has("}"); more; more = !r.has("}") {
		var name string
		if len(x.Params) > 0 && !r.has(",") || !r.into(&name) || !r.has(":") {
			return false
		}
		value, ok := r.param()
		if !ok {
			return false
		}
		x.Params[name] = value
	}
	return true
}

// param reads what most parameters are. Lists are left to others.
func (r *plainReader) param() (any, bool) {
	if r.has("true") {
		return true, true
	}
	if r.has("false") {
		return false, true
	}
	if b, ok := r.text(); ok {
		return r.kept(b), true
	}
	n, ok := r.integer()
	return n, ok
}
