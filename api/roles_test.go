package api_test

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"zujian/api/desk"
	"zujian/domain"
)

// roleLetters of the table: one letter a role, * = everybody, with or without a key.
var roleLetters = map[domain.Role]string{
	domain.RoleLandlord: "l", domain.RoleTenant: "t", domain.RoleCompany: "c", domain.RoleBroker: "b", domain.RoleBank: "k",
	domain.RolePartner: "p", domain.RoleDistrict: "D", domain.RoleCity: "C", domain.RoleAuditor: "A",
}

// mayCall is who may call what (trust.md §5.2, domain.md §3.13), written apart from openapi.yaml on purpose. A route
// without a row fails.
var mayCall = map[string]string{
	"registerParty": "ltcbpDC", "readParty": "ltcbkpDCA", "verifyParty": "pDC", "reportOpening": "cb", "decideOpening": "DC",
	"grantMandate": "ltcDC", "revokeMandate": "ltcDC", "rosterPractitioner": "bDC", "unrosterPractitioner": "bDC",
	"banPractitioner": "DC", "suspendParty": "DC", "reinstateParty": "DC", "eraseParty": "C",
	"mergeParty": "C", "bindRepresentative": "cbkDC", "correctParty": "ltcbkDC", "discloseParty": "DC", "listAccesses": "ltcbkA",
	"listMandates": "ltcbDCA", "readOpening": "ltcbkpDCA", "readRoster": "bDCA",

	"registerBuilding": "DC", "readBuilding": "lcbpDCA",
	"readUnit": "ltcbpDCA", "proposeRooms": "lcDC", "confirmRooms": "DC", "recordOwnership": "pDC", "setRight": "pDC",
	"clearRight": "pDC", "recordSafety": "pDC", "approveConversion": "DC", "retireUnit": "DC", "splitUnit": "DC", "mergeUnits": "DC",

	"draftListing": "lcb", "readListing": "lcbDCA", "editListing": "lcb", "submitListing": "lcb", "reviewListing": "DC",
	"publishListing": "lcb", "suspendListing": "lcbDC", "resumeListing": "lcbDC", "renewCode": "lcb", "revokeListing": "DC",
	"objectListing": "lcb", "decideObjection": "DC", "withdrawListing": "lcbDC", "readVerifyKey": "*", "verifyCode": "*", "verifyFiling": "*",

	"draftContract": "ltcbDC", "readContract": "ltcbkDCA", "signContract": "ltcb", "recordPaper": "tDC", "declineContract": "ltcb",
	"abandonContract": "lcb", "fileContract": "ltcbDC", "decideFiling": "DC", "proposeFilingCancellation": "DC",
	"decideFilingCancellation": "DC", "proposeAmendment": "ltcb", "signAmendment": "ltcb", "addOccupant": "ltcbDC",
	"removeOccupant": "ltcbDC", "giveNotice": "ltc", "terminateContract": "ltcbDC", "renewContract": "lcb",
	"readContractHistory": "ltcbDCA", "readCertificate": "ltcbDCA", "replaceLessors": "pDC",
	"recordHandover": "ltcb", "confirmHandover": "ltcb", "fileInOneCall": "cbDC",

	"listAccounts": "ckDCA", "readAccount": "ckDCA", "applyAccount": "c", "openAccount": "k", "decideAccount": "kDC",
	"suspendAccount": "DC", "resumeAccount": "DC", "closeAccount": "cDC", "setReserve": "DC", "depositReserve": "k", "orderDraw": "DC",
	"confirmDraw": "k", "cancelDraw": "DC", "declareLoans": "c",

	"readEscrow": "ltckDCA", "recordReceipt": "k", "orderRelease": "DC", "confirmRelease": "k", "requestRefund": "ltcDC",
	"approveRefund": "lcDC", "confirmRefund": "k", "proposeDeduction": "lc", "answerDeduction": "t", "claimDeposit": "t",
	"mediateDeposit": "DC", "settleDeposit": "DC", "freezeEscrow": "DC", "unfreezeEscrow": "DC",
	"importStatement": "k", "readStatement": "kDCA", "listStatements": "kCA", "resolveDiscrepancy": "kDC",

	"readGuidance": "*", "readGuidancePeriod": "*", "estimateGuidance": "*", "listGuidanceObjections": "*", "objectToGuidance": "*",
	"draftGuidance": "C", "proposeGuidance": "C", "adjustGuidance": "C", "reviewGuidance": "C", "approveGuidance": "C", "withdrawGuidance": "C",
	"approveGuidanceWithdrawal": "C", "answerGuidanceObjection": "C", "testGuidance": "DCA", "readRentIndex": "*",
	"readRentLevels": "*", "readRentComparison": "*", "readIndexRevisions": "*", "listIndexReleases": "*", "readIndexRelease": "*", "computeIndexRelease": "C",
	"reviewIndexRelease": "C", "approveIndexRelease": "C", "withdrawIndexRelease": "C",

	"listAlerts": "DCA", "listIndicators": "DCA", "readAlertQuality": "DCA", "readHealth": "DCA", "readAlert": "DCA", "listAlertChanges": "DCA",
	"viewExposure": "DCA", "judgeAlert": "DC", "reportMiss": "DC",

	"listPlans": "*", "readPlan": "*", "loadPlan": "C", "setPlanTarget": "DC", "reportPlan": "DC",

	"viewSubject": "ltcbDCA", "viewSubjects": "ltcbDCA", "viewContracts": "ltcbDCA", "viewUnit": "ltcbpDCA", "viewUnits": "ltcbDCA",
	"viewListings": "lcbDCA", "viewListingBoard": "DCA", "viewUnfiled": "DCA",
	"viewMatrix": "DCA", "viewFilingRate": "DCA", "viewStock": "DCA", "viewLedger": "ltckDCA", "viewPostings": "ltckDCA",
	"viewLedgers": "ltckDCA", "viewReleasesDue": "lckDCA", "viewBoards": "ltckDCA",

	"streamEvents": "ltcbkDCA", "registerWebhook": "ltcbkDCA", "listWebhooks": "ltcbkDCA", "readWebhook": "ltcbkDCA", "removeWebhook": "ltcbkDCA",
	"rotateWebhookSecret": "ltcbkDCA", "enableWebhook": "ltcbkDCA", "disableWebhook": "ltcbkDCA", "replayWebhook": "ltcbkDCA",
	"listDeliveries": "ltcbkDCA", "redeliver": "ltcbkDCA",
	"readCheckpoint": "*", "readInclusion": "*", "readConsistency": "*", "readOpenings": "ltcbDCA",

	"listRules": "*", "proposeRuleChange": "C", "decideRuleChange": "C", "listEvents": "A",
	"runSimulation": "C", "listSimulations": "C", "readSimulation": "C", "endSimulation": "C",
	"issueKey": "C", "revokeKey": "C",
}

type operationRow struct{ id, method, path string }

func operations(t *testing.T) []operationRow {
	t.Helper()
	doc := specification(t)
	var ops []operationRow
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			ops = append(ops, operationRow{op.OperationID, method, path})
		}
	}
	slices.SortFunc(ops, func(a, b operationRow) int { return strings.Compare(a.id, b.id) })
	return ops
}

var pathParam = regexp.MustCompile(`\{(\w+)\}`)

// concrete fills a path with ids of things that are not there.
func concrete(path string) string {
	return pathParam.ReplaceAllStringFunc(path, func(p string) string {
		switch p {
		case "{flag}":
			return "SEIZED"
		case "{release}":
			return "2026-10"
		case "{period}":
			return "2026Q2"
		case "{tranche}":
			return "1"
		}
		return "absent"
	})
}

// TestRolesByRoute asks every route as every role and as nobody: who may not is refused before anything is looked at.
func TestRolesByRoute(t *testing.T) {
	w := newTown(t)
	w.people()
	for role := range roleLetters {
		k := desk.NewKey{Role: role, Party: w.ids["landlord2"]}
		switch role {
		case domain.RoleDistrict:
			k.Party, k.Area = "", "320115"
		case domain.RoleCity, domain.RoleAuditor, domain.RolePartner:
			k.Party = ""
		case domain.RoleBank:
			k.Party = w.ids["bank"]
		}
		w.keys["as "+string(role)] = w.issue(k)
	}
	before := w.events()
	seen := map[string]bool{}
	for _, op := range operations(t) {
		row, ok := mayCall[op.id]
		if !ok {
			t.Errorf("%s %s (%s) has no row in the table", op.method, op.path, op.id)
			continue
		}
		seen[op.id] = true
		body := ""
		if op.method == http.MethodPost || op.method == http.MethodPatch {
			body = "{}"
		}
		ask := func(who string) reply {
			return w.do(who, op.method, concrete(op.path), body, "Idempotency-Key: "+op.id+who, "Last-Event-ID: not one") // Else a live stream goes on.
		}
		if row != "*" {
			ask("").problem(http.StatusUnauthorized, "auth.required")
		}
		for role, letter := range roleLetters {
			r := ask("as " + string(role))
			if row == "*" || strings.Contains(row, letter) {
				if r.status == http.StatusForbidden || r.status == http.StatusUnauthorized || r.status >= 500 {
					t.Errorf("%s as %s: got %d %s", op.id, role, r.status, r.body)
				}
				continue
			}
			r.problem(http.StatusForbidden, "auth.forbidden")
		}
	}
	for id := range mayCall {
		if !seen[id] {
			t.Errorf("the table has %s, and the router does not", id)
		}
	}
	if n := w.events(); n != before {
		t.Errorf("%d events were appended by requests that all had to fail", n-before)
	}
}

// TestRowsOutOfSight asks for what belongs to others: the answer is the one for what isn't there, byte for byte but for
// its request id.
func TestRowsOutOfSight(t *testing.T) {
	w := newTown(t)
	w.people()
	unit := w.home()
	id := w.sign(unit)
	w.do("tenant", "POST", "/v1/contracts/"+id+"/filing", "").want(http.StatusOK)
	position := w.do("bank", "POST", "/v1/escrow/"+id+"/receipts", `{"bank_txn_id":"T1","amount_fen":1,"value_date":"2026-11-23"}`, "Idempotency-Key: 1").
		want(http.StatusCreated).header.Get("Zujian-Position")
	for _, c := range []struct{ who, path string }{
		{"landlord2", "/v1/contracts/" + id},
		{"other-district", "/v1/contracts/" + id},
		{"company", "/v1/contracts/" + id},
		{"landlord2", "/v1/contracts/" + id + "/history"},
		{"landlord2", "/v1/contracts/" + id + "/certificate"},
		{"landlord2", "/v1/escrow/" + id},
		{"landlord2", "/v1/views/money/ledgers/" + id},
		{"landlord2", "/v1/views/money/ledgers/" + id + "/postings"},
		{"other-district", "/v1/views/money/ledgers/" + id},
		{"landlord2", "/v1/views/housing/units/" + unit},
		{"landlord2", "/v1/parties/" + w.ids["landlord"]},
		{"tenant", "/v1/parties/" + w.ids["landlord"]},
		{"landlord2", "/v1/views/people/subjects/" + w.ids["tenant"]},
	} {
		there := w.do(c.who, "GET", c.path, "", "Zujian-At-Least: "+position).problem(http.StatusNotFound, "resource.not_found")
		last := c.path[:strings.LastIndex(c.path, "/")]
		absent := strings.Replace(c.path, id, "absent", 1)
		if absent == c.path {
			absent = last + "/absent"
		}
		missing := w.do(c.who, "GET", absent, "", "Zujian-At-Least: "+position).problem(http.StatusNotFound, "resource.not_found")
		if a, b := strip(there), strip(missing); a != b {
			t.Errorf("%s as %s: %s\nbut for a missing one: %s", c.path, c.who, a, b)
		}
	}
	rows := w.do("landlord2", "GET", "/v1/views/housing/contracts", "", "Zujian-At-Least: "+position).want(http.StatusOK)
	if items, _ := rows.at("items").([]any); len(items) != 0 {
		t.Errorf("another's list: %s", rows.body)
	}
	// Others' writes on it are refused the same way.
	for _, who := range []string{"landlord2", "company"} {
		w.do(who, "POST", "/v1/contracts/"+id+"/filing", "").problem(http.StatusNotFound, "resource.not_found")
	}
}

func strip(r reply) string {
	return regexp.MustCompile(`"instance":"[^"]*"`).ReplaceAllString(string(r.body), "")
}

// TestWhatEndedShowsNothing: a representative after its mandate, and an owner after the sale, read of others no more,
// whatever day they ask about.
func TestWhatEndedShowsNothing(t *testing.T) {
	w := newTown(t)
	w.people()
	home := w.home()
	w.do("landlord", "POST", "/v1/parties/"+w.ids["landlord"]+"/mandates",
		fmt.Sprintf(`{"to":%q,"scope":["LIST"],"units":[],"until":"2026-12-01"}`, w.ids["company"])).want(http.StatusCreated)
	file, unit := "/v1/views/people/subjects/"+w.ids["landlord"], "/v1/views/housing/units/"+home
	see := func(who, path string, status int) {
		t.Helper()
		for _, on := range []string{"", "?on=2026-11-23", "?on=2030-01-01"} {
			w.do(who, "GET", path+on, "", fmt.Sprintf("Zujian-At-Least: %d", w.events())).want(status)
		}
	}
	see("company", file, http.StatusOK)
	see("landlord", unit, http.StatusOK)
	see("landlord2", unit, http.StatusNotFound)

	w.pass(10 * 24 * time.Hour) // 2026-12-03
	w.do("district", "POST", "/v1/units/"+home+"/ownership",
		fmt.Sprintf(`{"owners":[{"party_id":%q,"share_bp":10000}],"title_no":"苏2026示例第0000002号","from":"2026-12-05"}`, w.ids["landlord2"])).want(http.StatusOK)
	see("company", file, http.StatusNotFound)
	see("landlord", unit, http.StatusOK)
	see("landlord2", unit, http.StatusOK)
	w.pass(2 * 24 * time.Hour)
	see("landlord", unit, http.StatusNotFound)
	see("landlord2", unit, http.StatusOK)
}

// TestWhatWasRevokedShowsNothing: who may read what was is decided now, too: a representative reads nothing after its
// mandate was revoked, and who sold a home nothing of it, as of no instant.
func TestWhatWasRevokedShowsNothing(t *testing.T) {
	w := newTown(t)
	w.people()
	home := w.home()
	mandates := "/v1/parties/" + w.ids["landlord"] + "/mandates"
	id := w.do("landlord", "POST", mandates, fmt.Sprintf(`{"to":%q,"scope":["LIST"],"units":[],"until":"2026-12-01"}`, w.ids["company"])).
		want(http.StatusCreated).text("id")
	w.pass(time.Hour)
	asOf := "?asOf=" + url.QueryEscape(w.clock().Format(time.RFC3339Nano))
	w.pass(time.Hour)
	file, party, unit, flat := "/v1/views/people/subjects/"+w.ids["landlord"], "/v1/parties/"+w.ids["landlord"], "/v1/views/housing/units/"+home, "/v1/units/"+home
	see := func(who, path string, status int) reply {
		t.Helper()
		w.do(who, "GET", path, "", fmt.Sprintf("Zujian-At-Least: %d", w.events())).want(status)
		return w.do(who, "GET", path+asOf, "").want(status)
	}
	see("company", file, http.StatusOK)
	see("company", party, http.StatusOK)
	see("landlord", unit, http.StatusOK)
	if owners, _ := see("landlord", flat, http.StatusOK).at("owners").([]any); len(owners) != 1 {
		t.Errorf("its owner sees owners %v", owners)
	}

	w.do("landlord", "DELETE", mandates+"/"+id, "").want(http.StatusOK)
	w.do("district", "POST", flat+"/ownership", fmt.Sprintf(
		`{"owners":[{"party_id":%q,"share_bp":10000}],"title_no":"苏2026示例第0000002号","from":"2026-11-23"}`, w.ids["landlord2"])).want(http.StatusOK)
	see("company", file, http.StatusNotFound)
	see("company", party, http.StatusNotFound)
	see("landlord", unit, http.StatusNotFound)
	if body := see("landlord", flat, http.StatusOK).body; strings.Contains(string(body), w.ids["landlord"]) {
		t.Errorf("who sold it sees %s", body)
	}
}
