package api

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"gopkg.in/yaml.v3"

	"zujian/domain"
)

// openapiYAML is the contract: routes, roles, bodies and answers.
//
//go:embed openapi.yaml
var openapiYAML []byte

const (
	mediaJSON    = "application/json"
	mediaNDJSON  = "application/x-ndjson"
	mediaProblem = "application/problem+json"
)

// operation is one route as openapi.yaml has it.
type operation struct {
	id, method, path string // path in echo's form: /v1/units/:id
	template         string // path as written: /v1/units/{id}
	roles            []domain.Role
	public           bool     // No key needed.
	money            bool     // Idempotency-Key required.
	secret           bool     // The answer holds a secret and is never kept.
	views            []string // What Zujian-At-Least waits for.
	params           map[string]param
	body             *jsonschema.Schema // nil = no body.
	live             bool               // The answer is a stream of events.
	batch            bool               // Takes application/x-ndjson too.
}

// param is a path or query parameter.
type param struct {
	in       string
	required bool
	integer  bool
	schema   *jsonschema.Schema
}

// allows says whether a role may call the operation.
func (o *operation) allows(r domain.Role) bool { return o.public || slices.Contains(o.roles, r) }

// The parts of the document that routing needs.
type specDoc struct {
	Paths map[string]map[string]specOperation `yaml:"paths"`
}

type specOperation struct {
	ID         string      `yaml:"operationId"`
	Roles      []string    `yaml:"x-roles"`
	Money      bool        `yaml:"x-money"`
	Secret     bool        `yaml:"x-secret"`
	Live       bool        `yaml:"x-live"`
	Views      []string    `yaml:"x-views"`
	Parameters []specParam `yaml:"parameters"`
	Body       *struct {
		Content map[string]struct {
			Schema struct {
				Ref string `yaml:"$ref"`
			} `yaml:"schema"`
		} `yaml:"content"`
	} `yaml:"requestBody"`
}

type specParam struct {
	Ref string `yaml:"$ref"`
}

// readSpec turns openapi.yaml into operations with every schema compiled once.
func readSpec(raw []byte) ([]*operation, error) {
	var doc specDoc
	if err := yaml.Unmarshal(raw, &doc); err != nil {
		return nil, fmt.Errorf("read openapi.yaml: %w", err)
	}
	c, tree, err := newCompiler(raw)
	if err != nil {
		return nil, err
	}
	var ops []*operation
	for path, methods := range doc.Paths {
		for method, so := range methods {
			op, err := newOperation(c, tree, path, method, so)
			if err != nil {
				return nil, fmt.Errorf("openapi.yaml: %s %s: %w", method, path, err)
			}
			ops = append(ops, op)
		}
	}
	slices.SortFunc(ops, func(a, b *operation) int { return strings.Compare(a.path+a.method, b.path+b.method) })
	return ops, nil
}

// specURL is a name that stands for no file: a bare one would be looked for in the folder the process was started in.
const specURL = "zujian:///openapi.json"

func newCompiler(raw []byte) (*jsonschema.Compiler, map[string]any, error) {
	var loose map[string]any
	if err := yaml.Unmarshal(raw, &loose); err != nil {
		return nil, nil, fmt.Errorf("read openapi.yaml: %w", err)
	}
	text, err := json.Marshal(loose)
	if err != nil {
		return nil, nil, fmt.Errorf("read openapi.yaml as JSON: %w", err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return nil, nil, fmt.Errorf("read openapi.yaml as JSON: %w", err)
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.AssertFormat()
	if err := c.AddResource(specURL, doc); err != nil {
		return nil, nil, fmt.Errorf("add openapi.yaml: %w", err)
	}
	tree, ok := doc.(map[string]any)
	if !ok {
		return nil, nil, fmt.Errorf("openapi.yaml is not an object")
	}
	return c, tree, nil
}

func newOperation(c *jsonschema.Compiler, tree map[string]any, path, method string, so specOperation) (*operation, error) {
	op := &operation{
		id: so.ID, method: strings.ToUpper(method), template: path,
		path:  strings.NewReplacer("{", ":", "}", "").Replace(path),
		money: so.Money, secret: so.Secret, live: so.Live, views: so.Views, params: map[string]param{},
	}
	if op.id == "" || len(so.Roles) == 0 {
		return nil, fmt.Errorf("operationId or x-roles missing")
	}
	for _, r := range so.Roles {
		if domain.Role(r) == domain.RolePublic {
			op.public = true
			continue
		}
		op.roles = append(op.roles, domain.Role(r))
	}
	for i, p := range so.Parameters {
		at := fmt.Sprintf("/paths/%s/%s/parameters/%d", escapePointer(path), method, i)
		if p.Ref != "" {
			at = strings.TrimPrefix(p.Ref, "#")
		}
		if err := op.addParam(c, tree, at); err != nil {
			return nil, err
		}
	}
	if so.Body == nil {
		return op, nil
	}
	_, op.batch = so.Body.Content[mediaNDJSON]
	sch, err := c.Compile(specURL + so.Body.Content[mediaJSON].Schema.Ref)
	op.body = sch
	return op, err
}

func (o *operation) addParam(c *jsonschema.Compiler, tree map[string]any, at string) error {
	node, err := dig(tree, at)
	if err != nil {
		return err
	}
	name, _ := node["name"].(string)
	in, _ := node["in"].(string)
	if in == "header" {
		return nil // Each header has its own reader.
	}
	sch, err := c.Compile(specURL + "#" + at + "/schema")
	if err != nil {
		return err
	}
	inner, _ := node["schema"].(map[string]any)
	required, _ := node["required"].(bool)
	o.params[name] = param{in: in, required: required, integer: inner["type"] == "integer", schema: sch}
	return nil
}

// dig follows a JSON pointer.
func dig(tree map[string]any, pointer string) (map[string]any, error) {
	var node any = tree
	for _, step := range strings.Split(strings.TrimPrefix(pointer, "/"), "/") {
		step = strings.NewReplacer("~1", "/", "~0", "~").Replace(step)
		switch n := node.(type) {
		case map[string]any:
			node = n[step]
		case []any:
			var i int
			if _, err := fmt.Sscanf(step, "%d", &i); err != nil || i >= len(n) {
				return nil, fmt.Errorf("no %s", pointer)
			}
			node = n[i]
		}
	}
	m, ok := node.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("no object at %s", pointer)
	}
	return m, nil
}
