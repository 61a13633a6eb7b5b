package unit

import (
	"maps"
	"slices"

	"zujian/domain"
)

const sharesWhole = 10_000 // Basis points.

func recordOwnership(s State, c RecordOwnership) ([]Event, error) {
	e := OwnershipRecorded(c)
	switch {
	case c.From == 0:
		return nil, ErrField.At("/from").With("field", "from")
	case c.TitleNo == "" || !short(c.TitleNo):
		return nil, ErrField.At("/title_no").With("field", "title_no")
	case len(c.Owners) == 0 || len(c.Owners) > ownersMax:
		return nil, ErrOwners.At("/owners")
	}
	sum := 0
	for i, o := range c.Owners {
		twice := slices.ContainsFunc(c.Owners[:i], func(x Owner) bool { return x.Party == o.Party })
		if o.Party == "" || twice {
			return nil, ErrOwners.At("/owners")
		}
		if o.ShareBP < 1 || o.ShareBP > sharesWhole {
			return nil, ErrShareSum.At("/owners")
		}
		sum += o.ShareBP
	}
	if sum != sharesWhole {
		return nil, ErrShareSum.At("/owners").With("sum_bp", int64(sum))
	}
	if i := s.ownershipOn(c.From); i >= 0 {
		now := s.Ownership[i]
		if now.From == c.From && now.TitleNo == c.TitleNo && slices.Equal(now.Owners, c.Owners) {
			return nil, nil
		}
	}
	return []Event{e}, nil
}

func setRight(s State, c SetRight) ([]Event, error) {
	switch {
	case !slices.Contains(flags, c.Flag):
		return nil, ErrFlag.At("/flag").With("flag", c.Flag)
	case c.OrderNo == "" || !short(c.OrderNo):
		return nil, ErrOrderNo.At("/order_no")
	case slices.Contains(s.Flags, c.Flag):
		return nil, nil
	}
	return []Event{RightSet(c)}, nil
}

func clearRight(s State, c ClearRight) ([]Event, error) {
	switch {
	case !slices.Contains(flags, c.Flag):
		return nil, ErrFlag.At("/flag").With("flag", c.Flag)
	case c.OrderNo == "" || !short(c.OrderNo):
		return nil, ErrOrderNo.At("/order_no")
	case !slices.Contains(s.Flags, c.Flag):
		return nil, nil
	}
	return []Event{RightCleared(c)}, nil
}

func recordSafety(s State, r domain.Request[Command], c RecordSafety) ([]Event, error) {
	switch {
	case !slices.Contains([]string{"A", "B", "C", "D"}, c.Grade):
		return nil, ErrGrade.At("/grade").With("grade", c.Grade)
	case !short(c.ReportNo):
		return nil, ErrField.At("/report_no").With("field", "report_no")
	case s.Safety.Grade == c.Grade && s.Safety.ReportNo == c.ReportNo:
		return nil, nil
	}
	return []Event{SafetyRecorded{Grade: c.Grade, ReportNo: c.ReportNo, On: r.Today()}}, nil
}

func approveConversion(s State, c ApproveConversion) ([]Event, error) {
	switch {
	case c.DecisionNo == "" || !short(c.DecisionNo):
		return nil, ErrOrderNo.At("/decision_no")
	case s.Conversion == c.DecisionNo:
		return nil, nil
	}
	return []Event{ConversionApproved(c)}, nil
}

func retire(s State, r domain.Request[Command], c Retire) ([]Event, error) {
	if s.Stage == StageRetired {
		return nil, nil
	}
	if err := s.inStage(StageActive); err != nil {
		return nil, err
	}
	switch {
	case !slices.Contains(retireReasons, c.Reason):
		return nil, ErrRetireReason.At("/reason").With("reason", c.Reason)
	case len(s.running(r.Today(), r.At)) > 0:
		return nil, ErrHasActiveContract
	}
	return []Event{Retired{Reason: c.Reason, On: r.Today()}}, nil
}

func split(s State, r domain.Request[Command], c Split) ([]Event, error) {
	ids := childIDs(c.Children)
	if s.Stage == StageSplit && slices.Equal(s.Successors, ids) {
		return nil, nil
	}
	if err := s.inStage(StageActive); err != nil {
		return nil, err
	}
	from := orToday(c.From, r.Today())
	sum, err := areaOf(c.Children)
	switch {
	case err != nil:
		return nil, err
	case len(c.Children) < 2:
		return nil, ErrField.At("/children").With("field", "children")
	case !near(sum, s.Home.GrossAreaC):
		return nil, ErrAreaSum.At("/children").With("sum_c", sum).With("gross_area_c", s.Home.GrossAreaC)
	}
	for _, o := range s.running(from, r.At) {
		child, mapped := c.Mapping[o.Contract]
		switch {
		case !o.Confirmed:
			return nil, ErrHasActiveContract
		case !mapped || !slices.Contains(ids, child):
			return nil, ErrLineageRequired.At("/mapping")
		}
	}
	return []Event{WasSplit{Children: c.Children, Mapping: maps.Clone(c.Mapping), From: from}}, nil
}

func merge(s State, r domain.Request[Command], c Merge) ([]Event, error) {
	if s.Stage == StageMerged && slices.Equal(s.Successors, []string{c.Into}) {
		return nil, nil
	}
	if err := s.inStage(StageActive); err != nil {
		return nil, err
	}
	from := orToday(c.From, r.Today())
	sum, err := areaOf(c.Siblings)
	switch {
	case err != nil:
		return nil, err
	case c.Into == "" || len(c.Siblings) == 0 || slices.Contains(childIDs(c.Siblings), c.Into):
		return nil, ErrField.At("/into").With("field", "into")
	case !near(c.IntoAreaC, sum+s.Home.GrossAreaC):
		return nil, ErrAreaSum.At("/into").With("sum_c", sum+s.Home.GrossAreaC).With("gross_area_c", c.IntoAreaC)
	}
	for _, o := range s.running(from, r.At) {
		switch {
		case !o.Confirmed:
			return nil, ErrHasActiveContract
		case !slices.Contains(c.Contracts, o.Contract):
			return nil, ErrLineageRequired.At("/contracts")
		}
	}
	return []Event{WasMerged{Into: c.Into, Siblings: c.Siblings, Contracts: c.Contracts, From: from}}, nil
}

func orToday(day, today domain.Day) domain.Day {
	if day == 0 {
		return today
	}
	return day
}

func areaOf(children []Child) (sum int64, err error) {
	for i, c := range children {
		twice := slices.Contains(childIDs(children[:i]), c.ID)
		if c.ID == "" || twice || len(children) > childrenMax || c.GrossAreaC < 1 || c.GrossAreaC > areaMaxC {
			return 0, ErrField.At("/children").With("field", "children")
		}
		sum += c.GrossAreaC
	}
	return sum, nil
}

func near(a, b int64) bool { return max(a-b, b-a)*1000 <= b*areaSumPerMi }

func childIDs(children []Child) []string {
	ids := make([]string, len(children))
	for i, c := range children {
		ids[i] = c.ID
	}
	return ids
}
