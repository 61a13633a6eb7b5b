package domain_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"zujian/domain"
)

// everything has a field of every kind that a form reads itself, and of some it does not.
type everything struct {
	Text     string                  `json:"text"`
	Named    domain.Sealed           `json:"named,omitempty"`
	Yes      bool                    `json:"yes,omitempty"`
	Small    int8                    `json:"small,omitempty"`
	Fen      domain.Fen              `json:"fen"`
	Count    uint16                  `json:"count,omitempty"`
	Ratio    float64                 `json:"ratio,omitempty"`
	Day      domain.Day              `json:"day"`
	Month    domain.Month            `json:"month,omitzero"`
	At       time.Time               `json:"at,omitzero"`
	Results  domain.Verdict          `json:"results,omitempty"`
	Texts    []string                `json:"texts,omitempty"`
	Parts    []part                  `json:"parts"`
	One      *part                   `json:"one,omitempty"`
	Raw      json.RawMessage         `json:"raw,omitempty"`
	Bytes    []byte                  `json:"bytes,omitempty"`
	Any      any                     `json:"any,omitempty"`
	Map      map[string]int64        `json:"map,omitempty"`
	Hidden   string                  `json:"-"`
	Tree     *everything             `json:"tree,omitempty"`
	Nested   map[string][]domain.Day `json:"nested,omitempty"`
	Number   json.Number             `json:"number,omitempty"`
	Pairs    [][]int                 `json:"pairs,omitempty"`
	Untagged int
	embedded
}

type embedded struct {
	Inner string `json:"inner,omitempty"`
	Deep  *int   `json:"deep,omitempty"`
}

type part struct {
	Share int64      `json:"share_bp"`
	Name  string     `json:"name,omitempty"`
	From  domain.Day `json:"from,omitzero"`
}

// twice has what no form reads itself: a name that stands twice.
type twice struct {
	part
	Name string `json:"name"`
}

var everyForm = domain.FormOf[everything]()

// sameAsJSON holds a form to json.Unmarshal: the same value and the same error.
func sameAsJSON[T any](t interface {
	Helper()
	Fatalf(string, ...any)
}, f domain.Form[T], raw []byte,
) {
	t.Helper()
	var want T
	wantErr := json.Unmarshal(bytes.Clone(raw), &want)
	got, err := f.Unmarshal(raw)
	if (err == nil) != (wantErr == nil) || err != nil && err.Error() != wantErr.Error() {
		t.Fatalf("%s\ngave the error %v, encoding/json %v", raw, err, wantErr)
	}
	if err == nil {
		sameBytes(t, f, got)
	}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("%s\n%s", raw, cmp.Diff(want, got, cmp.AllowUnexported(everything{}, embedded{}, twice{}, part{})))
	}
}

// sameBytes holds a form to json.Marshal: the same bytes and the same error.
func sameBytes[T any](t interface {
	Helper()
	Fatalf(string, ...any)
}, f domain.Form[T], x T,
) {
	t.Helper()
	want, wantErr := json.Marshal(x)
	got, lasting, err := f.AppendLasting([]byte("before"), x)
	if (err == nil) != (wantErr == nil) || err != nil && err.Error() != wantErr.Error() {
		t.Fatalf("%+v\ngave the error %v, encoding/json %v", x, err, wantErr)
	}
	if string(got) != "before"+string(want) {
		t.Fatalf("%s\nencoding/json %s", got, want)
	}
	want, wantErr = json.Marshal(&x)
	if got, err = f.Append([]byte("before"), &x); (err == nil) != (wantErr == nil) || err == nil && string(got) != "before"+string(want) {
		t.Fatalf("at an address %s, %v\nencoding/json %s, %v", got, err, want, wantErr)
	}
	want, _ = json.Marshal(x)
	var back T
	if err := json.Unmarshal(want, &back); lasting && (err != nil || !reflect.DeepEqual(back, x)) {
		t.Fatalf("%s is called lasting (%v)\n   of %#v\ngives %#v", want, err, x, back)
	}
}

const everythingJSON = `{"text":"租约 A","named":"c2VhbGVk","yes":true,"small":-128,"fen":350000,"count":65535,"ratio":-1.5e-3,"day":"2026-03-01",` +
	`"month":"2026-03","at":"2026-03-01T00:00:00.000001Z","results":["C-04@1","U-02@1?",{"rule":"C-05","version":2,"outcome":"ALERT","params":{"a":[ "x,]" ],"n":12}}],` +
	`"texts":["a","b"],"parts":[{"share_bp":10000,"name":"甲"},{"share_bp":0,"from":"1999-12-31"}],"one":{"share_bp":1},"raw":{"x":[1,2]},"bytes":"AQI=",` +
	`"any":{"a":[1,"}"]},"map":{"a":1},"tree":{"text":"","fen":0,"day":"","parts":null,"Untagged":0},"nested":{"k":["2026-01-01"]},"number":"12","pairs":[[1],[],[2,3]],` +
	`"Untagged":7,"inner":"in","deep":3}`

func TestFormReadsAsJSON(t *testing.T) {
	for _, raw := range []string{
		everythingJSON, `{}`, ` {} `, `{"text":"x"} `, `null`, `[]`, `"x"`, ``, `{`, `{"text"}`, `{"text":}`, `{"text":"x",}`, `{"text":"x"}}`, `{"text":"x"}{}`,
		`{"text":"a\"b\\u4e2d\u4e2d"}`, "{\"text\":\"a\nb\"}", "{\"text\":\"\xff\"}", `{"text":null}`, `{"text":1}`, `{"text":["x"]}`, `{"Text":"x","TEXT":"y"}`,
		`{"text":"x","text":"y"}`, `{"fen":1,"text":"late"}`, `{"one":{"share_bp":1},"text":"x","one":{"name":"甲"}}`, `{"deep":3,"inner":"in","small":1,"text":"x","tree":{"fen":2,"text":"y"}}`, `{"fen":1,"text":"x","fen":2,"small":3}`,
		`{"parts":[{"name":"甲","share_bp":1},{"share_bp":2,"name":"乙","share_bp":3}]}`, `{"unknown":{"a":[}]},"text":"x"}`, `{"unknown":1,"fen":2}`, `{"fen":01}`, `{"fen":-0}`, `{"fen":1.0}`, `{"fen":1e3}`,
		`{"fen":9223372036854775807}`, `{"fen":9223372036854775808}`, `{"fen":--1}`, `{"fen":-}`, `{"fen":+1}`, `{"small":128}`, `{"count":-1}`, `{"count":65536}`, `{"ratio":NaN}`,
		`{"ratio":0x1p-2}`, `{"ratio":1_0}`, `{"ratio":1e999}`, `{"ratio":"1"}`, `{"ratio":.5}`, `{"day":""}`, `{"day":null}`, `{"day":"2026-02-30"}`, `{"day":"1970-01-01"}`,
		`{"day":"2026\u002d03-01"}`, `{"day":20260301}`, `{"month":"1970-01"}`, `{"month":"2026-13"}`, `{"month":"2026-3"}`, `{"month":""}`, `{"at":"yesterday"}`, `{"at":null}`, `{"at":12}`,
		`{"results":null}`, `{"results":[]}`, `{"results":["C-04"]}`, `{"results":["C-04@1",]}`, `{"results":[,"C-04@1"]}`, `{"results":[ "C-04@1" , "C-05@1"]}`, `{"results":["C\u002d04@1"]}`,
		`{"results":[{"rule":"x","version":1,"params":{"n":1.5}}]}`, `{"results":[{"rule":"x"]}`, `{"results":{}}`, `{"results":[1]}`, `{"results":[null]}`, `{"results":["@1","C-04@","C@04@1"]}`,
		`{"results":[{"rule":"x","version":1,"outcome":"ALERT","code":"a.b","unconfirmed":true,"params":{"a":1,"a":-2,"b":true,"c":null,"d":[],"":"租","f":false}}]}`,
		`{"results":[{"rule":"x","version":-0,"outcome":"","params":{}},{"rule":"y","version":1}]}`, `{"results":[{"version":1,"rule":"x"},{"rule":"x","rule":"y","version":2}]}`,
		`{"results":[{"rule":"x","version":1,"outcome":"ALERT","code":null,"unconfirmed":false}]}`, `{"results":[{"rule":"x","version":1,"outcome":"ALERT","params":{"a":1 ,"b":{}}}]}`,
		`{"results":[{"rule":"x","version":1,"outcome":"ALERT","params":{"a":1e2}},{"rule":"x","version":99999999999999999999,"outcome":"ALERT"}]}`,
		`{"results":[{"rule":"x","version":1,"outcome":"ALERT","params":{,"a":1}}]}`, `{"results":[{"rule":"x","version":1,"outcome":"ALERT","params":{"a":1,}}]}`,
		`{"results":[{"rule":"x","version":1,"outcome":"ALERT","unconfirmed":trueish}]}`, `{"results":[{"rule":"x","version":1,"outcome":"ALERT","params":{"n":123456789012345678}}`,
		`{"results":["C-04@+1"]}`, `{"results":["C-04@-1"]}`, `{"results":["C-04@007?"]}`, `{"results":["C-04@1??"]}`, `{"results":["C-04@99999999999999999999"]}`, `{"results":["C-04@9999999999"]}`,
		`{"results":["C-04@1",{"rule":"x","version":1,"outcome":"ALERT","params":{"a":["]"]}},"C-05@2?","租@3"]}`, `{"results":["C-04@1"],"texts":["C-05@1"]}`,
		`{"texts":[]}`, `{"texts":null}`, `{"texts":[null]}`, `{"texts":["a",]}`, `{"texts":["a" "b"]}`, `{"texts":["a\n"]}`, `{"texts":["a\u0041"]}`,
		`{"parts":[]}`, `{"parts":[{}]}`, `{"parts":[{},]}`, `{"parts":[null,{"share_bp":1}]}`, `{"one":null}`, `{"one":{}}`, `{"one":[]}`,
		`{"raw":null}`, `{"raw":tru}`, `{"bytes":"!"}`, `{"bytes":null}`, `{"any":null}`, `{"any":1}`, `{"any":}`, `{"any":{"a":1}`, `{"any":"\ud800"}`, `{"any":]}`, `{"map":{"a":1,"a":2}}`,
		`{"map":{"a":"x"}}`, `{"map":{}}`, `{"map":null}`, `{"map":{"a":1,}}`, `{"map":{"a\u0041":1}}`, `{"map":{"a":1.5}}`, `{"map":{"a" :1}}`, `{"map":{"a":1,"a":3,"b":-2}}`, `{"map":{"a":1 "b":2}}`, `{"map":[]}`, `{"yes":1}`, `{"yes":false}`, `{"yes":truee}`, `{"yes":null}`, `{"tree":{"tree":{"tree":{"text":"deep"}}}}`, `{"number":12}`, `{"number":"x"}`, `{"deep":null}`, `{"deep":5}`,
		`{"Hidden":"x"}`, `{"-":"x"}`, `{"untagged":1}`, `{"embedded":{"inner":"x"}}`, `{"any":"a]","text":"x"}`, `{"any":"a\"]","map":{}}`, "\ufeff{}",
	} {
		sameAsJSON(t, everyForm, []byte(raw))
		for _, wide := range []string{", ", " ,\t", "\n,\r ", "\v,", ",\u00a0"} { // Blanks, and what is none.
			sameAsJSON(t, everyForm, []byte(strings.ReplaceAll(raw, ",", wide)))
			sameAsJSON(t, everyForm, []byte(strings.NewReplacer(":", strings.ReplaceAll(wide, ",", ":"), "[", "[ ", "]", " ]", "{", "{ ", "}", " }").Replace(raw)))
		}
	}
	sameAsJSON(t, domain.FormOf[twice](), []byte(`{"share_bp":2,"name":"outer","from":"2026-01-01"}`))
	sameAsJSON(t, domain.FormOf[string](), []byte(`"x"`))
	sameAsJSON(t, domain.FormOf[[]part](), []byte(`[{"share_bp":2},{"share_bp":3}]`))
	sameAsJSON(t, domain.FormOf[map[string]int](), []byte(`{"x":2}`))
	sameAsJSON(t, domain.FormOf[*part](), []byte(`{"share_bp":2}`))
	sameAsJSON(t, domain.FormOf[domain.Day](), []byte(`"2026-01-01"`))
}

// pointed is written otherwise where it has an address.
type pointed struct{ N int }

func (p *pointed) MarshalJSON() ([]byte, error) { return []byte(`"pointed"`), nil }

// odd is zero when it is 7.
type odd int

func (o *odd) IsZero() bool { return *o == 7 }

// even is zero when it is 6.
type even int

func (e even) IsZero() bool { return e == 6 }

func TestFormWritesAsJSON(t *testing.T) {
	type corner struct {
		One   pointed            `json:"one"`
		Many  []pointed          `json:"many"`
		Named map[string]pointed `json:"named,omitempty"`
		Even  even               `json:"even,omitzero"`
		Evens *even              `json:"evens,omitzero"`
		Array [2]int             `json:"array,omitempty"`
		Part  part               `json:"part,omitempty"`
		Zero  part               `json:"zero,omitzero"`
		Level map[part]int       `json:"-"`
		Ratio float32            `json:"ratio,omitempty"`
		When  *time.Time         `json:"when,omitempty"`
		Any   any                `json:"any,omitempty"`
	}
	six := even(6)
	f := domain.FormOf[corner]()
	sameBytes(t, f, corner{})
	sameBytes(t, f, corner{Many: []pointed{{1}}, Named: map[string]pointed{"<": {1}}, Even: 6, Evens: &six, Ratio: 1e21, When: &time.Time{}, Any: []pointed{{2}}})
	sameBytes(t, f, corner{Many: []pointed{}, Even: 5, Any: make(chan int)})
	sameBytes(t, f, corner{Any: "\u2028\xff\ufffd"})
	sameBytes(t, domain.FormOf[map[string]int64](), map[string]int64{"b": 1, "a<": -2, "": 0})
	sameBytes(t, domain.FormOf[map[string]int64](), nil)
	sameBytes(t, domain.FormOf[*corner](), nil)
	sameBytes(t, domain.FormOf[*corner](), &corner{Part: part{Share: 1}})
	for _, m := range []domain.Month{0, 1, -1, -13, 2026*12 + 10, 10_000*12 - 1, 10_000 * 12, 1 << 30} {
		sameBytes(t, domain.FormOf[domain.Month](), m)
		sameBytes(t, domain.FormOf[[]domain.Month](), []domain.Month{m, m})
		sameBytes(t, domain.FormOf[map[string]domain.Month](), map[string]domain.Month{"a": m})
	}
	for _, text := range []string{"", "租\u2028", "<1000", "租&>é<", "<\xff", "<\u2028", "a<\n", "\x7f", "a\x00", "\ufffd", "\xff", "<&>", `"\`, "é😀"} {
		sameBytes(t, domain.FormOf[string](), text)
	}
	utc := time.Date(2026, time.March, 1, 2, 3, 4, 567_000, time.UTC)
	for _, at := range []time.Time{
		{},
		utc, utc.Truncate(time.Second), utc.AddDate(-2026, 0, 0), utc.AddDate(-3000, 0, 0), utc.AddDate(7974, 0, 0), time.Now(), utc.Local(),
		utc.In(time.FixedZone("", 8*3600)), utc.In(time.FixedZone("UTC", 0)), utc.In(time.FixedZone("far", 25*3600)),
	} {
		sameBytes(t, domain.FormOf[time.Time](), at)
		sameBytes(t, domain.FormOf[[]time.Time](), []time.Time{at, utc})
		sameBytes(t, domain.FormOf[*time.Time](), &at)
	}
	type byPointer struct {
		Odd odd `json:"odd,omitzero"`
	}
	sameBytes(t, domain.FormOf[byPointer](), byPointer{7})
	sameBytes(t, domain.FormOf[byPointer](), byPointer{0})
	sameBytes(t, domain.FormOf[domain.Verdict](), domain.Verdict{{Rule: "租", Outcome: domain.OutcomePass}})
	sameBytes(t, domain.FormOf[twice](), twice{part{1, "inner", 0}, "outer"})
}

// TestFormOfEachByte puts each byte at each place of texts, which are read and written eight bytes at once, and others as they
// come.
func TestFormOfEachByte(t *testing.T) {
	f := domain.FormOf[[]string]()
	for n := range 20 {
		for at := range n {
			for c := range 256 {
				text := []byte(strings.Repeat("a", n))
				text[at] = byte(c)
				sameBytes(t, f, []string{string(text), "b"})
				sameAsJSON(t, f, []byte(`["`+string(text)+`","b"]`))
			}
		}
	}
}

// TestFormOfEachSize reads and writes numbers of every size, at their bounds and beyond, side by side.
func TestFormOfEachSize(t *testing.T) {
	type sizes struct {
		A int8
		B int16
		C int32
		D int64
		E int
		F uint8
		G uint16
		H uint32
		I uint64
		J uint
		K bool
		L float64
		M *int16
		N []uint8
		O []uint16
		P [2]bool
		Q struct{ A, B int8 }
	}
	f := domain.FormOf[sizes]()
	small := int16(math.MinInt16)
	for _, x := range []sizes{
		{},
		{math.MaxInt8, math.MaxInt16, math.MaxInt32, math.MaxInt64, math.MaxInt, math.MaxUint8, math.MaxUint16, math.MaxUint32, math.MaxUint64, math.MaxUint, true, math.MaxFloat64, &small, []byte{1}, []uint16{1, math.MaxUint16}, [2]bool{true, false}, struct{ A, B int8 }{1, -1}},
		{math.MinInt8, math.MinInt16, math.MinInt32, math.MinInt64, math.MinInt, 1, 1, 1, 1, 1, true, math.Copysign(0, -1), &small, []byte{}, []uint16{}, [2]bool{false, true}, struct{ A, B int8 }{-1, 1}},
	} {
		sameBytes(t, f, x)
		comesBack(t, f, x)
		raw, err := json.Marshal(x)
		if err != nil {
			t.Fatal(err)
		}
		sameAsJSON(t, f, raw)
	}
	for _, name := range strings.Split("ABCDEFGHIJ", "") {
		for bits := range 64 {
			for _, off := range []int64{-1, 0, 1} {
				n := int64(1)<<bits + off
				sameAsJSON(t, f, fmt.Appendf(nil, `{"%s":%d}`, name, n))
				sameAsJSON(t, f, fmt.Appendf(nil, `{"%s":%d}`, name, -n))
			}
		}
	}
	type zeros struct {
		Float  struct{ F float64 }  `json:"float,omitzero"`
		Inner  struct{ T []string } `json:"inner,omitzero"`
		Hidden struct{ h int }      `json:"hidden,omitzero"`
		Mixed  struct {
			S string
			F float64
			T []string
		} `json:"mixed,omitzero"`
		Named  map[string]int64 `json:"named,omitzero"`
		Counts map[string]int64 `json:"counts,omitempty"`
		Days   []domain.Day     `json:"days,omitzero"`
	}
	g := domain.FormOf[zeros]()
	sameBytes(t, g, zeros{})
	empty := zeros{Named: map[string]int64{}, Counts: map[string]int64{}, Days: []domain.Day{}}
	empty.Float.F, empty.Mixed.F, empty.Hidden.h, empty.Inner.T = math.Copysign(0, -1), math.Copysign(0, -1), 1, []string{}
	sameBytes(t, g, empty)
	empty.Mixed.S = strings.Repeat("a", len(empty.Days)) // Of no bytes, wherever they lie.
	sameBytes(t, g, empty)
}

// TestFormReadsWhatIsWritten shows that what json.Marshal writes comes back, whatever the values.
func TestFormReadsWhatIsWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		parts := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) part {
			return part{rapid.Int64().Draw(t, "share"), rapid.String().Draw(t, "name"), domain.Day(rapid.Int32Range(1, 40_000).Draw(t, "from"))}
		}), 0, 4)
		deep := rapid.Int().Draw(t, "deep")
		e := everything{
			Text: rapid.String().Draw(t, "text"), Yes: rapid.Bool().Draw(t, "yes"), Small: rapid.Int8().Draw(t, "small"), Fen: domain.Fen(rapid.Int64().Draw(t, "fen")),
			Count: rapid.Uint16().Draw(t, "count"), Ratio: rapid.Float64().Draw(t, "ratio"), Texts: rapid.SliceOf(rapid.String()).Draw(t, "texts"), Parts: parts.Draw(t, "parts"),
			Bytes: rapid.SliceOf(rapid.Byte()).Draw(t, "bytes"), Map: rapid.MapOf(rapid.String(), rapid.Int64()).Draw(t, "map"), Untagged: rapid.Int().Draw(t, "untagged"),
			Day: domain.Day(rapid.Int32Range(0, 40_000).Draw(t, "day")), embedded: embedded{Inner: rapid.String().Draw(t, "inner"), Deep: &deep},
			Results: domain.Verdict{{Rule: "C-04", Version: rapid.Int().Draw(t, "version"), Outcome: domain.OutcomePass, Unconfirmed: rapid.Bool().Draw(t, "unconfirmed")}},
		}
		raw, err := json.Marshal(e)
		if err != nil {
			t.Fatalf("%v", err)
		}
		sameAsJSON(t, everyForm, raw)
	})
}

// FuzzForm looks for a document that a form reads otherwise than encoding/json.
func FuzzForm(f *testing.F) {
	f.Add([]byte(everythingJSON))
	for piece := range strings.SplitSeq(everythingJSON[1:len(everythingJSON)-1], `,"`) {
		f.Add([]byte(`{"` + strings.TrimPrefix(piece, `"`) + `}`))
		f.Add([]byte(` { "` + strings.NewReplacer(":", ": ", ",", " ,").Replace(strings.TrimPrefix(piece, `"`)) + ` } `))
	}
	f.Fuzz(func(t *testing.T, raw []byte) { sameAsJSON(t, everyForm, raw) })
}
