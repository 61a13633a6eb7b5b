package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"zujian/domain"
	"zujian/domain/contract"
	"zujian/eventstore"
	"zujian/eventstore/aggregate"
)

const (
	benchLiveMonths = 36 // Of history before this month, so that the series is one that a city has.
	benchLiveCell   = 12 // Contracts of a month and reporting unit of it: more than may be withheld.
	benchLiveReads  = 50
	benchProbes     = 4                    // Clients that file one contract and look for it in the index, over and over.
	benchProbePause = 2 * time.Millisecond // Between two looks, when the first was too early.
)

// benchLive measures the way from a filing to the changed index as a client sees it: POST one filing, then GET the city's
// series over HTTP until its position includes it and the month counts a contract more. All other clients file meanwhile.
// The register has three years of rents in every reporting unit; each GET after a filing solves the whole series anew.
func benchLive(b *bench) (_ []benchRow, err error) {
	g := b.below("live")
	flats := min(max(int(b.seconds*benchFilingsMax*0.6), 4*b.clients), benchFlatsMax)
	s, world, err := serveBench(b, g, flats)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	today := domain.DayOf(g.Now())
	b.say("recording %d months of rents", benchLiveMonths)
	if err := s.history(today.Month()); err != nil {
		return nil, err
	}
	b.say("filing with %d clients, looking with %d", b.clients, benchProbes)
	return profiled(b, func() ([]benchRow, error) {
		rows, err := s.live(world, today)
		if err != nil {
			return nil, err
		}
		again, err := s.again(today.Month())
		return append(rows, again...), err
	})
}

// again reads the city's series of a register at rest: each time the same, beside each time one that nobody asked for yet,
// from another month before the first.
func (s *benchServer) again(month domain.Month) ([]benchRow, error) {
	if err := s.settled(); err != nil {
		return nil, err
	}
	var same, other slicing
	for i := range benchLiveReads {
		for _, x := range []struct {
			from domain.Month
			of   *slicing
		}{{month - benchLiveMonths - 1, &same}, {month - benchLiveMonths - 2 - domain.Month(i), &other}} {
			start := time.Now()
			if err := s.get("/v1/rent-index?area=city&population=new&method=hedonic&from="+x.from.String(), ""); err != nil {
				return nil, err
			}
			x.of.took = append(x.of.took, time.Since(start))
		}
	}
	slices.Sort(same.took)
	slices.Sort(other.took)
	row := benchLimit("reading a series again over HTTP, p50", "ms", same.at(0.5), "solving it", other.at(0.5))
	row.P50, row.P99 = same.at(0.5), same.at(0.99)
	return []benchRow{row}, nil
}

// history records legacy rents of the months before and of this one, in every reporting unit.
func (s *benchServer) history(until domain.Month) error {
	runner := aggregate.Runner{Store: s.h.store, Catalogue: s.h.catalogue}
	random := rand.New(rand.NewPCG(1, 7))
	work, ctx := errgroup.WithContext(s.b.ctx)
	work.SetLimit(64)
	n := 0
	for _, street := range s.h.city.City.Streets {
		if n > 0 && street.Unit == s.h.city.City.Streets[n-1].Unit { // One street of each unit.
			n++
			continue
		}
		n++
		for month := until - benchLiveMonths; month <= until; month++ {
			for range benchLiveCell {
				area := 4000 + random.Int64N(9000)
				bands := domain.Home{AreaC: area, Floor: 1 + random.IntN(18), Floors: 18, BuiltYear: 2000 + random.IntN(20), MetroM: 200 + random.IntN(1500), OnYear: 2026}.Bands()
				cmd := contract.RecordLegacy{Source: contract.LegacySource{Name: "bench.csv", Row: n*100_000 + int(month)*100 + random.IntN(100) + 1}, Observation: domain.Observation{
					Month: month, From: month, To: month + 12, RentFen: domain.Fen(area) * domain.Fen(30+random.IntN(30)), AreaC: area, ReportUnit: street.Unit,
					Street: street.Code, AdminCode: street.Admin, Unit: uuid.NewString(), LetMode: contract.LetWhole, Bedrooms: 1 + random.IntN(3),
					SizeBand: bands.Size, Fitout: []string{"FULL", "SIMPLE", "BARE"}[random.IntN(3)], FloorBand: bands.Floor, AgeBand: bands.Age,
					MetroBand: bands.Metro, Lessor: uuid.NewString(),
				}}
				id := uuid.NewString()
				work.Go(func() error {
					_, err := aggregate.Execute(ctx, runner, contract.Decider, id, domain.Request[contract.Command]{
						ID: uuid.NewString(), At: s.b.g.Now(), Actor: domain.Actor{ID: "bench", Role: domain.RoleSystem}, Command: cmd,
					}, aggregate.Options{})
					return err
				})
			}
		}
	}
	if err := work.Wait(); err != nil {
		return err
	}
	head, err := s.h.store.Head(s.b.ctx)
	if err != nil {
		return err
	}
	return s.seen(s.b.ctx, head.Position)
}

// live files with every client, and with some of them looks for what was filed.
func (s *benchServer) live(world []benchFlat, today domain.Day) ([]benchRow, error) {
	var next atomic.Int64
	take := func() (benchFlat, bool) {
		n := next.Add(1) - 1
		if n >= int64(len(world)) {
			return benchFlat{}, false
		}
		return world[n], true
	}
	length := time.Duration(s.b.seconds * float64(time.Second))
	ctx, stop := context.WithCancel(s.b.ctx)
	defer stop()
	var probes sync.WaitGroup
	var mu sync.Mutex
	var whole, after []time.Duration
	var failed error
	for range benchProbes {
		probes.Go(func() {
			for ctx.Err() == nil {
				home, more := take()
				if !more {
					return
				}
				all, seen, err := s.probe(home, today)
				mu.Lock()
				if err != nil {
					failed = errors.Join(failed, err)
					mu.Unlock()
					return
				}
				whole, after = append(whole, all), append(after, seen)
				mu.Unlock()
			}
		})
	}
	load, err := s.hammer(length, func() (bool, error) {
		home, more := take()
		if !more {
			return false, nil
		}
		_, err := s.post(filingBody(home, today, "E_SIGN"), home.key, http.StatusCreated)
		return true, err
	})
	stop()
	probes.Wait()
	if err := errors.Join(err, failed); err != nil {
		return nil, err
	}
	if len(whole) == 0 {
		return nil, errors.New("the homes ran out before anything was seen")
	}
	return liveRows(s.b.clients, load, whole, after), nil
}

func liveRows(clients int, load slicing, whole, after []time.Duration) []benchRow {
	slices.Sort(whole)
	slices.Sort(after)
	name := fmt.Sprintf("filing sent → changed index read over HTTP, %d clients filing", clients)
	all, seen := slicing{took: whole}, slicing{took: after}
	row := benchLimit(name+", p99", "ms", all.at(0.99), "required at most", benchSeenRequired)
	row.P50, row.P99 = all.at(0.5), all.at(0.99)
	late := benchLimit("the same from the filing's answer on, p99", "ms", seen.at(0.99), "required at most", benchSeenRequired)
	late.P50, late.P99 = seen.at(0.5), seen.at(0.99)
	return []benchRow{row, late, {Name: "filings meanwhile", Value: load.rate, Unit: "filings/s"}}
}

// probe files one contract and reads the index until it is in: how long from the request on, and from its answer on.
func (s *benchServer) probe(home benchFlat, today domain.Day) (whole, after time.Duration, err error) {
	before, _, err := s.index(today.Month(), 0)
	if err != nil {
		return 0, 0, err
	}
	body := filingBody(home, today, "E_SIGN")
	start := time.Now()
	at, err := s.post(body, home.key, http.StatusCreated)
	if err != nil {
		return 0, 0, err
	}
	answered := time.Now()
	for time.Since(answered) < benchSeenWait {
		n, position, err := s.index(today.Month(), at)
		switch now := time.Now(); {
		case err != nil:
			return 0, 0, err
		case position >= at && n > before:
			return now.Sub(start), now.Sub(answered), nil
		}
		time.Sleep(benchProbePause)
	}
	return 0, 0, fmt.Errorf("a filing at %d is not in the index after %s", at, benchSeenWait)
}

// index reads the city's series over HTTP: how many contracts the month counts, and the position it was made at. It asks
// for one that includes a position, and takes no for not yet.
func (s *benchServer) index(month domain.Month, at eventstore.Position) (n int64, position eventstore.Position, err error) {
	req, err := http.NewRequestWithContext(s.b.ctx, http.MethodGet, s.url+"/v1/rent-index?area=city&population=new&method=hedonic", http.NoBody)
	if err != nil {
		return 0, 0, err
	}
	req.Header.Set("Zujian-At-Least", strconv.FormatUint(uint64(at), 10))
	resp, err := s.client.Do(req)
	if err != nil {
		return 0, 0, err
	}
	raw, err := io.ReadAll(io.LimitReader(resp.Body, 4<<20))
	if err = errors.Join(err, resp.Body.Close()); err != nil {
		return 0, 0, err
	}
	if resp.StatusCode == http.StatusServiceUnavailable {
		return 0, 0, nil
	}
	var body struct {
		Position uint64 `json:"position"`
		Series   []struct {
			Month domain.Month `json:"month"`
			N     int64        `json:"n"`
		} `json:"series"`
	}
	if err := json.Unmarshal(raw, &body); err != nil || resp.StatusCode != http.StatusOK || len(body.Series) == 0 {
		return 0, 0, fmt.Errorf("the index was answered %d: %.300s", resp.StatusCode, raw)
	}
	if last := body.Series[len(body.Series)-1]; last.Month == month {
		n = last.N
	}
	return n, eventstore.Position(body.Position), nil
}
