package api_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"zujian/api"
	"zujian/eventstore"
)

const personBody = `{"kind":"PERSON","name":"示例丁","doc_type":"CN_ID","doc_no":"32011518900615004X"}`

func TestRepeatedPost(t *testing.T) {
	w := newTown(t)
	w.people()
	unit := w.home()
	body := w.contractBody(unit)

	first := w.do("landlord", "POST", "/v1/contracts", body, "Idempotency-Key: k1").want(http.StatusCreated)
	n := w.events()
	t.Run("the same key and body give the same answer", func(t *testing.T) {
		for _, key := range []string{"k1", `"k1"`} {
			again := w.do("landlord", "POST", "/v1/contracts", body, "Idempotency-Key: "+key).want(http.StatusCreated)
			if !bytes.Equal(first.body, again.body) || again.header.Get("Idempotent-Replayed") != "true" {
				t.Errorf("key %s: %s\nthen %s", key, first.body, again.body)
			}
			for _, h := range []string{"ETag", "Location", "Zujian-Position"} {
				if first.header.Get(h) == "" || first.header.Get(h) != again.header.Get(h) {
					t.Errorf("%s: %q then %q", h, first.header.Get(h), again.header.Get(h))
				}
			}
		}
	})
	t.Run("another body is refused", func(t *testing.T) {
		w.do("landlord", "POST", "/v1/contracts", strings.Replace(body, "350000", "350001", 1), "Idempotency-Key: k1").
			problem(http.StatusUnprocessableEntity, "request.idempotency_key_reused")
	})
	t.Run("another route is refused", func(t *testing.T) {
		w.do("landlord", "POST", "/v1/listings", fmt.Sprintf(`{"unit_id":%q,"let_mode":"WHOLE","rent_fen":1}`, unit), "Idempotency-Key: k1").
			problem(http.StatusUnprocessableEntity, "request.idempotency_key_reused")
	})
	if got := w.events(); got != n {
		t.Errorf("%d events were appended by repeats", got-n)
	}
	t.Run("another principal has its own keys", func(t *testing.T) {
		w.do("landlord2", "POST", "/v1/parties", personBody, "Idempotency-Key: k1").want(http.StatusCreated)
	})
	t.Run("a refusal binds the key to its request and is decided again", func(t *testing.T) {
		bad := `{"kind":"PERSON","name":"示例戊","doc_type":"CN_ID","doc_no":"320102188801010016"}`
		w.do("district", "POST", "/v1/parties", bad, "Idempotency-Key: k2").problem(422, "party.id_checksum")
		w.do("district", "POST", "/v1/parties", bad, "Idempotency-Key: k2").problem(422, "party.id_checksum")
		w.do("district", "POST", "/v1/parties", personBody, "Idempotency-Key: k2").problem(422, "request.idempotency_key_reused")
	})
	t.Run("malformed keys", func(t *testing.T) {
		for _, key := range []string{"", strings.Repeat("k", 256), `"`, "a\tb", "键"} {
			w.do("district", "POST", "/v1/parties", personBody, "Idempotency-Key: "+key).problem(400, "request.idempotency_key_invalid")
		}
		w.do("district", "POST", "/v1/parties", personBody, "Idempotency-Key: a", "Idempotency-Key: b").problem(400, "request.idempotency_key_invalid")
		w.do("district", "POST", "/v1/parties", personBody, "Idempotency-Key: "+strings.Repeat("k", 255)).want(http.StatusCreated)
	})
	t.Run("money asks for a key", func(t *testing.T) {
		w.do("bank", "POST", "/v1/escrow/absent/receipts", `{"bank_txn_id":"T1","amount_fen":1,"value_date":"2026-11-23"}`).
			problem(400, "request.idempotency_key_required")
	})
}

func TestParallelRepeatsHappenOnce(t *testing.T) {
	w := newTown(t)
	w.people()
	id := w.sign(w.home())
	w.do("landlord", "POST", "/v1/contracts/"+id+"/filing", "").want(http.StatusOK)
	n := w.events()
	body := `{"bank_txn_id":"T1","amount_fen":1400000,"value_date":"2026-11-23"}`
	statuses := make([]int, 20)
	var wg sync.WaitGroup
	for i := range statuses {
		key := "Idempotency-Key: same"
		if i%2 == 1 { // The same transaction under other keys: the bank's id makes it one.
			key += strconv.Itoa(i)
		}
		wg.Go(func() { statuses[i] = w.do("bank", "POST", "/v1/escrow/"+id+"/receipts", body, key).status })
	}
	wg.Wait()
	for i, s := range statuses {
		if s != http.StatusCreated && s != http.StatusConflict {
			t.Errorf("request %d: %d", i, s)
		}
	}
	received := w.do("bank", "GET", "/v1/escrow/"+id, "").want(http.StatusOK).at("receipts").([]any)
	if len(received) != 1 {
		t.Errorf("%d receipts of one transaction, %d events", len(received), w.events()-n)
	}
	w.do("bank", "POST", "/v1/escrow/"+id+"/receipts", `{"bank_txn_id":"T1","amount_fen":1,"value_date":"2026-11-23"}`, "Idempotency-Key: other").
		problem(http.StatusConflict, "escrow.txn_duplicate")
}

// TestAKeyUsedAgainAfterItsAnswer: when the answer is no longer kept, the request that was answered is still a repeat, and
// another under the same key is done, not taken for one.
func TestAKeyUsedAgainAfterItsAnswer(t *testing.T) {
	kept := &replies{kept: map[string][]byte{}}
	w := newTown(t, func(o *api.Options) { o.Replies = kept })
	w.people()
	id := w.sign(w.home())
	w.do("landlord", "POST", "/v1/contracts/"+id+"/filing", "").want(http.StatusOK)
	for _, txn := range []string{"T1", "T2", "T1", "T2"} {
		w.do("bank", "POST", "/v1/escrow/"+id+"/receipts", `{"bank_txn_id":"`+txn+`","amount_fen":1400000,"value_date":"2026-11-23"}`, "Idempotency-Key: daily").
			want(http.StatusCreated)
		clear(kept.kept)
	}
	received := w.do("bank", "GET", "/v1/escrow/"+id, "").want(http.StatusOK).at("receipts").([]any)
	if len(received) != 2 {
		t.Errorf("%d receipts of two transactions: %v", len(received), received)
	}
}

// TestARefusedReceiptHoldsNoTransaction: what one ledger refused, because it was reported to the wrong one, goes to the right.
func TestARefusedReceiptHoldsNoTransaction(t *testing.T) {
	w := newTown(t)
	w.people()
	wrong, right := w.sign(w.home()), w.sign(w.home())
	for i, bad := range []string{
		`{"bank_txn_id":"T1","amount_fen":1400000,"value_date":"1900-01-01"}`, `{"bank_txn_id":"T1","amount_fen":1400000,"value_date":"2027-11-23"}`,
	} {
		w.do("bank", "POST", "/v1/escrow/"+wrong+"/receipts", bad, "Idempotency-Key: "+strconv.Itoa(i)).want(http.StatusUnprocessableEntity)
	}
	body := `{"bank_txn_id":"T1","amount_fen":1400000,"value_date":"2026-11-23"}`
	w.do("bank", "POST", "/v1/escrow/"+right+"/receipts", body, "Idempotency-Key: right").want(http.StatusCreated)
	w.do("bank", "POST", "/v1/escrow/"+wrong+"/receipts", body, "Idempotency-Key: wrong").problem(http.StatusConflict, "escrow.txn_duplicate")
}

func TestRevisions(t *testing.T) {
	w := newTown(t)
	w.people()
	unit := w.home()
	tag := w.do("city", "GET", "/v1/units/"+unit, "").want(http.StatusOK).header.Get("ETag")
	w.do("city", "GET", "/v1/units/"+unit, "", "If-None-Match: "+tag).want(http.StatusNotModified)
	right := `{"flag":"MORTGAGED","order_no":"1"}`
	for _, bad := range []string{`"0"`, `"99"`, `W/` + tag, "x", `"-1"`} {
		w.do("city", "POST", "/v1/units/"+unit+"/rights", right, "If-Match: "+bad).problem(http.StatusPreconditionFailed, "precondition.failed")
	}
	next := w.do("city", "POST", "/v1/units/"+unit+"/rights", right, "If-Match: "+tag).want(http.StatusOK).header.Get("ETag")
	if next == tag {
		t.Errorf("the tag stayed %s", tag)
	}
	w.do("city", "DELETE", "/v1/units/"+unit+"/rights/MORTGAGED?order_no=2", "", "If-Match: "+tag).problem(http.StatusPreconditionFailed, "precondition.failed")
	w.do("city", "DELETE", "/v1/units/"+unit+"/rights/MORTGAGED?order_no=2", "", "If-Match: *").want(http.StatusOK)
}

func TestAtLeast(t *testing.T) {
	w := newTown(t)
	w.people()
	began := time.Now()
	r := w.do("city", "GET", "/v1/views/housing/contracts", "", "Zujian-At-Least: 99999999").problem(http.StatusServiceUnavailable, "unavailable.behind")
	if r.header.Get("Retry-After") == "" || time.Since(began) > 4*time.Second {
		t.Errorf("after %s: %v", time.Since(began), r.header)
	}
	for _, bad := range []string{"x", "-1", "1.5"} {
		w.do("city", "GET", "/v1/views/housing/contracts", "", "Zujian-At-Least: "+bad).problem(http.StatusBadRequest, "request.header")
	}
}

func TestKeysAndTheirEnd(t *testing.T) {
	w := newTown(t)
	w.people()
	path := "/v1/parties/" + w.ids["landlord"]
	for _, bad := range []string{"", "Basic x", "Bearer", "Bearer zj_a_b", "Bearer eyJhbGciOiJub25lIn0.e30.", "Bearer " + strings.Repeat("x", 5000)} {
		w.keysPass(t, path, bad, http.StatusUnauthorized, "auth.invalid_key")
	}
	wrong := w.keys["landlord"][:len(w.keys["landlord"])-1] + "!"
	w.keysPass(t, path, "Bearer "+wrong, http.StatusUnauthorized, "auth.invalid_key")
	w.do("landlord", "GET", path, "", "Authorization: Bearer x").problem(http.StatusBadRequest, "request.header")
	w.do("", "GET", path+"?api_key="+w.keys["landlord"], "").problem(http.StatusUnauthorized, "auth.required")

	issued := w.do("city", "POST", "/v1/keys", fmt.Sprintf(`{"role":"landlord","party_id":%q,"expires_on":"2026-11-24"}`, w.ids["landlord"]), "Idempotency-Key: key").want(http.StatusCreated)
	w.keys["short"] = issued.text("key")
	w.do("city", "POST", "/v1/keys", fmt.Sprintf(`{"role":"landlord","party_id":%q,"expires_on":"2026-11-24"}`, w.ids["landlord"]), "Idempotency-Key: key").
		problem(http.StatusConflict, "request.reply_not_kept")
	w.do("short", "GET", path, "").want(http.StatusOK)
	w.pass(48 * time.Hour)
	w.do("short", "GET", path, "").problem(http.StatusUnauthorized, "auth.invalid_key")
	w.do("landlord", "GET", path, "").want(http.StatusOK)
	id := strings.Split(w.keys["landlord"], "_")[1]
	w.do("city", "DELETE", "/v1/keys/"+id, "").want(http.StatusOK)
	w.do("landlord", "GET", path, "").problem(http.StatusUnauthorized, "auth.invalid_key")
	for _, key := range w.keys {
		if strings.Contains(w.logs.String(), key) {
			t.Error("a key stands in the log")
		}
	}
}

func TestKeysAreForWhomTheirRoleIs(t *testing.T) {
	w := newTown(t)
	w.people()
	n := w.events()
	for body, code := range map[string]string{
		fmt.Sprintf(`{"role":"bank","party_id":%q}`, w.ids["tenant"]):  "party.no_supervising_bank",
		fmt.Sprintf(`{"role":"bank","party_id":%q}`, w.ids["company"]): "party.no_supervising_bank",
		`{"role":"bank"}`:                     "apikey.party_required",
		`{"role":"district","area":"999999"}`: "apikey.unknown_area",
		`{"role":"district","area":"320100"}`: "apikey.unknown_area", // The city itself is no district.
		`{"role":"district"}`:                 "apikey.area_required",
	} {
		w.do("city", "POST", "/v1/keys", body).problem(http.StatusUnprocessableEntity, code)
	}
	if w.events() != n {
		t.Error("a refused key was written")
	}
	w.do("city", "POST", "/v1/keys", `{"role":"district","area":"320115"}`).want(http.StatusCreated)
}

// endless is a log that a reader never comes to the end of.
type endless struct {
	eventstore.Store
	begun chan struct{} // Closed when one begins: the only one.
}

func (e endless) All(ctx context.Context, _ eventstore.Position) iter.Seq2[eventstore.Recorded, error] {
	close(e.begun)
	return func(yield func(eventstore.Recorded, error) bool) {
		for ctx.Err() == nil {
			for rec, err := range e.Store.All(ctx, 0) {
				if !yield(rec, err) {
					return
				}
			}
		}
	}
}

// TestAStreamFarBehindEndsWithItsKey: who reads the log from its beginning is looked after as who has come to its end is.
func TestAStreamFarBehindEndsWithItsKey(t *testing.T) {
	t.Parallel()
	begun := make(chan struct{})
	w := newTown(t, func(o *api.Options) { o.Store = endless{o.Store, begun} })
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/v1/events/stream?after=0&types=contract.filed", nil)
	r.Header.Set("Authorization", "Bearer "+w.keys["auditor"])
	var listening sync.WaitGroup
	listening.Go(func() { w.server.ServeHTTP(httptest.NewRecorder(), r) })
	<-begun
	w.do("city", "DELETE", "/v1/keys/"+strings.Split(w.keys["auditor"], "_")[1], "").want(http.StatusOK)
	if listening.Wait(); ctx.Err() != nil {
		t.Error("a stream outlives its key")
	}
}

func (w *town) keysPass(t *testing.T, path, header string, status int, code string) {
	t.Helper()
	r := httptest.NewRequest("GET", path, nil)
	r.RemoteAddr = uuid.NewString()[:8] + ":1" // Each from an address of its own: the flood limit is another test.
	r.Header.Set("Authorization", header)
	if header == "" {
		r.Header["Authorization"] = []string{""}
	}
	w.send(r).problem(status, code)
}

func TestWrongKeysFlood(t *testing.T) {
	w := newTown(t)
	w.keys["wrong"] = "zj_0123456789abcdef_" + strings.Repeat("x", 43)
	for i := range 50 {
		r := w.do("wrong", "GET", "/v1/rules", "")
		if r.status == http.StatusTooManyRequests {
			if r.header.Get("Retry-After") == "" || i < 10 {
				t.Errorf("429 after %d tries: %v", i, r.header)
			}
			w.do("city", "GET", "/v1/rules", "").want(http.StatusOK) // By the same proxy.
			other := httptest.NewRequest("GET", "/v1/rules", nil)
			other.RemoteAddr = "198.51.100.7:1"
			other.Header.Set("Authorization", "Bearer "+w.keys["city"])
			w.send(other).want(http.StatusOK)
			return
		}
		r.problem(http.StatusUnauthorized, "auth.invalid_key")
	}
	t.Error("50 wrong keys in one second, and no 429")
}

func TestRateOfOneKey(t *testing.T) {
	w := newTown(t, func(o *api.Options) { o.RatePerSecond, o.Burst = 5, 10 })
	limited := 0
	for range 20 {
		r := w.do("city", "GET", "/v1/rules", "")
		if r.status == http.StatusTooManyRequests {
			limited++
			r.problem(429, "limit.rate")
		}
		if r.header.Get("RateLimit") == "" || r.header.Get("RateLimit-Policy") == "" {
			t.Fatalf("headers %v", r.header)
		}
	}
	if limited != 10 {
		t.Errorf("%d of 20 limited, want 10", limited)
	}
	w.do("city2", "GET", "/v1/rules", "").want(http.StatusOK)
	w.pass(time.Second)
	w.do("city", "GET", "/v1/rules", "").want(http.StatusOK)
}

func TestCursors(t *testing.T) {
	w := newTown(t)
	w.people()
	w.home()
	all := map[string]bool{}
	path := "/v1/views/people/subjects?limit=2"
	position := w.do("district", "POST", "/v1/parties", personBody).header.Get("Zujian-Position")
	pages := 0
	var cursor string
	for next := path; next != ""; pages++ {
		r := w.do("city", "GET", next, "", "Zujian-At-Least: "+position).want(http.StatusOK)
		for _, item := range r.at("items").([]any) {
			all[item.(map[string]any)["id"].(string)] = true
		}
		cursor = r.textOr("next_cursor")
		link := r.header.Get("Link")
		if (cursor == "") != (link == "") {
			t.Fatalf("cursor %q, Link %q", cursor, link)
		}
		next = ""
		if cursor != "" {
			next = strings.TrimSuffix(strings.TrimPrefix(link, "<"), `>; rel="next"`)
			if pages == 0 {
				w.do("auditor", "GET", next, "").problem(400, "request.cursor")
				w.do("city", "GET", next+"&kind=ORG", "").problem(400, "request.cursor")
				w.do("city", "GET", path+"&cursor=AAAA", "").problem(400, "request.cursor")
				w.do("city", "GET", strings.Replace(next, "limit=2", "limit=3", 1), "").want(http.StatusOK)
			}
		}
	}
	if len(all) != 7 || pages != 4 {
		t.Errorf("%d parties on %d pages", len(all), pages)
	}
	for _, bad := range []string{"limit=0", "limit=201", "limit=1000000000", "limit=x", "limit=1&limit=2", "nope=1", "limit=%zz", "limit=5&limit=5"} {
		w.do("city", "GET", "/v1/views/people/subjects?"+bad, "").problem(400, "request.parameter")
	}
}

func TestBatch(t *testing.T) {
	w := newTown(t)
	w.people()
	unit := w.home()
	scan := strings.Repeat("ab", 32)
	line := func(body string) string {
		var b bytes.Buffer
		if err := json.Compact(&b, []byte(fmt.Sprintf(`{"contract":%s,"signatures":[{"method":"PAPER","scan_sha256":%q}]}`, body, scan))); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	good := line(w.contractBody(unit))
	batch := strings.Join([]string{
		good, `{"contract":1}`, "", `{"contract":{},"contract":{}}`, line(strings.Replace(w.contractBody(unit), "2027-11-30", "2026-11-30", 1)),
	}, "\n")
	send := func() []map[string]any {
		r := w.do("district", "POST", "/v1/filings", batch, "Content-Type: application/x-ndjson", "Idempotency-Key: batch").want(http.StatusOK)
		var out []map[string]any
		lines := bufio.NewScanner(bytes.NewReader(r.body))
		for lines.Scan() {
			var v map[string]any
			if err := json.Unmarshal(lines.Bytes(), &v); err != nil {
				t.Fatalf("%s: %v", lines.Text(), err)
			}
			out = append(out, v)
		}
		return out
	}
	first := send()
	if len(first) != 4 {
		t.Fatalf("%d answers: %v", len(first), first)
	}
	for i, want := range []float64{201, 400, 400, 422} {
		if first[i]["line"] != float64(i+1) || first[i]["status"] != want {
			t.Errorf("line %d: %v", i+1, first[i])
		}
	}
	n := w.events()
	again := send()
	if fmt.Sprint(again[0]) != fmt.Sprint(first[0]) || w.events() != n {
		t.Errorf("the same batch again: %v\nfirst %v; %d new events", again[0], first[0], w.events()-n)
	}
}

// TestOverTheWire asks through a real connection what a recorder can't show.
func TestOverTheWire(t *testing.T) {
	w := newTown(t, func(o *api.Options) { o.Now = time.Now }) // Deadlines of sockets are real.
	server := httptest.NewUnstartedServer(nil)
	server.Config = w.server.HTTPServer("")
	server.Start()
	defer server.Close()
	addr := server.Listener.Addr().String()
	raw := func(t *testing.T, text string) *http.Response {
		t.Helper()
		conn, err := net.DialTimeout("tcp", addr, time.Second)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		_ = conn.SetDeadline(time.Now().Add(8 * time.Second))
		if _, err := conn.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		return res
	}
	t.Run("a body said to be of 10 GiB is refused before it comes", func(t *testing.T) {
		began := time.Now()
		res := raw(t, "POST /v1/parties HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 10737418240\r\n\r\n{\"kind\":")
		if res.StatusCode != http.StatusRequestEntityTooLarge || !res.Close || time.Since(began) > time.Second {
			t.Errorf("%d after %s, close %v", res.StatusCode, time.Since(began), res.Close)
		}
	})
	t.Run("headers over 32 KiB", func(t *testing.T) {
		if res := raw(t, "GET /v1/rules HTTP/1.1\r\nHost: x\r\nX: "+strings.Repeat("a", 60<<10)+"\r\n\r\n"); res.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
			t.Errorf("got %d", res.StatusCode)
		}
	})
	t.Run("a batch answers while it comes", func(t *testing.T) {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(8 * time.Second))
		fmt.Fprintf(conn, "POST /v1/filings HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n", w.keys["district"])
		fmt.Fprintf(conn, "3\r\n{}\n\r\n")
		in := bufio.NewReader(conn)
		res, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		text, err := bufio.NewReader(res.Body).ReadString('\n')
		if err != nil || !strings.Contains(text, `"line":1`) {
			t.Errorf("%q %v", text, err)
		}
		fmt.Fprintf(conn, "0\r\n\r\n")
	})
}

// TestALongBatch files by one request on two days, and no more when its key is revoked.
func TestALongBatch(t *testing.T) {
	var w *town
	w = newTown(t, func(o *api.Options) { // Deadlines of sockets are real.
		o.Now, o.When = time.Now, func() (time.Time, bool) { return w.clock(), false }
	})
	w.people()
	b := w.do("district", "POST", "/v1/buildings", buildingBody).want(http.StatusCreated)
	owned := fmt.Sprintf(`{"owners":[{"party_id":%q,"share_bp":10000}],"title_no":"苏2020示例第0000001号","from":"2020-05-01"}`, w.ids["landlord"])
	key := w.do("city", "POST", "/v1/keys", `{"role":"district","area":"320115"}`).want(http.StatusCreated)
	server := httptest.NewUnstartedServer(nil)
	server.Config = w.server.HTTPServer("")
	server.Start()
	defer server.Close()
	body, lines := io.Pipe()
	defer lines.Close()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+"/v1/filings", body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+key.text("key"))
	req.Header.Set("Content-Type", "application/x-ndjson")
	answered := make(chan *bufio.Reader, 1) // With the first line's answer.
	go func() {
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Error(err)
			_ = body.CloseWithError(err)
			close(answered)
			return
		}
		t.Cleanup(func() { _ = res.Body.Close() })
		answered <- bufio.NewReader(res.Body)
	}()
	var answers *bufio.Reader
	file := func(unit, want string) {
		t.Helper()
		w.do("district", "POST", "/v1/units/"+unit+"/ownership", owned).want(http.StatusOK)
		var line bytes.Buffer
		if err := json.Compact(&line, []byte(fmt.Sprintf(`{"contract":%s,"signatures":[{"method":"PAPER","scan_sha256":%q}]}`,
			w.contractBody(unit), strings.Repeat("ab", 32)))); err != nil {
			t.Fatal(err)
		}
		line.WriteByte('\n')
		if _, err := lines.Write(line.Bytes()); err != nil {
			t.Fatal(err)
		}
		if answers == nil {
			answers = <-answered
		}
		if got, err := answers.ReadString('\n'); err != nil || !strings.Contains(got, want) {
			t.Fatalf("got %s, %v, want %s", got, err, want)
		}
	}
	file(b.text("units.0.id"), `"filed_on":"2026-11-23"`)
	w.pass(24 * time.Hour)
	file(b.text("units.1.id"), `"filed_on":"2026-11-24"`)
	w.do("city", "DELETE", "/v1/keys/"+key.text("id"), "").want(http.StatusOK)
	file(b.text("units.1.id"), `"status":401`)
}

func TestOddRequests(t *testing.T) {
	w := newTown(t, func(o *api.Options) { o.Host = "zujian.example" })
	host := "Host: zujian.example"
	var gz bytes.Buffer
	z := gzip.NewWriter(&gz)
	_, _ = z.Write(bytes.Repeat([]byte{0}, 1<<20))
	_ = z.Close()
	for _, c := range []struct {
		name, who, method, path, body string
		headers                       []string
		status                        int
		code                          string
	}{
		{"form-encoded body", "city", "POST", "/v1/parties", "rent_fen=1", []string{"Content-Type: application/x-www-form-urlencoded"}, 415, "request.media_type"},
		{"no content type", "city", "POST", "/v1/parties", "{}", []string{"Content-Type: "}, 415, "request.media_type"},
		{"another charset", "city", "POST", "/v1/parties", "{}", []string{"Content-Type: application/json; charset=gbk"}, 415, "request.media_type"},
		{"a compressed body", "city", "POST", "/v1/parties", gz.String(), []string{"Content-Encoding: gzip"}, 415, "request.encoding"},
		{"multipart", "city", "POST", "/v1/parties", "--x", []string{"Content-Type: multipart/form-data; boundary=x"}, 415, "request.media_type"},
		{"a body over 1 MiB", "city", "POST", "/v1/parties", strings.Repeat(" ", 1<<20+1), nil, 413, "request.too_large"},
		{"a body where none is taken", "city", "POST", "/v1/units/x/rooms/confirmation", `{"a":1}`, nil, 400, "request.invalid"},
		{"method override", "city", "POST", "/v1/buildings/x", "", []string{"X-HTTP-Method-Override: DELETE"}, 405, "request.method_not_allowed"},
		{"PUT", "city", "PUT", "/v1/parties/x", "", nil, 405, "request.method_not_allowed"},
		{"an old version", "", "GET", "/v0/filings", "", nil, 404, "resource.not_found"},
		{"debug pages", "", "GET", "/debug/pprof/", "", nil, 404, "resource.not_found"},
		{"path traversal", "", "GET", "/ui/..%2f..%2fetc/passwd", "", nil, 404, "resource.not_found"},
		{"a quote in a code", "", "GET", "/v1/verify/'%20OR%201=1--", "", nil, 404, "resource.not_found"},
		{"a code with a control character", "", "GET", "/v1/verify/a%00b", "", nil, 404, "resource.not_found"},
		{"an id that can't be one", "city", "GET", "/v1/parties/" + strings.Repeat("x", 100), "", nil, 404, "resource.not_found"},
		{"an impossible day", "city", "GET", "/v1/buildings/x?on=2026-02-30", "", nil, 400, "request.parameter"},
		{"an impossible instant", "city", "GET", "/v1/buildings/x?asOf=yesterday", "", nil, 400, "request.parameter"},
		{"the day that stands for none", "", "GET", "/v1/plan/145?area=city&on=1970-01-01", "", nil, 400, "request.parameter"},
		{"the instant that stands for now", "city", "GET", "/v1/buildings/x?asOf=0001-01-01T00:00:00Z", "", nil, 400, "request.parameter"},
		{"the same elsewhere", "city", "GET", "/v1/buildings/x?asOf=0001-01-01T08:00:00%2B08:00", "", nil, 400, "request.parameter"},
		{"an instant that can't be written in UTC", "city", "GET", "/v1/views/housing/units/x?asOf=9999-12-31T23:59:59-01:00", "", nil, 400, "request.parameter"},
		{"another host", "", "GET", "/", "", []string{"Host: attack.example"}, 421, "request.wrong_host"},
		{"an unknown event type", "auditor", "GET", "/v1/events?types=nope.happened", "", nil, 400, "request.parameter"},
		{"an unknown index area", "", "GET", "/v1/rent-index?area=999999", "", nil, 404, "resource.not_found"},
		{"an index without an area", "", "GET", "/v1/rent-index", "", nil, 400, "request.parameter"},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := w.events()
			r := w.do(c.who, c.method, c.path, c.body, append([]string{host}, c.headers...)...)
			r.problem(c.status, c.code)
			if r.header.Get("X-Request-Id") == "" || r.header.Get("X-Content-Type-Options") != "nosniff" {
				t.Errorf("headers %v", r.header)
			}
			if w.events() != n {
				t.Error("events were appended")
			}
		})
	}
	w.do("", "GET", "/healthz", "", "Host: 10.0.0.1").want(http.StatusOK)
	w.do("", "GET", "/readyz", "").want(http.StatusOK)
	if m := w.do("", "GET", "/metrics", "").want(http.StatusOK); !strings.Contains(string(m.body), `zujian_http_requests_total{method="GET",route="unmatched",status="404"}`) {
		t.Errorf("metrics: %s", m.body)
	}
}

func TestDatesThatStandForNone(t *testing.T) {
	w := newTown(t)
	w.people()
	home := w.home()
	for pointer, ask := range map[string][2]string{
		"/month":          {"/v1/rent-index/releases", `{"month":"1970-01"}`},
		"/from":           {"/v1/units/" + home + "/ownership", fmt.Sprintf(`{"owners":[{"party_id":%q,"share_bp":10000}],"title_no":"T9","from":"1970-01-01"}`, w.ids["landlord"])},
		"/available_from": {"/v1/listings", fmt.Sprintf(`{"unit_id":%q,"rooms":[],"let_mode":"WHOLE","rent_fen":1,"deposit_fen":1,"pay_cycle_months":1,"available_from":"1970-01-01"}`, home)},
	} {
		who := "city"
		if pointer == "/available_from" {
			who = "landlord"
		}
		r := w.do(who, "POST", ask[0], ask[1])
		r.problem(400, "request.invalid")
		if !strings.Contains(string(r.body), `"pointer":"`+pointer+`"`) {
			t.Errorf("%s names no %s: %s", ask[0], pointer, r.body)
		}
	}
}

func TestTitlesSpeakTheReadersLanguage(t *testing.T) {
	w := newTown(t)
	for header, want := range map[string]string{
		"": "缺少密钥", "zh-CN": "缺少密钥", "en": "A key is required", "fr, en;q=0.5": "A key is required", "en;q=0.2, zh;q=0.9": "缺少密钥",
	} {
		r := w.do("", "GET", "/v1/events", "", "Accept-Language: "+header).problem(401, "auth.required")
		if want == "缺少密钥" {
			want = "需要密钥"
		}
		if r.text("title") != want {
			t.Errorf("%q: %s", header, r.text("title"))
		}
		if r.header.Get("WWW-Authenticate") == "" || r.text("type") != "urn:zujian:problem:auth.required" || r.text("instance") != r.header.Get("X-Request-Id") {
			t.Errorf("%v %s", r.header, r.body)
		}
	}
}

// TestRegistrationTellsNobodyWhoIsKnown registers the same person twice and a new one: nothing in the answers differs.
func TestRegistrationTellsNobodyWhoIsKnown(t *testing.T) {
	w := newTown(t)
	w.people()
	first := w.do("company", "POST", "/v1/parties", personBody).want(http.StatusCreated)
	again := w.do("broker", "POST", "/v1/parties", strings.Replace(personBody, "示例丁", "示例己", 1)).want(http.StatusCreated)
	if !bytes.Equal(first.body, again.body) {
		t.Errorf("%s then %s", first.body, again.body)
	}
	for name := range first.header {
		if _, ok := again.header[name]; !ok {
			t.Errorf("only the first answer has %s", name)
		}
	}
	for name := range again.header {
		if _, ok := first.header[name]; !ok {
			t.Errorf("only the second answer has %s", name)
		}
	}
}
