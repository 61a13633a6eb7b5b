package web

import (
	"bytes"
	"encoding/json"
	"fmt"
	"sort"
	"strings"

	"gopkg.in/yaml.v3"
)

// Reference is openapi.yaml arranged for reading.
type Reference struct {
	Title, Description string
	Groups             []Group
}

// Group is one tag.
type Group struct {
	Name, Description string
	Operations        []Operation
}

// Operation is one route.
type Operation struct {
	ID, Method, Path     string
	Summary, Description string
	Roles                string
	Money                bool
	Parameters           []Field
	Body                 string // Schema name.
	Fields               []Field
	Examples             []Example
	Answers              []string
}

// Field is one parameter or one member of a body.
type Field struct {
	Name, In, Type, Description string
	Required                    bool
}

// Example is one body as text.
type Example struct{ Name, Text string }

type node = map[string]any

func newReference(raw []byte) (Reference, error) {
	var doc node
	if err := yaml.Unmarshal(raw, &doc); err != nil {
		return Reference{}, fmt.Errorf("read openapi.yaml: %w", err)
	}
	info := child(doc, "info")
	ref := Reference{Title: str(info, "title"), Description: str(info, "description")}
	byTag := map[string]*Group{}
	for _, t := range list(doc, "tags") {
		ref.Groups = append(ref.Groups, Group{Name: str(t, "name"), Description: str(t, "description")})
	}
	for i := range ref.Groups {
		byTag[ref.Groups[i].Name] = &ref.Groups[i]
	}
	for path, methods := range child(doc, "paths") {
		item, _ := methods.(node)
		for method := range item {
			op := child(item, method)
			tags, _ := op["tags"].([]any)
			if len(tags) != 1 || byTag[fmt.Sprint(tags[0])] == nil {
				return Reference{}, fmt.Errorf("openapi.yaml: %s %s has no tag of the list", method, path)
			}
			g := byTag[fmt.Sprint(tags[0])]
			g.Operations = append(g.Operations, newOperation(doc, path, method, op))
		}
	}
	order := map[string]int{"GET": 1, "POST": 0, "PATCH": 2, "DELETE": 3}
	for _, g := range ref.Groups {
		sort.Slice(g.Operations, func(i, j int) bool {
			a, b := g.Operations[i], g.Operations[j]
			return a.Path < b.Path || (a.Path == b.Path && order[a.Method] < order[b.Method])
		})
	}
	return ref, nil
}

func newOperation(doc node, path, method string, op node) Operation {
	o := Operation{
		ID: str(op, "operationId"), Method: strings.ToUpper(method), Path: path,
		Summary: str(op, "summary"), Description: str(op, "description"), Money: op["x-money"] == true,
	}
	roles, _ := op["x-roles"].([]any)
	o.Roles = strings.Trim(fmt.Sprint(roles), "[]")
	for _, p := range list(op, "parameters") {
		p = follow(doc, p)
		required, _ := p["required"].(bool)
		o.Parameters = append(o.Parameters, Field{
			Name: str(p, "name"), In: str(p, "in"), Type: typeOf(doc, child(p, "schema")), Description: str(p, "description"), Required: required,
		})
	}
	media := child(child(child(op, "requestBody"), "content"), "application/json")
	if schema := child(media, "schema"); schema != nil {
		o.Body = name(str(schema, "$ref"))
		o.Fields = fields(doc, follow(doc, schema))
		o.Examples = examples(media)
	}
	for status := range child(op, "responses") {
		o.Answers = append(o.Answers, status)
	}
	sort.Strings(o.Answers)
	return o
}

func fields(doc, schema node) []Field {
	required := map[string]bool{}
	names, _ := schema["required"].([]any)
	for _, n := range names {
		required[fmt.Sprint(n)] = true
	}
	var out []Field
	props := child(schema, "properties")
	for n := range props {
		p := child(props, n)
		out = append(out, Field{Name: n, Type: typeOf(doc, p), Description: str(follow(doc, p), "description"), Required: required[n]})
	}
	sort.Slice(out, func(i, j int) bool {
		if out[i].Required != out[j].Required {
			return out[i].Required
		}
		return out[i].Name < out[j].Name
	})
	return out
}

// typeOf says a schema in a few words.
func typeOf(doc, schema node) string {
	if ref := str(schema, "$ref"); ref != "" {
		target := follow(doc, schema)
		if str(target, "type") == "object" {
			return name(ref)
		}
		schema = target
	}
	if enum, ok := schema["enum"].([]any); ok {
		words := make([]string, len(enum))
		for i, e := range enum {
			words[i] = fmt.Sprint(e)
		}
		return strings.Join(words, " | ")
	}
	switch t := str(schema, "type"); {
	case t == "array":
		return "[" + typeOf(doc, child(schema, "items")) + "]"
	case str(schema, "format") == "date":
		return "date"
	default:
		return t
	}
}

func examples(media node) []Example {
	var out []Example
	if v, ok := media["example"]; ok {
		out = append(out, Example{Text: pretty(v)})
	}
	for n, e := range child(media, "examples") {
		m, _ := e.(node)
		out = append(out, Example{Name: n, Text: pretty(m["value"])})
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Name < out[j].Name })
	return out
}

func pretty(v any) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return err.Error()
	}
	return strings.TrimSpace(b.String())
}

func follow(doc, n node) node {
	ref := strings.TrimPrefix(str(n, "$ref"), "#/")
	if ref == "" {
		return n
	}
	target := doc
	for _, step := range strings.Split(ref, "/") {
		target = child(target, step)
	}
	return target
}

func name(ref string) string { return ref[strings.LastIndex(ref, "/")+1:] }

func child(n node, key string) node {
	c, _ := n[key].(node)
	return c
}

func list(n node, key string) []node {
	items, _ := n[key].([]any)
	var out []node
	for _, i := range items {
		if m, ok := i.(node); ok {
			out = append(out, m)
		}
	}
	return out
}

func str(n node, key string) string {
	s, _ := n[key].(string)
	return s
}
