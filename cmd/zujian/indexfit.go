package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"

	"golang.org/x/sync/errgroup"

	"zujian/cmd/zujian/internal/tabular"
)

// indexCmd holds the rent index tools.
type indexCmd struct {
	Fit       indexFitCmd       `cmd:"" help:"Compute an index from a table, without a server."`
	Recompute indexRecomputeCmd `cmd:"" help:"Compute a published release again from the log, and compare."`
	Truth     indexTruthCmd     `cmd:"" help:"Hold the index of a demo city to what its rents were made with."`
}

// indexFitCmd computes an index from tables through the engine the register uses.
type indexFitCmd struct {
	Spec    string   `required:"" help:"What to compute, as JSON." placeholder:"FILE"`
	In      []string `required:"" sep:"none" help:"A table: CSV, CSV.gz, XLSX, Parquet or NDJSON. May be repeated." placeholder:"FILE"`
	Out     string   `required:"" help:"Where the result goes, as JSON; the series alone as CSV if it ends in .csv; - is the standard output." placeholder:"FILE"`
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
		c.Threads = cores
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
	doc, err := r.document(c.Out)
	if err != nil {
		return fmt.Errorf("encode the result: %w", err)
	}
	if c.Out == "-" {
		_, err := g.Stdout.Write(doc)
		return err
	}
	if err := writeFileAtomic(c.Out, doc, tablePerms); err != nil {
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

const batchRows = 1024 // Rows handed from a reader to a summing thread at once.

// readSums reads the tables, several at a time, and sums their rows on threads threads. The sums are exact, so neither
// changes a bit of them. The error is that of the first file, in the order given, that has one.
func readSums(ctx context.Context, r *rowReader, paths []string, threads int, progress func(int64)) (*tableSums, error) {
	batches := make(chan tableBatch, 2*threads)
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
				for _, row := range batch.rows {
					if err == nil {
						if err = shards[i].add(r, batch.file, row); err != nil {
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
			bad[i], failed[i] = readTable(ctx, r, i, path, batches, progress)
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

// tableBatch is some rows of one file.
type tableBatch struct {
	file int // Its place on the command line.
	rows []tabular.Row
}

func readTable(ctx context.Context, r *rowReader, file int, path string, to chan<- tableBatch, progress func(int64)) (bad int64, err error) {
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
			to <- tableBatch{file, batch}
			batch = make([]tabular.Row, 0, batchRows)
		}
	}
	to <- tableBatch{file, batch}
	return bad, ctx.Err()
}
