package api

import (
	"net/http/httptest"
	"testing"

	"github.com/labstack/echo/v4"
)

// TestCommandIDsTellNothing: command ids are in the log for good, so who guesses a request and its key, but has not the
// register's secret, can't see whether it was made; registers with one secret, as the nodes of one have, agree.
func TestCommandIDsTellNothing(t *testing.T) {
	id := func(secret, path, condition, body string) string {
		t.Helper()
		s, err := New(Options{Secret: []byte(secret)})
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest("POST", path, nil)
		r.Header.Set("If-Match", condition)
		c := &call{echo: echo.New().NewContext(r, nil), op: &operation{method: "POST"}, raw: []byte(body)}
		return commandID(c, "key", s.fingerprint(c))
	}
	first := id("a", "/v1/parties", "", `{"n":1}`)
	if again := id("a", "/v1/parties", "", " {\"n\":1}\n"); again != first {
		t.Error("the same request of the same register has another id")
	}
	for name, other := range map[string]string{
		"secret": id("b", "/v1/parties", "", `{"n":1}`), "path": id("a", "/v1/units", "", `{"n":1}`),
		"condition": id("a", "/v1/parties", `"1"`, `{"n":1}`), "body": id("a", "/v1/parties", "", `{"n":2}`),
	} {
		if other == first {
			t.Errorf("another %s gives the same id", name)
		}
	}
}
