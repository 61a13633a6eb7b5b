package desk

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"zujian/domain"
	"zujian/domain/account"
	"zujian/domain/contract"
	"zujian/domain/escrow"
	"zujian/domain/guidance"
	"zujian/domain/listing"
	"zujian/domain/numbering"
	"zujian/domain/party"
	"zujian/domain/unit"
	"zujian/eventstore"
	"zujian/eventstore/aggregate"
	"zujian/projections"
	"zujian/projections/people"
	"zujian/projections/process/leasing"
)

// Past is the counter as it stood at any moment of the log. It reads what a decision was made on, and gathers the facts of
// other aggregates by the same code as the counter of today; a decision can so be taken again under another rule set.
// It writes nothing. One goroutine moves it through the log; decisions it gave are pure, for any.
type Past struct {
	desk    *Desk
	store   *eventstore.Past
	sublets *people.Sublettings
	prices  priceBook // Changed ones; nil = none are.
}

// Past stands before the first event of log, keeping so many folded states in memory.
func (d *Desk) Past(log eventstore.Store, states int) *Past {
	p := &Past{store: eventstore.NewPast(log), sublets: people.NewSublettings()}
	o := d.o
	o.Runner.Store, o.Runner.Cache, o.Views = p.store, aggregate.NewCache(states), nil
	p.desk = New(o)
	p.desk.sublettings = func(_ context.Context, id string) (int, error) { return p.sublets.Of(id), nil }
	return p
}

// Move goes on past events, which MUST come in the log's order, none left out.
func (p *Past) Move(events ...eventstore.Recorded) error {
	for _, rec := range events {
		p.store.Move(rec)
		if !p.sublets.Counts(rec.Type) {
			continue
		}
		e, err := projections.Decode(p.desk.o.Runner.Catalogue, rec)
		if err != nil {
			return err
		}
		if c, ok := e.Event.(contract.Event); ok {
			p.sublets.Add(projections.ID(rec.Stream), c)
		}
	}
	return nil
}

// Prices puts other guidance prices in place of those in force from a day on, for [Decision.Again] and AtRent.
func (p *Past) Prices(cells guidance.Book, from domain.Day) {
	changed := &book{cells: cells}
	p.prices = func(ctx context.Context, day domain.Day) (*book, error) {
		if day >= from {
			return changed, nil
		}
		return p.desk.bookInForce(ctx, day)
	}
}

// Kinds of decisions.
const (
	DecisionDraft     = "draft"     // Terms put up for signature.
	DecisionSignature = "signature" // The last signature, or the paper.
	DecisionFiling    = "filing"    // 备案
	DecisionReview    = "review"    // An officer's, of a held filing or listing.
	DecisionAmendment = "amendment"
	DecisionOccupant  = "occupant"
	DecisionNotice    = "notice"
	DecisionListing   = "listing" // Verification, publication, end of a listing.
	DecisionRelease   = "release" // Money passed on.
	DecisionDeposit   = "deposit" // Deductions and claims.
	DecisionAccount   = "account" // Of an operator.
	DecisionParty     = "party"
	DecisionRooms     = "rooms"
	DecisionPrices    = "prices" // Of a guidance cell, by hand.
)

// codeSerial is that of the code which a listing that got none would have had.
const codeSerial = 1

// Concern is whom and where a decision is about.
type Concern struct {
	Party      string // Lessor, publisher, operator, or the party itself.
	PartyKind  string // Its kind of organisation, else PERSON, SOLE_TRADER, ORG.
	Operator   string // The business among the lessors; "" = none.
	ReportUnit string
	District   string
}

// Decision is one decision of the past, on the state and the facts it was made on.
type Decision struct {
	Kind     string
	Stream   string
	Position eventstore.Position // Of its first event.
	At       time.Time
	Policy   int // Version of the rule set that decided.
	Recorded []domain.Event
	Concern  Concern
	Rent     domain.Fen // Monthly rent of the terms decided on; 0 = none.

	// Of a filing, when prices are changed: its rent as the figures count it, and its cells under the prices in force when it
	// was signed and under the changed ones.
	Observation         *domain.Observation
	PriceThen, PriceNow *guidance.Cell

	again func(domain.Policy, asked) Taken
}

// asked is what may be otherwise when a decision is taken again.
type asked struct {
	rent          domain.Fen // 0 = as agreed.
	changedPrices bool
}

// Taken is what came of a decision taken again.
type Taken struct {
	Events []domain.Event
	Ledger *escrow.FundsExpected // The ledger a signature opens; nil = its money is not supervised.
	Err    error                 // A *domain.Rejection.
}

// Then takes the decision under a rule set, on the facts as they were.
func (d *Decision) Then(p domain.Policy) Taken { return d.again(p, asked{}) }

// Again takes it under a rule set and the changed prices, if any were.
func (d *Decision) Again(p domain.Policy) Taken { return d.again(p, asked{changedPrices: true}) }

// AtRent takes it again as if the parties had agreed on another monthly rent. It MUST have a Rent.
func (d *Decision) AtRent(p domain.Policy, rent domain.Fen) Taken {
	return d.again(p, asked{rent: rent, changedPrices: true})
}

// Decision is the one that wrote a group of events: those of one command on one stream, right after where the past stands.
// It is nil when rules had no say in it.
func (p *Past) Decision(ctx context.Context, group []eventstore.Recorded) (*Decision, error) {
	first := group[0]
	if first.Meta.Outside {
		return nil, nil
	}
	category, id, _ := strings.Cut(first.Stream, "-")
	d := &Decision{Stream: first.Stream, Position: first.Position, At: first.Meta.At, Policy: first.Meta.Policy}
	gather := map[string]func(context.Context, *Decision, string, []eventstore.Recorded) error{
		contract.Decider.Category: p.contract, listing.Decider.Category: p.listing, escrow.Decider.Category: p.ledger,
		account.Decider.Category: p.account, party.Decider.Category: p.party, unit.Decider.Category: p.unit,
		guidance.Decider.Category: p.guidance,
	}[category]
	if gather == nil {
		return nil, nil
	}
	if err := gather(ctx, d, id, group); err != nil {
		return nil, fmt.Errorf("gather %s@%d: %w", first.Stream, first.Revision, err)
	}
	if d.again == nil {
		return nil, nil
	}
	return d, nil
}

// before is the state a group of events was decided on, and the events.
func before[S, C any, E domain.Event](ctx context.Context, p *Past, d *Decision, dec domain.Decider[S, C, E], id string, group []eventstore.Recorded) (S, []E, error) {
	events := make([]E, len(group))
	for i, rec := range group {
		x, err := p.desk.o.Runner.Catalogue.Decode(rec.Type, rec.Meta.Schema, rec.Data)
		if err != nil {
			return *new(S), nil, err
		}
		e, ok := x.(E)
		if !ok {
			return *new(S), nil, fmt.Errorf("%s is no event of %s", rec.Type, dec.Category)
		}
		events[i] = e
		d.Recorded = append(d.Recorded, e)
	}
	s, _, _, err := load(ctx, p.desk, dec, id)
	return s, events, err
}

// pastCall is the request of the past, for the facts it gathered.
func pastCall(group []eventstore.Recorded) Call {
	m := group[0].Meta
	return Call{ID: m.Command, At: m.At, Actor: domain.Actor{ID: m.Actor, Role: domain.Role(m.Role)}}
}

// take decides a command on a state under a rule set.
func take[S, C any, E domain.Event](dec domain.Decider[S, C, E], s S, call Call, party string, policy domain.Policy, cmd C) ([]domain.Event, error) {
	call.Actor.Party = party
	decided, err := dec.Decide(s, domain.Request[C]{ID: call.ID, At: call.At, Actor: call.Actor, Policy: policy, Command: cmd})
	out := make([]domain.Event, len(decided))
	for i, e := range decided {
		out[i] = e
	}
	return out, err
}

func (p *Past) contract(ctx context.Context, d *Decision, id string, group []eventstore.Recorded) error {
	s, events, err := before(ctx, p, d, contract.Decider, id, group)
	if err != nil {
		return err
	}
	cmd, asker, ok := contract.Asked(s, events)
	if !ok {
		return nil
	}
	call := pastCall(group)
	terms, subject, refresh := s.Terms, s.Subject, (*contract.Terms)(nil)
	switch c := cmd.(type) {
	case contract.Draft:
		d.Kind, terms, subject = DecisionDraft, c.Terms, c.Subject
	case contract.Sign, contract.RecordPaper:
		d.Kind = DecisionSignature
		if _, ok := cmd.(contract.Sign); ok {
			refresh = &s.Terms
		}
	case contract.File:
		d.Kind = DecisionFiling
		if c.Refreshed == nil {
			refresh = &s.Terms
		}
	case contract.DecideFiling:
		d.Kind = DecisionReview
	case contract.ProposeAmendment:
		changed := c.Changes.Apply(s.Terms)
		d.Kind, refresh = DecisionAmendment, &changed
	case contract.SignAmendment:
		if s.Amendment == nil {
			return nil // The log holds no proposal: a contract of an older program.
		}
		changed := s.Amendment.Changes.Apply(s.Terms)
		d.Kind, refresh = DecisionAmendment, &changed
	case contract.AddOccupant:
		d.Kind, refresh = DecisionOccupant, &s.Terms
	default:
		d.Kind = DecisionNotice
	}
	if refresh != nil {
		fresh, err := p.desk.subject(ctx, call, *refresh)
		if err != nil {
			return err
		}
		cmd = refreshed(cmd, &fresh)
	}
	var head contract.State
	parties := s.Subject.Parties // On the accounts that the ledger of a signature stands on.
	if d.Kind == DecisionSignature {
		if parties, err = leasing.OnAccounts(ctx, p.desk.o.Runner, parties); err != nil {
			return err
		}
	}
	if terms.Parent != "" && d.Kind == DecisionSignature {
		if head, _, _, err = load(ctx, p.desk, contract.Decider, terms.Parent); err != nil {
			return err
		}
	}
	d.Concern, d.Rent = contractConcern(terms, subject), terms.MonthlyRentFen
	if err := p.priced(ctx, d, events); err != nil {
		return err
	}
	d.again = func(policy domain.Policy, as asked) (t Taken) {
		s, cmd := s, cmd
		if as.rent != 0 {
			s.Terms.MonthlyRentFen = as.rent
			if c, ok := cmd.(contract.Draft); ok {
				c.Terms.MonthlyRentFen = as.rent
				cmd = c
			}
		}
		t.Events, t.Err = take(contract.Decider, s, call, asker, policy, cmd)
		if t.Err == nil && d.Kind == DecisionSignature {
			s.Subject.Parties = parties
			t.Ledger = ledgerOf(id, s, head, call, policy, t.Events)
		}
		return t
	}
	return nil
}

// priced finds the cells of a filing.
func (p *Past) priced(ctx context.Context, d *Decision, events []contract.Event) error {
	filed, ok := events[len(events)-1].(contract.Filed)
	if !ok || p.prices == nil {
		return nil
	}
	o := filed.Observation
	d.Observation = &o
	let := guidance.CellID{LetMode: o.LetMode, SizeBand: o.SizeBand, Fitout: o.Fitout}
	for _, x := range []struct {
		in priceBook
		to **guidance.Cell
	}{{p.desk.bookInForce, &d.PriceThen}, {p.prices, &d.PriceNow}} {
		b, err := x.in(ctx, filed.SignedOn)
		if err != nil {
			return err
		}
		if b == nil {
			continue
		}
		if cell, ok := b.cells.Price(o.Street, o.ReportUnit, let); ok {
			*x.to = &cell
		}
	}
	return nil
}

// refreshed puts the facts of its day into a command.
func refreshed(cmd contract.Command, fresh *contract.Subject) contract.Command {
	switch c := cmd.(type) {
	case contract.Sign:
		c.Refreshed = fresh
		return c
	case contract.File:
		c.Refreshed = fresh
		return c
	case contract.ProposeAmendment:
		c.Refreshed = fresh
		return c
	case contract.SignAmendment:
		c.Refreshed = fresh
		return c
	case contract.AddOccupant:
		c.Refreshed = fresh
		return c
	}
	return cmd
}

// ledgerOf is the ledger that the signature opens under a rule set; nil for none.
func ledgerOf(id string, s, head contract.State, call Call, policy domain.Policy, events []domain.Event) *escrow.FundsExpected {
	for _, e := range events {
		s = contract.Decider.Evolve(s, e.(contract.Event))
	}
	if !s.Live() {
		return nil
	}
	planned, err := take(escrow.Decider, escrow.State{}, call, "", policy, escrow.Command(leasing.LedgerPlan(id, s, head, policy)))
	if err != nil || len(planned) == 0 {
		return nil
	}
	e, ok := planned[0].(escrow.FundsExpected)
	if !ok {
		return nil
	}
	return &e
}

func contractConcern(t contract.Terms, s contract.Subject) Concern {
	c := Concern{ReportUnit: s.Unit.ReportUnit, District: s.Unit.AdminCode}
	if len(t.Lessors) > 0 {
		c.Party = t.Lessors[0].Party
	}
	for _, p := range s.Parties {
		lets := p.ID == t.Payee.Party || slices.ContainsFunc(t.Lessors, func(l contract.PartyShare) bool { return l.Party == p.ID })
		if p.ID == c.Party {
			c.PartyKind = p.Kind
			if p.OrgKind != "" {
				c.PartyKind = p.OrgKind
			}
		}
		if lets && party.Operates(p.OrgKind) && c.Operator == "" {
			c.Operator = p.ID
		}
	}
	return c
}

func (p *Past) listing(ctx context.Context, d *Decision, id string, group []eventstore.Recorded) error {
	s, events, err := before(ctx, p, d, listing.Decider, id, group)
	if err != nil {
		return err
	}
	cmd, asker, ok := listing.Asked(s, events)
	if !ok {
		return nil
	}
	call := pastCall(group)
	call.Actor.Party = asker
	facts, err := p.desk.listingFacts(ctx, call, s.Offer, p.desk.bookInForce)
	if err != nil {
		return err
	}
	changed := facts
	if p.prices != nil {
		if changed, err = p.desk.listingFacts(ctx, call, s.Offer, p.prices); err != nil {
			return err
		}
	}
	d.Kind = DecisionListing
	d.Concern = Concern{
		Party: s.Offer.Publisher, PartyKind: facts.Publisher.Kind, ReportUnit: facts.Unit.ReportUnit, District: facts.Unit.AdminCode,
	}
	if k := facts.Publisher.OrgKind; k != "" {
		d.Concern.PartyKind = k
		if party.Operates(k) {
			d.Concern.Operator = s.Offer.Publisher
		}
	}
	today := domain.DayOf(call.At)
	switch c := cmd.(type) {
	case listing.Submit:
		if c.Code == "" {
			c.Code = numbering.Format(numberVerification, facts.Unit.AdminCode, today.Month(), codeSerial)
		}
		cmd = c
	case listing.Review:
		d.Kind = DecisionReview
	}
	d.again = func(policy domain.Policy, as asked) (t Taken) {
		cmd, facts := cmd, facts
		if as.changedPrices {
			facts = changed
		}
		switch c := cmd.(type) { // How long a code holds is the rule set's too.
		case listing.Submit:
			c.Facts, c.ValidUntil = facts, codeUntil(policy, today)
			cmd = c
		case listing.Publish:
			c.Facts = facts
			cmd = c
		case listing.Review:
			c.ValidUntil = codeUntil(policy, today)
			cmd = c
		case listing.Renew:
			c.ValidUntil = codeUntil(policy, today)
			cmd = c
		}
		t.Events, t.Err = take(listing.Decider, s, call, asker, policy, cmd)
		return t
	}
	return nil
}

func (p *Past) ledger(ctx context.Context, d *Decision, id string, group []eventstore.Recorded) error {
	s, events, err := before(ctx, p, d, escrow.Decider, id, group)
	if err != nil {
		return err
	}
	cmd, asker, ok := escrow.Asked(s, events)
	if !ok {
		return nil
	}
	d.Kind = DecisionDeposit
	if _, ok := cmd.(escrow.OrderRelease); ok {
		d.Kind = DecisionRelease
	}
	lessor, err := p.known(ctx, s.Plan.Lessor)
	d.Concern = lessor
	d.Concern.ReportUnit, d.Concern.District = s.Plan.ReportUnit, s.Plan.AdminCode
	d.again = again(escrow.Decider, s, pastCall(group), asker, cmd)
	return err
}

// known is who a party is.
func (p *Past) known(ctx context.Context, id string) (Concern, error) {
	c := Concern{Party: id}
	if id == "" {
		return c, nil
	}
	s, _, _, err := load(ctx, p.desk, party.Decider, id)
	c.PartyKind = s.Registered.Kind
	if k := s.Registered.OrgKind; k != "" {
		c.PartyKind = k
		if party.Operates(k) {
			c.Operator = id
		}
	}
	return c, err
}

func again[S, C any, E domain.Event](dec domain.Decider[S, C, E], s S, call Call, asker string, cmd C) func(domain.Policy, asked) Taken {
	return func(policy domain.Policy, _ asked) (t Taken) {
		t.Events, t.Err = take(dec, s, call, asker, policy, cmd)
		return t
	}
}

func (p *Past) account(ctx context.Context, d *Decision, id string, group []eventstore.Recorded) error {
	s, events, err := before(ctx, p, d, account.Decider, id, group)
	if err != nil {
		return err
	}
	if cmd, asker, ok := account.Asked(s, events); ok {
		d.Kind = DecisionAccount
		d.again = again(account.Decider, s, pastCall(group), asker, cmd)
		d.Concern, err = p.known(ctx, s.Operator)
		d.Concern.District = s.AdminCode
	}
	return err
}

func (p *Past) party(ctx context.Context, d *Decision, id string, group []eventstore.Recorded) error {
	s, events, err := before(ctx, p, d, party.Decider, id, group)
	if err != nil {
		return err
	}
	if cmd, ok := party.Asked(events); ok {
		d.Kind = DecisionParty
		d.again = again(party.Decider, s, pastCall(group), id, cmd)
		d.Concern, err = p.known(ctx, id)
		if r, ok := cmd.(party.Register); ok {
			d.Concern.PartyKind = r.Kind
			if r.OrgKind != "" {
				d.Concern.PartyKind = r.OrgKind
			}
		}
	}
	return err
}

func (p *Past) unit(ctx context.Context, d *Decision, id string, group []eventstore.Recorded) error {
	s, events, err := before(ctx, p, d, unit.Decider, id, group)
	if err != nil {
		return err
	}
	if cmd, ok := unit.Asked(events); ok {
		d.Kind = DecisionRooms
		d.again = again(unit.Decider, s, pastCall(group), "", cmd)
		owner := ""
		if owners := s.OwnersOn(domain.DayOf(d.At)); len(owners) > 0 {
			owner = owners[0].Party
		}
		d.Concern, err = p.known(ctx, owner)
		d.Concern.ReportUnit, d.Concern.District = s.Home.ReportUnit, s.Home.AdminCode
	}
	return err
}

func (p *Past) guidance(ctx context.Context, d *Decision, id string, group []eventstore.Recorded) error {
	s, events, err := before(ctx, p, d, guidance.Decider, id, group)
	if err != nil {
		return err
	}
	if cmd, ok := guidance.Asked(events); ok {
		d.Kind = DecisionPrices
		d.again = again(guidance.Decider, s, pastCall(group), "", cmd)
	}
	return nil
}
