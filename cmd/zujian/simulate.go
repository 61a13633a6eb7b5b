package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"zujian/api/whatif"
	"zujian/domain"
	"zujian/projections/rentindex"
)

// simulateCmd asks what would have been decided under other rules or prices, without writing anything.
type simulateCmd struct {
	Rules    string   `help:"The changed rule set, as JSON: a whole one, or what is different. Without it the rules in force are simulated, which must change nothing." placeholder:"FILE"`
	Guidance string   `help:"A changed table of guidance prices, as JSON." placeholder:"FILE"`
	From     string   `help:"First day of the decisions; the log's first if none is given." placeholder:"DAY"`
	To       string   `help:"Last day of the decisions; the log's last if none is given." placeholder:"DAY"`
	Refused  string   `help:"What the index does with refused contracts: out leaves them out, capped lets them at the highest rent the rules allow." enum:"out,capped" default:"out"`
	Ceiling  string   `help:"Filed rents above this price of --guidance are hit too: p75 or p90." placeholder:"PRICE"`
	Cases    int      `help:"Most cases the result lists." default:"1000"`
	Out      []string `help:"Also write the result here, by its ending: .json, .csv (the cases) or .svg (a picture). May be repeated." placeholder:"FILE"`
}

// Run implements the command.
func (c *simulateCmd) Run(g *globals) error {
	req := whatif.Request{Refused: whatif.Treatment(c.Refused), Ceiling: c.Ceiling, Cases: c.Cases}
	for _, d := range []struct {
		flag, text string
		into       *domain.Day
	}{{"--from", c.From, &req.From}, {"--to", c.To, &req.To}} {
		if d.text == "" {
			continue
		}
		day, err := domain.ParseDay(d.text)
		if err != nil {
			return fmt.Errorf("%w: %s: %w", errUsage, d.flag, err)
		}
		*d.into = day
	}
	for _, path := range c.Out {
		if ext := filepath.Ext(path); ext != ".json" && ext != ".csv" && ext != ".svg" {
			return fmt.Errorf("%w: --out %s: it ends in none of .json, .csv and .svg", errUsage, path)
		}
	}
	return withHouse(g, func(h *house) error {
		if err := c.read(h, &req); err != nil {
			return err
		}
		bar := newProgress(g.Stderr, "simulate", 1)
		s, err := whatif.Begin(g.Ctx, whatif.Options{
			Desk: h.desk, Store: h.store, Catalogue: h.catalogue, Index: rentindex.Projection{Model: h.city.Model},
			Step: func(done, total uint64) { bar.set(int64(done), int64(total)) },
		}, req)
		if err != nil {
			return explained(c.file(err), err)
		}
		res, err := s.Run(g.Ctx)
		bar.end()
		if err != nil {
			return explained(c.file(err), err)
		}
		for _, path := range c.Out {
			if err := writeSimulation(path, res); err != nil {
				return err
			}
		}
		if g.JSON {
			return json.NewEncoder(g.Stdout).Encode(res)
		}
		return printSimulation(g.Stdout, h.city, res)
	})
}

// read takes the files in.
func (c *simulateCmd) read(h *house, req *whatif.Request) error {
	if c.Rules != "" {
		raw, err := os.ReadFile(c.Rules)
		if err != nil {
			return fmt.Errorf("%w: read the rules: %w", errUsage, err)
		}
		change, err := whatif.ParseChange(raw)
		if err != nil {
			return explained(c.Rules, err)
		}
		req.Change = &change
	}
	if c.Guidance != "" {
		raw, err := os.ReadFile(c.Guidance)
		if err != nil {
			return fmt.Errorf("%w: read the prices: %w", errUsage, err)
		}
		if req.Guidance, err = whatif.ParseTable(raw, &h.city.City); err != nil {
			return explained(c.Guidance, err)
		}
	}
	return nil
}

// file is what a rejection is about.
func (c *simulateCmd) file(err error) string {
	if errors.Is(err, whatif.ErrRules) {
		return c.Rules
	}
	return "simulate"
}

// explained says where in a file what is wrong with which rule.
func explained(file string, err error) error {
	var no *domain.Rejection
	if !errors.As(err, &no) {
		return err
	}
	parts := []string{file}
	if no.Pointer != "" {
		parts[0] += " " + no.Pointer
	}
	if id, ok := no.Params["id"].(string); ok {
		parts = append(parts, "rule "+id)
	}
	if problem, ok := no.Params["problem"].(string); ok {
		parts = append(parts, problem)
	} else {
		parts = append(parts, no.Detail)
	}
	return fmt.Errorf("%w: %s", errUsage, strings.Join(parts, ": "))
}

func writeSimulation(path string, res *whatif.Result) (err error) {
	var raw []byte
	switch filepath.Ext(path) {
	case ".csv":
		raw, err = res.CSV()
	case ".svg":
		raw = res.SVG()
	default:
		if raw, err = json.Marshal(res); err == nil {
			raw = append(raw, '\n')
		}
	}
	if err != nil {
		return err
	}
	if err := writeFileAtomic(path, raw, 0o600); err != nil {
		return fmt.Errorf("write the result: %w", err)
	}
	return nil
}

const simulateRows = 12 // Of a list on the screen; files have all.

// printSimulation is the result for a person to read.
func printSimulation(w io.Writer, city *cityProfile, res *whatif.Result) error {
	fmt.Fprintf(w, "%s to %s, at log position %d (%d events)\nrules then %.12s, now %.12s", res.From, res.To, res.Position, res.Events,
		res.Rules.Then.SHA256, res.Rules.Now.SHA256)
	for _, c := range res.Changed {
		fmt.Fprintf(w, "\n  %s %s@%d %s %s", c.What, c.Rule, c.Version, c.TitleZH, c.TitleEN)
	}
	fmt.Fprintf(w, "\n\n%d decisions, %d of them as recorded when taken again under the rules of then", res.Decisions, res.Check.AsRecorded)
	for _, x := range res.Check.Examples {
		fmt.Fprintf(w, "\n  otherwise: %s", x)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	if len(res.Effects) == 0 {
		fmt.Fprint(t, "\n\nnothing would have been decided otherwise\n")
	} else {
		fmt.Fprintf(t, "\n\neffect\tdecision\tdecisions\tsubjects\t\n")
		for _, x := range res.Effects {
			fmt.Fprintf(t, "%s\t%s\t%d\t%d\t\n", x.Effect, x.Kind, x.Decisions, x.Subjects)
		}
		fmt.Fprintf(t, "\nrule\tthen\tnow\t\n")
		for _, x := range res.ByRule {
			if x.Then != x.Now {
				fmt.Fprintf(t, "%s\t%s\t%s\t\n", x.Rule, outcomesText(x.Then), outcomesText(x.Now))
			}
		}
		printHits(t, "party kind", res.ByKind, func(s string) string { return s })
		printHits(t, "reporting unit", res.ByUnit, func(s string) string {
			u, _ := city.City.Unit(s)
			return u.NameZH + " " + s
		})
		printHits(t, "operator", res.ByOwner, func(s string) string { return s })
		fmt.Fprintf(t, "\n%d subjects of %d parties are hit\t\n", res.Subjects, res.Parties)
	}
	printMoney(t, res.Escrow)
	printIndex(t, res.Index)
	return t.Flush()
}

func outcomesText(c whatif.OutcomeCount) string {
	var parts []string
	for _, x := range []struct {
		n    int
		name string
	}{{c.Reject, "reject"}, {c.RequireDoc, "document"}, {c.Hold, "hold"}, {c.Route, "route"}, {c.Alert, "alert"}, {c.Annotate, "note"}, {c.Unknown, "unknown"}} {
		if x.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", x.n, x.name))
		}
	}
	return fmt.Sprintf("%s of %d", strings.Join(append(parts, "")[:max(len(parts), 1)], ", "), c.Judged)
}

func printHits(w io.Writer, name string, rows []whatif.HitRow, label func(string) string) {
	if len(rows) == 0 {
		return
	}
	fmt.Fprintf(w, "\n%s\tsubjects\tby effect\t\n", name)
	for i, r := range rows {
		if i == simulateRows {
			fmt.Fprintf(w, "and %d more\t\t\t\n", len(rows)-i)
			return
		}
		var parts []string
		for _, e := range whatif.Effects {
			if n := r.Effects[e]; n > 0 {
				parts = append(parts, fmt.Sprintf("%d %s", n, e))
			}
		}
		fmt.Fprintf(w, "%s\t%d\t%s\t\n", label(r.Key), r.Subjects, strings.Join(parts, ", "))
	}
}

// printMoney shows the supervised money at the end of each month as bars, the longest the highest balance.
func printMoney(w io.Writer, e whatif.EscrowEffect) {
	fmt.Fprintf(w, "\nsupervised\tcontracts\tby the rules\trent fen\tdeposits fen\tpeak fen\t\n")
	for _, s := range []struct {
		name string
		side whatif.EscrowSide
	}{{"then", e.Then}, {"now", e.Now}} {
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%d\t\n", s.name, s.side.Contracts, s.side.Mandatory, s.side.RentFen, s.side.DepositFen, s.side.PeakFen)
	}
	most := max(e.Then.PeakFen, e.Now.PeakFen, 1)
	if e.Then == e.Now {
		return
	}
	const wide = 32
	bar := func(fen domain.Fen) string { return strings.Repeat("█", int(max(fen, 0)*wide/most)) }
	fmt.Fprintf(w, "\nmonth's end\tthen fen\tnow fen\t\n")
	for i, d := range e.Days {
		if i+1 < len(e.Days) && e.Days[i+1].Day.Month() == d.Day.Month() {
			continue
		}
		shown := bar(d.ThenFen)
		more := []rune(bar(d.NowFen))
		if n := len([]rune(shown)); n < len(more) {
			shown += strings.Repeat("░", len(more)-n)
		}
		fmt.Fprintf(w, "%s\t%d\t%d\t %s\n", d.Day.Month(), d.ThenFen, d.NowFen, shown)
	}
}

func printIndex(w io.Writer, x whatif.IndexEffect) {
	if !x.Changed {
		fmt.Fprint(w, "\nthe rent index stays as it is\t\n")
		return
	}
	fmt.Fprintf(w, "\nrent index: %d contracts out, %d capped, %d amendments out\t\n", x.Out, x.Capped, x.Amendments)
	fmt.Fprintf(w, "city\tn then\tn now\tindex then\tindex now\tmedian then\tmedian now\t\n")
	points := x.Series[0].Points
	for _, p := range points[max(0, len(points)-simulateRows):] {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t\n", p.Month, countText(p.NThen), countText(p.NNow), numberText(p.Then), numberText(p.Now),
			numberText(p.MedianThenFen), numberText(p.MedianNowFen))
	}
}

func countText(n *int64) string {
	if n == nil {
		return "–"
	}
	return fmt.Sprint(*n)
}

func numberText(v *float64) string {
	if v == nil {
		return "–"
	}
	return fmt.Sprintf("%.2f", *v)
}
