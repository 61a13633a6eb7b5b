package domain

// Observation is one rent the market figures count (租金观测): one filed letting contract, or one row of a legacy
// register. It holds no personal data. Views add it, and remove exactly the same value when the contract is
// amended, ends early or loses its filing.
type Observation struct {
	Month   Month `json:"month"`           // Month of signing: the period of the new-lettings (新签) figures.
	From    Month `json:"from"`            // First month in force, for the stock (在租).
	To      Month `json:"to,omitzero"`     // Last month in force; absent = open end.
	RentFen Fen   `json:"rent_fen"`        // > 0; per month, or as RentPer says.
	AreaC   int64 `json:"area_c,omitzero"` // 0.01 ㎡ of what is let: gross area of a flat, usable area of rooms. 0 = unknown.

	RentPer    string `json:"rent_per,omitzero"`    // What RentFen is for: "" = a month, RentPerWeek = a week.
	ReportUnit string `json:"report_unit,omitzero"` // Reporting unit (统计单元).
	Street     string `json:"street,omitzero"`      // Nine digits.
	AdminCode  string `json:"admin_code,omitzero"`  // Six digits.
	Unit       string `json:"unit,omitzero"`        // Unit or room set let, opaque: pairs successive contracts of one home.

	LetMode   string `json:"let_mode,omitzero"` // WHOLE, BY_ROOM, BY_BED.
	Bedrooms  int    `json:"bedrooms,omitzero"`
	SizeBand  string `json:"size_band,omitzero"`
	Fitout    string `json:"fitout,omitzero"`
	FloorBand string `json:"floor_band,omitzero"`
	AgeBand   string `json:"age_band,omitzero"`
	MetroBand string `json:"metro_band,omitzero"`

	Lessor   string   `json:"lessor,omitzero"`   // Opaque id, for counts of distinct lessors only.
	Excluded string   `json:"excluded,omitzero"` // Why the figures leave it out; "" = counted.
	Factors  []Factor `json:"factors,omitempty"` // Characteristics of a legacy register that has other columns than these.
}

// RentPerWeek marks a weekly rent, as some legacy registers have: converted to months it would be rounded.
const RentPerWeek = "WEEK"

// Factor is one characteristic of a legacy register and its level, e.g. dwelling type = flat.
type Factor struct {
	Name  string `json:"name"`
	Level string `json:"level"`
}

// Reasons of exclusion (index method §1).
const (
	ExcludedHead      = "HEAD"      // 收房合同
	ExcludedRelatives = "RELATIVES" // Let between relatives.
	ExcludedARH       = "ARH"       // 保障性租赁住房
	ExcludedPRH       = "PRH"       // 公共租赁住房
)

// Home is what bands are derived from. Zero values are unknown and give "".
type Home struct {
	AreaC     int64 // 0.01 ㎡
	Floor     int
	Floors    int // Of the building.
	BuiltYear int
	MetroM    int // Metres to the nearest metro station; 0 = unknown.
	OnYear    int // The year age is counted to.
}

// Bands are the classes the index and the guidance prices use.
type Bands struct{ Size, Floor, Age, Metro string }

// Band values. A bound belongs to the class below it for sizes (30.00 ㎡ is "<=30") and above it for the others.
const (
	Size30    = "<=30"
	Size50    = "30-50"
	Size70    = "50-70"
	Size90    = "70-90"
	Size120   = "90-120"
	SizeOver  = ">120"
	FloorLow  = "LOW"
	FloorMid  = "MID"
	FloorHigh = "HIGH"
	FloorTop  = "WALKUP_TOP" // Top floor of a house without a lift.
	Age5      = "<5"
	Age15     = "5-15"
	Age25     = "15-25"
	AgeOver   = ">25"
	Metro500  = "<500"
	Metro1000 = "<1000"
	MetroFar  = "else"
)

const walkUpFloorsMax = 6 // GB 50096: dwellings of seven storeys and more need a lift.

// Bands derives the classes of h. It is the only place that does.
func (h Home) Bands() Bands {
	var b Bands
	if h.AreaC > 0 {
		b.Size = SizeOver
		for i, bound := range []int64{3000, 5000, 7000, 9000, 12000} {
			if h.AreaC <= bound {
				b.Size = []string{Size30, Size50, Size70, Size90, Size120}[i]
				break
			}
		}
	}
	switch {
	case h.Floor == 0 || h.Floors <= 0 || h.Floor > h.Floors:
	case h.Floors > 2 && h.Floors <= walkUpFloorsMax && h.Floor == h.Floors:
		b.Floor = FloorTop
	case h.Floor == 1 || h.Floor*3 <= h.Floors:
		b.Floor = FloorLow
	case h.Floor*3 <= h.Floors*2:
		b.Floor = FloorMid
	default:
		b.Floor = FloorHigh
	}
	if h.BuiltYear > 0 && h.OnYear >= h.BuiltYear {
		switch age := h.OnYear - h.BuiltYear; {
		case age < 5:
			b.Age = Age5
		case age < 15:
			b.Age = Age15
		case age <= 25:
			b.Age = Age25
		default:
			b.Age = AgeOver
		}
	}
	switch {
	case h.MetroM <= 0:
	case h.MetroM < 500:
		b.Metro = Metro500
	case h.MetroM < 1000:
		b.Metro = Metro1000
	default:
		b.Metro = MetroFar
	}
	return b
}
