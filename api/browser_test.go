package api_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"zujian/api"
)

// phone is a tab of a real browser, as wide as a phone.
type phone struct {
	t    *testing.T
	ctx  context.Context
	base string
	logs chan chromedp.ConsoleMessage
}

// newPhone starts Chromium. It is not skipped without one: deploy/test-deps.sh installs it.
func newPhone(t *testing.T, w *town) *phone {
	t.Helper()
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if p, err := exec.LookPath(name); err == nil && path == "" {
			path = p
		}
	}
	if path == "" {
		t.Fatal("no chromium: run deploy/test-deps.sh")
	}
	server := httptest.NewServer(w.server.HTTPServer("").Handler)
	t.Cleanup(server.Close)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox,
		chromedp.Flag("disable-dev-shm-usage", true))
	ctx, stop := chromedp.NewExecAllocator(ctx, options...)
	ctx, end := chromedp.NewContext(ctx)
	t.Cleanup(func() { end(); stop(); cancel() })
	p := &phone{t: t, ctx: ctx, base: server.URL, logs: make(chan chromedp.ConsoleMessage, 1000)}
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("start %s: %v", path, err)
	}
	go func() {
		for m, err := range chromedp.Console(ctx) {
			if err != nil {
				return
			}
			p.logs <- m
		}
	}()
	return p
}

// look is what stands on the screen after a page is loaded.
type look struct {
	H1          string  `json:"h1"`
	H1Top       float64 `json:"h1_top"`
	H1Bottom    float64 `json:"h1_bottom"`
	H1Px        float64 `json:"h1_px"`
	SmallestPx  float64 `json:"smallest_px"`
	Contrast    float64 `json:"contrast"`    // The least of all texts.
	ContrastAt  string  `json:"contrast_at"` // Which one.
	ScrollWidth float64 `json:"scroll_width"`
	Width       float64 `json:"width"`
	Height      float64 `json:"height"`
	Widest      string  `json:"widest"` // What reaches furthest to the right.
	Text        string  `json:"text"`
	Lang        string  `json:"lang"`
	Background  string  `json:"background"`
}

const lookJS = `(() => {
  const rgb = s => { const m = s.match(/[\d.]+/g).map(Number); return m.length < 4 || m[3] > 0 ? m : null };
  const lum = c => { const f = v => (v /= 255) <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4; return .2126 * f(c[0]) + .7152 * f(c[1]) + .0722 * f(c[2]) };
  const back = e => { for (; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor); if (c) return c } return [255, 255, 255] };
  let contrast = 99, at = "", smallest = 99;
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const e = walk.currentNode.parentElement, text = walk.currentNode.textContent.trim(), r = e.getBoundingClientRect();
    if (!text || r.left < 0 || !r.width) continue;
    const style = getComputedStyle(e), a = lum(rgb(style.color)), b = lum(back(e));
    const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
    if (ratio < contrast) { contrast = ratio; at = text.slice(0, 40) }
    smallest = Math.min(smallest, parseFloat(style.fontSize));
  }
  let right = 0, widest = "";
  for (const e of document.body.querySelectorAll("*")) {
    const r = e.getBoundingClientRect();
    if (r.right > right && !e.closest(".scroll, pre")) { right = r.right; widest = e.tagName + " " + e.className + " " + e.innerText?.slice(0, 60) }
  }
  const h1 = document.querySelector("h1"), r = h1.getBoundingClientRect();
  return {h1: h1.innerText, h1_top: r.top, h1_bottom: r.bottom, h1_px: parseFloat(getComputedStyle(h1).fontSize), smallest_px: smallest, contrast, contrast_at: at, widest,
    scroll_width: document.documentElement.scrollWidth, width: innerWidth, height: innerHeight, text: document.body.innerText,
    lang: document.documentElement.lang, background: getComputedStyle(document.body).backgroundColor};
})()`

// screen is how a page is looked at.
type screen struct {
	width, height int64
	dark          bool
	lang          string
}

// open loads a page and holds it to what every page must be: no line wider than the screen, legible, without errors.
func (p *phone) open(path string, s screen) look {
	p.t.Helper()
	scheme := "light"
	if s.dark {
		scheme = "dark"
	}
	for len(p.logs) > 0 {
		<-p.logs
	}
	_, err := chromedp.Call(p.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
	})
	if err == nil {
		err = chromedp.Do(p.ctx, chromedp.EmulateViewport(s.width, s.height, chromedp.EmulateMobile), chromedp.Navigate(p.base+path+"?lang="+s.lang))
	}
	if err != nil {
		p.t.Fatalf("%s: %v", path, err)
	}
	l, err := chromedp.Run(p.ctx, chromedp.Evaluate[look](lookJS))
	if err != nil {
		p.t.Fatalf("%s: look: %v", path, err)
	}
	name := fmt.Sprintf("%s %dx%d %s %s", path, s.width, s.height, scheme, s.lang)
	if l.ScrollWidth > l.Width || l.Width != float64(s.width) {
		p.t.Errorf("%s: %v wide on a screen of %v: %s", name, l.ScrollWidth, l.Width, l.Widest)
	}
	if l.Contrast < 4.5 || l.SmallestPx < 12 {
		p.t.Errorf("%s: contrast %.2f at %q, smallest text %v px", name, l.Contrast, l.ContrastAt, l.SmallestPx)
	}
	if dark := l.Background != "rgb(255, 255, 255)"; dark != s.dark {
		p.t.Errorf("%s: background %s", name, l.Background)
	}
	if (s.lang == "en") != (l.Lang == "en") {
		p.t.Errorf("%s: in %s", name, l.Lang)
	}
	for len(p.logs) > 0 {
		if m := <-p.logs; (m.Type == chromedp.ConsoleError || m.Type == chromedp.ConsoleException || m.Type == chromedp.ConsoleWarning) &&
			!strings.Contains(m.Text, "404") { // The answer to a code that is not there.
			p.t.Errorf("%s: console: %s", name, m.Text)
		}
	}
	p.keep(path, scheme, s)
	return l
}

// keep writes a screenshot where ZUJIAN_SCREENSHOTS says, for people to look at.
func (p *phone) keep(path, scheme string, s screen) {
	dir := os.Getenv("ZUJIAN_SCREENSHOTS")
	if dir == "" {
		return
	}
	shot, err := chromedp.Run(p.ctx, chromedp.CaptureScreenshot())
	if err != nil {
		p.t.Fatal(err)
	}
	file := regexp.MustCompile(`\W+`).ReplaceAllString(fmt.Sprintf("%s %s %s %d", path, scheme, s.lang, s.width), "_") + ".png"
	if err := os.WriteFile(filepath.Join(dir, file), shot, 0o600); err != nil {
		p.t.Fatal(err)
	}
}

// codes makes one verification code in each state that a tenant can meet.
func (w *town) codes() map[string]string {
	w.t.Helper()
	w.people()
	at, n := map[string]string{}, 0
	listed := func(state string, then ...string) (string, string) {
		n++
		body := strings.ReplaceAll(buildingBody, `"building_no":"3"`, fmt.Sprintf(`"building_no":"%d"`, 100+n))
		unit := w.do("district", "POST", "/v1/buildings", body).want(http.StatusCreated).text("units.0.id")
		w.do("district", "POST", "/v1/units/"+unit+"/ownership", fmt.Sprintf(
			`{"owners":[{"party_id":%q,"share_bp":10000}],"title_no":"苏2020示例第%07d号","from":"2020-05-01"}`, w.ids["landlord"], n)).want(http.StatusOK)
		l := w.do("landlord", "POST", "/v1/listings", fmt.Sprintf(
			`{"unit_id":%q,"rooms":[],"let_mode":"WHOLE","rent_fen":350000,"deposit_fen":350000,"pay_cycle_months":3,"available_from":"2026-12-01"}`, unit)).want(http.StatusCreated)
		id := l.text("id")
		at[state] = w.do("landlord", "POST", "/v1/listings/"+id+"/submission", "").want(http.StatusOK).text("code")
		for _, step := range then {
			who, path, body := "landlord", step, ""
			switch step {
			case "revocation":
				who, body = "city", `{"reason":"示例：查无此房"}`
			case "suspension", "withdrawal":
				body = `{"reason":"示例"}`
			}
			w.do(who, "POST", "/v1/listings/"+id+"/"+path, body).want(http.StatusOK)
		}
		return unit, id
	}
	listed("EXPIRED", "publication")
	w.pass(62 * 24 * time.Hour)
	listed("PUBLISHED", "publication")
	listed("VERIFIED")
	listed("SUSPENDED", "publication", "suspension")
	listed("WITHDRAWN", "publication", "withdrawal")
	listed("REVOKED", "publication", "revocation")
	_, old := listed("SUPERSEDED", "publication")
	w.do("landlord", "POST", "/v1/listings/"+old+"/code-renewal", "").want(http.StatusOK)
	let, _ := listed("LET", "publication")
	contract := w.do("landlord", "POST", "/v1/contracts", strings.NewReplacer("2026-11-23", "2027-01-24", "2026-12-01", "2027-01-24", "2027-11-30", "2028-01-23").
		Replace(w.contractBody(let))).want(http.StatusCreated)
	for _, who := range []string{"landlord", "tenant"} {
		w.do(who, "POST", "/v1/contracts/"+contract.text("id")+"/signatures",
			fmt.Sprintf(`{"party_id":%q,"content_hash":%q}`, w.ids[who], contract.text("content_hash"))).want(http.StatusOK)
	}
	w.do("landlord", "POST", "/v1/contracts/"+contract.text("id")+"/filing", "").want(http.StatusOK)
	at["UNKNOWN"] = "HY3201152611000001B"
	at["MALFORMED"] = "HY3201152611000001C"
	at["MALFORMED text"] = "ABC-12"
	return at
}

// TestTheCodePageOnAPhone: whatever a code's state, the first thing on a phone's screen says whether to pay.
func TestTheCodePageOnAPhone(t *testing.T) {
	w := newTown(t)
	codes := w.codes()
	p := newPhone(t, w)
	small := screen{width: 360, height: 640}
	for state, code := range codes {
		for _, lang := range []string{"zh", "en"} {
			s := small
			s.lang, s.dark = lang, lang == "en" // Both are seen in both over the states below.
			l := p.open("/v/"+code, s)
			stop := map[string]string{"zh": "请勿付款", "en": "Do not pay"}[lang]
			if state == "PUBLISHED" {
				if good := map[string]string{"zh": "已核验", "en": "verified"}[lang]; !strings.Contains(l.H1, good) || strings.Contains(l.H1, stop) {
					t.Errorf("a good one in %s: %q", lang, l.H1)
				}
				if !strings.Contains(l.Text, "3,500.00") || !strings.Contains(l.Text, "示例路8号") || strings.Contains(l.Text, "1201") {
					t.Errorf("the home of a good one: %s", l.Text)
				}
			} else if !strings.Contains(l.H1, stop) {
				t.Errorf("%s in %s says %q", state, lang, l.H1)
			}
			if other := map[string]string{"en": "付款", "zh": "pay"}[lang]; state != "PUBLISHED" && !strings.Contains(l.Text, other) {
				t.Errorf("%s in %s has no word in the other language", state, lang)
			}
			if l.H1Top < 0 || l.H1Bottom > l.Height/2 || l.H1Px < 28 {
				t.Errorf("%s: the answer stands from %v to %v of %v, %v px", state, l.H1Top, l.H1Bottom, l.Height, l.H1Px)
			}
			if !strings.Contains(l.Text, code) {
				t.Errorf("%s: the page does not repeat the code", state)
			}
		}
	}
	if l := p.open("/v/"+codes["REVOKED"], screen{360, 640, false, "zh"}); strings.Contains(l.Text, "✓") {
		t.Errorf("a page that says not to pay shows a tick: %s", l.Text)
	}
	for _, s := range []screen{{320, 568, false, "zh"}, {320, 568, true, "zh"}, {320, 568, false, "en"}, {1280, 800, true, "zh"}} {
		p.open("/v/"+codes["PUBLISHED"], s)
		p.open("/v/"+codes["REVOKED"], s)
	}
	t.Run("without scripts", func(t *testing.T) {
		w.weigh(t, "/v/"+codes["PUBLISHED"])
	})
}

// weigh holds the page with all it loads to 30 KB, in two requests, without a script.
func (w *town) weigh(t *testing.T, path string) {
	t.Helper()
	get := func(path string) string {
		r := httptest.NewRequest(http.MethodGet, path, nil)
		a := httptest.NewRecorder()
		w.server.HTTPServer("").Handler.ServeHTTP(a, r)
		if a.Code != http.StatusOK {
			t.Fatalf("%s: %d", path, a.Code)
		}
		return a.Body.String()
	}
	page := get(path)
	loaded := len(page)
	for _, m := range regexp.MustCompile(`(?:src|href)="(/static/[^"]+)"`).FindAllStringSubmatch(page, -1) {
		loaded += len(get(m[1]))
	}
	if loaded > 30<<10 || loaded < 3000 || strings.Contains(page, "<script") || strings.Contains(page, "http://") {
		t.Errorf("%s weighs %d bytes with all it loads", path, loaded)
	}
	t.Logf("%s weighs %d bytes", path, loaded)
}

// TestTheOtherPagesOnAPhone opens the start page, the reference and a page that is not there.
func TestTheOtherPagesOnAPhone(t *testing.T) {
	w := newTown(t, func(o *api.Options) { o.Demo = true })
	p := newPhone(t, w)
	for _, s := range []screen{{360, 640, false, "zh"}, {320, 568, true, "en"}} {
		start := p.open("/", s)
		for _, want := range []string{"test", "memory", "示例数据"} {
			if !strings.Contains(start.Text, want) {
				t.Errorf("the start page does not say %q: %s", want, start.Text)
			}
		}
		docs := p.open("/docs", s)
		for _, want := range []string{"/v1/contracts/{id}/filing", "Idempotency-Key", "320115004"} {
			if !strings.Contains(docs.Text, want) {
				t.Errorf("the reference does not mention %s", want)
			}
		}
	}
}
