package main

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestMainPath walks from the empty register to money in a supervised account: the requests are the specification's,
// word by word, with the ids filled in.
func TestMainPath(t *testing.T) {
	w := newWorld(t, worldDay)
	w.stale = true
	w.officers()
	w.organisation("bank", "bank", "SUPERVISING_BANK", "示例银行", uscc(1))

	const buildingBody = `{"estate":"示例花园","building_no":"3","street":"320115004","address":"示例路8号","units":[{"unit_no":"1201","floor":12,"gross_area_c":8912,
		"bedrooms":2,"planned_use":"RESIDENTIAL","rooms":[]}]}`
	b := w.post("district", "/v1/buildings", buildingBody).want(http.StatusCreated)
	unit := b.text("units.0.id")
	b.is("units.0.unit_no", "1201")
	w.position(b)
	w.post("district", "/v1/buildings", buildingBody).want(http.StatusCreated).is("units.0.id", unit)
	w.post("xuanwu", "/v1/buildings", strings.Replace(buildingBody, `"3"`, `"4"`, 1)).problem(http.StatusForbidden, "auth.out_of_area")

	landlordBody := `{"kind":"PERSON","name":"示例甲","doc_type":"CN_ID","doc_no":"320102188801010015","phone":"13800000000"}`
	landlord := w.registered(landlordBody)
	w.ids["landlord"] = landlord
	w.ids["tenant"] = w.registered(`{"kind":"PERSON","name":"示例乙","doc_type":"CN_ID","doc_no":"320104188512310022","phone":"13800000001"}`)
	for _, who := range []string{"landlord", "tenant"} {
		w.key(who, fmt.Sprintf(`{"role":%q,"party_id":%q}`, who, w.ids[who]))
	}
	w.post("landlord", "/v1/parties/"+landlord+"/verification", `{"level":2,"method":"ID_NAME_MATCH"}`).problem(http.StatusForbidden, "auth.forbidden")
	for who, by := range map[string]string{"landlord": "district", "tenant": "partner"} {
		if who == "tenant" {
			continue // Later: first the unverified tenant is refused.
		}
		w.post(by, "/v1/parties/"+w.ids[who]+"/verification", `{"level":2,"method":"ID_NAME_MATCH"}`).want(http.StatusOK).is("id", w.ids[who])
	}
	w.post("partner", "/v1/units/"+unit+"/ownership", fmt.Sprintf(
		`{"owners":[{"party_id":%q,"share_bp":10000}],"title_no":"苏2020示例第0000001号","from":"2020-05-01"}`, landlord)).want(http.StatusOK)

	l := w.post("landlord", "/v1/listings", fmt.Sprintf(`{"unit_id":%q,"let_mode":"WHOLE","rent_fen":350000}`, unit)).want(http.StatusCreated)
	listing := l.is("stage", "DRAFT").text("id")
	s := w.post("landlord", "/v1/listings/"+listing+"/submission", nil).want(http.StatusOK)
	code := s.is("stage", "VERIFIED").text("code")
	if !regexp.MustCompile(`^HY3201152611\d{6}[0-9A-Z]$`).MatchString(code) {
		t.Errorf("the code is %s", code)
	}
	w.post("landlord", "/v1/listings/"+listing+"/publication", nil).want(http.StatusOK).is("stage", "PUBLISHED")
	w.get("", "/v1/verify/"+code).want(http.StatusOK).is("state", "PUBLISHED").is("genuine", true).is("rent_fen", 350000).
		is("address", "示例路8号").is("publisher_kind", "OWNER").is("publisher_ok", true).signedByTheRegister()

	contractBody := fmt.Sprintf(`{"kind":"OUT","unit_id":%q,"rooms":[],"lessors":[{"party_id":%q}],"lessees":[{"party_id":%q}],"occupants":[],"use":"RESIDENTIAL",
		"start":"2026-12-01","end":"2027-11-30","signed_on":"2026-11-23","monthly_rent_fen":350000,"pay_cycle_months":3,
		"deposit_fen":350000,"deposit_return_days":7,"deduction_grounds":["ARREARS","DAMAGE"],"escrow":{"mode":"VOLUNTARY"}}`, unit, landlord, w.ids["tenant"])
	w.post("landlord", "/v1/contracts", contractBody).rule(http.StatusUnprocessableEntity, "party.realname_required", "S-01", 1)
	w.post("partner", "/v1/parties/"+w.ids["tenant"]+"/verification", `{"level":2,"method":"ID_NAME_MATCH"}`).want(http.StatusOK)
	c := w.post("landlord", "/v1/contracts", contractBody, "Idempotency-Key", "contract-1").want(http.StatusCreated)
	id, hash := c.is("stage", "DRAFTED").text("id"), c.text("content_hash")
	if got := c.header.Get("Location"); got != "/v1/contracts/"+id {
		t.Errorf("Location: %s", got)
	}
	again := w.post("landlord", "/v1/contracts", contractBody, "Idempotency-Key", "contract-1").want(http.StatusCreated)
	if again.text("id") != id || again.header.Get("Idempotent-Replayed") != "true" || string(again.body) != string(c.body) ||
		again.header.Get("ETag") != c.header.Get("ETag") || again.header.Get("Zujian-Position") != c.header.Get("Zujian-Position") {
		t.Errorf("the same key and body: %v %s", again.header, again.body)
	}
	w.post("landlord", "/v1/contracts", strings.Replace(contractBody, "350000", "350001", 1), "Idempotency-Key", "contract-1").
		problem(http.StatusUnprocessableEntity, "request.idempotency_key_reused")

	w.signs(id, hash)
	w.files(id)
	w.banks(id)
	w.shows(unit, id, code)
}

// registered registers somebody twice, by two callers, and wants one answer.
func (w *world) registered(body string) string {
	w.t.Helper()
	first := w.post("district", "/v1/parties", body).want(http.StatusCreated)
	second := w.post("partner", "/v1/parties", body).want(http.StatusCreated)
	if string(first.body) != string(second.body) || first.header.Get("ETag") != second.header.Get("ETag") {
		w.t.Errorf("the answers tell who is known: %v %s, %v %s", first.header, first.body, second.header, second.body)
	}
	if p, q := w.position(first), w.position(second); q < p {
		w.t.Errorf("the second position %d is before the first %d", q, p)
	}
	return first.text("id")
}

// position is the one every write answers.
func (w *world) position(a answer) uint64 {
	w.t.Helper()
	p, err := strconv.ParseUint(a.header.Get("Zujian-Position"), 10, 64)
	if err != nil || p == 0 {
		w.t.Errorf("%s: Zujian-Position is %q", a.asked, a.header.Get("Zujian-Position"))
	}
	return p
}

func (w *world) signs(id, hash string) {
	w.t.Helper()
	path := "/v1/contracts/" + id + "/signatures"
	w.post("landlord", "/v1/contracts/"+id+"/filing", nil).problem(http.StatusConflict, "contract.not_all_signed")
	w.post("landlord", path, map[string]string{"party_id": w.ids["tenant"], "content_hash": hash}).
		problem(http.StatusUnprocessableEntity, "contract.not_signer")
	w.post("landlord", path, map[string]string{"party_id": w.ids["landlord"], "content_hash": strings.Repeat("0", 64)}).
		problem(http.StatusConflict, "contract.signature_hash")
	before := w.head()
	w.post("landlord", path, map[string]string{"party_id": w.ids["landlord"], "content_hash": hash}, "If-Match", `"7"`).
		problem(http.StatusPreconditionFailed, "precondition.failed")
	if w.head() != before {
		w.t.Error("a failed precondition wrote")
	}
	a := w.sign("landlord", id, hash).want(http.StatusOK).is("stage", "DRAFTED").is("signatures.0.method", "KEY")
	if a.header.Get("ETag") != `"1"` {
		w.t.Errorf("ETag after the first signature: %s", a.header.Get("ETag"))
	}
	w.position(a)
	before = w.head()
	w.sign("landlord", id, hash).want(http.StatusOK)
	if w.head() != before {
		w.t.Error("signing again wrote")
	}
	w.sign("tenant", id, hash).want(http.StatusOK).is("stage", "SIGNED").is("signed_on", worldDay)
}

func (w *world) files(id string) {
	w.t.Helper()
	f := w.post("landlord", "/v1/contracts/"+id+"/filing", nil, "Idempotency-Key", "filing-1").want(http.StatusOK).
		is("stage", "FILED").is("late", nil).is("filed_on", worldDay)
	no := f.text("filing_no")
	if !regexp.MustCompile(`^BA3201152611\d{6}[0-9A-Z]$`).MatchString(no) {
		w.t.Errorf("the filing number is %s", no)
	}
	w.position(f)
	w.settled()
	before := w.head()
	w.post("tenant", "/v1/contracts/"+id+"/filing", nil).want(http.StatusOK).is("filing_no", no)
	w.post("landlord", "/v1/contracts/"+id+"/filing", nil, "Idempotency-Key", "filing-2").want(http.StatusOK).is("filing_no", no)
	if w.head() != before {
		w.t.Errorf("filing again wrote %v", w.types("contract-"+id))
	}
	cert := w.get("tenant", "/v1/contracts/"+id+"/certificate").want(http.StatusOK).is("filing_no", no).
		is("lessors.0.name", "示例甲").is("lessees.0.name", "示例乙").is("authority", "320115")
	filing := w.get("", "/v1/verify/filings/"+no).want(http.StatusOK).is("state", "FILED").is("version", 1).is("filed_on", worldDay).
		is("certificate_hash", cert.text("certificate_hash")).signedByTheRegister()
	w.get("", "/v1/verify/key").want(http.StatusOK).is("public_key", filing.text("signature.public_key"))
	w.get("", "/v1/verify/filings/"+no[:len(no)-1]+"*").problem(http.StatusNotFound, "resource.not_found")
	if cert.text("certificate_hash") != f.text("certificate.hash") || f.text("certificate.href") != "/v1/contracts/"+id+"/certificate" {
		w.t.Errorf("certificate: %s", cert.body)
	}
}

// signedByTheRegister checks an answer's signature the way whoever keeps it would, and that it covers every byte.
func (a answer) signedByTheRegister() answer {
	a.t.Helper()
	var body map[string]any
	d := json.NewDecoder(strings.NewReader(string(a.body)))
	d.UseNumber()
	if err := d.Decode(&body); err != nil {
		a.t.Fatal(err)
	}
	delete(body, "signature")
	text, err := json.Marshal(body) // Sorted keys; nothing here needs the escapes in which it differs from RFC 8785.
	if err != nil {
		a.t.Fatal(err)
	}
	key, _ := base64.StdEncoding.DecodeString(a.text("signature.public_key"))
	sig, _ := base64.StdEncoding.DecodeString(a.text("signature.value"))
	if len(key) != ed25519.PublicKeySize || !ed25519.Verify(key, text, sig) {
		a.t.Errorf("%s: the signature does not verify over %s: %s", a.asked, text, a.body)
	}
	if ed25519.Verify(key, append(text, ' '), sig) {
		a.t.Errorf("%s: the signature covers anything", a.asked)
	}
	return a
}

func (w *world) banks(id string) {
	w.t.Helper()
	path := "/v1/escrow/" + id + "/receipts"
	body := `{"bank_txn_id":"T1","amount_fen":1400000,"value_date":"2026-11-23"}`
	w.post("bank", path, body).problem(http.StatusBadRequest, "request.idempotency_key_required")
	w.post("tenant", path, body, "Idempotency-Key", "r0").problem(http.StatusForbidden, "auth.forbidden")
	r := w.post("bank", path, body, "Idempotency-Key", "r1").want(http.StatusCreated).is("bank_id", w.ids["bank"]).
		is("receipts.0.amount_fen", 1400000).is("receipts.0.deposit_fen", 350000).is("receipts.0.rent_fen", 1050000)
	replay := w.post("bank", path, body, "Idempotency-Key", "r1").want(http.StatusCreated)
	if string(replay.body) != string(r.body) || replay.header.Get("Idempotent-Replayed") != "true" {
		w.t.Errorf("a replay: %s", replay.body)
	}
	other := w.post("bank", path, body, "Idempotency-Key", "r2").want(http.StatusCreated)
	if string(other.body) != string(r.body) {
		w.t.Errorf("the same transaction again under another key:\n%s\n%s", r.body, other.body)
	}
	w.post("bank", path, strings.Replace(body, "1400000", "1400001", 1), "Idempotency-Key", "r3").problem(http.StatusConflict, "escrow.txn_duplicate")
	w.post("bank", path, strings.Replace(body, "1400000", "1400001", 1), "Idempotency-Key", "r1").
		problem(http.StatusUnprocessableEntity, "request.idempotency_key_reused")
	w.balanced(id)
}

// balanced wants every journal of a ledger to balance, and the balances to be what the journals add up to.
func (w *world) balanced(id string) {
	w.t.Helper()
	w.settled()
	for i := range w.get("bank", "/v1/views/money/ledgers/"+id+"/postings").want(http.StatusOK).list("items") {
		row := w.get("bank", "/v1/views/money/ledgers/"+id+"/postings")
		sum := int64(0)
		for j := range row.list(fmt.Sprintf("items.%d.journal", i)) {
			at := fmt.Sprintf("items.%d.journal.%d.", i, j)
			for _, side := range []struct {
				name string
				sign int64
			}{{"debit_fen", 1}, {"credit_fen", -1}} {
				if row.at(at+side.name) != nil {
					sum += side.sign * row.num(at+side.name)
				}
			}
		}
		if sum != 0 {
			w.t.Errorf("posting %d of %s does not balance by %d", i, id, sum)
		}
	}
}

// shows reads what the views and the public make of it, each reader at least at the position it has seen.
func (w *world) shows(unit, id, code string) {
	w.t.Helper()
	seen := w.get("bank", "/v1/escrow/"+id).want(http.StatusOK)
	if seen.header.Get("ETag") == "" {
		w.t.Error("a GET of one thing has an ETag")
	}
	w.get("bank", "/v1/escrow/"+id, "If-None-Match", seen.header.Get("ETag")).want(http.StatusNotModified)
	w.settled()
	head := w.logHead().Position
	at := []string{"Zujian-At-Least", strconv.FormatUint(uint64(head), 10)}
	w.get("landlord", "/v1/views/housing/contracts?unit_id="+unit, at...).want(http.StatusOK).is("items.0.id", id).is("items.0.state", "FILED")
	w.get("tenant", "/v1/views/money/ledgers/"+id, at...).want(http.StatusOK).is("received_fen", 1400000).is("state", "FUNDED")
	w.get("landlord", "/v1/views/people/subjects/"+w.ids["landlord"], at...).want(http.StatusOK).is("name", "示例甲")
	w.get("tenant", "/v1/views/people/subjects/"+w.ids["landlord"], at...).problem(http.StatusNotFound, "resource.not_found")
	w.get("tenant", "/v1/views/housing/contracts", "Zujian-At-Least", strconv.FormatUint(uint64(head)+1_000_000, 10)).
		problem(http.StatusServiceUnavailable, "unavailable.behind")
	history := w.get("tenant", "/v1/contracts/"+id+"/history", at...).want(http.StatusOK)
	var types []string
	for i := range history.list("events") {
		types = append(types, history.text(fmt.Sprintf("events.%d.type", i)))
	}
	if want := "contract.drafted contract.signed_by_party contract.signed_by_party contract.signed contract.filed"; strings.Join(types, " ") != want {
		w.t.Errorf("history: %v", types)
	}
	w.get("", "/v1/verify/"+code).want(http.StatusOK).is("state", "LET").is("genuine", false)
	index := w.get("", "/v1/rent-index?area=320115&population=new&method=hedonic&from=2026-01&to=2026-11", at...).want(http.StatusOK).
		is("area", "320115").is("population", "new")
	if index.text("inputs_sha256") == "" || index.num("position") == 0 || len(index.list("series")) == 0 {
		w.t.Errorf("rent index: %s", index.body)
	}
	w.get("", "/v1/rent-index?area=city&population=stock&method=hedonic&from=2026-01&to=2026-11", at...).want(http.StatusOK)
}
