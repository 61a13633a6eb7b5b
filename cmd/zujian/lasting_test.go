package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"zujian/domain"
	"zujian/domain/contract"
)

// TestEventsAndTheirJSON fills every type of event at random, also as no decider would: it must be written as json.Marshal
// does, read as json.Unmarshal does, and whenever it is called lasting its JSON must give back the very same. Some event of
// most types must be called so, or the memo decodes in vain.
func TestEventsAndTheirJSON(t *testing.T) {
	types, seed := catalogue(), rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 1))
	t.Logf("seed %d", seed)
	lasting := 0
	for _, name := range slices.Sorted(maps.Keys(types)) {
		zero, err := types.Decode(name, types[name].Version, []byte("{}"))
		if err != nil {
			t.Fatal(err)
		}
		some := 0
		for i := range 400 {
			v := reflect.New(reflect.TypeOf(zero)).Elem()
			fillAtRandom(rng, v, i%4 > 0, 0)
			e := v.Interface().(domain.Event)
			data, err := json.Marshal(e)
			ours, isLasting, bad := types[name].Append(nil, e)
			if (bad == nil) != (err == nil) || err == nil && string(ours) != string(data) {
				t.Fatalf("%s is written\n as %s (%v)\nnot %s (%v)", name, ours, bad, data, err)
			}
			if err == nil && i%5 == 0 {
				ours, bad := types.Decode(name, types[name].Version, data)
				theirs := reflect.New(v.Type())
				if err := json.Unmarshal(data, theirs.Interface()); (bad == nil) != (err == nil) || err == nil && !reflect.DeepEqual(ours, theirs.Elem().Interface()) {
					t.Fatalf("%s\nis read as %+v (%v)\n   and not %+v (%v)", data, ours, bad, theirs.Elem(), err)
				}
			}
			if !isLasting {
				continue
			}
			some++
			if err != nil {
				t.Fatalf("%s is called lasting and has no JSON: %v\n%+v", name, err, e)
			}
			back, err := types.Decode(name, types[name].Version, data)
			if err != nil || !reflect.DeepEqual(back, e) {
				t.Fatalf("%s is called lasting\n     is %#v\n  gives %#v (%v)\nby %s", name, e, back, err, data)
			}
		}
		lasting += min(some, 1)
	}
	if lasting < len(types)*3/4 {
		t.Errorf("of %d types only %d are ever lasting", len(types), lasting)
	}
}

// TestHashesAreOfTheCanonicalJSON holds the two hashes of a filing, whose JSON is written in canonical order at once, to the
// canonical form of what json.Marshal writes.
func TestHashesAreOfTheCanonicalJSON(t *testing.T) {
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 1))
	t.Logf("seed %d", seed)
	check := func(v any, hash func() string) {
		if data, err := json.Marshal(v); err == nil && hash() != fmt.Sprintf("%x", sha256.Sum256(contract.Canonical(data))) {
			t.Fatalf("%s has the hash %s", data, hash())
		}
	}
	for i := range 2000 {
		var terms contract.Terms
		var c contract.Certificate
		fillAtRandom(rng, reflect.ValueOf(&terms).Elem(), i%4 > 0, 0)
		fillAtRandom(rng, reflect.ValueOf(&c).Elem(), i%4 > 0, 0)
		if i%2 > 0 { // Without a text that JSON escapes.
			data, err := json.Marshal(terms)
			if terms = (contract.Terms{}); err == nil {
				err = json.Unmarshal(bytes.ReplaceAll(data, []byte(`\u003c\"\\\u0026\u003e`), []byte("b")), &terms)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		check(terms, func() string { return contract.Hash(terms) })
		check(c, c.Hash)
	}
}

// fillAtRandom sets what JSON keeps, or with tame false now and then what it does not.
func fillAtRandom(rng *rand.Rand, v reflect.Value, tame bool, depth int) {
	pick := func(n int) int { return rng.IntN(n) }
	wild := !tame && pick(8) == 0
	switch x := v.Addr().Interface().(type) {
	case *domain.Day:
		*x = domain.Date(2000+pick(50), time.Month(1+pick(12)), 1+pick(28)) * domain.Day(pick(2))
		if wild {
			*x = domain.Day(rng.Int32()) - 1<<30
		}
		return
	case *domain.Month:
		*x = domain.Month((2000*12 + pick(600)) * pick(2))
		return
	case *time.Time:
		*x = time.Unix(int64(pick(1<<31)), int64(pick(1e9))).UTC()
		if wild {
			*x = []time.Time{time.Now(), {}, x.In(time.FixedZone("", 3600)), time.Unix(1<<40, 0)}[pick(4)]
		}
		return
	}
	if v.Kind() != reflect.Struct && v.Kind() != reflect.Array && pick(4) == 0 {
		return // The zero value.
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString([]string{"a", "中文", `<"\&>`, "C-04", "PASS"}[pick(5)])
		if wild {
			v.SetString("\xff")
		}
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(int64(1 + pick(5))) // Also of what is a number in Go and a word in JSON.
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(uint64(pick(100)))
	case reflect.Float32, reflect.Float64:
		v.SetFloat(rng.Float64())
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fillAtRandom(rng, v.Elem(), tame, depth+1)
	case reflect.Slice:
		n := 1 + pick(2)
		if wild || depth > 6 {
			n = 0
		}
		v.Set(reflect.MakeSlice(v.Type(), n, n))
		for i := range n {
			fillAtRandom(rng, v.Index(i), tame, depth+1)
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		for range pick(2) + 1 {
			key, elem := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
			fillAtRandom(rng, key, tame, depth+1)
			fillAtRandom(rng, elem, tame, depth+1)
			v.SetMapIndex(key, elem)
		}
		if wild {
			v.Clear()
		}
	case reflect.Interface:
		if v.NumMethod() == 0 {
			some := []any{int64(3), "x", true}
			if !tame {
				some = append(some, 3, 1.5, []string{}, []string{"a"}, nil, domain.Day(5), "\xff")
			}
			if x := some[pick(len(some))]; x != nil {
				v.Set(reflect.ValueOf(x))
			}
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() && (v.Type().Field(i).Tag.Get("json") != "-" || wild) {
				fillAtRandom(rng, v.Field(i), tame, depth+1)
			}
		}
		if r, ok := v.Addr().Interface().(*domain.RuleResult); ok && tame {
			r.Rule = "C-04"
			if r.Outcome == domain.OutcomePass {
				r.Code, r.Params = "", nil
			}
		}
	}
}
