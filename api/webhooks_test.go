package api_test

import (
	"fmt"
	"net/http"
	"testing"
)

// TestWebhookAddressesAreRefused: what must not be called can't be registered.
func TestWebhookAddressesAreRefused(t *testing.T) {
	w := newTown(t)
	w.people()
	before := w.events()
	for url, code := range map[string]string{
		"http://example.com/":                      "webhook.url",
		"https://example.com:8443/":                "webhook.url",
		"https://user:secret@example.com/":         "webhook.url",
		"https://example.com/#part":                "webhook.url",
		"file:///etc/passwd":                       "webhook.url",
		"https://localhost/":                       "webhook.address",
		"https://127.0.0.1/":                       "webhook.address",
		"https://[::1]/":                           "webhook.address",
		"https://[::ffff:10.1.2.3]/":               "webhook.address",
		"https://10.0.0.7/hook":                    "webhook.address",
		"https://169.254.169.254/latest/meta-data": "webhook.address",
		"https://intranet/":                        "webhook.address",
	} {
		w.do("landlord", "POST", "/v1/webhook-endpoints", fmt.Sprintf(`{"url":%q}`, url), "Idempotency-Key: "+url).
			problem(http.StatusUnprocessableEntity, code)
	}
	for _, types := range []string{`["no.such"]`, `["webhook.registered"]`, `["apikey.issued"]`, `["contract.filed","contract.filed"]`} {
		w.do("landlord", "POST", "/v1/webhook-endpoints", `{"url":"https://example.com/","types":`+types+`}`).
			problem(http.StatusUnprocessableEntity, "webhook.types")
	}
	if n := w.events(); n != before {
		t.Errorf("%d events were appended by refused endpoints", n-before)
	}
	made := w.do("landlord", "POST", "/v1/webhook-endpoints", `{"url":"https://example.com/hook"}`).want(http.StatusCreated)
	if made.header.Get("Location") != "/v1/webhook-endpoints/"+fmt.Sprint(made.at("id")) {
		t.Errorf("location %q", made.header.Get("Location"))
	}
}
