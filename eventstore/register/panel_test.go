package register

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	cosignature "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"

	"zujian/eventstore/memory"
	"zujian/eventstore/register/witness"
)

// seatOf starts a real witness of the test register, over HTTP.
func seatOf(tb testing.TB, dir, name string) (Witness, *httptest.Server) {
	tb.Helper()
	w, err := witness.Open(witness.Options{Dir: dir, Name: name, Logs: []string{newEd25519("register.example/zujian", testKeys.Ed25519).key}})
	if err != nil {
		tb.Fatal(err)
	}
	srv := httptest.NewServer(w)
	tb.Cleanup(func() { srv.Close(); _ = w.Close() })
	return Witness{Key: w.Key(), URL: srv.URL}, srv
}

func jury(tb testing.TB) (ws []Witness, servers []*httptest.Server) {
	for _, name := range []string{"bureau.example", "bank.example", "notary.example"} {
		w, srv := seatOf(tb, tb.TempDir(), name)
		ws, servers = append(ws, w), append(servers, srv)
	}
	return ws, servers
}

func TestTwoOfThreeWitnessesConfirm(t *testing.T) {
	ws, servers := jury(t)
	s := &memory.Store{}
	o := options(t.TempDir(), Over(s))
	o.Witnesses = ws
	r := mustOpen(t, o)
	run(t, r)
	confirmed := func(size uint64) func() bool {
		return func() bool { c, ok := r.Confirmed(); return ok && c.Size == size }
	}
	fill(t, s, 0, 300)
	until(t, "confirmation of 300", confirmed(300))
	c, _ := r.Confirmed()
	if at := r.Status().AgreedAt; at.IsZero() || time.Since(at) > patience {
		t.Errorf("witnesses agreed with the clock at %v", at)
	}
	var vs []note.Verifier
	for _, w := range ws {
		v, err := cosignature.NewVerifierForCosignatureV1(w.Key)
		if err != nil {
			t.Fatal(err)
		}
		vs = append(vs, v)
	}
	if n, err := note.Open([]byte(c.Note), note.VerifierList(vs...)); err != nil || len(n.Sigs) < 2 {
		t.Fatalf("confirmed note: %v\n%s", err, c.Note)
	}
	servers[0].Close() // One away: still two of three.
	fill(t, s, 300, 600)
	until(t, "confirmation of 600", confirmed(600))
	servers[1].Close() // Two away: signed, but not confirmed.
	fill(t, s, 600, 900)
	signedSize(t, r, 900)
	until(t, "the last answers", func() bool { return strings.Contains(r.Checkpoint().Note, "notary.example") })
	if c, _ := r.Confirmed(); c.Size != 600 {
		t.Fatalf("one witness of three confirmed size %d", c.Size)
	}
	st := r.Status()
	if st.Confirmed != 600 || st.Signed != 900 || st.Agreeing != 3 || st.Stopped || st.Waiting {
		t.Fatalf("status %+v", st)
	}
}

// TestRolledBackRegisterIsStopped: log and register restored together look sound to themselves. The witnesses know more,
// so nothing is signed for a size they have seen.
func TestRolledBackRegisterIsStopped(t *testing.T) {
	ws, servers := jury(t)
	s := &memory.Store{}
	o := options(t.TempDir(), Over(s))
	o.Witnesses = ws
	r := mustOpen(t, o)
	stop := run(t, r)
	fill(t, s, 0, 600)
	until(t, "confirmation", func() bool { c, ok := r.Confirmed(); return ok && c.Size == 600 })
	stop()

	old := &memory.Store{}
	fill(t, old, 0, 300) // The backup: the same first 300 events, drawn salts apart, then others.
	back := options(t.TempDir(), Over(old))
	r = mustOpen(t, back) // What it looked like when the backup was made.
	stop = run(t, r)
	signedSize(t, r, 300)
	stop()
	fill(t, old, 300, 700)
	back.Witnesses = ws
	var logged bytes.Buffer
	back.Logger = slog.New(slog.NewTextHandler(&lockedWriter{w: &logged}, nil))
	r = mustOpen(t, back)
	err := r.Run(t.Context())
	if !errors.Is(err, ErrStopped) {
		t.Fatalf("a register that was rolled back: %v", err)
	}
	if c := r.Checkpoint(); c.Size != 300 {
		t.Fatalf("it signed a checkpoint of %d", c.Size)
	}
	if st := r.Status(); !st.Stopped || !st.Waiting || st.Dissenting < 2 {
		t.Fatalf("status %+v", st)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}

	// With the witnesses out of reach it waits rather than signs.
	for _, srv := range servers[:2] {
		srv.Close()
	}
	r = mustOpen(t, back)
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	if err := r.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if c := r.Checkpoint(); c.Size != 300 || !r.Status().Waiting {
		t.Fatalf("it signed a checkpoint of %d without having heard enough witnesses", c.Size)
	}
	_ = r.Close()
}

type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(b)
}

// TestForgedAnswersAreRefused: what is not a fresh cosignature of this checkpoint by this witness confirms nothing, and
// is logged.
func TestForgedAnswersAreRefused(t *testing.T) {
	real1, srv := seatOf(t, t.TempDir(), "bureau.example")
	other, _ := seatOf(t, t.TempDir(), "bureau.example") // The same name, another key.
	proxy := func(to string) func(http.ResponseWriter, *http.Request) {
		return func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			res, err := http.Post(to+"/add-checkpoint", "text/plain", bytes.NewReader(body))
			if err != nil {
				w.WriteHeader(502)
				return
			}
			defer res.Body.Close()
			w.Header().Set("Content-Type", res.Header.Get("Content-Type"))
			w.WriteHeader(res.StatusCode)
			_, _ = io.Copy(w, res.Body)
		}
	}
	var first []byte
	replay := func(w http.ResponseWriter, r *http.Request) {
		rec := httptest.NewRecorder()
		proxy(srv.URL)(rec, r)
		if first == nil && rec.Code == 200 {
			first = rec.Body.Bytes() // Of the empty tree.
		}
		if first != nil {
			_, _ = w.Write(first)
			return
		}
		w.Header().Set("Content-Type", rec.Header().Get("Content-Type"))
		w.WriteHeader(rec.Code)
		_, _ = w.Write(rec.Body.Bytes())
	}
	status := func(code int, media, text string) func(http.ResponseWriter, *http.Request) {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", media)
			w.WriteHeader(code)
			_, _ = io.WriteString(w, text)
		}
	}
	upgrade := func(w http.ResponseWriter, _ *http.Request) {
		c, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		t.Cleanup(func() { _ = c.Close() })
		_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n")
	}
	for name, h := range map[string]func(http.ResponseWriter, *http.Request){
		"another key of the same name": proxy(other.URL),
		"an old cosignature again":     replay,
		"nothing":                      status(200, "text/plain", ""),
		"garbage":                      status(200, "text/plain", "— bureau.example AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n"),
		"endless":                      status(200, "text/plain", strings.Repeat("— x AAAAAAAA\n", 1<<16)),
		"redirect":                     status(302, "text/plain", ""),
		"another protocol":             upgrade,
		"absurd size":                  status(409, "text/x.tlog.size", "18446744073709551616\n"),
		"size as text":                 status(409, "text/plain", "7\n"),
		"always stale":                 status(409, "text/x.tlog.size", "1\n"),
	} {
		t.Run(name, func(t *testing.T) {
			first = nil
			forger := httptest.NewServer(http.HandlerFunc(h))
			defer forger.Close()
			s := &memory.Store{}
			o := options(t.TempDir(), Over(s))
			o.Witnesses = []Witness{{Key: real1.Key, URL: forger.URL}}
			logged := &lockedWriter{w: &bytes.Buffer{}}
			o.Logger = slog.New(slog.NewTextHandler(logged, nil))
			r := mustOpen(t, o)
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() { done <- r.Run(ctx) }()
			fill(t, s, 0, 10)
			until(t, "the refusal in the log", func() bool {
				logged.mu.Lock()
				defer logged.mu.Unlock()
				return strings.Contains(logged.w.(*bytes.Buffer).String(), "witness refused or unreachable")
			})
			cancel()
			if err := <-done; err != nil && !errors.Is(err, ErrStopped) {
				t.Fatal(err)
			}
			if c, ok := r.Confirmed(); ok && c.Size > 0 {
				t.Fatalf("it confirmed %q", c.Note)
			}
			_ = r.Close()
		})
	}
}

// TestCosignaturesOfOneCheckpointAddUp: witnesses that are never there at the same time confirm what each of them cosigned.
func TestCosignaturesOfOneCheckpointAddUp(t *testing.T) {
	ws, servers := jury(t)
	o := options(t.TempDir(), Over(&memory.Store{}))
	o.Witnesses = ws[:2]
	r := mustOpen(t, o)
	defer r.Close()
	pub := r.published.Load()
	there := r.panel.seats[1].URL
	r.panel.seats[1].URL = "http://127.0.0.1:1"
	if r.panel.round(t.Context(), pub) || r.panel.confirmed.Load() != nil {
		t.Fatal("one of two confirmed it")
	}
	servers[0].Close()
	r.panel.seats[1].URL = there
	if r.panel.round(t.Context(), pub) {
		t.Error("all answered, though one is away")
	}
	if c, ok := r.Confirmed(); !ok || strings.Count(c.Note, "\n— ") < 3 || c.Note != r.Checkpoint().Note {
		t.Errorf("both have cosigned it: %q", c.Note)
	}
	if r.panel.agreed.Load() != nil {
		t.Error("a cosignature of before was taken for agreement with the clock now")
	}
}

// TestWitnessThatErredOnceIsAskedAgain: one that said once that it knows more than there is does not stay out for that.
func TestWitnessThatErredOnceIsAskedAgain(t *testing.T) {
	w, srv := seatOf(t, t.TempDir(), "bureau.example")
	r := mustOpen(t, options(t.TempDir(), Over(&memory.Store{})))
	defer r.Close()
	v, err := cosignature.NewVerifierForCosignatureV1(w.Key)
	if err != nil {
		t.Fatal(err)
	}
	erring := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/x.tlog.size")
		w.WriteHeader(http.StatusConflict)
		_, _ = io.WriteString(w, "4000000000000000000\n")
	}))
	defer erring.Close()
	s := &seat{Witness: Witness{Key: w.Key, URL: erring.URL}, verifier: v}
	if _, err := s.cosign(t.Context(), r.panel, r.published.Load()); !errors.Is(err, errDissent) || s.state.Load() != seatDissent {
		t.Fatalf("it knows more than there is: %v", err)
	}
	s.URL = srv.URL
	if _, err := s.cosign(t.Context(), r.panel, r.published.Load()); err != nil || s.state.Load() != seatAgrees {
		t.Errorf("asked again: %v", err)
	}
}

// TestReplayedCosignature: an older cosignature of the very same checkpoint is not taken for a fresh one.
func TestReplayedCosignature(t *testing.T) {
	w, srv := seatOf(t, t.TempDir(), "bureau.example")
	v, err := cosignature.NewVerifierForCosignatureV1(w.Key)
	if err != nil {
		t.Fatal(err)
	}
	r := mustOpen(t, options(t.TempDir(), Over(&memory.Store{})))
	defer r.Close()
	text := r.Checkpoint().Note
	res, err := http.Post(srv.URL+"/add-checkpoint", "text/plain", bytes.NewReader(request(0, nil, text)))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := io.ReadAll(res.Body)
	if err = errors.Join(err, res.Body.Close()); err != nil || res.StatusCode != 200 {
		t.Fatalf("status %d, %v", res.StatusCode, err)
	}
	s := &seat{Witness: w, verifier: v}
	_, at, err := s.check(text, string(raw), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for name, try := range map[string]struct{ seen, now time.Time }{
		"after a newer one": {at.Add(time.Second), at},
		"an hour later":     {time.Time{}, at.Add(time.Hour)},
		"from the future":   {time.Time{}, at.Add(-time.Hour)},
	} {
		s.seen = try.seen
		if _, _, err := s.check(text, string(raw), try.now); !errors.Is(err, errForged) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	s.seen = at
	if _, _, err := s.check(text, string(raw), at); err != nil {
		t.Errorf("in the same second: %v", err)
	}
}

func TestParseWitness(t *testing.T) {
	w, _ := seatOf(t, t.TempDir(), "bureau.example")
	if got, err := ParseWitness(w.Key + "=" + w.URL + "/"); err != nil || got != w {
		t.Fatalf("got %+v, %v", got, err)
	}
	named, _ := seatOf(t, t.TempDir(), "http.bureau.example")
	if got, err := ParseWitness(named.Key + "=" + named.URL); err != nil || got != named {
		t.Errorf("by its name it might be a URL: got %+v, %v", got, err)
	}
	for _, bad := range []string{"", w.Key, w.URL, w.Key + "=", w.Key + "=ftp://x", w.Key + "=http://", w.Key + "=http://u:p@x", "x" + w.Key[1:5] + "=http://x", w.Key + "=http://x?y"} {
		if _, err := ParseWitness(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
	o := options(t.TempDir(), Over(&memory.Store{}))
	o.Witnesses = []Witness{w, w}
	if _, err := Open(t.Context(), o); err == nil {
		t.Error("one witness was taken for two")
	}
	o.Witnesses, o.Quorum = []Witness{w}, 2
	if _, err := Open(t.Context(), o); err == nil {
		t.Error("a quorum of two of one was taken")
	}
}

// TestRunEndsThoughTheLogGoesOn stops a register at once while its log has more: it ends, however far it came.
func TestRunEndsThoughTheLogGoesOn(t *testing.T) {
	for n := range 20 {
		s := &memory.Store{}
		r := mustOpen(t, options(t.TempDir(), Over(s)))
		fill(t, s, 0, 10+n)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		done := make(chan error, 1)
		go func() { done <- r.Run(ctx) }()
		select {
		case err := <-done:
			if err != nil {
				t.Fatal(err)
			}
		case <-time.After(time.Minute):
			t.Fatal("it does not end")
		}
	}
}
