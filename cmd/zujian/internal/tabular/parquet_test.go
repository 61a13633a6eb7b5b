package tabular_test

import (
	"bytes"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"

	"zujian/cmd/zujian/internal/tabular"
)

type parquetRow struct {
	Rent  int64     `parquet:"Weekly Rent,decimal(2:18)"`
	On    int32     `parquet:"on,date"`
	At    time.Time `parquet:"at,timestamp(microsecond)"`
	Beds  *int32    `parquet:"beds,optional"`
	Area  float64   `parquet:"area"`
	Kind  string    `parquet:"kind"`
	Tags  []string  `parquet:"tags,list"`
	Count uint32    `parquet:"count"`
}

func TestParquet(t *testing.T) {
	t.Parallel()
	var file bytes.Buffer
	w := parquet.NewGenericWriter[parquetRow](&file)
	two := int32(2)
	at := time.Date(2026, 3, 1, 23, 0, 0, 0, time.UTC)
	rows := []parquetRow{
		{Rent: 47050, On: 20513, At: at, Beds: &two, Area: 45.5, Kind: "F", Tags: []string{"a", "b"}, Count: 4_000_000_000},
		{Rent: -5, On: 0, At: at, Area: 1e-9, Kind: "Haus, groß"},
	}
	if _, err := w.Write(rows); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	path := write(t, "rents.parquet", file.Bytes())
	var got []string
	for row, err := range tabular.Read(path, tabular.Options{Required: []string{"kind", "weekly  rent", "on", "at", "beds", "area", "count"}}) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, row.Values...)
	}
	want := []string{
		"F", "470.50", "2026-03-01", "2026-03-01", "2", "45.5", "4000000000",
		"Haus, groß", "-0.05", "1970-01-01", "2026-03-01", "", "1e-09", "0",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	end := func(path string, column string) (last error) {
		for _, err := range tabular.Read(path, tabular.Options{Required: []string{column}}) {
			last = err
		}
		return last
	}
	if err := end(path, "rent"); !errors.Is(err, tabular.ErrHeader) {
		t.Errorf("no such column: %v", err)
	}
	for cut := range file.Len() - 4 {
		if cut < 4 || cut%37 != 0 && cut < file.Len()-40 {
			continue
		}
		if err := end(write(t, "cut.parquet", file.Bytes()[:cut]), "kind"); err == nil {
			t.Fatalf("a file cut at %d of %d reads as whole", cut, file.Len())
		}
	}
}
