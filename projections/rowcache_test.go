package projections

import (
	"fmt"
	"hash/maphash"
	"testing"

	"pgregory.net/rapid"
)

func TestRowsKnowWhatIsNowhereUntilTheyForget(t *testing.T) {
	r := RowCache{max: 20 * 1024, complete: true}
	for i := range 100 {
		if _, known := r.Get("never"); known != r.complete {
			t.Fatal("a missing row is not judged by completeness")
		}
		r.Read(fmt.Sprint(i), make([]byte, 400))
		_, first := r.young.get(maphash.String(rowSeed, "0"), "0")
		_, second := r.old.get(maphash.String(rowSeed, "0"), "0")
		if r.complete && !first && !second {
			t.Fatalf("a row was forgotten after %d, yet they call themselves complete", i)
		}
	}
	if r.complete {
		t.Error("100 rows of 0.5 KB in 20 KB are complete")
	}
}

func TestRowsAreBounded(t *testing.T) {
	r := RowCache{max: 100 * 1024}
	value := make([]byte, 400)
	for i := range 10_000 {
		r.Read(fmt.Sprintf("key%05d", i), value)
		if _, known := r.Get("key00000"); !known {
			t.Fatalf("the row used all the time is forgotten after %d", i)
		}
	}
	if n := len(r.young.at) + len(r.old.at); n > 230 || n < 90 {
		t.Errorf("%d rows of 0.5 KB are kept in 100 KB", n)
	}
	r.Read("huge", make([]byte, 1<<20))
	r.Read("next", nil)
	if n := len(r.young.at); n != 1 {
		t.Errorf("a huge row stays in a generation of %d", n)
	}
}

// TestRowsShareARoom: keyspaces that need more take it until none is left, and have it again from one that is built.
func TestRowsShareARoom(t *testing.T) {
	const mib = 1 << 20
	room := NewRowRoom(8 * roomStep)
	fill := func(r *RowCache, rows int) (kept int) {
		for i := range rows {
			r.Read(fmt.Sprint(i), make([]byte, mib))
		}
		for i := range rows {
			if _, known := r.Get(fmt.Sprint(i)); known {
				kept++
			}
		}
		return kept
	}
	first, second := NewRowCache(2*mib, room, false), NewRowCache(2*mib, room, false)
	if n := fill(&first, 7); n != 7 {
		t.Errorf("%d of 7 rows are kept where there is room", n)
	}
	fill(&second, 100)
	if most := int64(2*2*mib + 8*roomStep); first.max+second.max != most || room.free.Load() != 0 {
		t.Errorf("two caches hold %d bytes at most, not %d, and %d are free", first.max+second.max, most, room.free.Load())
	}
	if n := fill(&first, 100); n > int(first.max/mib) {
		t.Errorf("%d rows of a MiB are kept in %d", n, first.max)
	}
	taken := second.taken
	second.Resize(2 * mib)
	if second.max != 2*mib || taken == 0 || room.free.Load() != taken {
		t.Errorf("a cache that was made small holds %d, and gave back %d of %d", second.max, room.free.Load(), taken)
	}
	if fill(&second, 100); second.taken != 0 {
		t.Error("a cache that was made small takes of the room")
	}
}

// TestRowsWrittenAgain: what was written over makes room for others, whose rows stay as they are.
func TestRowsWrittenAgain(t *testing.T) {
	r := NewRowCache(64<<10, nil, true)
	for i := range 5000 {
		r.Read("gone", nil)
		for n := range 20 {
			r.Read(fmt.Sprint(n), fmt.Append(nil, n, "of", i))
		}
		if !r.complete || r.old.bytes > 0 {
			t.Fatalf("21 small rows of 64 KB are forgotten after %d rounds", i)
		}
		for n := range 20 {
			if value, known := r.Get(fmt.Sprint(n)); !known || string(value) != fmt.Sprint(n, "of", i) {
				t.Fatalf("row %d of round %d is %q", n, i, value)
			}
		}
		if value, known := r.Get("gone"); !known || value != nil {
			t.Fatalf("a row that is not there is %q %v", value, known)
		}
	}
}

// TestRowsForgottenAreTheOlder: whoever forgets the young rows for want of room forgets the old ones of the same keys too.
func TestRowsForgottenAreTheOlder(t *testing.T) {
	r := NewRowCache(1, nil, true)
	r.Read("a", []byte("first"))
	r.Read("a", []byte("second"))
	if r.Resize(1); r.old.bytes > 0 {
		value, _ := r.Get("a")
		t.Errorf("the row forgotten last is %q again", value)
	}
}

// TestRowsAreTheCommitted: whatever is asked for, read and written, in keys of few kinds or of more than are told apart,
// what the cache claims to know is what stands in the store.
func TestRowsAreTheCommitted(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		store := map[string]string{}
		r := NewRowCache(rapid.Int64Range(-1, 3000).Draw(t, "bytes"), nil, true)
		if rapid.Bool().Draw(t, "crowded") {
			for i := range kindsMax + 10 {
				r.Wrote(Key(fmt.Sprint("other", i), "x"), nil)
			}
		}
		keys := rapid.OneOf(
			rapid.Map(rapid.IntRange(0, 19), func(n int) string { return Key(string(rune('a'+n%4)), fmt.Sprint(n)) }), rapid.SampledFrom([]string{"", "a", "b"}),
		)
		for range rapid.IntRange(0, 200).Draw(t, "steps") {
			key := keys.Draw(t, "key")
			want, there := store[key]
			switch rapid.IntRange(0, 4).Draw(t, "step") {
			case 0, 1:
				value, known := r.Get(key)
				if known && (string(value) != want || (value != nil) != there) {
					t.Fatalf("%q is said to be %q, and is %q %v", key, value, want, there)
				}
				if !known && there {
					r.Read(key, []byte(want))
				} else if !known {
					r.Read(key, nil)
				}
			case 2:
				value := rapid.StringN(1, 60, 60).Draw(t, "value")
				store[key] = value
				r.Wrote(key, []byte(value))
			case 3:
				delete(store, key)
				r.Wrote(key, nil)
			case 4:
				most := rapid.Int64Range(-1, 3000).Draw(t, "bytes from here on")
				if r.Resize(most); r.young.bytes > max(most/2, 0) {
					t.Fatalf("%d bytes are kept, of %d", r.young.bytes, most)
				}
			}
		}
	})
}

// TestRowsNobodyAsksForAreNotKept: entries of an index take no memory.
func TestRowsNobodyAsksForAreNotKept(t *testing.T) {
	r := NewRowCache(1<<20, nil, true)
	if _, known := r.Get(Key("row", "1")); !known {
		t.Error("an empty keyspace is not known to be empty")
	}
	for i := range 100 {
		r.Wrote(Key("row", fmt.Sprint(i)), []byte("value"))
		r.Wrote(Key("entry", fmt.Sprint(i)), []byte{})
	}
	if n := len(r.young.at); n != 100 {
		t.Errorf("%d of 100 rows and 100 entries are kept", n)
	}
	for _, key := range []string{Key("row", "7"), Key("row", "never")} {
		if _, known := r.Get(key); !known {
			t.Errorf("%q is not known", key)
		}
	}
	if _, known := r.Get(Key("entry", "7")); known {
		t.Error("an entry that was not kept is said not to be there")
	}
}

// TestRowsOfOneHash: of two rows whose keys have one hash the later is kept, and the other is not said to be nowhere.
func TestRowsOfOneHash(t *testing.T) {
	r := NewRowCache(1<<20, nil, true)
	r.old.put(1, "a", []byte("1"))
	if r.keep(1, "a", []byte("2")); !r.complete {
		t.Error("a row of its own was taken for another's")
	}
	if r.keep(1, "b", nil); r.complete {
		t.Error("one of two rows was lost, and they call themselves complete")
	}
	for _, kept := range []rowBlocks{r.young, r.old} {
		if value, known := kept.get(1, "a"); known {
			t.Errorf("the row of a lost key is %q", value)
		}
	}
	if value, known := r.young.get(1, "b"); !known || value != nil {
		t.Errorf("a row that is not there is %q, %v", value, known)
	}
}
