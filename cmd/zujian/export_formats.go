package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/zstd"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
	"github.com/xuri/excelize/v2"

	"zujian/domain"
)

// replaceFile writes a file whole or leaves the old one. What is there and no file, such as /dev/stdout, is not replaced by one.
func replaceFile(path string, mode os.FileMode, write func(io.Writer) error) (err error) {
	if info, err := os.Lstat(path); err == nil && !info.Mode().IsRegular() {
		return fmt.Errorf("%w: %s is there and no file that could be replaced", errUsage, path)
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	err = write(f)
	if err == nil {
		err = f.Chmod(mode)
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

const tablePerms = 0o644 // Of results that name nobody.

// writeFileAtomic is replaceFile of what is at hand.
func writeFileAtomic(path string, data []byte, mode os.FileMode) error {
	return replaceFile(path, mode, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}

// csvSheet is UTF-8 with a byte order mark, so that Excel reads it as such; every text is quoted.
type csvSheet struct {
	w    *bufio.Writer
	line []byte
}

func newCSVSheet(w io.Writer, t table) (*csvSheet, error) {
	s := &csvSheet{w: bufio.NewWriterSize(w, 1<<16)}
	names := make([]any, len(t.columns))
	for i, c := range t.columns {
		names[i] = c.name
	}
	_, err := s.w.WriteString("\ufeff")
	return s, errors.Join(err, s.row(names))
}

func (s *csvSheet) row(cells []any) error {
	line := s.line[:0]
	for i, cell := range cells {
		if i > 0 {
			line = append(line, ',')
		}
		switch v := cell.(type) {
		case string:
			line = append(line, '"')
			line = append(line, strings.ReplaceAll(harmless(v), `"`, `""`)...)
			line = append(line, '"')
		case int64:
			line = strconv.AppendInt(line, v, 10)
		case bool:
			line = strconv.AppendBool(line, v)
		case domain.Day:
			line = append(line, v.String()...)
		case *float64:
			if v != nil {
				line = strconv.AppendFloat(line, *v, 'g', -1, 64)
			}
		}
	}
	s.line = append(line, '\r', '\n') // RFC 4180.
	_, err := s.w.Write(s.line)
	return err
}

func (s *csvSheet) end() error { return s.w.Flush() }

// harmless keeps a spreadsheet from running a cell as a formula: whatever it would take for one, also after blanks, gets
// a quote in front.
func harmless(v string) string {
	first := strings.TrimLeft(v, " \u00a0\u3000\ufeff\u200b")
	if v != "" && strings.ContainsAny(v[:1], "\t\r\n") || first != "" && strings.ContainsRune("=+-@\t\r\n＝＋－＠", []rune(first)[0]) {
		return "'" + v
	}
	return v
}

// xlsxSheet streams rows as inline strings, which no spreadsheet runs. A sheet that is full goes on in another.
type xlsxSheet struct {
	w     io.Writer
	t     table
	p     provenance
	f     *excelize.File
	s     *excelize.StreamWriter
	names []string
	date  int // Style of days.
	head  int
	next  int // Row number.
	max   int // Rows of one sheet.
	cells []any
}

func newXLSXSheet(w io.Writer, t table, p provenance) (*xlsxSheet, error) {
	x := &xlsxSheet{w: w, t: t, p: p, f: excelize.NewFile(), max: excelize.TotalRows, cells: make([]any, len(t.columns))}
	format := "yyyy-mm-dd"
	var err1, err2 error
	x.date, err1 = x.f.NewStyle(&excelize.Style{CustomNumFmt: &format})
	x.head, err2 = x.f.NewStyle(&excelize.Style{Font: &excelize.Font{Bold: true}})
	if err := errors.Join(err1, err2); err != nil {
		return nil, errors.Join(err, x.f.Close())
	}
	if err := x.open(); err != nil {
		return nil, errors.Join(err, x.f.Close())
	}
	return x, nil
}

// open begins the next sheet with its heads.
func (x *xlsxSheet) open() (err error) {
	name := x.t.name
	if len(x.names) == 0 {
		err = x.f.SetSheetName("Sheet1", name)
	} else {
		name = fmt.Sprintf("%s %d", x.t.name, len(x.names)+1)
		_, err = x.f.NewSheet(name)
	}
	if err != nil {
		return err
	}
	x.names = append(x.names, name)
	if x.s, err = x.f.NewStreamWriter(name); err != nil {
		return err
	}
	heads := make([]any, len(x.t.columns))
	for i, c := range x.t.columns {
		heads[i] = excelize.Cell{StyleID: x.head, Value: c.name}
	}
	x.next = 2
	return errors.Join(x.s.SetPanes(&excelize.Panes{Freeze: true, YSplit: 1, TopLeftCell: "A2", ActivePane: "bottomLeft"}), x.s.SetRow("A1", heads))
}

func (x *xlsxSheet) row(cells []any) error {
	if x.next > x.max {
		if err := errors.Join(x.s.Flush(), x.open()); err != nil {
			return err
		}
	}
	for i, cell := range cells {
		x.cells[i] = nil
		switch v := cell.(type) {
		case domain.Day:
			if !v.IsZero() {
				y, m, d := v.Date()
				x.cells[i] = excelize.Cell{StyleID: x.date, Value: time.Date(y, m, d, 0, 0, 0, 0, time.UTC)}
			}
		case *float64:
			if v != nil {
				x.cells[i] = *v
			}
		case string:
			if v != "" {
				x.cells[i] = v
			}
		default:
			x.cells[i] = v
		}
	}
	at := "A" + strconv.Itoa(x.next)
	x.next++
	return x.s.SetRow(at, x.cells)
}

func (x *xlsxSheet) end() error {
	err := x.s.Flush()
	if err == nil {
		err = x.provenance()
	}
	if err == nil {
		_, err = x.f.WriteTo(x.w)
	}
	return errors.Join(err, x.f.Close())
}

func (x *xlsxSheet) provenance() error {
	if _, err := x.f.NewSheet("provenance"); err != nil {
		return err
	}
	s, err := x.f.NewStreamWriter("provenance")
	if err != nil {
		return err
	}
	pairs, err := x.p.pairs()
	for i, kv := range pairs {
		err = errors.Join(err, s.SetRow("A"+strconv.Itoa(i+1), []any{kv[0], kv[1]}))
	}
	return errors.Join(err, s.Flush())
}

// pairs are the provenance as names and values, by name.
func (p provenance) pairs() (out [][2]string, err error) {
	raw, err := json.Marshal(p)
	if err != nil {
		return nil, err
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(raw, &fields); err != nil {
		return nil, err
	}
	for name, v := range fields {
		out = append(out, [2]string{name, strings.Trim(string(v), `"`)})
	}
	slices.SortFunc(out, func(a, b [2]string) int { return strings.Compare(a[0], b[0]) })
	return out, nil
}

// parquetSheet writes optional columns in the order of the table, with zstd; its metadata holds the provenance.
type parquetSheet struct {
	w    *parquet.GenericWriter[any]
	rows []parquet.Row
	n    int // Of rows that are filled.
}

const (
	parquetBatch = 512       // Rows handed over at once.
	parquetGroup = 128 << 10 // Rows of a group: it is held in memory until it is whole.
)

func newParquetSheet(w io.Writer, t table, p provenance) (*parquetSheet, error) {
	group := orderedGroup{Group: parquet.Group{}}
	for _, c := range t.columns {
		group.Group[c.name] = parquet.Optional(parquetNode(c.kind))
		group.order = append(group.order, c.name)
	}
	options := []parquet.WriterOption{
		parquet.NewSchema(t.name, group), parquet.Compression(&zstd.Codec{}), parquet.MaxRowsPerRowGroup(parquetGroup),
		parquet.CreatedBy("zujian", version, ""),
	}
	pairs, err := p.pairs()
	if err != nil {
		return nil, err
	}
	for _, kv := range pairs {
		options = append(options, parquet.KeyValueMetadata("zujian."+kv[0], kv[1]))
	}
	s := &parquetSheet{w: parquet.NewGenericWriter[any](w, options...), rows: make([]parquet.Row, parquetBatch)}
	for i := range s.rows {
		s.rows[i] = make(parquet.Row, len(t.columns))
	}
	return s, nil
}

func parquetNode(k exportKind) parquet.Node {
	switch k {
	case kindInt:
		return parquet.Int(64)
	case kindDay:
		return parquet.Date()
	case kindBool:
		return parquet.Leaf(parquet.BooleanType)
	case kindFloat:
		return parquet.Leaf(parquet.DoubleType)
	case kindText:
	}
	return parquet.Encoded(parquet.String(), &parquet.RLEDictionary)
}

// orderedGroup keeps its fields in the order of the table; parquet.Group sorts them by name.
type orderedGroup struct {
	parquet.Group
	order []string
}

func (g orderedGroup) Fields() []parquet.Field {
	fields := g.Group.Fields()
	slices.SortFunc(fields, func(a, b parquet.Field) int {
		return slices.Index(g.order, a.Name()) - slices.Index(g.order, b.Name())
	})
	return fields
}

func (s *parquetSheet) row(cells []any) error {
	row := s.rows[s.n]
	for i, cell := range cells {
		v := parquet.NullValue()
		switch c := cell.(type) {
		case string:
			if c != "" {
				v = parquet.ByteArrayValue([]byte(c))
			}
		case int64:
			v = parquet.Int64Value(c)
		case bool:
			v = parquet.BooleanValue(c)
		case domain.Day:
			if !c.IsZero() {
				v = parquet.Int32Value(int32(c)) // Both count days since 1970-01-01.
			}
		case *float64:
			if c != nil {
				v = parquet.DoubleValue(*c)
			}
		}
		defined := 1
		if v.IsNull() {
			defined = 0
		}
		row[i] = v.Level(0, defined, i)
	}
	if s.n++; s.n == len(s.rows) {
		return s.flush()
	}
	return nil
}

func (s *parquetSheet) flush() error {
	_, err := s.w.WriteRows(s.rows[:s.n])
	s.n = 0
	return err
}

func (s *parquetSheet) end() error { return errors.Join(s.flush(), s.w.Close()) }

// rowCount shows rows whose number nobody knows beforehand: a counter on a terminal, a line now and then elsewhere.
type rowCount struct {
	w     io.Writer
	label string
	n     int64
	bars  *mpb.Progress
	bar   *mpb.Bar
}

const rowCountEvery = 50_000

func newRowCount(w io.Writer, label string) *rowCount {
	c := &rowCount{w: w, label: label}
	if f, ok := w.(*os.File); ok && isatty.IsTerminal(f.Fd()) {
		c.bars = mpb.New(mpb.WithOutput(w), mpb.WithWidth(8))
		c.bar = c.bars.AddSpinner(0, mpb.PrependDecorators(decor.Name(label+" ")), mpb.AppendDecorators(decor.CurrentNoUnit("%d rows")))
	}
	return c
}

func (c *rowCount) add(n int64) {
	c.n += n
	switch {
	case c.bar != nil:
		c.bar.IncrInt64(n)
	case c.n%rowCountEvery < n:
		_, _ = fmt.Fprintf(c.w, "%s %d rows\n", c.label, c.n) // A lost progress line harms nobody.
	}
}

func (c *rowCount) end() {
	if c.bar != nil {
		c.bar.SetTotal(-1, true)
		c.bars.Wait()
	}
}
