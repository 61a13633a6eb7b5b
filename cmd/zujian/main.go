// Command zujian is the rental-market supervision platform (租鉴): one binary, one subcommand a file.
//
// registry.go is the table of contents: which event types, views and processes the product is made of. This package
// is the only place that knows every other, and the only one that reads the clock, randomness and the environment.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"sync"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"zujian/eventstore/faults"
)

// Exit codes: 0 done, 1 failed, 2 the command line was wrong.
const (
	exitFailed = 1
	exitUsage  = 2
)

var version = "dev" // Set by -ldflags.

// globals is what every subcommand gets.
type globals struct {
	Ctx            context.Context
	Stdout, Stderr io.Writer
	JSON           bool
	Log            *slog.Logger
	Data           string           // The data folder.
	Now            func() time.Time // With a monotonic reading, in whole microseconds.
	Config         *cli             // The resolved configuration, for `zujian config`.
	fatal          func(error)      // Ends the process where a disk leaves it no way on; a panic if nil.
	disk           faults.FS        // Of log, keys, register and views; the real one if nil. Tests slow it down, or crash it.
	resumeEvery    time.Duration    // Between two looks for what is due; see process.Runner. Tests shorten it.
}

// fs is the disk that the data folder is on.
func (g *globals) fs() faults.FS {
	if g.disk == nil {
		return faults.Real()
	}
	return g.disk
}

// cli is the command line, the environment (ZUJIAN_…) and the configuration file in one: flags over environment over file.
type cli struct {
	Data      string          `help:"Data folder." default:".data" env:"ZUJIAN_DATA" type:"path"`
	JSON      bool            `help:"Print one JSON document." env:"ZUJIAN_JSON"`
	LogFormat string          `help:"Log lines as json or text." enum:"json,text" default:"text" env:"ZUJIAN_LOG_FORMAT"`
	City      string          `help:"City profile: a bundled name or a folder." default:"nanjing" env:"ZUJIAN_CITY"`
	Suite     string          `help:"Cipher suite of personal data: INTL (AES-256-GCM) or GM (SM4-GCM)." enum:"INTL,GM" default:"INTL" env:"ZUJIAN_SUITE"`
	HSM       hsmFlags        `embed:"" prefix:"hsm-"`
	Views     string          `help:"Where views are kept: redis://…, rediss://… or unix://…; a folder's own if empty." env:"ZUJIAN_VIEWS" placeholder:"URL"`
	Store     string          `help:"Where the log is: esdb://…, an EventStoreDB or a zujian store; a folder's own if empty." env:"ZUJIAN_STORE" placeholder:"URL"`
	Vault     vaultFlags      `embed:""`
	Config    kong.ConfigFlag `help:"Configuration file (JSON with flag names as keys)." env:"ZUJIAN_CONFIG" placeholder:"FILE"`

	Serve      serveCmd    `cmd:"" help:"Run the product."`
	LogStore   storeCmd    `cmd:"" name:"store" help:"Run the log alone, for several servers."`
	VaultAlone vaultCmd    `cmd:"" name:"vault" help:"Serve the keys of personal data, for several servers."`
	Import     importCmd   `cmd:"" help:"Load a legacy register."`
	Export     exportCmd   `cmd:"" help:"Write views as CSV, XLSX or Parquet."`
	Index      indexCmd    `cmd:"" help:"Rent index tools."`
	Simulate   simulateCmd `cmd:"" help:"Replay a period of the log under other rules or guidance prices, and say what would change; nothing is written."`
	Verify     verifyCmd   `cmd:"" help:"Check log, register and seals, and views against a replay; exit 1 and the position when wrong."`
	Witness    witnessCmd  `cmd:"" help:"Cosign the checkpoints of a register, as somebody else than its operator."`
	Backup     backupCmd   `cmd:"" help:"Copy the data folder while it is in use, whole or what came since an earlier copy."`
	Restore    restoreCmd  `cmd:"" help:"Make a data folder of a backup."`
	Resume     resumeCmd   `cmd:"" help:"Let a restored register sign again, by the newest checkpoint that is known."`
	Clock      clockCmd    `cmd:"" help:"Say how the clock stands that contracts end by, and confirm it after a leap."`
	Copy       copyCmd     `cmd:"" help:"Copy the log from one store to another, and compare their roots; exit 1 when they differ."`
	Keys       keysCmd     `cmd:"" help:"Issue, list and revoke API keys."`
	Bench      benchCmd    `cmd:"" help:"Measure, each figure beside its limit in the same run."`
	Soak       soakCmd     `cmd:"" help:"Break it for as long as asked, and check that nothing is lost."`
	ShowConfig configCmd   `cmd:"" name:"config" help:"Print the resulting configuration, without secrets."`
	Version    struct{}    `cmd:"" help:"Print the version."`
}

// errUsage makes the process exit with 2.
var errUsage = errors.New("usage")

// gcPercent lets garbage grow to four times what lives before it is collected: the register holds little in memory and
// makes much garbage. A small register would still collect every second under load, and requests wait meanwhile: so room that
// nobody writes to, which therefore takes no memory, counts as living (see ballastOf). GOGC or GOMEMLIMIT in the environment win.
const gcPercent = 300

func main() {
	time.Local = time.UTC // What time.Now gives is then UTC and still monotonic. Nothing here uses the machine's time zone.
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(runAtOnce())
	}
	var ballast []byte
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
		if os.Getenv("GOMEMLIMIT") == "" {
			ballast = make([]byte, ballastOf(machineMemory()))
		}
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // A second signal ends the process at once.
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr, func(g *globals) {
		g.fatal = func(err error) {
			fmt.Fprintln(os.Stderr, "zujian:", err)
			os.Exit(exitFailed)
		}
	})
	stop()
	runtime.KeepAlive(ballast)
	os.Exit(code)
}

// run runs a command line. Tests change what it is run with.
func run(ctx context.Context, args []string, stdout, stderr io.Writer, change ...func(*globals)) int {
	var c cli
	exited := -1
	var parser *kong.Kong
	config := func(r io.Reader) (kong.Resolver, error) { return readSettings(r, parser.Model) }
	parser, err := kong.New(&c, kong.Name("zujian"), kong.Description("租鉴: rental-market supervision on a verifiable register."),
		kong.Configuration(config), kong.Writers(stdout, stderr), kong.Exit(func(code int) { exited = code }), kong.UsageOnError())
	if err != nil {
		fmt.Fprintln(stderr, "zujian:", err)
		return exitFailed
	}
	command, err := parser.Parse(args)
	if exited >= 0 { // --help
		return exited
	}
	if err != nil {
		fmt.Fprintln(stderr, "zujian:", err)
		return exitUsage
	}
	if command.Command() == "version" {
		fmt.Fprintln(stdout, version)
		return 0
	}
	out := &printed{to: stdout}
	g := &globals{
		Ctx: ctx, Stdout: out, Stderr: stderr, JSON: c.JSON, Data: c.Data, Config: &c,
		Log: newLogger(c.LogFormat, stderr), Now: clock,
	}
	for _, f := range change {
		f(g)
	}
	if err = command.Run(g); err == nil {
		err = out.failed()
	}
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errUsage):
		fmt.Fprintln(stderr, "zujian:", err)
		return exitUsage
	default:
		fmt.Fprintln(stderr, "zujian:", err)
		return exitFailed
	}
}

// printed is where commands print, mostly without a look at what becomes of it: it keeps the first error in mind. A key that
// nobody could read was not issued, and a list that was cut is none.
type printed struct {
	to  io.Writer
	mu  sync.Mutex
	err error
}

func (p *printed) Write(b []byte) (int, error) {
	n, err := p.to.Write(b)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err == nil && err != nil {
		p.err = fmt.Errorf("print: %w", err)
	}
	return n, err
}

func (p *printed) failed() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

// clock is the time in whole microseconds, UTC. It keeps its monotonic reading, so that a wait or a measured time does not
// change when somebody sets the clock. Time.UTC and Truncate would take it: see main.
func clock() time.Time {
	t := time.Now()
	if t.Location() != time.UTC {
		t = t.UTC()
	}
	return t.Add(-time.Duration(t.Nanosecond() % int(time.Microsecond)))
}

func newLogger(format string, w io.Writer) *slog.Logger {
	o := &slog.HandlerOptions{ReplaceAttr: plain}
	if format == "json" {
		return slog.New(slog.NewJSONHandler(w, o))
	}
	return slog.New(slog.NewTextHandler(w, o))
}

// plain writes an error as what it says. Some libraries' errors print the stack they were made on as well, in any format
// that asks for more than that.
func plain(_ []string, a slog.Attr) slog.Attr {
	if err, ok := a.Value.Any().(error); ok && a.Value.Kind() == slog.KindAny {
		a.Value = slog.StringValue(err.Error())
	}
	return a
}
