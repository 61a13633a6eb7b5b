package main

import (
	"context"
	"errors"
	"strings"

	"zujian/domain"
	"zujian/projections"
	"zujian/projections/housing"
	"zujian/projections/money"
	"zujian/projections/rentindex"
)

// everything is the scope of the machine's operator.
var everything = projections.Scope{All: true}

// exportTable is the table of contents of `zujian export`.
func exportTable(what string, c *cityProfile, f exportFilter) table {
	switch what {
	case "contracts":
		return contractTable(f)
	case "units":
		return unitTable(f)
	case "ledgers":
		return ledgerTable(f)
	case "listings":
		return listingTable(f)
	}
	return indexTable(c.Model, f)
}

// list puts several values into one cell.
func list(values []string) string { return strings.Join(values, " ") }

func contractTable(f exportFilter) table {
	type row = housing.Contract
	return tableOf("contracts", housing.Projection{}, []column[row]{
		text("contract", func(c row) string { return c.ID }),
		text("origin", func(c row) string { return c.Origin }),
		text("state", func(c row) string { return c.State }),
		text("kind", func(c row) string { return c.Kind }),
		text("let_mode", func(c row) string { return c.LetMode }),
		text("unit", func(c row) string { return c.Unit }),
		text("building", func(c row) string { return c.Building }),
		text("rooms", func(c row) string { return list(c.Rooms) }),
		text("parent", func(c row) string { return c.Parent }),
		text("lessors", func(c row) string { return list(c.Lessors) }),
		text("lessees", func(c row) string { return list(c.Lessees) }),
		text("brokerage", func(c row) string { return c.Brokerage }),
		text("admin_code", func(c row) string { return c.AdminCode }),
		text("report_unit", func(c row) string { return c.ReportUnit }),
		text("street", func(c row) string { return c.Street }),
		day("start", func(c row) domain.Day { return c.Start }),
		day("end", func(c row) domain.Day { return c.End }),
		number("monthly_rent_fen", func(c row) domain.Fen { return c.MonthlyRentFen }),
		number("pay_cycle_months", func(c row) int { return c.PayCycleMonths }),
		number("deposit_fen", func(c row) domain.Fen { return c.DepositFen }),
		text("escrow_mode", func(c row) string { return c.EscrowMode }),
		text("escrow_bank", func(c row) string { return c.EscrowBank }),
		number("occupants", func(c row) int { return c.Occupants }),
		day("signed_on", func(c row) domain.Day { return c.SignedOn }),
		day("file_by", func(c row) domain.Day { return c.FileBy }),
		text("filing_no", func(c row) string { return c.FilingNo }),
		day("filed_on", func(c row) domain.Day { return c.FiledOn }),
		text("filed_by_role", func(c row) string { return c.FiledByRole }),
		yesNo("late", func(c row) bool { return c.Late }),
		number("amendments", func(c row) int { return c.Amendments }),
		day("ended_on", func(c row) domain.Day { return c.EndedOn }),
		text("ended_by", func(c row) string { return c.EndedBy }),
		text("renewed_by", func(c row) string { return c.RenewedBy }),
		text("upstream_ended", func(c row) string { return c.UpstreamEnded }),
		text("content_hash", func(c row) string { return c.ContentHash }),
		number("events", func(c row) int { return c.Trail.Events }),
	}, func(ctx context.Context, r projections.Reader, p projections.Page) ([]row, string, error) {
		return housing.Contracts(ctx, r, everything, housing.ContractFilter{}, p) // Its area index lacks the unsigned and the legacy.
	}, func(c row) bool {
		on := c.SignedOn
		if on.IsZero() && c.Origin == "LEGACY" {
			on = c.FiledOn
		}
		return f.keeps(on, c.AdminCode, c.ReportUnit, c.Street)
	})
}

func unitTable(f exportFilter) table {
	type row = housing.Unit
	return tableOf("units", housing.Projection{}, []column[row]{
		text("unit", func(u row) string { return u.ID }),
		text("building", func(u row) string { return u.Home.Building }),
		text("estate", func(u row) string { return u.Home.Estate }),
		text("building_no", func(u row) string { return u.Home.BuildingNo }),
		text("address", func(u row) string { return u.Home.Address }),
		text("admin_code", func(u row) string { return u.Home.AdminCode }),
		text("report_unit", func(u row) string { return u.Home.ReportUnit }),
		text("street", func(u row) string { return u.Home.Street }),
		number("floor", func(u row) int { return u.Home.Floor }),
		number("floors", func(u row) int { return u.Home.Floors }),
		number("built_year", func(u row) int { return u.Home.BuiltYear }),
		number("metro_m", func(u row) int { return u.Home.MetroM }),
		number("gross_area_c", func(u row) int64 { return u.Home.GrossAreaC }),
		number("inner_area_c", func(u row) int64 { return u.Home.InnerAreaC }),
		number("bedrooms", func(u row) int { return u.Home.Bedrooms }),
		text("planned_use", func(u row) string { return u.Home.PlannedUse }),
		text("fitout", func(u row) string { return u.Home.Fitout }),
		text("land_kind", func(u row) string { return u.Home.LandKind }),
		text("title_kind", func(u row) string { return u.Home.TitleKind }),
		number("rooms", func(u row) int { return len(u.Rooms) }),
		number("owners", func(u row) int { return len(u.Owners) }),
		text("flags", func(u row) string { return list(u.Flags) }),
		text("safety", func(u row) string { return u.Safety }),
		yesNo("retired", func(u row) bool { return u.Retired }),
		text("state", func(u row) string { return u.State }),
		number("leases", func(u row) int { return len(u.Leases) }),
		number("events", func(u row) int { return u.Trail.Events }),
	}, func(ctx context.Context, r projections.Reader, p projections.Page) ([]row, string, error) {
		return housing.Units(ctx, r, everything, f.area, f.to, p)
	}, func(row) bool { return true })
}

func ledgerTable(f exportFilter) table {
	type row = money.Ledger
	next := func(l row) money.Tranche {
		if l.NextRelease == nil {
			return money.Tranche{}
		}
		return *l.NextRelease
	}
	return tableOf("ledgers", money.Projection{}, []column[row]{
		text("contract", func(l row) string { return l.Contract }),
		text("unit", func(l row) string { return l.Unit }),
		text("admin_code", func(l row) string { return l.AdminCode }),
		text("report_unit", func(l row) string { return l.ReportUnit }),
		text("bank", func(l row) string { return l.Bank }),
		text("lessor", func(l row) string { return l.Lessor }),
		text("lessee", func(l row) string { return l.Lessee }),
		text("mode", func(l row) string { return string(l.Mode) }),
		text("capture_mode", func(l row) string { return string(l.CaptureMode) }),
		text("profile", func(l row) string { return string(l.Profile) }),
		text("state", func(l row) string { return l.State }),
		yesNo("frozen", func(l row) bool { return l.Frozen }),
		day("start", func(l row) domain.Day { return l.Start }),
		day("end", func(l row) domain.Day { return l.End }),
		number("expected_rent_fen", func(l row) domain.Fen { return l.ExpectedRentFen }),
		number("expected_deposit_fen", func(l row) domain.Fen { return l.ExpectedDeposit }),
		number("received_fen", func(l row) domain.Fen { return l.ReceivedFen }),
		number("released_fen", func(l row) domain.Fen { return l.ReleasedFen }),
		number("refunded_fen", func(l row) domain.Fen { return l.RefundedFen }),
		day("next_release_due", func(l row) domain.Day { return next(l).Due }),
		number("next_release_fen", func(l row) domain.Fen { return next(l).AmountFen }),
		text("deposit_state", func(l row) string { return l.Deposit.State }),
		number("deposit_held_fen", func(l row) domain.Fen { return l.Deposit.HeldFen }),
		number("deposit_disputed_fen", func(l row) domain.Fen { return l.Deposit.DisputedFen }),
		day("closed_on", func(l row) domain.Day { return l.ClosedOn }),
		number("events", func(l row) int { return l.Trail.Events }),
	}, func(ctx context.Context, r projections.Reader, p projections.Page) ([]row, string, error) {
		return money.Ledgers(ctx, r, everything, money.Filter{}, p)
	}, func(l row) bool { return f.keeps(l.Start, l.AdminCode, l.ReportUnit) })
}

func listingTable(f exportFilter) table {
	type row = housing.Listing
	return tableOf("listings", housing.Projection{}, []column[row]{
		text("listing", func(l row) string { return l.ID }),
		text("state", func(l row) string { return string(l.State) }),
		text("unit", func(l row) string { return l.Unit }),
		text("rooms", func(l row) string { return list(l.Rooms) }),
		text("let_mode", func(l row) string { return l.LetMode }),
		text("publisher", func(l row) string { return l.Publisher }),
		text("publisher_role", func(l row) string { return l.Role }),
		text("owner", func(l row) string { return l.Owner }),
		number("rent_fen", func(l row) domain.Fen { return l.RentFen }),
		number("deposit_fen", func(l row) domain.Fen { return l.DepositFen }),
		number("area_c", func(l row) int64 { return l.AreaC }),
		day("available_from", func(l row) domain.Day { return l.Available }),
		text("channels", func(l row) string { return list(l.Channels) }),
		text("code", func(l row) string { return l.Code }),
		day("valid_until", func(l row) domain.Day { return l.ValidUntil }),
		text("building", func(l row) string { return l.Building }),
		text("address", func(l row) string { return l.Address }),
		text("admin_code", func(l row) string { return l.AdminCode }),
		text("report_unit", func(l row) string { return l.ReportUnit }),
		text("street", func(l row) string { return l.Street }),
		day("submitted", func(l row) domain.Day { return l.Submitted }),
		day("verified", func(l row) domain.Day { return l.Verified }),
		day("published", func(l row) domain.Day { return l.Published }),
		day("ended_on", func(l row) domain.Day { return l.EndedOn }),
		text("reasons", func(l row) string { return list(l.Reasons) }),
		text("contract", func(l row) string { return l.Contract }),
		text("suspended_cause", func(l row) string { return l.SuspendedBy }),
		number("events", func(l row) int { return l.Trail.Events }),
	}, func(ctx context.Context, r projections.Reader, p projections.Page) ([]row, string, error) {
		return housing.Listings(ctx, r, everything, housing.ListingFilter{}, p)
	}, func(l row) bool { return f.keeps(l.Submitted, l.AdminCode, l.ReportUnit, l.Street) })
}

// indexRow is one month of one series.
type indexRow struct {
	*rentindex.Result
	rentindex.Point
}

// indexTable is the published series, withheld months as what they are: nothing but the reason.
func indexTable(m rentindex.Model, f exportFilter) table {
	type row = indexRow
	view := rentindex.Projection{Model: m}
	t := tableOf("index", view, []column[row]{
		text("area", func(r row) string { return r.Area }),
		text("borrowed_from", func(r row) string { return r.BorrowedFrom }),
		text("population", func(r row) string { return r.Population }),
		text("method", func(r row) string { return r.Method }),
		text("method_version", func(r row) string { return r.MethodVersion }),
		text("model", func(r row) string { return r.Model }),
		number("model_version", func(r row) int { return r.ModelVersion }),
		day("month", func(r row) domain.Day { return r.Month.First() }),
		number("n", func(r row) int64 { return r.Point.N }),
		real("index", func(r row) *float64 { return r.Index }),
		real("log_index", func(r row) *float64 { return r.LogIndex }),
		real("se", func(r row) *float64 { return r.SE }),
		yesNo("provisional", func(r row) bool { return r.Provisional }),
		text("withheld", func(r row) string { return r.Withheld }),
		text("inputs_sha256", func(r row) string { return r.InputsSHA256 }),
	}, func(ctx context.Context, r projections.Reader, p projections.Page) (rows []row, _ string, err error) {
		for _, area := range f.areas { // A few hundred months at most: one page.
			q := rentindex.Query{Area: area, Population: f.population, Method: f.method, Now: f.today.Month()}
			if !f.from.IsZero() {
				q.From = f.from.Month()
			}
			if !f.to.IsZero() {
				q.To = f.to.Month()
			}
			res, err := view.Series(ctx, r, q)
			if errors.Is(err, rentindex.ErrUnknown) {
				continue // Nothing was ever let there.
			}
			if err != nil {
				return nil, "", err
			}
			for _, point := range res.Points {
				rows = append(rows, row{res, point})
			}
		}
		return rows, "", nil
	}, func(row) bool { return true })
	return t
}
