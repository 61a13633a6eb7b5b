package domain

import (
	"errors"
	"maps"
)

// Rejection is a business "no". Code is stable and public (api/problems.json lists each with its status and texts);
// Params fill translated texts; Pointer is the RFC 6901 pointer of the offending field, if one field is to blame.
type Rejection struct {
	Code, Detail string
	Pointer      string
	Rule         string // Rule id ("C-04") when a rule of the rule set refused; else "".
	RuleVersion  int
	Params       map[string]any
}

// Reject declares a rejection. Call it only at package level, so that a test can hold the catalogue to it.
func Reject(code, detail string) *Rejection { return &Rejection{Code: code, Detail: detail} }

func (r *Rejection) Error() string { return r.Code + ": " + r.Detail }

// Is compares codes only, so parameters never change identity.
func (r *Rejection) Is(target error) bool {
	t, ok := errors.AsType[*Rejection](target)
	return ok && t.Code == r.Code
}

// With returns a copy carrying one more parameter.
func (r *Rejection) With(key string, value any) *Rejection {
	c := *r
	c.Params = map[string]any{}
	maps.Copy(c.Params, r.Params)
	c.Params[key] = value
	return &c
}

// At returns a copy that blames the field at pointer ("/deposit_fen").
func (r *Rejection) At(pointer string) *Rejection {
	c := *r
	c.Pointer = pointer
	return &c
}
