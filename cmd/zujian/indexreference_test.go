package main

import (
	"cmp"
	"encoding/csv"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const bondSpec = `{"method": %q, "value": "weekly_rent", "period": {"column": "lodged"}, "window": 6, "min_stratum": %d, "by": %s,
 "factors": [{"name": "area", "column": "postcode", "prefix": 3}, {"name": "dwelling"}, {"name": "factor(bed)", "column": "bedrooms"}],
 "keep": [{"column": "weekly_rent", "min": 50, "max": 5000}, {"column": "bedrooms", "integer": true%s}, {"column": "dwelling", "in": ["F", "H", "T"]}]}`

const saleSpec = `{"method": "repeat", "value": "price", "period": {"column": "date"}, "unit": "unit"}`

// referenceTable reads one of R's answers, by column name.
func referenceTable(t *testing.T, path string) (rows []map[string]string) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	all, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range all[1:] {
		row := map[string]string{}
		for i, name := range all[0] {
			row[name] = line[i]
		}
		rows = append(rows, row)
	}
	return rows
}

// compared is one figure of ours beside R's.
type compared struct {
	what      string
	got       *float64
	want      string
	tolerance float64
	relative  bool // To the figure itself; otherwise to the larger of it and 1.
}

// TestIndexReference prints a table of method, file and largest difference, and fails beyond what is agreed.
func TestIndexReference(t *testing.T) {
	dir := os.Getenv("ZUJIAN_REFERENCE")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared")
	}
	bonds := filepath.Join(dir, "data", "nsw-handout.csv.gz")
	if _, err := os.Stat(bonds); err != nil {
		t.Skip("no reference figures: set ZUJIAN_REFERENCE to the folder that holds data and reference")
	}
	fit := func(spec, table string) *fitResult {
		r, err := fitTable(t, spec, 2, table)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	series := func(r *fitResult) map[string]fitPoint {
		m := map[string]fitPoint{}
		for _, p := range r.Series {
			by := ""
			if p.By != nil {
				by = *p.By
			}
			m[by+p.Period] = p
		}
		return m
	}
	spec := func(method string, least int, by, beds string) string {
		return fmt.Sprintf(bondSpec, method, least, by, cmp.Or(beds, `, "max": 6`))
	}
	index := func(column string, of func(fitPoint) *float64, tolerance float64, relative bool) func(map[string]string, fitPoint) compared {
		return func(row map[string]string, p fitPoint) compared {
			return compared{column, of(p), row[column], tolerance, relative}
		}
	}
	byIndex := index("index", func(p fitPoint) *float64 { return p.Index }, 1e-9, true)
	byLog := index("log_index", func(p fitPoint) *float64 { return p.LogIndex }, 1e-9, false)
	byError := index("se", func(p fitPoint) *float64 { return p.SE }, 1e-6, true)
	type check = func(map[string]string, fitPoint) compared
	city := fit(spec("hedonic", 0, "null", ""), bonds)
	for _, c := range []struct {
		file   string
		result *fitResult
		checks []check
	}{
		{"hedonic-city.csv", city, []check{byIndex, byLog, byError}},
		{"hedonic-area.csv", fit(spec("hedonic", 0, `"area"`, ""), bonds), []check{byLog, byError}},
		{"rolling-6-mean-splice.csv", fit(spec("rolling", 0, "null", ""), bonds), []check{byIndex, byLog}},
		{"double-imputation.csv", fit(spec("double-imputation", 30, "null", `, "min": 1, "max": 4`), bonds), []check{
			index("laspeyres", func(p fitPoint) *float64 { return p.Laspeyres }, 1e-9, true),
			index("paasche", func(p fitPoint) *float64 { return p.Paasche }, 1e-9, true),
			index("fisher", func(p fitPoint) *float64 { return p.Fisher }, 1e-9, true),
		}},
		{"stratified-median.csv", fit(spec("stratified-median", 10, "null", ""), bonds), []check{byIndex}},
		{"repeat.csv", fit(saleSpec, filepath.Join(dir, "reference", "repeat-input.csv.gz")), []check{
			index("bmn", func(p fitPoint) *float64 { return p.LogIndex }, 1e-9, false),
			index("bmn_se", func(p fitPoint) *float64 { return p.SE }, 1e-6, true),
		}},
	} {
		points := series(c.result)
		var figures []compared
		for _, row := range referenceTable(t, filepath.Join(dir, "reference", c.file)) {
			p, there := points[row["area"]+row["month"]]
			if n := row["n"]; !there || n != "" && n != strconv.FormatInt(p.N, 10) {
				t.Fatalf("%s: %v: got %+v", c.file, row, p)
			}
			for _, f := range c.checks {
				figures = append(figures, f(row, p))
			}
		}
		report(t, c.result.Method, c.file, figures)
	}
	estimates := map[string]fitCoefficient{}
	for _, c := range city.Coefficients {
		estimates[c.Term] = c
	}
	var figures []compared
	for _, row := range referenceTable(t, filepath.Join(dir, "reference", "hedonic-city-coef.csv")) {
		c := estimates[row["term"]]
		figures = append(figures, compared{"estimate", c.Estimate, row["estimate"], 1e-8, true}, compared{"se", c.SE, row["se"], 1e-6, true})
	}
	report(t, city.Method, "hedonic-city-coef.csv", figures)
}

// report prints the largest difference of each column and fails on what is too far.
func report(t *testing.T, method, file string, figures []compared) {
	t.Helper()
	largest, order := map[string]float64{}, []string{}
	for _, f := range figures {
		want, err := strconv.ParseFloat(f.want, 64)
		if err != nil || f.got == nil {
			t.Fatalf("%s: %s: got %v, want %q", file, f.what, f.got, f.want)
		}
		scale := math.Max(1, math.Abs(want))
		if f.relative && want != 0 {
			scale = math.Abs(want)
		}
		d := math.Abs(*f.got-want) / scale
		if _, seen := largest[f.what]; !seen {
			order = append(order, f.what)
		}
		largest[f.what] = math.Max(largest[f.what], d)
		if !(d <= f.tolerance) {
			t.Errorf("%s: %s: got %.15g, want %s", file, f.what, *f.got, f.want)
		}
	}
	for _, what := range order {
		t.Logf("%-18s %-27s %-10s %6d figures, largest difference %.1e", method, file, what, len(figures)/len(order), largest[what])
	}
}

// TestIndexFitOfEveryMethod reads a known truth with each method, whatever the threads and the order of rows.
func TestIndexFitOfEveryMethod(t *testing.T) {
	t.Parallel()
	table := homesTable()
	head, body, _ := strings.Cut(table, "\n")
	lines := strings.Split(strings.TrimSpace(body), "\n")
	for i, j := 0, len(lines)-1; i < j; i, j = i+1, j-1 {
		lines[i], lines[j] = lines[j], lines[i]
	}
	forward, backward := writeTemp(t, "rents.csv", table), writeTemp(t, "back.csv", head+"\n"+strings.Join(lines, "\n")+"\n")
	for _, method := range []string{"hedonic", "rolling", "double-imputation", "repeat", "stratified-median"} {
		for _, by := range []string{"null", `"area"`} {
			spec := fmt.Sprintf(`{"method": %q, "value": "rent", "period": {"column": "on"}, "unit": "home", "window": 2, "min_stratum": 2, "by": %s,
				"factors": [{"name": "area"}, {"name": "bed"}]}`, method, by)
			one, err := fitTable(t, spec, 1, forward)
			if err != nil {
				t.Fatal(method, err)
			}
			two, err := fitTable(t, spec, 3, backward)
			if err != nil || one.InputsSHA256 != two.InputsSHA256 || len(one.Series) != len(two.Series) {
				t.Fatalf("%s: other rows order, other sums: %v", method, err)
			}
			for i, p := range one.Series {
				want := 100 * math.Exp(0.01*float64(p.Period[6]-'1'))
				if p.Index == nil || math.Abs(*p.Index-want) > 1e-6 || *p.Index != *two.Series[i].Index {
					t.Errorf("%s by %s, %s: got %v, want %v", method, by, p.Period, p.Index, want)
				}
			}
			raw, err := one.document("out.csv")
			if err != nil || strings.Count(string(raw), "\n") != len(one.Series)+1 {
				t.Errorf("%s as CSV: %v\n%s", method, err, raw)
			}
		}
	}
}

// homesTable has homes let in each of three months, 1 % dearer each time.
func homesTable() string {
	var b strings.Builder
	b.WriteString("home,on,area,bed,rent\n")
	for home := range 24 {
		for month := range 3 {
			area, bed := home%2, 1+home/2%2
			fmt.Fprintf(&b, "h%d,2026-0%d-15,A%d,%d,%.9f\n", home, month+1, area, bed, math.Exp(6+0.1*float64(area)+0.2*float64(bed)+0.01*float64(month)))
		}
	}
	return b.String()
}

// TestIndexFitLeavesOutThinLevels drops the rows of a level some month lacks, says so, and goes on.
func TestIndexFitLeavesOutThinLevels(t *testing.T) {
	t.Parallel()
	table := homesTable() + "h90,2026-01-02,A9,1,400\nh91,2026-02-02,A9,1,900\n"
	spec := `{"method": "double-imputation", "value": "rent", "period": {"column": "on"}, "factors": [{"name": "area"}, {"name": "bed"}]}`
	r, err := fitTable(t, spec, 2, writeTemp(t, "rents.csv", table))
	if err != nil || r.RowsUsed != 72 || r.RowsIn != 74 || r.Dropped["area: a level with less than 1 rows in some period"] != 2 {
		t.Fatalf("got %+v, %v", r, err)
	}
	never := "home,on,area,bed,rent\nh1,2026-01-02,A,1,400\nh2,2026-02-02,A,1,900\n"
	_, err = fitTable(t, `{"method": "repeat", "value": "rent", "unit": "home", "period": {"column": "on"}}`, 2, writeTemp(t, "never.csv", never))
	if err == nil || !strings.Contains(err.Error(), "no home has rents in two periods") {
		t.Errorf("got %v", err)
	}
}
