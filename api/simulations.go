package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"sync"

	"zujian/api/whatif"
	"zujian/domain"
)

// Simulations are long work: asked for, watched, read. They are kept by the server that was asked, in memory, and are
// gone when it ends: what they say names the position of the log and the hashes they were computed from, so that anyone
// asks again and gets the same. They never write.
const (
	simulationsWorking = 1 // At once: each takes a core from the requests.
	simulationsKept    = 8 // A result is some hundred KB; the oldest that works no more goes first.
	simulationCases    = 1000
)

var errSimulationsBusy = domain.Reject("simulation.busy", "another simulation is at work; wait for it, or end it")

// simulations are those of this server.
type simulations struct {
	mu   sync.Mutex
	runs []*simulation // Oldest first.
	work sync.WaitGroup

	ctx  context.Context // Ends when the server shuts down.
	stop context.CancelFunc
}

// simulation is one.
type simulation struct {
	id          string
	by          string // Key that asked.
	end         context.CancelFunc
	mu          sync.Mutex
	state       string
	done, total uint64
	result      *whatif.Result
	failed      *SimulationFailure
}

// States of a simulation.
const (
	simulationRunning   = "RUNNING"
	simulationDone      = "DONE"
	simulationFailed    = "FAILED"
	simulationCancelled = "CANCELLED"
)

func newSimulations() *simulations {
	s := &simulations{}
	s.ctx, s.stop = context.WithCancel(context.Background())
	return s
}

// shut ends what is at work and waits for it.
func (s *simulations) shut() {
	s.stop()
	s.work.Wait()
}

// begin takes a simulation in, unless as many as may are at work.
func (s *simulations) begin(id, by string) (*simulation, context.Context, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	working := 0
	for _, r := range s.runs {
		if r.working() {
			working++
		}
	}
	if working >= simulationsWorking || s.ctx.Err() != nil {
		return nil, nil, errSimulationsBusy
	}
	if len(s.runs) >= simulationsKept {
		i := slices.IndexFunc(s.runs, func(r *simulation) bool { return !r.working() })
		s.runs = slices.Delete(s.runs, i, i+1)
	}
	ctx, end := context.WithCancel(s.ctx)
	r := &simulation{id: id, by: by, end: end, state: simulationRunning}
	s.runs = append(s.runs, r)
	return r, ctx, nil
}

func (s *simulations) find(id string) (*simulation, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.runs {
		if r.id == id {
			return r, nil
		}
	}
	return nil, errNotFound
}

func (s *simulations) forget(r *simulation) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.runs = slices.DeleteFunc(s.runs, func(x *simulation) bool { return x == r })
}

func (r *simulation) working() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.state == simulationRunning
}

func (r *simulation) step(done, total uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.done, r.total = done, total
}

// end says how it went.
func (r *simulation) finish(res *whatif.Result, err error, log func(error)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var no *domain.Rejection
	switch {
	case err == nil:
		r.state, r.result = simulationDone, res
	case errors.Is(err, context.Canceled):
		r.state = simulationCancelled
	case errors.As(err, &no):
		r.state, r.failed = simulationFailed, &SimulationFailure{Code: no.Code, Params: no.Params}
	default:
		r.state, r.failed = simulationFailed, &SimulationFailure{Code: "internal"}
		log(err)
	}
}

func (r *simulation) body() Simulation {
	r.mu.Lock()
	defer r.mu.Unlock()
	b := Simulation{Id: r.id, State: r.state, EventsDone: int64(r.done), EventsTotal: int64(r.total), Failure: r.failed}
	return b
}

// simulationAnswer is a simulation with what came of it.
type simulationAnswer struct {
	Simulation
	Result *whatif.Result `json:"result,omitempty"`
}

// asksFor is the body as it came: numbers of a rule set keep every digit.
type asksFor struct {
	Rules    json.RawMessage  `json:"rules"`
	Guidance json.RawMessage  `json:"guidance"`
	From     domain.Day       `json:"from"`
	To       domain.Day       `json:"to"`
	Refused  whatif.Treatment `json:"refused"`
	Ceiling  string           `json:"ceiling"`
	Cases    *int             `json:"cases"`
}

func (s *Server) simulationRequest(raw []byte) (r whatif.Request, err error) {
	var in asksFor
	if err := json.Unmarshal(raw, &in); err != nil {
		return r, invalid(FieldError{Pointer: "", Code: codeFormat})
	}
	r = whatif.Request{From: in.From, To: in.To, Refused: in.Refused, Ceiling: in.Ceiling, Cases: simulationCases}
	if in.Cases != nil {
		r.Cases = *in.Cases
	}
	if in.Rules != nil {
		change, err := whatif.ParseChange(in.Rules)
		if err != nil {
			return r, below(err, "/rules")
		}
		r.Change = &change
	}
	if in.Guidance != nil {
		if r.Guidance, err = whatif.ParseTable(in.Guidance, s.o.Desk.City()); err != nil {
			return r, below(err, "/guidance")
		}
	}
	return r, nil
}

// below puts a rejection's pointer below a field of the body.
func below(err error, field string) error {
	var no *domain.Rejection
	if errors.As(err, &no) {
		return no.At(field + no.Pointer)
	}
	return err
}

func runSimulation(ctx context.Context, s *Server, c *call) (answer, error) {
	req, err := s.simulationRequest(c.raw)
	if err != nil {
		return answer{}, err
	}
	var run *simulation
	ready, err := whatif.Begin(ctx, whatif.Options{
		Desk: s.o.Desk, Store: s.o.Store, Catalogue: s.o.Catalogue, Index: s.o.Index, Workers: 1,
		Step: func(done, total uint64) { run.step(done, total) },
	}, req)
	if errors.Is(err, whatif.ErrRules) {
		err = below(err, "/rules")
	}
	if err != nil {
		return answer{}, err
	}
	run, work, err := s.simulations.begin(c.ID, c.Actor.ID)
	if err != nil {
		return answer{}, err
	}
	s.simulations.work.Go(func() {
		defer run.end()
		res, err := ready.Run(work)
		run.finish(res, err, func(err error) { s.log.Error("simulation", "err", err, "simulation", run.id) })
	})
	return answer{status: http.StatusAccepted, body: run.body(), location: "/v1/simulations/" + run.id}, nil
}

func listSimulations(_ context.Context, s *Server, _ *call) (answer, error) {
	s.simulations.mu.Lock()
	runs := slices.Clone(s.simulations.runs)
	s.simulations.mu.Unlock()
	items := make([]Simulation, 0, len(runs))
	for _, r := range slices.Backward(runs) {
		items = append(items, r.body())
	}
	return answer{body: Simulations{Items: items}}, nil
}

func readSimulation(_ context.Context, s *Server, c *call) (answer, error) {
	r, err := s.simulations.find(c.path("id"))
	if err != nil {
		return answer{}, err
	}
	a := simulationAnswer{Simulation: r.body()}
	r.mu.Lock()
	a.Result = r.result
	r.mu.Unlock()
	name := "simulation-" + r.id
	switch format := c.query["format"]; {
	case format == "" || format == "json":
		return answer{body: a}, nil
	case a.Result == nil: // There is no such file yet.
		return answer{}, errNotFound
	case format == "svg":
		return answer{file: &file{media: "image/svg+xml", name: name + ".svg", content: a.Result.SVG()}}, nil
	}
	rows, err := a.Result.CSV()
	return answer{file: &file{media: "text/csv; charset=utf-8", name: name + ".csv", content: rows}}, err
}

// endSimulation ends one that is at work, or forgets one that is not.
func endSimulation(_ context.Context, s *Server, c *call) (answer, error) {
	r, err := s.simulations.find(c.path("id"))
	if err != nil {
		return answer{}, err
	}
	r.end()
	if !r.working() {
		s.simulations.forget(r)
	}
	return answer{body: Done{Id: r.id}}, nil
}
