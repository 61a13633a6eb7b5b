package api_test

import (
	"net/http/httptest"
	"strings"
	"testing"
)

// BenchmarkRefusedContract is everything before the desk: key, limits, strict reading, schema, problem document.
func BenchmarkRefusedContract(b *testing.B) {
	w := newTown(b)
	w.people()
	body := strings.Replace(w.contractBody("unit"), `"kind":"OUT"`, `"kind":"NONE"`, 1)
	for b.Loop() {
		r := httptest.NewRequest("POST", "/v1/contracts", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", "Bearer "+w.keys["landlord"])
		rec := httptest.NewRecorder()
		w.server.ServeHTTP(rec, r)
		if rec.Code != 400 {
			b.Fatal(rec.Code, rec.Body)
		}
	}
}
