package stat_test

import (
	"encoding/csv"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"gonum.org/v1/gonum/mat"

	"zujian/projections/rentindex/stat"
)

var byAreaDwellingBed = stat.Design{Factors: []string{"area", "dwelling", "factor(bed)"}}

func near(t *testing.T, what string, got, want, relative float64) {
	t.Helper()
	if !(math.Abs(got-want) <= relative*math.Max(1, math.Abs(want))) {
		t.Errorf("%s: got %.15g, want %.15g", what, got, want)
	}
}

// nearSE holds a standard error to a share of itself.
func nearSE(t *testing.T, what string, got *float64, want float64) {
	t.Helper()
	if got == nil {
		t.Errorf("%s: no standard error, want %.15g", what, want)
	} else if !(math.Abs(*got-want) <= 1e-6*want) {
		t.Errorf("%s: standard error %.15g, want %.15g", what, *got, want)
	}
}

// TestTimeDummyIsDenseLeastSquares solves the same model a second way: all rows, all dummies, Householder QR.
func TestTimeDummyIsDenseLeastSquares(t *testing.T) {
	t.Parallel()
	rows := lodgements(t, "testdata/nsw-bonds-sample.csv.gz")
	for i := range rows { // Fewer areas, so that the dense solve is quick.
		rows[i].area = rows[i].area[:2]
	}
	fit, err := stat.TimeDummy(byAreaDwellingBed, periods(t, rows, true))
	if err != nil {
		t.Fatal(err)
	}
	estimate, se, sigma, r2 := dense(t, rows)
	if fit.N != int64(len(rows)) || len(fit.Dropped) != 0 || fit.Rank != len(estimate) {
		t.Fatalf("n %d, dropped %v, rank %d of %d", fit.N, fit.Dropped, fit.Rank, len(estimate))
	}
	near(t, "sigma", *fit.Sigma, sigma, 1e-9)
	near(t, "R²", *fit.R2, r2, 1e-9)
	for _, c := range fit.Coefficients {
		near(t, c.Term, c.Estimate, estimate[c.Term], 1e-9)
		nearSE(t, c.Term, c.SE, se[c.Term])
	}
	for _, p := range fit.Points[1:] {
		near(t, p.Period, *p.Index, 100*math.Exp(estimate[p.Period]), 1e-9)
		nearSE(t, p.Period, p.SE, se[p.Period])
	}
}

func dense(t *testing.T, rows []lodgement) (estimate, se map[string]float64, sigma, r2 float64) {
	levels := map[string]bool{}
	fields := func(l lodgement) []string {
		return []string{"area" + l.area, "dwelling" + l.dwelling, "factor(bed)" + l.bed, l.month}
	}
	for _, r := range rows {
		for _, f := range fields(r) {
			levels[f] = true
		}
	}
	names := make([]string, 0, len(levels))
	for l := range levels {
		names = append(names, l)
	}
	slices.Sort(names)
	cols := map[string]int{"(Intercept)": 0}
	for i, l := range names {
		if kind := strings.TrimRight(l, "0123456789"); i == 0 || kind != strings.TrimRight(names[i-1], "0123456789") &&
			!strings.HasPrefix(l, "dwelling") && !strings.HasPrefix(l, "20") || l == "dwellingF" || l == "2018-01" {
			continue // The first of each kind is the base.
		}
		cols[l] = len(cols)
	}
	x, y, mean := mat.NewDense(len(rows), len(cols), nil), mat.NewVecDense(len(rows), nil), 0.0
	for i, r := range rows {
		x.Set(i, 0, 1)
		for _, f := range fields(r) {
			if j, ok := cols[f]; ok {
				x.Set(i, j, 1)
			}
		}
		y.SetVec(i, math.Log(r.rent))
		mean += math.Log(r.rent) / float64(len(rows))
	}
	var qr mat.QR
	qr.Factorize(x)
	var b, fitted mat.VecDense
	if err := qr.SolveVecTo(&b, false, y); err != nil {
		t.Fatal(err)
	}
	fitted.MulVec(x, &b)
	rss, tss := 0.0, 0.0
	for i := range rows {
		rss += math.Pow(y.AtVec(i)-fitted.AtVec(i), 2)
		tss += math.Pow(y.AtVec(i)-mean, 2)
	}
	sigma = math.Sqrt(rss / float64(len(rows)-len(cols)))
	var xx, inv mat.Dense
	xx.Mul(x.T(), x)
	if err := inv.Inverse(&xx); err != nil {
		t.Fatal(err)
	}
	estimate, se = map[string]float64{}, map[string]float64{}
	for name, j := range cols {
		estimate[name], se[name] = b.AtVec(j), sigma*math.Sqrt(inv.At(j, j))
	}
	return estimate, se, sigma, 1 - rss/tss
}

// TestNumericRegressors fits on floor area and its square beside a factor, against dense least squares.
func TestNumericRegressors(t *testing.T) {
	t.Parallel()
	const n = 400
	x, y := mat.NewDense(n, 6, nil), mat.NewVecDense(n, nil)
	cells := map[string]*stat.Cell{"2026-01": {}, "2026-02": {}, "2026-03": {}}
	for i := range n {
		area := 20 + math.Mod(float64(i*i)*0.37, 120)
		bed, month := i%2, (i/7)%3
		v := 4 - 0.01*area + 0.00002*area*area + 0.1*float64(bed) + 0.02*float64(month) + 0.05*math.Sin(float64(i))
		o := stat.Observation{Y: grid(t, v), Levels: []string{stat.Level("bed", strconv.Itoa(bed))}}
		// The regressors on the grid, so that both solves see the same numbers.
		qa, qq := grid(t, area), grid(t, area*area)
		o.Values = []stat.Value{{Term: "area²", X: qq}, {Term: "area", X: qa}}
		if err := cells["2026-0"+strconv.Itoa(month+1)].Add(o); err != nil {
			t.Fatal(err)
		}
		row := []float64{1, float64(bed), float64(qa) / (1 << 32), float64(qq) / (1 << 32), 0, 0}
		if month > 0 {
			row[3+month] = 1
		}
		x.SetRow(i, row)
		y.SetVec(i, v)
	}
	fit, err := stat.TimeDummy(stat.Design{Factors: []string{"bed"}, Numerics: []string{"area", "area²"}}, inOrder(cells))
	if err != nil {
		t.Fatal(err)
	}
	var qr mat.QR
	qr.Factorize(x)
	var b mat.VecDense
	if err := qr.SolveVecTo(&b, false, y); err != nil {
		t.Fatal(err)
	}
	for j, c := range fit.Coefficients {
		near(t, c.Term, c.Estimate, b.AtVec(j), 1e-9)
	}
	for j, p := range fit.Points[1:] {
		near(t, p.Period, p.LogIndex, b.AtVec(4+j), 1e-9)
	}
}

func grid(t testing.TB, v float64) int64 {
	t.Helper()
	q, ok := stat.Quantise(v)
	if !ok {
		t.Fatalf("%v is off the grid", v)
	}
	return q
}

// reference finds R's figures: the folder ZUJIAN_REFERENCE, else one beside the repository.
func reference(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("ZUJIAN_REFERENCE")
	if dir == "" {
		root, err := os.Getwd()
		for err == nil && root != filepath.Dir(root) {
			if _, err := os.Stat(filepath.Join(root, "go.mod")); err == nil {
				break
			}
			root = filepath.Dir(root)
		}
		dir = filepath.Join(root, "..", "shared")
	}
	if _, err := os.Stat(filepath.Join(dir, "reference", "hedonic-city.csv")); err != nil {
		t.Skip("no reference figures: set ZUJIAN_REFERENCE to the folder that holds data and reference")
	}
	return dir
}

func table(t *testing.T, path string) [][]string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return rows[1:]
}

func number(t *testing.T, s string) float64 {
	t.Helper()
	v, err := strconv.ParseFloat(s, 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// TestReference holds the whole register's figures to those of R's lm.
func TestReference(t *testing.T) {
	dir := reference(t)
	rows := lodgements(t, filepath.Join(dir, "data", "nsw-handout.csv.gz"))
	start := time.Now()
	ps := periods(t, rows, true)
	summed := time.Since(start)
	fit, err := stat.TimeDummy(byAreaDwellingBed, ps)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d rows summed in %v, solved in %v", len(rows), summed, time.Since(start)-summed)
	near(t, "sigma", *fit.Sigma, 0.235019790778296, 1e-9)
	near(t, "R²", *fit.R2, 0.689262263398188, 1e-9)
	if fit.N != 436242 || fit.DF != 436130 {
		t.Errorf("n %d, df %d", fit.N, fit.DF)
	}
	city := table(t, filepath.Join(dir, "reference", "hedonic-city.csv"))
	for i, want := range city {
		p := fit.Points[i]
		if p.Period != want[0] || strconv.FormatInt(p.N, 10) != want[1] {
			t.Fatalf("got %s with %d, want %v", p.Period, p.N, want)
		}
		near(t, p.Period, p.LogIndex, number(t, want[2]), 1e-9)
		nearSE(t, p.Period, p.SE, number(t, want[3]))
		near(t, p.Period, *p.Index, number(t, want[4]), 1e-9)
	}
	coef := table(t, filepath.Join(dir, "reference", "hedonic-city-coef.csv"))
	if len(coef) != len(fit.Coefficients)+len(city)-1 {
		t.Errorf("%d coefficients and %d months, R has %d", len(fit.Coefficients), len(city), len(coef))
	}
	for i, c := range fit.Coefficients {
		if c.Term != coef[i][0] {
			t.Fatalf("coefficient %d is %s, want %s", i, c.Term, coef[i][0])
		}
		near(t, c.Term, c.Estimate, number(t, coef[i][1]), 1e-8)
		nearSE(t, c.Term, c.SE, number(t, coef[i][2]))
	}
	byArea := map[string][]lodgement{}
	for _, r := range rows {
		byArea[r.area] = append(byArea[r.area], r)
	}
	fits := map[string]map[string]stat.Point{}
	for _, want := range table(t, filepath.Join(dir, "reference", "hedonic-area.csv")) {
		area := want[0]
		if fits[area] == nil {
			f, err := stat.TimeDummy(stat.Design{Factors: []string{"dwelling", "factor(bed)"}}, periods(t, byArea[area], false))
			if err != nil {
				t.Fatal(err)
			}
			fits[area] = map[string]stat.Point{}
			for _, p := range f.Points {
				fits[area][p.Period] = p
			}
		}
		p := fits[area][want[1]]
		if strconv.FormatInt(p.N, 10) != want[2] {
			t.Errorf("%s %s: n %d, want %s", area, want[1], p.N, want[2])
		}
		near(t, area+" "+want[1], p.LogIndex, number(t, want[3]), 1e-9)
		nearSE(t, area+" "+want[1], p.SE, number(t, want[4]))
	}
}
