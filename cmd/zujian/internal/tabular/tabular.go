// Package tabular reads tables people send: CSV (UTF-8 with or without a byte order mark, or GB18030; also gzipped),
// XLSX workbooks, Parquet and NDJSON. It finds the header row by the columns asked for, and hands on text with the place it
// stood in. What a column means is its callers' business; writing tables is elsewhere.
//
// # Decisions
//
// A row that can't be read is a [RowError] and reading goes on; anything else ends it: a table that stops in the middle
// must not look like a shorter table. Rows before the damage are delivered.
//
// Workbooks are untrusted archives: sizes and ratios in the directory are checked before anything is unpacked, and the
// archive reader holds every entry to its stated size.
package tabular

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"unicode"
)

const (
	headerRowsMax  = 50       // A header stands among the first rows, under titles and notes.
	recordBytesMax = 16 << 20 // A record longer than this is a quote never closed.
	unpackedMax    = 4 << 30  // Bytes of a table once unpacked; a bigger one is sent in parts.
)

// Refusals of whole files.
var (
	ErrTruncated = errors.New("the file is cut off")
	ErrHeader    = errors.New("no header row with these columns")
	ErrFormat    = errors.New("not a table of a known format")
	ErrTooLarge  = errors.New("the file unpacks to more than is allowed")
)

// Options say which columns to read. Names match without regard to case, surrounding or repeated spaces.
type Options struct {
	Required []string
	Optional []string
	// Progress, if set, is called with the bytes of the file taken in since the last call.
	Progress func(n int64)
	// UnpackedMax bounds the unpacked bytes; 0 is the default of 4 GiB (1 GiB for a workbook).
	UnpackedMax int64
}

// Row is one row of a table.
type Row struct {
	Source string   // File name without folder.
	Sheet  string   // Of a workbook.
	Number int      // From 1, counting lines of text or rows of the sheet, header included.
	Values []string // Required columns, then optional ones; trimmed; "" where the row has none.
	Dates  DateSystem
}

// RowError is a row that can't be read. Reading goes on after it.
type RowError struct {
	Source, Sheet string
	Number        int
	Err           error
}

func (e *RowError) Error() string { return place(e.Source, e.Sheet, e.Number) + ": " + e.Err.Error() }

// Unwrap is the cause.
func (e *RowError) Unwrap() error { return e.Err }

func place(source, sheet string, number int) string {
	s := source
	if sheet != "" {
		s += " sheet " + sheet
	}
	if number > 0 {
		s += fmt.Sprintf(" row %d", number)
	}
	return s
}

// Read yields the rows of the file at path in order. A *RowError is about one row; any other error is the last.
func Read(path string, o Options) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		f, err := os.Open(path)
		if err != nil {
			yield(Row{}, err)
			return
		}
		defer f.Close() //nolint:errcheck // Read only.
		if o.Progress == nil {
			o.Progress = func(int64) {}
		}
		read(f, filepath.Base(path), o, yield)
	}
}

// read tells formats apart by their first bytes, and only plain text by its name.
func read(f *os.File, source string, o Options, yield func(Row, error) bool) {
	var magic [4]byte
	n, err := io.ReadFull(f, magic[:])
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		yield(Row{}, fmt.Errorf("read %s: %w", source, err))
		return
	}
	head := magic[:n]
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		yield(Row{}, fmt.Errorf("read %s: %w", source, err))
		return
	}
	switch {
	case bytes.HasPrefix(head, []byte("PK")):
		readWorkbook(f, source, o, yield)
		return
	case bytes.Equal(head, []byte("PAR1")):
		readParquet(f, source, o, yield)
		return
	case strings.EqualFold(filepath.Ext(source), ".xlsx"):
		yield(Row{}, fmt.Errorf("read %s: %w: a workbook starts otherwise (older .xls and protected workbooks are not read)", source, ErrFormat))
		return
	}
	var in io.Reader = &counted{r: f, progress: o.Progress}
	if bytes.HasPrefix(head, []byte{0x1f, 0x8b}) {
		z, err := gzip.NewReader(bufio.NewReaderSize(in, 1<<16))
		if err != nil {
			yield(Row{}, fmt.Errorf("read %s: %w", source, err))
			return
		}
		in = z
	}
	text := &guarded{r: in, left: o.UnpackedMax}
	if text.left == 0 {
		text.left = unpackedMax
	}
	name := strings.TrimSuffix(strings.ToLower(source), ".gz")
	if strings.HasSuffix(name, ".ndjson") || strings.HasSuffix(name, ".jsonl") {
		readNDJSON(text, source, o, yield)
		return
	}
	readCSV(text, source, o, yield)
}

// counted reports what was read.
type counted struct {
	r        io.Reader
	progress func(int64)
}

func (c *counted) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.progress(int64(n))
	return n, err
}

// guarded stops a stream that unpacks without end, or a record that does not end, and knows its last byte.
type guarded struct {
	r      io.Reader
	left   int64
	record int // Bytes since the caller last finished a record.
	last   byte
}

var errRecord = fmt.Errorf("a record is longer than %d bytes: a quote that is never closed?", recordBytesMax)

func (g *guarded) Read(b []byte) (int, error) {
	n, err := g.r.Read(b)
	g.left -= int64(n)
	g.record += n
	if n > 0 {
		g.last = b[n-1]
	}
	switch {
	case g.left < 0:
		return 0, ErrTooLarge
	case g.record > recordBytesMax:
		return 0, errRecord
	case errors.Is(err, io.ErrUnexpectedEOF):
		return n, ErrTruncated
	}
	return n, err
}

// columns finds the wanted columns in a header row.
type columns struct {
	wanted   []string
	required int
}

func (o Options) columns() columns {
	c := columns{required: len(o.Required)}
	for _, list := range [][]string{o.Required, o.Optional} {
		for _, name := range list {
			c.wanted = append(c.wanted, normalName(name))
		}
	}
	return c
}

func normalName(s string) string {
	return strings.ToLower(strings.Join(strings.FieldsFunc(s, func(r rune) bool {
		return unicode.IsSpace(r) || r == '\uFEFF'
	}), " "))
}

// match gives the place of each wanted column in header (-1: absent) and the required ones it lacks.
func (c columns) match(header []string) (at []int, missing []string) {
	names := make(map[string]int, len(header))
	for i, h := range header {
		if n := normalName(h); n != "" {
			if _, twice := names[n]; !twice {
				names[n] = i
			}
		}
	}
	for k, w := range c.wanted {
		i, ok := names[w]
		if !ok {
			i = -1
			if k < c.required {
				missing = append(missing, w)
			}
		}
		at = append(at, i)
	}
	return at, missing
}

// pick copies the wanted values of a record.
func pick(at []int, record []string) []string {
	values := make([]string, len(at))
	for k, i := range at {
		if i >= 0 && i < len(record) {
			values[k] = strings.TrimSpace(record[i])
		}
	}
	return values
}

// headerSearch collects the best miss, for the message.
type headerSearch struct {
	columns
	missing []string
	found   bool
}

// try is true when record is the header row.
func (h *headerSearch) try(record []string) ([]int, bool) {
	at, missing := h.match(record)
	if len(missing) == 0 {
		h.found = true
		return at, true
	}
	if h.missing == nil || len(missing) < len(h.missing) {
		h.missing = missing
	}
	return nil, false
}

func (h *headerSearch) err(source string) error {
	missing := h.missing
	if missing == nil {
		missing = h.wanted[:h.required]
	}
	return fmt.Errorf("read %s: %w: %q not found in the first %d rows", source, ErrHeader, missing, headerRowsMax)
}
