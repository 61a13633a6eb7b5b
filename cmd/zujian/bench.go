package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// benchCmd measures the product on this machine: each figure beside its limit or peer, both taken in the same run. It
// uses folders of its own beside the data folder, which it removes, and the loopback address alone.
type benchCmd struct {
	Seconds float64  `help:"How long each part may measure; making its data comes on top." default:"10"`
	Clients int      `help:"Clients that file at once." default:"64"`
	Only    []string `help:"Parts: log, read, views, http, live, overload, index, redis, wire, nodes, peers, bare, growth, size. All if none is named." placeholder:"PART"`
	Events  int      `help:"Events of the register that the part size makes, about; ten million take 12 GB of disk." default:"100000"`
	Profile string   `help:"Folder for pprof profiles (cpu, mutex, block, allocs) of each part." type:"path" placeholder:"DIR"`
	Dir     string   `help:"Folder to measure in; it should be on the disk the register is on. Default: beside the data folder." type:"path"`
}

// benchPart is one part of the measurement.
type benchPart struct {
	name string
	run  func(b *bench) ([]benchRow, error)
}

// benchParts in the order they run: the quiet disk first.
var benchParts = []benchPart{
	{"log", func(b *bench) ([]benchRow, error) { return benchLog(b.ctx, b.dir, b.seconds) }},
	{"read", benchReading},
	{"views", benchViews},
	{"http", benchHTTP},
	{"live", benchLive},
	{"overload", benchOverload},
	{"index", benchIndex},
	{"redis", benchRedis},
	{"wire", benchWire},
	{"nodes", benchNodes},
	{"peers", benchPeers},
	{"bare", benchBare},
	{"growth", benchGrowth},
	{"size", benchSize},
}

// bench is one run.
type bench struct {
	ctx     context.Context
	g       *globals // Its Data is below dir, its log discarded as JSON.
	dir     string
	seconds float64
	clients int
	events  int
	profile string // Folder of profiles; "" = none.
	part    string
	say     func(format string, a ...any)
}

// benchReport is the whole answer.
type benchReport struct {
	Program string     `json:"program"`
	Go      string     `json:"go"`
	Cores   int        `json:"cores"`
	Seconds float64    `json:"seconds"`
	Clients int        `json:"clients"`
	Rows    []benchRow `json:"rows"`
}

const (
	benchSecondsMax = 600
	benchClientsMax = 1024
)

// Run implements the command.
func (c *benchCmd) Run(g *globals) (err error) {
	if err := needsFolder(g, "bench"); err != nil {
		return err
	}
	if c.Seconds < 0.1 || c.Seconds > benchSecondsMax || c.Clients < 1 || c.Clients > benchClientsMax {
		return fmt.Errorf("%w: --seconds is 0.1 to %d, --clients 1 to %d", errUsage, benchSecondsMax, benchClientsMax)
	}
	if c.Events < benchSizeLeast || c.Events > benchSizeMost {
		return fmt.Errorf("%w: --events is %d to %d", errUsage, benchSizeLeast, benchSizeMost)
	}
	for _, name := range c.Only {
		if !slices.ContainsFunc(benchParts, func(p benchPart) bool { return p.name == name }) {
			var names []string
			for _, p := range benchParts {
				names = append(names, p.name)
			}
			return fmt.Errorf("%w: --only %s is not one of %s", errUsage, name, strings.Join(names, ", "))
		}
	}
	dir, err := os.MkdirTemp(c.place(g), "zujian-bench-")
	if err != nil {
		return fmt.Errorf("make a folder to measure in: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	own := *g
	own.Log = slog.New(slog.NewJSONHandler(io.Discard, nil)) // Lines are made as in service, and thrown away.
	b := &bench{ctx: g.Ctx, g: &own, dir: dir, seconds: c.Seconds, clients: c.Clients, events: c.Events, profile: c.Profile}
	report := benchReport{Program: "zujian " + version, Go: runtime.Version(), Cores: cores, Seconds: c.Seconds, Clients: c.Clients}
	for _, p := range benchParts {
		if len(c.Only) > 0 && !slices.Contains(c.Only, p.name) {
			continue
		}
		b.part = p.name
		b.say = func(format string, a ...any) { // A lost progress line harms nobody.
			_, _ = fmt.Fprintf(g.Stderr, "bench %s: %s\n", p.name, fmt.Sprintf(format, a...))
		}
		b.say("measuring about %.3g s", c.Seconds)
		rows, err := p.run(b)
		if err != nil {
			return fmt.Errorf("bench %s: %w", p.name, err)
		}
		report.Rows = append(report.Rows, rows...)
	}
	if g.JSON {
		return json.NewEncoder(g.Stdout).Encode(report)
	}
	return report.print(g.Stdout)
}

// place is the parent of the data folder: the same disk, usually.
func (c *benchCmd) place(g *globals) string {
	if c.Dir != "" {
		return c.Dir
	}
	parent := filepath.Dir(g.Data)
	if info, err := os.Stat(parent); err == nil && info.IsDir() {
		return parent
	}
	return os.TempDir()
}

func (r benchReport) print(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(t, "figure\tours\tlimit or peer\t\tratio\tp50\tp99\t\n")
	for _, x := range r.Rows {
		limit, value, ratio := x.Limit, "", ""
		if limit != "" {
			value, ratio = figure(x.LimitValue), fmt.Sprintf("%.2f", x.Ratio)
		}
		fmt.Fprintf(t, "%s\t%s %s\t%s\t%s\t%s\t%s\t%s\t\n", x.Name, figure(x.Value), x.Unit, limit, value, ratio, took(x.P50), took(x.P99))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "%s, %s, %d cores; parts of %.3g s, %d clients; rates of a disk move, ratios of one run count\n",
		r.Program, r.Go, r.Cores, r.Seconds, r.Clients)
	return err
}

// figure prints three significant digits, thousands apart.
func figure(v float64) string {
	switch {
	case v >= 1e6:
		return fmt.Sprintf("%.2f M", v/1e6)
	case v >= 1e4:
		return fmt.Sprintf("%.1f k", v/1e3)
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.3g", v)
}

func took(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return d.Round(max(d/200, 1)).String()
}
