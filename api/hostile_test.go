package api_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// attack is one line of the hostile collection, translated to this API.
type attack struct {
	who, method, path, body string
	headers                 []string
	status                  int // 0 = any below 500.
	code                    string
}

// contractWith is a valid contract with one thing put in its end.
func contractWith(valid, extra string) string {
	return strings.TrimSuffix(strings.TrimSpace(valid), "}") + "," + extra + "}"
}

func rentOf(valid, rent string) string {
	return strings.Replace(valid, `"monthly_rent_fen":350000`, `"monthly_rent_fen":`+rent, 1)
}

func person(name, no string) string {
	return fmt.Sprintf(`{"kind":"PERSON","name":%q,"doc_type":"CN_ID","doc_no":%q}`, name, no)
}

// translated maps the collection's ids. valid is a contract that would be accepted, id and unit belong to landlord and tenant.
func translated(w *town, valid, id, unit string) map[string]attack {
	contract := func(body string, status int, code string) attack {
		return attack{who: "landlord", method: "POST", path: "/v1/contracts", body: body, status: status, code: code}
	}
	register := func(body string, status int, code string) attack {
		return attack{who: "company", method: "POST", path: "/v1/parties", body: body, status: status, code: code}
	}
	day := func(field, value string, status int, code string) attack {
		old := map[string]string{"start": "2026-12-01", "end": "2027-11-30"}[field]
		return contract(strings.Replace(valid, fmt.Sprintf(`"%s":"%s"`, field, old), fmt.Sprintf(`"%s":"%s"`, field, value), 1), status, code)
	}
	receipt := func(body string, status int, code string, key string) attack {
		return attack{"bank", "POST", "/v1/escrow/" + id + "/receipts", body, []string{"Idempotency-Key: " + key}, status, code}
	}
	listing := func(text string) attack {
		return attack{who: "landlord", method: "POST", path: "/v1/listings", status: 0, body: fmt.Sprintf(`{"unit_id":%q,"let_mode":"WHOLE","rent_fen":350000,"text":%s}`, unit, text)}
	}
	get := func(who, path string, status int, code string) attack {
		return attack{who: who, method: "GET", path: path, status: status, code: code}
	}
	fine := "320102188801010015"
	return map[string]attack{
		"H001": contract(contractWith(valid, `"monthly_rent_fen":1`), 400, "request.invalid"),
		"H003": contract(contractWith(valid, `"monthly\u005frent_fen":1`), 400, "request.invalid"),
		"H004": contract(contractWith(valid, `"Monthly_Rent_Fen":1`), 400, "request.invalid"),
		"H005": contract(contractWith(valid, `"status":"approved"`), 400, "request.invalid"),
		"H006": contract(contractWith(valid, `"owner_id":"S-other"`), 400, "request.invalid"),
		"H007": contract(contractWith(valid, `"recorded_at":"2000-01-01T00:00:00Z","version":999`), 400, "request.invalid"),
		"H008": contract(valid+"{}", 400, "request.invalid"),
		"H011": contract("null", 400, "request.invalid"),
		"H012": contract("[]", 400, "request.invalid"),
		"H014": contract(strings.Repeat(`{"a":`, 100)+"1"+strings.Repeat("}", 100), 400, "request.invalid"),
		"H019": register("{\"kind\":\"PERSON\",\"name\":\"\xc0\xaf\",\"doc_type\":\"CN_ID\",\"doc_no\":\""+fine+"\"}", 400, "request.invalid"),
		"H020": register(strings.Replace(person("@", fine), "@", `\ud800`, 1), 400, "request.invalid"),
		"H021": register(strings.Replace(person("@", fine), "@", `张\u0000三`, 1), 400, "request.invalid"),
		"H022": contract("\xef\xbb\xbf"+valid, 400, "request.invalid"),
		"H026": contract(contractWith(valid, `"__proto__":{"admin":true}`), 400, "request.invalid"),
		"H028": {"landlord", "POST", "/v1/contracts", "rent_fen=1", []string{"Content-Type: application/x-www-form-urlencoded"}, 415, "request.media_type"},
		"H029": contract(rentOf(valid, "1e400"), 400, "request.invalid"),
		"H032": contract(rentOf(valid, "350000.5"), 400, "request.invalid"),
		"H033": contract(rentOf(valid, "3.5e5"), 400, "request.invalid"),
		"H035": contract(rentOf(valid, "-0"), 400, "request.invalid"),
		"H037": contract(rentOf(valid, `"350000"`), 400, "request.invalid"),
		"H038": contract(rentOf(valid, "true"), 400, "request.invalid"),
		"H040": contract(rentOf(valid, "9007199254740993"), 400, "request.invalid"),
		"H041": {"district", "POST", "/v1/escrow/" + id + "/releases", `{"tranche":99}`, []string{"Idempotency-Key: h41"}, 0, ""},
		"H044": receipt(`{"bank_txn_id":"T0","amount_fen":1,"value_date":"2026-11-23"}`, 409, "escrow.txn_duplicate", "h44"),
		"H046": receipt(`{"bank_txn_id":"T１","amount_fen":1,"value_date":"2026-11-23"}`, 400, "request.invalid", "h46"),
		"H047": {"landlord", "POST", "/v1/contracts", rentOf(valid, "350001"), []string{"Idempotency-Key: first"}, 422, "request.idempotency_key_reused"},
		"H048": {"landlord", "POST", "/v1/contracts", valid, []string{"Idempotency-Key: " + strings.Repeat("k", 10000)}, 400, "request.idempotency_key_invalid"},
		"H055": day("end", "2026-01-01", 422, ""),
		"H056": day("start", "2026-02-30", 400, "request.invalid"),
		"H058": day("end", "275760-09-13", 400, "request.invalid"),
		"H061": day("start", "２０２６－１２－０１", 400, "request.invalid"),
		"H064": register(person("张三", "320102188801010016"), 422, "party.id_checksum"),
		"H067": register(person("张三", "320102209901011234"), 422, "party.id_checksum"),
		"H068": register(strings.Replace(person("@", fine), "@", "张\u202e三", 1), 400, "request.invalid"),
		"H069": register(strings.Replace(person("@", fine), "@", "张\u200d三", 1), 400, "request.invalid"),
		"H071": register(person("六三", "320111188003070035"), 0, ""),
		"H072": register(person("张⼀", "320111188003070035"), 0, ""),
		"H073": register(person("阿迪力·买买提", fine), 201, ""),
		"H075": register(person("张"+strings.Repeat("\u0301", 1000), fine), 400, "request.invalid"),
		"H076": register(`{"kind":"ORG","org_kind":"OTHER","name":"А公司","doc_type":"USCC","doc_no":"91320191099999992R"}`, 201, ""),
		"H080": get("", "/v1/views/housing/contracts?api_key=K", 401, "auth.required"),
		"H082": {"", "GET", "/v1/events", "", []string{"Authorization: Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJjaXR5In0."}, 401, "auth.invalid_key"},
		"H084": {"", "GET", "/v1/events", "", []string{"Authorization: Bearer ../../dev/null"}, 401, "auth.invalid_key"},
		"H088": {"", "GET", "/v1/events", "", []string{"Authorization: Bearer " + strings.Repeat("x", 1<<20)}, 401, "auth.invalid_key"},
		"H090": receipt(`{"bank":"B","bank_txn_id":"T9","amount_fen":1,"value_date":"2026-11-23"}`, 400, "request.invalid", "h90"),
		"H093": {"", "GET", "/v1/events", "", []string{"Authorization: Bearer a", "Authorization: Bearer b"}, 400, "request.header"},
		"H095": get("landlord2", "/v1/contracts/"+id, 404, "resource.not_found"),
		"H096": get("tenant", "/v1/contracts/"+id+"/certificate", 200, ""),
		"H099": get("district", "/v1/views/people/subjects?district=320115&district=320102", 400, "request.parameter"),
		"H102": {"auditor", "POST", "/v1/contracts", valid, nil, 403, "auth.forbidden"},
		"H103": {"landlord", "POST", "/v1/listings/x", "", []string{"X-HTTP-Method-Override: DELETE"}, 405, "request.method_not_allowed"},
		"H108": get("landlord", "/v0/filings", 404, "resource.not_found"),
		"H109": get("", "/debug/pprof/", 404, "resource.not_found"),
		"H111": get("", "/v1/verify/'%20OR%201=1--", 404, "resource.not_found"),
		"H113": get("broker", "/v1/views/people/subjects?id_no=320102188801010015", 400, "request.parameter"),
		"H114": get("city", "/v1/views/people/subjects?id_no=320102*", 400, "request.parameter"),
		"H115": get("landlord2", "/v1/contracts/1", 404, "resource.not_found"),
		"H116": listing(`"=HYPERLINK(\"http://x\",\"a\")"`),
		"H117": listing(`"+cmd|' /C calc'!A0"`),
		"H118": listing(`"-2+3"`),
		"H121": {who: "landlord", method: "POST", path: "/v1/listings", status: 400, code: "request.invalid", body: fmt.Sprintf(`{"unit_id":%q,"let_mode":"WHOLE","rent_fen":350000,"text":"\r=1+1"}`, unit)},
		"H124": {"landlord", "POST", "/v1/contracts", "\x1f\x8b\x08", []string{"Content-Encoding: gzip"}, 415, "request.encoding"},
		"H132": {"landlord", "POST", "/v1/contracts", strings.Repeat("--x\r\n\r\n", 100_000), []string{"Content-Type: multipart/form-data; boundary=x"}, 415, "request.media_type"},
		"H133": listing(`"<img src=x onerror=alert(1)>"`),
		"H134": listing(`"{{.}} ${jndi:ldap://x} %s%n"`),
		"H138": get("landlord", "/v1/views/housing/contracts?limit=1000000000", 400, "request.parameter"),
		"H139": get("landlord", "/v1/views/housing/contracts?q=(a%2B)%2B%24", 400, "request.parameter"),
		"H141": get("", "/ui/..%2f..%2fetc/passwd", 404, "resource.not_found"),
		"H167": {"district", "POST", "/v1/contracts/" + id + "/filing-decision", `{"accept":false,"reason":"x"}`, nil, 409, ""},
		"H171": contract(strings.Replace(valid, `"deposit_fen":350000`, `"deposit_fen":10000000000001`, 1), 400, "request.invalid"),
		"H177": get("", "/tile/0/x999/999", 404, "resource.not_found"),
	}
}

// elsewhere says which test holds what this one can't, or why there is nothing to hold.
var elsewhere = map[string]string{
	"H016": "TestOverTheWire", "H042": "escrow ledger laws", "H043": "TestParallelRepeatsHappenOnce", "H052": "statement laws: closing is checked",
	"H063": "no signed requests yet", "H081": "TestKeysAndTheirEnd", "H087": "no tokens but keys; TestKeysAndTheirEnd for their end", "H089": "client certificates are the proxy's",
	"H094": "TestWrongKeysFlood", "H097": "TestRowsOutOfSight", "H105": "TestWhoReadsPersonalDataIsSeen", "H123": "no uploads", "H127": "no uploads",
	"H129": "no uploads", "H130": "no uploads", "H142": "no webhooks yet", "H145": "no webhooks yet", "H146": "no webhooks yet", "H147": "no webhooks yet",
	"H149": "no webhooks yet", "H150": "no webhooks yet", "H151": "no webhooks yet", "H155": "HTTPServer sets ReadHeaderTimeout", "H156": "HTTPServer sets ReadTimeout",
	"H157": "no exports over HTTP", "H158": "no HTTP/2 without TLS", "H160": "TestOddRequests", "H163": "TestOverloadSheds", "H164": "TestRepeatedPost",
	"H169": "TestOneFlatOneLease", "H170": "a listing is no condition of filing", "H173": "party laws", "H174": "command line", "H175": "command line",
}

// TestHostileRequests throws the collection at the server. None gets a 5xx, and nothing is appended unless it is 2xx.
func TestHostileRequests(t *testing.T) {
	w := newTown(t)
	w.people()
	unit := w.home()
	valid := w.contractBody(unit)
	id := w.sign(unit)
	w.do("landlord", "POST", "/v1/contracts/"+id+"/filing", "").want(http.StatusOK)
	w.do("bank", "POST", "/v1/escrow/"+id+"/receipts", `{"bank_txn_id":"T0","amount_fen":1400000,"value_date":"2026-11-23"}`, "Idempotency-Key: t0").want(http.StatusCreated)
	w.do("landlord", "POST", "/v1/contracts", valid, "Idempotency-Key: first").want(http.StatusCreated)
	table := translated(w, valid, id, unit)

	file, err := os.Open("testdata/hostile.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var row struct{ ID, Name string }
		if err := json.Unmarshal(lines.Bytes(), &row); err != nil {
			t.Fatal(err)
		}
		a, ok := table[row.ID]
		if !ok {
			if elsewhere[row.ID] == "" {
				t.Errorf("%s %s is not translated", row.ID, row.Name)
			}
			continue
		}
		t.Run(row.ID+" "+row.Name, func(t *testing.T) {
			before, began := w.events(), time.Now()
			r := w.do(a.who, a.method, a.path, a.body, a.headers...)
			if took := time.Since(began); took > time.Second {
				t.Errorf("answered after %s", took)
			}
			if r.status >= 500 || (a.status != 0 && r.status != a.status) || (a.code != "" && r.textOr("code") != a.code) {
				t.Errorf("got %d %s, want %d %s: %s", r.status, r.textOr("code"), a.status, a.code, r.body)
			}
			if n := w.events(); n != before && r.status >= 300 {
				t.Errorf("%d events were appended by a refused request", n-before)
			}
			if r.status >= 400 && r.header.Get("Content-Type") != "application/problem+json" {
				t.Errorf("no problem document: %v", r.header)
			}
		})
	}
	if strings.Contains(w.logs.String(), "320102188801010015") {
		t.Error("an identity number of a query stands in the log")
	}
}

// TestOneFlatOneLease files twenty contracts for one flat at once: one is accepted (一房一约).
func TestOneFlatOneLease(t *testing.T) {
	w := newTown(t)
	w.people()
	unit := w.home()
	ids := make([]string, 20)
	for i := range ids {
		ids[i] = w.sign(unit)
	}
	got := make([]reply, len(ids))
	done := make(chan int)
	for i, id := range ids {
		go func() {
			got[i] = w.do("landlord", "POST", "/v1/contracts/"+id+"/filing", "")
			done <- i
		}()
	}
	for range ids {
		<-done
	}
	filed := 0
	for _, r := range got {
		switch {
		case r.status == http.StatusOK:
			filed++
		case r.status != http.StatusConflict:
			t.Errorf("%d %s", r.status, r.body)
		}
	}
	if filed != 1 {
		t.Errorf("%d contracts were filed for one flat", filed)
	}
}
