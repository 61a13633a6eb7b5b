package api_test

import (
	"encoding/json"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

type problemEntry struct {
	Code    string `json:"code"`
	Status  int    `json:"status"`
	TitleEN string `json:"title_en"`
	TitleZH string `json:"title_zh"`
	Retired bool   `json:"retired"`
}

var (
	rejectCall = regexp.MustCompile(`(?:domain\.)?\bReject\(\s*"([a-z0-9_.]+)"`)
	fieldCode  = regexp.MustCompile(`code[A-Z]\w*\s*=\s*"((?:json|field)\.[a-z0-9_]+)"`)
	constCode  = regexp.MustCompile(`const Code[A-Z]\w* = "([a-z0-9_.]+)"`)
	problemUse = regexp.MustCompile(`^[a-z0-9_]+(\.[a-z0-9_]+)*$`)
)

// TestProblemsIsTheWholeCatalogue holds problems.json to every code the product can give, both ways.
func TestProblemsIsTheWholeCatalogue(t *testing.T) {
	listed := readCatalogue(t)
	given := codesOfSource(t)
	for code, where := range given {
		e, ok := listed[code]
		switch {
		case !ok:
			t.Errorf("%s gives %q, and problems.json does not list it", where, code)
		case e.Retired:
			t.Errorf("%s gives %q, which problems.json calls retired", where, code)
		}
	}
	for code, e := range listed {
		if _, ok := given[code]; !ok && !e.Retired {
			t.Errorf("problems.json lists %q, and nothing gives it", code)
		}
	}
}

func TestProblemsAreWellFormed(t *testing.T) {
	allowed := []int{0, 400, 401, 403, 404, 405, 408, 409, 412, 413, 415, 421, 422, 423, 429, 500, 503}
	for code, e := range readCatalogue(t) {
		if !problemUse.MatchString(code) || e.TitleEN == "" || e.TitleZH == "" || !slices.Contains(allowed, e.Status) {
			t.Errorf("%+v", e)
		}
	}
}

func readCatalogue(t *testing.T) map[string]problemEntry {
	t.Helper()
	raw, err := os.ReadFile("problems.json")
	if err != nil {
		t.Fatal(err)
	}
	var list []problemEntry
	if err := json.Unmarshal(raw, &list); err != nil {
		t.Fatal(err)
	}
	listed := map[string]problemEntry{}
	for _, e := range list {
		if _, twice := listed[e.Code]; twice {
			t.Errorf("%s is listed twice", e.Code)
		}
		listed[e.Code] = e
	}
	return listed
}

// codesOfSource maps each code to the file that gives it.
func codesOfSource(t *testing.T) map[string]string {
	t.Helper()
	given := map[string]string{}
	root := os.DirFS("..")
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata") {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		raw, err := fs.ReadFile(root, name)
		if err != nil {
			return err
		}
		for _, m := range rejectCall.FindAllSubmatch(raw, -1) {
			given[string(m[1])] = name
		}
		for _, m := range slices.Concat(constCode.FindAllSubmatch(raw, -1), fieldCode.FindAllSubmatch(raw, -1)) {
			given[string(m[1])] = name
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	raw, err := fs.ReadFile(root, "domain/ruleset/rules.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`"code":\s*"([a-z0-9_.]+)"`).FindAllSubmatch(raw, -1) {
		given[string(m[1])] = "domain/ruleset/rules.json"
	}
	return given
}
