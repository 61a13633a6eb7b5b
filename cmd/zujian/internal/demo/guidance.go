package demo

import (
	"cmp"
	"fmt"

	"zujian/api/desk"
	"zujian/domain"
	"zujian/domain/guidance"
)

// Days of a quarter's guidance prices, from its end.
const (
	publishDays = 10
	contestDays = 22
	reviseDays  = 36
	raisedPct   = 103 // What the adjusted cell is set to.
)

// planGuidance publishes guidance prices after each quarter that has a year of contracts before its end. Of the latest one a
// cell is adjusted, two are contested, one objection is dismissed, and a revision follows the other.
func (g *generator) planGuidance() {
	if g.o.Views == nil { // Prices are computed from a view.
		return
	}
	var last domain.Day
	first := (int(g.truth.Start.Month()) + 11 + 2) / 3 * 3 // The month after a quarter's last.
	for m := domain.Month(first); m.First().AddDays(publishDays) <= g.o.Today; m += 3 {
		last = m.First()
	}
	for m := domain.Month(first); m.First() <= last; m += 3 {
		end := m.First()
		period := fmt.Sprintf("%dQ%d", int(m-1)/12, int(m-1)%12/3+1)
		g.on(end.AddDays(publishDays), rankStatement, func() error { return g.price(period, end == last) })
		if end == last {
			g.on(end.AddDays(contestDays), rankStatement, func() error { return g.contest(period) })
			g.on(end.AddDays(reviseDays), rankStatement, func() error { return g.revise(period) })
		}
	}
}

// second is the regulator who reviews and approves.
func second() actor { return actor{ID: "demo:city2", Role: domain.RoleCity} }

// propose puts the draft of a period forward as it stands; false where it has no price to show.
func (g *generator) propose(period string, version int, reason string, answers ...string) (bool, error) {
	if err := g.o.Views(); err != nil {
		return false, err
	}
	today := domain.DayOf(g.at)
	draft, err := g.o.Desk.DraftGuidance(g.ctx, period, today)
	if err != nil || len(draft.Cells) == 0 {
		return false, err
	}
	_, err = g.o.Desk.ProposeGuidance(g.ctx, g.call(g.city), period, desk.NewGuidance{
		Version: version, EffectiveFrom: today, Reason: reason, Answers: answers, Claim: guidance.Claim{Inputs: draft.Inputs},
	})
	return err == nil, err
}

func (g *generator) approve(period string, version int) error {
	for _, cmd := range []guidance.Command{guidance.Review{Version: version, Note: "示例：与上季度核对无异常"}, guidance.Approve{Version: version}} {
		if _, err := g.o.Desk.GuidanceAct(g.ctx, g.call(second()), period, cmd); err != nil {
			return err
		}
	}
	return nil
}

// adjust raises the cell that most contracts stand behind.
func (g *generator) adjust(period string, version int, percent int64, reason string) error {
	s, _, err := g.o.Desk.Guidance(g.ctx, period)
	if err != nil {
		return err
	}
	cell := busiest(s.Open.Cells)
	if cell.N == 0 {
		return nil
	}
	p := cell.Prices
	for _, fen := range []*domain.Fen{&p.P10, &p.P25, &p.Median, &p.P75, &p.P90} {
		if *fen, err = fen.MulDiv(percent, 100); err != nil {
			return err
		}
	}
	_, err = g.o.Desk.GuidanceAct(g.ctx, g.call(g.city), period, guidance.Adjust{Version: version, Cell: cell.CellID, Prices: p, Reason: reason})
	return err
}

// busiest is the cell of most contracts below the city, and in a small city the city's own.
func busiest(cells []guidance.Cell) (best guidance.Cell) {
	for _, c := range cells {
		if local := c.Area != guidance.City; c.N > 0 && (best.N == 0 || cmp.Or(compare(local, best.Area != guidance.City), cmp.Compare(c.N, best.N)) > 0) {
			best = c
		}
	}
	return best
}

func compare(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

func (g *generator) price(period string, adjusted bool) error {
	ok, err := g.propose(period, 1, "")
	if err != nil || !ok {
		return err
	}
	if adjusted {
		if err := g.adjust(period, 1, raisedPct, "示例：地铁新线开通后的实地调查"); err != nil {
			return err
		}
	}
	return g.approve(period, 1)
}

// contest files three objections: to the adjusted cell, to the city's of the same kind, and, by the public, to that too.
// The first is upheld, the second dismissed, the third waits.
func (g *generator) contest(period string) error {
	s, _, err := g.o.Desk.Guidance(g.ctx, period)
	if unexpected(err) != nil {
		return err
	}
	v, ok := s.Version(1)
	if !ok || len(v.Adjustments) == 0 {
		return nil
	}
	cell := v.Adjustments[0].Cell
	city := cell
	city.Area = guidance.City
	owner, broker := g.private[0].actor, g.brokers[0].actor
	for i, o := range []struct {
		by     actor
		cell   guidance.CellID
		text   string
		answer string
		uphold bool
	}{
		{broker, cell, "示例：上调缺乏依据，周边近三个月成交未见上涨", "示例：经核查，调查样本不足，恢复测算结果", true},
		{owner, city, "示例：全市中位价偏低", "示例：样本充足，测算无误", false},
		{actor{Role: domain.RolePublic}, city, "示例：希望按地铁距离细分", "", false},
	} {
		id, _, err := g.o.Desk.ObjectToGuidance(g.ctx, g.call(o.by), period, guidance.FileObjection{Version: 1, Cell: o.cell}, o.text)
		if err != nil {
			return fmt.Errorf("objection %d: %w", i, err)
		}
		if o.answer == "" {
			continue
		}
		if _, err := g.o.Desk.GuidanceAct(g.ctx, g.call(second()), period, guidance.AnswerObjection{Objection: id, Uphold: o.uphold, Reason: o.answer}); err != nil {
			return fmt.Errorf("answer %d: %w", i, err)
		}
	}
	return nil
}

// revise publishes the prices without the adjustment that was contested.
func (g *generator) revise(period string) error {
	s, _, err := g.o.Desk.Guidance(g.ctx, period)
	if unexpected(err) != nil {
		return err
	}
	for _, o := range s.Objections {
		if o.State() != guidance.ObjectionUpheld {
			continue
		}
		if ok, err := g.propose(period, 2, "示例：采纳异议，撤销对一个单元的调整", o.Objection); err != nil || !ok {
			return err
		}
		return g.approve(period, 2)
	}
	return nil
}
