package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/parquet-go/parquet-go"

	"zujian/domain"
	"zujian/domain/contract"
	"zujian/domain/index"
	"zujian/eventstore"
)

// legacy records a filing of an older register, as an import does.
func (w *world) legacy(o domain.Observation) {
	w.t.Helper()
	n := w.serial.Add(1)
	data, err := json.Marshal(contract.LegacyRecorded{Observation: o, Kind: "OUT", MonthlyRentFen: o.RentFen})
	if err != nil {
		w.t.Fatal(err)
	}
	_, err = w.house.store.Append(w.t.Context(), fmt.Sprintf("contract-legacy-%d", n), eventstore.NoStream, eventstore.NewEvent{
		ID: uuid.New(), Type: contract.LegacyRecorded{}.EventType(), Data: data,
		Meta: eventstore.Metadata{Schema: 1, Actor: "import", Role: "city", Command: uuid.NewString(), Correlation: uuid.NewString(), At: w.clock(), Policy: 1},
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// lettings fills months with homes let again and again in two reporting units, each month 1 % dearer.
func (w *world) lettings(from domain.Month, months int) {
	w.t.Helper()
	for i := range months {
		for home := range 28 {
			m := from + domain.Month(i)
			unit := []string{"320115", "320104"}[home%2]
			w.legacy(domain.Observation{
				Month: m, From: m, To: m + 11, AreaC: 8000, ReportUnit: unit, Street: unit + "004", AdminCode: unit, LetMode: "WHOLE", Bedrooms: 2,
				SizeBand: domain.Size90, Fitout: "SIMPLE", Unit: fmt.Sprint("home-", home), Lessor: fmt.Sprint("lessor-", home%14),
				RentFen: domain.Fen(math.Round(300000 * math.Exp(0.01*float64(i)+0.02*float64(home%5)))),
			})
		}
	}
	w.settled()
}

// TestScenarioIndexRelease takes a month's index through computation, review, approval, a late filing, a revision and a
// computation anew from the log.
func TestScenarioIndexRelease(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldDay)
	start, err := domain.ParseMonth("2026-06")
	if err != nil {
		t.Fatal(err)
	}
	w.lettings(start, 5)
	for _, method := range []string{"hedonic", "rolling", "double-imputation", "repeat", "stratified-median"} {
		a := w.get("", "/v1/rent-index?area=city&method="+method).want(http.StatusOK)
		if v := a.real("series.4.index"); math.Abs(v-100*math.Exp(0.04)) > 0.1 {
			t.Errorf("%s: got %v", method, v)
		}
	}
	w.get("", "/v1/rent-index?area=city&method=repeat&population=stock").want(http.StatusBadRequest)
	w.get("", "/v1/rent-index?area=999999").want(http.StatusNotFound)
	if v := w.get("", "/v1/rent-index/levels?area=320115").want(http.StatusOK).real("levels.0.median_fen"); v < 3700 || v > 4000 {
		t.Errorf("median %v fen per ㎡", v)
	}
	w.get("", "/v1/rent-index/comparison?area=city").want(http.StatusOK).is("months.0.sitting_tenants.withheld", "NO_CONTRACTS").is("months.0.new_tenants.n", 28)
	const releases = "/v1/rent-index/releases"
	w.post("city", releases, `{"month":"2026-11"}`).problem(http.StatusUnprocessableEntity, "index.invalid_vintage")
	w.post("city", releases, `{"month":"2026-10"}`).want(http.StatusCreated).is("id", "2026-10")
	w.settled()
	w.get("", releases+"/2026-10").want(http.StatusNotFound) // Not published yet, and the public sees no trace…
	w.get("", releases).want(http.StatusOK).is("calendar.4.state", "OVERDUE").is("releases.0", nil)
	w.get("city", releases).want(http.StatusOK).is("calendar.4.state", "COMPUTED").is("releases.0.release", "2026-10") // …regulators do.
	w.post("city", releases+"/2026-10/review", `{"note":"ok"}`).problem(http.StatusUnprocessableEntity, "index.four_eyes")
	w.post("city2", releases+"/2026-10/approval", nil).problem(http.StatusConflict, "index.not_reviewed")
	w.post("city2", releases+"/2026-10/review", `{"note":"与上月核对无异常"}`).want(http.StatusOK)
	w.post("city", releases+"/2026-10/approval", nil).problem(http.StatusUnprocessableEntity, "index.four_eyes")
	w.post("city2", releases+"/2026-10.2/approval", nil).problem(http.StatusNotFound, "index.not_found")
	w.post("city2", releases+"/2026-10/approval", nil).want(http.StatusOK)
	w.settled()
	published := w.get("", releases+"/2026-10").want(http.StatusOK)
	first := w.get("", "/v1/rent-index?area=city&vintage=2026-10").want(http.StatusOK)
	live := w.get("", "/v1/rent-index?area=city").want(http.StatusOK)
	if first.real("series.4.index") != live.real("series.4.index") || first.text("inputs_sha256") != live.text("inputs_sha256") {
		t.Errorf("the release is not what the log said: %s\n%s", first.body, live.body)
	}
	tables(t, w, releases+"/2026-10")

	// A late filing into a published month moves the figures of the log, and no published one.
	for i := range 9 {
		w.legacy(domain.Observation{
			Month: start + 4, From: start + 4, To: start + 15, AreaC: 8000, ReportUnit: "320115", Street: "320115004", LetMode: "WHOLE", Bedrooms: 2,
			SizeBand: domain.Size90, Fitout: "SIMPLE", Lessor: fmt.Sprint("late-", i), RentFen: 400000,
		})
	}
	w.settled()
	if again := w.get("", "/v1/rent-index?area=city&vintage=2026-10").want(http.StatusOK); again.real("series.4.index") != first.real("series.4.index") {
		t.Error("a published figure moved")
	}
	if w.get("", "/v1/rent-index?area=city").real("series.4.index") == first.real("series.4.index") {
		t.Error("a late filing moved nothing")
	}
	w.post("city2", releases, `{"month":"2026-10"}`).problem(http.StatusUnprocessableEntity, "index.reason_required")
	w.post("city2", releases, `{"month":"2026-10","reason":"补备案"}`).want(http.StatusCreated).is("id", "2026-10.2")
	w.post("city", releases+"/2026-10.2/review", `{"note":"ok"}`).want(http.StatusOK)
	w.post("city", releases+"/2026-10.2/approval", nil).want(http.StatusOK)
	w.settled()
	revisions := w.get("", "/v1/rent-index/revisions?area=city").want(http.StatusOK)
	revisions.is("revisions.4.figures.0.release", "2026-10").is("revisions.4.figures.1.release", "2026-10.2").is("revisions.4.figures.2.release", "")
	if v := revisions.real("revisions.4.revised_bp"); v < 1 {
		t.Errorf("revised by %v", v)
	}
	if again := w.get("", releases+"/2026-10").want(http.StatusOK); !bytes.Equal(again.body, published.body) {
		t.Error("a published vintage changed")
	}
	page := w.get("", "/rent-index/method?lang=en").want(http.StatusOK)
	for _, want := range []string{"--release 2026-10.2", "at least 10 contracts of 5 lessors", "let_mode"} {
		if !strings.Contains(string(page.body), want) {
			t.Errorf("the method page does not say %q", want)
		}
	}
	w.stop()
	recomputeReleases(t, w)
}

// real is the number at a path.
func (a answer) real(path string) float64 {
	a.t.Helper()
	n, ok := a.at(path).(json.Number)
	v, err := n.Float64()
	if !ok || err != nil {
		a.t.Fatalf("%s: no number %s in %s", a.asked, path, a.body)
	}
	return v
}

// tables reads a release as CSV and Parquet.
func tables(t *testing.T, w *world, release string) {
	t.Helper()
	text := w.get("", release+"?format=csv").want(http.StatusOK)
	lines := strings.Split(strings.TrimSpace(string(text.body)), "\n")
	if !strings.HasPrefix(lines[0], "release,area,population,method,month,n,index") || !strings.Contains(lines[1], "2026-10,320104,new,") {
		t.Errorf("got %s\n%s", lines[0], lines[1])
	}
	if again := w.get("", release+"?format=csv"); !bytes.Equal(again.body, text.body) {
		t.Error("the table differs from itself")
	}
	raw := w.get("", release+"?format=parquet").want(http.StatusOK).body
	f, err := parquet.OpenFile(bytes.NewReader(raw), int64(len(raw)))
	if err != nil || f.NumRows() != int64(len(lines)-1) {
		t.Errorf("Parquet: %v, want %d rows", err, len(lines)-1)
	}
	one := w.get("", "/v1/rent-index?area=320115&vintage=2026-10&format=csv").want(http.StatusOK)
	if n := strings.Count(string(one.body), "\n"); n != 6 {
		t.Errorf("a series of %d lines", n)
	}
}

func recomputeReleases(t *testing.T, w *world) {
	t.Helper()
	recompute := func(release string) (int, string) {
		var stdout, stderr bytes.Buffer
		code := run(t.Context(), []string{"--data", w.g.Data, "index", "recompute", "--release", release}, &stdout, &stderr)
		return code, stdout.String() + stderr.String()
	}
	for _, release := range []string{"2026-10", "2026-10.2"} {
		if code, out := recompute(release); code != 0 || !strings.Contains(out, "equal to the last bit") {
			t.Errorf("%s: exit %d: %s", release, code, out)
		}
	}
	if code, out := recompute("2026-10.3"); code != exitFailed || !strings.Contains(out, "no release") {
		t.Errorf("a release that is not there: exit %d: %s", code, out)
	}
	if code, _ := recompute("2026-13"); code != exitUsage {
		t.Errorf("no release's name: exit %d", code)
	}
}

func TestCompareVintages(t *testing.T) {
	t.Parallel()
	vintage := func(v float64) index.Vintage {
		return index.Vintage{Series: []index.Series{{Area: "city", Method: "hedonic", Points: []index.Point{{Index: &v, N: 3}}}}}
	}
	if err := compareVintages(vintage(100.5), vintage(100.5)); err != nil {
		t.Error(err)
	}
	if err := compareVintages(vintage(100.5), vintage(math.Nextafter(100.5, 101))); !errors.Is(err, errRecomputed) {
		t.Errorf("another last bit: %v", err)
	}
	other := vintage(100.5)
	other.Series[0].InputsSHA256 = "00"
	if err := compareVintages(vintage(100.5), other); !errors.Is(err, errRecomputed) {
		t.Errorf("other inputs: %v", err)
	}
}
