package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"zujian/domain"
)

// Row scope (trust.md §5.2): what is not yours is not there, and adds nothing to what you see.

// concern is a set of people with one of everything that concerns them.
type concern struct {
	ids  map[string]string // For paths, without "id" of a party: that is each caller's own.
	flat flat
}

// concerned makes a landlord, a tenant, a company, a broker and a bank, named with a suffix, and what they do in a flat.
func (w *world) concerned(suffix, district, street, building string, n int) concern {
	w.t.Helper()
	name := func(who string) string { return who + suffix }
	for i, role := range []string{"landlord", "tenant"} {
		w.person(name(role), role, "示例某", cnID("320106", "19810101", n*10+i))
	}
	w.organisation(name("bank"), "bank", "SUPERVISING_BANK", fmt.Sprintf("示例银行%d", n), uscc(n*10+1))
	for i, role := range []string{"company", "broker"} {
		kind := []string{"SUBLEASE_OPERATOR", "BROKERAGE"}[i]
		w.organisation(name(role), role, kind, fmt.Sprintf("示例企业%d有限公司", n*10+i), uscc(n*10+2+i))
		w.post(name(role), "/v1/parties/"+w.ids[name(role)]+"/opening-report", fmt.Sprintf(`{"admin_code":%q,"place":"示例路1号",
			"account":{"bank_party_id":%q,"last4":"0018"}}`, street[:6], w.ids[name("bank")])).want(http.StatusOK)
		w.post(district, "/v1/parties/"+w.ids[name(role)]+"/opening-decision", `{"accept":true}`).want(http.StatusOK)
	}
	account := w.supervised(name("company"), name("bank"), district)
	f := w.buildingIn(district, street, building, 1)[0]
	w.owned(f, name("landlord"))
	listing := w.post(name("landlord"), "/v1/listings", fmt.Sprintf(`{"unit_id":%q,"let_mode":"WHOLE","rent_fen":350000}`, f.id)).want(http.StatusCreated).text("id")
	code := w.post(name("landlord"), "/v1/listings/"+listing+"/submission", nil).want(http.StatusOK).text("code")
	head := w.filed(f, name("landlord"), name("company"), map[string]any{
		"kind": "HEAD", "sublease_consent": true, "end": "2028-12-31", "deposit_fen": 0, "pay_cycle_months": 1, "escrow": nil, "monthly_rent_fen": 300000,
	})
	contract := w.filed(f, name("company"), name("tenant"), map[string]any{
		"parent_id": head, "pay_cycle_months": 6, "escrow": map[string]any{"mode": "MANDATORY", "bank_id": w.ids[name("bank")]},
		"brokerage_id": w.ids[name("broker")],
	})
	w.money(name("bank"), "/v1/escrow/"+contract+"/receipts", fmt.Sprintf(`{"bank_txn_id":"C%d","amount_fen":2450000,"value_date":"2026-11-23"}`, n)).want(http.StatusCreated)
	statement := w.money(name("bank"), "/v1/bank-statements", fmt.Sprintf(`{"date":"2026-11-23","opening_fen":0,"closing_fen":2450001,
		"lines":[{"txn_id":"C%d","amount_fen":2450000,"value_date":"2026-11-23"},{"txn_id":"X%d","amount_fen":1,"value_date":"2026-11-23"}]}`, n, n)).
		want(http.StatusCreated).text("id")
	w.settled()
	return concern{flat: f, ids: map[string]string{
		"contract": contract, "unit": f.id, "listing": listing, "statement": statement, "code": code,
		"filing_no": w.get("city", "/v1/contracts/"+contract).text("filing_no"),
		"building":  w.get("city", "/v1/units/"+f.id).text("building_id"),
		"plan":      "145",
		"account":   account,
		"alert": w.post(district, "/v1/alerts/misses", fmt.Sprintf(`{"indicator":"OFF_ACCOUNT","kind":"operator","subject_id":%q,"on":"2026-11-22","note":"示例"}`,
			w.ids[name("company")])).want(http.StatusCreated).text("id"),
	}}
}

// seen is which roles of the first concern read a route about it, and which read it about anybody: l landlord, t tenant,
// c company, b broker, k bank, p partner, D district, C city, A auditor. A GET route with a path and without a row fails.
var seen = map[string]struct{ own, open string }{
	"readParty":           {"ltcbkDCA", "DCA"}, // Masked for officers.
	"listMandates":        {"ltcbDCA", "DCA"},
	"readOpening":         {"cbpDCA", "cbpDCA"}, // Published: for everyone. Persons and banks have none.
	"readRoster":          {"bDCA", "CA"},
	"listAccesses":        {"ltcbkA", "A"},
	"readPlan":            {"ltcbkpDCA", "ltcbkpDCA"}, // The city's, and public.
	"readBuilding":        {"lcbpDCA", "lcbpDCA"},
	"readUnit":            {"ltcbpDCA", "ltcbpDCA"}, // Owners and leases only for those whom it concerns.
	"verifyFiling":        {"ltcbkpDCA", "ltcbkpDCA"},
	"readListing":         {"lDCA", "CA"},
	"verifyCode":          {"ltcbkpDCA", "ltcbkpDCA"},
	"readContract":        {"tcbkDCA", "CA"},
	"readContractHistory": {"tcbDCA", "CA"},
	"readCertificate":     {"tcbDCA", "CA"},
	"readOpenings":        {"tcDCA", "CA"},   // A broker reads the contract; what opens its leaves is the parties'.
	"readEscrow":          {"ltckDCA", "CA"}, // The landlord is the owner whom the operator's ledger pays.
	"readAccount":         {"ckDCA", "CA"},
	"readStatement":       {"kCA", "CA"},
	"readSimulation":      {"", ""}, // The city's; none runs here, see scenarios_simulation_test.go.
	"readWebhook":         {"", ""}, // Each its own, see scenarios_feed_test.go.
	"listDeliveries":      {"", ""},
	"viewSubject":         {"ltcbDCA", "CA"},
	"viewMatrix":          {"DCA", "CA"},
	"viewUnit":            {"lDCA", "CA"}, // A tenant's and an operator's file is their contract.
	"viewLedger":          {"ltckDCA", "CA"},
	"viewPostings":        {"ltckDCA", "CA"},

	"readGuidancePeriod":     {"", ""}, // Public; nothing is published here.
	"listGuidanceObjections": {"", ""},
	"testGuidance":           {"", ""},
	"readIndexRelease":       {"", ""},      // Public figures; nothing is released here.
	"readAlert":              {"DCA", "CA"}, // Whom it warns of does not see it.
	"listAlertChanges":       {"DCA", "CA"},
	"viewExposure":           {"DCA", "CA"},
}

var scopeRoles = map[string]string{
	"l": "landlord", "t": "tenant", "c": "company", "b": "broker", "k": "bank", "p": "partner", "D": "district", "C": "city", "A": "auditor",
}

// TestWhatIsForeignIsNotThere asks every GET route with a path as every role about its own, another's and nobody's.
func TestWhatIsForeignIsNotThere(t *testing.T) {
	w := newWorld(t, worldDay)
	w.officers()
	own := w.concerned("", "district", "320115004", "3", 1)
	foreign := w.concerned("-2", "xuanwu", "320102002", "4", 2)
	missing := map[string]string{}
	for name := range own.ids {
		missing[name] = nobody
	}
	missing["code"] = own.ids["code"][:len(own.ids["code"])-2] + "ZZ"
	for _, r := range getRoutes(t) {
		if !strings.Contains(r.path, "{") {
			continue
		}
		row, ok := seen[r.id]
		if !ok {
			t.Errorf("%s has no row in the table", r.id)
			continue
		}
		for letter, who := range scopeRoles {
			of := func(ids map[string]string, party string) answer {
				ids = maps.Clone(ids)
				ids["id"], ids["party"] = party, party
				return w.get(who, r.fill(ids))
			}
			party := func(suffix string) string {
				if id := w.ids[who+suffix]; id != "" {
					return id
				}
				return w.ids["company"+suffix] // Officers and partners: of an enterprise of that district.
			}
			mine, theirs, none := of(own.ids, party("")), of(foreign.ids, party("-2")), of(missing, nobody)
			what := fmt.Sprintf("%s as %s", r.id, who)
			if mine.status == http.StatusForbidden { // No such role here at all: then for everything alike.
				if theirs.status != http.StatusForbidden || none.status != http.StatusForbidden || strings.Contains(row.own+row.open, letter) {
					t.Errorf("%s: %d, %d, %d", what, mine.status, theirs.status, none.status)
				}
				continue
			}
			if (mine.status == http.StatusOK) != strings.Contains(row.own, letter) {
				t.Errorf("%s: their own is %d %s", what, mine.status, mine.body)
			}
			if (theirs.status == http.StatusOK) != strings.Contains(row.open, letter) {
				t.Errorf("%s: another's is %d %s", what, theirs.status, theirs.body)
			}
			if none.problem(http.StatusNotFound, "resource.not_found"); theirs.status != http.StatusOK && still(theirs) != still(none) {
				t.Errorf("%s: another's and nobody's differ:\n%s\n%s", what, theirs.body, none.body)
			}
		}
	}
	u := w.get("tenant-2", "/v1/units/"+own.flat.id).want(http.StatusOK)
	if u.at("owners") != nil || u.at("occupancies") != nil || u.at("real_estate_unit_no") != nil {
		t.Errorf("a stranger reads owners or leases of a home: %s", u.body)
	}
}

var (
	moving = regexp.MustCompile(`"(instance|position|checked_at)":("[^"]*"|\d+)|(upto=)\d+`)
	proof  = regexp.MustCompile(`,"proof":\{[^}]*\}`) // Of a receipt: it comes with the next checkpoint, and moves with each.
)

// still is an answer without what differs from request to request: the request's id, how far the log had come, and the
// proof, which leads to the last public checkpoint over everybody's events.
func still(a answer) string {
	h := ""
	for _, name := range []string{"ETag", "Link", "Content-Type"} {
		h += a.header.Get(name) + "|"
	}
	return fmt.Sprintf("%d|%s%s", a.status, h, moving.ReplaceAllString(proof.ReplaceAllString(string(a.body), ""), `"$1":_$3`))
}

// TestForeignDataAddsNothing takes down everything that a caller can read, adds other people's business, and wants
// every byte to be the same: rows, counts, cursors, revisions.
func TestForeignDataAddsNothing(t *testing.T) {
	w := newWorld(t, worldDay)
	w.officers()
	own := w.concerned("", "district", "320115004", "3", 1)
	before := w.everything(own, "")
	w.concerned("-2", "xuanwu", "320102002", "4", 2)
	w.same(before, w.everything(own, ""), "of another district")
	w.concerned("-3", "district", "320115004", "5", 3)
	after := w.everything(own, "")
	w.same(scopeWithout(before), scopeWithout(after), "of the same district")

	// Questions about others are answered like questions about nobody.
	w.settled()
	for _, who := range []string{"landlord", "tenant", "company", "broker", "bank"} {
		for _, q := range []string{
			"/v1/views/housing/contracts?party_id=%s", "/v1/views/housing/contracts?parent_id=%s", "/v1/views/housing/contracts?unit_id=%s",
			"/v1/views/money/ledgers?party_id=%s", "/v1/views/money/boards?kind=party&id=%s", "/v1/views/money/boards?kind=bank&id=%s",
			"/v1/bank-statements?bank_id=%s",
		} {
			for _, foreign := range []string{"landlord-3", "tenant-3", "company-3", "bank-3"} {
				theirs, none := w.get(who, fmt.Sprintf(q, w.ids[foreign])), w.get(who, fmt.Sprintf(q, nobody))
				if strings.HasPrefix(q, "/v1/bank-statements") && who == "bank" {
					continue // A bank is asked for its own whatever it names.
				}
				if still(theirs) != still(none) {
					t.Errorf("%s %s about %s:\n%s\n%s", who, q, foreign, theirs.body, none.body)
				}
			}
		}
	}
}

// scopeWithout leaves the district's own answers out: its own district did change.
func scopeWithout(all map[string]string) map[string]string {
	maps.DeleteFunc(all, func(k, _ string) bool { return strings.HasPrefix(k, "district ") })
	return all
}

func (w *world) same(before, after map[string]string, what string) {
	w.t.Helper()
	for _, k := range slices.Sorted(maps.Keys(before)) {
		if before[k] != after[k] {
			w.t.Errorf("business %s changed %s:\n%s\n%s", what, k, before[k], after[k])
		}
	}
	if len(before) < 80 {
		w.t.Errorf("only %d answers compared", len(before))
	}
}

// everything is what each caller reads at every GET route that is not for the public, by "who path".
func (w *world) everything(c concern, suffix string) map[string]string {
	w.t.Helper()
	w.settled()
	out := map[string]string{}
	more := map[string][]string{
		"viewContracts": {"?limit=1", "?kind=HEAD", "?area=320115", "?area=city", "?state=FILED", "?on=2027-01-01"},
		"viewUnits":     {"?limit=1", "?area=320115", "?area=city"}, "viewSubjects": {"?limit=1", "?kind=ORG", "?district=320115"},
		"viewLedgers": {"?limit=1", "?state=FUNDED", "?district=320115"}, "viewReleasesDue": {"?on=2027-12-31"},
		"listAlerts": {"?kind=operator", "?kind=city", "?limit=1", "?format=csv"}, "readHealth": {"?area=city", "?area=320102", "?format=csv"},
		"viewBoards": {"?kind=area", "?kind=bank", "?kind=city", "?kind=area&id=320115"},
	}
	for _, r := range getRoutes(w.t) {
		if raw, _ := json.Marshal(r.op.Extensions["x-roles"]); strings.Contains(string(raw), "public") || strings.Contains(string(raw), `["auditor"]`) {
			continue
		}
		for _, who := range []string{"landlord", "tenant", "company", "broker", "bank", "district"} {
			ids := maps.Clone(c.ids)
			party := w.ids[who+suffix]
			if party == "" {
				party = w.ids["company"+suffix]
			}
			ids["id"], ids["party"] = party, party
			path := r.fill(ids)
			out[who+" "+path] = still(w.get(who, path))
			for _, q := range more[r.id] {
				path, _, _ := strings.Cut(path, "?")
				out[who+" "+path+q] = still(w.get(who, path+q))
			}
		}
	}
	return out
}

// TestADistrictsFiguresAreItsOwn is the same for the figures that name an area.
func TestADistrictsFiguresAreItsOwn(t *testing.T) {
	w := newWorld(t, worldDay)
	w.officers()
	w.concerned("", "district", "320115004", "3", 1)
	for _, path := range []string{
		"/v1/views/housing/stock?area=320102", "/v1/views/housing/stock?area=city", "/v1/views/housing/filings?area=city&from=2026-01&to=2026-12",
		"/v1/views/housing/listing-board?area=320102&from=2026-01&to=2026-12", "/v1/views/housing/unfiled?area=city",
		"/v1/views/housing/contracts?area=city&unfiled_on=2026-12-01",
	} {
		w.get("district", path).problem(http.StatusNotFound, "resource.not_found")
		w.get("city", path).want(http.StatusOK)
	}
	w.get("district", "/v1/views/housing/stock").want(http.StatusOK).is("area", "320115").is("on", domain.DayOf(w.clock()))
}

// TestAnOverlayReadsItsOwn: a reporting unit that is made of streets of several districts (江北新区) sees what lies in it, as
// the districts do.
func TestAnOverlayReadsItsOwn(t *testing.T) {
	w := newWorld(t, worldDay)
	w.cast()
	w.key("jiangbei", `{"role":"district","area":"320191"}`)
	w.key("pukou", `{"role":"district","area":"320111"}`)
	f := w.buildingIn("jiangbei", "320111001", "5", 1)[0]
	w.owned(f, "landlord")
	id := w.filed(f, "landlord", "tenant", nil)
	w.filed(w.home("3"), "landlord", "tenant2", nil)
	w.settled()
	for _, who := range []string{"jiangbei", "pukou"} {
		for _, path := range []string{"/v1/views/housing/contracts", "/v1/views/money/ledgers"} {
			if items := w.get(who, path).want(http.StatusOK).list("items"); len(items) != 1 {
				t.Errorf("%s reads %d of %s", who, len(items), path)
			}
		}
		w.get(who, "/v1/contracts/"+id).want(http.StatusOK)
		w.get(who, "/v1/views/money/ledgers/"+id).want(http.StatusOK).is("report_unit", "320191")
	}
}
