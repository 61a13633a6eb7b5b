package tabular

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
)

const sniffBytes = 1 << 16

// utf8Text is in as UTF-8 without a byte order mark. Text that is no UTF-8 is read as GB18030, decided at the first
// byte that is not ASCII by the 64 KiB from there; UTF-16 needs its mark.
func utf8Text(in io.Reader) io.Reader {
	br := bufio.NewReaderSize(in, sniffBytes)
	mark, _ := br.Peek(3)
	switch {
	case bytes.Equal(mark, []byte("\xEF\xBB\xBF")):
		_, _ = br.Discard(3)
		return br
	case len(mark) >= 2 && (mark[0] == 0xFF && mark[1] == 0xFE || mark[0] == 0xFE && mark[1] == 0xFF):
		return transform.NewReader(br, unicode.UTF16(unicode.LittleEndian, unicode.ExpectBOM).NewDecoder())
	}
	return &sniffer{br: br}
}

type sniffer struct {
	br      *bufio.Reader
	decided io.Reader
}

func (s *sniffer) Read(b []byte) (int, error) {
	if s.decided != nil {
		return s.decided.Read(b)
	}
	// At the first Peek that fills nothing more the rest is what there is; its error comes back from Read.
	window, err := s.br.Peek(min(sniffBytes, max(s.br.Buffered(), 1)))
	if len(window) == 0 {
		return 0, err
	}
	ascii := len(window)
	for i, c := range window {
		if c >= utf8.RuneSelf {
			ascii = i
			break
		}
	}
	if ascii > 0 {
		return s.br.Read(b[:min(len(b), ascii)])
	}
	window, _ = s.br.Peek(sniffBytes)
	if validUTF8(window) {
		s.decided = s.br
	} else {
		s.decided = transform.NewReader(s.br, simplifiedchinese.GB18030.NewDecoder())
	}
	return s.decided.Read(b)
}

// validUTF8 allows a last rune the window cuts.
func validUTF8(b []byte) bool {
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		if r == utf8.RuneError && n == 1 {
			return len(b) < utf8.UTFMax && !utf8.FullRune(b)
		}
		b = b[n:]
	}
	return true
}

// comma is the separator of a table: a comma, unless its first kilobytes have none but tabs or semicolons.
func comma(br *bufio.Reader) rune {
	head, _ := br.Peek(4096)
	if bytes.IndexByte(head, ',') < 0 {
		for _, c := range "\t;" {
			if bytes.ContainsRune(head, c) {
				return c
			}
		}
	}
	return ','
}

func readCSV(in *guarded, source string, o Options, yield func(Row, error) bool) {
	br := bufio.NewReaderSize(utf8Text(in), 1<<16)
	r := csv.NewReader(br)
	r.Comma = comma(br)
	r.FieldsPerRecord, r.ReuseRecord = -1, true
	search := headerSearch{columns: o.columns()}
	var at []int
	width, line, seen, cut := 0, 0, 0, false
	end := func(err error) { yield(Row{}, fmt.Errorf("read %s after row %d: %w", source, line, err)) }
	for {
		record, err := r.Read()
		in.record = 0
		var syntax *csv.ParseError
		switch {
		case errors.Is(err, io.EOF):
			switch {
			case !search.found:
				yield(Row{}, search.err(source))
			case cut && in.last != '\n':
				end(ErrTruncated)
			}
			return
		case errors.As(err, &syntax):
			line, cut = syntax.StartLine, true
			if !yield(Row{}, &RowError{Source: source, Number: syntax.StartLine, Err: syntax.Err}) {
				return
			}
			continue
		case err != nil:
			end(err)
			return
		}
		line, _ = r.FieldPos(0)
		if !search.found {
			seen++
			if at, _ = search.try(record); search.found {
				width = len(record)
			} else if seen >= headerRowsMax {
				yield(Row{}, search.err(source))
				return
			}
			continue
		}
		if cut = len(record) < width; cut {
			err := fmt.Errorf("%d of %d columns", len(record), width)
			if !yield(Row{}, &RowError{Source: source, Number: line, Err: err}) {
				return
			}
			continue
		}
		if !yield(Row{Source: source, Number: line, Values: pick(at, record)}, nil) {
			return
		}
	}
}

var errNested = errors.New("a value is an object or a list")

func readNDJSON(in *guarded, source string, o Options, yield func(Row, error) bool) {
	br := bufio.NewReaderSize(utf8Text(in), 1<<16)
	wanted := append(append([]string(nil), o.Required...), o.Optional...)
	for line := 1; ; line++ {
		raw, err := br.ReadBytes('\n')
		in.record = 0
		if err != nil && !errors.Is(err, io.EOF) {
			yield(Row{}, fmt.Errorf("read %s after row %d: %w", source, line-1, err))
			return
		}
		last := err != nil
		if raw = bytes.TrimSpace(raw); len(raw) > 0 {
			values, err := objectValues(raw, wanted)
			if err != nil {
				var syntax *json.SyntaxError
				if last && errors.As(err, &syntax) && syntax.Offset >= int64(len(raw)) {
					yield(Row{}, fmt.Errorf("read %s row %d: %w", source, line, ErrTruncated))
					return
				}
				if !yield(Row{}, &RowError{Source: source, Number: line, Err: err}) {
					return
				}
			} else if !yield(Row{Source: source, Number: line, Values: values}, nil) {
				return
			}
		}
		if last {
			return
		}
	}
}

// objectValues are the wanted members of one JSON object as text; null and absent are "".
func objectValues(raw []byte, wanted []string) ([]string, error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(raw, &members); err != nil {
		return nil, err
	}
	values := make([]string, len(wanted))
	for i, name := range wanted {
		v := members[name]
		switch {
		case len(v) == 0 || string(v) == "null":
		case v[0] == '"':
			if err := json.Unmarshal(v, &values[i]); err != nil {
				return nil, err
			}
		case v[0] == '{' || v[0] == '[':
			return nil, fmt.Errorf("%q: %w", name, errNested)
		default:
			values[i] = string(v)
		}
		values[i] = strings.TrimSpace(values[i])
	}
	return values, nil
}
