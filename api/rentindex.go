package api

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"io"
	"net/http"
	"strconv"

	"github.com/labstack/echo/v4"
	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/zstd"

	"zujian/api/web"
	"zujian/domain"
	"zujian/domain/index"
	"zujian/eventstore"
	"zujian/projections"
	"zujian/projections/rentindex"
)

// indexQuery reads what a request asks of the rent index.
func indexQuery(c *call) (q rentindex.Query, err error) {
	q = rentindex.Query{Area: c.query["area"], Population: c.query["population"], Method: c.query["method"], Now: domain.DayOf(c.At).Month()}
	if q.Population == "" {
		q.Population = rentindex.New
	}
	for name, to := range map[string]*domain.Month{"from": &q.From, "to": &q.To} {
		if text := c.query[name]; text != "" {
			if *to, err = domain.ParseMonth(text); err != nil {
				return q, errParameter.With("parameter", name)
			}
		}
	}
	return q, nil
}

// readIndexView reads the index view; what it refuses becomes the problem that says so.
func (s *Server) readIndexView(ctx context.Context, read func(r projections.Reader) error) error {
	return indexProblem(s.o.Views.Read(ctx, s.o.Index.Name(), read))
}

func indexProblem(err error) error {
	switch {
	case errors.Is(err, rentindex.ErrUnknown):
		return errNotFound
	case errors.Is(err, rentindex.ErrQuery):
		return errParameter
	}
	return err
}

// readRentIndex computes a series from the view as it stands, or reads it from a vintage: position and input hash let
// anyone compute it again.
func readRentIndex(ctx context.Context, s *Server, c *call) (answer, error) {
	q, err := indexQuery(c)
	if err != nil {
		return answer{}, err
	}
	var res *rentindex.Result
	if name := c.query["vintage"]; name != "" {
		err = s.readIndexView(ctx, func(r projections.Reader) error {
			month, version, err := rentindex.ParseRelease(name)
			if err == nil {
				res, err = s.o.Index.InVintage(ctx, r, q, month, version)
			}
			return err
		})
	} else {
		res, err = s.solved.Series(ctx, s.o.Views, s.o.Index, q)
		err = indexProblem(err)
	}
	if err != nil || c.query["format"] == "" || c.query["format"] == "json" {
		return answer{body: res}, err
	}
	rows := make([]indexFigure, 0, len(res.Points))
	for _, p := range res.Points {
		rows = append(rows, figureOf(res.Vintage, res.Area, res.Population, res.Method, res.InputsSHA256, p))
	}
	f, err := tableFile(c.query["format"], "rent-index-"+res.Area+"-"+res.Population+"-"+res.Method, rows)
	return answer{file: f}, err
}

// indexFigure is one row of a table of figures.
type indexFigure struct {
	Release      string   `parquet:"release,optional"`
	Area         string   `parquet:"area"`
	Population   string   `parquet:"population"`
	Method       string   `parquet:"method"`
	Month        string   `parquet:"month"`
	N            int64    `parquet:"n"`
	Index        *float64 `parquet:"index,optional"`
	LogIndex     *float64 `parquet:"log_index,optional"`
	SE           *float64 `parquet:"se,optional"`
	Low          *float64 `parquet:"low,optional"`
	High         *float64 `parquet:"high,optional"`
	Provisional  bool     `parquet:"provisional"`
	Withheld     string   `parquet:"withheld,optional"`
	InputsSHA256 string   `parquet:"inputs_sha256"`
}

func figureOf(release, area, population, method, inputs string, p rentindex.Point) indexFigure {
	return indexFigure{
		Release: release, Area: area, Population: population, Method: method, Month: p.Month.String(), N: p.N, Index: p.Index,
		LogIndex: p.LogIndex, SE: p.SE, Low: p.Low, High: p.High, Provisional: p.Provisional, Withheld: p.Withheld, InputsSHA256: inputs,
	}
}

// tableFile writes rows as CSV or Parquet. Equal rows give equal bytes.
func tableFile(format, name string, rows []indexFigure) (*file, error) {
	var out bytes.Buffer
	if format == "parquet" {
		w := parquet.NewGenericWriter[indexFigure](&out, parquet.Compression(&zstd.Codec{}))
		if _, err := w.Write(rows); err != nil {
			return nil, err
		}
		if err := w.Close(); err != nil {
			return nil, err
		}
		return &file{"application/vnd.apache.parquet", name + ".parquet", out.Bytes()}, nil
	}
	w := csv.NewWriter(&out)
	head := []string{"release", "area", "population", "method", "month", "n", "index", "log_index", "se", "low", "high", "provisional", "withheld", "inputs_sha256"}
	if err := w.Write(head); err != nil {
		return nil, err
	}
	number := func(v *float64) string {
		if v == nil {
			return ""
		}
		return strconv.FormatFloat(*v, 'g', -1, 64)
	}
	for _, r := range rows {
		line := []string{
			r.Release, r.Area, r.Population, r.Method, r.Month, strconv.FormatInt(r.N, 10), number(r.Index), number(r.LogIndex), number(r.SE),
			number(r.Low), number(r.High), strconv.FormatBool(r.Provisional), r.Withheld, r.InputsSHA256,
		}
		if err := w.Write(line); err != nil {
			return nil, err
		}
	}
	w.Flush()
	return &file{"text/csv", name + ".csv", out.Bytes()}, w.Error()
}

// readRentLevels gives medians and quartiles of what is let.
func readRentLevels(ctx context.Context, s *Server, c *call) (answer, error) {
	q, err := indexQuery(c)
	if err != nil {
		return answer{}, err
	}
	var a answer
	err = s.readIndexView(ctx, func(r projections.Reader) error {
		l, err := s.o.Index.Levels(ctx, r, q)
		a.body = l
		return err
	})
	return a, err
}

// readRentComparison compares what is asked with what is signed, and new with sitting tenants.
func readRentComparison(ctx context.Context, s *Server, c *call) (answer, error) {
	q, err := indexQuery(c)
	if err != nil {
		return answer{}, err
	}
	body := struct {
		Area     string                 `json:"area"`
		Position eventstore.Position    `json:"position"`
		Months   []rentindex.Comparison `json:"months"`
	}{Area: q.Area}
	err = s.readIndexView(ctx, func(r projections.Reader) (err error) {
		body.Months, err = s.o.Index.Comparison(ctx, r, q)
		body.Position = r.Position()
		return err
	})
	return answer{body: body}, err
}

// readIndexRevisions gives what became of each published figure.
func readIndexRevisions(ctx context.Context, s *Server, c *call) (answer, error) {
	q, err := indexQuery(c)
	if err != nil {
		return answer{}, err
	}
	body := struct {
		Area       string               `json:"area"`
		Population string               `json:"population"`
		Method     string               `json:"method"`
		Revisions  []rentindex.Revision `json:"revisions"`
		Position   eventstore.Position  `json:"position"`
	}{Area: q.Area, Population: q.Population, Method: q.Method}
	err = s.readIndexView(ctx, func(r projections.Reader) (err error) {
		body.Revisions, err = s.o.Index.Revisions(ctx, r, q)
		body.Position = r.Position()
		return err
	})
	return answer{body: body}, err
}

// listIndexReleases gives the calendar and the vintages: the published ones, to regulators those at work too.
func listIndexReleases(ctx context.Context, s *Server, c *call) (answer, error) {
	body := struct {
		Calendar []rentindex.Due     `json:"calendar"`
		Releases []rentindex.Release `json:"releases"`
		Position eventstore.Position `json:"position"`
	}{}
	err := s.readIndexView(ctx, func(r projections.Reader) (err error) {
		open := regulator(c.Actor)
		if body.Calendar, err = s.o.Index.Calendar(ctx, r, domain.DayOf(c.At), open); err != nil {
			return err
		}
		body.Releases, err = s.o.Index.Releases(ctx, r, open)
		body.Position = r.Position()
		return err
	})
	return answer{body: body}, err
}

// readIndexRelease gives one published vintage whole, as JSON or as a table.
func readIndexRelease(ctx context.Context, s *Server, c *call) (answer, error) {
	month, version, err := rentindex.ParseRelease(c.path("release"))
	if err != nil {
		return answer{}, errNotFound
	}
	body := struct {
		rentindex.Release
		Series []index.Series `json:"series"`
	}{}
	err = s.readIndexView(ctx, func(r projections.Reader) (err error) {
		if body.Release, err = s.o.Index.Release(ctx, r, month, version); err != nil {
			return err
		}
		if body.State != rentindex.Published {
			return rentindex.ErrUnknown
		}
		body.Series, err = s.o.Index.Published(ctx, r, month, version)
		return err
	})
	if err != nil || c.query["format"] == "" || c.query["format"] == "json" {
		return answer{body: body}, err
	}
	var rows []indexFigure
	for _, x := range body.Series {
		for _, p := range x.Points {
			point := rentindex.Point{Month: p.Month, N: p.N, Index: p.Index, LogIndex: p.LogIndex, SE: p.SE, Provisional: p.Provisional, Withheld: p.Withheld}
			point.Bounds()
			rows = append(rows, figureOf(body.Release.Release, x.Area, x.Population, x.Method, x.InputsSHA256, point))
		}
	}
	f, err := tableFile(c.query["format"], "rent-index-release-"+body.Release.Release, rows)
	return answer{file: f}, err
}

// computeIndexRelease computes a month's figures from the view as it stands and puts them forward.
func computeIndexRelease(ctx context.Context, s *Server, c *call, in NewIndexRelease) (answer, error) {
	if err := s.catchUp(ctx, s.o.Index.Name()); err != nil {
		return answer{}, err
	}
	cmd := index.Compute{Reason: in.Reason}
	err := s.readIndexView(ctx, func(r projections.Reader) (err error) {
		if cmd.Version, err = s.o.Index.NextVersion(ctx, r, in.Month); err != nil {
			return err
		}
		cmd.Vintage, err = s.o.Index.Vintage(ctx, r, in.Month)
		return err
	})
	if err != nil {
		return answer{}, err
	}
	r, err := s.o.Desk.IndexAct(ctx, c.Call, in.Month, cmd)
	return wrote(http.StatusCreated, r, Done{Id: rentindex.ReleaseName(in.Month, cmd.Version)}), err
}

// actOnRelease runs a command on the vintage a path names.
func actOnRelease(ctx context.Context, s *Server, c *call, command func(version int) index.Command) (answer, error) {
	month, version, err := rentindex.ParseRelease(c.path("release"))
	if err != nil {
		return answer{}, errNotFound
	}
	r, err := s.o.Desk.IndexAct(ctx, c.Call, month, command(version))
	return wrote(http.StatusOK, r, Done{Id: c.path("release")}), err
}

func reviewIndexRelease(ctx context.Context, s *Server, c *call, in ReviewNote) (answer, error) {
	return actOnRelease(ctx, s, c, func(v int) index.Command { return index.Review{Version: v, Note: in.Note} })
}

func approveIndexRelease(ctx context.Context, s *Server, c *call) (answer, error) {
	return actOnRelease(ctx, s, c, func(v int) index.Command { return index.Approve{Version: v} })
}

func withdrawIndexRelease(ctx context.Context, s *Server, c *call, in Reason) (answer, error) {
	return actOnRelease(ctx, s, c, func(v int) index.Command { return index.Withdraw{Version: v, Reason: in.Reason} })
}

// methodPage says how the index is made and how to make it again.
func (s *Server) methodPage(w io.Writer, c echo.Context, lang string) (int, error) {
	m := s.o.Index.Model
	page := web.IndexMethod{
		Model: m.Name, Version: m.Version, Contracts: m.Disclosure.Contracts, Lessors: m.Disclosure.Lessors,
		SharePercent: m.Disclosure.ShareBP / 100, Window: m.WindowMonths(), Provisional: m.ProvisionalMonths,
	}
	for _, f := range m.Factors {
		page.Factors = append(page.Factors, f.Name)
	}
	err := s.o.Views.Read(c.Request().Context(), s.o.Index.Name(), func(r projections.Reader) error {
		releases, err := s.o.Index.Releases(c.Request().Context(), r, false)
		if err != nil || len(releases) == 0 {
			return err
		}
		last := releases[0]
		page.Release, page.Position = last.Release, last.Position
		res, err := s.o.Index.InVintage(c.Request().Context(), r, rentindex.Query{Area: rentindex.City, Population: rentindex.New}, last.Month, last.Version)
		if err == nil {
			page.Inputs = res.InputsSHA256
		}
		return nil
	})
	if err != nil && !errors.Is(err, projections.ErrNotBuilt) {
		return 0, err
	}
	return http.StatusOK, s.pages.Method(w, lang, page)
}
