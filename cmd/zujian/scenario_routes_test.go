package main

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
)

// route is one operation of openapi.yaml.
type route struct {
	id, method, path string
	op               *openapi3.Operation
}

func routes(t testing.TB) (out []route) {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromFile("../../api/openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			out = append(out, route{op.OperationID, method, path, op})
		}
	}
	slices.SortFunc(out, func(a, b route) int { return strings.Compare(a.id, b.id) })
	return out
}

// getRoutes are those that answer and end: a live stream has tests of its own.
func getRoutes(t testing.TB) []route {
	return slices.DeleteFunc(routes(t), func(r route) bool { return r.method != http.MethodGet || r.op.Extensions["x-live"] == true })
}

var pathParameter = regexp.MustCompile(`\{(\w+)\}`)

// fill puts ids into the path: "id" by what the path is about, others by their name. Required questions get an answer.
func (r route) fill(ids map[string]string) string {
	id := ids["id"]
	for prefix, kind := range map[string]string{
		"/v1/contracts/": "contract", "/v1/units/": "unit", "/v1/listings/": "listing", "/v1/views/housing/units/": "unit",
		"/v1/bank-statements/": "statement", "/v1/buildings/": "building", "/v1/views/housing/buildings/": "building",
	} {
		if strings.HasPrefix(r.path, prefix) {
			id = ids[kind]
		}
	}
	filled := pathParameter.ReplaceAllStringFunc(r.path, func(p string) string {
		name := p[1 : len(p)-1]
		switch {
		case name == "id" && id != "":
			return id
		case name != "id" && ids[name] != "":
			return ids[name]
		case name == "tranche":
			return "1"
		case name == "flag":
			return "SEIZED"
		case name == "release":
			return "2026-10"
		case name == "period":
			return "2026Q2"
		}
		return "absent"
	})
	var query []string
	for _, p := range r.op.Parameters {
		if p.Value.In == "query" && p.Value.Required {
			query = append(query, p.Value.Name+"="+map[string]string{"from": "2026-01", "to": "2026-12", "area": "320115", "kind": "party"}[p.Value.Name])
		}
	}
	if len(query) > 0 {
		filled += "?" + strings.Join(query, "&")
	}
	return filled
}
