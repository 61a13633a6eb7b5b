package desk

import (
	"cmp"
	"context"
	"errors"

	"zujian/domain"
	"zujian/domain/contract"
	"zujian/domain/guidance"
	"zujian/eventstore/aggregate"
	"zujian/eventstore/seal"
	"zujian/projections"
	prices "zujian/projections/guidance"
)

// NewGuidance asks for a version of a period's prices as its proposer saw them drafted.
type NewGuidance struct {
	Version       int
	EffectiveFrom domain.Day
	Reason        string
	Answers       []string
	Claim         guidance.Claim
}

// Guidance reads the guidance prices of a period.
func (d *Desk) Guidance(ctx context.Context, period string) (guidance.State, Receipt, error) {
	s, rev, found, err := load(ctx, d, guidance.Decider, period)
	if err == nil && !found {
		err = ErrNotFound
	}
	return s, Receipt{Revision: max(rev, 0)}, err
}

// GuidanceAct is a command on the prices of a period.
func (d *Desk) GuidanceAct(ctx context.Context, call Call, period string, cmd guidance.Command) (Receipt, error) {
	if !guidancePeriod(period) {
		return Receipt{}, ErrInvalid.At("/period")
	}
	return exec(ctx, d, call, guidance.Decider, period, cmd)
}

// GuidanceQuery is what a period's draft is computed by, under the rules of a day.
func (d *Desk) GuidanceQuery(ctx context.Context, period string, on domain.Day) (prices.Query, error) {
	q := prices.Query{Period: period}
	policy, err := d.Policy(ctx)
	if err != nil {
		return q, err
	}
	if q.Parameters, err = guidance.ParametersOn(policy, on); err != nil {
		return q, err
	}
	s, _, _, err := load(ctx, d, guidance.Decider, period)
	q.Earlier = s.Versions
	return q, err
}

// DraftGuidance computes a period's prices from the rents on file, by the rules of a day.
func (d *Desk) DraftGuidance(ctx context.Context, period string, on domain.Day) (guidance.Draft, error) {
	q, err := d.GuidanceQuery(ctx, period, on)
	if err != nil {
		return guidance.Draft{}, err
	}
	var draft guidance.Draft
	err = d.o.Views.Read(ctx, prices.Projection{}.Name(), func(r projections.Reader) error {
		computed, err := prices.Compute(ctx, r, q)
		draft = computed.At(uint64(r.Position()))
		return err
	})
	return draft, err
}

// ProposeGuidance computes a period's draft and puts it forward, if it is the one that was seen.
func (d *Desk) ProposeGuidance(ctx context.Context, call Call, period string, in NewGuidance) (Receipt, error) {
	if !guidancePeriod(period) {
		return Receipt{}, ErrInvalid.At("/period")
	}
	draft, err := d.DraftGuidance(ctx, period, domain.DayOf(call.At))
	if err != nil {
		return Receipt{}, err
	}
	return d.GuidanceAct(ctx, call, period, guidance.Propose{
		Version: in.Version, EffectiveFrom: in.EffectiveFrom, Reason: in.Reason, Answers: in.Answers, Draft: draft, Claim: in.Claim,
	})
}

// quartersMax is how many quarters prices stay in force at most.
const quartersMax = 5

// GuidanceInForce are the prices in force on a day, of the latest period that has any; ok is false when there are none.
func (d *Desk) GuidanceInForce(ctx context.Context, on domain.Day) (period string, v guidance.Version, ok bool, err error) {
	y, m, _ := on.Date()
	for q, back := (int(m)-1)/3, 0; back < quartersMax; back++ {
		period = itoa(y) + "Q" + itoa(q+1)
		s, _, _, err := load(ctx, d, guidance.Decider, period)
		if err != nil {
			return "", v, false, err
		}
		if v, ok, decided := s.InForce(on); decided {
			return period, v, ok, nil
		}
		if q--; q < 0 {
			q, y = 3, y-1
		}
	}
	return "", v, false, nil
}

// guidanceSigned is the reference of the prices in force on the day a contract is signed, as far as it is known; "" = none.
func (d *Desk) guidanceSigned(ctx context.Context, call Call, t contract.Terms) (string, error) {
	period, v, ok, err := d.GuidanceInForce(ctx, cmp.Or(t.SignedOn, domain.DayOf(call.At)))
	if err != nil || !ok {
		return "", err
	}
	return guidance.Reference(guidance.ID(period), v.Version), nil
}

// ObjectToGuidance files an objection to a published cell; its id follows from the call. What the objector writes is
// sealed under the party's key, or, without one, under a key of its own.
func (d *Desk) ObjectToGuidance(ctx context.Context, call Call, period string, o guidance.FileObjection, text string) (string, Receipt, error) {
	if !guidancePeriod(period) {
		return "", Receipt{}, ErrInvalid.At("/period")
	}
	if _, _, err := d.Guidance(ctx, period); err != nil {
		return "", Receipt{}, err
	}
	o.Objection = derive("objection", call.ID)
	o.Subject = cmp.Or(call.Actor.Party, "objection:"+o.Objection)
	sealed, err := d.sealFor(ctx, o.Subject, aggregate.Stream(guidance.Decider.Category, period), objectionText, text)
	if err != nil {
		return "", Receipt{}, err
	}
	o.Text = sealed
	r, err := d.GuidanceAct(ctx, call, period, o)
	return o.Objection, r, err
}

// ObjectionText is what an objector wrote, for whoever may read it: itself and the regulators. "" is erased, or not theirs.
func (d *Desk) ObjectionText(ctx context.Context, actor domain.Actor, period string, o guidance.Objection) (string, error) {
	if !SeesObjection(actor, o) {
		return "", nil
	}
	text, err := d.o.Vault.Open(ctx, o.Subject, aggregate.Stream(guidance.Decider.Category, period), objectionText, string(o.Text))
	if errors.Is(err, seal.ErrErased) {
		return "", nil
	}
	return text, err
}

// SeesObjection says whether an actor may read what an objector wrote.
func SeesObjection(actor domain.Actor, o guidance.Objection) bool {
	return regulator(actor) || actor.Party != "" && actor.Party == o.Party
}

// guidancePeriod accepts "2026Q2".
func guidancePeriod(s string) bool {
	return len(s) == 6 && s[:2] == "20" && s[2] >= '0' && s[2] <= '9' && s[3] >= '0' && s[3] <= '9' && s[4] == 'Q' && s[5] >= '1' && s[5] <= '4'
}
