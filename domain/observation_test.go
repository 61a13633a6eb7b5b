package domain_test

import (
	"testing"

	"zujian/domain"
)

func TestBands(t *testing.T) {
	home := domain.Home{AreaC: 8912, Floor: 12, Floors: 18, BuiltYear: 2015, MetroM: 700, OnYear: 2026}
	for _, c := range []struct {
		name string
		edit func(*domain.Home)
		want domain.Bands
	}{
		{"an ordinary flat", func(*domain.Home) {}, domain.Bands{Size: "70-90", Floor: "MID", Age: "5-15", Metro: "<1000"}},
		{"nothing known", func(h *domain.Home) { *h = domain.Home{} }, domain.Bands{}},
		{"a bound of size belongs below", func(h *domain.Home) { h.AreaC = 9000 }, domain.Bands{Size: "70-90", Floor: "MID", Age: "5-15", Metro: "<1000"}},
		{"a hundredth more does not", func(h *domain.Home) { h.AreaC = 9001 }, domain.Bands{Size: "90-120", Floor: "MID", Age: "5-15", Metro: "<1000"}},
		{"a palace", func(h *domain.Home) { h.AreaC = 12001 }, domain.Bands{Size: ">120", Floor: "MID", Age: "5-15", Metro: "<1000"}},
		{"a room", func(h *domain.Home) { h.AreaC = 1200 }, domain.Bands{Size: "<=30", Floor: "MID", Age: "5-15", Metro: "<1000"}},
		{"low and at the station", func(h *domain.Home) { h.Floor, h.MetroM = 6, 499 }, domain.Bands{Size: "70-90", Floor: "LOW", Age: "5-15", Metro: "<500"}},
		{"high and far", func(h *domain.Home) { h.Floor, h.MetroM = 13, 1000 }, domain.Bands{Size: "70-90", Floor: "HIGH", Age: "5-15", Metro: "else"}},
		{"the top of a walk-up", func(h *domain.Home) { h.Floor, h.Floors = 6, 6 }, domain.Bands{Size: "70-90", Floor: "WALKUP_TOP", Age: "5-15", Metro: "<1000"}},
		{"the top with a lift", func(h *domain.Home) { h.Floor, h.Floors = 7, 7 }, domain.Bands{Size: "70-90", Floor: "HIGH", Age: "5-15", Metro: "<1000"}},
		{"a cottage", func(h *domain.Home) { h.Floor, h.Floors = 1, 1 }, domain.Bands{Size: "70-90", Floor: "LOW", Age: "5-15", Metro: "<1000"}},
		{"above the roof", func(h *domain.Home) { h.Floor = 19 }, domain.Bands{Size: "70-90", Age: "5-15", Metro: "<1000"}},
		{"new", func(h *domain.Home) { h.BuiltYear = 2022 }, domain.Bands{Size: "70-90", Floor: "MID", Age: "<5", Metro: "<1000"}},
		{"25 years", func(h *domain.Home) { h.BuiltYear = 2001 }, domain.Bands{Size: "70-90", Floor: "MID", Age: "15-25", Metro: "<1000"}},
		{"26 years", func(h *domain.Home) { h.BuiltYear = 2000 }, domain.Bands{Size: "70-90", Floor: "MID", Age: ">25", Metro: "<1000"}},
		{"not yet built", func(h *domain.Home) { h.BuiltYear = 2027 }, domain.Bands{Size: "70-90", Floor: "MID", Metro: "<1000"}},
	} {
		h := home
		c.edit(&h)
		if got := h.Bands(); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
}
