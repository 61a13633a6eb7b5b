package api

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestStrictJSONRefuses(t *testing.T) {
	deep := strings.Repeat(`{"a":`, 100) + "1" + strings.Repeat("}", 100)
	for _, c := range []struct{ name, doc, pointer, code string }{
		{"a duplicate name", `{"rent_fen":1,"rent_fen":2}`, "/rent_fen", codeDuplicate},
		{"a duplicate name by escape", `{"rent_fen":1,"\u0072ent_fen":2}`, "/rent_fen", codeDuplicate},
		{"a duplicate name further in", `{"a":[{"b":1,"b":2}]}`, "/a/0/b", codeDuplicate},
		{"trailing data", `{}{}`, "", codeTrailing},
		{"a byte order mark", "\xef\xbb\xbf{}", "", codeSyntax},
		{"nesting of 100", deep, strings.Repeat("/a", 33), codeDepth},
		{"overlong UTF-8", "{\"name\":\"\xc0\xaf\"}", "/name", codeUTF8},
		{"a lone surrogate", `{"name":"\ud800"}`, "/name", codeUTF8},
		{"a surrogate pair the wrong way round", `{"name":"\udc00\ud800"}`, "/name", codeUTF8},
		{"NUL", `{"name":"张\u0000三"}`, "/name", codeText},
		{"a raw control character", "{\"name\":\"a\x01\"}", "/name", codeSyntax},
		{"a bidirectional override", `{"name":"张\u202e三"}`, "/name", codeText},
		{"a zero width joiner", "{\"name\":\"张\u200d三\"}", "/name", codeText},
		{"private use", `{"name":"\ue000"}`, "/name", codeText},
		{"a tower of combining marks", `{"name":"张` + strings.Repeat("\u0301", 1000) + `"}`, "/name", codeText},
		{"1e400", `{"n":1e400}`, "/n", codeNumber},
		{"3.5e5", `{"n":3.5e5}`, "/n", codeNumber},
		{"a fraction", `{"n":350000.5}`, "/n", codeNumber},
		{"minus zero", `{"n":-0}`, "/n", codeNumber},
		{"a number of 40 digits", `{"n":` + strings.Repeat("9", 40) + `}`, "/n", codeNumber},
		{"a leading zero", `{"n":01}`, "/n", codeSyntax},
		{"NaN", `{"n":NaN}`, "/n", codeSyntax},
		{"nothing", ``, "", codeSyntax},
		{"an open string", `{"n":"a`, "/n", codeSyntax},
		{"an open object", `{"n":1`, "", codeSyntax},
		{"a trailing comma", `{"n":1,}`, "", codeSyntax},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := strictJSON([]byte(c.doc))
			if err == nil || *err != (FieldError{Pointer: c.pointer, Code: c.code}) {
				t.Errorf("got %+v, want %s at %q", err, c.code, c.pointer)
			}
		})
	}
}

func TestStrictJSONReadsLikeTheStandardLibrary(t *testing.T) {
	for _, doc := range []string{
		`{"a":[1,-2,0,true,false,null,"x"],"b":{"c":{}},"名":"\u5f20\ud867\ude3d𬭎 \"\\\/\b\n"}`, `[]`, ` "a" `, `null`,
	} {
		if strings.Contains(doc, `\b`) { // A backspace is refused; compare without it.
			doc = strings.ReplaceAll(doc, `\b`, "")
		}
		got, ferr := strictJSON([]byte(doc))
		if ferr != nil {
			t.Fatalf("%s: %+v", doc, ferr)
		}
		var want any
		d := json.NewDecoder(strings.NewReader(doc))
		d.UseNumber()
		if err := d.Decode(&want); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", doc, diff)
		}
	}
}

func FuzzStrictJSON(f *testing.F) {
	for _, s := range []string{`{"a":[1,"x",null]}`, `{"\u0061":1}`, "\xef\xbb\xbf", `"\ud800"`, `[[[`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		got, ferr := strictJSON(doc)
		if ferr != nil {
			return
		}
		var want any
		d := json.NewDecoder(bytes.NewReader(doc))
		d.UseNumber()
		if err := d.Decode(&want); err != nil {
			t.Fatalf("accepted what encoding/json refuses: %v", err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatal(diff)
		}
	})
}
