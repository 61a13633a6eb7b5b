package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"zujian/eventstore/embedded"
)

// TestListOfABackup flips a bit of each byte of a backup's list: nothing of it is believed. A list of before it had a sum is.
func TestListOfABackup(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, backupFile)
	list := backupContents{Format: backupFormat, Program: "test", City: "nanjing", Keys: hexSum(nil), Log: embedded.Copied{Events: 7}}
	if err := list.write(path); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	read := func(text []byte) (backupContents, error) {
		t.Helper()
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		return readBackup(dir)
	}
	if got, err := read(raw); err != nil || got.Log.Events != 7 || got.Keys != list.Keys {
		t.Fatalf("whole: %+v, %v", got, err)
	}
	name := strings.Index(string(raw), `"sum"`)
	for at := range raw {
		raw[at] ^= 1 << (at % 5)
		got, err := read(raw)
		if inName := at > name && at < name+4; err == nil && (!inName || got.Log.Events != 7) { // Without a sum it is one of before.
			t.Errorf("byte %d flipped: %+v\n%s", at, got, raw)
		}
		raw[at] ^= 1 << (at % 5)
	}
	old := strings.Replace(string(raw), `,
  "sum": "`+hexSumIn(t, raw)+`"`, "", 1)
	if got, err := read([]byte(old)); err != nil || got.Sum != "" || got.Log.Events != 7 {
		t.Errorf("of before: %+v, %v", got, err)
	}
}

func hexSumIn(t *testing.T, raw []byte) string {
	t.Helper()
	_, rest, found := strings.Cut(string(raw), `"sum": "`)
	if !found {
		t.Fatalf("there is no sum in\n%s", raw)
	}
	return rest[:64]
}
