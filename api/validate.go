package api

import (
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
)

// Codes of a field that does not fit its schema (problems.json, errors[].code).
const (
	codeRequired = "field.required"
	codeUnknown  = "field.unknown"
	codeType     = "field.type"
	codeValue    = "field.value"  // Not one of the allowed values.
	codeFormat   = "field.format" // Wrong form: pattern, date.
	codeRange    = "field.range"  // Too small or too large.
	codeLength   = "field.length" // Too short, too long, too few, too many.
	codeRepeated = "field.repeated"
)

// fieldErrorsMax bounds errors[]: an answer must not outgrow its question.
const fieldErrorsMax = 50

// validate holds a decoded document to its schema.
func validate(s *jsonschema.Schema, v any) []FieldError {
	err := s.Validate(v)
	if err == nil {
		return nil
	}
	var ve *jsonschema.ValidationError
	if !errors.As(err, &ve) {
		return []FieldError{{Code: codeFormat}}
	}
	var found []FieldError
	collect(ve, &found)
	slices.SortFunc(found, func(a, b FieldError) int {
		return strings.Compare(a.Pointer+"\x00"+a.Code, b.Pointer+"\x00"+b.Code)
	})
	found = slices.Compact(found)
	return found[:min(len(found), fieldErrorsMax)]
}

func collect(e *jsonschema.ValidationError, out *[]FieldError) {
	if len(e.Causes) > 0 {
		for _, c := range e.Causes {
			collect(c, out)
		}
		return
	}
	at := ""
	for _, step := range e.InstanceLocation {
		at += "/" + escapePointer(step)
	}
	switch k := e.ErrorKind.(type) {
	case *kind.Required:
		for _, name := range k.Missing {
			*out = append(*out, FieldError{Pointer: at + "/" + escapePointer(name), Code: codeRequired})
		}
	case *kind.AdditionalProperties:
		for _, name := range k.Properties {
			*out = append(*out, FieldError{Pointer: at + "/" + escapePointer(name), Code: codeUnknown})
		}
	default:
		*out = append(*out, FieldError{Pointer: at, Code: kindCode(k)})
	}
}

func kindCode(k jsonschema.ErrorKind) string {
	switch k.(type) {
	case *kind.Type:
		return codeType
	case *kind.Enum, *kind.Const:
		return codeValue
	case *kind.Minimum, *kind.Maximum, *kind.ExclusiveMinimum, *kind.ExclusiveMaximum:
		return codeRange
	case *kind.MinLength, *kind.MaxLength, *kind.MinItems, *kind.MaxItems, *kind.MinProperties, *kind.MaxProperties:
		return codeLength
	case *kind.UniqueItems:
		return codeRepeated
	}
	return codeFormat
}

// check holds a path or query value to the parameter's schema.
func (p param) check(value string) bool {
	for _, r := range value {
		if !visible(r) || r == '\n' || r == '\t' {
			return false
		}
	}
	var v any = value
	if p.integer {
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil || strconv.FormatInt(n, 10) != value {
			return false
		}
		v = json.Number(value)
	}
	return p.schema.Validate(v) == nil
}
