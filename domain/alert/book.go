package alert

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"zujian/domain"
)

// Indicator (监测指标) is one figure of a subject and what it is held against. Up thresholds are reached at or above, Down
// strictly below. A level clears when the value has come back to the clear percentage of the trigger's distance from Norm.
type Indicator struct {
	ID        string   `json:"id"`
	Dimension string   `json:"dimension"`
	NameZH    string   `json:"name_zh"`
	NameEN    string   `json:"name_en"`
	Formula   string   `json:"formula"`
	Unit      string   `json:"unit"`     // What one is: share, ratio, months, days, deviations. Values are ten-thousandths of it.
	Subjects  []string `json:"subjects"` // Whom it is computed of: city, unit, street, operator.
	Norm      int64    `json:"norm"`
	Up        []int64  `json:"up,omitempty"`            // Blue, yellow, orange, red; rising away from Norm.
	Down      []int64  `json:"down,omitempty"`          // The same, falling.
	MinN      int64    `json:"min_n"`                   // Below this many observations nothing is judged.
	Clear     int64    `json:"clear_percent,omitempty"` // Its own clear percentage; 0 = the book's. 100 clears at the trigger: exact money does not flicker.
	Rule      *OfRule  `json:"rule,omitempty"`          // The rule whose parameter one of the thresholds is.
	Unscored  bool     `json:"unscored,omitempty"`      // Warns, and counts for no score: another view of a figure that does.
	AbsentZH  string   `json:"absent_zh,omitempty"`
	AbsentEN  string   `json:"absent_en,omitempty"` // Why there are no facts for it yet; "" = there are.
}

// OfRule makes a rule of the rule set the source of an indicator's thresholds: the named level begins where the rule's
// parameter says, and the other thresholds keep their distance from it. So a limit stands in one place, with its dates.
type OfRule struct {
	ID    string `json:"id"`
	Param string `json:"param"` // In basis points.
	Level Level  `json:"level"`
}

// Series are the parameters of the tests on monthly series (index method, §6).
type Series struct {
	Window   int   `json:"window"`    // Months of history.
	KnownMin int   `json:"known_min"` // Known months below which nothing is said.
	Slack    int64 `json:"slack"`     // CUSUM k, in ten-thousandths of a deviation.
}

// Watch is the blow-up watch (爆雷): least so many signs, held for so many days.
type Watch struct {
	Days  int    `json:"days"`
	Least int    `json:"least"`
	Signs []Sign `json:"signs"`
}

// Sign holds on the days on which all its indicators are at their level or beyond.
type Sign struct {
	Name string `json:"name"`
	All  []At   `json:"all"`
}

// At is an indicator at a level or beyond.
type At struct {
	Indicator string `json:"indicator"`
	Level     Level  `json:"level"`
}

// Book is a city's indicators with thresholds and weights: one version, in force from a day until the next one is.
type Book struct {
	Version       string           `json:"version"`
	EffectiveFrom domain.Day       `json:"effective_from"`
	ClearPercent  int64            `json:"clear_percent"`
	BandScores    []int64          `json:"band_scores"` // Score 0–100 of none, blue, yellow, orange, red.
	Weights       map[string]int64 `json:"weights"`     // By dimension; they sum to 100.
	Series        Series           `json:"series"`
	Watch         Watch            `json:"watch"`
	Indicators    []Indicator      `json:"indicators"`
}

// Books are all versions, oldest first.
type Books []Book

//go:embed indicators.json
var shipped []byte

// Shipped are the default books.
func Shipped() (Books, error) { return Parse(shipped) }

// On is the book in force on a day; ok is false before the first.
func (s Books) On(day domain.Day) (b Book, ok bool) {
	for _, x := range s {
		if x.EffectiveFrom <= day {
			b, ok = x, true
		}
	}
	return b, ok
}

// Parse reads books strictly and checks that each can judge.
func Parse(data []byte) (Books, error) {
	var all Books
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&all); err != nil {
		return nil, fmt.Errorf("alert: indicators: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("alert: indicators: more than one document")
	}
	if len(all) == 0 {
		return nil, errors.New("alert: indicators: no version")
	}
	for n, b := range all {
		if n > 0 && (b.EffectiveFrom <= all[n-1].EffectiveFrom || b.Version == all[n-1].Version) {
			return nil, fmt.Errorf("alert: indicators: %s does not begin after %s", b.Version, all[n-1].Version)
		}
		if err := b.check(); err != nil {
			return nil, fmt.Errorf("alert: indicators %s: %w", b.Version, err)
		}
	}
	return all, nil
}

func (b Book) check() error {
	if b.Version == "" || b.EffectiveFrom.IsZero() || b.ClearPercent < 1 || b.ClearPercent > 100 || len(b.BandScores) != int(Red)+1 {
		return errors.New("version, effective_from, clear_percent 1–100 and five band_scores are needed")
	}
	for _, s := range b.BandScores {
		if s < 0 || s > 100 {
			return errors.New("band_scores lie in 0–100")
		}
	}
	sum := int64(0)
	for dimension, w := range b.Weights {
		if w < 0 || w > 100 {
			return fmt.Errorf("weight of %s lies outside 0–100", dimension)
		}
		sum += w
	}
	if sum != 100 {
		return fmt.Errorf("weights sum to %d, not 100", sum)
	}
	if s := b.Series; s.KnownMin < 3 || s.Window < s.KnownMin || s.Window > 600 || s.Slack < 0 || s.Slack > 100_000 {
		return errors.New("series needs window ≥ known_min ≥ 3 and a slack of 0–10 deviations")
	}
	seen := map[string]bool{}
	for _, i := range b.Indicators {
		if seen[i.ID] {
			return fmt.Errorf("%s stands twice", i.ID)
		}
		seen[i.ID] = true
		if err := b.checkIndicator(i); err != nil {
			return err
		}
	}
	return b.checkWatch(seen)
}

func (b Book) checkIndicator(i Indicator) error {
	_, weighed := b.Weights[i.Dimension]
	switch {
	case !weighed || i.ID == "" || i.ID == BlowUp || strings.Trim(i.ID, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") != "" || i.MinN < 1:
		return fmt.Errorf("%q needs an id of its own, a weighed dimension and min_n ≥ 1", i.ID)
	case len(i.Subjects) == 0 || slices.ContainsFunc(i.Subjects, func(s string) bool { return !slices.Contains(kinds, s) }):
		return fmt.Errorf("%s needs subjects of %v", i.ID, kinds)
	case len(i.Up)+len(i.Down) == 0 || !away(i.Norm, i.Up, 1) || !away(i.Norm, i.Down, -1):
		return fmt.Errorf("%s needs four thresholds moving away from its norm", i.ID)
	case i.Clear < 0 || i.Clear > 100:
		return fmt.Errorf("%s needs a clear_percent of 1–100", i.ID)
	case i.Rule != nil && (i.Rule.ID == "" || i.Rule.Param == "" || i.Rule.Level == None || len(i.Up) > 0 && len(i.Down) > 0):
		return fmt.Errorf("%s needs a rule's id, parameter and level, and thresholds on one side", i.ID)
	}
	return nil
}

func (b Book) checkWatch(indicators map[string]bool) error {
	if b.Watch.Days < 1 || b.Watch.Days > 366 || b.Watch.Least < 1 || b.Watch.Least > len(b.Watch.Signs) {
		return errors.New("watch needs days 1–366, and signs of which some must hold")
	}
	for _, s := range b.Watch.Signs {
		if s.Name == "" || len(s.All) == 0 {
			return errors.New("a sign needs a name and indicators")
		}
		for _, a := range s.All {
			if !indicators[a.Indicator] || a.Level == None {
				return fmt.Errorf("sign %s needs known indicators, each at a level", s.Name)
			}
		}
	}
	return nil
}

// away says that the thresholds are none or four, each farther from the norm than the one before. Bounded, so that
// differences cannot overflow.
func away(norm int64, thresholds []int64, sign int64) bool {
	if len(thresholds) != 0 && len(thresholds) != int(Red) || norm > valueMax || norm < -valueMax {
		return false
	}
	last := norm
	for _, t := range thresholds {
		if t > valueMax || t < -valueMax || (t-last)*sign <= 0 {
			return false
		}
		last = t
	}
	return true
}

// Indicator finds one by its id.
func (b Book) Indicator(id string) (Indicator, bool) {
	for _, i := range b.Indicators {
		if i.ID == id {
			return i, true
		}
	}
	return Indicator{}, false
}

// Resolve gives an indicator the thresholds in force on a day: those of its rule, if it has one with that parameter.
// A parameter that would leave the thresholds out of order is not followed.
func (i Indicator) Resolve(p domain.Policy, on domain.Day) Indicator {
	if i.Rule == nil {
		return i
	}
	limit, ok := p.Param(i.Rule.ID, i.Rule.Param, on)
	if !ok {
		return i
	}
	move := func(thresholds []int64) []int64 {
		out := slices.Clone(thresholds)
		for n := range out {
			out[n] += limit - thresholds[i.Rule.Level-1]
		}
		return out
	}
	moved := i
	if i.Up != nil {
		moved.Up = move(i.Up)
	} else {
		moved.Down = move(i.Down)
		moved.Norm += limit - i.Down[i.Rule.Level-1]
	}
	if !away(moved.Norm, moved.Up, 1) || !away(moved.Norm, moved.Down, -1) {
		return i
	}
	return moved
}

// kinds of subject.
var kinds = []string{City, Unit, Street, Operator}

// Of says whether the indicator is computed of a kind of subject.
func (i Indicator) Of(kind string) bool { return slices.Contains(i.Subjects, kind) }
