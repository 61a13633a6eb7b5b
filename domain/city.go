package domain

import "slices"

// City is the configuration of one city (城市配置): its areas and reporting units. Nothing in the code names a city;
// profiles are data (cmd/zujian/profiles).
type City struct {
	ID         string       `json:"id"`          // "nanjing": names the rule set stream.
	Code       string       `json:"code"`        // Six digits, GB/T 2260.
	NameZH     string       `json:"name_zh"`     //
	NameEN     string       `json:"name_en"`     //
	IndexModel string       `json:"index_model"` // Bundled model of the rent index; "" = model.json of the profile.
	Units      []ReportUnit `json:"units"`
	Streets    []Street     `json:"streets"`
}

// ReportUnit is an area figures are reported for (统计单元). It may be an overlay of streets without a GB/T 2260 code.
type ReportUnit struct {
	Code   string `json:"code"`
	NameZH string `json:"name_zh"`
	NameEN string `json:"name_en"`
	Admin  bool   `json:"admin"` // Whether Code is an administrative district of GB/T 2260.
}

// Street (街道) is the base spatial unit. Each belongs to one administrative district and one reporting unit.
type Street struct {
	Code   string `json:"code"`  // Nine digits.
	NameZH string `json:"name"`  //
	Admin  string `json:"admin"` // Administrative district.
	Unit   string `json:"unit"`  // Reporting unit.
	From   Day    `json:"from,omitzero"`
	To     Day    `json:"to,omitzero"` // Last day it was valid; absent = still valid.
}

// Street finds a street valid on a day.
func (c *City) Street(code string, on Day) (Street, bool) {
	for _, s := range c.Streets {
		if s.Code == code && (s.From.IsZero() || s.From <= on) && (s.To.IsZero() || on <= s.To) {
			return s, true
		}
	}
	return Street{}, false
}

// Has says whether a district or reporting unit is the city's.
func (c *City) Has(area string) bool {
	_, unit := c.Unit(area)
	return unit || slices.ContainsFunc(c.Streets, func(s Street) bool { return s.Admin == area })
}

// Unit finds a reporting unit.
func (c *City) Unit(code string) (ReportUnit, bool) {
	for _, u := range c.Units {
		if u.Code == code {
			return u, true
		}
	}
	return ReportUnit{}, false
}
