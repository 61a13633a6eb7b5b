package housing

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"zujian/domain"
	"zujian/projections"
)

// Stock is the counts of homes, listings by state and buildings of an area now (V-H1, V-H2).
func Stock(ctx context.Context, r projections.Reader, area string) (projections.Counters, error) {
	return projections.Get[projections.Counters](ctx, r, projections.Key(keyStock, area))
}

// MonthFigures is one month's flow in an area. Names of counters are those the effects use.
type MonthFigures struct {
	Month    domain.Month         `json:"month"`
	Counters projections.Counters `json:"counters"`
}

// Filing is the filing figures of an area over months (V-H3).
type Filing struct {
	Area        string           `json:"area"`
	Signed      int64            `json:"signed"`
	Filed       int64            `json:"filed"`   // Filed in these months, whenever signed.
	InTime      int64            `json:"in_time"` // Of those signed in these months, filed within 30 days.
	SignedFiled int64            `json:"signed_filed"`
	RateBP      int64            `json:"rate_bp"` // InTime / Signed, basis points, half up.
	MedianDays  int64            `json:"median_days"`
	SelfFiled   int64            `json:"self_filed"` // By lessees.
	Late        int64            `json:"late"`
	Legacy      int64            `json:"legacy"`
	Renewed     int64            `json:"renewed"`          // Filed renewals of an older contract.
	ByRoom      int64            `json:"by_room"`          // Of Filed.
	LongTerm    int64            `json:"long_term"`        // Of Filed, twelve months or more.
	ByRoomBP    int64            `json:"by_room_bp"`       // Shares of Filed, basis points, half up.
	LongTermBP  int64            `json:"long_term_bp"`     //
	MeanTerm    float64          `json:"mean_term_months"` // Agreed, of Filed; two decimals.
	Ended       int64            `json:"ended"`
	EndedBy     map[string]int64 `json:"ended_by"`     // AGREED, EXPIRED, …
	EndedGround map[string]int64 `json:"ended_ground"` // Grounds of terminations.
	Months      []MonthFigures   `json:"months"`
}

const monthsMax = 600 // Fifty years in one answer.

// FilingRate reads the flow of an area from a month to a month, both included.
func FilingRate(ctx context.Context, r projections.Reader, area string, from, to domain.Month) (Filing, error) {
	f := Filing{Area: area, Months: []MonthFigures{}, EndedBy: map[string]int64{}, EndedGround: map[string]int64{}}
	sum := projections.Counters{}
	for pair, err := range r.Scan(ctx, projections.Key(keyFlow, area, from.String()), projections.Key(keyFlow, area, (to+1).String()), false) {
		if err != nil {
			return f, err
		}
		if len(f.Months) == monthsMax {
			break
		}
		m, err := domain.ParseMonth(projections.Tail(pair.Key))
		if err != nil {
			return f, err
		}
		c, err := projections.Get[projections.Counters](ctx, r, pair.Key)
		if err != nil {
			return f, err
		}
		f.Months = append(f.Months, MonthFigures{Month: m, Counters: c})
		for name, n := range c {
			sum[name] += n
		}
	}
	f.Signed, f.Filed, f.InTime, f.SignedFiled = sum["signed"], sum["filed"], sum["signed_filed_in_time"], sum["signed_filed"]
	f.SelfFiled, f.Late, f.Legacy = sum["filed_LESSEE"], sum["filed_late"], sum["legacy"]
	f.Renewed, f.ByRoom, f.LongTerm = sum["filed_renewal"], sum["filed_by_room"], sum["filed_long"]
	f.RateBP, f.ByRoomBP, f.LongTermBP = shareBP(f.InTime, f.Signed), shareBP(f.ByRoom, f.Filed), shareBP(f.LongTerm, f.Filed)
	if f.Filed > 0 {
		f.MeanTerm = float64((sum["term_months"]*200+f.Filed)/(2*f.Filed)) / 100
	}
	for name, n := range sum {
		if ground, ok := strings.CutPrefix(name, "ended_ground_"); ok {
			f.EndedGround[ground] = n
		} else if by, ok := strings.CutPrefix(name, "ended_"); ok {
			f.EndedBy[by] = n
			f.Ended += n
		}
	}
	f.MedianDays = medianDays(sum)
	return f, nil
}

// shareBP is part of whole in basis points, half up; 0 of nothing.
func shareBP(part, whole int64) int64 {
	if whole == 0 {
		return 0
	}
	return (part*20_000 + whole) / (2 * whole)
}

// medianDays is the lower median of the days from signing to filing.
func medianDays(c projections.Counters) int64 {
	total := c["filed"]
	seen := int64(0)
	for d := range int64(daysToFileMax + 1) {
		if seen += c[fmt.Sprintf("days_%02d", d)]; total > 0 && seen*2 >= total {
			return d
		}
	}
	return 0
}

// Active counts the filed contracts in force in an area on a day.
type Active struct {
	Out       int64 `json:"out"`
	Head      int64 `json:"head"`
	OutByRoom int64 `json:"out_by_room"` // Of Out.
	Rooms     int64 `json:"rooms"`       // Let by those.
}

// ActiveOn adds up what began and ended: whole months before the day's month, then its days.
func ActiveOn(ctx context.Context, r projections.Reader, area string, on domain.Day) (a Active, err error) {
	add := func(from, to string) error {
		for pair, err := range r.Scan(ctx, from, to, false) {
			if err != nil {
				return err
			}
			c, err := projections.Get[projections.Counters](ctx, r, pair.Key)
			if err != nil {
				return err
			}
			a.Out, a.Head, a.OutByRoom, a.Rooms = a.Out+c["out"], a.Head+c["head"], a.OutByRoom+c["out_by_room"], a.Rooms+c["rooms"]
		}
		return nil
	}
	if err = add(projections.Prefix(keyActiveM, area), projections.Key(keyActiveM, area, on.Month().String())); err != nil {
		return a, err
	}
	return a, add(projections.Key(keyActiveD, area, on.Month().First().String()), projections.Key(keyActiveD, area, on.AddDays(1).String()))
}

// sumBetween adds up one counter of the cells whose part after the prefix is at least first and below before.
func sumBetween(ctx context.Context, r projections.Reader, prefix []string, first, before, counter string) (sum int64, err error) {
	for pair, err := range r.Scan(ctx, projections.Prefix(prefix...)+first, projections.Prefix(prefix...)+before, false) {
		if err != nil {
			return 0, err
		}
		c, err := projections.Get[projections.Counters](ctx, r, pair.Key)
		if err != nil {
			return 0, err
		}
		sum += c[counter]
	}
	return sum, nil
}

// Expiring counts filed contracts that end within so many days from a day on, that day included.
type Expiring struct {
	Days30 int64 `json:"days_30"`
	Days60 int64 `json:"days_60"`
	Days90 int64 `json:"days_90"`
}

// ExpiringFrom counts them; Ending lists them.
func ExpiringFrom(ctx context.Context, r projections.Reader, area string, on domain.Day) (e Expiring, err error) {
	for days, to := range map[int]*int64{30: &e.Days30, 60: &e.Days60, 90: &e.Days90} {
		if *to, err = sumBetween(ctx, r, []string{keyEndingDay, area}, on.String(), on.AddDays(days).String(), "n"); err != nil {
			return e, err
		}
	}
	return e, nil
}

// Estates counts the estates (小区) of an area.
func Estates(ctx context.Context, r projections.Reader, area string) (n int64, err error) {
	for _, err := range r.Scan(ctx, projections.Prefix(keyEstate, area), projections.PrefixEnd(keyEstate, area), false) {
		if err != nil {
			return 0, err
		}
		n++
	}
	return n, nil
}

// Overdue is one lessor's signed contracts that were not filed in time.
type Overdue struct {
	Lessor string     `json:"lessor"`
	N      int64      `json:"n"`
	Oldest domain.Day `json:"oldest"` // Last day to file of the longest overdue.
}

// UnfiledByLessor lists who has how many signed contracts of an area unfiled past their last day, in order of lessor.
func UnfiledByLessor(ctx context.Context, r projections.Reader, area string, on domain.Day, p projections.Page) ([]Overdue, string, error) {
	return projections.List(ctx, r, []string{keyUnfiledBy, area}, false, p, func(pair projections.Pair) (Overdue, bool, error) {
		o := Overdue{Lessor: projections.Tail(pair.Key)}
		c, err := projections.Get[projections.Counters](ctx, r, pair.Key)
		if err != nil {
			return o, false, err
		}
		for text, n := range c {
			day, err := domain.ParseDay(text)
			if err != nil {
				return o, false, err
			}
			if day < on {
				o.N += n
				if o.Oldest.IsZero() || day < o.Oldest {
					o.Oldest = day
				}
			}
		}
		return o, o.N > 0, nil
	})
}

// ListingBoard is how listings of an area stand, and what happened to them in some months (V-H2).
type ListingBoard struct {
	Area              string               `json:"area"`
	On                domain.Day           `json:"on"`
	States            projections.Counters `json:"states"` // Now, by state.
	Submitted         int64                `json:"submitted"`
	Verified          int64                `json:"verified"`
	Published         int64                `json:"published"`
	PassRateBP        int64                `json:"pass_rate_bp"` // Verified / Submitted.
	Rejections        int64                `json:"rejections"`
	MedianMinutes     *int64               `json:"median_verify_minutes"` // From submission to the first code; null without one.
	CodesExpired      int64                `json:"codes_expired"`         // Listings ended because their code did.
	Stale             int64                `json:"stale"`                 // Published on a code that was over before the day.
	DuplicatesStopped int64                `json:"duplicates_stopped"`
	FakeConfirmed     int64                `json:"fake_confirmed"` // Taken down by a finding of the authority.
	Objections        int64                `json:"objections"`
	Overturned        int64                `json:"overturned"`
	OverturnBP        int64                `json:"overturn_bp"`
	Months            []MonthFigures       `json:"months"`
}

// Listed reads the board of an area for the months from a month to a month, both included.
func Listed(ctx context.Context, r projections.Reader, area string, from, to domain.Month, on domain.Day) (ListingBoard, error) {
	b := ListingBoard{Area: area, On: on, States: projections.Counters{}}
	stock, err := Stock(ctx, r, area)
	if err != nil {
		return b, err
	}
	for name, n := range stock {
		if state, ok := strings.CutPrefix(name, "listings_"); ok {
			b.States[state] = n
		}
	}
	f, err := FilingRate(ctx, r, area, from, to)
	if err != nil {
		return b, err
	}
	sum := projections.Counters{}
	for _, m := range f.Months {
		of := MonthFigures{Month: m.Month, Counters: projections.Counters{}}
		for name, n := range m.Counters {
			if flow, ok := strings.CutPrefix(name, "listings_"); ok {
				of.Counters[flow] = n
				sum[flow] += n
			}
		}
		b.Months = append(b.Months, of)
	}
	b.Submitted, b.Verified, b.Published, b.Rejections = sum["submitted"], sum["verified"], sum["published"], sum["rejections"]
	b.CodesExpired, b.FakeConfirmed = sum["ended_EXPIRED"], sum["ended_REVOKED"]
	b.DuplicatesStopped, b.Objections, b.Overturned = sum["duplicates_stopped"], sum["objections"], sum["objections_upheld"]
	b.PassRateBP, b.OverturnBP = shareBP(b.Verified, b.Submitted), shareBP(b.Overturned, b.Objections)
	if b.Stale, err = sumBetween(ctx, r, []string{keyValid, area}, "", on.String(), "n"); err != nil {
		return b, err
	}
	b.MedianMinutes, err = medianMinutes(ctx, r, area, from, to)
	return b, err
}

// medianMinutes is the lower median over all verifications of the months; nil for none.
func medianMinutes(ctx context.Context, r projections.Reader, area string, from, to domain.Month) (*int64, error) {
	var total int64
	count := map[int64]int64{}
	for pair, err := range r.Scan(ctx, projections.Key(keyMinutes, area, from.String()), projections.Key(keyMinutes, area, (to+1).String()), false) {
		if err != nil {
			return nil, err
		}
		minutes, err := strconv.ParseInt(projections.Tail(pair.Key), 10, 64)
		if err != nil {
			return nil, err
		}
		c, err := projections.Get[projections.Counters](ctx, r, pair.Key)
		if err != nil {
			return nil, err
		}
		total += c["n"]
		count[minutes] += c["n"]
	}
	seen := int64(0)
	for _, minutes := range slices.Sorted(maps.Keys(count)) {
		if seen += count[minutes]; seen*2 >= total {
			return &minutes, nil
		}
	}
	return nil, nil
}
