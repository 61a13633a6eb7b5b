package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/parquet-go/parquet-go"
	"github.com/xuri/excelize/v2"

	"zujian/domain"
	"zujian/domain/contract"
	"zujian/domain/escrow"
	"zujian/domain/listing"
	"zujian/domain/unit"
	"zujian/projections"
	"zujian/projections/housing"
	"zujian/projections/money"
	"zujian/projections/projectiontest"
	"zujian/projections/rentindex"
)

// exportWorld is one home, listed by its owner, let twice, with one supervised ledger.
func exportWorld(t *testing.T) []projections.Event {
	t.Helper()
	l := &projectiontest.Log{}
	at := time.Date(2026, 3, 2, 2, 0, 0, 0, time.UTC)
	today := domain.DayOf(at)
	home := unit.Home{
		Building: "b1", Estate: "=1+1", BuildingNo: "3", Street: "320115004", AdminCode: "320115", ReportUnit: "320115", Address: "示例路 8 号",
		UnitNo: "1201", Floor: 12, Floors: 18, GrossAreaC: 8912, Bedrooms: 2, PlannedUse: "RESIDENTIAL",
	}
	l.Add("unit-u1", at, unit.Registered{Home: home}, unit.OwnershipRecorded{Owners: []unit.Owner{{Party: "own", ShareBP: 10_000}}, TitleNo: "t", From: today.AddDays(-100)})
	l.Add("listing-l1", at, listing.Drafted{Offer: listing.Offer{
		Unit: "u1", LetMode: listing.LetWhole, Publisher: "own", PublisherRole: listing.PublisherOwner, Owner: "own", RentFen: 350_000, Text: "call 13800000000",
	}}, listing.Submitted{AdminCode: "320115", ReportUnit: "320115", Street: "320115004"}, listing.Verified{Code: "HY1", ValidUntil: today.AddDays(60)})
	terms := contract.Terms{
		Kind: contract.KindOut, Unit: "u1", LetMode: contract.LetWhole, Lessors: []contract.PartyShare{{Party: "own"}}, Lessees: []contract.PartyShare{{Party: "ten"}},
		Start: today.AddDays(7), End: today.AddDays(7).AddMonths(12).AddDays(-1), MonthlyRentFen: 350_000, PayCycleMonths: 3, DepositFen: 350_000,
	}
	place := contract.Subject{Unit: contract.UnitFacts{ID: "u1", AdminCode: "320115", ReportUnit: "320115", Street: "320115004"}}
	l.Add("contract-c1", at, contract.Drafted{Terms: terms, Subject: place, ContentHash: "h"}, contract.Signed{SignedOn: today, ContentHash: "h"}, contract.Filed{
		FilingNo: "BA1", ByRole: contract.ByLessee, SignedOn: today, FiledOn: today.AddDays(4), ContentHash: "h", Summary: contract.Summary{
			Kind: terms.Kind, Unit: "u1", LetMode: terms.LetMode, Start: terms.Start, End: terms.End, MonthlyRentFen: 350_000, PayCycleMonths: 3, DepositFen: 350_000,
			ReportUnit: "320115", Street: "320115004", AdminCode: "320115", Lessors: []string{"own"}, Lessees: []string{"ten"},
		},
		Observation: domain.Observation{Month: today.Month(), ReportUnit: "320115", Street: "320115004", RentFen: 350_000, AreaC: 8912},
	})
	l.Add("contract-c2", at, contract.Drafted{Terms: terms, Subject: place, ContentHash: "h2"})
	l.Add("contract-c3", at, contract.LegacyRecorded{
		Source: contract.LegacySource{Name: "a.csv", Row: 2}, Kind: contract.KindOut, FiledOn: domain.Date(2020, 5, 9), UnitText: "3 幢 1201 张三",
		Observation: domain.Observation{Month: domain.Date(2020, 5, 1).Month(), ReportUnit: "320106"}, MonthlyRentFen: 1,
	})
	var state escrow.State
	for _, step := range []struct {
		actor domain.Actor
		cmd   escrow.Command
	}{
		{domain.Actor{ID: "s", Role: domain.RoleSystem}, escrow.Plan{
			Contract: "c1", Unit: "u1", AdminCode: "320115", ReportUnit: "320115", Lessor: "own", Lessee: "ten", RentFen: 350_000, DepositFen: 350_000,
			PayCycleMonths: 3, Mode: escrow.ModeVoluntary, Start: terms.Start, End: terms.End, SignedOn: today, DeductionGrounds: []string{"DAMAGE"},
		}},
		{domain.Actor{ID: "b", Role: domain.RoleBank, Party: "icbc"}, escrow.Receive{Bank: "icbc", BankTxnID: "t1", AmountFen: 1_400_000, ValueDate: today, PayerMask: "6222****1234"}},
	} {
		got, err := escrow.Decider.Decide(state, domain.Request[escrow.Command]{At: at, Actor: step.actor, Command: step.cmd})
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range got {
			l.Add("escrow-c1", at, e)
		}
		state = escrow.Decider.Fold(state, got...)
	}
	return l.Events
}

func testCity(t *testing.T) *cityProfile {
	t.Helper()
	c, err := loadCity("nanjing")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// exported is one export of the small world.
func exported(t *testing.T, what, format string, f exportFilter) ([]byte, int64) {
	t.Helper()
	tab := exportTable(what, testCity(t), f)
	r := projectiontest.Fold(t, tab.view, exportWorld(t), 100)
	p := provenance{Export: what, View: tab.view.Name(), Version: tab.view.Version(), Position: r.Position(), City: "nanjing", Program: "zujian test"}
	var b bytes.Buffer
	n, err := writeTable(t.Context(), &b, format, tab, r, p, func(int64) {})
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes(), n
}

var exportKinds = []struct {
	what string
	f    exportFilter
}{
	{"contracts", exportFilter{}},
	{"units", exportFilter{to: domain.Date(2026, 3, 20)}},
	{"ledgers", exportFilter{}},
	{"listings", exportFilter{}},
	{"index", exportFilter{areas: []string{"city", "320115", "320118"}, population: rentindex.New}},
}

func TestExportCSVGolden(t *testing.T) {
	for _, k := range exportKinds {
		got, _ := exported(t, k.what, "csv", k.f)
		file := filepath.Join("testdata", "export", k.what+".csv")
		if u := flag.Lookup("update"); u != nil && u.Value.String() == "true" {
			if err := errorsOf(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, got, 0o644)); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(string(got), string(want)); d != "" {
			t.Errorf("%s (-got +want):\n%s", k.what, d)
		}
		for _, private := range []string{"13800000000", "张三", "1201", "6222"} {
			if strings.Contains(string(got), private) {
				t.Errorf("%s holds %q", k.what, private)
			}
		}
	}
}

func errorsOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func TestExportsAreReproducible(t *testing.T) {
	for _, k := range exportKinds {
		for _, format := range []string{"csv", "parquet"} {
			a, _ := exported(t, k.what, format, k.f)
			b, _ := exported(t, k.what, format, k.f)
			if !bytes.Equal(a, b) {
				t.Errorf("%s as %s differs from itself", k.what, format)
			}
		}
	}
}

func TestExportXLSX(t *testing.T) {
	raw, n := exported(t, "units", "xlsx", exportFilter{to: domain.Date(2026, 3, 20)})
	f, err := excelize.OpenReader(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := f.GetRows("units")
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != int(n)+1 || rows[0][0] != "unit" || rows[1][0] != "u1" || rows[1][2] != "=1+1" {
		t.Errorf("rows %q", rows)
	}
	if formula, err := f.GetCellFormula("units", "C2"); err != nil || formula != "" {
		t.Errorf("the estate is a formula: %q, %v", formula, err)
	}
	made, err := f.GetRows("provenance")
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, r := range made {
		got[r[0]] = r[1]
	}
	if got["view"] != "housing" || got["position"] == "" || got["version"] != fmt.Sprint(housing.Projection{}.Version()) {
		t.Errorf("provenance %v", got)
	}
	contracts, _ := exported(t, "contracts", "xlsx", exportFilter{})
	g, err := excelize.OpenReader(bytes.NewReader(contracts))
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	if day, err := g.GetCellValue("contracts", "P2"); err != nil || day != "2026-03-09" {
		t.Errorf("start is %q, %v", day, err)
	}
}

func TestExportXLSXGoesOnInAnotherSheet(t *testing.T) {
	tab := exportTable("ledgers", testCity(t), exportFilter{})
	var b bytes.Buffer
	x, err := newXLSXSheet(&b, tab, provenance{})
	if err != nil {
		t.Fatal(err)
	}
	x.max = 3
	for i := range 5 {
		cells := make([]any, len(tab.columns))
		cells[0] = string(rune('a' + i))
		if err := x.row(cells); err != nil {
			t.Fatal(err)
		}
	}
	if err := x.end(); err != nil {
		t.Fatal(err)
	}
	f, err := excelize.OpenReader(&b)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if d := cmp.Diff(f.GetSheetList(), []string{"ledgers", "ledgers 2", "ledgers 3", "provenance"}); d != "" {
		t.Error(d)
	}
	if v, err := f.GetCellValue("ledgers 3", "A2"); err != nil || v != "e" {
		t.Errorf("the last row is %q, %v", v, err)
	}
}

func TestExportParquet(t *testing.T) {
	raw, n := exported(t, "contracts", "parquet", exportFilter{})
	f, err := parquet.OpenFile(bytes.NewReader(raw), int64(len(raw)))
	if err != nil {
		t.Fatal(err)
	}
	if view, ok := f.Lookup("zujian.view"); !ok || view != "housing" {
		t.Errorf("view %q", view)
	}
	var names []string
	for _, c := range f.Schema().Fields() {
		names = append(names, c.Name())
	}
	tab := exportTable("contracts", testCity(t), exportFilter{})
	for i, c := range tab.columns {
		if i >= len(names) || names[i] != c.name {
			t.Fatalf("columns %v", names)
		}
	}
	type back struct {
		Contract string  `parquet:"contract"`
		Start    *int32  `parquet:"start,date"`
		Rent     int64   `parquet:"monthly_rent_fen"`
		FilingNo *string `parquet:"filing_no"`
	}
	rows, err := parquet.Read[back](bytes.NewReader(raw), int64(len(raw)))
	if err != nil {
		t.Fatal(err)
	}
	start, no := int32(domain.Date(2026, 3, 9)), "BA1"
	want := []back{{"c1", &start, 350_000, &no}, {"c2", &start, 350_000, nil}, {"c3", nil, 1, nil}}
	if d := cmp.Diff(rows, want); d != "" || n != 3 {
		t.Errorf("%d rows (-got +want):\n%s", n, d)
	}
}

func TestExportFilters(t *testing.T) {
	march := exportFilter{from: domain.Date(2026, 3, 1), to: domain.Date(2026, 3, 31)}
	for _, c := range []struct {
		name, what string
		f          exportFilter
		want       int64
	}{
		{"everything", "contracts", exportFilter{}, 3},
		{"signed in March", "contracts", march, 1},
		{"of a legacy year", "contracts", exportFilter{to: domain.Date(2020, 12, 31)}, 1},
		{"of a district", "contracts", exportFilter{area: "320106"}, 1},
		{"of a street", "contracts", exportFilter{area: "320115004"}, 2},
		{"ledgers that start in March", "ledgers", march, 1},
		{"ledgers that start later", "ledgers", exportFilter{from: domain.Date(2026, 4, 1)}, 0},
		{"units elsewhere", "units", exportFilter{area: "320106", to: march.to}, 0},
		{"listings of March", "listings", march, 1},
	} {
		if _, n := exported(t, c.what, "csv", c.f); n != c.want {
			t.Errorf("%s: %d rows, want %d", c.name, n, c.want)
		}
	}
}

func TestHarmless(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "abc": "abc", "=1": "'=1", "+1": "'+1", "-1": "'-1", "@x": "'@x", "\tx": "'\tx", "\rx": "'\rx", "＝1": "'＝1", "＋": "'＋",
		"－1": "'－1", "＠": "'＠", "  =1": "'  =1", "\u3000=1": "'\u3000=1", "a=1": "a=1", "梧桐苑": "梧桐苑",
	} {
		if got := harmless(in); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
}

// TestExportCommand runs the command on a fresh register, twice: the same bytes, whole or not at all.
func TestExportCommand(t *testing.T) {
	dir := t.TempDir()
	out := filepath.Join(dir, "ledgers.csv")
	export := func(args ...string) (int, string, string) {
		var stdout, stderr bytes.Buffer
		code := run(t.Context(), append([]string{"--data", filepath.Join(dir, "data"), "--json", "export"}, args...), &stdout, &stderr)
		return code, stdout.String(), stderr.String()
	}
	if code := command(t, nil, "keys", "issue", "--role", "auditor", "--data", filepath.Join(dir, "data")); code != 0 {
		t.Fatalf("exit %d", code)
	}
	code, doc, log := export("ledgers", "--out", out)
	if code != 0 {
		t.Fatalf("exit %d: %s", code, log)
	}
	var done exportDone
	if err := json.Unmarshal([]byte(doc), &done); err != nil {
		t.Fatal(err)
	}
	if done.View != (money.Projection{}).Name() || done.Rows != 0 || len(done.SHA256) != 64 {
		t.Errorf("summary %+v", done)
	}
	meta, err := os.ReadFile(out + ".meta.json")
	if err != nil || !strings.Contains(string(meta), done.SHA256) {
		t.Errorf("sidecar %s, %v", meta, err)
	}
	for _, bad := range [][]string{
		{"ledgers", "--out", out, "--from", "2026-13"},
		{"ledgers", "--out", out, "--from", "2026-05", "--to", "2026-04"},
		{"ledgers", "--out", out, "--unit", "999999"},
		{"units", "--out", out, "--from", "2026-05"},
		{"people", "--out", out},
		{"ledgers", "--out", out, "--format", "pdf"},
	} {
		if code, _, _ := export(bad...); code != exitUsage {
			t.Errorf("%v: exit %d", bad, code)
		}
	}
	if code, _, _ := export("ledgers", "--out", filepath.Join(dir, "missing", "x.csv")); code != exitFailed {
		t.Errorf("a missing folder: exit %d", code)
	}
	link := filepath.Join(dir, "stdout") // As /dev/stdout is one.
	if err := os.Symlink(out, link); err != nil {
		t.Fatal(err)
	}
	code, _, log = export("ledgers", "--out", link)
	if info, err := os.Lstat(link); code != exitUsage || err != nil || info.Mode().Type() != os.ModeSymlink {
		t.Errorf("to what is no file: exit %d, %v, %v: %s", code, info, err, log)
	}
	left, err := filepath.Glob(filepath.Join(dir, ".ledgers*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind %v, %v", left, err)
	}
}
