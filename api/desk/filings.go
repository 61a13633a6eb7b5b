package desk

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"

	"zujian/domain"
	"zujian/domain/contract"
	"zujian/domain/escrow"
	"zujian/domain/unit"
	"zujian/eventstore"
	"zujian/eventstore/aggregate"
)

// OneCall is a signed contract in one request: its terms, parties that may still have to be registered, and what shows
// that each has signed.
type OneCall struct {
	Terms     contract.Terms
	Occupants []NewOccupant
	Lessors   []OneParty
	Lessees   []OneParty
	Evidence  []Evidence
}

// OneParty is a party by id, or one to register.
type OneParty struct {
	contract.PartyShare
	New *NewParty
}

// Evidence is a signature made elsewhere: an e-signature of one party, or a scan of the whole paper contract.
type Evidence struct {
	Party          string // Party id, or "lessors/0", "lessees/1".
	Method         string // E_SIGN or PAPER.
	DocumentSHA256 string
	ScanSHA256     string
}

// Rejections of the one-call filing.
var (
	ErrEvidenceMissing = domain.Reject("filing.evidence_missing", "every party's e-signature is needed, or one paper scan")
	ErrEvidenceMethod  = domain.Reject("filing.evidence_method", "this evidence does not go with your role: companies and brokers bring e-signatures, counters and lessees paper")
)

// oneCallAttempts bounds how often a one-call filing begins again after another wrote to its contract meanwhile, which only a
// repeat of the same call can, or to its home.
const oneCallAttempts = 4

// FileOneCall drafts, signs by evidence, and files. A company or broker brings e-signatures under its mandate; a counter,
// or a lessee who files alone, brings paper. Repeated with the same call id it finds what it did.
//
// All of it is decided before anything is written, so what any rule refuses leaves nothing behind. A log that can takes
// all of it in one append, and the space of what is filed there is never only reserved. Else the space is reserved, the contract is written in one append, and at last its space is
// confirmed and its money planned; what a crash leaves between those, the process "leasing" finishes or releases, and a
// repeat too.
func (d *Desk) FileOneCall(ctx context.Context, call Call, in OneCall) (string, contract.State, Receipt, error) {
	paper := len(in.Evidence) == 1 && in.Evidence[0].Method == contract.MethodPaper
	if err := mayOneCall(call.Actor, in.Evidence, paper); err != nil {
		return "", contract.State{}, Receipt{}, err
	}
	d.naming.RLock()
	defer d.naming.RUnlock()
	if err := d.partiesOf(ctx, call, &in); err != nil {
		return "", contract.State{}, Receipt{}, err
	}
	id := derive("contract", call.ID)
	_, guess := d.o.Runner.Store.(eventstore.Together) // Nearly every call is the first of its id.
	guess = guess && call.IfMatch == nil
	for attempt := 1; ; attempt++ {
		s, r, err := d.fileAtOnce(ctx, call, id, in, paper, guess)
		if err != nil && guess {
			guess = false
			if _, _, found, e := load(ctx, d, contract.Decider, id); found || e != nil {
				continue // Nothing was written, and what was decided was of another contract.
			}
		}
		if err == nil || !errors.Is(err, eventstore.ErrWrongRevision) || attempt == oneCallAttempts {
			return id, s, r, err
		}
		wrong, ok := errors.AsType[*eventstore.WrongRevision](err)
		if own := !ok || wrong.Stream == aggregate.Stream(contract.Decider.Category, id); own && call.IfMatch != nil {
			return id, s, r, err // The client's own expectation.
		}
	}
}

// partiesOf registers the parties the call brings and puts all of them into the terms.
func (d *Desk) partiesOf(ctx context.Context, call Call, in *OneCall) error {
	in.Terms.Lessors, in.Terms.Lessees = nil, nil
	for _, side := range []struct {
		name    string
		parties []OneParty
		to      *[]contract.PartyShare
	}{{"lessors", in.Lessors, &in.Terms.Lessors}, {"lessees", in.Lessees, &in.Terms.Lessees}} {
		for i, p := range side.parties {
			if p.New != nil {
				id, _, err := d.RegisterParty(ctx, call.step(side.name+strconv.Itoa(i)), *p.New)
				if err != nil {
					return under(err, "/"+side.name+"/"+strconv.Itoa(i))
				}
				p.Party = id
			}
			*side.to = append(*side.to, p.PartyShare)
		}
	}
	return nil
}

// steps are commands of one call on one aggregate, decided and not yet written.
type steps[S, C any, E domain.Event] struct {
	aggregate.Steps[S, C, E]
	policy domain.Policy
}

type contractSteps = steps[contract.State, contract.Command, contract.Event]

func (s *steps[S, C, E]) begin(ctx context.Context, d *Desk, dec domain.Decider[S, C, E], id string, policy domain.Policy) error {
	s.policy = policy
	return s.Begin(ctx, d.o.Runner, dec, id)
}

// beginAfter begins what is never written before the contract is: nobody needs to look for that of a new one.
func (s *steps[S, C, E]) beginAfter(ctx context.Context, d *Desk, first *contractSteps, dec domain.Decider[S, C, E], id string) error {
	if first.Position() > 0 {
		return s.begin(ctx, d, dec, id, first.policy)
	}
	s.policy = first.policy
	s.BeginNew(d.o.Runner, dec, id)
	return nil
}

func (s *steps[S, C, E]) decide(call Call, cmd C) error {
	return s.Decide(domain.Request[C]{ID: call.ID, At: call.At, Actor: call.Actor, Policy: s.policy, Command: cmd},
		aggregate.Options{Causation: call.Causation, Correlation: call.Correlation, Expect: call.IfMatch})
}

// oneCalls are rooms of calls that have ended.
var oneCalls = sync.Pool{New: func() any { return new(contract.OneCall) }}

// fileAtOnce decides and writes all of it. A guess that the contract is new is one look less; it writes nothing where it is wrong.
func (d *Desk) fileAtOnce(ctx context.Context, call Call, id string, in OneCall, paper, guess bool) (contract.State, Receipt, error) {
	ctx = aggregate.Once(ctx)
	if guess {
		aggregate.TakeAsNew(ctx, contract.Decider, id)
	}
	draft, err := d.draft(ctx, call, id, in.Terms, in.Occupants)
	if err != nil {
		return contract.State{}, Receipt{}, err
	}
	policy, err := d.Policy(ctx)
	if err != nil {
		return contract.State{}, Receipt{}, err
	}
	room := oneCalls.Get().(*contract.OneCall)
	defer oneCalls.Put(room)
	var all contractSteps
	if err := all.begin(ctx, d, room.Decider(), id, policy); err != nil {
		return contract.State{}, Receipt{}, err
	}
	all.Room(len(in.Evidence) + 3) // Drafted, signed, filed.
	var fresh *contract.Subject    // nil: they are those of the draft.
	if all.Revision() != eventstore.NoStream {
		fresh = new(draft.Subject)
	}
	if err := all.decide(call, draft); err != nil {
		return contract.State{}, Receipt{}, err
	}
	if all.State().Stage == contract.StageDrafted {
		if err := signByEvidence(call, &all, fresh, draft.GuidanceVersion, in.Evidence, paper); err != nil {
			return all.State(), Receipt{}, err
		}
	}
	asked, err := d.decideFile(ctx, call.step("file"), &all, fresh)
	if err != nil {
		return all.State(), Receipt{}, err
	}
	var r Receipt
	if store, can := d.o.Runner.Store.(eventstore.Together); can {
		r, err = d.writeTogether(ctx, store, call, id, &all, asked)
	} else {
		r, err = d.writeInTurn(ctx, call, id, &all, asked)
	}
	return all.State(), r, err
}

// decideFile decides the filing; asked is false if it was decided before.
func (d *Desk) decideFile(ctx context.Context, call Call, all *contractSteps, fresh *contract.Subject) (asked bool, err error) {
	s := all.State()
	byRole, by, err := d.filer(ctx, call, s)
	if err != nil || s.Stage == contract.StageFiled || s.Stage == contract.StageHeld {
		return false, err
	}
	file := contract.File{ByRole: byRole, By: by, Refreshed: fresh}
	if s.Stage == contract.StageSigned || s.Stage == contract.StageReturned { // Else the aggregate says why not, and no number is spent.
		if file.Number, err = d.number(ctx, call, numberFiling, s.Subject.Unit.AdminCode, domain.DayOf(call.At).Month()); err != nil {
			return false, err
		}
	}
	return true, all.decide(call, file)
}

// writeTogether writes the contract, its space and its money in one append, where the log can: a crash leaves all of it or
// nothing. The events, their order and their ids are those of writeInTurn, but for a reservation that its lease would follow
// at once.
func (d *Desk) writeTogether(ctx context.Context, store eventstore.Together, call Call, id string, all *contractSteps, asked bool) (Receipt, error) {
	s, file := all.State(), call.step("file")
	var home steps[unit.State, unit.Command, unit.Event]
	if err := home.begin(ctx, d, unit.Decider, s.Terms.Unit, all.policy); err != nil {
		return Receipt{}, err
	}
	home.Room(1) // Reserved or leased.
	var money steps[escrow.State, escrow.Command, escrow.Event]
	if err := money.beginAfter(ctx, d, all, escrow.Decider, id); err != nil {
		return Receipt{}, err
	}
	parts := make([]eventstore.Part, 0, 3)
	if asked && s.Stage != contract.StageFiled {
		if err := home.decide(file.step("reserve"), reservation(id, s.Terms)); err != nil {
			return Receipt{}, err
		}
		parts = append(parts, home.Take())
	}
	parts = append(parts, all.Take())
	if s.Stage == contract.StageFiled {
		var secure unit.Command = unit.Confirm{Contract: id}
		if asked {
			secure = unit.Lease(reservation(id, s.Terms))
		}
		if err := home.decide(file.step("confirm"), secure); err != nil {
			return Receipt{}, err
		}
		parts = append(parts, home.Take())
	}
	if s.Live() {
		plan, err := d.escrowPlan(ctx, id, s)
		if err == nil {
			err = money.decide(call.step("plan"), plan)
		}
		if err != nil {
			return Receipt{}, err
		}
		parts = append(parts, money.Take())
	}
	at, err := aggregate.Together(ctx, store, parts...)
	return Receipt{Revision: all.Revision(), Position: max(at, all.Position(), home.Position(), money.Position())}, err
}

// writeInTurn reserves the space, writes the contract in one append, then confirms its space and plans its money.
func (d *Desk) writeInTurn(ctx context.Context, call Call, id string, all *contractSteps, asked bool) (Receipt, error) {
	if asked {
		if _, err := d.reserve(ctx, call.step("file"), id, all.State().Terms); err != nil {
			return Receipt{}, err
		}
	}
	done, err := all.Commit(ctx)
	if err != nil {
		return Receipt{}, err
	}
	r, err := d.afterOneCall(ctx, call, id, all.State())
	r.Revision = done.Revision
	return r.later(done.Position), err
}

// afterOneCall confirms the space and plans the money, at once: neither needs the other.
func (d *Desk) afterOneCall(ctx context.Context, call Call, id string, s contract.State) (Receipt, error) {
	var planned Receipt
	var planErr error
	var plan sync.WaitGroup
	if s.Live() {
		plan.Go(func() { planned, planErr = d.planEscrow(ctx, call, id, s) })
	}
	confirmed, err := d.confirm(ctx, call.step("file"), id, s)
	plan.Wait()
	return confirmed.later(planned.Position), errors.Join(err, planErr)
}

func mayOneCall(a domain.Actor, evidence []Evidence, paper bool) error {
	switch {
	case len(evidence) == 0:
		return ErrEvidenceMissing.At("/signatures")
	case paper && !regulator(a) && a.Role != domain.RoleTenant:
		return ErrEvidenceMethod.At("/signatures/0/method")
	case !paper && a.Role != domain.RoleCompany && a.Role != domain.RoleBroker:
		return ErrEvidenceMethod.At("/signatures/0/method")
	}
	for i, e := range evidence {
		if !paper && e.Method != contract.MethodESign {
			return ErrEvidenceMethod.At("/signatures/" + strconv.Itoa(i) + "/method")
		}
	}
	return nil
}

// signByEvidence decides every signature.
func signByEvidence(call Call, all *contractSteps, fresh *contract.Subject, guidance string, evidence []Evidence, paper bool) error {
	if paper {
		cmd, err := paperBy(call.Actor, all.State(), evidence[0].ScanSHA256)
		if err != nil {
			return err
		}
		cmd.GuidanceVersion = guidance
		return all.decide(call.step("paper"), cmd)
	}
	for i, e := range evidence {
		who, err := partyOf(e.Party, all.State().Terms)
		if err == nil {
			err = all.decide(call.step("sign "+who), contract.Sign{
				Party: who, ContentHash: all.State().ContentHash, Method: contract.MethodESign, Evidence: e.DocumentSHA256, Mandated: true,
				Refreshed: fresh, GuidanceVersion: guidance,
			})
		}
		if err != nil {
			return under(err, "/signatures/"+strconv.Itoa(i))
		}
	}
	if missing := all.State().Unsigned(); len(missing) > 0 {
		return ErrEvidenceMissing.With("missing", len(missing)).At("/signatures")
	}
	return nil
}

// partyOf resolves "lessees/0" or a party id of the contract.
func partyOf(ref string, t contract.Terms) (string, error) {
	side, index, ok := strings.Cut(ref, "/")
	if !ok {
		return ref, nil
	}
	var list []contract.PartyShare
	switch side {
	case "lessors":
		list = t.Lessors
	case "lessees":
		list = t.Lessees
	}
	n, err := strconv.Atoi(index)
	if err != nil || n < 0 || n >= len(list) {
		return "", contract.ErrNotParty.At("/party")
	}
	return list[n].Party, nil
}

// under puts a rejection's pointer below another.
func under(err error, pointer string) error {
	var r *domain.Rejection
	if errors.As(err, &r) {
		return r.At(pointer + r.Pointer)
	}
	return err
}
