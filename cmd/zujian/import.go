package main

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"zujian/cmd/zujian/internal/tabular"
	"zujian/domain"
	"zujian/domain/contract"
	"zujian/eventstore"
	"zujian/eventstore/aggregate"
)

// importCmd loads registers of older systems.
type importCmd struct {
	Contracts importContractsCmd `cmd:"" help:"Record each row of a legacy register of contracts as an event. The same file twice changes nothing."`
}

// importContractsCmd records rows through the contract aggregate.
type importContractsCmd struct {
	Map     string   `required:"" help:"How columns become fields, as JSON; or the name of a bundled map (nsw)." placeholder:"MAP"`
	Files   []string `arg:"" help:"Tables: CSV, CSV.gz, XLSX, NDJSON." placeholder:"FILE"`
	Rejects string   `help:"Folder for FILE.rejects.csv; by default beside each file." placeholder:"DIR"`
}

// Run implements the command.
func (c *importContractsCmd) Run(g *globals) error {
	m, err := loadImportMap(c.Map)
	if err != nil {
		return err
	}
	total := int64(0)
	for _, path := range c.Files {
		info, err := os.Stat(path)
		if err != nil {
			return fmt.Errorf("read the table: %w", err)
		}
		total += info.Size()
	}
	target, err := openImportTarget(g)
	if err != nil {
		return err
	}
	bar := newProgress(g.Stderr, "import", total)
	job := &contractImport{Map: m, importTarget: *target, Now: g.Now, Rejects: c.Rejects, Progress: bar.add}
	sum, err := job.run(g.Ctx, c.Files)
	bar.end()
	err = errors.Join(err, target.Close())
	if printErr := sum.print(g); err == nil {
		err = printErr
	}
	if err != nil && g.Ctx.Err() != nil {
		return fmt.Errorf("stopped; the same command goes on from here: %w", err)
	}
	return err
}

// importTarget is the register rows are recorded in.
type importTarget struct {
	Store     eventstore.Store
	Catalogue domain.Catalogue
	Policy    domain.Policy
	Blind     func(string) string // Blind index of an identifier; nil refuses maps with a lessor.
	Close     func() error
}

// contractImport records the rows of tables.
type contractImport struct {
	importTarget
	Map      *importMap
	Now      func() time.Time
	Rejects  string
	Progress func(bytes int64)
}

// appendsInFlight rows are recorded at once, so that the store's group commit shares one sync among many.
const appendsInFlight = 1024

// importSum is what an import did.
type importSum struct {
	Files    []*importFileSum `json:"files"`
	Rows     int64            `json:"rows"`
	Recorded int64            `json:"recorded"` // Events written now.
	Already  int64            `json:"already"`  // Rows an earlier run recorded.
	Rejected int64            `json:"rejected"`
	Seconds  float64          `json:"seconds"`
	PerS     float64          `json:"events_per_second"`
	PeakMiB  int64            `json:"peak_memory_mib"`
	Position uint64           `json:"position"` // Of the last event written.
}

type importFileSum struct {
	File     string `json:"file"`
	Rows     int64  `json:"rows"`
	Recorded int64  `json:"recorded"`
	Already  int64  `json:"already"`
	Rejected int64  `json:"rejected"`
	Rejects  string `json:"rejects,omitempty"` // File with rows and reasons.

	rejects []rejectedRow
}

type rejectedRow struct {
	sheet  string
	row    int
	reason string
}

// run imports files one after the other. Each row is an event of its own stream, so a stopped import is simply run again.
func (i *contractImport) run(ctx context.Context, paths []string) (*importSum, error) {
	start := i.Now()
	sum := &importSum{Files: []*importFileSum{}}
	var err error
	for _, path := range paths {
		f := &importFileSum{File: filepath.Base(path)}
		err = errors.Join(i.file(ctx, path, start, f, sum), i.writeRejects(path, f))
		sum.Files = append(sum.Files, f)
		sum.Rows, sum.Recorded, sum.Already, sum.Rejected = sum.Rows+f.Rows, sum.Recorded+f.Recorded, sum.Already+f.Already, sum.Rejected+f.Rejected
		if err != nil {
			break
		}
	}
	sum.Seconds = i.Now().Sub(start).Seconds()
	if sum.Seconds > 0 {
		sum.PerS = float64(sum.Recorded) / sum.Seconds
	}
	sum.PeakMiB = peakMemory() >> 20
	return sum, err
}

// file records the rows of one table on many goroutines.
func (i *contractImport) file(ctx context.Context, path string, at time.Time, f *importFileSum, sum *importSum) error {
	rows := make(chan tabular.Row, 4*appendsInFlight)
	var mu sync.Mutex
	var position atomic.Uint64
	position.Store(sum.Position)
	group, ctx := errgroup.WithContext(ctx)
	reject := func(sheet string, row int, err error) {
		mu.Lock()
		defer mu.Unlock()
		f.Rejected++
		f.rejects = append(f.rejects, rejectedRow{sheet, row, reasonText(err)})
	}
	group.Go(func() error {
		defer close(rows)
		for row, err := range tabular.Read(path, tabular.Options{Required: i.Map.columns, Progress: i.Progress}) {
			var bad *tabular.RowError
			switch {
			case errors.As(err, &bad):
				f.Rows++
				reject(bad.Sheet, bad.Number, bad.Err)
				continue
			case err != nil:
				return err
			}
			f.Rows++
			select {
			case rows <- row:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	})
	for range appendsInFlight {
		group.Go(func() error {
			for row := range rows {
				res, err := i.record(ctx, row, at)
				switch {
				case isReject(err):
					reject(row.Sheet, row.Number, err)
				case err != nil:
					return fmt.Errorf("%s row %d: %w", row.Source, row.Number, err)
				case res.Events > 0:
					atomic.AddInt64(&f.Recorded, 1)
					raise(&position, uint64(res.Position))
				default:
					atomic.AddInt64(&f.Already, 1)
				}
			}
			return nil
		})
	}
	err := group.Wait()
	sum.Position = position.Load()
	return err
}

func raise(max *atomic.Uint64, v uint64) {
	for {
		old := max.Load()
		if v <= old || max.CompareAndSwap(old, v) {
			return
		}
	}
}

// errChanged means the row was recorded before with other content. Corrections of a register are amendments, not imports.
var errChanged = errors.New("recorded before with other content")

// rejection marks errors that are about one row.
type rejection struct{ error }

func (r rejection) Unwrap() error { return r.error }

func isReject(err error) bool {
	_, own := errors.AsType[rejection](err)
	_, no := errors.AsType[*domain.Rejection](err)
	return own || no
}

// reasonText is a reason for the rejects file; a domain rejection also names its field.
func reasonText(err error) string {
	if no, ok := errors.AsType[*domain.Rejection](err); ok && no.Pointer != "" {
		return no.Error() + " (" + no.Pointer + ")"
	}
	return err.Error()
}

const (
	shedRetriesMax = 100
	shedWait       = 5 * time.Millisecond
)

// record puts one row into its stream, or finds it there.
func (i *contractImport) record(ctx context.Context, row tabular.Row, at time.Time) (aggregate.Result, error) {
	id, err := i.Map.id(row)
	if err != nil {
		return aggregate.Result{}, rejection{err}
	}
	command, err := i.Map.command(row, i.Blind)
	if err != nil {
		return aggregate.Result{}, rejection{err}
	}
	req := domain.Request[contract.Command]{
		ID: aggregate.CommandID("import-contracts", id), At: at, Policy: i.Policy, Command: command,
		Actor: domain.Actor{ID: "process:import", Role: domain.RoleSystem},
	}
	runner := aggregate.Runner{Store: i.Store, Catalogue: i.Catalogue}
	for attempt := 1; ; attempt++ {
		res, err := aggregate.Execute(ctx, runner, contract.Decider, id, req, aggregate.Options{})
		switch {
		case errors.Is(err, eventstore.ErrOverloaded) && attempt < shedRetriesMax:
			select { // The store sheds when its disk is slower than we are.
			case <-time.After(shedWait + rand.N(shedWait)):
			case <-ctx.Done():
				return res, ctx.Err()
			}
		case err == nil && res.Events == 0, errors.Is(err, contract.ErrLegacyExists):
			return res, i.sameAsRecorded(ctx, runner, id, command)
		default:
			return res, err
		}
	}
}

// sameAsRecorded compares a row with what its stream recorded of it, wherever the row stood then.
func (i *contractImport) sameAsRecorded(ctx context.Context, r aggregate.Runner, id string, c contract.RecordLegacy) error {
	for rec, err := range r.Store.Stream(ctx, aggregate.Stream(contract.Decider.Category, id), 0) {
		if err != nil {
			return err
		}
		e, err := r.Catalogue.Decode(rec.Type, rec.Meta.Schema, rec.Data)
		if err != nil {
			return err
		}
		was, ok := e.(contract.LegacyRecorded)
		if !ok || !sameJSON(was.Observation, c.Observation) || was.MonthlyRentFen != c.MonthlyRentFen || was.DepositFen != c.DepositFen ||
			was.Start != c.Start || was.End != c.End || was.FiledOn != c.FiledOn || was.FilingNo != c.Number || was.UnitText != c.UnitText {
			return rejection{errChanged}
		}
		return nil
	}
	return nil
}

func sameJSON(a, b any) bool {
	x, err1 := json.Marshal(a)
	y, err2 := json.Marshal(b)
	return err1 == nil && err2 == nil && string(x) == string(y)
}

// writeRejects leaves FILE.rejects.csv with this run's rejects, or no such file.
func (i *contractImport) writeRejects(path string, f *importFileSum) error {
	dir := filepath.Dir(path)
	if i.Rejects != "" {
		dir = i.Rejects
	}
	out := filepath.Join(dir, f.File+".rejects.csv")
	if len(f.rejects) == 0 {
		if _, err := os.Stat(out); err != nil {
			return nil // None to remove.
		}
		if err := os.Remove(out); err != nil {
			return fmt.Errorf("remove old rejects: %w", err)
		}
		return nil
	}
	slices.SortFunc(f.rejects, func(a, b rejectedRow) int {
		if c := strings.Compare(a.sheet, b.sheet); c != 0 {
			return c
		}
		return a.row - b.row
	})
	var b strings.Builder
	b.WriteString("\uFEFF") // Spreadsheets take the file for UTF-8.
	w := csv.NewWriter(&b)
	_ = w.Write([]string{"sheet", "row", "reason"}) // Into memory: no error.
	for _, r := range f.rejects {
		_ = w.Write([]string{inert(r.sheet), strconv.Itoa(r.row), inert(r.reason)})
	}
	w.Flush()
	f.Rejects = out
	if err := writeFileAtomic(out, []byte(b.String()), tablePerms); err != nil {
		return fmt.Errorf("write rejects: %w", err)
	}
	return nil
}

// inert keeps a spreadsheet from running text as a formula.
func inert(s string) string {
	if s != "" && strings.ContainsRune("=+-@\t\r", rune(s[0])) {
		return "'" + s
	}
	return s
}

// peakMemory is the most memory the process has used, in bytes.
func peakMemory() int64 {
	if status, err := os.ReadFile("/proc/self/status"); err == nil {
		for line := range strings.Lines(string(status)) {
			if fields := strings.Fields(line); len(fields) == 3 && fields[0] == "VmHWM:" {
				if kib, err := strconv.ParseInt(fields[1], 10, 64); err == nil {
					return kib << 10
				}
			}
		}
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.Sys)
}

func (s *importSum) print(g *globals) error {
	if g.JSON {
		return json.NewEncoder(g.Stdout).Encode(s)
	}
	for _, f := range s.Files {
		line := fmt.Sprintf("%s: %d rows, %d recorded, %d already, %d rejected", f.File, f.Rows, f.Recorded, f.Already, f.Rejected)
		if f.Rejects != "" {
			line += ": see " + f.Rejects
		}
		if _, err := fmt.Fprintln(g.Stdout, line); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(g.Stdout, "%d rows, %d recorded, %d already, %d rejected, %.1f s, %.0f events/s, peak memory %d MiB\n",
		s.Rows, s.Recorded, s.Already, s.Rejected, s.Seconds, s.PerS, s.PeakMiB)
	return err
}
