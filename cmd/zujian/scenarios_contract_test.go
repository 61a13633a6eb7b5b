package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"

	"zujian/domain"
	"zujian/domain/contract"
)

// The golden scenarios of the trade: contracts and the rules they are held to.

type partyRef struct {
	PartyID string `json:"party_id"`
}

func TestScenario01AnOwnerListsSignsAndFilesAndTheListingComesDown(t *testing.T) {
	w := newWorld(t, worldDay)
	w.cast()
	f := w.home("3")
	l := w.post("landlord", "/v1/listings", fmt.Sprintf(`{"unit_id":%q,"let_mode":"WHOLE","rent_fen":350000,"deposit_fen":350000}`, f.id)).
		want(http.StatusCreated).text("id")
	code := w.post("landlord", "/v1/listings/"+l+"/submission", nil).want(http.StatusOK).text("code")
	w.post("landlord", "/v1/listings/"+l+"/publication", nil).want(http.StatusOK)
	other := w.post("landlord", "/v1/listings", fmt.Sprintf(`{"unit_id":%q,"rooms":[%q],"let_mode":"BY_ROOM","rent_fen":150000}`, f.id, f.rooms[0])).
		want(http.StatusCreated).text("id")
	w.post("landlord", "/v1/listings/"+other+"/submission", nil).want(http.StatusOK)
	id := w.filed(f, "landlord", "tenant", nil)
	w.settled()
	for _, listing := range []string{l, other} {
		w.get("landlord", "/v1/listings/"+listing).want(http.StatusOK).is("stage", "LET").is("contract_id", id)
	}
	w.get("", "/v1/verify/"+code).want(http.StatusOK).is("state", "LET").is("genuine", false)
	w.post("landlord", "/v1/listings/"+l+"/publication", nil).problem(http.StatusConflict, "listing.wrong_state")

	// The certificate verifies off line: its hash is over what it states.
	cert := w.get("tenant", "/v1/contracts/"+id+"/certificate").want(http.StatusOK)
	cert.hashesToItself()
}

// hashesToItself computes a certificate's hash from what it states, as anybody can.
func (cert answer) hashesToItself() answer {
	cert.t.Helper()
	var c struct {
		contract.Certificate
		Lessors []partyRef `json:"lessors"`
		Lessees []partyRef `json:"lessees"`
		Hash    string     `json:"certificate_hash"`
		Unit    string     `json:"unit_id"`
	}
	if err := json.Unmarshal(cert.body, &c); err != nil {
		cert.t.Fatal(err)
	}
	c.Certificate.Unit = c.Unit
	c.Certificate.Lessors, c.Certificate.Lessees = []string{c.Lessors[0].PartyID}, []string{c.Lessees[0].PartyID}
	if got := c.Certificate.Hash(); got != c.Hash {
		cert.t.Errorf("the certificate hashes to %s, and says %s: %s", got, c.Hash, cert.body)
	}
	return cert
}

func TestScenario02AKitchenIsNoRoomAndAGarageBecameOneTooLate(t *testing.T) {
	w := newWorld(t, worldDay)
	w.cast()
	f := w.home("3")
	room := func(id, signed string) map[string]any {
		start := civil(signed).AddDays(7)
		return w.lease(f, "landlord", "tenant", map[string]any{
			"rooms": []string{id}, "signed_on": signed, "start": start.String(), "end": start.AddMonths(12).AddDays(-1).String(),
		})
	}
	kitchen, garage := f.rooms[3], f.rooms[4]
	w.post("landlord", "/v1/contracts", room(kitchen, worldDay)).rule(http.StatusUnprocessableEntity, "unit.non_habitable", "U-01", 2)
	w.post("landlord", "/v1/contracts", room(kitchen, "2024-01-01")).rule(http.StatusUnprocessableEntity, "unit.non_habitable", "U-01", 1)
	w.post("landlord", "/v1/contracts", room(garage, "2025-09-15")).rule(http.StatusUnprocessableEntity, "unit.non_habitable", "U-01", 2)
	for _, signed := range []string{"2024-01-01", "2025-09-14"} {
		c := w.post("landlord", "/v1/contracts", room(garage, signed)).want(http.StatusCreated)
		id := c.text("id")
		if got := w.ruleResults("contract-"+id, "contract.drafted"); !slices.Contains(got, "U-01b@1 HOLD") {
			t.Errorf("a garage signed on %s: %v", signed, got)
		}
		for _, who := range []string{"landlord", "tenant"} {
			w.sign(who, id, c.text("content_hash")).want(http.StatusOK)
		}
		if signed != "2024-01-01" {
			continue
		}
		filing := w.post("landlord", "/v1/contracts/"+id+"/filing", nil).want(http.StatusOK).is("stage", "HELD").texts("held_rules", "U-01b")
		if filing.at("filing_no") != nil && filing.at("certificate") != nil {
			t.Errorf("a held filing has a certificate: %s", filing.body)
		}
		w.get("tenant", "/v1/contracts/"+id+"/certificate").problem(http.StatusNotFound, "resource.not_found")
		w.post("xuanwu", "/v1/contracts/"+id+"/filing-decision", `{"accept":false,"reason":"车库"}`).problem(http.StatusNotFound, "resource.not_found")
		w.post("district", "/v1/contracts/"+id+"/filing-decision", `{"accept":false,"reason":"车库"}`).want(http.StatusOK).
			is("stage", "RETURNED").is("return_reason", "车库")
	}
}

func TestScenario03ADepositNeedsItsReturnTimeFromTheDayTheLawSaysSo(t *testing.T) {
	w := newWorld(t, worldDay)
	w.cast()
	f := w.home("3")
	body := func(signed string, change map[string]any) map[string]any {
		m := w.lease(f, "landlord", "tenant", map[string]any{
			"signed_on": signed, "start": "2025-10-01", "end": "2026-09-30", "deposit_return_days": nil,
		})
		for k, v := range change {
			m[k] = v
		}
		return m
	}
	w.post("landlord", "/v1/contracts", body("2025-09-14", nil)).want(http.StatusCreated)
	no := w.post("landlord", "/v1/contracts", body("2025-09-15", nil)).rule(http.StatusUnprocessableEntity, "contract.deposit_clause", "C-04", 1)
	if no.at("errors.0.pointer") == nil {
		t.Errorf("the refusal names no field: %s", no.body)
	}
	w.post("landlord", "/v1/contracts", body("2025-09-15", map[string]any{"deposit_return_days": 0})).want(http.StatusCreated)
	w.post("landlord", "/v1/contracts", body("2025-09-15", map[string]any{"deposit_return_days": 7, "deduction_grounds": []string{}})).
		rule(http.StatusUnprocessableEntity, "contract.deposit_clause", "C-04", 1)
	w.post("landlord", "/v1/contracts", body("2025-09-15", map[string]any{"deposit_fen": 0})).want(http.StatusCreated)
}

func TestScenario06ASubleaseStaysWithinItsHeadLeaseAndItsTenantIsWarnedWhenThatEnds(t *testing.T) {
	w := newWorld(t, worldDay)
	w.cast()
	f := w.home("3")
	head := w.headLease(f, 300000, "2026-12-01", "2028-12-31")
	out := map[string]any{"parent_id": head, "start": "2027-01-01", "end": "2029-01-01", "pay_cycle_months": 6}
	w.post("company", "/v1/contracts", w.lease(f, "company", "tenant", out)).rule(http.StatusUnprocessableEntity, "contract.sublease_term", "C-07", 1)
	out["end"] = "2028-12-31"
	sub := w.filed(f, "company", "tenant", out)
	w.get("tenant", "/v1/escrow/"+sub).want(http.StatusOK).is("mode", "MANDATORY")
	w.money("bank", "/v1/escrow/"+sub+"/receipts", `{"bank_txn_id":"S1","amount_fen":2450000,"value_date":"2026-11-23"}`).want(http.StatusCreated)

	for _, who := range []string{"landlord", "company"} {
		w.post(who, "/v1/contracts/"+head+"/termination", `{"by":"AGREED","ground":"AGREEMENT","on":"2027-03-31"}`).want(http.StatusOK)
	}
	w.settled()
	w.get("landlord", "/v1/contracts/"+head).want(http.StatusOK).is("stage", "ENDED").is("ended_on", "2027-03-31")
	w.get("tenant", "/v1/contracts/"+sub).want(http.StatusOK).is("stage", "FILED").is("upstream_ended_on", "2027-03-31")
	w.get("tenant", "/v1/escrow/"+sub).want(http.StatusOK).is("freezes.0.scope", "OPERATOR").is("freezes.0.order_no", "HEAD-"+head)

	// On the first day of the sublease both shares are due: the owner's goes, the operator's stays.
	w.onDay("2027-01-01")
	w.eventually("the owner's tranche is ordered", func() bool {
		return w.get("tenant", "/v1/escrow/"+sub).at("tranches.0.stage") == "ORDERED"
	})
	e := w.get("tenant", "/v1/escrow/"+sub).want(http.StatusOK).is("tranches.0.payee", "OWNER").is("tranches.0.amount_fen", 300000).
		is("tranches.1.payee", "OPERATOR").is("tranches.1.amount_fen", 50000).is("tranches.1.stage", "PLANNED")
	w.money("district", "/v1/escrow/"+sub+"/releases", `{"tranche":2}`).problem(http.StatusLocked, "escrow.frozen")
	w.money("bank", "/v1/escrow/"+sub+"/releases/1/confirmation", `{"bank_txn_id":"S2"}`).want(http.StatusOK).is("tranches.0.stage", "PAID")
	if len(e.list("tranches")) != 12 { // Six months, each in two shares.
		t.Errorf("tranches: %s", e.body)
	}
	w.balanced(sub)
}

func TestScenario06WhoIsLateUnderAHeadLeaseIsWarnedOfItsEndToo(t *testing.T) {
	w := newWorld(t, worldDay)
	w.cast()
	f := w.home("3")
	head := w.headLease(f, 300000, "2026-12-01", "2028-12-31")
	under := func(room int) map[string]any {
		return map[string]any{"parent_id": head, "rooms": []string{f.rooms[room]}, "start": "2027-01-01", "end": "2028-12-31"}
	}
	sub := w.signed(f, "company", "tenant", under(0))
	draft := w.post("company", "/v1/contracts", w.lease(f, "company", "tenant2", under(1))).want(http.StatusCreated)
	w.sign("company", draft.text("id"), draft.text("content_hash")).want(http.StatusOK)
	for _, who := range []string{"landlord", "company"} {
		w.post(who, "/v1/contracts/"+head+"/termination", `{"by":"AGREED","ground":"AGREEMENT","on":"2027-03-31"}`).want(http.StatusOK)
	}
	w.settled()
	told := func() {
		w.get("tenant", "/v1/contracts/"+sub).want(http.StatusOK).is("upstream_ended_on", "2027-03-31")
		w.get("tenant", "/v1/escrow/"+sub).want(http.StatusOK).is("freezes.0.scope", "OPERATOR").is("freezes.0.order_no", "HEAD-"+head)
	}
	told()
	w.sign("tenant2", draft.text("id"), draft.text("content_hash")).problem(http.StatusUnprocessableEntity, "contract.parent_unknown")
	w.post("company", "/v1/contracts/"+sub+"/filing", nil).want(http.StatusOK).is("stage", "FILED")
	w.settled()
	told()
}

func TestScenario06WhoIsUnderACancelledHeadLeaseIsWarnedToo(t *testing.T) {
	w := newWorld(t, worldDay)
	w.cast()
	f := w.home("3")
	head := w.headLease(f, 300000, "2026-12-01", "2028-12-31")
	sub := w.filed(f, "company", "tenant", map[string]any{"parent_id": head, "start": "2027-01-01", "end": "2028-12-31"})
	w.cancelled(head)
	w.settled()
	w.get("tenant", "/v1/contracts/"+sub).want(http.StatusOK).is("stage", "FILED").is("upstream_ended_on", worldDay)
	w.get("tenant", "/v1/escrow/"+sub).want(http.StatusOK).is("freezes.0.scope", "OPERATOR").is("freezes.0.order_no", "HEAD-"+head)
}

func TestScenario07NoSpaceIsLetTwice(t *testing.T) {
	w := newWorld(t, worldDay)
	w.cast()
	f := w.home("3")
	rooms := func(ids ...string) map[string]any { return map[string]any{"rooms": ids} }
	first := w.signed(f, "landlord", "tenant", rooms(f.rooms[0]))
	second := w.signed(f, "landlord", "tenant2", map[string]any{"rooms": []string{f.rooms[0]}, "start": "2027-11-30", "end": "2028-05-31"})
	whole := w.signed(f, "landlord", "tenant2", map[string]any{"start": "2027-06-01", "end": "2028-05-31"})
	beside := w.signed(f, "landlord", "tenant2", rooms(f.rooms[1]))
	after := w.signed(f, "landlord", "tenant2", map[string]any{"rooms": []string{f.rooms[0]}, "start": "2027-12-01", "end": "2028-05-31"})
	file := func(id string) answer { return w.post("landlord", "/v1/contracts/"+id+"/filing", nil) }
	file(first).want(http.StatusOK).is("stage", "FILED")
	no := file(second).problem(http.StatusConflict, "unit.space_overlap")
	if no.at("params.contract") != nil {
		t.Errorf("the refusal tells of another's contract: %s", no.body)
	}
	file(whole).problem(http.StatusConflict, "unit.space_overlap")
	file(beside).want(http.StatusOK).is("stage", "FILED")
	file(after).want(http.StatusOK).is("stage", "FILED")
	w.settled()
	w.get("landlord", "/v1/contracts/"+second).want(http.StatusOK).is("stage", "SIGNED")
}

func TestScenario07OfTwentyAtOnceOneGetsTheSpace(t *testing.T) {
	w := newWorld(t, worldDay)
	w.cast()
	f := w.home("3")
	var ids []string
	for i := range 20 {
		change := map[string]any{"start": civil("2026-12-01").AddDays(i).String(), "escrow": nil}
		if i%2 == 1 {
			change["rooms"] = []string{f.rooms[0]}
		}
		ids = append(ids, w.signed(f, "landlord", []string{"tenant", "tenant2"}[i%2], change))
	}
	answers := make([]reply, len(ids))
	var race sync.WaitGroup
	start := make(chan struct{})
	for i, id := range ids {
		race.Go(func() {
			<-start
			answers[i], _ = ask(t.Context(), w.base, http.MethodPost, "/v1/contracts/"+id+"/filing", w.keys["landlord"], nil)
		})
	}
	close(start)
	race.Wait()
	won := 0
	for i, r := range answers {
		a := answer{r, t, ids[i]}
		if r.status == http.StatusOK {
			won++
			continue
		}
		if code := a.at("code"); r.status != http.StatusConflict || code != "unit.space_overlap" && code != "conflict.stream_moved" {
			t.Errorf("a loser was told %d %s", r.status, r.body)
		}
	}
	if won != 1 {
		t.Errorf("%d contracts won the same space", won)
	}
	w.settled()
	u := w.get("city", "/v1/units/"+f.id).want(http.StatusOK)
	if held := u.list("occupancies"); len(held) != 1 || u.at("occupancies.0.confirmed") != true {
		t.Errorf("the space is held by %v", held)
	}
	filed := 0
	for _, id := range ids {
		if w.get("city", "/v1/contracts/"+id).at("stage") == "FILED" {
			filed++
		}
	}
	if filed != 1 {
		t.Errorf("%d contracts are filed", filed)
	}
}

func TestScenario15APractitionerHasOneBrokerageAndNoneWhenBanned(t *testing.T) {
	w := newWorld(t, worldDay)
	w.cast()
	w.organisation("broker2", "broker", "BROKERAGE", "示例第二经纪有限公司", uscc(4))
	agent := w.person("agent", "tenant", "示例丁", cnID("320102", "19880808", 5))
	roster := func(who, brokerage, from string) answer {
		return w.post(who, "/v1/parties/"+agent+"/roster", fmt.Sprintf(`{"brokerage_id":%q,"from":%q}`, w.ids[brokerage], from))
	}
	roster("district", "company", worldDay).problem(http.StatusUnprocessableEntity, "party.no_brokerage").is("errors.0.pointer", "/brokerage_id")
	roster("district", "agent", worldDay).problem(http.StatusUnprocessableEntity, "party.no_brokerage")
	roster("xuanwu", "broker", worldDay).problem(http.StatusForbidden, "auth.out_of_area")
	roster("broker", "broker", worldDay).want(http.StatusOK)
	roster("broker", "broker", worldDay).want(http.StatusOK)
	roster("broker2", "broker2", worldDay).problem(http.StatusConflict, "party.practitioner_elsewhere")
	roster("broker2", "broker", worldDay).problem(http.StatusForbidden, "auth.forbidden")
	w.get("district", "/v1/parties/"+agent).want(http.StatusOK).is("brokerage_id", w.ids["broker"])

	w.post("broker", "/v1/parties/"+agent+"/ban", `{"until":"2027-11-22","order_no":"决字2026-9"}`).problem(http.StatusForbidden, "auth.forbidden")
	w.post("district", "/v1/parties/"+agent+"/ban", `{"until":"2027-11-22","order_no":"决字2026-9"}`).want(http.StatusOK)
	w.get("district", "/v1/parties/"+agent).want(http.StatusOK).is("brokerage_id", nil)
	roster("broker2", "broker2", worldDay).problem(http.StatusConflict, "party.practitioner_banned")
	w.onDay("2027-11-22")
	roster("broker2", "broker2", "2027-11-22").problem(http.StatusConflict, "party.practitioner_banned")
	w.onDay("2027-11-23")
	roster("broker2", "broker2", "2027-11-23").want(http.StatusOK)
}

func TestScenario20ALeaseKeepsTheGuidanceItWasSignedUnder(t *testing.T) {
	w := newWorld(t, "2026-07-02")
	w.cast()
	flats := w.building("3", 3)
	for _, f := range flats {
		w.owned(f, "landlord")
	}
	start, err := domain.ParseMonth("2026-04")
	if err != nil {
		t.Fatal(err)
	}
	w.lettings(start, 3)
	terms := map[string]any{"signed_on": "2026-07-02", "start": "2026-08-01", "end": "2027-07-31"}
	none := w.signed(flats[0], "landlord", "tenant", terms)
	w.publishes("2026Q2", 1)
	first := w.get("", "/v1/guidance-prices?area=320115").want(http.StatusOK).is("version", 1).num("cells.0.median")
	between := w.filed(flats[1], "landlord", "tenant", terms)
	w.get("tenant", "/v1/contracts/"+between).is("guidance_version", "2026Q2/1")
	for i := range 40 {
		w.late(start, fmt.Sprint("late-", i), 400000)
	}
	w.settled()
	w.publishes("2026Q2", 2)
	second := w.get("", "/v1/guidance-prices?period=2026Q2&area=320115").want(http.StatusOK).is("version", 2).num("cells.0.median")
	if second <= first {
		t.Errorf("the median moved from %d to %d", first, second)
	}
	w.get("", "/v1/guidance-prices?period=2026Q2&version=1&area=320115").want(http.StatusOK).is("cells.0.median", first).is("until", "2026-07-01")
	w.get("tenant", "/v1/contracts/"+between).is("guidance_version", "2026Q2/1")
	w.get("tenant", "/v1/contracts/"+none).is("guidance_version", nil)
	later := w.signed(flats[2], "landlord", "tenant2", terms)
	w.get("tenant2", "/v1/contracts/"+later).is("guidance_version", "2026Q2/2")
	draft := w.get("city", "/v1/guidance-prices/draft?period=2026Q2").want(http.StatusOK)
	w.post("city", "/v1/guidance-prices", map[string]any{
		"period": "2026Q2", "version": 1, "effective_from": "2026-07-02", "inputs": draft.text("inputs"),
	}).problem(http.StatusConflict, "guidance.already_published")
}

func TestAnOperatorDividesTheHomeItRents(t *testing.T) {
	w := newWorld(t, worldDay)
	w.cast()
	f := w.home("3")
	rooms := `{"rooms":[{"room_no":"A","kind":"BEDROOM","usable_area_c":1800},{"room_no":"L","kind":"LIVING_ROOM","usable_area_c":1500}]}`
	w.post("company", "/v1/units/"+f.id+"/rooms", rooms).problem(http.StatusNotFound, "resource.not_found")
	w.headLease(f, 300000, "2026-11-23", "2028-12-31")
	w.post("company", "/v1/units/"+f.id+"/rooms", rooms).want(http.StatusOK).is("rooms.1.room_no", "L")
	w.post("tenant", "/v1/units/"+f.id+"/rooms", rooms).problem(http.StatusForbidden, "auth.forbidden")
}
