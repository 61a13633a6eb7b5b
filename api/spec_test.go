package api_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
	"gopkg.in/yaml.v3"
)

// specified is openapi.yaml as an independent library reads it.
var specified = sync.OnceValues(func() (*openapi3.T, error) { return openapi3.NewLoader().LoadFromFile("openapi.yaml") })

// document finds what it says of a request.
var document = sync.OnceValues(func() (routers.Router, error) {
	doc, err := specified()
	if err != nil {
		return nil, err
	}
	return gorillamux.NewRouter(doc)
})

// TestAnyFolder starts where a path is no URL: the name of the folder means nothing to a server.
func TestAnyFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "租 鉴")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	newTown(t)
}

// recordAnswer holds every answer of every test in this package to the document.
func recordAnswer(t testing.TB, r *http.Request, a reply) {
	t.Helper()
	if !strings.HasPrefix(r.URL.Path, "/v1/") {
		return
	}
	router, err := document()
	if err != nil {
		t.Fatal(err)
	}
	route, params, err := router.FindRoute(r)
	if err != nil {
		if a.status != http.StatusNotFound && a.status != http.StatusMethodNotAllowed && a.status < 400 {
			t.Errorf("%s is not in openapi.yaml and was answered %d", a.asked, a.status)
		}
		return
	}
	in := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{Request: r, PathParams: params, Route: route},
		Status:                 a.status, Header: a.header,
		Options: &openapi3filter.Options{IncludeResponseStatus: true},
	}
	if strings.HasPrefix(a.header.Get("Content-Type"), "application/x-ndjson") || a.status == http.StatusNotModified {
		return
	}
	in.SetBodyBytes(a.body)
	if err := openapi3filter.ValidateResponse(context.Background(), in); err != nil {
		t.Errorf("%s: the answer is not what openapi.yaml says: %v\n%s", a.asked, err, a.body)
	}
}

func TestTheDocumentIsValid(t *testing.T) {
	if _, err := document(); err != nil {
		t.Fatal(err)
	}
}

func specification(t *testing.T) *openapi3.T {
	t.Helper()
	doc, err := specified()
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// TestExamplesFitTheirSchemas: every body has an example, and a second library finds that it fits.
func TestExamplesFitTheirSchemas(t *testing.T) {
	doc := specification(t)
	bodies := 0
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			if op.RequestBody == nil {
				continue
			}
			media := op.RequestBody.Value.Content["application/json"]
			examples := map[string]any{}
			if media.Example != nil {
				examples[""] = media.Example
			}
			for name, e := range media.Examples {
				examples[name] = e.Value.Value
			}
			if len(examples) == 0 {
				t.Errorf("%s %s has a body without an example", method, path)
			}
			for name, e := range examples {
				bodies++
				if err := media.Schema.Value.VisitJSON(e); err != nil {
					t.Errorf("%s %s example %q: %v", method, path, name, err)
				}
			}
		}
	}
	if bodies < 40 {
		t.Errorf("only %d examples found", bodies)
	}
}

// TestNothingBlankIsText: no text of a request is nothing but spaces, narrow or wide, whether it is needed or not.
func TestNothingBlankIsText(t *testing.T) {
	doc := specification(t)
	lookedUp := []string{"/url", "/types"} // A blank one is no address and no type, and named so.
	texts, seen := 0, map[*openapi3.Schema]bool{}
	var walk func(at string, s *openapi3.Schema)
	walk = func(at string, s *openapi3.Schema) {
		if s.Type.Is("string") && !slices.Contains(lookedUp, at[strings.LastIndexByte(at, '/'):]) {
			for _, blank := range []string{"  ", "\u3000\u3000"} {
				if texts++; s.VisitJSON(blank) == nil {
					t.Errorf("%s takes %q", at, blank)
				}
			}
		}
		if seen[s] {
			return
		}
		seen[s] = true
		for name, p := range s.Properties {
			walk(at+"/"+name, p.Value)
		}
		for _, list := range []openapi3.SchemaRefs{s.OneOf, s.AnyOf, s.AllOf} {
			for _, of := range list {
				walk(at, of.Value)
			}
		}
		if s.Items != nil {
			walk(at, s.Items.Value)
		}
	}
	for path, item := range doc.Paths.Map() {
		for _, op := range item.Operations() {
			if op.RequestBody != nil {
				walk(path, op.RequestBody.Value.Content["application/json"].Schema.Value)
			}
		}
	}
	if texts < 200 {
		t.Errorf("only %d texts found", texts)
	}
}

// TestNoDescriptionIsCutAtAComma finds flow mappings where an unquoted comma ended a description: what follows it
// becomes a name without a value.
func TestNoDescriptionIsCutAtAComma(t *testing.T) {
	raw, err := os.ReadFile("openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var tree any
	if err := yaml.Unmarshal(raw, &tree); err != nil {
		t.Fatal(err)
	}
	var walk func(at string, n any)
	walk = func(at string, n any) {
		switch x := n.(type) {
		case map[string]any:
			for name, v := range x {
				if v == nil {
					t.Errorf("%s: %q has no value", at, name)
				}
				walk(at+"/"+name, v)
			}
		case []any:
			for i, v := range x {
				walk(fmt.Sprintf("%s/%d", at, i), v)
			}
		}
	}
	walk("", tree)
}
