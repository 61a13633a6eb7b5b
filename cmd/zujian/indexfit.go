package main

import (
	"cmp"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"

	"golang.org/x/sync/errgroup"

	"zujian/cmd/zujian/internal/tabular"
	"zujian/projections/rentindex/stat"
)

// indexCmd holds the rent index tools.
type indexCmd struct {
	Fit indexFitCmd `cmd:"" help:"Compute an index from a table, without a server."`
}

// indexFitCmd computes an index from tables through the engine the register uses.
type indexFitCmd struct {
	Spec    string   `required:"" help:"What to compute, as JSON." placeholder:"FILE"`
	In      []string `required:"" sep:"none" help:"A table: CSV, CSV.gz, XLSX or NDJSON. May be repeated." placeholder:"FILE"`
	Out     string   `required:"" help:"Where the result goes, as JSON; - is the standard output." placeholder:"FILE"`
	Threads int      `help:"Threads to use; the figures do not depend on it. 0 is one per processor." default:"0"`
}

// Run implements the command.
func (c *indexFitCmd) Run(g *globals) error {
	start := g.Now()
	raw, err := os.ReadFile(c.Spec)
	if err != nil {
		return fmt.Errorf("read the spec: %w", err)
	}
	spec, err := parseIndexSpec(raw)
	if err != nil {
		return fmt.Errorf("%w: %s: %w", errUsage, c.Spec, err)
	}
	total := int64(0)
	for _, path := range c.In {
		info, err := os.Stat(path)
		if err != nil {
			return fmt.Errorf("read the table: %w", err)
		}
		total += info.Size()
	}
	if c.Threads <= 0 {
		c.Threads = runtime.GOMAXPROCS(0)
	}
	bar := newProgress(g.Stderr, "read", total)
	sums, err := readSums(g.Ctx, newRowReader(spec), c.In, c.Threads, bar.add)
	bar.end()
	if err != nil {
		return err
	}
	result, err := sums.fit(spec)
	if err != nil {
		return err
	}
	result.Seconds = g.Now().Sub(start).Seconds()
	return c.report(g, result)
}

func (c *indexFitCmd) report(g *globals, r *fitResult) error {
	doc, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return fmt.Errorf("encode the result: %w", err)
	}
	doc = append(doc, '\n')
	if c.Out == "-" {
		_, err := g.Stdout.Write(doc)
		return err
	}
	if err := writeFileAtomic(c.Out, doc); err != nil {
		return fmt.Errorf("write the result: %w", err)
	}
	if g.JSON {
		summary := map[string]any{
			"out": c.Out, "rows_in": r.RowsIn, "rows_used": r.RowsUsed, "dropped": r.Dropped,
			"inputs_sha256": r.InputsSHA256, "seconds": r.Seconds,
		}
		return json.NewEncoder(g.Stdout).Encode(summary)
	}
	_, err = fmt.Fprintf(g.Stdout, "%s: %d of %d rows used, %d figures, %.2f s\n", c.Out, r.RowsUsed, r.RowsIn, len(r.Series), r.Seconds)
	for _, reason := range slices.Sorted(maps.Keys(r.Dropped)) {
		_, _ = fmt.Fprintf(g.Stdout, "dropped %8d  %s\n", r.Dropped[reason], reason)
	}
	return err
}

// writeFileAtomic leaves the old file or the new one, never a part.
func writeFileAtomic(path string, data []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	_, err = f.Write(data)
	if err == nil {
		err = f.Chmod(0o644)
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// tableSums are the cells of some tables and what became of their rows.
type tableSums struct {
	rowsIn, rowsUsed int64
	dropped          map[string]int64
	cells            map[cellKey]*stat.Cell
}

func newTableSums() *tableSums {
	return &tableSums{dropped: map[string]int64{}, cells: map[cellKey]*stat.Cell{}}
}

const unreadable = "row: not readable"

func (t *tableSums) add(r *rowReader, row tabular.Row) error {
	t.rowsIn++
	key, o, reason := r.observe(row)
	if reason != "" {
		t.dropped[reason]++
		return nil
	}
	cell := t.cells[key]
	if cell == nil {
		cell = &stat.Cell{}
		t.cells[key] = cell
	}
	if err := cell.Add(o); err != nil {
		if errors.Is(err, stat.ErrTerm) { // A level of hundreds of bytes.
			t.dropped["level: too long"]++
			return nil
		}
		return fmt.Errorf("%s row %d: %w", row.Source, row.Number, err)
	}
	t.rowsUsed++
	return nil
}

func (t *tableSums) merge(o *tableSums) error {
	t.rowsIn += o.rowsIn
	t.rowsUsed += o.rowsUsed
	for reason, n := range o.dropped {
		t.dropped[reason] += n
	}
	for key, cell := range o.cells {
		if t.cells[key] == nil {
			t.cells[key] = cell
		} else if err := t.cells[key].Merge(cell); err != nil {
			return err
		}
	}
	return nil
}

const batchRows = 1024 // Rows handed from a reader to a summing thread at once.

// readSums reads the tables, several at a time, and sums their rows on threads threads. The sums are exact, so neither
// changes a bit of them. The error is that of the first file, in the order given, that has one.
func readSums(ctx context.Context, r *rowReader, paths []string, threads int, progress func(int64)) (*tableSums, error) {
	batches := make(chan []tabular.Row, 2*threads)
	shards := make([]*tableSums, threads)
	bad := make([]int64, len(paths)) // Unreadable rows by file.
	failed := make([]error, len(paths))
	var summing, reading errgroup.Group
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	for i := range shards {
		shards[i] = newTableSums()
		summing.Go(func() error {
			var err error
			for batch := range batches { // Drained to the end, so that no reader hangs.
				for _, row := range batch {
					if err == nil {
						if err = shards[i].add(r, row); err != nil {
							stop()
						}
					}
				}
			}
			return err
		})
	}
	reading.SetLimit(threads)
	for i, path := range paths {
		reading.Go(func() error {
			bad[i], failed[i] = readTable(ctx, r, path, batches, progress)
			return nil
		})
	}
	_ = reading.Wait() // Errors are in failed.
	close(batches)
	if err := summing.Wait(); err != nil {
		return nil, err
	}
	for _, err := range failed {
		if err != nil {
			return nil, err
		}
	}
	all := newTableSums()
	for _, s := range shards {
		if err := all.merge(s); err != nil {
			return nil, err
		}
	}
	for _, n := range bad {
		all.rowsIn += n
		if n > 0 {
			all.dropped[unreadable] += n
		}
	}
	return all, nil
}

func readTable(ctx context.Context, r *rowReader, path string, to chan<- []tabular.Row, progress func(int64)) (bad int64, err error) {
	batch := make([]tabular.Row, 0, batchRows)
	for row, err := range tabular.Read(path, tabular.Options{Required: r.columns, Progress: progress}) {
		var unreadable *tabular.RowError
		switch {
		case errors.As(err, &unreadable):
			bad++
			continue
		case err != nil:
			return bad, err
		}
		if batch = append(batch, row); len(batch) == batchRows {
			if ctx.Err() != nil {
				return bad, ctx.Err()
			}
			to <- batch
			batch = make([]tabular.Row, 0, batchRows)
		}
	}
	to <- batch
	return bad, ctx.Err()
}

// fitResult is the result document (§7 of the index method).
type fitResult struct {
	Method       string           `json:"method"`
	Version      string           `json:"method_version"`
	RowsIn       int64            `json:"rows_in"`
	RowsUsed     int64            `json:"rows_used"`
	Dropped      map[string]int64 `json:"dropped"`
	Sigma        *float64         `json:"sigma,omitempty"`
	R2           *float64         `json:"r2,omitempty"`
	DF           *int64           `json:"df,omitempty"`
	Seconds      float64          `json:"seconds"`
	InputsSHA256 string           `json:"inputs_sha256"`
	Fits         []fitOne         `json:"fits,omitempty"` // One per level of "by".
	Unused       []string         `json:"dropped_columns,omitempty"`
	Coefficients []fitCoefficient `json:"coefficients"`
	Series       []fitPoint       `json:"series"`
}

type fitOne struct {
	By       string   `json:"by"`
	RowsUsed int64    `json:"rows_used"`
	Sigma    *float64 `json:"sigma"`
	R2       *float64 `json:"r2"`
	DF       int64    `json:"df"`
	Unused   []string `json:"dropped_columns,omitempty"`
}

type fitCoefficient struct {
	By       string   `json:"by,omitempty"`
	Term     string   `json:"term"`
	Estimate *float64 `json:"estimate"` // null: the column is a combination of earlier ones.
	SE       *float64 `json:"se"`       // null: no degree of freedom is left.
}

type fitPoint struct {
	By       *string  `json:"by"`
	Period   string   `json:"period"`
	N        int64    `json:"n"`
	LogIndex float64  `json:"log_index"`
	SE       *float64 `json:"se"`
	Index    *float64 `json:"index"`
}

// fit solves one model, or one for each level.
func (t *tableSums) fit(s *indexSpec) (*fitResult, error) {
	if t.rowsUsed == 0 {
		return nil, fmt.Errorf("none of %d rows can be used: %v", t.rowsIn, t.dropped)
	}
	r := &fitResult{
		Method: s.Method, Version: stat.MethodTimeDummy, RowsIn: t.rowsIn, RowsUsed: t.rowsUsed, Dropped: t.dropped,
		Coefficients: []fitCoefficient{}, Series: []fitPoint{},
	}
	var keyed []stat.Keyed
	periods := map[string][]stat.Period{}
	byPeriod := func(a, b cellKey) int { return cmp.Or(cmp.Compare(a.by, b.by), cmp.Compare(a.period, b.period)) }
	for _, key := range slices.SortedFunc(maps.Keys(t.cells), byPeriod) {
		keyed = append(keyed, stat.Keyed{Key: key.by + "/" + key.period, Cell: t.cells[key]})
		periods[key.by] = append(periods[key.by], stat.Period{Name: key.period, Cell: t.cells[key]})
	}
	sum := stat.InputsSHA256(keyed)
	r.InputsSHA256 = hex.EncodeToString(sum[:])
	for _, by := range slices.Sorted(maps.Keys(periods)) {
		f, err := stat.TimeDummy(s.design(), periods[by])
		if err != nil {
			if s.By != nil {
				return nil, fmt.Errorf("%s %s: %w", *s.By, by, err)
			}
			return nil, err
		}
		r.take(s, by, f)
	}
	return r, nil
}

// take adds one fit to the result. Coefficients of periods are named by the unit ("month2018-02"), as lm names them.
func (r *fitResult) take(s *indexSpec, by string, f *stat.Fit) {
	var label *string
	if s.By == nil {
		r.Sigma, r.R2, r.DF, r.Unused = f.Sigma, f.R2, &f.DF, f.Dropped
	} else {
		label = &by
		r.Fits = append(r.Fits, fitOne{By: by, RowsUsed: f.N, Sigma: f.Sigma, R2: f.R2, DF: f.DF, Unused: f.Dropped})
	}
	for _, c := range f.Coefficients {
		out := fitCoefficient{By: by, Term: c.Term, SE: c.SE}
		if !c.Dropped {
			out.Estimate = &c.Estimate
		}
		r.Coefficients = append(r.Coefficients, out)
	}
	for i, p := range f.Points {
		if i > 0 {
			r.Coefficients = append(r.Coefficients, fitCoefficient{By: by, Term: s.Period.Unit + p.Period, Estimate: &p.LogIndex, SE: p.SE})
		}
		r.Series = append(r.Series, fitPoint{By: label, Period: p.Period, N: p.N, LogIndex: p.LogIndex, SE: p.SE, Index: p.Index})
	}
}
