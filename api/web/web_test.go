package web_test

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"time"

	"zujian/api/web"
)

func pages(t *testing.T) *web.Pages {
	t.Helper()
	spec, err := os.ReadFile("../openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	p, err := web.New(spec)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

var home = web.Verify{
	Code: "HY3201152611000001B", State: web.CodePublished, CheckedAt: time.Date(2026, 11, 23, 2, 0, 0, 0, time.UTC),
	Address: "示例路8号", Area: "江宁区", LetMode: "WHOLE", AreaC: 8912, Bedrooms: 2, RentFen: 350000, ValidUntil: "2027-01-22",
	Publisher: "示例租赁有限公司", PublisherRole: "COMPANY", PublisherOK: true, Bank: "示例银行", Last4: "0018",
}

func render(t *testing.T, lang string, v web.Verify) string {
	t.Helper()
	var out bytes.Buffer
	if err := pages(t).Verify(&out, lang, v); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestEachStateSaysWhetherToPay(t *testing.T) {
	for _, state := range []string{
		web.CodeUnknown, web.CodeMalformed, web.CodeVerified, web.CodeExpired, web.CodeSuspended, web.CodeWithdrawn, web.CodeLet,
		web.CodeRevoked, web.CodeReplaced, "A_STATE_OF_TOMORROW",
	} {
		v := home
		v.State = state
		for lang, want := range map[string]string{"zh": "请勿付款", "en": "Do not pay"} {
			if h1 := heading(render(t, lang, v)); !strings.Contains(h1, want) {
				t.Errorf("%s in %s: heading %q does not say %q", state, lang, h1, want)
			}
		}
	}
	if h1 := heading(render(t, "zh", home)); !strings.Contains(h1, "已核验") || strings.Contains(h1, "勿") {
		t.Errorf("a good one: %q", h1)
	}
}

func TestTheHomeAndWhoLetsItAreTwoAnswers(t *testing.T) {
	bad := home
	bad.PublisherOK = false
	page := render(t, "zh", bad)
	if h1 := heading(page); !strings.Contains(h1, "房源属实，但请勿付款") {
		t.Errorf("a real home of a lessor out of order: %q", h1)
	}
	private := home
	private.Bank = ""
	if page := render(t, "zh", private); !strings.Contains(page, "未公示监管账户") {
		t.Error("a company without a supervised account gets no warning")
	}
	owner := private
	owner.PublisherRole, owner.Publisher = "OWNER", "示**"
	if page := render(t, "zh", owner); strings.Contains(page, "answer care") {
		t.Error("an owner needs no supervised account")
	}
}

func heading(page string) string {
	_, rest, _ := strings.Cut(page, "<h1>")
	h1, _, _ := strings.Cut(rest, "</h1>")
	return h1
}

func TestPagesAreSmallAndNeedNoScript(t *testing.T) {
	p := pages(t)
	var verify, start, docs bytes.Buffer
	if err := p.Verify(&verify, "zh", home); err != nil {
		t.Fatal(err)
	}
	status := web.Status{Version: "test", Store: "memory", Events: 3, Ready: true, Views: []web.ViewStatus{{Name: "housing", Version: 1, State: "live"}}}
	for _, lang := range []string{"zh", "en"} {
		if err := p.Home(&start, lang, status); err != nil {
			t.Fatal(err)
		}
		if err := p.Docs(&docs, lang); err != nil {
			t.Fatal(err)
		}
		if err := p.NotFound(&start, lang); err != nil {
			t.Fatal(err)
		}
	}
	_, style := p.Style()
	_ = style
	css, err := os.ReadFile("static/style.css")
	if err != nil {
		t.Fatal(err)
	}
	if n := verify.Len() + len(css); n > 40<<10 {
		t.Errorf("the verification page weighs %d bytes", n)
	}
	for name, page := range map[string]string{"verify": verify.String(), "home": start.String(), "docs": docs.String()} {
		for _, banned := range []string{"<script", "style=", "onclick", "javascript:", "ZgotmplZ"} {
			if strings.Contains(page, banned) {
				t.Errorf("%s has %q", name, banned)
			}
		}
	}
	if !strings.Contains(docs.String(), "/v1/contracts/{id}/filing") || !strings.Contains(start.String(), "housing") {
		t.Error("the pages are empty")
	}
}

func TestHostileTextStaysText(t *testing.T) {
	v := home
	v.Publisher, v.Code = `<img src=x onerror=alert(1)>`, `"><script>`
	if page := render(t, "zh", v); strings.Contains(page, "<img") || strings.Contains(page, "<script>") {
		t.Error("markup came through")
	}
}
