package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"zujian/domain"
	"zujian/eventstore"
	"zujian/projections"
)

// exportCmd writes a view as a table: one snapshot, streamed, no personal data. Persons are the ids the register knows
// them by; names, documents, phones, free text and numbers of flats stay inside. Two exports of one position are equal
// byte for byte (XLSX: cell for cell).
type exportCmd struct {
	What       string `arg:"" enum:"contracts,units,ledgers,listings,index" help:"contracts, units, ledgers, listings or index."`
	Format     string `enum:"csv,xlsx,parquet" default:"csv" help:"csv, xlsx or parquet."`
	Out        string `required:"" placeholder:"FILE" help:"File to write; an older one is replaced whole."`
	From       string `placeholder:"DAY" help:"First day or month: contracts by signing, ledgers by start, listings by submission, index by month."`
	To         string `placeholder:"DAY" help:"Last day or month, included; for units, the day their state is of."`
	Unit       string `placeholder:"AREA" help:"Only a reporting unit, district or street."`
	Population string `enum:"new,stock" default:"new" help:"Population of the index: new or stock."`
	Method     string `enum:"hedonic,rolling,double-imputation,repeat,stratified-median" default:"hedonic" help:"Method of the index: ${enum}."`
}

// exportFilter is the narrowing asked for, checked.
type exportFilter struct {
	from, to   domain.Day // Both included; zero is open.
	area       string
	population string
	method     string
	today      domain.Day
	areas      []string // Areas of an index export.
}

// provenance says how a file was made, so that it can be made again.
type provenance struct {
	Export   string              `json:"export"`
	View     string              `json:"view"`
	Version  int                 `json:"version"`
	Position eventstore.Position `json:"position"` // Every event up to it is in the file.
	City     string              `json:"city"`
	From     domain.Day          `json:"from,omitzero"`
	To       domain.Day          `json:"to,omitzero"`
	Area     string              `json:"area,omitempty"`
	Program  string              `json:"program"`
}

// exportDone is the summary of one export.
type exportDone struct {
	provenance
	Out    string `json:"out"`
	Format string `json:"format"`
	Rows   int64  `json:"rows"`
	SHA256 string `json:"sha256"` // Of the file.
}

// Run implements the command.
func (c *exportCmd) Run(g *globals) error {
	return withHouse(g, func(h *house) error {
		f, err := c.filter(g, &h.city.City)
		if err != nil {
			return err
		}
		if err := h.catchUp(g.Ctx); err != nil {
			return fmt.Errorf("bring the views up to date: %w", err)
		}
		done, err := c.export(g, h, f)
		if err != nil {
			return fmt.Errorf("export %s: %w", c.What, err)
		}
		if g.JSON {
			return json.NewEncoder(g.Stdout).Encode(done)
		}
		_, err = fmt.Fprintf(g.Stdout, "%s: %d rows of %s@%d up to position %d, sha256 %s\n",
			done.Out, done.Rows, done.View, done.Version, done.Position, done.SHA256)
		return err
	})
}

func (c *exportCmd) export(g *globals, h *house, f exportFilter) (done exportDone, err error) {
	t := exportTable(c.What, h.city, f)
	count := newRowCount(g.Stderr, "export "+c.What)
	defer count.end()
	err = h.views.Read(g.Ctx, t.view.Name(), func(r projections.Reader) error {
		made := projections.MadeBy(t.view, r)
		done = exportDone{Out: c.Out, Format: c.Format, provenance: provenance{
			Export: c.What, View: made.View, Version: made.Version, Position: made.Position,
			City: h.city.City.ID, From: f.from, To: f.to, Area: f.area, Program: "zujian " + version,
		}}
		sum := sha256.New()
		err = replaceFile(c.Out, 0o640, func(w io.Writer) error {
			done.Rows, err = writeTable(g.Ctx, io.MultiWriter(w, sum), c.Format, t, r, done.provenance, count.add)
			return err
		})
		if err == nil {
			done.SHA256 = hex.EncodeToString(sum.Sum(nil))
		}
		return err
	})
	if err != nil || c.Format != "csv" { // The other formats carry it inside.
		return done, err
	}
	raw, err := json.MarshalIndent(done, "", "  ")
	if err != nil {
		return done, err
	}
	return done, writeFileAtomic(c.Out+".meta.json", append(raw, '\n'), tablePerms)
}

// filter checks what was asked.
func (c *exportCmd) filter(g *globals, city *domain.City) (f exportFilter, err error) {
	f = exportFilter{area: c.Unit, population: c.Population, method: c.Method, today: domain.DayOf(g.Now())}
	if f.from, err = dayOrMonth(c.From, false); err != nil {
		return f, fmt.Errorf("%w: --from: %w", errUsage, err)
	}
	if f.to, err = dayOrMonth(c.To, true); err != nil {
		return f, fmt.Errorf("%w: --to: %w", errUsage, err)
	}
	switch {
	case !f.from.IsZero() && !f.to.IsZero() && f.to < f.from:
		return f, fmt.Errorf("%w: --to %s is before --from %s", errUsage, f.to, f.from)
	case c.What == "units" && !f.from.IsZero():
		return f, fmt.Errorf("%w: units take --to, the day their state is of, and no --from", errUsage)
	case c.Unit != "" && !knownArea(city, c.Unit):
		return f, fmt.Errorf("%w: --unit %q is no reporting unit, district or street of %s", errUsage, c.Unit, city.ID)
	}
	if c.What == "units" && f.to.IsZero() {
		f.to = f.today
	}
	if f.areas = []string{c.Unit}; c.Unit == "" {
		f.areas = []string{"city"}
		for _, u := range city.Units {
			f.areas = append(f.areas, u.Code)
		}
	}
	return f, nil
}

func knownArea(city *domain.City, code string) bool {
	return slices.ContainsFunc(city.Units, func(u domain.ReportUnit) bool { return u.Code == code }) ||
		slices.ContainsFunc(city.Streets, func(s domain.Street) bool { return s.Code == code || s.Admin == code })
}

// dayOrMonth reads "2026-03-01" or "2026-03": its first day, or its last.
func dayOrMonth(text string, last bool) (domain.Day, error) {
	if text == "" {
		return 0, nil
	}
	if m, err := domain.ParseMonth(text); err == nil {
		if last {
			return (m + 1).First().AddDays(-1), nil
		}
		return m.First(), nil
	}
	return domain.ParseDay(text)
}

// keeps says whether a row of a day and these areas is asked for. A row without a day is kept when no day is asked for.
func (f exportFilter) keeps(on domain.Day, areas ...string) bool {
	if (!f.from.IsZero() && on < f.from) || (!f.to.IsZero() && (on > f.to || on.IsZero())) {
		return false
	}
	return f.area == "" || slices.Contains(areas, f.area)
}

// Kinds of columns.
type exportKind int

const (
	kindText  exportKind = iota // string; "" is absent.
	kindInt                     // int64.
	kindDay                     // domain.Day; zero is absent.
	kindBool                    // bool.
	kindFloat                   // *float64; nil is absent.
)

type exportColumn struct {
	name string
	kind exportKind
}

// table is one export: its columns, and its rows from a snapshot of its view.
type table struct {
	name    string
	view    projections.Projection
	columns []exportColumn
	rows    func(ctx context.Context, r projections.Reader, row func([]any) error) error
}

// column is how one column is made from a row of the view.
type column[T any] struct {
	name string
	kind exportKind
	of   func(T) any
}

// Helpers that keep the lists of columns readable.
func text[T any](name string, of func(T) string) column[T] {
	return column[T]{name, kindText, func(t T) any { return of(t) }}
}

func number[T any, N ~int | ~int64 | ~uint64](name string, of func(T) N) column[T] {
	return column[T]{name, kindInt, func(t T) any { return int64(of(t)) }}
}

func day[T any](name string, of func(T) domain.Day) column[T] {
	return column[T]{name, kindDay, func(t T) any { return of(t) }}
}

func yesNo[T any](name string, of func(T) bool) column[T] {
	return column[T]{name, kindBool, func(t T) any { return of(t) }}
}

func real[T any](name string, of func(T) *float64) column[T] {
	return column[T]{name, kindFloat, func(t T) any { return of(t) }}
}

// tableOf makes a table whose rows come in pages.
func tableOf[T any](name string, view projections.Projection, columns []column[T],
	page func(ctx context.Context, r projections.Reader, p projections.Page) ([]T, string, error), keep func(T) bool,
) table {
	t := table{name: name, view: view}
	for _, c := range columns {
		t.columns = append(t.columns, exportColumn{c.name, c.kind})
	}
	t.rows = func(ctx context.Context, r projections.Reader, row func([]any) error) error {
		cells := make([]any, len(columns))
		for p := (projections.Page{Limit: projections.LimitMax}); ; {
			rows, next, err := page(ctx, r, p)
			if err != nil {
				return err
			}
			for _, one := range rows {
				if !keep(one) {
					continue
				}
				for i, c := range columns {
					cells[i] = c.of(one)
				}
				if err := row(cells); err != nil {
					return err
				}
			}
			if p.Cursor = next; next == "" {
				return ctx.Err()
			}
		}
	}
	return t
}

// errFormat can't happen from the command line: kong checks the format.
var errFormat = errors.New("unknown format")

// sheet is a file under construction. The cells of a row may be used again after row returns.
type sheet interface {
	row(cells []any) error
	end() error
}

// writeTable streams the rows of t from r and returns how many there are.
func writeTable(ctx context.Context, w io.Writer, format string, t table, r projections.Reader, p provenance, step func(int64)) (n int64, err error) {
	var s sheet
	switch format {
	case "csv":
		s, err = newCSVSheet(w, t)
	case "xlsx":
		s, err = newXLSXSheet(w, t, p)
	case "parquet":
		s, err = newParquetSheet(w, t, p)
	default:
		err = errFormat
	}
	if err != nil {
		return 0, err
	}
	err = t.rows(ctx, r, func(cells []any) error {
		n++
		step(1)
		return s.row(cells)
	})
	return n, errors.Join(err, s.end())
}
