package tabular_test

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/xuri/excelize/v2"
	"golang.org/x/text/encoding/simplifiedchinese"

	"zujian/cmd/zujian/internal/tabular"
)

func write(t *testing.T, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func zipped(t *testing.T, data string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write([]byte(data)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// drain is each row as text, each row error as text, and the error that ended the reading.
func drain(path string, o tabular.Options) (rows []string, end error) {
	for row, err := range tabular.Read(path, o) {
		var bad *tabular.RowError
		switch {
		case errors.As(err, &bad):
			rows = append(rows, "! "+bad.Error())
		case err != nil:
			return rows, err
		default:
			rows = append(rows, fmt.Sprintf("%d %s", row.Number, strings.Join(row.Values, "|")))
		}
	}
	return rows, nil
}

var monthRent = tabular.Options{Required: []string{"month", "租金"}, Optional: []string{"area"}}

func TestText(t *testing.T) {
	t.Parallel()
	const table = "租金,month,area\n100,2026-01,甲\n\"1\"\"2\n3\",2026-02,\n"
	want := []string{"2 2026-01|100|甲", "3 2026-02|1\"2\n3|"}
	gb, err := simplifiedchinese.GB18030.NewEncoder().String(table)
	if err != nil {
		t.Fatal(err)
	}
	late := "note,,\n" + strings.Repeat("x,,\n", 40) + gb
	for name, c := range map[string]struct {
		file string
		data []byte
		want []string
	}{
		"UTF-8":                           {"a.csv", []byte(table), want},
		"with a byte order mark":          {"a.csv", []byte("\xEF\xBB\xBF" + table), want},
		"with CRLF":                       {"a.csv", []byte(strings.ReplaceAll(table, "\n", "\r\n")), want},
		"GB18030":                         {"a.csv", []byte(gb), want},
		"gzipped":                         {"a.csv.gz", zipped(t, table), want},
		"gzipped under another name":      {"a.csv", zipped(t, table), want},
		"tabs":                            {"a.tsv", []byte("租金\tmonth\n7\t2026-03\n"), []string{"2 2026-03|7|"}},
		"semicolons":                      {"a.csv", []byte("租金;month\n7;2026-03\n"), []string{"2 2026-03|7|"}},
		"NDJSON":                          {"a.ndjson", []byte("{\"租金\":100.50,\"month\":\"2026-01\",\"area\":null}\n\n{\"租金\":true}\n"), []string{"1 2026-01|100.50|", "3 |true|"}},
		"the header below a title":        {"a.csv", []byte("register,,\n\n" + table), []string{"4 2026-01|100|甲", "5 2026-02|1\"2\n3|"}},
		"GB18030 after much plain text":   {"a.csv", []byte(late), []string{"43 2026-01|100|甲", "44 2026-02|1\"2\n3|"}},
		"names in other case and spacing": {"a.csv", []byte(" MONTH ,租金\n2026-01,5\n"), []string{"2 2026-01|5|"}},
	} {
		rows, err := drain(write(t, c.file, c.data), monthRent)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(rows, c.want); diff != "" {
			t.Errorf("%s: got, want\n%s", name, diff)
		}
	}
}

func TestRowsThatCannotBeRead(t *testing.T) {
	t.Parallel()
	path := write(t, "rents.csv", []byte("month,租金,x\n2026-01,1,\n2026-02,2\n2026-03,a\"b,\n2026-04,4,\n"))
	rows, err := drain(path, monthRent)
	want := []string{"2 2026-01|1|", "! rents.csv row 3: 2 of 3 columns", "! rents.csv row 4: bare \" in non-quoted-field", "5 2026-04|4|"}
	if diff := cmp.Diff(rows, want); diff != "" || err != nil {
		t.Errorf("got, want\n%s%v", diff, err)
	}
	path = write(t, "a.jsonl", []byte("[1]\n{\"month\":{}}\n{\"month\":\"2026-01\"}\n"))
	rows, err = drain(path, monthRent)
	if len(rows) != 3 || !strings.Contains(rows[1], "object or a list") || rows[2] != "3 2026-01||" || err != nil {
		t.Errorf("got %q, %v", rows, err)
	}
}

func TestTruncatedFiles(t *testing.T) {
	t.Parallel()
	table := "month,租金\n"
	for i := range 5000 {
		table += fmt.Sprintf("2026-01,%d\n", i*i)
	}
	gz := zipped(t, table)
	for name, c := range map[string]struct {
		file string
		data []byte
		rows int // At least.
	}{
		"gzip":             {"rents.csv.gz", gz[:len(gz)/2], 1000},
		"gzip checksum":    {"rents.csv.gz", gz[:len(gz)-4], 1000},
		"inside a quote":   {"rents.csv", []byte("month,租金\n2026-01,1\n2026-01,\"12"), 1},
		"inside a row":     {"rents.csv", []byte("month,租金\n2026-01,1\n2026-0"), 1},
		"inside an object": {"rents.ndjson", []byte("{\"month\":\"2026-01\"}\n{\"month\":\"20"), 1},
		"a workbook":       {"rents.xlsx", workbook(t, "s", [][]any{{"month", "租金"}, {"2026-01", 1}})[:3000], 0},
	} {
		rows, err := drain(write(t, c.file, c.data), monthRent)
		if !errors.Is(err, tabular.ErrTruncated) || !strings.Contains(err.Error(), c.file) || len(rows) < c.rows {
			t.Errorf("%s: %d rows, then %v", name, len(rows), err)
		}
	}
}

func workbook(t *testing.T, sheet string, rows [][]any) []byte {
	t.Helper()
	f := excelize.NewFile()
	defer f.Close() //nolint:errcheck // In memory.
	if err := f.SetSheetName("Sheet1", sheet); err != nil {
		t.Fatal(err)
	}
	for i, r := range rows {
		if err := f.SetSheetRow(sheet, fmt.Sprintf("A%d", i+1), &r); err != nil {
			t.Fatal(err)
		}
	}
	var b bytes.Buffer
	if err := f.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestWorkbook(t *testing.T) {
	t.Parallel()
	path := write(t, "rents.xlsx", workbook(t, "登记", [][]any{
		{"Register of rents"}, {}, {"Month", "note", "租金 "}, {43208, "x", 470}, {}, {"2026-01-02", nil, "a lot"},
	}))
	rows, err := drain(path, monthRent)
	if diff := cmp.Diff(rows, []string{"4 43208|470|", "6 2026-01-02|a lot|"}); diff != "" || err != nil {
		t.Errorf("got, want\n%s%v", diff, err)
	}
	for row := range tabular.Read(path, monthRent) {
		if d, err := tabular.ParseDate(row.Values[0], row.Dates, ""); err != nil || row.Number == 4 && d.String() != "2018-04-18" {
			t.Errorf("row %d: %v, %v", row.Number, d, err)
		}
		if row.Sheet != "登记" || row.Source != "rents.xlsx" {
			t.Errorf("row says it is of %s, %s", row.Source, row.Sheet)
		}
	}
}

// otherWriter is a minimal workbook as other programs write it: prefixed elements, text in the cells, no shared strings.
func otherWriter(t *testing.T, sheet string) []byte {
	t.Helper()
	const main = `xmlns:x="http://schemas.openxmlformats.org/spreadsheetml/2006/main"`
	return archive(t, map[string]string{
		"[Content_Types].xml": `<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="xml" ContentType="application/xml"/>` +
			`<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>` +
			`<Override PartName="/xl/workbook.xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/>` +
			`<Override PartName="/xl/worksheets/sheet1.xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"/></Types>`,
		"_rels/.rels":                `<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="r1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" Target="xl/workbook.xml"/></Relationships>`,
		"xl/workbook.xml":            `<x:workbook ` + main + ` xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"><x:sheets><x:sheet name="s" sheetId="1" r:id="r1"/></x:sheets></x:workbook>`,
		"xl/_rels/workbook.xml.rels": `<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="r1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet" Target="worksheets/sheet1.xml"/></Relationships>`,
		"xl/worksheets/sheet1.xml":   `<x:worksheet ` + main + `><x:sheetData>` + sheet + `</x:sheetData></x:worksheet>`,
	})
}

func archive(t *testing.T, parts map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for name, body := range parts {
		w, err := z.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(body)); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestWorkbookOfAnotherProgram(t *testing.T) {
	t.Parallel()
	cell := func(ref, text string) string {
		return `<x:c r="` + ref + `" t="inlineStr"><x:is><x:t>` + text + `</x:t></x:is></x:c>`
	}
	path := write(t, "other.xlsx", otherWriter(t, `<x:row r="1">`+cell("A1", "month")+cell("B1", "租金")+`</x:row><x:row r="2"><x:c r="A2"><x:v>43208</x:v></x:c>`+cell("B2", "470")+`</x:row>`))
	rows, err := drain(path, monthRent)
	if diff := cmp.Diff(rows, []string{"2 43208|470|"}); diff != "" || err != nil {
		t.Errorf("got, want\n%s%v", diff, err)
	}
}

func TestRefusedFiles(t *testing.T) {
	t.Parallel()
	bomb := archive(t, map[string]string{"xl/workbook.xml": strings.Repeat(" ", 64<<20)})
	for name, c := range map[string]struct {
		file string
		data []byte
		o    tabular.Options
		want error
	}{
		"a bomb":                  {"a.xlsx", bomb, monthRent, tabular.ErrTooLarge},
		"a workbook over a limit": {"a.xlsx", workbook(t, "s", [][]any{{"month"}}), tabular.Options{UnpackedMax: 1000}, tabular.ErrTooLarge},
		"a gzip bomb":             {"a.csv.gz", zipped(t, strings.Repeat("1,2\n", 1<<20)), tabular.Options{UnpackedMax: 1 << 20}, tabular.ErrTooLarge},
		"an old workbook":         {"a.xlsx", []byte("\xD0\xCF\x11\xE0"), monthRent, tabular.ErrFormat},
		"an archive of others":    {"a.xlsx", archive(t, map[string]string{"x": "y"}), monthRent, tabular.ErrFormat},
		"no such columns":         {"a.csv", []byte("a,b\n1,2\n"), monthRent, tabular.ErrHeader},
		"no rows at all":          {"a.csv", nil, monthRent, tabular.ErrHeader},
		"a sheet without them":    {"a.xlsx", workbook(t, "s", [][]any{{"month"}}), monthRent, tabular.ErrHeader},
		"no such file":            {"", nil, monthRent, os.ErrNotExist},
	} {
		path := filepath.Join(t.TempDir(), "none.csv")
		if c.file != "" {
			path = write(t, c.file, c.data)
		}
		rows, err := drain(path, c.o)
		if !errors.Is(err, c.want) || len(rows) > 0 && c.want != tabular.ErrTooLarge {
			t.Errorf("%s: %d rows, %v", name, len(rows), err)
		}
	}
}

func TestDates(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		in     string
		system tabular.DateSystem
		layout string
		want   string
	}{
		{"2018-01-18", 0, "", "2018-01-18"},
		{" 2018/1/8 ", 0, "", "2018-01-08"},
		{"2018.1.8", 0, "", "2018-01-08"},
		{"2018年1月8日", 0, "", "2018-01-08"},
		{"20180108", tabular.Dates1900, "", "2018-01-08"},
		{"2018-01-18T23:59:59.5+08:00", 0, "", "2018-01-18"},
		{"2018-01-18 00:00:00", 0, "", "2018-01-18"},
		{"18/01/2018", 0, "02/01/2006", "2018-01-18"},
		{"43208", tabular.Dates1900, "02/01/2006", "2018-04-18"},
		{"43208.75", tabular.Dates1900, "", "2018-04-18"},
		{"1", tabular.Dates1900, "", "1900-01-01"},
		{"59", tabular.Dates1900, "", "1900-02-28"},
		{"61", tabular.Dates1900, "", "1900-03-01"},
		{"0", tabular.Dates1904, "", "1904-01-01"},
		{"41746", tabular.Dates1904, "", "2018-04-18"},
	} {
		if got, err := tabular.ParseDate(c.in, c.system, c.layout); err != nil || got.String() != c.want {
			t.Errorf("%q: got %v, %v; want %s", c.in, got, err, c.want)
		}
	}
	for _, in := range []string{"", "18/01/2018", "01/02/2018", "2018-02-30", "2018-13-01", "2018-1", "2018", "43208", "0000-01-01", "2018-01-18x", "2018-01-18 noon", "2018--1-1", "2018-+1-01"} {
		if got, err := tabular.ParseDate(in, tabular.DatesText, ""); err == nil {
			t.Errorf("%q is read as %v", in, got)
		}
	}
	for _, in := range []string{"60", "0", "-1", "NaN", "1e300"} {
		if got, err := tabular.ParseDate(in, tabular.Dates1900, ""); err == nil {
			t.Errorf("%q is read as %v", in, got)
		}
	}
}

func TestNumbers(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]float64{"470": 470, " 470.5 ": 470.5, "1e3": 1000, "-.5": -0.5, "+7": 7} {
		if got, err := tabular.ParseNumber(in); err != nil || got != want {
			t.Errorf("%q: got %v, %v", in, got, err)
		}
	}
	for _, in := range []string{"", "U", "1,234", "0x10", "inf", "NaN", "1e999", "1_000", "４７０", "--1", "e", "$470"} {
		if got, err := tabular.ParseNumber(in); err == nil {
			t.Errorf("%q is read as %v", in, got)
		}
	}
	for in, want := range map[string]int64{"470": 47000, "89.12": 8912, "0.1": 10, "0.10000000000000001": 10, "470.00000000000006": 47000, "-1.5": -150, "99999999999.99": 9999999999999, "1e3": 100000} {
		if got, err := tabular.ParseHundredths(in); err != nil || got != want {
			t.Errorf("%q: got %v, %v", in, got, err)
		}
	}
	for _, in := range []string{"1.005", "1e14", "x", "1e-9"} {
		if got, err := tabular.ParseHundredths(in); err == nil {
			t.Errorf("%q is read as %v", in, got)
		}
	}
}

func FuzzValues(f *testing.F) {
	for _, s := range []string{"2018-01-18", "43208", "2018年1月8日", "1e3", "0.29", "60", "-0"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, system := range []tabular.DateSystem{tabular.DatesText, tabular.Dates1900, tabular.Dates1904} {
			if d, err := tabular.ParseDate(s, system, ""); err == nil {
				again, err := tabular.ParseDate(d.String(), tabular.DatesText, "")
				if err != nil || again != d {
					t.Fatalf("%q is %v, which reads back as %v, %v", s, d, again, err)
				}
			}
		}
		if v, err := tabular.ParseNumber(s); err == nil && v != v {
			t.Fatalf("%q is NaN", s)
		}
		if n, err := tabular.ParseHundredths(s); err == nil {
			sign := ""
			if n < 0 {
				sign, n = "-", -n
			}
			if again, err := tabular.ParseHundredths(fmt.Sprintf("%s%d.%02d", sign, n/100, n%100)); err != nil || again != n && again != -n {
				t.Fatalf("%q is %d, which reads back as %d, %v", s, n, again, err)
			}
		}
	})
}

// FuzzSheet puts any bytes where a sheet's rows stand.
func FuzzSheet(f *testing.F) {
	f.Add(`<x:row r="1"><x:c r="A1" t="inlineStr"><x:is><x:t>month</x:t></x:is></x:c></x:row><x:row r="2"><x:c r="A2"><x:v>43208</x:v></x:c></x:row>`)
	f.Add(`<x:row r="1"><x:c r="A1" t="s"><x:v>-7</x:v></x:c></x:row>`)
	f.Add(`<x:row r="99999999999"><x:c r="ZZZZZZ9" t="b"/>`)
	f.Fuzz(func(t *testing.T, rows string) {
		_, _ = drain(write(t, "a.xlsx", otherWriter(t, rows)), tabular.Options{Required: []string{"month"}})
	})
}

func FuzzRead(f *testing.F) {
	f.Add("a.csv", []byte("month,租金\n2026-01,1\n"))
	f.Add("a.ndjson", []byte("{\"month\":1}\n"))
	f.Add("a.xlsx", []byte("PK\x05\x06"))
	f.Fuzz(func(t *testing.T, name string, data []byte) {
		name = filepath.Base("x" + filepath.Ext(strings.ReplaceAll(name, "\x00", "")))
		if strings.ContainsAny(name, "/\x00") || len(name) > 100 {
			return
		}
		path := write(t, name, data)
		_, _ = drain(path, tabular.Options{Required: []string{"month"}, UnpackedMax: 1 << 20})
	})
}
