package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"zujian/api"
	"zujian/api/desk"
	"zujian/domain"
	"zujian/domain/access"
	"zujian/domain/account"
	"zujian/domain/alert"
	"zujian/domain/apikey"
	"zujian/domain/building"
	"zujian/domain/claim"
	"zujian/domain/contract"
	"zujian/domain/escrow"
	"zujian/domain/guidance"
	"zujian/domain/index"
	"zujian/domain/listing"
	"zujian/domain/numbering"
	"zujian/domain/party"
	"zujian/domain/plan"
	"zujian/domain/ruleset"
	"zujian/domain/statement"
	"zujian/domain/unit"
	"zujian/domain/webhook"
	"zujian/eventstore/aggregate"
	"zujian/eventstore/memory"
	"zujian/eventstore/register"
	"zujian/eventstore/seal"
	"zujian/eventstore/seal/remote"
	"zujian/projections"
	"zujian/projections/alerts"
	prices "zujian/projections/guidance"
	"zujian/projections/housing"
	"zujian/projections/money"
	"zujian/projections/people"
	planview "zujian/projections/plan"
	"zujian/projections/rentindex"
	"zujian/projections/webhooks"
)

var city = domain.City{
	ID: "nanjing", Code: "320100", NameZH: "南京市", NameEN: "Nanjing",
	Units: []domain.ReportUnit{
		{Code: "320115", NameZH: "江宁区", NameEN: "Jiangning", Admin: true}, {Code: "320102", NameZH: "玄武区", NameEN: "Xuanwu", Admin: true},
	},
	Streets: []domain.Street{
		{Code: "320115004", NameZH: "示例街道", Admin: "320115", Unit: "320115"}, {Code: "320102002", NameZH: "梅园新村街道", Admin: "320102", Unit: "320102"},
	},
}

// town is a whole product in memory with a clock that stands still.
type town struct {
	t        testing.TB
	store    *memory.Store
	desk     *desk.Desk
	runner   *projections.Runner
	register *register.Register
	server   *api.Server
	keys     map[string]string // Role or name → key.
	ids      map[string]string // Name → party id.
	logs     *syncBuffer

	mu  sync.Mutex
	now time.Time
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func (w *town) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *town) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

// replies is the model of the kept answers.
type replies struct {
	mu   sync.Mutex
	kept map[string][]byte
}

func (r *replies) Get(_ context.Context, key string) ([]byte, bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	v, ok := r.kept[key]
	return v, ok, nil
}

func (r *replies) Put(_ context.Context, key string, value []byte, _ time.Time) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.kept[key] = bytes.Clone(value)
	return nil
}

func newTown(t testing.TB, change ...func(*api.Options)) *town {
	t.Helper()
	w := &town{
		t: t, keys: map[string]string{}, ids: map[string]string{}, logs: &syncBuffer{},
		now: time.Date(2026, 11, 23, 2, 0, 0, 0, time.UTC), store: &memory.Store{},
	}
	w.store.Now = w.clock
	catalogue := domain.NewCatalogue(access.Types, account.Types, alert.Types, apikey.Types, building.Types, claim.Types, contract.Types, escrow.Types, guidance.Types, index.Types,
		listing.Types, numbering.Types, party.Types, plan.Types, ruleset.Types, statement.Types, unit.Types, webhook.Types)
	vault, err := seal.Open(t.TempDir(), seal.Options{Suite: seal.INTL, Now: w.clock})
	if err != nil {
		t.Fatal(err)
	}
	books, err := alert.Shipped()
	if err != nil {
		t.Fatal(err)
	}
	views := &projections.Memory{}
	log := slog.New(slog.NewJSONHandler(w.logs, nil))
	w.desk = desk.New(desk.Options{
		Runner: aggregate.Runner{Store: w.store, Catalogue: catalogue, Cache: aggregate.NewCache(1000)}, Vault: remote.Here{Vault: vault}, Views: views,
		City: &city, Shipped: ruleset.Shipped(), Books: books, Log: log, NewID: uuid.New,
	})
	model, _ := rentindex.Bundled("nanjing")
	index := rentindex.Projection{Model: model}
	held := []projections.Projection{people.Projection{}, housing.Projection{}, money.Projection{}, planview.Projection{}, prices.Projection{}, webhooks.Projection{}, index, alerts.Projection{}}
	w.runner = &projections.Runner{Store: w.store, Views: views, Catalogue: catalogue, Now: w.clock, BatchWait: time.Millisecond}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- w.runner.Run(ctx, held)
	}()
	logKey, ed, sm2, err := vault.RegisterKeys(ctx, true)
	if err != nil {
		t.Fatal(err)
	}
	w.register, err = register.Open(ctx, register.Options{
		Dir: filepath.Join(t.TempDir(), "register"), Log: register.Over(w.store), Origin: "register.example/zujian", Now: time.Now,
		Keys: register.Keys{Log: logKey, Ed25519: ed, SM2: sm2}, Logger: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	kept := make(chan error, 1)
	go func() { kept <- w.register.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		<-done
		if err := errors.Join(<-kept, w.register.Close(), vault.Close()); err != nil {
			t.Error(err)
		}
	})
	o := api.Options{
		Register: w.register, Desk: w.desk, Views: views, Kept: held, Waiter: w.runner, Keys: w.desk, Replies: &replies{kept: map[string][]byte{}}, Store: w.store,
		Catalogue: catalogue, Index: index, Log: log, Now: w.clock, NewID: uuid.New, Version: "test", StoreName: "memory",
		RatePerSecond: -1,
	}
	for _, f := range change {
		f(&o)
	}
	if w.server, err = api.New(o); err != nil {
		t.Fatal(err)
	}
	w.keys["city"] = w.issue(desk.NewKey{Role: domain.RoleCity})
	w.keys["city2"] = w.issue(desk.NewKey{Role: domain.RoleCity})
	w.keys["district"] = w.issue(desk.NewKey{Role: domain.RoleDistrict, Area: "320115"})
	w.keys["other-district"] = w.issue(desk.NewKey{Role: domain.RoleDistrict, Area: "320102"})
	w.keys["auditor"] = w.issue(desk.NewKey{Role: domain.RoleAuditor})
	w.keys["partner"] = w.issue(desk.NewKey{Role: domain.RolePartner})
	return w
}

func (w *town) issue(k desk.NewKey) string {
	w.t.Helper()
	call := desk.Call{ID: uuid.NewString(), At: w.clock(), Actor: domain.Actor{ID: "operator", Role: domain.RoleSystem}, Correlation: "test"}
	key, _, _, err := w.desk.IssueKey(context.Background(), call, k)
	if err != nil {
		w.t.Fatal(err)
	}
	return key
}

// people registers the usual parties, verifies them and gives each a key.
func (w *town) people() {
	w.t.Helper()
	for name, p := range map[string]struct {
		role domain.Role
		body string
	}{
		"landlord":  {domain.RoleLandlord, `{"kind":"PERSON","name":"示例甲","doc_type":"CN_ID","doc_no":"320102188801010015","phone":"13800000000"}`},
		"tenant":    {domain.RoleTenant, `{"kind":"PERSON","name":"示例乙","doc_type":"CN_ID","doc_no":"320104188512310022","phone":"13900000000"}`},
		"landlord2": {domain.RoleLandlord, `{"kind":"PERSON","name":"示例丙","doc_type":"CN_ID","doc_no":"320106188402290035"}`},
		"company":   {domain.RoleCompany, `{"kind":"ORG","org_kind":"RENTAL_ENTERPRISE","name":"示例租赁有限公司","doc_type":"USCC","doc_no":"91320102MA1TEXT06J","scope_text":"住房租赁"}`},
		"broker":    {domain.RoleBroker, `{"kind":"ORG","org_kind":"BROKERAGE","name":"示例经纪有限公司","doc_type":"USCC","doc_no":"91320115MA27YYY95J","scope_text":"房地产经纪"}`},
		"bank":      {domain.RoleBank, `{"kind":"ORG","org_kind":"SUPERVISING_BANK","name":"示例银行","doc_type":"USCC","doc_no":"91320104MA0000AB06"}`},
	} {
		id := w.do("district", "POST", "/v1/parties", p.body).want(http.StatusCreated).text("id")
		w.do("city", "POST", "/v1/parties/"+id+"/verification", `{"level":3,"method":"COUNTER"}`).want(http.StatusOK)
		w.ids[name] = id
		w.keys[name] = w.issue(desk.NewKey{Role: p.role, Party: id})
	}
}

// home registers a building and gives its first flat to the landlord. It returns the unit's id.
func (w *town) home() string {
	w.t.Helper()
	b := w.do("district", "POST", "/v1/buildings", buildingBody).want(http.StatusCreated)
	id := b.text("units.0.id")
	w.do("district", "POST", "/v1/units/"+id+"/ownership",
		fmt.Sprintf(`{"owners":[{"party_id":%q,"share_bp":10000}],"title_no":"苏2020示例第0000001号","from":"2020-05-01"}`, w.ids["landlord"])).want(http.StatusOK)
	return id
}

const buildingBody = `{"estate":"示例花园","building_no":"3","street":"320115004","address":"示例路8号","built_year":2015,"floors":18,"metro_m":600,
	"units":[{"unit_no":"1201","floor":12,"gross_area_c":8912,"inner_area_c":7200,"bedrooms":2,"planned_use":"RESIDENTIAL","rooms":[]},
	{"unit_no":"1202","floor":12,"gross_area_c":8912,"bedrooms":2,"planned_use":"RESIDENTIAL","rooms":[]}]}`

func (w *town) contractBody(unitID string) string {
	return fmt.Sprintf(`{"kind":"OUT","unit_id":%q,"rooms":[],"lessors":[{"party_id":%q}],"lessees":[{"party_id":%q}],"occupants":[],"use":"RESIDENTIAL",
	"start":"2026-12-01","end":"2027-11-30","signed_on":"2026-11-23","monthly_rent_fen":350000,"pay_cycle_months":3,
	"deposit_fen":350000,"deposit_return_days":7,"deduction_grounds":["ARREARS","DAMAGE"],"escrow":{"mode":"VOLUNTARY"}}`,
		unitID, w.ids["landlord"], w.ids["tenant"])
}

// sign drafts a contract and has both parties sign it. It returns the contract's id.
func (w *town) sign(unitID string) string {
	w.t.Helper()
	c := w.do("landlord", "POST", "/v1/contracts", w.contractBody(unitID)).want(http.StatusCreated)
	id, hash := c.text("id"), c.text("content_hash")
	for _, who := range []string{"landlord", "tenant"} {
		w.do(who, "POST", "/v1/contracts/"+id+"/signatures", fmt.Sprintf(`{"party_id":%q,"content_hash":%q}`, w.ids[who], hash)).want(http.StatusOK)
	}
	return id
}

// reply is an answer under test.
type reply struct {
	t      testing.TB
	asked  string
	status int
	header http.Header
	body   []byte
}

// do asks as a role; headers are "Name: value". JSON is the content type of a body unless a header says otherwise.
func (w *town) do(who, method, path, body string, headers ...string) reply {
	w.t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	} else {
		r.Body = http.NoBody
		r.ContentLength = 0
	}
	if who != "" {
		key, ok := w.keys[who]
		if !ok {
			w.t.Fatalf("no key for %s", who)
		}
		r.Header.Set("Authorization", "Bearer "+key)
	}
	for _, h := range headers {
		name, v, _ := strings.Cut(h, ": ")
		if name == "Host" {
			r.Host = v
			continue
		}
		r.Header[http.CanonicalHeaderKey(name)] = append(r.Header.Values(name), v)
		if name == "Content-Type" {
			r.Header.Set(name, v)
		}
	}
	return w.send(r)
}

func (w *town) send(r *http.Request) reply {
	w.t.Helper()
	rec := httptest.NewRecorder()
	w.server.ServeHTTP(rec, r)
	res := rec.Result()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	answer := reply{w.t, r.Method + " " + r.URL.Path, res.StatusCode, res.Header, raw}
	recordAnswer(w.t, r, answer)
	return answer
}

func (r reply) want(status int) reply {
	r.t.Helper()
	if r.status != status {
		r.t.Fatalf("%s: got %d, want %d: %s", r.asked, r.status, status, r.body)
	}
	return r
}

// problem wants a status and a code.
func (r reply) problem(status int, code string) reply {
	r.t.Helper()
	if got := r.textOr("code"); r.status != status || got != code {
		r.t.Fatalf("%s: got %d %s, want %d %s: %s", r.asked, r.status, got, status, code, r.body)
	}
	if media := r.header.Get("Content-Type"); media != "application/problem+json" {
		r.t.Fatalf("%s: a problem as %s", r.asked, media)
	}
	return r
}

func (r reply) text(path string) string {
	r.t.Helper()
	s := r.textOr(path)
	if s == "" {
		r.t.Fatalf("%s: no %s in %s", r.asked, path, r.body)
	}
	return s
}

func (r reply) textOr(path string) string {
	s, _ := r.at(path).(string)
	return s
}

func (r reply) at(path string) any {
	var v any
	if json.Unmarshal(r.body, &v) != nil {
		return nil
	}
	for _, step := range strings.Split(path, ".") {
		switch x := v.(type) {
		case map[string]any:
			v = x[step]
		case []any:
			i := 0
			if _, err := fmt.Sscan(step, &i); err != nil || i >= len(x) {
				return nil
			}
			v = x[i]
		default:
			return nil
		}
	}
	return v
}

// events counts the log.
func (w *town) events() int {
	n := 0
	for _, err := range w.store.All(context.Background(), 0) {
		if err != nil {
			w.t.Fatal(err)
		}
		n++
	}
	return n
}
