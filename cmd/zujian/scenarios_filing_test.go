package main

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"zujian/domain"
	"zujian/eventstore"
)

// onPaper is a filing of a home in one call, signed on paper.
func (w *world) onPaper(f flat) map[string]any {
	return map[string]any{
		"contract":   w.lease(f, "landlord", "tenant", nil),
		"signatures": []any{map[string]any{"party": w.ids["landlord"], "method": "PAPER", "scan_sha256": strings.Repeat("a", 64)}},
	}
}

// TestScenarioFilingIsOneAppend files a paper contract at a counter: its space, its papers and its money come into the log at
// once, in the order in which one follows from the other.
func TestScenarioFilingIsOneAppend(t *testing.T) {
	w := newWorld(t, worldDay)
	w.cast()
	f := w.home("1201")
	body := w.onPaper(f)
	head, err := w.house.store.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	groups := w.house.log.Stats().Groups
	w.post("city", "/v1/filings", body).want(http.StatusCreated).is("stage", "FILED")
	var got []string
	var first eventstore.Recorded
	for e, err := range w.house.store.All(t.Context(), head.Position) {
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(e.Stream, "numbering-") {
			continue // Taken before.
		}
		if first.Stream == "" {
			first = e
		}
		if e.Ordinal != first.Ordinal+uint64(len(got)) {
			t.Errorf("%s does not follow at once", e.Type)
		}
		got = append(got, e.Type)
	}
	want := []string{
		"contract.drafted", "contract.paper_recorded", "contract.signed", "contract.filed", "unit.leased", "escrow.funds_expected",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("in the log (-want +got):\n%s", diff)
	}
	if n := w.house.log.Stats().Groups - groups; n > 2 { // Its number's block, and itself.
		t.Errorf("%d groups were written", n)
	}
}

// TestAFilingAskedForAgainWhenItsAnswerIsForgotten: the contract is found, though the same terms would be refused by now.
func TestAFilingAskedForAgainWhenItsAnswerIsForgotten(t *testing.T) {
	w := newWorld(t, worldDay)
	w.cast()
	f := w.home("1201")
	body := w.onPaper(f)
	file := func() answer { return w.post("city", "/v1/filings", body, "Idempotency-Key", "again") }
	first := file().want(http.StatusCreated).is("stage", "FILED")
	written := func() []string { // A round of alerts comes when it likes.
		id := first.at("contract_id").(string)
		return slices.Concat(w.types("contract-"+id), w.types("unit-"+f.id), w.types("escrow-"+id))
	}
	for _, seized := range []bool{false, true} {
		if seized {
			w.post("city", "/v1/units/"+f.id+"/rights", `{"flag":"SEIZED","order_no":"示例〔2026〕1号"}`).want(http.StatusOK)
		}
		w.onDay(domain.DayOf(w.clock()).AddDays(2).String()) // Answers are kept for a day.
		w.settled()
		before := written()
		again := file().want(http.StatusCreated)
		for _, field := range []string{"contract_id", "stage", "filing_no", "content_hash", "receipt.leaf"} {
			if again.at(field) != first.at(field) {
				t.Errorf("seized %t: %s is %v, was %v", seized, field, again.at(field), first.at(field))
			}
		}
		if replayed := again.header.Get("Idempotent-Replayed"); replayed != "" {
			t.Errorf("seized %t: replayed %q", seized, replayed)
		}
		if diff := cmp.Diff(before, written()); diff != "" {
			t.Errorf("seized %t: written (-before +after):\n%s", seized, diff)
		}
	}
}

// Two officers erase a person while a counter files what the person has signed: the contract keeps its lessee, or is refused.
func TestNobodyIsErasedIntoAContract(t *testing.T) {
	w := newWorld(t, worldDay)
	w.cast()
	var race sync.WaitGroup
	for i, f := range w.building("3", 40) {
		w.owned(f, "landlord")
		who := fmt.Sprintf("leaving %d", i)
		id := w.person(who, "tenant", "示例离", cnID("320115", "19700101", 100+i))
		erasure := map[string]string{"reason": "本人申请", "decision_no": who}
		w.post("city", "/v1/parties/"+id+"/erasure", erasure).want(http.StatusOK)
		filing := w.onPaper(f)
		filing["contract"] = w.lease(f, "landlord", who, nil)
		var erased, filed answer
		race.Go(func() { erased = w.post("city2", "/v1/parties/"+id+"/erasure", erasure) })
		race.Go(func() {
			time.Sleep(time.Duration(i%10) * 20 * time.Microsecond)
			filed = w.post("district", "/v1/filings", filing)
		})
		race.Wait()
		if (erased.status == http.StatusOK) == (filed.status == http.StatusCreated) {
			t.Errorf("%s: erased %d, filed %d: %s", who, erased.status, filed.status, filed.body)
		}
	}
}
