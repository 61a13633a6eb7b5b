package api

import (
	"context"
	"net/http"
	"strconv"

	"zujian/api/desk"
	"zujian/domain"
	"zujian/domain/guidance"
	"zujian/projections"
	prices "zujian/projections/guidance"
)

// guidanceHead is a published version without its cells.
type guidanceHead struct {
	Period        string            `json:"period"`
	Version       int               `json:"version"`
	EffectiveFrom domain.Day        `json:"effective_from"`
	Until         domain.Day        `json:"until,omitzero"` // Last day in force.
	PublishedOn   domain.Day        `json:"published_on,omitzero"`
	Reason        string            `json:"reason,omitempty"`
	Answers       []string          `json:"answers,omitempty"`
	Withdrawn     string            `json:"withdrawn,omitempty"`
	Method        string            `json:"method,omitempty"`
	Inputs        string            `json:"inputs,omitempty"`
	Position      uint64            `json:"position,omitzero"`
	Parameters    *parametersBody   `json:"parameters,omitempty"`
	Adjustments   []guidanceChange  `json:"adjustments,omitempty"`
	Withdrawal    *guidanceWithdraw `json:"withdrawal,omitempty"`
}

type parametersBody = guidance.Parameters

// guidanceChange is one adjustment; who made it is for regulators.
type guidanceChange struct {
	Cell       guidance.CellID `json:"cell"`
	Old        guidance.Prices `json:"old"`
	New        guidance.Prices `json:"new"`
	ChangeBP   int64           `json:"change_bp"`
	Reason     string          `json:"reason"`
	AdjustedBy string          `json:"adjusted_by,omitempty"`
}

type guidanceWithdraw struct {
	Reason     string `json:"reason"`
	ProposedBy string `json:"proposed_by"`
}

func headOf(a domain.Actor, period string, v guidance.Version) guidanceHead {
	h := guidanceHead{
		Period: period, Version: v.Version, EffectiveFrom: v.EffectiveFrom, Until: v.Until, PublishedOn: v.PublishedOn, Reason: v.Reason,
		Answers: v.Answers, Withdrawn: v.Withdrawn, Method: v.Method, Inputs: v.Inputs, Position: v.Position, Adjustments: changes(a, v.Adjustments),
	}
	if v.Parameters.On != 0 {
		h.Parameters = &v.Parameters
	}
	if w := v.Withdrawal; w != nil && regulator(a) {
		h.Withdrawal = &guidanceWithdraw{w.Reason, w.ProposedBy}
	}
	return h
}

func changes(a domain.Actor, all []guidance.CellAdjusted) (out []guidanceChange) {
	for _, x := range all {
		c := guidanceChange{Cell: x.Cell, Old: x.Old, New: x.New, ChangeBP: x.ChangeBP, Reason: x.Reason}
		if regulator(a) {
			c.AdjustedBy = x.AdjustedBy
		}
		out = append(out, c)
	}
	return out
}

// readGuidance answers with a period's latest version or the one named, or with the prices in force on a day.
func readGuidance(ctx context.Context, s *Server, c *call) (answer, error) {
	period, version := c.query["period"], c.query["version"]
	if period == "" {
		if version != "" {
			return answer{}, errParameter.With("parameter", "version")
		}
		period, v, ok, err := s.o.Desk.GuidanceInForce(ctx, c.on())
		if err == nil && !ok {
			err = errNotFound
		}
		return answer{body: guidanceBody(c, period, v)}, err
	}
	state, r, err := s.o.Desk.Guidance(ctx, period)
	if err != nil {
		return answer{}, err
	}
	n := len(state.Versions)
	if version != "" {
		n, _ = strconv.Atoi(version) // Its form was checked.
	}
	v, ok := state.Version(n)
	if c.query["on"] != "" && version == "" {
		v, ok, _ = state.InForce(c.on())
	}
	if !ok {
		return answer{}, errNotFound
	}
	return answer{body: guidanceBody(c, period, v), revision: &r.Revision}, nil
}

func guidanceBody(c *call, period string, v guidance.Version) any {
	cells := []guidance.Cell{}
	for _, x := range v.Cells {
		if area := c.query["area"]; area == "" || x.Area == area {
			cells = append(cells, x)
		}
	}
	return struct {
		guidanceHead
		Cells []guidance.Cell `json:"cells"`
	}{headOf(c.Actor, period, v), cells}
}

// readGuidancePeriod gives a period's versions in order and, to regulators, what is at work.
func readGuidancePeriod(ctx context.Context, s *Server, c *call) (answer, error) {
	state, r, err := s.o.Desk.Guidance(ctx, c.path("period"))
	if err != nil {
		return answer{}, err
	}
	type proposal struct {
		Version       int                 `json:"version"`
		State         string              `json:"state"` // COMPUTED or REVIEWED.
		EffectiveFrom domain.Day          `json:"effective_from"`
		Reason        string              `json:"reason,omitempty"`
		Answers       []string            `json:"answers,omitempty"`
		Method        string              `json:"method"`
		Inputs        string              `json:"inputs"`
		Position      uint64              `json:"position"`
		Parameters    guidance.Parameters `json:"parameters"`
		ProposedBy    string              `json:"proposed_by"`
		ReviewedBy    string              `json:"reviewed_by,omitempty"`
		Adjustments   []guidanceChange    `json:"adjustments"`
		Cells         []guidance.Cell     `json:"cells"`
	}
	body := struct {
		Period   string         `json:"period"`
		Versions []guidanceHead `json:"versions"`
		Open     *proposal      `json:"open,omitempty"`
	}{Period: c.path("period"), Versions: []guidanceHead{}}
	for _, v := range state.Versions {
		body.Versions = append(body.Versions, headOf(c.Actor, body.Period, v))
	}
	switch o := state.Open; {
	case o != nil && regulator(c.Actor):
		body.Open = &proposal{
			Version: o.Version, State: "COMPUTED", EffectiveFrom: o.EffectiveFrom, Reason: o.Reason, Answers: o.Answers, Method: o.Method,
			Inputs: o.Inputs, Position: o.Position, Parameters: o.Parameters, ProposedBy: o.ProposedBy, ReviewedBy: o.ReviewedBy,
			Adjustments: append([]guidanceChange{}, changes(c.Actor, o.Adjustments)...), Cells: o.Adjusted(),
		}
		if o.ReviewedBy != "" {
			body.Open.State = "REVIEWED"
		}
	case len(body.Versions) == 0 && !regulator(c.Actor):
		return answer{}, errNotFound // Nothing is published, and the public sees no trace.
	}
	return answer{body: body, revision: &r.Revision}, nil
}

// draftGuidance computes a period's prices from the rents on file as they stand, by the rules of a day.
func draftGuidance(ctx context.Context, s *Server, c *call) (answer, error) {
	q, err := s.o.Desk.GuidanceQuery(ctx, c.query["period"], c.on())
	if err != nil {
		return answer{}, err
	}
	return figures(ctx, s, prices.Projection{}, func(r projections.Reader) (prices.Draft, bool, error) {
		d, err := prices.Compute(ctx, r, q)
		return d, true, err
	}, func(d prices.Draft, m made) any {
		return struct {
			prices.Draft
			Made made `json:"made"`
		}{d, m}
	})
}

func proposeGuidance(ctx context.Context, s *Server, c *call, in NewGuidance) (answer, error) {
	if err := s.catchUp(ctx, prices.Projection{}.Name()); err != nil {
		return answer{}, err
	}
	req := desk.NewGuidance{
		Version: in.Version, EffectiveFrom: in.EffectiveFrom, Reason: in.Reason, Answers: in.Answers, Claim: guidance.Claim{Inputs: in.Inputs},
	}
	for _, x := range in.Cells {
		req.Claim.Cells = append(req.Claim.Cells, guidance.Cell{
			CellID: guidance.CellID{Area: x.Area, LetMode: x.LetMode, SizeBand: x.SizeBand, Fitout: x.Fitout}, N: x.N,
			Prices:       guidance.Prices{P10: x.P10, P25: x.P25, Median: x.Median, P75: x.P75, P90: x.P90},
			BorrowedFrom: x.BorrowedFrom, KeptFrom: x.KeptFrom, Adjusted: x.Adjusted,
		})
	}
	r, err := s.o.Desk.ProposeGuidance(ctx, c.Call, in.Period, req)
	return wrote(http.StatusCreated, r, Done{Id: in.Period}), err
}

// actOnGuidance runs a command on the period a path names.
func actOnGuidance(ctx context.Context, s *Server, c *call, cmd guidance.Command) (answer, error) {
	r, err := s.o.Desk.GuidanceAct(ctx, c.Call, c.path("period"), cmd)
	return wrote(http.StatusOK, r, Done{Id: c.path("period")}), err
}

func adjustGuidance(ctx context.Context, s *Server, c *call, in NewAdjustment) (answer, error) {
	return actOnGuidance(ctx, s, c, guidance.Adjust{
		Version: in.Version, Cell: cellID(in.Cell), Reason: in.Reason,
		Prices: guidance.Prices{P10: in.Prices.P10, P25: in.Prices.P25, Median: in.Prices.Median, P75: in.Prices.P75, P90: in.Prices.P90},
	})
}

func cellID(c GuidanceCellId) guidance.CellID {
	return guidance.CellID{Area: c.Area, LetMode: c.LetMode, SizeBand: c.SizeBand, Fitout: c.Fitout}
}

func reviewGuidance(ctx context.Context, s *Server, c *call, in GuidanceReview) (answer, error) {
	return actOnGuidance(ctx, s, c, guidance.Review{Version: in.Version, Note: in.Note})
}

func approveGuidance(ctx context.Context, s *Server, c *call, in Version) (answer, error) {
	return actOnGuidance(ctx, s, c, guidance.Approve{Version: in.Version})
}

func withdrawGuidance(ctx context.Context, s *Server, c *call, in GuidanceWithdrawal) (answer, error) {
	return actOnGuidance(ctx, s, c, guidance.Withdraw{Version: in.Version, Reason: in.Reason})
}

func approveGuidanceWithdrawal(ctx context.Context, s *Server, c *call, in Version) (answer, error) {
	return actOnGuidance(ctx, s, c, guidance.ApproveWithdrawal{Version: in.Version})
}

func objectToGuidance(ctx context.Context, s *Server, c *call, in NewGuidanceObjection) (answer, error) {
	id, r, err := s.o.Desk.ObjectToGuidance(ctx, c.Call, c.path("period"),
		guidance.FileObjection{Version: in.Version, Cell: cellID(in.Cell), Evidence: in.Evidence}, in.Reason)
	return wrote(http.StatusCreated, r, Done{Id: id}), err
}

func answerGuidanceObjection(ctx context.Context, s *Server, c *call, in GuidanceAnswer) (answer, error) {
	return actOnGuidance(ctx, s, c, guidance.AnswerObjection{Objection: c.path("objection"), Uphold: in.Uphold, Reason: in.Reason})
}

// listGuidanceObjections tells everybody which cells are contested and what was answered; why, only regulators and whoever
// objected.
func listGuidanceObjections(ctx context.Context, s *Server, c *call) (answer, error) {
	state, r, err := s.o.Desk.Guidance(ctx, c.path("period"))
	if err == nil && len(state.Versions) == 0 && !regulator(c.Actor) {
		err = errNotFound
	}
	if err != nil {
		return answer{}, err
	}
	type row struct {
		ID        string                      `json:"id"`
		State     string                      `json:"state"`
		Version   int                         `json:"version"`
		Cell      guidance.CellID             `json:"cell"`
		FiledOn   domain.Day                  `json:"filed_on"`
		AnswerBy  domain.Day                  `json:"answer_by"`
		Party     string                      `json:"party_id,omitempty"`
		Reason    string                      `json:"reason,omitempty"`
		Evidence  []string                    `json:"evidence,omitempty"`
		Answer    *guidance.ObjectionAnswered `json:"answer,omitempty"`
		RevisedBy int                         `json:"revised_by,omitzero"`
	}
	items := []row{}
	for _, o := range state.Objections {
		x := row{
			ID: o.Objection, State: o.State(), Version: o.Version, Cell: o.Cell, FiledOn: o.FiledOn, AnswerBy: o.AnswerBy, RevisedBy: o.RevisedBy,
		}
		if o.Answer != nil {
			told := *o.Answer
			if !regulator(c.Actor) {
				told.AnsweredBy = ""
			}
			x.Answer = &told
		}
		if desk.SeesObjection(c.Actor, o) {
			x.Party, x.Evidence = o.Party, o.Evidence
			if x.Reason, err = s.o.Desk.ObjectionText(ctx, c.Actor, c.path("period"), o); err != nil {
				return answer{}, err
			}
		}
		if want := c.query["state"]; want == "" || want == x.State {
			items = append(items, x)
		}
	}
	return answer{body: map[string]any{"period": c.path("period"), "items": items}, revision: &r.Revision}, nil
}

// testGuidance holds a published version to the rents signed under it.
func testGuidance(ctx context.Context, s *Server, c *call) (answer, error) {
	state, _, err := s.o.Desk.Guidance(ctx, c.path("period"))
	if err != nil {
		return answer{}, err
	}
	n := len(state.Versions)
	if text := c.query["version"]; text != "" {
		n, _ = strconv.Atoi(text) // Its form was checked.
	}
	v, ok := state.Version(n)
	if !ok {
		return answer{}, errNotFound
	}
	return figures(ctx, s, prices.Projection{}, func(r projections.Reader) (prices.Backtest, bool, error) {
		b, err := prices.Test(ctx, r, c.path("period"), v)
		return b, true, err
	}, func(b prices.Backtest, m made) any {
		return struct {
			prices.Backtest
			Made made `json:"made"`
		}{b, m}
	})
}
