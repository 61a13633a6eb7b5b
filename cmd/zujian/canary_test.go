package main

import (
	"bytes"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"testing"
)

// TestPersonalDataNeverStandsInClear plants a name, a document number and a phone through the API, kills the server and
// searches the whole data folder and the log lines; then a city erases the person and nobody reads them again.
func TestPersonalDataNeverStandsInClear(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a real process")
	}
	data, p, city := startRegister(t)
	canaries := []string{"金丝雀一号", testID(777), "13912345678"}
	body := map[string]any{"kind": "PERSON", "name": canaries[0], "doc_type": "CN_ID", "doc_no": canaries[1], "phone": canaries[2]}
	id := p.must(t, http.StatusCreated, "POST", "/v1/parties", city, body).field(t, "id")
	if again := p.must(t, http.StatusCreated, "POST", "/v1/parties", city, body).field(t, "id"); again != id {
		t.Errorf("the same person registered twice is %s and %s", id, again)
	}
	p.must(t, http.StatusOK, "POST", "/v1/parties/"+id+"/verification", city, map[string]any{"level": 2, "method": "ID_NAME_MATCH"})
	own := p.must(t, http.StatusCreated, "POST", "/v1/keys", city, map[string]any{"role": "tenant", "party_id": id, "label": "test"}).field(t, "key")
	if self := p.must(t, http.StatusOK, "GET", "/v1/parties/"+id, own, nil); !bytes.Contains(self.body, []byte(canaries[0])) {
		t.Errorf("a person can't read their own name: %s", self.body)
	}
	masked := p.must(t, http.StatusOK, "GET", "/v1/parties/"+id, city, nil).body
	metrics := p.must(t, http.StatusOK, "GET", "/metrics", "", nil).body
	p.kill()
	for _, canary := range canaries {
		for name, text := range map[string][]byte{"the city's answer": masked, "metrics": metrics, "log lines": []byte(p.logs.String())} {
			if bytes.Contains(text, []byte(canary)) {
				t.Errorf("%s stands in %s", canary, name)
			}
		}
		searchFolder(t, data, canary)
	}
	p = startServer(t, data)
	p.forget(t, city, id)
	if self := p.must(t, http.StatusOK, "GET", "/v1/parties/"+id, own, nil); bytes.Contains(self.body, []byte(canaries[0])) {
		t.Errorf("an erased name can be read: %s", self.body)
	}
	if next := p.must(t, http.StatusCreated, "POST", "/v1/parties", city, body).field(t, "id"); next == id {
		t.Error("an erased person who registers anew is the erased one")
	}
}

func searchFolder(t testing.TB, dir, canary string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		raw, err := os.ReadFile(path)
		if err == nil && bytes.Contains(raw, []byte(canary)) {
			t.Errorf("%s stands in %s", canary, path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
