package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"

	"zujian/domain"
	plans "zujian/domain/plan"
	"zujian/projections"
	"zujian/projections/plan"
)

func loadPlan(ctx context.Context, s *Server, c *call, in NewPlan) (answer, error) {
	p := plans.Plan{ID: in.Id, NameZH: in.NameZh, NameEN: in.NameEn, From: in.From, To: in.To, Source: in.Source}
	raw, err := json.Marshal(in.Indicators) // The same fields; the schema held them to their forms.
	if err == nil {
		err = json.Unmarshal(raw, &p.Indicators)
	}
	if err != nil {
		return answer{}, err
	}
	r, err := s.o.Desk.LoadPlan(ctx, c.Call, p)
	return wrote(http.StatusCreated, r, Done{Id: in.Id}), err
}

func setPlanTarget(ctx context.Context, s *Server, c *call, in PlanTarget) (answer, error) {
	r, err := s.o.Desk.SetPlanTarget(ctx, c.Call, c.path("plan"), plans.SetTarget{
		Indicator: in.Indicator, Area: in.Area, Year: in.Year, Value: in.Value, Reason: in.Reason,
	})
	return wrote(http.StatusOK, r, Done{Id: c.path("plan")}), err
}

func reportPlan(ctx context.Context, s *Server, c *call, in PlanReport) (answer, error) {
	r, err := s.o.Desk.ReportPlan(ctx, c.Call, c.path("plan"), plans.Report{
		Indicator: in.Indicator, Area: in.Area, On: in.On, Value: in.Value, Source: in.Source,
	})
	return wrote(http.StatusOK, r, Done{Id: c.path("plan")}), err
}

func listPlans(ctx context.Context, s *Server, _ *call) (answer, error) {
	return figures(ctx, s, plan.Projection{}, func(r projections.Reader) ([]plan.Record, bool, error) {
		rows, err := plan.Plans(ctx, r)
		return rows, true, err
	}, func(rows []plan.Record, m made) any {
		return page[plan.Record]{Items: append([]plan.Record{}, rows...), Made: m}
	})
}

// planProgress is how a plan stands in an area.
type planProgress struct {
	Plan  string     `json:"plan"`
	Name  string     `json:"name"`
	Area  string     `json:"area"`
	Year  int        `json:"year,omitempty"`
	On    domain.Day `json:"on"`
	Items []plan.Row `json:"items"`
	Made  made       `json:"made"`
}

func readPlan(ctx context.Context, s *Server, c *call) (answer, error) {
	q := plan.Query{Plan: c.path("plan"), Area: c.query["area"], On: c.on()}
	if q.Area == "" {
		q.Area = plans.AreaCity
	}
	q.Year, _ = strconv.Atoi(c.query["year"]) // Its form was checked; absent is 0.
	a, err := figures(ctx, s, plan.Projection{}, func(r projections.Reader) (planProgress, bool, error) {
		rec, rows, err := plan.Progress(ctx, r, q)
		name := rec.Plan.NameZH
		if c.lang == "en" {
			name = rec.Plan.NameEN
		}
		return planProgress{Plan: q.Plan, Name: name, Area: q.Area, Year: q.Year, On: q.On, Items: rows}, true, err
	}, func(p planProgress, m made) any {
		p.Made = m
		return p
	})
	if errors.Is(err, plan.ErrUnknown) {
		return a, errNotFound
	}
	return a, err
}
