package demo

import (
	"container/heap"
	"fmt"

	"zujian/domain"
)

// Ranks of what happens on one day.
const (
	rankEnd = iota
	rankList
	rankSign
	rankFile
	rankPay     // Tenants.
	rankOwner   // Banks pass rent on: to owners first (M-05).
	rankRelease // To lessors.
	rankStatement
	rankWatch
)

// event is something that happens on a day of the plan.
type event struct {
	day  domain.Day
	rank int
	run  func() error
}

// agenda is a queue of events by day and rank; of equals, the one planned first comes first.
type agenda struct {
	items []planned
	n     int
}

type planned struct {
	event
	no int
}

func (a *agenda) Len() int      { return len(a.items) }
func (a *agenda) Swap(i, j int) { a.items[i], a.items[j] = a.items[j], a.items[i] }
func (a *agenda) Push(x any)    { a.items = append(a.items, x.(planned)) } //nolint:forcetypeassert // Only add pushes.

func (a *agenda) Pop() any {
	last := a.items[len(a.items)-1]
	a.items = a.items[:len(a.items)-1]
	return last
}

func (a *agenda) Less(i, j int) bool {
	x, y := a.items[i], a.items[j]
	if x.day != y.day {
		return x.day < y.day
	}
	if x.rank != y.rank {
		return x.rank < y.rank
	}
	return x.no < y.no
}

// on plans something for a day; what would lie after today does not happen.
func (g *generator) on(day domain.Day, rank int, run func() error) {
	if day > g.o.Today {
		return
	}
	g.plan.n++
	heap.Push(&g.plan, planned{event{day, rank, run}, g.plan.n})
}

// makeHistory plans every letting of every flat, then lets it all happen in the order of its days.
func (g *generator) makeHistory() error {
	for _, f := range g.flats {
		if f.firm != nil && f.firm.operator {
			g.planHead(f)
		}
		if f.byRoom {
			for i := range f.rooms {
				g.planSpace(f, i)
			}
		} else {
			g.planSpace(f, -1)
		}
	}
	g.planStatements()
	g.planWatch()
	g.planGuidance()
	g.total = g.done + g.plan.Len()
	for g.plan.Len() > 0 {
		if err := g.ctx.Err(); err != nil {
			return err
		}
		e := heap.Pop(&g.plan).(planned) //nolint:forcetypeassert // Only add pushes.
		g.day(e.day)
		if err := e.run(); err != nil {
			return fmt.Errorf("on %s: %w", e.day, err)
		}
		g.total = max(g.total, g.done+g.plan.Len())
		g.step()
	}
	return nil
}
