package main

import (
	"bufio"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"zujian/projections/rentindex/stat"
)

const (
	benchIndexMonths = 36
	benchIndexFull   = 10 // Seconds from which on ten million rows are summed too.
	benchIndexTable  = 400_000
)

// benchIndex measures the rent index engine on made-up filings: sums against rows, solves against regressors, what one more
// filing costs, what the sums take in memory, and the whole fit of a table beside R's lm where Rscript is installed.
func benchIndex(b *bench) (rows []benchRow, err error) {
	sizes := []int{100_000, 1_000_000}
	switch {
	case b.seconds < 1:
		sizes = []int{20_000}
	case b.seconds >= benchIndexFull:
		sizes = append(sizes, 10_000_000)
	}
	base := 0.0
	for _, n := range sizes {
		b.say("summing %d rows", n)
		r, err := benchSums(n)
		if err != nil {
			return nil, err
		}
		if base == 0 {
			base = r.Value
		}
		r.Limit, r.LimitValue, r.Ratio = fmt.Sprintf("%d rows", sizes[0]), base, r.Value/base
		rows = append(rows, r)
	}
	for _, k := range []int{20, 100, 500} {
		b.say("solving %d regressors", k)
		more, err := benchSolve(k)
		if err != nil {
			return nil, err
		}
		rows = append(rows, more...)
	}
	more, err := benchTable(b)
	return append(rows, more...), err
}

// benchFilings makes filings with so many dummies beside the months: an area factor and four of five levels.
type benchFilings struct {
	random *rand.Rand
	areas  int
	levels [5][]string
}

const benchSmallFactors = 4

func newBenchFilings(columns int) *benchFilings {
	f := &benchFilings{random: rand.New(rand.NewPCG(1, 2)), areas: max(columns-4*benchSmallFactors+1, 2)}
	for i := range f.levels {
		n := 5
		if i == 0 {
			n = f.areas
		}
		for l := range n {
			f.levels[i] = append(f.levels[i], fmt.Sprintf("f%d=%03d", i, l))
		}
	}
	return f
}

func (f *benchFilings) design() (d stat.Design) {
	for i := range f.levels {
		d.Factors = append(d.Factors, fmt.Sprint("f", i))
	}
	return d
}

// next puts a filing into o and gives its month.
func (f *benchFilings) next(o *stat.Observation) (month int) {
	o.Levels = o.Levels[:0]
	y := 3.5
	for i, levels := range f.levels {
		l := f.random.IntN(len(levels))
		o.Levels = append(o.Levels, levels[l])
		y += 0.05 * float64(l%7) / float64(i+1)
	}
	month = f.random.IntN(benchIndexMonths)
	o.Y, _ = stat.Quantise(y + 0.002*float64(month) + 0.12*f.random.NormFloat64())
	return month
}

func (f *benchFilings) cells(n int) ([]*stat.Cell, error) {
	cells := make([]*stat.Cell, benchIndexMonths)
	for i := range cells {
		cells[i] = &stat.Cell{}
	}
	var o stat.Observation
	for range n {
		month := f.next(&o)
		if err := cells[month].Add(o); err != nil {
			return nil, err
		}
	}
	return cells, nil
}

func benchPeriods(cells []*stat.Cell) (ps []stat.Period) {
	for i, c := range cells {
		ps = append(ps, stat.Period{Name: fmt.Sprintf("%02d", i), Cell: c})
	}
	return ps
}

// benchSums sums n filings on one core and solves them.
func benchSums(n int) (benchRow, error) {
	f := newBenchFilings(100)
	start := time.Now()
	cells, err := f.cells(n)
	if err != nil {
		return benchRow{}, err
	}
	if _, err := stat.TimeDummy(f.design(), benchPeriods(cells)); err != nil {
		return benchRow{}, err
	}
	return benchRow{Name: fmt.Sprintf("index of %d filings, 100 columns, sums and solve", n), Value: time.Since(start).Seconds(), Unit: "s"}, nil
}

// benchSolve measures what one more filing costs, and the solve after it, with so many regressors.
func benchSolve(columns int) ([]benchRow, error) {
	f := newBenchFilings(columns)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	cells, err := f.cells(200 * benchIndexMonths)
	if err != nil {
		return nil, err
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	periods := benchPeriods(cells)
	var one, solve []slicing
	var o stat.Observation
	for range benchRounds {
		start := time.Now()
		const filings = 2000
		for range filings {
			month := f.next(&o)
			if err := cells[month].Add(o); err != nil {
				return nil, err
			}
		}
		one = append(one, slicing{rate: time.Since(start).Seconds() / filings * 1e6})
		start = time.Now()
		if _, err := stat.TimeDummy(f.design(), periods); err != nil {
			return nil, err
		}
		solve = append(solve, slicing{rate: time.Since(start).Seconds() * 1e3})
	}
	middle := func(s []slicing) float64 {
		var v []float64
		for _, x := range s {
			v = append(v, x.rate)
		}
		return median(v)
	}
	held := math.Max(float64(after.HeapAlloc)-float64(before.HeapAlloc), 1) / 1024
	return []benchRow{
		{Name: fmt.Sprintf("one more filing into its sums, %d regressors", columns), Value: middle(one), Unit: "µs"},
		{Name: fmt.Sprintf("solving %d months anew, %d regressors", benchIndexMonths, columns), Value: middle(solve), Unit: "ms"},
		{Name: fmt.Sprintf("sums of %d months in memory, %d regressors", benchIndexMonths, columns), Value: held, Unit: "KiB"},
	}, nil
}

// benchTable fits a table from the file on, and has R fit the same one if it is there. Reading is not R's: lm alone counts.
func benchTable(b *bench) ([]benchRow, error) {
	n := min(int(float64(benchIndexTable)*b.seconds/benchIndexFull), benchIndexTable)
	path := filepath.Join(b.dir, "filings.csv")
	if err := writeBenchTable(path, n); err != nil {
		return nil, err
	}
	spec, err := parseIndexSpec([]byte(`{"method":"hedonic","value":"y","log":false,"period":{"column":"month"},
		"factors":[{"name":"f0"},{"name":"f1"},{"name":"f2"},{"name":"f3"},{"name":"f4"}]}`))
	if err != nil {
		return nil, err
	}
	b.say("fitting a table of %d rows", n)
	start := time.Now()
	sums, err := readSums(b.ctx, newRowReader(spec), []string{path}, cores, func(int64) {})
	if err != nil {
		return nil, err
	}
	if _, err := sums.fit(spec); err != nil {
		return nil, err
	}
	row := benchRow{Name: fmt.Sprintf("index fit of a table of %d filings, reading included", n), Value: time.Since(start).Seconds(), Unit: "s"}
	if seconds, ok := benchR(b.ctx, path); ok {
		row.Limit, row.LimitValue, row.Ratio = "R's lm, reading excluded", seconds, row.Value/seconds
	}
	return []benchRow{row}, nil
}

func writeBenchTable(path string, n int) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(file, 1<<16)
	fmt.Fprintln(w, "month,y,f0,f1,f2,f3,f4")
	f := newBenchFilings(100)
	var o stat.Observation
	for range n {
		month := f.next(&o)
		fmt.Fprintf(w, "20%02d-%02d,%.6f", 20+month/12, 1+month%12, float64(o.Y)/(1<<stat.FracBits))
		for _, l := range o.Levels {
			_, level, _ := strings.Cut(l, "=")
			fmt.Fprint(w, ",", level)
		}
		fmt.Fprintln(w)
	}
	if err := w.Flush(); err != nil {
		_ = file.Close()
		return err
	}
	return file.Close()
}

const benchScript = `d <- read.csv(commandArgs(TRUE)[1], colClasses=c("character","numeric",rep("character",5)))
from <- proc.time()[["elapsed"]]
f <- lm(y ~ f0+f1+f2+f3+f4+month, data=d)
v <- vcov(f)
cat(proc.time()[["elapsed"]]-from)
`

// benchR is how many seconds R's lm takes for the table; ok is false without R.
func benchR(ctx context.Context, path string) (seconds float64, ok bool) {
	if _, err := exec.LookPath("Rscript"); err != nil {
		return 0, false
	}
	script := path + ".R"
	if err := os.WriteFile(script, []byte(benchScript), 0o600); err != nil {
		return 0, false
	}
	out, err := exec.CommandContext(ctx, "Rscript", "--vanilla", script, path).Output()
	if err != nil {
		return 0, false
	}
	seconds, err = strconv.ParseFloat(strings.TrimSpace(string(out)), 64)
	return seconds, err == nil && seconds > 0
}
