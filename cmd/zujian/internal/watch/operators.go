package watch

import (
	"cmp"
	"context"
	"slices"

	"zujian/domain"
	"zujian/domain/alert"
	"zujian/projections"
	"zujian/projections/housing"
	"zujian/projections/money"
	"zujian/projections/process/warnings"
)

// growthMonths is what an operator's homes are compared over.
const growthMonths = 3

// operators reads what each company lets and holds, one by one, and adds it up for the city.
func (x *reader) operators(ctx context.Context) error {
	companies, err := x.companies(ctx)
	if err != nil {
		return err
	}
	err = x.read(ctx, housing.Projection{}, func(r projections.Reader, made projections.Made) error {
		for n := range companies {
			o := &companies[n]
			if o.portfolio, err = housing.PortfolioOf(ctx, r, all, o.ID, x.day); err != nil {
				return err
			}
			if o.before, err = housing.PortfolioOf(ctx, r, all, o.ID, x.day.AddMonths(-growthMonths)); err != nil {
				return err
			}
		}
		x.business(companies, made)
		x.concentration(companies, made)
		return nil
	})
	if err != nil {
		return err
	}
	return x.read(ctx, money.Projection{}, func(r projections.Reader, made projections.Made) error {
		if err := x.coverage(ctx, r, companies, made); err != nil {
			return err
		}
		return x.promises(ctx, r, companies, made)
	})
}

// business is growth, payment cycles and spreads.
func (x *reader) business(companies []operator, made projections.Made) {
	city := alert.Figure{}
	spread := func(s alert.Subject, f alert.Figure) {
		x.add(warnings.Reading{
			Indicator: "HIGH_IN_LOW_OUT", Subject: s, Figure: f, From: x.day, To: x.day, Made: made,
			Inputs: map[string]int64{"below": f.Num, "subleased_whole": f.Den}, Rows: contracts(s),
		})
	}
	for _, o := range companies {
		now, before := o.portfolio.Homes[housing.AreaCity], o.before.Homes[housing.AreaCity]
		if now+before == 0 && len(o.portfolio.Lettings) == 0 {
			continue // It lets nothing.
		}
		x.add(warnings.Reading{
			Indicator: "OPERATOR_GROWTH", Subject: o.Subject, Figure: alert.Figure{Num: now - before, Den: before, N: before},
			From: x.day.AddMonths(-growthMonths), To: x.day, Made: made, Inputs: map[string]int64{"homes": now, "homes_before": before}, Rows: contracts(o.Subject),
		})
		lettings, heads := int64(len(o.portfolio.Lettings)), o.portfolio.Heads
		x.add(warnings.Reading{ // Σ collected/n − Σ paid/m
			Indicator: "COLLECT_PAY_GAP", Subject: o.Subject, From: x.day, To: x.day, Made: made, Rows: contracts(o.Subject),
			Figure: alert.Figure{Num: o.portfolio.CollectMonths*heads - o.portfolio.PayMonths*lettings, Den: lettings * heads, N: min(lettings, heads)},
			Inputs: map[string]int64{"collect_months": o.portfolio.CollectMonths, "lettings": lettings, "pay_months": o.portfolio.PayMonths, "head_leases": heads},
		})
		var f alert.Figure
		for _, l := range o.portfolio.Lettings {
			if l.HeadFen == 0 || len(l.Contract.Rooms) > 0 {
				continue // Owned, or let by room: then the rooms of the flat together are to be held against its head rent.
			}
			f.Den, f.N = f.Den+1, f.N+1
			if l.Contract.MonthlyRentFen < l.HeadFen {
				f.Num++
			}
		}
		city = alert.Figure{Num: city.Num + f.Num, Den: city.Den + f.Den, N: city.N + f.N}
		spread(o.Subject, f)
	}
	spread(x.areas()[0], city)
}

// concentration is the share of the four largest operators in each street where any lets.
func (x *reader) concentration(companies []operator, made projections.Made) {
	homes := map[string][]int64{}
	for _, o := range companies {
		for area, n := range o.portfolio.Homes {
			homes[area] = append(homes[area], n)
		}
	}
	for _, street := range x.f.City.Streets {
		of := homes[street.Code]
		if len(of) == 0 || !street.To.IsZero() && street.To < x.day {
			continue
		}
		delete(homes, street.Code) // A street that was renamed stands twice.
		slices.SortFunc(of, func(a, b int64) int { return cmp.Compare(b, a) })
		sum, four := int64(0), int64(0)
		for n, h := range of {
			if sum += h; n < 4 {
				four += h
			}
		}
		x.add(warnings.Reading{
			Indicator: "CONCENTRATION_CR4", Subject: alert.Subject{Kind: alert.Street, ID: street.Code, District: street.Admin},
			Figure: alert.Figure{Num: four, Den: sum, N: sum}, From: x.day, To: x.day, Made: made,
			Inputs: map[string]int64{"homes_of_four": four, "homes_of_operators": sum, "operators": int64(len(of))},
			Rows:   "/v1/views/housing/contracts?area=" + street.Code + "&on=" + x.day.String(),
		})
	}
}

// coverage holds balances against liabilities: an operator by its worst account, areas by the operators registered there.
func (x *reader) coverage(ctx context.Context, r projections.Reader, companies []operator, made projections.Made) error {
	shortfall, ok := x.book.Indicator(money.Shortfall)
	if !ok {
		return nil
	}
	type sum struct{ has, owes domain.Fen }
	sums := map[string]sum{}
	read := func(s alert.Subject, b sum) {
		f := alert.Figure{Num: int64(b.has), Den: int64(b.owes), N: 1}
		if b.owes == 0 && b.has >= 0 {
			f.Num, f.Den = shortfall.Norm, 10_000 // Nothing is owed any more.
		}
		rows := "/v1/views/money/boards?kind=party"
		if s.Kind == alert.Operator {
			rows += "&id=" + s.ID
		}
		x.add(warnings.Reading{
			Indicator: money.Shortfall, Subject: s, Figure: f, From: x.day, To: x.day, Made: made,
			Inputs: map[string]int64{"balance_fen": int64(b.has), "liabilities_fen": int64(b.owes)}, Rows: rows,
		})
	}
	for _, o := range companies {
		boards, _, err := money.Boards(ctx, r, all, money.Judge{}, money.BoardParty, o.ID, x.day, projections.Page{Limit: projections.LimitMax})
		if err != nil {
			return err
		}
		if len(boards) == 0 {
			continue
		}
		worst := slices.MinFunc(boards, func(a, b money.Board) int {
			return cmp.Compare(a.BalanceFen-a.LiabilitiesFen, b.BalanceFen-b.LiabilitiesFen)
		})
		read(o.Subject, sum{worst.BalanceFen, worst.LiabilitiesFen})
		for _, b := range boards {
			for _, area := range []string{alert.City, o.District} {
				sums[area] = sum{sums[area].has + b.BalanceFen, sums[area].owes + b.LiabilitiesFen}
			}
		}
	}
	for _, s := range x.areas() {
		if sums[s.ID].owes > 0 {
			read(s, sums[s.ID])
		}
	}
	return nil
}

// promises is how companies kept their word to tenants and owners, and what they declared of rent loans.
func (x *reader) promises(ctx context.Context, r projections.Reader, companies []operator, made projections.Made) error {
	var city money.Tally
	for _, o := range companies {
		t, err := money.TallyOf(ctx, r, o.ID, o.portfolio.Filed, x.day)
		if err != nil {
			return err
		}
		city = city.Plus(t)
		x.tally(o.Subject, t, made)
		accounts, _, err := money.Accounts(ctx, r, projections.Scope{Party: o.ID}, money.Judge{}, x.day, projections.Page{})
		if err != nil {
			return err
		}
		for _, a := range accounts {
			if a.LoanShareBP != nil {
				x.add(warnings.Reading{
					Indicator: "LOAN_SHARE", Subject: o.Subject, Figure: alert.Figure{Num: *a.LoanShareBP, Den: 10_000, N: 1}, From: a.LoanMonth,
					To: a.LoanMonth.AddMonths(1).AddDays(-1), Made: made, Rows: "/v1/accounts/" + a.ID,
				})
				break // An operator declares once for all its accounts.
			}
		}
	}
	x.tally(x.areas()[0], city, made)
	return nil
}

func (x *reader) tally(s alert.Subject, t money.Tally, made projections.Made) {
	rows := "/v1/views/money/ledgers"
	if s.Kind == alert.Operator {
		rows += "?party_id=" + s.ID
	}
	add := func(indicator string, part, whole, n int64, from domain.Day, inputs map[string]int64) {
		if n > 0 || s.Kind != alert.Operator {
			x.add(warnings.Reading{
				Indicator: indicator, Subject: s, Figure: alert.Figure{Num: part, Den: whole, N: n}, From: from, To: t.To, Made: made, Inputs: inputs, Rows: rows,
			})
		}
	}
	add("OFF_ACCOUNT", int64(t.UnreceivedFen), int64(t.DueFen), t.Collections, t.From,
		map[string]int64{"unreceived_fen": int64(t.UnreceivedFen), "due_fen": int64(t.DueFen), "collections": t.Collections})
	add("OWNER_ARREARS", t.OwnersUnpaid, t.Owners, t.Owners, 0,
		map[string]int64{"owners_unpaid": t.OwnersUnpaid, "owners": t.Owners, "unpaid_fen": int64(t.OwnersUnpaidFen)})
	add("DEPOSIT_OVERDUE", t.DepositsOverdue, t.Deposits, t.Deposits, 0,
		map[string]int64{"overdue": t.DepositsOverdue, "due": t.Deposits})
}

func contracts(s alert.Subject) string {
	if s.Kind == alert.Operator {
		return "/v1/views/housing/contracts?party_id=" + s.ID
	}
	return "/v1/views/housing/contracts?area=" + s.ID
}
