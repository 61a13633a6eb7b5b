package money

import (
	"context"

	"zujian/domain"
	"zujian/domain/alert"
	"zujian/projections"
)

// Board is the supervised money of one party, district or bank (V-M1). Names of Figures are those of figures.
type Board struct {
	Kind    string               `json:"kind"`
	ID      string               `json:"id"`
	Bank    string               `json:"bank,omitempty"`
	Figures projections.Counters `json:"figures"`

	HeldFen        domain.Fen   `json:"held_fen"`        // Rent, deposits (disputed or not) and the rest that the ledgers hold.
	LiabilitiesFen domain.Fen   `json:"liabilities_fen"` // That, the risk reserve, and what is set aside to be paid out.
	BalanceFen     domain.Fen   `json:"balance_fen"`     // As the bank has it: the ledgers' cash, the reserve and the open differences of its statements.
	ShortfallFen   domain.Fen   `json:"shortfall_fen"`   // Liabilities above the balance (M-14).
	CoverageBP     *int64       `json:"coverage_bp"`     // Balance / liabilities; null without liabilities.
	Warning        *alert.Level `json:"shortfall_level"` // Level of that by the judge, of this moment alone: no hysteresis. Exactly covered is YELLOW (no margin); null without liabilities.
	DueFen         domain.Fen   `json:"due_fen"`         // Of a party: what its tenants were to have paid in by the day asked.
	UnpaidInFen    domain.Fen   `json:"unpaid_in_fen"`   // Of that, not received.
	OwnerUnpaidFen domain.Fen   `json:"owner_unpaid_fen"`
	LastStatement  domain.Day   `json:"last_statement,omitzero"` // Of the bank, up to the day asked.
	Open           int64        `json:"open_discrepancies"`
	OpenFen        domain.Fen   `json:"open_discrepancies_fen"`
	Frozen         int64        `json:"frozen_ledgers"`
}

// Boards lists the boards of one kind (BoardParty, BoardArea, BoardBank, BoardCity), of one id or of all. Sums are those
// of now; what is due, and the last statement, are those of a day.
func Boards(
	ctx context.Context, r projections.Reader, s projections.Scope, j Judge, kind, id string, on domain.Day, p projections.Page,
) ([]Board, string, error) {
	if !s.All && id == "" { // A reader of one row asks for it, not for all.
		switch kind {
		case BoardParty:
			id = s.Party
		case BoardArea:
			id = s.District
		case BoardBank:
			id = s.Bank
		}
	}
	prefix := []string{keyBoard, kind}
	if id != "" {
		prefix = append(prefix, id)
	}
	return projections.List(ctx, r, prefix, false, p, func(pair projections.Pair) (Board, bool, error) {
		b := Board{Kind: kind}
		b.ID, b.Bank = boardParts(pair.Key)
		if !b.seenBy(s) {
			return b, false, nil
		}
		var err error
		if b.Figures, err = projections.Get[projections.Counters](ctx, r, pair.Key); err != nil {
			return b, false, err
		}
		return b, true, b.fill(ctx, r, j, on)
	})
}

func (b *Board) seenBy(s projections.Scope) bool {
	switch b.Kind {
	case BoardParty:
		return s.All || (s.Party != "" && s.Party == b.ID)
	case BoardArea:
		return s.All || (s.District != "" && s.District == b.ID)
	case BoardBank:
		return s.All || (s.Bank != "" && s.Bank == b.ID)
	}
	return s.All
}

// fill works out what the counters mean together.
func (b *Board) fill(ctx context.Context, r projections.Reader, j Judge, on domain.Day) (err error) {
	f := b.Figures
	fen := func(names ...string) (sum domain.Fen) {
		for _, n := range names {
			sum += domain.Fen(f[n])
		}
		return sum
	}
	b.HeldFen = fen("held_rent_fen", "held_deposit_fen", "other_fen", "awarded_fen", "unclassified_fen") // Disputed money is part of the deposit.
	b.LiabilitiesFen = b.HeldFen + fen("reserve_fen", "suspense_fen", "payable_owner_fen", "payable_operator_fen", "payable_lessor_fen", "payable_tenant_fen")
	b.BalanceFen = fen("cash_fen", "reserve_fen", "unexplained_fen")
	b.OwnerUnpaidFen = fen("owner_unpaid_fen", "payable_owner_fen")
	b.Open, b.OpenFen, b.Frozen = f["open_discrepancies"], fen("open_discrepancies_fen"), f["frozen_ledgers"]
	b.ShortfallFen = max(0, b.LiabilitiesFen-b.BalanceFen)
	if b.LiabilitiesFen > 0 {
		bp, ok := b.BalanceFen.MulDiv(10_000, int64(b.LiabilitiesFen))
		if ok == nil {
			n := int64(bp)
			b.CoverageBP = &n
		}
	}
	b.Warning = j.level(b.Coverage(), on)
	if b.Kind == BoardParty {
		if b.DueFen, err = dueBy(ctx, r, b.ID, b.Bank, on); err != nil {
			return err
		}
		b.UnpaidInFen = max(0, b.DueFen-fen("received_fen"))
	}
	bank := b.Bank
	if b.Kind == BoardBank {
		bank = b.ID
	}
	if bank != "" {
		b.LastStatement, err = lastStatement(ctx, r, bank, on)
	}
	return err
}

// Coverage is the balance as a figure of the liabilities (indicator SHORTFALL).
func (b *Board) Coverage() alert.Figure {
	return alert.Figure{Num: int64(b.BalanceFen), Den: int64(b.LiabilitiesFen), N: 1}
}

// Shortfall is the indicator boards are judged by.
const Shortfall = "SHORTFALL"

// Judge is what boards and accounts are judged by: the rules, and the city's indicators. The limit of a shortfall stands in
// rule M-14 alone; the indicator's levels keep their distance from it.
type Judge struct {
	Policy domain.Policy
	Books  alert.Books // nil judges no level.
}

// level of a coverage on a day; nil without liabilities.
func (j Judge) level(f alert.Figure, on domain.Day) *alert.Level {
	book, ok := j.Books.On(on)
	if !ok {
		return nil
	}
	i, ok := book.Indicator(Shortfall)
	if !ok {
		return nil
	}
	level, reason := book.Judge(i.Resolve(j.Policy, on), f, alert.None)
	if reason != "" {
		return nil
	}
	return &level
}

// dueBy is what a lessor's tenants were to have paid into a bank up to and including a day.
func dueBy(ctx context.Context, r projections.Reader, lessor, bank string, on domain.Day) (sum domain.Fen, err error) {
	to := projections.Key(keyExpected, lessor, bank, on.AddDays(1).String())
	for pair, err := range r.Scan(ctx, projections.Prefix(keyExpected, lessor, bank), to, false) {
		if err != nil {
			return 0, err
		}
		c, err := projections.Get[projections.Counters](ctx, r, pair.Key)
		if err != nil {
			return 0, err
		}
		sum += domain.Fen(c["due_fen"])
	}
	return sum, nil
}

// lastStatement is the last day up to and including one that a bank has sent its statement of.
func lastStatement(ctx context.Context, r projections.Reader, bank string, on domain.Day) (domain.Day, error) {
	to := projections.Key(keyStatement, bank, on.AddDays(1).String())
	for pair, err := range r.Scan(ctx, projections.Prefix(keyStatement, bank), to, true) {
		if err != nil {
			return 0, err
		}
		return domain.ParseDay(projections.Tail(pair.Key))
	}
	return 0, nil
}
