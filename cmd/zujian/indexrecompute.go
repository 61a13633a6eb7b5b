package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"

	"zujian/domain/index"
	"zujian/eventstore"
	"zujian/projections"
	"zujian/projections/rentindex"
)

// indexRecomputeCmd rebuilds a published release from the log alone and compares every figure with the event.
type indexRecomputeCmd struct {
	Release string `required:"" placeholder:"NAME" help:"The release: 2026-10, or 2026-10.2 for its second vintage."`
}

// recomputed is what came of it.
type recomputed struct {
	Release  string `json:"release"`
	Position uint64 `json:"position"` // Every event up to it was replayed.
	Series   int    `json:"series"`
	Figures  int    `json:"figures"` // Months compared.
	OK       bool   `json:"ok"`
	Error    string `json:"error,omitempty"`
}

var errRecomputed = errors.New("the log gives other figures than were published")

// Run implements the command.
func (c *indexRecomputeCmd) Run(g *globals) error {
	month, version, err := rentindex.ParseRelease(c.Release)
	if err != nil {
		return fmt.Errorf("%w: --release: %w", errUsage, err)
	}
	return withHouse(g, func(h *house) error {
		res := recomputed{Release: rentindex.ReleaseName(month, version)}
		published, err := findRelease(g, h, month.String(), version)
		if err == nil {
			err = recompute(g, h, published, &res)
		}
		if res.OK = err == nil; err != nil {
			res.Error = err.Error()
		}
		switch {
		case g.JSON:
			err = errors.Join(err, json.NewEncoder(g.Stdout).Encode(res))
		case res.OK:
			fmt.Fprintf(g.Stdout, "release %s: %d series, %d figures equal to the last bit what the log says up to position %d\n",
				res.Release, res.Series, res.Figures, res.Position)
		}
		return err
	})
}

// findRelease reads the published event from its stream.
func findRelease(g *globals, h *house, month string, version int) (index.Released, error) {
	for rec, err := range h.store.Stream(g.Ctx, index.Decider.Category+"-"+month, 0) {
		if err != nil {
			return index.Released{}, err
		}
		e, err := projections.Decode(h.catalogue, rec)
		if err != nil {
			return index.Released{}, err
		}
		if r, ok := e.Event.(index.Released); ok && r.Version == version {
			return r, nil
		}
	}
	return index.Released{}, fmt.Errorf("no release %s is published", month)
}

func recompute(g *globals, h *house, published index.Released, res *recomputed) error {
	v := published.Vintage
	p := rentindex.Projection{Model: h.city.Model}
	res.Position = v.Position
	if v.Model != p.Model.Name || v.ModelVersion != p.Model.Version || v.ViewVersion != p.Version() {
		return fmt.Errorf("it was computed by model %s %d, view %d; this program and profile have %s %d, %d",
			v.Model, v.ModelVersion, v.ViewVersion, p.Model.Name, p.Model.Version, p.Version())
	}
	r, err := projections.Replay(g.Ctx, h.store, h.catalogue, p, eventstore.Position(v.Position))
	if err != nil {
		return err
	}
	again, err := p.Vintage(g.Ctx, r, v.Month)
	if err != nil {
		return err
	}
	res.Series = len(again.Series)
	for _, s := range again.Series {
		res.Figures += len(s.Points)
	}
	return compareVintages(v, again)
}

// compareVintages names the first figure that differs. Figures travel as shortest decimals, which are exact.
func compareVintages(published, again index.Vintage) error {
	if len(published.Series) != len(again.Series) {
		return fmt.Errorf("%w: %d series, published %d", errRecomputed, len(again.Series), len(published.Series))
	}
	for i, s := range again.Series {
		was := published.Series[i]
		name := s.Area + ", " + s.Population + ", " + s.Method
		if s.Area != was.Area || s.Population != was.Population || s.Method != was.Method || len(s.Points) != len(was.Points) {
			return fmt.Errorf("%w: series %s is published as %s, %s, %s", errRecomputed, name, was.Area, was.Population, was.Method)
		}
		for j, p := range s.Points {
			if !reflect.DeepEqual(p, was.Points[j]) {
				return fmt.Errorf("%w: %s, %s: %s, published %s", errRecomputed, name, p.Month, pointText(p), pointText(was.Points[j]))
			}
		}
		s.Points, was.Points = nil, nil
		if !reflect.DeepEqual(s, was) {
			return fmt.Errorf("%w: %s: inputs %s, published %s", errRecomputed, name, s.InputsSHA256, was.InputsSHA256)
		}
	}
	return nil
}

func pointText(p index.Point) string {
	raw, err := json.Marshal(p)
	if err != nil {
		return err.Error()
	}
	return string(raw)
}
