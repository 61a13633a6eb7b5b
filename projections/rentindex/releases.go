package rentindex

import (
	"context"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"zujian/domain"
	"zujian/domain/index"
	"zujian/projections"
	"zujian/projections/rentindex/stat"
)

// States of a vintage.
const (
	Computed  = "COMPUTED"
	Reviewed  = "REVIEWED"
	Published = "RELEASED"
)

// Release is one vintage of a month's release without its figures.
type Release struct {
	Release    string       `json:"release"` // Its name: "2026-11" is the first vintage, "2026-11.2" the second.
	Month      domain.Month `json:"month"`
	Version    int          `json:"version"`
	State      string       `json:"state"`
	On         domain.Day   `json:"on,omitzero"` // Of publication.
	Position   uint64       `json:"position"`    // Every event up to it is in the figures.
	Model      string       `json:"model"`
	Reason     string       `json:"reason,omitempty"`
	ComputedBy string       `json:"computed_by"`
	ReviewedBy string       `json:"reviewed_by,omitempty"`
	Note       string       `json:"note,omitempty"`
	ApprovedBy string       `json:"approved_by,omitempty"`
}

// ReleaseName names a vintage.
func ReleaseName(m domain.Month, version int) string {
	if version == 1 {
		return m.String()
	}
	return m.String() + "." + strconv.Itoa(version)
}

// ParseRelease reads the name of a vintage; without a number it is the first.
func ParseRelease(name string) (m domain.Month, version int, err error) {
	month, number, numbered := strings.Cut(name, ".")
	if m, err = domain.ParseMonth(month); err != nil {
		return 0, 0, fmt.Errorf("release %q: %w", name, err)
	}
	if version = 1; numbered {
		if version, err = strconv.Atoi(number); err != nil || version < 1 || number[0] == '0' || number[0] == '+' {
			return 0, 0, fmt.Errorf("release %q: no vintage", name)
		}
	}
	return m, version, nil
}

// Keys of releases; versions have six digits, so that they sort.
//
//	i/<month>/<version>                                  a Release
//	j/<month>/<version>/<population>/<method>/<area>     one of its series, once published
func releaseKey(m domain.Month, version int) string { return fmt.Sprintf("i/%s/%06d", m, version) }

func vintageKey(m domain.Month, version int, population, method, area string) string {
	return fmt.Sprintf("j/%s/%06d/%s/%s/%s", m, version, population, url.PathEscape(method), escaped(area))
}

// release keeps the state of vintages, and what is published.
func (b *work) release(e projections.Event) error {
	if b.part.index > 0 {
		return nil // The first part keeps them.
	}
	month, _ := domain.ParseMonth(strings.TrimPrefix(e.Stream, index.Decider.Category+"-"))
	switch x := e.Event.(type) {
	case index.Computed:
		projections.Put(b.v, releaseKey(month, x.Version), Release{
			Release: ReleaseName(month, x.Version), Month: month, Version: x.Version, State: Computed, Position: x.Vintage.Position,
			Model: x.Vintage.Model, Reason: x.Reason, ComputedBy: x.ComputedBy,
		})
	case index.Reviewed:
		r, err := projections.Get[Release](b.ctx, b.v, releaseKey(month, x.Version))
		if err != nil {
			return err
		}
		r.State, r.ReviewedBy, r.Note = Reviewed, x.ReviewedBy, x.Note
		projections.Put(b.v, releaseKey(month, x.Version), r)
	case index.Released:
		r, err := projections.Get[Release](b.ctx, b.v, releaseKey(month, x.Version))
		if err != nil {
			return err
		}
		r.State, r.On, r.ApprovedBy = Published, x.On, x.ApprovedBy
		projections.Put(b.v, releaseKey(month, x.Version), r)
		for _, s := range x.Vintage.Series {
			projections.Put(b.v, vintageKey(month, x.Version, s.Population, s.Method, s.Area), s)
		}
	case index.Withdrawn:
		b.v.Delete(releaseKey(month, x.Version))
	}
	return nil
}

// Vintage computes what a release of a month holds: every method, population, reporting unit and the city, up to the month.
// It is a pure function of the log up to the snapshot's position, the model and the month; parts
// that stand at different positions give none.
func (p Projection) Vintage(ctx context.Context, r projections.Reader, m domain.Month) (index.Vintage, error) {
	if err := projections.OfOnePosition(r); err != nil {
		return index.Vintage{}, err
	}
	v := index.Vintage{
		Month: m, Model: p.Model.Name, ModelVersion: p.Model.Version, ViewVersion: p.Version(), Position: uint64(r.Position()),
		Series: []index.Series{},
	}
	areas := []string{City}
	for pair, err := range r.Scan(ctx, "u/", "u0", false) {
		if err != nil {
			return v, err
		}
		areas = append(areas, unescaped(strings.TrimPrefix(pair.Key, "u/")))
	}
	for _, population := range []string{New, Stock} {
		city, err := p.prepare(ctx, r, Query{Area: City, Population: population, To: m, Now: m})
		if err != nil {
			return v, err
		}
		months, err := city.surveyed(areas[1:])
		if err != nil {
			return v, err
		}
		for _, area := range areas {
			if err := p.vintageOf(ctx, r, &v, area, population, months[area]); err != nil {
				return v, err
			}
		}
	}
	return v, nil
}

// vintageOf adds an area's series of every method.
func (p Projection) vintageOf(ctx context.Context, r projections.Reader, v *index.Vintage, area, population string, months []monthData) error {
	for _, method := range Methods {
		if population == Stock && method == Repeat || len(months) == 0 {
			continue
		}
		s, err := p.prepare(ctx, r, Query{Area: area, Population: population, Method: method, To: v.Month, Now: v.Month})
		if err != nil {
			return err
		}
		s.given = months
		res, err := s.answer()
		if err != nil {
			return fmt.Errorf("%s of %s, %s: %w", method, area, population, err)
		}
		if len(res.Points) > 0 {
			v.Series = append(v.Series, p.Model.published(v.Month, res))
		}
	}
	return nil
}

// survey gathers the months of every reporting unit in the city's one pass over the sums.
type survey struct {
	units  []string
	series *series // Of no unit: it only counts siblings.
	tally  *tally
	months map[string][]monthData
}

func (v *survey) judged(d monthData) {
	for _, unit := range v.units {
		mine := monthData{month: d.month, units: map[string]*stat.Cell{}}
		if c := d.units[unit]; c != nil {
			mine.units[unit] = c
		}
		of := *v.series
		of.unit = unit
		v.months[unit] = of.judged(v.months[unit], mine, v.tally)
	}
}

// surveyed are the months of the city and of every unit, as each one's own series has them.
func (s *series) surveyed(units []string) (map[string][]monthData, error) {
	other := *s
	other.unit = "\x00" // No unit's name.
	s.others = &survey{units: units, series: &other, tally: newTally(), months: map[string][]monthData{}}
	city, err := s.months()
	if err != nil {
		return nil, err
	}
	all := s.others.months
	all[City], s.others = city, nil
	return all, nil
}

// published is a result as a release holds it.
func (m *Model) published(month domain.Month, res *Result) index.Series {
	s := index.Series{
		Area: res.Area, Population: res.Population, Method: res.Method, MethodVersion: res.MethodVersion, Window: res.Window,
		N: res.N, InputsSHA256: res.InputsSHA256, Points: []index.Point{},
	}
	for _, p := range res.Points {
		s.Points = append(s.Points, index.Point{
			Month: p.Month, N: p.N, LogIndex: p.LogIndex, Index: p.Index, SE: p.SE, Withheld: p.Withheld,
			Provisional: int(month-p.Month) < m.ProvisionalMonths,
		})
	}
	return s
}

// Releases are all vintages, newest month first, with those only regulators see where open is true.
func (Projection) Releases(ctx context.Context, r projections.Reader, open bool) ([]Release, error) {
	out := []Release{}
	for pair, err := range r.Scan(ctx, "i/", "i0", true) {
		if err != nil {
			return nil, err
		}
		x, err := projections.Get[Release](ctx, r, pair.Key)
		if err != nil {
			return nil, err
		}
		if open || x.State == Published {
			out = append(out, x)
		}
	}
	return out, nil
}

// Release is one vintage; ErrUnknown if there is none.
func (Projection) Release(ctx context.Context, r projections.Reader, m domain.Month, version int) (Release, error) {
	x, err := projections.Get[Release](ctx, r, releaseKey(m, version))
	if err == nil && x.Release == "" {
		err = fmt.Errorf("%w: release %s", ErrUnknown, ReleaseName(m, version))
	}
	return x, err
}

// NextVersion is the version a computation of the month gets.
func (Projection) NextVersion(ctx context.Context, r projections.Reader, m domain.Month) (int, error) {
	next := 1
	for pair, err := range r.Scan(ctx, "i/"+m.String()+"/", "i/"+m.String()+"0", false) {
		if err != nil {
			return 0, err
		}
		x, err := projections.Get[Release](ctx, r, pair.Key)
		if err != nil {
			return 0, err
		}
		if x.State == Published {
			next = x.Version + 1
		}
	}
	return next, nil
}

// Published are the series of a published vintage, in order of population, method and area.
func (Projection) Published(ctx context.Context, r projections.Reader, m domain.Month, version int) ([]index.Series, error) {
	prefix := fmt.Sprintf("j/%s/%06d", m, version)
	out := []index.Series{}
	for pair, err := range r.Scan(ctx, prefix+"/", prefix+"0", false) {
		if err != nil {
			return nil, err
		}
		s, err := projections.Get[index.Series](ctx, r, pair.Key)
		if err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, nil
}

// InVintage answers a query from a published vintage instead of from the sums as they stand.
func (p Projection) InVintage(ctx context.Context, r projections.Reader, q Query, m domain.Month, version int) (*Result, error) {
	if q.Method == "" {
		q.Method = Hedonic
	}
	head, err := p.Release(ctx, r, m, version)
	if err != nil {
		return nil, err
	}
	s, err := projections.Get[index.Series](ctx, r, vintageKey(m, version, q.Population, q.Method, q.Area))
	if err == nil && (s.Area == "" || head.State != Published) {
		err = fmt.Errorf("%w: %s of %s in release %s", ErrUnknown, q.Method, q.Area, head.Release)
	}
	if err != nil {
		return nil, err
	}
	res := &Result{
		Area: s.Area, Population: s.Population, Method: s.Method, MethodVersion: s.MethodVersion, Model: head.Model, N: s.N,
		Position: r.Position(), InputsSHA256: s.InputsSHA256, Window: s.Window, Points: []Point{}, SetAside: map[string]int64{},
		Vintage: head.Release, VintagePosition: head.Position,
	}
	for _, x := range s.Points {
		pt := Point{Month: x.Month, N: x.N, Withheld: x.Withheld, Provisional: x.Provisional}
		if x.Withheld == "" {
			pt.show(x.N, x.LogIndex, x.SE, x.Index)
		}
		res.Points = append(res.Points, pt)
	}
	changes(res.Points)
	res.Points = within(res.Points, q)
	return res, nil
}

// within cuts points to the months asked for; the base of the figures stays the vintage's.
func within(points []Point, q Query) []Point {
	out := []Point{}
	for _, p := range points {
		if p.Month >= q.From && (q.To == 0 || p.Month <= q.To) {
			out = append(out, p)
		}
	}
	return out
}

// Revision is one month's figure in every vintage: a row of the revision triangle.
type Revision struct {
	Month   domain.Month `json:"month"`
	Figures []InVintage  `json:"figures"` // In order of publication; the last is what the log says now.
	// RevisedBP is what became of the first published figure, in basis points of the log: last less first.
	RevisedBP *float64 `json:"revised_bp"`
}

// InVintage is a figure in one vintage.
type InVintage struct {
	Release  string   `json:"release"` // "" = now.
	Index    *float64 `json:"index"`
	LogIndex *float64 `json:"log_index"`
	Withheld string   `json:"withheld,omitempty"`
}

// Revisions is the revision triangle of a series: first release against now, and all between.
func (p Projection) Revisions(ctx context.Context, r projections.Reader, q Query) ([]Revision, error) {
	now, err := p.Series(ctx, r, q)
	if err != nil {
		return nil, err
	}
	releases, err := p.Releases(ctx, r, false)
	if err != nil {
		return nil, err
	}
	byMonth := map[domain.Month]*Revision{}
	out := []Revision{}
	add := func(release string, points []Point) {
		for _, x := range points {
			if rev := byMonth[x.Month]; rev != nil {
				rev.Figures = append(rev.Figures, InVintage{release, x.Index, x.LogIndex, x.Withheld})
			}
		}
	}
	for _, x := range now.Points {
		out = append(out, Revision{Month: x.Month})
	}
	for i := range out {
		byMonth[out[i].Month] = &out[i]
	}
	for i := len(releases) - 1; i >= 0; i-- { // Months and versions rise with publication.
		res, err := p.InVintage(ctx, r, Query{Area: q.Area, Population: q.Population, Method: q.Method}, releases[i].Month, releases[i].Version)
		if err != nil {
			continue // An area that had no figures then.
		}
		add(releases[i].Release, res.Points)
	}
	add("", now.Points)
	for i := range out {
		out[i].revise()
	}
	return out, nil
}

func (r *Revision) revise() {
	var first, last *float64
	for _, f := range r.Figures {
		if f.LogIndex != nil {
			if last = f.LogIndex; first == nil {
				first = f.LogIndex
			}
		}
	}
	if first != nil && len(r.Figures) > 1 {
		v := float64(10000 * (*last - *first))
		r.RevisedBP = &v
	}
}

// Due is one line of the release calendar.
type Due struct {
	Month   domain.Month `json:"month"`
	Due     domain.Day   `json:"due"`
	State   string       `json:"state"` // DUE, OVERDUE, or that of the latest vintage.
	Release string       `json:"release,omitempty"`
}

// Calendar is when the last twelve months with lettings and the current one are due, and what became of them.
// Vintages not yet published count where open is true.
func (p Projection) Calendar(ctx context.Context, r projections.Reader, today domain.Day, open bool) ([]Due, error) {
	releases, err := p.Releases(ctx, r, open)
	if err != nil {
		return nil, err
	}
	latest := map[domain.Month]Release{}
	for _, x := range releases { // Newest version first.
		if _, there := latest[x.Month]; !there {
			latest[x.Month] = x
		}
	}
	day := p.Model.ReleaseDay
	if day == 0 {
		day = releaseDayDefault
	}
	out := []Due{}
	first := today.Month()
	for pair, err := range r.Scan(ctx, "c/"+setNew+"/", "c/"+setNew+"0", false) {
		if err != nil {
			return nil, err
		}
		at, err := parseCellKey(pair.Key)
		if err != nil {
			return nil, err
		}
		first = at.month
		break
	}
	for m := max(first, today.Month()-12); m <= today.Month(); m++ {
		d := Due{Month: m, Due: (m + 1).First() + domain.Day(day-1), State: "DUE"}
		switch x, there := latest[m]; {
		case there:
			d.State, d.Release = x.State, x.Release
		case d.Due < today:
			d.State = "OVERDUE"
		}
		out = append(out, d)
	}
	return out, nil
}
