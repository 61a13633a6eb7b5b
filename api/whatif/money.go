package whatif

import (
	"crypto/sha256"
	"encoding/json"
	"slices"

	"zujian/api/desk"
	"zujian/domain"
	"zujian/domain/contract"
	"zujian/domain/escrow"
	"zujian/eventstore"
	"zujian/eventstore/aggregate"
	"zujian/projections"
)

// EscrowEffect is what a change does to supervised money (资金监管), of the contracts signed in the period.
type EscrowEffect struct {
	Then EscrowSide  `json:"then"`
	Now  EscrowSide  `json:"now"`
	Days []EscrowDay `json:"days"` // Every day of the period; at most the last ten years of it.
}

// EscrowSide are the plans under one rule set, over the whole terms.
type EscrowSide struct {
	Contracts  int        `json:"contracts"`   // Whose money is supervised.
	Mandatory  int        `json:"mandatory"`   // By the rules, not by choice.
	RentFen    domain.Fen `json:"rent_fen"`    // Prepaid rent captured.
	DepositFen domain.Fen `json:"deposit_fen"` // Deposits captured.
	PeakFen    domain.Fen `json:"peak_fen"`    // Highest balance of a day of the period.
}

// EscrowDay is the balance at the end of a day.
type EscrowDay struct {
	Day     domain.Day `json:"day"`
	ThenFen domain.Fen `json:"then_fen"` // As planned under the rules of then.
	NowFen  domain.Fen `json:"now_fen"`  // As planned under the changed rules.
	HeldFen domain.Fen `json:"held_fen"` // What banks really held, of every ledger there is.
}

const escrowDaysMax = 3660

// flow is money that enters (> 0) or leaves on a day.
type flow struct {
	day domain.Day
	fen domain.Fen
}

// supervision is one contract's money.
type supervision struct {
	then, now []flow
	sum       [32]byte   // SHA-256 of the plan of then.
	ended     domain.Day // Last day of a lease that ended early, or whose filing was cancelled; zero = none.
}

// money is what is known of it so far.
type money struct {
	contracts map[string]*supervision // By contract id.
	order     []string
	refused   map[string]bool
	held      map[domain.Day]domain.Fen // Movements by value date.
	then, now EscrowSide
}

func (m *money) begin() {
	*m = money{contracts: map[string]*supervision{}, refused: map[string]bool{}, held: map[domain.Day]domain.Fen{}}
}

// decided takes note of the ledgers that a signature opens.
func (m *money) decided(d *desk.Decision, j judged) {
	id := aggregate.ID(d.Stream)
	refusable := d.Kind == desk.DecisionDraft || d.Kind == desk.DecisionSignature
	if refusable && j.effect == Refused && j.cap == 0 {
		m.refused[id] = true
	}
	if d.Kind != desk.DecisionSignature {
		return
	}
	then, now := j.then.Ledger, j.now.Ledger
	if m.refused[id] {
		now = nil
	}
	if then == nil && now == nil {
		return
	}
	x := &supervision{then: flows(then), now: flows(now)}
	if then != nil {
		raw, _ := json.Marshal(*then) // An event encodes.
		x.sum = sha256.Sum256(raw)
	}
	m.then.count(then)
	m.now.count(now)
	m.contracts[id] = x
	m.order = append(m.order, id)
}

func (s *EscrowSide) count(e *escrow.FundsExpected) {
	if e == nil {
		return
	}
	s.Contracts++
	s.RentFen += e.RentFen
	s.DepositFen += e.DepositFen
	if e.Mode == escrow.ModeMandatory {
		s.Mandatory++
	}
}

// flows are the days on which a plan moves money: collections in, tranches out, and the deposit back after the end.
func flows(e *escrow.FundsExpected) (out []flow) {
	if e == nil {
		return nil
	}
	for _, c := range e.Collections {
		if in := c.RentFen + c.DepositFen; in > 0 {
			out = append(out, flow{c.Due, in})
		}
	}
	for _, t := range e.Schedule {
		due := t.Due
		if t.Upfront {
			due = due.AddDays(1) // The day after its money arrives.
		}
		out = append(out, flow{due, -t.AmountFen})
	}
	if e.DepositFen > 0 {
		out = append(out, flow{e.End.AddDays(max(e.DepositReturn, 1)), -e.DepositFen})
	}
	slices.SortStableFunc(out, func(a, b flow) int { return int(a.day) - int(b.day) })
	return out
}

// notice looks at an event that is no decision to take again; nil for one of no interest.
func (s *Simulation) notice(rec eventstore.Recorded) (func(), error) {
	switch rec.Type {
	case escrow.FundsExpected{}.EventType(), escrow.FundsReceived{}.EventType(), escrow.FundsReleased{}.EventType(),
		escrow.FundsRefunded{}.EventType(), escrow.FundsReversed{}.EventType(), contract.Terminated{}.EventType(),
		contract.FilingCancelled{}.EventType(), contract.Annulled{}.EventType():
	default:
		return nil, nil
	}
	e, err := projections.Decode(s.o.Catalogue, rec)
	if err != nil {
		return nil, err
	}
	id, m := projections.ID(rec.Stream), &s.money
	move := func(day domain.Day, fen domain.Fen) func() { return func() { m.held[day] += fen } }
	end := func(day domain.Day) func() {
		return func() {
			if x := m.contracts[id]; x != nil {
				x.ended = day
			}
		}
	}
	switch e := e.Event.(type) {
	case escrow.FundsReceived:
		return move(e.ValueDate, e.AmountFen), nil
	case escrow.FundsReleased:
		return move(e.ValueDate, -e.AmountFen), nil
	case escrow.FundsRefunded:
		return move(e.ValueDate, -e.AmountFen), nil
	case escrow.FundsReversed:
		return move(e.ValueDate, -e.AmountFen), nil
	case contract.Terminated:
		return end(e.On), nil
	case contract.FilingCancelled, contract.Annulled:
		return end(domain.DayOf(rec.Meta.At)), nil
	case escrow.FundsExpected:
		at := rec.Position
		return func() { s.opened(id, at, e) }, nil
	}
	return nil, nil
}

// opened holds a ledger's own plan against the one made again of its contract.
func (s *Simulation) opened(id string, at eventstore.Position, e escrow.FundsExpected) {
	x := s.money.contracts[id]
	if x == nil || len(x.then) == 0 {
		return // Signed before the period, or not to be supervised: then the check of the signature has told.
	}
	raw, err := json.Marshal(e)
	if err != nil || sha256.Sum256(raw) != x.sum {
		s.otherwise(aggregate.Stream(escrow.Decider.Category, id), at)
	}
}

// otherwise counts a decision that today's program does not take as recorded.
func (s *Simulation) otherwise(stream string, at eventstore.Position) {
	c := &s.res.Check
	if c.Otherwise++; len(c.Examples) < examplesMax {
		c.Examples = append(c.Examples, example(stream, at))
	}
}

// escrow adds up the days.
func (s *Simulation) escrow() {
	m := &s.money
	res := &s.res.Escrow
	res.Then, res.Now = m.then, m.now
	from, to := s.r.From, s.r.To
	from = max(from, to-escrowDaysMax+1)
	n := int(to-from) + 1
	moves := [3][]domain.Fen{make([]domain.Fen, n), make([]domain.Fen, n), make([]domain.Fen, n)}
	put := func(side int, day domain.Day, fen domain.Fen) {
		if day <= to {
			moves[side][max(int(day-from), 0)] += fen
		}
	}
	for _, id := range m.order {
		x := m.contracts[id]
		for side, list := range [][]flow{x.then, x.now} {
			balance := domain.Fen(0)
			for _, f := range list {
				if x.ended != 0 && f.day > x.ended {
					break
				}
				put(side, f.day, f.fen)
				balance += f.fen
			}
			if x.ended != 0 {
				put(side, x.ended, -balance)
			}
		}
	}
	for day, fen := range m.held { // Sums: the order does not matter.
		put(2, day, fen)
	}
	var sum [3]domain.Fen
	res.Days = make([]EscrowDay, 0, n)
	for i := range n {
		for side := range sum {
			sum[side] += moves[side][i]
		}
		day := EscrowDay{Day: from.AddDays(i), ThenFen: sum[0], NowFen: sum[1], HeldFen: sum[2]}
		res.Then.PeakFen, res.Now.PeakFen = max(res.Then.PeakFen, day.ThenFen), max(res.Now.PeakFen, day.NowFen)
		res.Days = append(res.Days, day)
	}
}
