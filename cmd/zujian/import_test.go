package main

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"zujian/cmd/zujian/internal/tabular"
	"zujian/domain"
	"zujian/domain/contract"
	"zujian/eventstore"
	"zujian/eventstore/memory"
	"zujian/projections"
	"zujian/projections/rentindex"
)

func newImport(t *testing.T, mapJSON string) *contractImport {
	t.Helper()
	m, err := parseImportMap([]byte(mapJSON))
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	return &contractImport{
		importTarget: importTarget{Store: &memory.Store{}, Catalogue: domain.NewCatalogue(contract.Types)},
		Map:          m, Now: func() time.Time { return at }, Rejects: t.TempDir(), Progress: func(int64) {},
	}
}

func importFiles(t *testing.T, i *contractImport, paths ...string) *importSum {
	t.Helper()
	sum, err := i.run(t.Context(), paths)
	if err != nil {
		t.Fatal(err)
	}
	return sum
}

func recorded(t *testing.T, s eventstore.Store) (all []contract.LegacyRecorded) {
	t.Helper()
	for rec, err := range s.All(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		var e contract.LegacyRecorded
		if err := json.Unmarshal(rec.Data, &e); err != nil {
			t.Fatal(err)
		}
		all = append(all, e)
	}
	return all
}

const oldRegister = `{"name": "old", "_": "a note", "signed_on": {"column": "签订日期"}, "start": {"column": "起"}, "end": {"column": "止"},
 "rent": {"column": "月租金"}, "area": {"column": "面积"}, "street": {"column": "街道", "map": {"湖南路": "320106009"}}, "report_unit": {"value": "320106"},
 "let_mode": {"value": "WHOLE"}, "bedrooms": {"column": "室"}%s}`

const oldRows = "编号,签订日期,起,止,月租金,面积,街道,室\n" +
	"A1,2026年1月5日,2026/1/10,2027-01-09,3500,89.12,湖南路,2\n" +
	"A2,2026-01-06,,,电议,,,\n" +
	"A3,2026-01-07,2026-01-07,2025-01-07,2000,50,湖南路,1\n" +
	"A4,2026-01-08\n"

func TestImportRecordsWhatThereIs(t *testing.T) {
	t.Parallel()
	i := newImport(t, strings.Replace(oldRegister, "%s", "", 1))
	sum := importFiles(t, i, writeTemp(t, "old.csv", oldRows))
	if sum.Rows != 4 || sum.Recorded != 2 || sum.Rejected != 2 {
		t.Fatalf("got %+v", sum)
	}
	day := func(s string) domain.Day {
		d, err := domain.ParseDay(s)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	got := map[int]contract.LegacyRecorded{}
	for _, e := range recorded(t, i.Store) {
		got[e.Source.Row] = e
	}
	jan := day("2026-01-01").Month()
	want := map[int]contract.LegacyRecorded{
		2: {
			Source: contract.LegacySource{Name: "old.csv", Row: 2}, Kind: "OUT", Start: day("2026-01-10"), End: day("2027-01-09"), MonthlyRentFen: 350000,
			Missing: []string{"filed_on", "deposit_fen", "unit", "lessors"},
			Observation: domain.Observation{
				Month: jan, From: jan, To: jan + 12, RentFen: 350000, AreaC: 8912, ReportUnit: "320106", Street: "320106009",
				LetMode: "WHOLE", Bedrooms: 2, SizeBand: domain.Size90,
			},
		},
		3: {
			Source: contract.LegacySource{Name: "old.csv", Row: 3}, Kind: "OUT",
			Missing:     []string{"start", "end", "filed_on", "deposit_fen", "area_c", "monthly_rent_fen", "street", "unit", "bedrooms", "lessors"},
			Observation: domain.Observation{Month: jan, From: jan, ReportUnit: "320106", LetMode: "WHOLE", Excluded: excludedNoRent},
		},
	}
	if diff := cmp.Diff(got, want); diff != "" {
		t.Errorf("got, want\n%s", diff)
	}
	raw, err := os.ReadFile(sum.Files[0].Rejects)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(string(raw), "\uFEFF"))).ReadAll()
	if err != nil || len(rows) != 3 || rows[1][1] != "4" || !strings.Contains(rows[1][2], "/end") || rows[2][1] != "5" || rows[2][2] != "2 of 8 columns" {
		t.Errorf("rejects are %q, %v", rows, err)
	}
}

func TestImportTwiceChangesNothing(t *testing.T) {
	t.Parallel()
	i := newImport(t, strings.Replace(oldRegister, "%s", "", 1))
	path := writeTemp(t, "old.csv", oldRows)
	importFiles(t, i, path)
	before := recorded(t, i.Store)
	i.Now = func() time.Time { return time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC) }
	if sum := importFiles(t, i, path); sum.Recorded != 0 || sum.Already != 2 || sum.Rejected != 2 {
		t.Errorf("got %+v", sum)
	}
	if diff := cmp.Diff(recorded(t, i.Store), before); diff != "" {
		t.Error(diff)
	}
	// Another row where one stood is no repeat.
	if err := os.WriteFile(path, []byte(strings.Replace(oldRows, "3500", "3600", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	sum := importFiles(t, i, path)
	if raw, _ := os.ReadFile(sum.Files[0].Rejects); sum.Rejected != 3 || !strings.Contains(string(raw), ",2,"+errChanged.Error()) {
		t.Errorf("got %+v, %s", sum, raw)
	}
	// Without rejects the old list goes.
	clean := strings.Join(strings.SplitAfter(oldRows, "\n")[:3], "")
	if err := os.WriteFile(path, []byte(clean), 0o600); err != nil {
		t.Fatal(err)
	}
	if importFiles(t, i, path); exists(filepath.Join(i.Rejects, "old.csv.rejects.csv")) {
		t.Error("the list of rejects outlived them")
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func TestImportByKey(t *testing.T) {
	t.Parallel()
	i := newImport(t, strings.Replace(oldRegister, "%s", `, "key": ["编号"]`, 1))
	lines := strings.SplitAfter(oldRows, "\n")
	importFiles(t, i, writeTemp(t, "part.csv", lines[0]+lines[1]))
	// The row stands elsewhere in another file.
	sum := importFiles(t, i, writeTemp(t, "all.csv", lines[0]+lines[2]+lines[1]+strings.Replace(lines[1], "A1", "NA", 1)))
	if sum.Recorded != 1 || sum.Already != 1 || sum.Rejected != 1 {
		t.Errorf("got %+v", sum)
	}
}

func TestImportBlindsLessors(t *testing.T) {
	t.Parallel()
	text := `{"name": "x", "signed_on": {"column": "on"}, "rent": {"column": "rent"}, "lessor": {"column": "id"}}`
	path := writeTemp(t, "x.csv", "on,rent,id\n2026-01-01,100,320102188801010015\n")
	i := newImport(t, text)
	if sum := importFiles(t, i, path); sum.Rejected != 1 {
		t.Errorf("without a key: got %+v", sum)
	}
	i.Blind = func(id string) string { return "blind" + strconv.Itoa(len(id)) }
	importFiles(t, i, path)
	if all := recorded(t, i.Store); len(all) != 1 || all[0].Observation.Lessor != "blind18" {
		t.Errorf("got %+v", all)
	}
}

func TestImportStopsAtACutFile(t *testing.T) {
	t.Parallel()
	i := newImport(t, strings.Replace(oldRegister, "%s", "", 1))
	cut := writeTemp(t, "cut.csv", oldRows[:len(oldRows)-2])
	sum, err := i.run(t.Context(), []string{cut})
	if !errors.Is(err, tabular.ErrTruncated) || !strings.Contains(err.Error(), "cut.csv") || sum.Rows < 3 {
		t.Errorf("got %+v, %v", sum, err)
	}
}

func TestImportMapRefusals(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{
		`{`, `{"name": "x"}`, `{"rent": {"column": "r"}, "start": {"column": "s"}}`, `{"name": "x", "rents": {}}`,
		`{"name": "x", "kind": "IN", "rent": {"column": "r"}, "start": {"column": "s"}}`,
		`{"name": "x", "rent": {"column": "r", "per": "DAY"}, "start": {"column": "s"}}`,
	} {
		if _, err := parseImportMap([]byte(bad)); err == nil {
			t.Errorf("%s is a map", bad)
		}
	}
	if _, err := loadImportMap("nsw"); err != nil {
		t.Error(err)
	}
	if _, err := loadImportMap("atlantis"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

// viewSeries replays the store into the view of a model and computes a series.
func viewSeries(t *testing.T, store eventstore.Store, m rentindex.Model, q rentindex.Query) (res *rentindex.Result) {
	t.Helper()
	p, views, types := rentindex.Projection{Model: m}, &projections.Memory{}, domain.NewCatalogue(contract.Types)
	at := eventstore.Position(0)
	var batch []projections.Event
	flush := func() {
		if len(batch) == 0 {
			return
		}
		next := batch[len(batch)-1].Position
		err := views.Batch(t.Context(), p.Name(), p.Version(), at, next, func(v projections.View) error { return p.Apply(t.Context(), v, batch) })
		if err != nil {
			t.Fatal(err)
		}
		at, batch = next, batch[:0]
	}
	for rec, err := range store.All(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		e, err := projections.Decode(types, rec)
		if err != nil {
			t.Fatal(err)
		}
		if batch = append(batch, e); len(batch) == 512 {
			flush()
		}
	}
	flush()
	if err := views.Activate(t.Context(), p.Name(), p.Version()); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	err := views.Read(t.Context(), p.Name(), func(r projections.Reader) (err error) {
		res, err = p.Series(t.Context(), r, q)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s %s: %d contracts in %d months computed in %v", q.Area, q.Population, res.N, len(res.Points), time.Since(began))
	return res
}

// TestImportedRegisterGivesTheIndexOfItsTable imports a sample of a real register and compares the view's index with the
// one fitted from the table, bit for bit.
func TestImportedRegisterGivesTheIndexOfItsTable(t *testing.T) {
	t.Parallel()
	sample := filepath.Join("..", "..", "projections", "rentindex", "stat", "testdata", "nsw-bonds-sample.csv.gz")
	bundled, err := bundledMaps.ReadFile("profiles/nsw/contracts.json")
	if err != nil {
		t.Fatal(err)
	}
	names := strings.NewReplacer("Lodgement Date", "lodged", "Weekly Rent", "weekly_rent", "Postcode", "postcode", "Dwelling Type", "dwelling", "Bedrooms", "bedrooms")
	i := newImport(t, names.Replace(string(bundled)))
	sum := importFiles(t, i, sample)
	if sum.Rows != 12594 || sum.Recorded != sum.Rows {
		t.Errorf("got %+v", sum)
	}
	model, _ := rentindex.Bundled("nsw")
	got := viewSeries(t, i.Store, model, rentindex.Query{Area: rentindex.City, Population: rentindex.New})
	want, err := fitTable(t, `{"method": "hedonic", "value": "weekly_rent", "period": {"column": "lodged"},
	 "factors": [{"name": "area", "column": "postcode", "prefix": 3}, {"name": "dwelling"}, {"name": "bed", "column": "bedrooms"}],
	 "keep": [{"column": "weekly_rent", "min": 50, "max": 5000}, {"column": "bedrooms", "integer": true, "max": 6}, {"column": "dwelling", "in": ["F", "H", "T"]}]}`, 2, sample)
	if err != nil {
		t.Fatal(err)
	}
	if got.N != want.RowsUsed || *got.Sigma != *want.Sigma || *got.R2 != *want.R2 || len(got.Points) != len(want.Series) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	for k, w := range want.Series {
		if p := got.Points[k]; p.Month.String() != w.Period || p.N != w.N || *p.Index != *w.Index || *p.SE != *w.SE {
			t.Errorf("%s: got %+v, want %+v", w.Period, p, w)
		}
	}
}

// TestImportReference imports the whole register and holds the view's index to R's. It takes most of a minute.
func TestImportReference(t *testing.T) {
	dir := os.Getenv("ZUJIAN_REFERENCE")
	if dir == "" || testing.Short() {
		t.Skip("set ZUJIAN_REFERENCE to the folder that holds data and reference")
	}
	files, err := filepath.Glob(filepath.Join(dir, "data", "nsw-bonds", "*.xlsx"))
	if err != nil || len(files) != 18 {
		t.Fatalf("%d workbooks, %v", len(files), err)
	}
	bundled, err := bundledMaps.ReadFile("profiles/nsw/contracts.json")
	if err != nil {
		t.Fatal(err)
	}
	i := newImport(t, string(bundled))
	if sum := importFiles(t, i, files...); sum.Recorded != 503757 {
		t.Fatalf("got %+v", sum)
	}
	model, _ := rentindex.Bundled("nsw")
	res := viewSeries(t, i.Store, model, rentindex.Query{Area: rentindex.City, Population: rentindex.New})
	f, err := os.Open(filepath.Join(dir, "reference", "hedonic-city.csv"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close() //nolint:errcheck // Read only.
	want, err := csv.NewReader(f).ReadAll()
	if err != nil || len(want) != len(res.Points)+1 {
		t.Fatalf("%d months, want %d, %v", len(res.Points), len(want)-1, err)
	}
	number := func(s string) float64 {
		v, err := strconv.ParseFloat(s, 64)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	for k, w := range want[1:] {
		p := res.Points[k]
		se, index := number(w[3]), number(w[4])
		if p.Month.String() != w[0] || strconv.FormatInt(p.N, 10) != w[1] || math.Abs(*p.Index-index) > 1e-9*index || math.Abs(*p.SE-se) > 1e-6*se {
			t.Errorf("got %s %d %v %v, want %v", p.Month, p.N, *p.Index, *p.SE, w)
		}
	}
}
