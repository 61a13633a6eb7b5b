package main

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const (
	killRounds   = 20  // SIGKILLs in the middle of a load.
	killWorkers  = 8   // Clients filing at once.
	killFlats    = 400 // Each is let to two tenants at once: one must win.
	killInterval = 250 * time.Millisecond
)

// loadWorld is a register prepared over HTTP for a load of filings.
type loadWorld struct {
	city, company, bank string
	owner, companyID    string
	tenants             []string
	units               []string
	term                [3]string // Signed on, from and to, if not the usual.
}

// TestAcknowledgedFilingsSurviveKills files against a real process that is killed twenty times: every acknowledged filing
// is there after the restart, one without an answer is made once when it is asked for again under its key, no flat is let
// twice, no number given twice, no fen is lost, no reservation stays behind, and the views equal a replay from zero.
func TestAcknowledgedFilingsSurviveKills(t *testing.T) {
	if testing.Short() {
		t.Skip("starts and kills real processes")
	}
	data := t.TempDir()
	p := startServer(t, data)
	w := prepare(t, p, data)
	var next atomic.Int64
	var mu sync.Mutex
	acked, paid := map[string]filed{}, map[string]int64{}
	asked := 0
	for round := range killRounds {
		var open []int // Filings without an answer.
		ctx, stop := context.WithCancel(t.Context())
		var load sync.WaitGroup
		for range killWorkers {
			load.Go(func() {
				for ctx.Err() == nil {
					n := int(next.Add(1)) - 1
					f, status := w.fileStatus(ctx, p.base, n)
					mu.Lock()
					if status == 0 && n/2 < len(w.units) {
						open = append(open, n)
					}
					if f.number != "" {
						acked[f.contract] = f
					}
					mu.Unlock()
					if f.number == "" {
						continue
					}
					if amount, ok := w.pay(ctx, p.base, f, n); ok {
						mu.Lock()
						paid[f.contract] = amount
						mu.Unlock()
					}
				}
			})
		}
		time.Sleep(killInterval) // The moment is arbitrary on purpose.
		p.kill()
		stop()
		load.Wait()
		p = startServer(t, data)
		asked += len(open)
		w.again(t, p, open, acked)
		if round%5 == 4 || round == killRounds-1 {
			w.check(t, p, acked, paid)
		}
	}
	t.Logf("%d kills, %d filings asked, %d acknowledged, %d without an answer asked again, %d receipts acknowledged, 0 lost",
		killRounds, next.Load(), len(acked), asked, len(paid))
	if len(acked) < killRounds {
		t.Errorf("only %d filings were acknowledged: the load did not load", len(acked))
	}
	if asked == 0 {
		t.Error("every filing was answered: no kill came in the middle of one")
	}
	p.kill()
	settled(t, data, acked)
	var out, errs lockedBuffer
	if code := run(t.Context(), []string{"verify", "--data", data, "--json"}, &out, &errs); code != 0 {
		t.Errorf("verify after the kills: exit %d\n%s\n%s", code, out.String(), errs.String())
	}
}

// prepare registers homes, people and keys.
// killStreets are in several reporting units, and in all of three parts of the index.
var killStreets = []string{"320115004", "320102002", "320113001", "320104001"}

func prepare(t *testing.T, p *serverProcess, data string) *loadWorld {
	t.Helper()
	return prepareHomes(t, p, data, killFlats/100)
}

func prepareHomes(t *testing.T, p *serverProcess, data string, buildings int) *loadWorld {
	t.Helper()
	w := &loadWorld{city: readFirstKey(t, data)}
	party := func(body map[string]any, level int) string {
		id := p.must(t, 201, "POST", "/v1/parties", w.city, body).field(t, "id")
		method := "ID_NAME_MATCH"
		if level == 3 {
			method = "COUNTER"
		}
		p.must(t, 200, "POST", "/v1/parties/"+id+"/verification", w.city, map[string]any{"level": level, "method": method})
		return id
	}
	person := func(n int) string {
		return party(map[string]any{"kind": "PERSON", "name": "测试人", "doc_type": "CN_ID", "doc_no": testID(n), "phone": "13800000000"}, 2)
	}
	key := func(role, id string) string {
		return p.must(t, 201, "POST", "/v1/keys", w.city, map[string]any{"role": role, "party_id": id, "label": "test"}).field(t, "key")
	}
	w.owner = person(1)
	for n := range 20 {
		w.tenants = append(w.tenants, person(n+2))
	}
	w.companyID = party(map[string]any{"kind": "ORG", "org_kind": "RENTAL_ENTERPRISE", "name": "测试租赁", "doc_type": "USCC", "doc_no": "91320102MA1TEXT06J", "scope_text": "住房租赁"}, 3)
	bankID := party(map[string]any{"kind": "ORG", "org_kind": "SUPERVISING_BANK", "name": "测试银行", "doc_type": "USCC", "doc_no": "91320115MA27YYY95J"}, 3)
	w.company, w.bank = key("company", w.companyID), key("bank", bankID)
	owner := key("landlord", w.owner)
	for b := range buildings {
		units := make([]map[string]any, 100)
		for i := range units {
			units[i] = map[string]any{"unit_no": fmt.Sprint(101 + i), "floor": 1 + i/10, "gross_area_c": 8912, "bedrooms": 2, "planned_use": "RESIDENTIAL", "rooms": []any{}}
		}
		r := p.must(t, 201, "POST", "/v1/buildings", w.city, map[string]any{
			"estate": "压测苑", "building_no": fmt.Sprint(b + 1), "street": killStreets[b%len(killStreets)], "address": "示例路 9 号", "units": units,
		})
		for i := range units {
			id := r.field(t, fmt.Sprintf("units.%d.id", i))
			p.must(t, 200, "POST", "/v1/units/"+id+"/ownership", w.city, map[string]any{
				"owners": []any{map[string]any{"party_id": w.owner, "share_bp": 10000}}, "title_no": "苏(测试)" + id[:8], "from": "2020-05-01",
			})
			w.units = append(w.units, id)
		}
	}
	p.must(t, 201, "POST", "/v1/parties/"+w.owner+"/mandates", owner, map[string]any{
		"to": w.companyID, "scope": []string{"LIST", "SIGN", "FILE", "COLLECT"}, "until": "2199-12-31",
	})
	return w
}

// file makes the n-th one-call filing: flat n/2, so that two contracts want each flat for the same days.
func (w *loadWorld) file(ctx context.Context, base string, n int) (filed, bool) {
	f, _ := w.fileStatus(ctx, base, n)
	return f, f.number != ""
}

// fileStatus is file with the answer's status; 0 without one.
func (w *loadWorld) fileStatus(ctx context.Context, base string, n int) (filed, int) {
	if n/2 >= len(w.units) {
		time.Sleep(10 * time.Millisecond)
		return filed{}, 0
	}
	unitID, tenant := w.units[n/2], w.tenants[n%len(w.tenants)]
	hash := fmt.Sprintf("%064x", n+1)
	term := w.term
	if term[0] == "" {
		term = [3]string{"2026-11-20", "2026-12-01", "2027-11-30"}
	}
	body := map[string]any{
		"contract": map[string]any{
			"kind": "OUT", "unit_id": unitID, "rooms": []any{}, "lessors": []any{map[string]any{"party_id": w.owner}},
			"lessees": []any{map[string]any{"party_id": tenant}}, "occupants": []any{}, "use": "RESIDENTIAL",
			"start": term[1], "end": term[2], "signed_on": term[0], "monthly_rent_fen": 350000, "pay_cycle_months": 3,
			"deposit_fen": 350000, "deposit_return_days": 7, "deduction_grounds": []string{"DAMAGE"}, "escrow": map[string]any{"mode": "VOLUNTARY"},
		},
		"signatures": []any{
			map[string]any{"party": w.owner, "method": "E_SIGN", "document_sha256": hash},
			map[string]any{"party": tenant, "method": "E_SIGN", "document_sha256": hash},
		},
	}
	r, err := ask(ctx, base, http.MethodPost, "/v1/filings", w.company, body, "Idempotency-Key", fmt.Sprintf("filing-%d", n))
	if err != nil || r.status != http.StatusCreated {
		return filed{}, r.status
	}
	f := filed{contract: topText(r.body, "contract_id"), number: topText(r.body, "filing_no"), unit: unitID}
	return f, r.status
}

func (w *loadWorld) pay(ctx context.Context, base string, f filed, n int) (int64, bool) {
	const amount = 1_400_000
	r, err := ask(ctx, base, http.MethodPost, "/v1/escrow/"+f.contract+"/receipts", w.bank,
		map[string]any{"bank_txn_id": fmt.Sprintf("T%d", n), "amount_fen": amount, "value_date": "2026-11-20"}, "Idempotency-Key", fmt.Sprintf("pay-%d", n))
	return amount, err == nil && r.status == http.StatusCreated || err == nil && r.status == http.StatusOK
}

// again asks twice more for filings that were not answered, under their own keys: both answers are one.
func (w *loadWorld) again(t *testing.T, p *serverProcess, open []int, acked map[string]filed) {
	t.Helper()
	for _, n := range open {
		f, status := w.fileStatus(t.Context(), p.base, n)
		g, status2 := w.fileStatus(t.Context(), p.base, n)
		if f != g || status != status2 {
			t.Errorf("filing %d asked again: %d %+v, then %d %+v", n, status, f, status2, g)
		}
		switch status {
		case http.StatusCreated:
			acked[f.contract] = f
		case http.StatusConflict, http.StatusUnprocessableEntity: // The flat is the other tenant's.
		default:
			t.Errorf("filing %d asked again: %d", n, status)
		}
	}
}

// check reads back everything that was acknowledged.
func (w *loadWorld) check(t *testing.T, p *serverProcess, acked map[string]filed, paid map[string]int64) {
	t.Helper()
	letTo, numbers := map[string]string{}, map[string]string{}
	for id, f := range acked {
		r := p.must(t, 200, "GET", "/v1/contracts/"+id, w.city, nil)
		if got := r.field(t, "filing_no"); got != f.number {
			t.Errorf("contract %s has number %s, acknowledged %s", id, got, f.number)
		}
		if other := letTo[f.unit]; other != "" {
			t.Errorf("flat %s was let twice: %s and %s", f.unit, other, id)
		}
		if other := numbers[f.number]; other != "" {
			t.Errorf("number %s was given twice: %s and %s", f.number, other, id)
		}
		letTo[f.unit], numbers[f.number] = id, id
	}
	for id, amount := range paid {
		r := p.must(t, 200, "GET", "/v1/escrow/"+id, w.city, nil)
		if got := received(r.body); got != amount {
			t.Errorf("ledger %s received %d fen, acknowledged %d", id, got, amount)
		}
	}
}
