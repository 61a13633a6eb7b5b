package api

import (
	"bytes"
	"context"
	"encoding/csv"
	"net/http"
	"strconv"
	"strings"

	"zujian/domain"
	"zujian/domain/alert"
	"zujian/projections"
	"zujian/projections/alerts"
	"zujian/projections/housing"
	"zujian/projections/money"
)

// listAlerts lists warnings; as CSV all of them at once.
func listAlerts(ctx context.Context, s *Server, c *call) (answer, error) {
	f := alerts.Filter{
		Indicator: c.query["indicator"], Dimension: c.query["dimension"], Kind: c.query["kind"], Subject: c.query["subject_id"],
		Unjudged: c.query["unjudged"] == "true",
	}
	if text := c.query["level"]; text != "" {
		if err := f.Level.UnmarshalText([]byte(text)); err != nil {
			return answer{}, errParameter.With("parameter", "level")
		}
	}
	if text := c.query["open"]; text != "" {
		open := text == "true"
		f.Open = &open
	}
	if c.query["format"] != "csv" {
		return listView(ctx, s, c, alerts.Projection{}, func(r projections.Reader, scope projections.Scope, p projections.Page) ([]alerts.Row, string, error) {
			return alerts.List(ctx, r, scope, f, p)
		})
	}
	lines := [][]string{{"id", "indicator", "dimension", "kind", "subject_id", "level", "since", "value", "n", "book", "position", "episodes", "verdict", "missed"}}
	err := s.wholeView(ctx, func(r projections.Reader, p projections.Page) (string, error) {
		rows, next, err := alerts.List(ctx, r, scopeOf(c.Call), f, p)
		for _, a := range rows {
			lines = append(lines, alertLine(a))
		}
		return next, err
	})
	return csvAnswer("alerts", lines), err
}

func alertLine(a alerts.Row) []string {
	line := []string{a.ID, a.Indicator, a.Dimension, a.Subject.Kind, a.Subject.ID, a.Level.String(), "", "", "", "", "", strconv.Itoa(len(a.Episodes)), "", strconv.Itoa(len(a.Missed))}
	if !a.Since.IsZero() {
		line[6] = a.Since.String()
	}
	if e := a.Evidence; e != nil {
		line[7], line[8], line[9], line[10] = whole(e.Value), whole(e.Figure.N), e.Book, strconv.FormatUint(e.Position, 10)
	}
	if n := len(a.Episodes); n > 0 {
		line[12] = string(a.Episodes[n-1].Verdict)
	}
	return line
}

func whole(n int64) string { return strconv.FormatInt(n, 10) }

// wholeView reads every page of the alerts view.
func (s *Server) wholeView(ctx context.Context, read func(r projections.Reader, p projections.Page) (next string, err error)) error {
	return s.o.Views.Read(ctx, alerts.Projection{}.Name(), func(r projections.Reader) error {
		for page := (projections.Page{Limit: projections.LimitMax}); ; {
			next, err := read(r, page)
			if page.Cursor = next; err != nil || next == "" {
				return err
			}
		}
	})
}

// csvAnswer is lines as a table. Equal lines give equal bytes.
func csvAnswer(name string, lines [][]string) answer {
	var out bytes.Buffer
	w := csv.NewWriter(&out)
	_ = w.WriteAll(lines) // Into memory: it can't fail.
	return answer{file: &file{"text/csv", name + ".csv", out.Bytes()}}
}

// indicatorRow is an indicator as it is judged on a day.
type indicatorRow struct {
	alert.Indicator
	State string `json:"state"` // WATCHED, or NO_FACTS with the reason in absent_zh and absent_en.
}

// listIndicators is the book in force on a day, with the thresholds that rules give.
func listIndicators(ctx context.Context, s *Server, c *call) (answer, error) {
	policy, err := s.o.Desk.Policy(ctx)
	if err != nil {
		return answer{}, err
	}
	day := c.on()
	book, ok := s.o.Desk.Books().On(day)
	if !ok {
		return answer{}, errNotFound
	}
	rows := make([]indicatorRow, len(book.Indicators))
	for n, i := range book.Indicators {
		rows[n] = indicatorRow{i.Resolve(policy, day), "WATCHED"}
		if i.AbsentEN != "" {
			rows[n].State = "NO_FACTS"
		}
	}
	versions := []map[string]string{}
	for _, b := range s.o.Desk.Books() {
		versions = append(versions, map[string]string{"version": b.Version, "effective_from": b.EffectiveFrom.String()})
	}
	type listing struct {
		On           domain.Day          `json:"on"`
		Version      string              `json:"version"`
		Versions     []map[string]string `json:"versions"`
		ClearPercent int64               `json:"clear_percent"`
		Weights      map[string]int64    `json:"weights"`
		BandScores   []int64             `json:"band_scores"`
		Series       alert.Series        `json:"series"`
		Watch        alert.Watch         `json:"watch"`
		Items        []indicatorRow      `json:"items"`
		Round        *alert.RoundDone    `json:"last_round"` // What the last evaluation judged; null before the first.
		Made         made                `json:"made"`
	}
	return figures(ctx, s, alerts.Projection{}, func(r projections.Reader) (*alert.RoundDone, bool, error) {
		d, ok, err := alerts.LastRound(ctx, r)
		if !ok || scopeOf(c.Call).District != "" { // Its counts are the whole city's.
			return nil, true, err
		}
		return &d, true, err
	}, func(d *alert.RoundDone, m made) any {
		return listing{day, book.Version, versions, book.ClearPercent, book.Weights, book.BandScores, book.Series, book.Watch, rows, d, m}
	})
}

// readAlertQuality is how right the indicators were, by verdicts on what the caller sees.
func readAlertQuality(ctx context.Context, s *Server, c *call) (answer, error) {
	return figures(ctx, s, alerts.Projection{}, func(r projections.Reader) ([]alerts.Quality, bool, error) {
		rows, err := alerts.Qualities(ctx, r, scopeOf(c.Call))
		return rows, true, err
	}, func(rows []alerts.Quality, m made) any { return page[alerts.Quality]{Items: rows, Made: m} })
}

// healthDays is how far back a health score is read unless from says otherwise.
const healthDays = 365

// readHealth is the health score of an area over days, with its parts and their inputs.
func readHealth(ctx context.Context, s *Server, c *call) (answer, error) {
	area, to := c.area(), c.on()
	from := to.AddDays(-healthDays)
	if text := c.query["from"]; text != "" {
		var err error
		if from, err = domain.ParseDay(text); err != nil || from > to {
			return answer{}, errParameter.With("parameter", "from")
		}
	}
	subject := alert.Subject{Kind: alert.City, ID: alert.City}
	if area != alert.City {
		u, ok := s.o.Desk.City().Unit(area)
		if !ok {
			return answer{}, errNotFound
		}
		subject = alert.Subject{Kind: alert.Unit, ID: u.Code, District: u.Code}
	}
	var rows []alert.HealthScored
	type health struct {
		Area  string               `json:"area"`
		From  domain.Day           `json:"from"`
		To    domain.Day           `json:"to"`
		Items []alert.HealthScored `json:"items"` // Each holds from its day until the next one's.
		Made  made                 `json:"made"`
	}
	a, err := figures(ctx, s, alerts.Projection{}, func(r projections.Reader) (_ bool, ok bool, err error) {
		rows, err = alerts.Scores(ctx, r, scopeOf(c.Call), subject, from, to)
		return true, alerts.Sees(scopeOf(c.Call), subject), err
	}, func(_ bool, m made) any { return health{area, from, to, rows, m} })
	if err != nil || c.query["format"] != "csv" {
		return a, err
	}
	lines := [][]string{{"area", "day", "score", "book", "dimension", "weight", "dimension_score", "indicator", "level", "band_score"}}
	for _, h := range rows {
		for _, p := range h.Parts {
			for _, in := range p.Inputs {
				lines = append(lines, []string{
					area, h.Day.String(), whole(h.Score), h.Book, p.Dimension, whole(p.Weight), whole(p.Score), in.Indicator, in.Level.String(), whole(in.Score),
				})
			}
		}
	}
	return csvAnswer("health-"+area, lines), nil
}

// alertOf reads an alert the caller sees, or answers as if there were none.
func alertOf(ctx context.Context, s *Server, c *call) (row alerts.Row, err error) {
	err = s.o.Views.Read(ctx, alerts.Projection{}.Name(), func(r projections.Reader) error {
		var ok bool
		row, ok, err = alerts.Of(ctx, r, scopeOf(c.Call), c.path("alert"))
		if err == nil && !ok {
			err = errNotFound
		}
		return err
	})
	return row, err
}

func readAlert(ctx context.Context, s *Server, c *call) (answer, error) {
	id := c.path("alert")
	return entity(ctx, s, c, alerts.Projection{}, streamOf(alert.Decider.Category, id), func(r projections.Reader) (alerts.Row, bool, error) {
		return alerts.Of(ctx, r, scopeOf(c.Call), id)
	}, func(row alerts.Row, m made) any {
		return struct {
			alerts.Row
			Made made `json:"made"`
		}{row, m}
	})
}

func listAlertChanges(ctx context.Context, s *Server, c *call) (answer, error) {
	if _, err := alertOf(ctx, s, c); err != nil {
		return answer{}, err
	}
	return listView(ctx, s, c, alerts.Projection{}, func(r projections.Reader, scope projections.Scope, p projections.Page) ([]alerts.Change, string, error) {
		return alerts.Changes(ctx, r, scope, c.path("alert"), p)
	})
}

// exposed is one letting of an operator's exposure.
type exposed struct {
	Contract       string        `json:"contract"`
	Unit           string        `json:"unit"`
	Rooms          []string      `json:"rooms,omitempty"`
	AdminCode      string        `json:"admin_code"`
	ReportUnit     string        `json:"report_unit"`
	Lessees        []string      `json:"lessees"`
	HeadLease      string        `json:"head_lease,omitempty"`
	Start          domain.Day    `json:"start"`
	End            domain.Day    `json:"end"`
	MonthlyRentFen domain.Fen    `json:"monthly_rent_fen"`
	DepositFen     domain.Fen    `json:"deposit_agreed_fen"`
	Supervised     bool          `json:"supervised"`
	Held           money.Holding `json:"held"` // Zero when nothing of it is supervised.
}

// viewExposure lists the lettings of the operator an alert is about, with what tenants and owners stand to lose.
func viewExposure(ctx context.Context, s *Server, c *call) (answer, error) {
	a, err := alertOf(ctx, s, c)
	if err == nil && a.Subject.Kind != alert.Operator {
		err = errNotFound
	}
	if err != nil {
		return answer{}, err
	}
	operator, day, scope := a.Subject.ID, c.on(), scopeOf(c.Call)
	sum, _, err := s.o.Desk.Exposure(ctx, scope, operator, day)
	if err != nil {
		return answer{}, err
	}
	list := func(p projections.Page) (rows []exposed, next string, m made, err error) {
		var contracts []housing.Contract
		err = s.o.Views.Read(ctx, housing.Projection{}.Name(), func(r projections.Reader) (err error) {
			contracts, next, err = housing.LetBy(ctx, r, scope, operator, day, p)
			m = madeBy(housing.Projection{}, r)
			return err
		})
		if err == nil {
			rows, err = s.exposed(ctx, contracts, day)
		}
		return rows, next, m, err
	}
	if c.query["format"] == "csv" {
		return exposureTable(operator, list)
	}
	cursor, err := s.unseal(c)
	if err != nil {
		return answer{}, err
	}
	rows, next, m, err := list(projections.Page{Limit: c.limit(), Cursor: cursor})
	if err != nil {
		return answer{}, err
	}
	if next != "" {
		next = s.seal(c, next)
	}
	return answer{next: next, body: struct {
		Operator string         `json:"operator"`
		On       domain.Day     `json:"on"`
		Sum      alert.Exposure `json:"sum"` // Of all the lettings the caller sees, not of this page.
		page[exposed]
	}{operator, day, sum, page[exposed]{Items: append([]exposed{}, rows...), NextCursor: next, Made: m}}}, nil
}

// exposed joins lettings with what their ledgers hold.
func (s *Server) exposed(ctx context.Context, contracts []housing.Contract, day domain.Day) (rows []exposed, err error) {
	err = s.o.Views.Read(ctx, money.Projection{}.Name(), func(r projections.Reader) error {
		for _, x := range contracts {
			h, ok, err := money.HoldingOf(ctx, r, x.ID, day)
			if err != nil {
				return err
			}
			rows = append(rows, exposed{
				Contract: x.ID, Unit: x.Unit, Rooms: x.Rooms, AdminCode: x.AdminCode, ReportUnit: x.ReportUnit, Lessees: x.Lessees, HeadLease: x.Parent,
				Start: x.Start, End: x.End, MonthlyRentFen: x.MonthlyRentFen, DepositFen: x.DepositFen, Supervised: ok, Held: h,
			})
		}
		return nil
	})
	return rows, err
}

func exposureTable(operator string, list func(projections.Page) ([]exposed, string, made, error)) (answer, error) {
	lines := [][]string{{
		"contract", "unit", "admin_code", "report_unit", "lessees", "head_lease", "start", "end", "monthly_rent_fen", "deposit_agreed_fen", "supervised",
		"deposit_held_fen", "prepaid_held_fen", "unreceived_fen", "owner_unpaid_fen",
	}}
	for p := (projections.Page{Limit: projections.LimitMax}); ; {
		rows, next, _, err := list(p)
		if err != nil {
			return answer{}, err
		}
		for _, x := range rows {
			lines = append(lines, []string{
				x.Contract, x.Unit, x.AdminCode, x.ReportUnit, strings.Join(x.Lessees, " "), x.HeadLease, x.Start.String(), x.End.String(),
				whole(int64(x.MonthlyRentFen)), whole(int64(x.DepositFen)), strconv.FormatBool(x.Supervised), whole(int64(x.Held.DepositFen)),
				whole(int64(x.Held.PrepaidFen)), whole(int64(x.Held.UnreceivedFen)), whole(int64(x.Held.OwnerUnpaidFen)),
			})
		}
		if p.Cursor = next; next == "" {
			return csvAnswer("exposure-"+operator, lines), nil
		}
	}
}

func judgeAlert(ctx context.Context, s *Server, c *call, in AlertVerdict) (answer, error) {
	id := c.path("alert")
	r, err := s.o.Desk.JudgeAlert(ctx, c.Call, id, alert.Judge{Episode: in.Episode, Verdict: alert.Verdict(in.Verdict), Note: in.Note})
	return wrote(http.StatusOK, r, Done{Id: id}), err
}

func reportMiss(ctx context.Context, s *Server, c *call, in AlertMiss) (answer, error) {
	id, r, err := s.o.Desk.ReportMiss(ctx, c.Call, in.Indicator, alert.Subject{Kind: in.Kind, ID: in.SubjectId}, in.On, in.Note)
	return wrote(http.StatusCreated, r, Done{Id: id}), err
}
