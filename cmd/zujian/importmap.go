package main

import (
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"zujian/cmd/zujian/internal/tabular"
	"zujian/domain"
	"zujian/domain/contract"
)

//go:embed profiles/*/contracts.json
var bundledMaps embed.FS

// importMap says how the rows of a legacy register become contracts. Members whose names start with "_" are notes.
type importMap struct {
	Name string   `json:"name"`           // Of the register: part of the identity of rows that have a key.
	Key  []string `json:"key,omitempty"`  // Columns that identify a row wherever it stands; none = its file, sheet and row do.
	Kind string   `json:"kind,omitempty"` // OUT (default) or HEAD.

	SignedOn importField `json:"signed_on"`
	FiledOn  importField `json:"filed_on"`
	Start    importField `json:"start"`
	End      importField `json:"end"`
	Rent     importField `json:"rent"` // Yuan with at most two decimals; per a month or, with "per": "WEEK", a week.
	Deposit  importField `json:"deposit"`
	Area     importField `json:"area"` // ㎡ with at most two decimals.

	Number     importField `json:"number"` // The old register's own filing number.
	ReportUnit importField `json:"report_unit"`
	Street     importField `json:"street"`
	AdminCode  importField `json:"admin_code"`
	Unit       importField `json:"unit"`      // An opaque id that pairs successive contracts of one home.
	UnitText   importField `json:"unit_text"` // Address, to building level at most.
	LetMode    importField `json:"let_mode"`
	Bedrooms   importField `json:"bedrooms"`
	Fitout     importField `json:"fitout"`
	FloorBand  importField `json:"floor_band"`
	AgeBand    importField `json:"age_band"`
	MetroBand  importField `json:"metro_band"`
	Lessor     importField `json:"lessor"` // Identifier of a person or firm; only its blind index is kept.

	Factors []importFactor `json:"factors,omitempty"` // Characteristics that have no field here.

	columns []string
	at      map[string]int
}

// importField is where a value comes from: a column, or one value for all rows.
type importField struct {
	Column string            `json:"column,omitempty"`
	Value  string            `json:"value,omitempty"`
	Prefix int               `json:"prefix,omitempty"` // Only the first characters.
	Map    map[string]string `json:"map,omitempty"`    // Old codes to ours; a code not listed is kept.
	Layout string            `json:"layout,omitempty"` // Of dates, as Go's package time writes it.
	Per    string            `json:"per,omitempty"`    // Of rents.
}

type importFactor struct {
	Name string `json:"name"`
	importField
}

func (f importField) used() bool { return f.Column != "" || f.Value != "" }

// loadImportMap reads a map file, or a bundled map by its name.
func loadImportMap(name string) (*importMap, error) {
	raw, err := os.ReadFile(name)
	if errors.Is(err, os.ErrNotExist) {
		if bundled, bundledErr := bundledMaps.ReadFile("profiles/" + name + "/contracts.json"); bundledErr == nil {
			raw, err = bundled, nil
		}
	}
	if err != nil {
		return nil, fmt.Errorf("read the map: %w", err)
	}
	m, err := parseImportMap(raw)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", errUsage, name, err)
	}
	return m, nil
}

func parseImportMap(raw []byte) (*importMap, error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(bytes.TrimPrefix(raw, []byte("\xEF\xBB\xBF")), &members); err != nil {
		return nil, err
	}
	for name := range members {
		if strings.HasPrefix(name, "_") {
			delete(members, name)
		}
	}
	clean, err := json.Marshal(members)
	if err != nil {
		return nil, err
	}
	m := &importMap{at: map[string]int{}}
	if err := strictJSON(clean, m); err != nil {
		return nil, err
	}
	switch {
	case m.Name == "":
		return nil, errors.New("name is missing")
	case m.Kind != "" && m.Kind != contract.KindOut && m.Kind != contract.KindHead:
		return nil, fmt.Errorf("kind %q is neither OUT nor HEAD", m.Kind)
	case !m.Rent.used() || !m.SignedOn.used() && !m.Start.used() && !m.FiledOn.used():
		return nil, errors.New("rent and one of signed_on, start, filed_on must come from somewhere")
	case m.Rent.Per != "" && m.Rent.Per != domain.RentPerWeek:
		return nil, fmt.Errorf("rent.per %q is not %s", m.Rent.Per, domain.RentPerWeek)
	}
	for _, c := range m.Key {
		m.need(c)
	}
	for _, f := range m.fields() {
		m.need(f.Column)
	}
	for _, f := range m.Factors {
		if f.Name == "" || !f.used() {
			return nil, errors.New("factors: name and column are required")
		}
		m.need(f.Column)
	}
	return m, nil
}

func (m *importMap) fields() []importField {
	return []importField{
		m.SignedOn, m.FiledOn, m.Start, m.End, m.Rent, m.Deposit, m.Area, m.Number, m.ReportUnit, m.Street, m.AdminCode, m.Unit, m.UnitText,
		m.LetMode, m.Bedrooms, m.Fitout, m.FloorBand, m.AgeBand, m.MetroBand, m.Lessor,
	}
}

func (m *importMap) need(column string) {
	if _, known := m.at[column]; column != "" && !known {
		m.at[column] = len(m.columns)
		m.columns = append(m.columns, column)
	}
}

// importNamespace is that of legacy contracts' ids. It never changes: the same file twice must give the same ids.
var importNamespace = uuid.UUID{0x7a, 0x75, 0x6a, 0x69, 0x61, 0x6e, 0x50, 0x02, 0x80, 0x02, 0x6c, 0x65, 0x67, 0x61, 0x63, 0x79}

// errNoKey means a row lacks what would identify it.
var errNoKey = errors.New("a key column is empty")

// id names the row's contract: by its key in the register, else by where it stands. It does not depend on other values.
func (m *importMap) id(row tabular.Row) (string, error) {
	parts := []string{"row", row.Source, row.Sheet, strconv.Itoa(row.Number)}
	if len(m.Key) > 0 {
		parts = []string{"key", m.Name}
		for _, c := range m.Key {
			v := row.Values[m.at[c]]
			if missing(v) {
				return "", fmt.Errorf("%w: %s", errNoKey, c)
			}
			parts = append(parts, v)
		}
	}
	return uuid.NewSHA1(importNamespace, []byte(strings.Join(parts, "\x00"))).String(), nil
}

// text is the field's value in the row; "" = the row has none.
func (m *importMap) text(row tabular.Row, f importField) string {
	v := f.Value
	if f.Column != "" {
		if cell := row.Values[m.at[f.Column]]; !missing(cell) {
			v = strings.ToValidUTF8(cell, "\uFFFD")
			if row.Dates != tabular.DatesText && strings.ContainsAny(v, ".eE") {
				v = wholeText(v)
			}
		}
	}
	if f.Prefix > 0 {
		v = prefix(v, f.Prefix)
	}
	if mapped, ok := f.Map[v]; ok {
		v = mapped
	}
	return v
}

// excludedNoRent marks a legacy row without a readable rent: recorded, and in no figure.
const excludedNoRent = "NO_RENT"

// legacyRow reads the fields of one row and remembers which were missing.
type legacyRow struct {
	m       *importMap
	row     tabular.Row
	missing []string
}

func (l *legacyRow) lacks(name string) { l.missing = append(l.missing, name) }

func (l *legacyRow) day(name string, f importField) domain.Day {
	if v := l.m.text(l.row, f); v != "" {
		if d, err := tabular.ParseDate(v, l.row.Dates, f.Layout); err == nil {
			if day, err := domain.ParseDay(d.String()); err == nil {
				return day
			}
		}
	}
	l.lacks(name)
	return 0
}

func (l *legacyRow) hundredths(name string, f importField) int64 {
	if v := l.m.text(l.row, f); v != "" {
		if n, err := tabular.ParseHundredths(v); err == nil && n > 0 {
			return n
		}
	}
	l.lacks(name)
	return 0
}

func (l *legacyRow) string(name string, f importField) string {
	v := l.m.text(l.row, f)
	if v == "" {
		l.lacks(name)
	}
	return v
}

// optional is missing only where the register has a column for it.
func (l *legacyRow) optional(name string, f importField) string {
	if !f.used() {
		return ""
	}
	return l.string(name, f)
}

// command is what the row records. blind turns a lessor's identifier into its blind index.
func (m *importMap) command(row tabular.Row, blind func(string) string) (contract.RecordLegacy, error) {
	l := &legacyRow{m: m, row: row}
	c := contract.RecordLegacy{
		Source: contract.LegacySource{Name: row.Source, Sheet: row.Sheet, Row: row.Number}, Kind: m.Kind,
		Start: l.day("start", m.Start), End: l.day("end", m.End), FiledOn: l.day("filed_on", m.FiledOn),
		DepositFen: domain.Fen(l.hundredths("deposit_fen", m.Deposit)),
		Number:     l.optional("filing_no", m.Number), UnitText: l.optional("unit_text", m.UnitText),
	}
	signed := l.day("signed_on", m.SignedOn)
	month := firstOf(signed, c.Start, c.FiledOn).Month()
	if firstOf(signed, c.Start, c.FiledOn) == 0 {
		month = 0
	}
	o := domain.Observation{
		Month: month, From: month, AreaC: l.hundredths("area_c", m.Area),
		RentFen: domain.Fen(l.hundredths("monthly_rent_fen", m.Rent)), RentPer: m.Rent.Per,
		ReportUnit: l.string("report_unit", m.ReportUnit), Street: l.string("street", m.Street), AdminCode: l.optional("admin_code", m.AdminCode),
		Unit: l.string("unit", m.Unit), LetMode: l.optional("let_mode", m.LetMode), Fitout: l.optional("fitout", m.Fitout),
		FloorBand: l.optional("floor_band", m.FloorBand), AgeBand: l.optional("age_band", m.AgeBand), MetroBand: l.optional("metro_band", m.MetroBand),
	}
	if c.Start != 0 {
		o.From = c.Start.Month()
	}
	if c.End != 0 {
		o.To = c.End.Month()
	}
	if text := l.optional("bedrooms", m.Bedrooms); text != "" {
		if n, err := strconv.Atoi(text); err == nil && n >= 0 && n <= 99 {
			o.Bedrooms = n
		} else {
			l.lacks("bedrooms")
		}
	}
	o.SizeBand = domain.Home{AreaC: o.AreaC}.Bands().Size
	if id := l.string("lessors", m.Lessor); id != "" {
		if blind == nil {
			return c, errors.New("lessor: no key to blind identifiers with")
		}
		o.Lessor = blind(id)
	}
	for _, f := range m.Factors {
		if level := l.string(f.Name, f.importField); level != "" {
			o.Factors = append(o.Factors, domain.Factor{Name: f.Name, Level: level})
		}
	}
	if err := m.rents(&c, &o); err != nil {
		return c, err
	}
	c.Observation, c.Missing = o, l.missing
	return c, nil
}

// rents fills the monthly rent of the record; a weekly one is rounded there, and exact in the observation.
func (m *importMap) rents(c *contract.RecordLegacy, o *domain.Observation) (err error) {
	switch {
	case o.RentFen == 0:
		o.RentPer, o.Excluded = "", excludedNoRent
	case m.Kind == contract.KindHead:
		o.Excluded = domain.ExcludedHead
	}
	c.MonthlyRentFen = o.RentFen
	if o.RentPer == domain.RentPerWeek {
		if c.MonthlyRentFen, err = o.RentFen.MulDiv(365, 84); err != nil { // 365 days in 12 months of 7-day weeks.
			return fmt.Errorf("rent: %w", err)
		}
	}
	return nil
}

func firstOf(days ...domain.Day) domain.Day {
	for _, d := range days {
		if d != 0 {
			return d
		}
	}
	return 0
}
