package tabular

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"
)

// readParquet yields the rows of a Parquet file: its flat columns, as the text a CSV of them would hold. Dates and
// timestamps become dates (timestamps those of UTC).
func readParquet(f *os.File, source string, o Options, yield func(Row, error) bool) {
	defer func() { // The library panics on some damaged pages.
		if p := recover(); p != nil {
			yield(Row{}, fmt.Errorf("read %s: %w: %v", source, ErrFormat, p))
		}
	}()
	info, err := f.Stat()
	if err != nil {
		yield(Row{}, fmt.Errorf("read %s: %w", source, err))
		return
	}
	file, err := parquet.OpenFile(f, info.Size())
	if err != nil {
		yield(Row{}, fmt.Errorf("read %s: %w: %w", source, ErrFormat, err))
		return
	}
	var header []string
	var leaves []*parquet.Column // By leaf index; nil for nested or repeated ones.
	collectLeaves(file.Root(), true, &header, &leaves)
	search := headerSearch{columns: o.columns()}
	at, ok := search.try(header)
	if !ok {
		yield(Row{}, search.err(source))
		return
	}
	r := &parquetRows{source: source, leaves: leaves, at: at, yield: yield, number: 1}
	for _, group := range file.RowGroups() {
		if goOn, err := r.group(group); err != nil {
			yield(Row{}, fmt.Errorf("read %s: %w", source, err))
			return
		} else if !goOn {
			return
		}
	}
	o.Progress(info.Size())
}

// collectLeaves lists the leaf columns in order; only plain columns of the top level have a name.
func collectLeaves(c *parquet.Column, top bool, header *[]string, leaves *[]*parquet.Column) {
	for _, child := range c.Columns() {
		switch {
		case !child.Leaf():
			collectLeaves(child, false, header, leaves)
		case top && !child.Repeated():
			*header, *leaves = append(*header, child.Name()), append(*leaves, child)
		default:
			*header, *leaves = append(*header, ""), append(*leaves, nil)
		}
	}
}

type parquetRows struct {
	source string
	leaves []*parquet.Column
	at     []int
	yield  func(Row, error) bool
	number int // Of the row: 1 would be a header.
}

func (r *parquetRows) group(group parquet.RowGroup) (goOn bool, err error) {
	rows := group.Rows()
	defer func() { err = errors.Join(err, rows.Close()) }()
	buf := make([]parquet.Row, 256)
	record := make([]string, len(r.leaves))
	for {
		n, err := rows.ReadRows(buf)
		for _, row := range buf[:n] {
			clear(record)
			for _, v := range row {
				if i := v.Column(); i >= 0 && i < len(r.leaves) && r.leaves[i] != nil && !v.IsNull() {
					record[i] = parquetText(r.leaves[i], v)
				}
			}
			r.number++
			if !r.yield(Row{Source: r.source, Number: r.number, Values: pick(r.at, record)}, nil) {
				return false, nil
			}
		}
		if errors.Is(err, io.EOF) {
			return true, nil
		}
		if err != nil {
			return false, err
		}
	}
}

// parquetText writes a value as a table of text would.
func parquetText(c *parquet.Column, v parquet.Value) string {
	if logical := c.Type().LogicalType(); logical != nil {
		switch l := logical.Value.(type) {
		case *format.DateType:
			return time.Unix(int64(v.Int32())*86400, 0).UTC().Format(time.DateOnly)
		case *format.TimestampType:
			if l.Unit.Value == nil || v.Kind() != parquet.Int64 {
				break
			}
			unit := int64(time.Second / l.Unit.Value.Duration())
			return time.Unix(v.Int64()/unit, v.Int64()%unit*(1e9/unit)).UTC().Format(time.DateOnly)
		case *format.DecimalType:
			if v.Kind() == parquet.Int32 || v.Kind() == parquet.Int64 {
				return decimalText(v, int(l.Scale))
			}
		case *format.IntType:
			if !l.IsSigned && v.Kind() == parquet.Int64 {
				return strconv.FormatUint(v.Uint64(), 10)
			} else if !l.IsSigned {
				return strconv.FormatUint(uint64(v.Uint32()), 10)
			}
		}
	}
	switch v.Kind() {
	case parquet.Boolean:
		return strconv.FormatBool(v.Boolean())
	case parquet.Int32:
		return strconv.FormatInt(int64(v.Int32()), 10)
	case parquet.Int64:
		return strconv.FormatInt(v.Int64(), 10)
	case parquet.Float:
		return strconv.FormatFloat(float64(v.Float()), 'g', -1, 32)
	case parquet.Double:
		return strconv.FormatFloat(v.Double(), 'g', -1, 64)
	}
	return string(v.ByteArray())
}

func decimalText(v parquet.Value, scale int) string {
	n := v.Int64()
	if v.Kind() == parquet.Int32 {
		n = int64(v.Int32())
	}
	sign, digits := "", strconv.FormatInt(n, 10)
	if n < 0 {
		sign, digits = "-", digits[1:]
	}
	for len(digits) <= scale {
		digits = "0" + digits
	}
	if scale <= 0 {
		return sign + digits
	}
	return sign + digits[:len(digits)-scale] + "." + digits[len(digits)-scale:]
}
