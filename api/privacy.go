package api

import (
	"context"
	"net/http"
	"strconv"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"zujian/domain"
	"zujian/domain/access"
	"zujian/domain/party"
	"zujian/eventstore"
	"zujian/projections"
	"zujian/projections/housing"
	"zujian/projections/money"
	"zujian/projections/people"
)

// disclosuresHourly is how many times an hour one key may read personal data in clear.
const disclosuresHourly = 100

// quota counts disclosures by key. Officers are few, so nothing is forgotten.
type quota struct {
	mu    sync.Mutex
	byKey map[string]*rate.Limiter
}

func (q *quota) take(key string, now time.Time) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.byKey == nil {
		q.byKey = map[string]*rate.Limiter{}
	}
	if q.byKey[key] == nil {
		q.byKey[key] = rate.NewLimiter(rate.Every(time.Hour/disclosuresHourly), disclosuresHourly)
	}
	return q.byKey[key].AllowN(now, 1)
}

// discloseParty opens personal data for a case, within the officer's area.
func discloseParty(ctx context.Context, s *Server, c *call, in NewDisclosure) (answer, error) {
	id := c.path("id")
	if err := s.catchUp(ctx, people.Projection{}.Name()); err != nil {
		return answer{}, err
	}
	err := s.o.Views.Read(ctx, people.Projection{}.Name(), func(r projections.Reader) error {
		_, ok, err := people.SubjectOf(ctx, r, scopeOf(c.Call), id, c.on())
		if err == nil && !ok {
			err = errNotFound
		}
		return err
	})
	if err != nil {
		return answer{}, err
	}
	if !s.disclosures.take(c.Actor.ID, c.At) {
		return answer{}, errRate
	}
	d, r, err := s.o.Desk.Disclose(ctx, c.Call, id, access.Disclose{Fields: in.Fields, Purpose: in.Purpose, CaseNo: in.CaseNo})
	return wrote(http.StatusOK, r, Disclosure{PartyId: id, Name: d.Name, DocType: d.DocType, DocNo: d.DocNo, Phone: d.Phone}), err
}

// accessRow is one row of an access log as the person concerned reads it.
type accessRow struct {
	At      time.Time  `json:"at"`
	On      domain.Day `json:"on"`
	Fields  []string   `json:"fields"`
	Purpose string     `json:"purpose"`
	CaseNo  string     `json:"case_no"`
	By      string     `json:"by"`
	Role    string     `json:"role"`
	Area    string     `json:"area,omitempty"`
}

// listAccesses reads from the log itself, oldest first: nothing stands between an access and its being seen.
func listAccesses(ctx context.Context, s *Server, c *call) (answer, error) {
	cursor, err := s.unseal(c)
	if err != nil {
		return answer{}, err
	}
	from, _ := strconv.ParseInt(cursor, 10, 63) // Ours, or absent.
	rows, err := s.o.Desk.Accesses(ctx, c.Actor, c.path("id"), eventstore.Revision(from), c.limit()+1)
	if err != nil {
		return answer{}, err
	}
	body := page[accessRow]{Items: []accessRow{}, Made: made{Made: projections.Made{View: "log", Position: s.atLeast(0)}, Events: []string{}}}
	for i, x := range rows {
		if i == c.limit() {
			body.NextCursor = s.seal(c, strconv.FormatInt(int64(x.Revision), 10))
			break
		}
		body.Items = append(body.Items, accessRow{
			At: x.At, On: x.On, Fields: x.Fields, Purpose: x.Purpose, CaseNo: x.CaseNo, By: x.By, Role: string(x.Role), Area: x.Area,
		})
	}
	return answer{body: body, next: body.NextCursor}, nil
}

// retentionMonths is how long a filed contract's parties are kept after its end (domain.md §4.7).
const retentionMonths = 20 * 12

// eraseParty proposes to destroy a person's key or, by another regulator, destroys it. The views of contracts and of
// money, brought up to date first, tell what still needs it.
func eraseParty(ctx context.Context, s *Server, c *call, in Erasure) (answer, error) {
	return s.alone(ctx, func() (answer, error) { return s.erase(ctx, c, in) }, housing.Projection{}.Name(), money.Projection{}.Name())
}

func (s *Server) erase(ctx context.Context, c *call, in Erasure) (answer, error) {
	id := c.path("id")
	open, until, err := s.bonds(ctx, id)
	if err != nil {
		return answer{}, err
	}
	unsettled := 0
	err = s.o.Views.Read(ctx, money.Projection{}.Name(), func(r projections.Reader) (err error) {
		unsettled, err = money.Unsettled(ctx, r, id)
		return err
	})
	if err != nil {
		return answer{}, err
	}
	r, err := s.o.Desk.ErasePerson(ctx, c.Call, id, party.Erase{
		Reason: in.Reason, DecisionNo: in.DecisionNo, OpenContracts: open, UnsettledLedgers: unsettled, RetainUntil: until,
	})
	return wrote(http.StatusOK, r, Done{Id: id}), err
}

// mergeParty proposes a merger or, by another regulator in the same words, makes it.
func mergeParty(ctx context.Context, s *Server, c *call, in NewMerger) (answer, error) {
	return s.alone(ctx, func() (answer, error) { return s.merge(ctx, c, in) }, housing.Projection{}.Name())
}

func (s *Server) merge(ctx context.Context, c *call, in NewMerger) (answer, error) {
	open, _, err := s.bonds(ctx, c.path("id"))
	if err != nil {
		return answer{}, err
	}
	return partyAct(ctx, s, c, false, party.Merge{
		Survivor: in.SurvivorId, Reason: in.Reason, DecisionNo: in.DecisionNo, OpenContracts: open,
	})
}

// alone calls f while no contract takes anybody in or is signed, with views of all that the log has. They are waited for
// before that, too: one that is far behind keeps no filing waiting.
func (s *Server) alone(ctx context.Context, f func() (answer, error), views ...string) (a answer, err error) {
	catchUp := func() error {
		for _, view := range views {
			if err := s.catchUp(ctx, view); err != nil {
				return err
			}
		}
		return nil
	}
	if err := catchUp(); err != nil {
		return answer{}, err
	}
	err = s.o.Desk.Alone(func() error {
		if err := catchUp(); err != nil {
			return err
		}
		a, err = f()
		return err
	})
	return a, err
}

// bonds counts the contracts that still run for a party, and says until when the law wants the ended ones kept.
func (s *Server) bonds(ctx context.Context, id string) (open int, until domain.Day, err error) {
	err = s.o.Views.Read(ctx, housing.Projection{}.Name(), func(r projections.Reader) error {
		for p := (projections.Page{Limit: projections.LimitMax}); ; {
			rows, next, err := housing.Contracts(ctx, r, projections.Scope{All: true}, housing.ContractFilter{Party: id}, p)
			if err != nil {
				return err
			}
			for _, row := range rows {
				ends := row.EndedOn
				switch row.State {
				case housing.StageAbandoned, housing.StageDeclined, housing.StageAnnulled, housing.StageCancelled:
					continue
				case housing.StageEnded:
				default:
					open++
				}
				if ends.IsZero() {
					ends = row.End
				}
				if row.FilingNo != "" && !ends.IsZero() {
					until = max(until, ends.AddMonths(retentionMonths))
				}
			}
			if next == "" {
				return nil
			}
			p.Cursor = next
		}
	})
	return open, until, err
}
