// Package web is the pages people see: the start page, the reference rendered from openapi.yaml, and the answer to a
// verification code. It owns templates, style and words; it knows no register: callers hand it plain values.
// Only package api imports it.
//
// # Decisions
//
// Pages are html/template on the server and need no script, so they work on an old phone, print, and stand a content
// security policy that allows nothing but our own style sheet. Text is Chinese first; ?lang=en or Accept-Language
// gives English. No page ever gets personal data: what a template isn't given it can't show.
package web

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"html/template"
	"io"
	"net/http"
	"time"
)

//go:embed templates static
var files embed.FS

// CSP is the content security policy of every page.
const CSP = "default-src 'none'; style-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

// Status is what the start page says is running.
type Status struct {
	Version string
	Store   string // "embedded", …
	Events  uint64 // In the log.

	Position uint64 // Of its last event.
	Ready    bool
	Views    []ViewStatus
	// ClockHeld: the clock has leapt, and nothing is done by its date until somebody says that it is right.
	ClockHeld bool
	// ClockDoubted: it has leapt or was set back, and nothing is decided by it until then.
	ClockDoubted bool
}

// ViewStatus is how one view stands.
type ViewStatus struct {
	Name       string
	Version    int
	State      string
	LagEvents  uint64
	LagSeconds float64
}

// Pages renders. Make one with New; it is safe for concurrent use.
type Pages struct {
	templates *template.Template
	css       []byte
	cssPath   string
	docs      Reference
	demo      bool
}

var shanghai = time.FixedZone("Asia/Shanghai", 8*60*60)

// New parses the templates and the specification once.
func New(openapi []byte) (*Pages, error) {
	css, err := files.ReadFile("static/style.css")
	if err != nil {
		return nil, fmt.Errorf("read style sheet: %w", err)
	}
	sum := sha256.Sum256(css)
	p := &Pages{css: css, cssPath: "/static/style-" + hex.EncodeToString(sum[:6]) + ".css"}
	if p.docs, err = newReference(openapi); err != nil {
		return nil, err
	}
	p.templates, err = template.New("").Option("missingkey=error").Funcs(template.FuncMap{
		"css":  func() string { return p.cssPath },
		"when": func(t time.Time) string { return t.In(shanghai).Format("2006-01-02 15:04:05") },
		"yuan": yuan,
		"sqm":  func(c int64) string { return fmt.Sprintf("%d.%02d", c/100, c%100) },
	}).ParseFS(files, "templates/*.html")
	if err != nil {
		return nil, fmt.Errorf("parse templates: %w", err)
	}
	return p, nil
}

// yuan prints fen as yuan with its separators: 1400000 is "14,000.00".
func yuan(fen int64) string {
	sign := ""
	if fen < 0 {
		sign, fen = "-", -fen
	}
	whole := fmt.Sprint(fen / 100)
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	return fmt.Sprintf("%s%s.%02d", sign, whole, fen%100)
}

// Demo marks every page from now on: its data is made up (示例数据).
func (p *Pages) Demo() { p.demo = true }

// Home writes the start page.
func (p *Pages) Home(w io.Writer, lang string, s Status) error {
	return p.render(w, "home.html", map[string]any{"Lang": lang, "S": s})
}

// Docs writes the reference.
func (p *Pages) Docs(w io.Writer, lang string) error {
	return p.render(w, "docs.html", map[string]any{"Lang": lang, "R": p.docs})
}

// Verify writes the answer to a verification code.
func (p *Pages) Verify(w io.Writer, lang string, v Verify) error {
	return p.render(w, "verify.html", map[string]any{"Lang": lang, "V": v, "M": v.message(), "L": v.letting()})
}

// IndexMethod is what the method page of the rent index says of the model in use and the latest release ("" = none).
type IndexMethod struct {
	Model        string
	Version      int
	Factors      []string
	Contracts    int64 // Of the disclosure rule.
	Lessors      int
	SharePercent int64
	Window       int
	Provisional  int
	Release      string
	Position     uint64
	Inputs       string
}

// Method writes how the rent index is made and made again.
func (p *Pages) Method(w io.Writer, lang string, m IndexMethod) error {
	return p.render(w, "index-method.html", map[string]any{"Lang": lang, "M": m})
}

// NotFound writes the page for a path that is not there.
func (p *Pages) NotFound(w io.Writer, lang string) error {
	return p.render(w, "missing.html", map[string]any{"Lang": lang})
}

func (p *Pages) render(w io.Writer, name string, data map[string]any) error {
	data["Demo"] = p.demo
	var out bytes.Buffer // Whole or nothing: a half page says what isn't so.
	if err := p.templates.ExecuteTemplate(&out, name, data); err != nil {
		return fmt.Errorf("render %s: %w", name, err)
	}
	_, err := w.Write(out.Bytes())
	return err
}

// Style serves the style sheet under its content hash.
func (p *Pages) Style() (path string, h http.HandlerFunc) {
	return p.cssPath, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/css; charset=utf-8")
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
		_, _ = w.Write(p.css) // The client went away: nobody is left to tell.
	}
}
