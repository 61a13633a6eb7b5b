package domaintest

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"zujian/domain"
)

var update = flag.Bool("update", false, "write the newest version of each golden event sample anew")

// Golden freezes the storage format of types: dir holds one sample "<type>.v<N>.json" for each version of each type,
// every sample decodes, the newest encodes to the same bytes again, and no sample is left without its type. With
// -update the newest samples are written: an event of samples where one is given, else one with every field non-zero.
func Golden(t *testing.T, types []domain.Type, dir string, samples ...domain.Event) {
	t.Helper()
	known := map[string]bool{}
	for _, typ := range types {
		for v := 1; v <= typ.Version; v++ {
			name := fmt.Sprintf("%s.v%d.json", typ.Name, v)
			known[name] = true
			t.Run(name, func(t *testing.T) {
				file := filepath.Join(dir, name)
				if *update && v == typ.Version {
					writeSample(t, typ, file, samples)
				}
				checkSample(t, typ, v, file)
			})
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !known[e.Name()] {
			t.Errorf("%s: a sample of a type or version that is gone; stored events would be unreadable", e.Name())
		}
	}
}

func checkSample(t *testing.T, typ domain.Type, version int, file string) {
	t.Helper()
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v (go test -update writes it)", err)
	}
	e, err := typ.Decode(version, want)
	if err != nil {
		t.Fatal(err)
	}
	if e.EventType() != typ.Name {
		t.Errorf("decodes to a %s", e.EventType())
	}
	if version < typ.Version {
		return
	}
	if got := encode(t, e); !bytes.Equal(got, want) {
		t.Errorf("does not encode to the same bytes\n got %s\nwant %s", got, want)
	}
}

func writeSample(t *testing.T, typ domain.Type, file string, samples []domain.Event) {
	t.Helper()
	var sample domain.Event
	for _, s := range samples {
		if s.EventType() == typ.Name {
			sample = s
		}
	}
	if sample == nil {
		sample = Sample(typ)
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, encode(t, sample), 0o644); err != nil {
		t.Fatal(err)
	}
}

func encode(t *testing.T, e domain.Event) []byte {
	t.Helper()
	b, err := json.MarshalIndent(e, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return append(b, '\n')
}

// Sample is an event of typ with every field non-zero; texts are the names of their fields.
func Sample(typ domain.Type) domain.Event {
	zero, err := typ.Decode(typ.Version, []byte("{}"))
	if err != nil {
		panic(err) // Tests only: an event that refuses {} needs a sample of its own.
	}
	v := reflect.New(reflect.TypeOf(zero)).Elem()
	fill(v, "text")
	return v.Interface().(domain.Event)
}

var sampleTime = time.Date(2026, 3, 1, 2, 30, 0, 123456000, time.UTC)

func fill(v reflect.Value, name string) {
	switch v.Interface().(type) {
	case time.Time:
		v.Set(reflect.ValueOf(sampleTime))
		return
	case domain.Day:
		v.Set(reflect.ValueOf(domain.DayOf(sampleTime)))
		return
	case domain.Month:
		v.Set(reflect.ValueOf(domain.DayOf(sampleTime).Month()))
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(name)
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(int64(len(name)) + 1)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(uint64(len(name)) + 1)
	case reflect.Interface:
		v.Set(reflect.ValueOf(name))
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), name)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0), name)
	case reflect.Array:
		for i := range v.Len() {
			fill(v.Index(i), name)
		}
	case reflect.Map:
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fill(key, name)
		fill(value, name)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(key, value)
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() && f.Tag.Get("json") != "-" {
				fill(v.Field(i), jsonName(f))
			}
		}
	}
}

func jsonName(f reflect.StructField) string {
	if n, _, _ := strings.Cut(f.Tag.Get("json"), ","); n != "" {
		return n
	}
	return f.Name
}

// show prints events as JSON with their types, so that a difference can be read.
func show[E domain.Event](events []E) string {
	var b strings.Builder
	for _, e := range events {
		doc, err := json.Marshal(e)
		if err != nil {
			doc = fmt.Appendf(nil, "%#v (%v)", e, err)
		}
		fmt.Fprintf(&b, "\n  %s %s", e.EventType(), doc)
	}
	return b.String()
}
