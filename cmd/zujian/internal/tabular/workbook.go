package tabular

import (
	"archive/zip"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/xuri/excelize/v2"
)

const (
	workbookUnpackedMax = 1 << 30 // Bytes of a workbook's parts together; a million rows take about 300 MiB.
	partPlainMax        = 8 << 20 // A part below this needs no ratio check…
	partRatioMax        = 200     // …above, sheets shrink 10 to 60 times, archive bombs a thousand times.
	partsMax            = 4096
)

// checkArchive refuses a workbook by its directory. The archive reader later fails on a part longer than stated.
func checkArchive(f *os.File, size, limit int64) error {
	z, err := zip.NewReader(f, size)
	if err != nil {
		if errors.Is(err, zip.ErrFormat) || errors.Is(err, io.ErrUnexpectedEOF) {
			return fmt.Errorf("%w: the archive has no directory", ErrTruncated)
		}
		return err
	}
	if len(z.File) > partsMax {
		return fmt.Errorf("%w: %d parts", ErrTooLarge, len(z.File))
	}
	total := uint64(0)
	for _, p := range z.File {
		if p.UncompressedSize64 > uint64(limit)-total {
			return fmt.Errorf("%w: over %d bytes", ErrTooLarge, limit)
		}
		total += p.UncompressedSize64
		if p.UncompressedSize64 > partPlainMax && p.UncompressedSize64/partRatioMax > p.CompressedSize64 {
			return fmt.Errorf("%w: part %q unpacks %d bytes to %d", ErrTooLarge, p.Name, p.CompressedSize64, p.UncompressedSize64)
		}
	}
	return nil
}

func readWorkbook(f *os.File, source string, o Options, yield func(Row, error) bool) {
	fail := func(err error) { yield(Row{}, fmt.Errorf("read %s: %w", source, err)) }
	limit := o.UnpackedMax
	if limit == 0 {
		limit = workbookUnpackedMax
	}
	info, err := f.Stat()
	if err != nil {
		fail(err)
		return
	}
	if err := checkArchive(f, info.Size(), limit); err != nil {
		fail(err)
		return
	}
	book, err := openBook(f, limit)
	if err != nil {
		fail(err)
		return
	}
	defer book.Close() //nolint:errcheck // Read only.
	dates := Dates1900
	if p, err := book.GetWorkbookProps(); err == nil && p.Date1904 != nil && *p.Date1904 {
		dates = Dates1904
	}
	sheets := book.GetSheetList()
	search := headerSearch{columns: o.columns()}
	any := false
	for i, sheet := range sheets {
		search.found = false
		goOn, err := readSheet(book, Row{Source: source, Sheet: sheet, Dates: dates}, &search, yield)
		if err != nil {
			yield(Row{}, err)
			return
		}
		any = any || search.found
		if !goOn {
			return
		}
		o.Progress(info.Size()*int64(i+1)/int64(len(sheets)) - info.Size()*int64(i)/int64(len(sheets)))
	}
	if !any {
		yield(Row{}, search.err(source))
	}
}

// openBook turns the library's panics on malformed parts into errors.
func openBook(r io.Reader, limit int64) (book *excelize.File, err error) {
	defer recovered(&err)
	book, err = excelize.OpenReader(r, excelize.Options{RawCellValue: true, UnzipSizeLimit: limit})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	return book, nil
}

func recovered(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("%w: malformed workbook: %v", ErrFormat, p)
	}
}

// readSheet yields the rows below the header row; a sheet without one has none.
func readSheet(book *excelize.File, at Row, search *headerSearch, yield func(Row, error) bool) (goOn bool, err error) {
	where := func(err error) error { return fmt.Errorf("read %s: %w", place(at.Source, at.Sheet, at.Number), err) }
	rows, err := openRows(book, at.Sheet)
	if err != nil {
		return false, where(err)
	}
	defer rows.Close() //nolint:errcheck // Read only.
	var cols []int
	for {
		record, ok, err := nextRow(rows)
		if err != nil {
			return false, where(err)
		}
		if !ok {
			return true, nil
		}
		at.Number++
		if !search.found {
			if cols, _ = search.try(record); !search.found && at.Number >= headerRowsMax {
				return true, nil
			}
			continue
		}
		row := at
		row.Values = pick(cols, record)
		if strings.Join(row.Values, "") == "" { // Blank rows between and below are no rows.
			continue
		}
		if !yield(row, nil) {
			return false, nil
		}
	}
}

func openRows(book *excelize.File, sheet string) (rows *excelize.Rows, err error) {
	defer recovered(&err)
	return book.Rows(sheet)
}

func nextRow(rows *excelize.Rows) (record []string, ok bool, err error) {
	defer recovered(&err)
	if !rows.Next() {
		return nil, false, rows.Error()
	}
	record, err = rows.Columns(excelize.Options{RawCellValue: true})
	return record, err == nil, err
}
