package desk

import (
	"context"

	"zujian/domain"
	"zujian/domain/plan"
)

// LoadPlan puts a plan with its indicators on record.
func (d *Desk) LoadPlan(ctx context.Context, call Call, p plan.Plan) (Receipt, error) {
	for n, i := range p.Indicators {
		for area := range i.Areas {
			if err := d.planArea(area); err != nil {
				return Receipt{}, plan.ErrPlan.At("/indicators/" + itoa(n) + "/areas")
			}
		}
	}
	return exec(ctx, d, call, plan.Decider, p.ID, plan.Command(plan.Load{Plan: p}))
}

// SetPlanTarget files the target of an area and year; a district files its own.
func (d *Desk) SetPlanTarget(ctx context.Context, call Call, id string, t plan.SetTarget) (Receipt, error) {
	if err := d.planWriter(call.Actor, t.Area); err != nil {
		return Receipt{}, err
	}
	return exec(ctx, d, call, plan.Decider, id, plan.Command(t))
}

// ReportPlan records what an office counted; a district reports its own.
func (d *Desk) ReportPlan(ctx context.Context, call Call, id string, r plan.Report) (Receipt, error) {
	if err := d.planWriter(call.Actor, r.Area); err != nil {
		return Receipt{}, err
	}
	return exec(ctx, d, call, plan.Decider, id, plan.Command(r))
}

func (d *Desk) planWriter(a domain.Actor, area string) error {
	if a.Role == domain.RoleDistrict && a.Area != area {
		return ErrOutOfArea
	}
	return d.planArea(area)
}

// planArea holds an area to the city's reporting units.
func (d *Desk) planArea(area string) error {
	if _, ok := d.o.City.Unit(area); !ok && area != plan.AreaCity {
		return ErrInvalid.At("/area")
	}
	return nil
}
