package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
)

// TestBadInputIsRefusedByField breaks every field of every body of openapi.yaml in every way its schema forbids, and in
// some that it allows. What the schema forbids is a 400 that points at the field and writes nothing; what only the
// register can know to be wrong is a 4xx with a listed code whose pointers exist; nothing is ever a 5xx.
func TestBadInputIsRefusedByField(t *testing.T) {
	w := newWorld(t, worldDay)
	ids := w.furnished()
	listed := problemCodes(t)
	asked := map[string]int{}
	for _, r := range bodyRoutes(t) {
		media := r.op.RequestBody.Value.Content["application/json"]
		schema := media.Schema.Value
		who := w.mayAsk(r)
		for _, example := range examples(media) {
			example = w.real(example, ids)
			for _, m := range mutations(schema, example, "") {
				asked[r.id]++
				w.mutated(r, who, r.fill(ids[r.id]), schema, m, listed)
			}
		}
	}
	total := 0
	for id, n := range asked {
		if total += n; n < 5 {
			t.Errorf("%s: only %d mutations", id, n)
		}
	}
	t.Logf("%d broken requests to %d operations", total, len(asked))
}

// mutated sends one broken body.
func (w *world) mutated(r route, who, path string, schema *openapi3.Schema, m mutation, listed map[string]bool) {
	w.t.Helper()
	var asAny any
	_ = json.Unmarshal([]byte(m.body), &asAny) // What is no JSON is forbidden.
	forbidden := m.forbidden || schema.VisitJSON(asAny) != nil
	before := w.head()
	a := w.do(who, r.method, path, m.body, "Idempotency-Key", "bad-"+strconv.FormatInt(w.serial.Add(1), 10))
	code, _ := a.at("code").(string)
	what := fmt.Sprintf("%s %s: %s", r.id, m.name, m.pointer)
	switch {
	case a.status >= http.StatusInternalServerError:
		w.t.Errorf("%s: %d %s", what, a.status, a.body)
	case a.status >= http.StatusBadRequest && (!listed[code] || a.header.Get("Content-Type") != "application/problem+json"):
		w.t.Errorf("%s: %d with the code %q: %s", what, a.status, code, a.body)
	case forbidden && (a.status != http.StatusBadRequest || code != "request.invalid"):
		w.t.Errorf("%s: want 400 request.invalid, got %d %s\nsent %s", what, a.status, a.body, cutText(m.body))
	case forbidden && !pointsAt(a, m.pointer) && !(m.name == "missing" && pointsAt(a, m.pointer[:strings.LastIndex(m.pointer, "/")])):
		w.t.Errorf("%s: the refusal points elsewhere: %s", what, a.body)
	case forbidden && w.head() != before:
		w.t.Errorf("%s: a refused body wrote", what)
	case m.mustFail && a.status < http.StatusBadRequest:
		w.t.Errorf("%s: was accepted\nsent %s", what, cutText(m.body))
	}
	for i := range a.list("errors") {
		if pointer := fmt.Sprint(a.at(fmt.Sprintf("errors.%d.pointer", i))); !forbidden && !inSchema(schema, pointer) {
			w.t.Errorf("%s: points at %s, which the body does not have: %s", what, pointer, a.body)
		}
	}
}

func cutText(s string) string { return s[:min(len(s), 400)] }

func pointsAt(a answer, pointer string) bool {
	for i := range a.list("errors") {
		at, _ := a.at(fmt.Sprintf("errors.%d.pointer", i)).(string)
		if at == pointer || strings.HasPrefix(at, pointer+"/") {
			return true
		}
	}
	return false
}

// inSchema says whether a pointer names something a body may have. The root is always there.
func inSchema(s *openapi3.Schema, pointer string) bool {
	if pointer == "" {
		return true
	}
	for _, step := range strings.Split(pointer[1:], "/") {
		_, err := strconv.Atoi(step)
		switch {
		case s.Items != nil && err == nil:
			s = s.Items.Value
		case s.Properties[step] != nil:
			s = s.Properties[step].Value
		default:
			return len(s.Properties) == 0 && s.Items == nil && s.Type.Is("object") // Anything goes.
		}
	}
	return true
}

// mutation is one broken body.
type mutation struct {
	name, pointer, body string
	forbidden           bool // Whatever the independent reader says.
	mustFail            bool // The schema may allow it; the register may not.
}

// references are fields that name something of the register; other ids are the client's own words.
var references = []string{
	"party_id", "unit_id", "parent_id", "brokerage_id", "practitioner_id", "payee_id", "bank_id", "owner_id", "to", "contract_id", "bank_party_id", "with", "rooms", "room",
}

const nobody = "00000000-0000-4000-8000-000000000000"

// mutations of the value at a pointer of a valid document.
func mutations(s *openapi3.Schema, doc any, pointer string) (out []mutation) {
	put := func(name, at string, v any, change ...func(*mutation)) {
		m := mutation{name: name, pointer: at, body: edited(doc, at, v)}
		for _, f := range change {
			f(&m)
		}
		out = append(out, m)
	}
	mustFail := func(m *mutation) { m.mustFail = true }
	if pointer == "" {
		put("an unknown field", "/no_such_field", 1)
		put("no object", "", []any{})
		put("null", "", nil)
	}
	at, _ := valueAt(doc, pointer)
	if s.Type.Is("array") {
		if list, ok := at.([]any); ok && len(list) > 0 && s.Items != nil {
			for i := range list[:1] {
				out = append(out, fieldMutations(s.Items.Value, doc, pointer+"/"+strconv.Itoa(i), pointer[strings.LastIndex(pointer, "/")+1:])...)
			}
		}
		return out
	}
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		p := pointer + "/" + name
		if _, there := valueAt(doc, p); there {
			put("missing", p, gone{})
		}
		out = append(out, fieldMutations(s.Properties[name].Value, doc, p, name)...)
		if slices.Contains(references, name) && s.Properties[name].Value.Type.Is("string") {
			put("an unknown id", p, nobody, mustFail)
		}
	}
	return out
}

// fieldMutations break one field by its own schema, and go into what it holds.
func fieldMutations(s *openapi3.Schema, doc any, p, name string) (out []mutation) {
	put := func(what string, v any, forbidden bool) {
		out = append(out, mutation{name: what, pointer: p, body: edited(doc, p, v), forbidden: forbidden})
	}
	put("null", nil, true)
	put("an object", map[string]any{"x": 1}, !s.Type.Is("object"))
	switch {
	case s.Type.Is("string"):
		put("a number", 7, true)
		put("empty", "", false)
		put("too long", strings.Repeat("长", 3000), true)
		put("a line feed", "a\nb", false)
		put("a control character", "a\u0007b", true)
		put("text from right to left", "a\u202eb", true)
		put("not one of them", "NO_SUCH_VALUE", false)
		if s.Format == "date" {
			put("no day", "2026-02-30", true)
			put("an instant", "2026-12-01T00:00:00Z", true)
			put("long ago", "1900-01-01", false)
			put("far away", "2199-12-31", false)
		}
	case s.Type.Is("integer"):
		put("a text", "7", true)
		put("a fraction", json.RawMessage("1.5"), true)
		put("an exponent", json.RawMessage("1e2"), true)
		put("beyond int64", json.RawMessage("99999999999999999999"), true)
		put("below zero", -1, false)
		put("zero", 0, false)
		if s.Min != nil {
			put("below the least", int64(*s.Min)-1, true)
		}
		if s.Max != nil {
			put("above the most", int64(*s.Max)+1, true)
			put("the most", int64(*s.Max), false)
		}
	case s.Type.Is("boolean"):
		put("a text", "true", true)
		put("a number", 1, true)
	case s.Type.Is("array"):
		put("a text", "x", true)
		put("empty", []any{}, false)
		put("full of null", []any{nil}, true)
		if list, ok := valueAt(doc, p); ok {
			if items, _ := list.([]any); len(items) > 0 && s.UniqueItems {
				put("one twice", append(slices.Clone(items), items[0]), true)
			}
		}
		if s.MaxItems != nil && s.Items.Value.Type.Is("string") && *s.MaxItems < 200 {
			many := []any{}
			for i := range *s.MaxItems + 1 {
				many = append(many, "A"+strconv.FormatUint(i, 10))
			}
			put("too many", many, true)
		}
		out = append(out, mutations(s, doc, p)...)
	case s.Type.Is("object") && len(s.Properties) > 0:
		put("a text", "x", true)
		if v, there := valueAt(doc, p); there {
			if _, ok := v.(map[string]any); ok {
				out = append(out, mutation{name: "an unknown field", pointer: p + "/no_such_field", body: edited(doc, p+"/no_such_field", 1), forbidden: true})
				out = append(out, mutations(s, doc, p)...)
			}
		}
	}
	return out
}

// gone takes a field out.
type gone struct{}

// edited is the document as JSON with one value put in or taken out.
func edited(doc any, pointer string, v any) string {
	var change func(node any, steps []string) any
	change = func(node any, steps []string) any {
		if len(steps) == 0 {
			return v
		}
		switch n := node.(type) {
		case map[string]any:
			n = maps.Clone(n)
			if _, out := v.(gone); out && len(steps) == 1 {
				delete(n, steps[0])
				return n
			}
			n[steps[0]] = change(n[steps[0]], steps[1:])
			return n
		case []any:
			n = slices.Clone(n)
			i, _ := strconv.Atoi(steps[0])
			n[i] = change(n[i], steps[1:])
			return n
		}
		return map[string]any{steps[0]: change(nil, steps[1:])}
	}
	var steps []string
	if pointer != "" {
		steps = strings.Split(pointer[1:], "/")
	}
	raw, err := json.Marshal(change(doc, steps))
	if err != nil {
		panic(err)
	}
	return string(raw)
}

func valueAt(doc any, pointer string) (any, bool) {
	if pointer == "" {
		return doc, true
	}
	for _, step := range strings.Split(pointer[1:], "/") {
		switch n := doc.(type) {
		case map[string]any:
			v, ok := n[step]
			if !ok {
				return nil, false
			}
			doc = v
		case []any:
			i, err := strconv.Atoi(step)
			if err != nil || i >= len(n) {
				return nil, false
			}
			doc = n[i]
		default:
			return nil, false
		}
	}
	return doc, true
}

// last are operations that take away what others need.
var last = []string{
	"suspendParty", "reinstateParty", "banPractitioner", "eraseParty", "retireUnit", "splitUnit", "mergeUnits", "setRight", "recordSafety",
	"terminateContract", "proposeFilingCancellation", "decideFilingCancellation", "proposeRuleChange", "decideRuleChange",
}

func bodyRoutes(t testing.TB) []route {
	all := slices.DeleteFunc(routes(t), func(r route) bool {
		return r.op.RequestBody == nil || r.op.RequestBody.Value.Content["application/json"] == nil
	})
	slices.SortStableFunc(all, func(a, b route) int { return slices.Index(last, a.id) - slices.Index(last, b.id) })
	return all
}

func examples(m *openapi3.MediaType) (out []any) {
	if m.Example != nil {
		out = append(out, m.Example)
	}
	for _, name := range slices.Sorted(maps.Keys(m.Examples)) {
		out = append(out, m.Examples[name].Value.Value)
	}
	return out
}

// mayAsk picks somebody whose role may.
func (w *world) mayAsk(r route) string {
	who := map[string]string{
		"registerParty": "district", "reportOpening": "company", "rosterPractitioner": "broker", "unrosterPractitioner": "broker",
		"fileInOneCall": "company", "recordPaper": "tenant", "giveNotice": "tenant", "terminateContract": "tenant", "declineContract": "tenant",
		"proposeRooms": "landlord", "objectToGuidance": "tenant",
	}[r.id]
	if who != "" {
		return who
	}
	raw, _ := json.Marshal(r.op.Extensions["x-roles"])
	var roles []string
	_ = json.Unmarshal(raw, &roles)
	for _, role := range []string{"landlord", "tenant", "company", "bank", "district", "city"} {
		if slices.Contains(roles, role) {
			return role
		}
	}
	w.t.Fatalf("%s: for whom is it?", r.id)
	return ""
}

// furnished is a world with one of everything. It answers the path ids of each operation; "" holds the names examples use.
func (w *world) furnished() map[string]map[string]string {
	w.t.Helper()
	w.cast()
	agent := w.person("agent", "tenant", "示例丁", cnID("320102", "19880808", 5))
	flats := w.building("3", 6)
	for _, f := range flats[:5] {
		w.owned(f, "landlord")
	}
	w.owned(flats[5], "company")
	filed := w.filed(flats[0], "landlord", "tenant", nil)
	w.money("bank", "/v1/escrow/"+filed+"/receipts", `{"bank_txn_id":"F1","amount_fen":1400000,"value_date":"2026-11-23"}`).want(http.StatusCreated)
	deduction := w.money("landlord", "/v1/escrow/"+filed+"/deductions", `{"ground":"DAMAGE","amount_fen":1000}`).want(http.StatusCreated).text("deductions.0.id")
	refund := w.money("tenant", "/v1/escrow/"+filed+"/refunds", `{"source":"RENT","amount_fen":1000,"reason":"示例"}`).want(http.StatusCreated).text("refunds.0.id")
	amendment := w.post("landlord", "/v1/contracts/"+filed+"/amendments", `{"changes":{"monthly_rent_fen":340000},"effective_from":"2027-06-01"}`).want(http.StatusCreated).text("id")
	draft := w.post("landlord", "/v1/contracts", w.lease(flats[1], "landlord", "tenant", nil)).want(http.StatusCreated).text("id")
	listing := w.post("landlord", "/v1/listings", fmt.Sprintf(`{"unit_id":%q,"let_mode":"WHOLE","rent_fen":350000}`, flats[2].id)).want(http.StatusCreated).text("id")
	account := w.supervised("company", "bank", "district")
	reserve := "/v1/accounts/" + account + "/reserve"
	w.money("bank", reserve+"/deposits", `{"bank_txn_id":"F5","amount_fen":1000,"value_date":"2026-11-23"}`).want(http.StatusOK)
	draw := w.money("district", reserve+"/draws", fmt.Sprintf(`{"order_no":"决字1","reason":"示例","beneficiaries":[{"party_id":%q,"amount_fen":1}],
		"replenish_by":"2026-12-31"}`, w.ids["tenant"])).want(http.StatusCreated).text("id")
	statement := w.money("bank", "/v1/bank-statements", `{"date":"2026-11-23","opening_fen":0,"closing_fen":7,"lines":[{"txn_id":"F9","amount_fen":7,"value_date":"2026-11-23"}]}`).
		want(http.StatusCreated).text("id")
	missed := w.post("district", "/v1/alerts/misses", fmt.Sprintf(`{"indicator":"OFF_ACCOUNT","kind":"operator","subject_id":%q,"on":"2026-11-20","note":"示例"}`,
		w.ids["company"])).want(http.StatusCreated).text("id")
	w.settled()
	names := map[string]string{
		"party-1": w.ids["landlord"], "party-2": w.ids["tenant"], "broker-1": w.ids["broker"], "bank-1": w.ids["bank"], "company-1": w.ids["company"],
		"unit-1": flats[3].id, "unit-2": flats[4].id, "contract-1": filed,
	}
	ids := map[string]map[string]string{"": names}
	for _, r := range routes(w.t) {
		ids[r.id] = map[string]string{
			"id": w.ids["landlord"], "contract": filed, "contract_id": filed, "deduction_id": deduction, "refund_id": refund, "amendment_id": amendment,
			"account": account, "draw_id": draw, "listing": listing, "statement": statement, "unit": flats[3].id, "party": w.ids["landlord"],
			"alert": missed,
		}
	}
	for op, id := range map[string]string{
		"reportOpening": w.ids["company"], "decideOpening": w.ids["company"], "rosterPractitioner": agent, "unrosterPractitioner": agent,
		"banPractitioner": agent, "suspendParty": agent, "reinstateParty": agent, "eraseParty": agent, "verifyParty": agent,
	} {
		ids[op]["id"] = id
	}
	for _, op := range []string{"signContract", "declineContract", "recordPaper"} {
		ids[op]["contract"] = draft
	}
	return ids
}

// real puts ids of this world in the place of the example's.
func (w *world) real(example any, ids map[string]map[string]string) any {
	raw, err := json.Marshal(example)
	if err != nil {
		w.t.Fatal(err)
	}
	text := string(raw)
	for name, id := range ids[""] {
		text = strings.ReplaceAll(text, `"`+name+`"`, `"`+id+`"`)
	}
	var out any
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&out); err != nil {
		w.t.Fatal(err)
	}
	return out
}

func problemCodes(t testing.TB) map[string]bool {
	t.Helper()
	raw, err := os.ReadFile("../../api/problems.json")
	if err != nil {
		t.Fatal(err)
	}
	var list []struct {
		Code    string
		Retired bool
	}
	if err := json.Unmarshal(raw, &list); err != nil {
		t.Fatal(err)
	}
	codes := map[string]bool{}
	for _, e := range list {
		codes[e.Code] = !e.Retired
	}
	return codes
}
