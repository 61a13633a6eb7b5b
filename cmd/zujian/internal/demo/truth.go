package demo

import (
	"math"
	"math/rand/v2"

	"zujian/domain"
)

// level is what demo-city knows of a reporting unit: rent per ㎡ and month in month 0, its share of homes, drift a year.
type level struct {
	unit  string
	yuan  float64
	share int
	drift float64
}

var levels = []level{
	{"320106", 62, 12, 0.005},
	{"320102", 58, 9, 0.003},
	{"320104", 57, 13, 0.004},
	{"320105", 60, 11, 0.012},
	{"320114", 48, 9, 0.008},
	{"320113", 38, 10, -0.005},
	{"320115", 34, 15, -0.010},
	{"320111", 28, 6, -0.008},
	{"320191", 32, 7, 0.002},
	{"320116", 20, 3, -0.015},
	{"320117", 18, 3, -0.005},
	{"320118", 17, 2, -0.003},
}

// Standard deviations of the truth's random parts.
const (
	streetSD = 0.10
	estateSD = 0.06
	noiseSD  = 0.12
)

// Truth is what the demo city's rents were made from.
type Truth struct {
	Start  domain.Day // First day of month 0.
	Months int

	city    *domain.City
	streets map[string]float64
	units   map[string]level
}

func newTruth(r *rand.Rand, city *domain.City, today domain.Day, months int) *Truth {
	t := &Truth{Start: today.Month().First().AddMonths(-months), Months: months, city: city, streets: map[string]float64{}, units: map[string]level{}}
	for _, l := range levels {
		t.units[l.unit] = l
	}
	for _, s := range city.Streets {
		t.streets[s.Code] = r.NormFloat64() * streetSD
	}
	return t
}

// leadDays is how long before month 0 the first command of a city is.
const leadDays = 60

// Beginning is the truth of a city whose first command was on a day, as far as its months go: those follow from no seed.
func Beginning(first domain.Day) *Truth { return &Truth{Start: first.AddDays(leadDays)} }

// month effect: season by calendar month, and one shock of −4 % spread over two months of the second year.
func (t *Truth) season(m domain.Month) float64 {
	switch int(m)%12 + 1 {
	case 2, 3:
		return 0.008
	case 6, 7:
		return 0.015
	case 11, 12:
		return -0.007
	}
	return 0
}

func (t *Truth) shock(n int) float64 {
	switch {
	case n < 17:
		return 0
	case n == 17:
		return -0.02
	}
	return -0.04
}

// Month is the log month effect of a reporting unit, relative to nothing: differences are the index. The city's is the
// mean of its units by their share of homes.
func (t *Truth) Month(area string, m domain.Month) float64 {
	drift, shares := 0.0, 0
	for _, l := range levels {
		if area == l.unit || area == "city" {
			drift += l.drift * float64(l.share)
			shares += l.share
		}
	}
	n := int(m - t.Start.Month())
	return drift/float64(max(shares, 1))*float64(n)/12 + t.season(m) + t.shock(n)
}

// home is what of a flat moves its rent.
type home struct {
	unit, street string
	estate       float64
	bands        domain.Bands
	fitout       string
	byRoom       bool
}

var effects = map[string]float64{
	domain.Size30: 0.22, domain.Size50: 0.10, domain.Size70: 0.03, domain.Size90: 0, domain.Size120: -0.04, domain.SizeOver: -0.08,
	"BARE": -0.25, "SIMPLE": -0.08, "FULL": 0.10,
	domain.FloorLow: 0, domain.FloorMid: 0.02, domain.FloorHigh: 0.03, domain.FloorTop: -0.06,
	domain.Age5: 0.06, domain.Age15: 0, domain.Age25: -0.05, domain.AgeOver: -0.10,
	domain.Metro500: 0.06, domain.Metro1000: 0.03, domain.MetroFar: 0,
}

const byRoomEffect = 0.18

// rent draws a monthly rent in fen for areaC hundredths of ㎡, rounded to 10 yuan, above 5,000 yuan to 100.
func (t *Truth) rent(r *rand.Rand, h home, m domain.Month, areaC int64) domain.Fen {
	ln := math.Log(t.units[h.unit].yuan) + t.streets[h.street] + h.estate + effects[h.bands.Size] + effects[h.fitout] +
		effects[h.bands.Floor] + effects[h.bands.Age] + effects[h.bands.Metro] + t.Month(h.unit, m) + r.NormFloat64()*noiseSD
	if h.byRoom {
		ln += byRoomEffect
	}
	yuan := math.Exp(ln) * float64(areaC) / 100
	step := 10.0
	if yuan > 5000 {
		step = 100
	}
	return domain.Fen(max(math.Round(yuan/step), 1)*step) * 100
}
