package main

import (
	"fmt"
	"net/http"
	"strings"

	"zujian/domain"
)

// cnID makes a valid 18-digit identity number (GB 11643) of somebody born on a day.
func cnID(district, born string, n int) string {
	head := fmt.Sprintf("%s%s%03d", district, born, n)
	for _, last := range "0123456789X" {
		if no := head + string(last); domain.CheckDocNo(domain.DocCNID, no, civil(worldDay)) == nil {
			return no
		}
	}
	panic("no check digit for " + head)
}

// uscc makes a valid unified social credit code (GB 32100-2015), its organisation code (GB 11714) included.
func uscc(n int) string {
	head := fmt.Sprintf("91320115MA%06d", n)
	for _, inner := range "0123456789X" {
		for _, last := range "0123456789ABCDEFGHJKLMNPQRTUWXY" {
			if no := head + string(inner) + string(last); domain.CheckUSCC(no) {
				return no
			}
		}
	}
	panic("no check characters for " + head)
}

// key issues a key through the interface, by the first regulator's.
func (w *world) key(who, body string) {
	w.t.Helper()
	w.keys[who] = w.post("city", "/v1/keys", body).want(http.StatusCreated).text("key")
}

// person registers and verifies somebody and gives a key of a role.
func (w *world) person(who, role, name, docNo string) string {
	w.t.Helper()
	id := w.post("district", "/v1/parties", map[string]string{
		"kind": "PERSON", "name": name, "doc_type": "CN_ID", "doc_no": docNo, "phone": "13800000000",
	}).want(http.StatusCreated).text("id")
	w.post("district", "/v1/parties/"+id+"/verification", `{"level":2,"method":"ID_NAME_MATCH"}`).want(http.StatusOK)
	w.ids[who] = id
	w.key(who, fmt.Sprintf(`{"role":%q,"party_id":%q}`, role, id))
	return id
}

// organisation registers and verifies an organisation and gives it a key of a role.
func (w *world) organisation(who, role, orgKind, name, code string) string {
	w.t.Helper()
	id := w.post("district", "/v1/parties", map[string]string{
		"kind": "ORG", "org_kind": orgKind, "name": name, "doc_type": "USCC", "doc_no": code, "scope_text": "住房租赁、房地产经纪",
	}).want(http.StatusCreated).text("id")
	w.post("district", "/v1/parties/"+id+"/verification", `{"level":3,"method":"USCC_LEGAL_REP"}`).want(http.StatusOK)
	w.ids[who] = id
	w.key(who, fmt.Sprintf(`{"role":%q,"party_id":%q}`, role, id))
	return id
}

// officers issues the keys that speak for nobody.
func (w *world) officers() {
	w.t.Helper()
	w.key("district", `{"role":"district","area":"320115"}`)
	w.key("xuanwu", `{"role":"district","area":"320102"}`) // The other district.
	w.key("auditor", `{"role":"auditor"}`)
	w.key("partner", `{"role":"partner"}`)
}

// cast is everyone the scenarios need: a landlord, two tenants, a sublease operator in order, a broker, a bank.
func (w *world) cast() {
	w.t.Helper()
	w.officers()
	w.person("landlord", "landlord", "示例甲", "320102188801010015")
	w.person("tenant", "tenant", "示例乙", "320104188512310022")
	w.person("tenant2", "tenant", "示例丙", cnID("320106", "19900101", 3))
	w.organisation("bank", "bank", "SUPERVISING_BANK", "示例银行", uscc(1))
	w.organisation("company", "company", "SUBLEASE_OPERATOR", "示例住房租赁有限公司", uscc(2))
	w.organisation("broker", "broker", "BROKERAGE", "示例经纪有限公司", uscc(3))
	for _, who := range []string{"company", "broker"} {
		w.opening(who)
	}
}

// opening reports an enterprise's opening and has the district publish it.
func (w *world) opening(who string) {
	w.t.Helper()
	w.post(who, "/v1/parties/"+w.ids[who]+"/opening-report", fmt.Sprintf(`{"admin_code":"320115","place":"示例路1号",
		"operation":"SCATTERED","homes":120,"staff":15,"own_funds_fen":100000000,"account":{"bank_party_id":%q,"last4":"0018"},"local_entity":true}`,
		w.ids["bank"])).want(http.StatusOK)
	w.post("district", "/v1/parties/"+w.ids[who]+"/opening-decision", `{"accept":true}`).want(http.StatusOK)
}

// flat is a home of the register.
type flat struct {
	id    string
	rooms []string
}

// building registers a building in 示例街道 with so many flats, each of three bedrooms and a kitchen.
func (w *world) building(no string, flats int) []flat {
	w.t.Helper()
	return w.buildingIn("district", "320115004", no, flats)
}

func (w *world) buildingIn(who, street, no string, flats int) (out []flat) {
	w.t.Helper()
	var units []string
	for i := range flats {
		units = append(units, fmt.Sprintf(`{"unit_no":"%d","floor":12,"gross_area_c":8912,"inner_area_c":7400,"bedrooms":3,"living_rooms":1,
			"bathrooms":1,"kitchens":1,"planned_use":"RESIDENTIAL","fitout":"SIMPLE","rooms":[
			{"room_no":"A","kind":"BEDROOM","usable_area_c":1800},{"room_no":"B","kind":"BEDROOM","usable_area_c":1500},
			{"room_no":"C","kind":"BEDROOM","usable_area_c":1200},{"room_no":"K","kind":"KITCHEN","usable_area_c":600},
			{"room_no":"G","kind":"GARAGE","usable_area_c":1000}]}`, 1201+i))
	}
	b := w.post(who, "/v1/buildings", fmt.Sprintf(`{"estate":"示例花园","building_no":%q,"street":%q,"address":"示例路8号",
		"built_year":2015,"floors":18,"metro_m":600,"units":[%s]}`, no, street, strings.Join(units, ","))).want(http.StatusCreated)
	for i := range flats {
		f := flat{id: b.text(fmt.Sprintf("units.%d.id", i))}
		for j := range 5 {
			f.rooms = append(f.rooms, b.text(fmt.Sprintf("units.%d.rooms.%d.id", i, j)))
		}
		out = append(out, f)
	}
	return out
}

// owned records who owns a flat.
func (w *world) owned(f flat, owner string) {
	w.t.Helper()
	w.post("city", "/v1/units/"+f.id+"/ownership", fmt.Sprintf(
		`{"owners":[{"party_id":%q,"share_bp":10000}],"title_no":"苏2020示例第0000001号","from":"2020-05-01"}`, w.ids[owner])).want(http.StatusOK)
}

// home is a flat of the landlord's in a building of its own.
func (w *world) home(no string) flat {
	w.t.Helper()
	f := w.building(no, 1)[0]
	w.owned(f, "landlord")
	return f
}

// lease is the body of a contract between two, as the specification's example has it; change overwrites fields, and
// takes those out that are nil.
func (w *world) lease(f flat, lessor, lessee string, change map[string]any) map[string]any {
	body := map[string]any{
		"kind": "OUT", "unit_id": f.id, "rooms": []string{}, "lessors": []any{map[string]any{"party_id": w.ids[lessor]}},
		"lessees": []any{map[string]any{"party_id": w.ids[lessee]}}, "occupants": []any{}, "use": "RESIDENTIAL",
		"start": "2026-12-01", "end": "2027-11-30", "signed_on": worldDay, "monthly_rent_fen": 350000, "pay_cycle_months": 3,
		"deposit_fen": 350000, "deposit_return_days": 7, "deduction_grounds": []string{"ARREARS", "DAMAGE"},
		"escrow": map[string]any{"mode": "VOLUNTARY"},
	}
	for k, v := range change {
		body[k] = v
		if v == nil {
			delete(body, k)
		}
	}
	return body
}

// signed drafts a contract and has both sides sign it.
func (w *world) signed(f flat, lessor, lessee string, change map[string]any) string {
	w.t.Helper()
	c := w.post(lessor, "/v1/contracts", w.lease(f, lessor, lessee, change)).want(http.StatusCreated)
	id := c.text("id")
	for _, who := range []string{lessor, lessee} {
		w.sign(who, id, c.text("content_hash")).want(http.StatusOK)
	}
	return id
}

func (w *world) sign(who, contract, hash string) answer {
	w.t.Helper()
	return w.post(who, "/v1/contracts/"+contract+"/signatures", map[string]string{"party_id": w.ids[who], "content_hash": hash})
}

// filed signs a contract and files it.
func (w *world) filed(f flat, lessor, lessee string, change map[string]any) string {
	w.t.Helper()
	id := w.signed(f, lessor, lessee, change)
	w.post(lessor, "/v1/contracts/"+id+"/filing", nil).want(http.StatusOK).is("stage", "FILED")
	return id
}

// head is a filed head lease of the landlord to the operator, with the consent to sublet.
func (w *world) headLease(f flat, rentFen int, start, end string) string {
	w.t.Helper()
	return w.filed(f, "landlord", "company", map[string]any{
		"kind": "HEAD", "sublease_consent": true, "start": start, "end": end, "monthly_rent_fen": rentFen, "pay_cycle_months": 1,
		"deposit_fen": 0, "escrow": nil, "signed_on": w.today(),
	})
}

// cancelled has two officers cancel the filing of a contract.
func (w *world) cancelled(contract string) {
	w.t.Helper()
	path := "/v1/contracts/" + contract + "/filing-cancellation"
	w.post("district", path, `{"reason":"虚假材料","decision_no":"注1"}`).want(http.StatusOK)
	w.post("city", path+"/decision", `{"accept":true,"decision_no":"注1"}`).want(http.StatusOK).is("stage", "CANCELLED")
}

func (w *world) today() string { return domain.DayOf(w.clock()).String() }

// changeRule puts a new version of a rule in force from today: proposed by one regulator, approved by another.
func (w *world) changeRule(id string, params map[string]any) {
	w.t.Helper()
	for _, r := range w.get("", "/v1/rules").want(http.StatusOK).list("rules") {
		rule := r.(map[string]any)
		if rule["id"] != id {
			continue
		}
		version := 0
		_, _ = fmt.Sscan(fmt.Sprint(rule["version"]), &version)
		rule["version"], rule["effective_from"] = version+1, w.today()
		for name, v := range params {
			rule["params"].(map[string]any)[name].(map[string]any)["value"] = v
		}
		change := w.post("city", "/v1/rules/changes", map[string]any{"rule": rule, "reason": "市级规定调整"}).want(http.StatusCreated).text("id")
		path := "/v1/rules/changes/" + change + "/decision"
		w.post("city", path, `{"accept":true}`).problem(http.StatusUnprocessableEntity, "ruleset.four_eyes")
		w.post("city2", path, `{"accept":true}`).want(http.StatusOK)
		return
	}
	w.t.Fatalf("no rule %s in force", id)
}
