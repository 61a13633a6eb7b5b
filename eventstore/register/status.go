package register

import "time"

// Status is what operators watch.
type Status struct {
	Origin     string
	Added      uint64 // Events in the tree.
	Signed     uint64 // Size of the last checkpoint.
	SignedAt   time.Time
	Confirmed  uint64    // Size of the last checkpoint that enough witnesses cosigned since the start.
	Audited    uint64    // Events compared with their leaves in the background since the start,
	Rounds     uint64    // and how often all of them were.
	AgreedAt   time.Time // Reading of our clock when enough witnesses last cosigned by theirs, within five minutes of it.
	Witnesses  int
	Quorum     int
	Agreeing   int  // Witnesses that have cosigned since the start.
	Dissenting int  // Witnesses that have cosigned something else.
	Waiting    bool // Nothing is signed until more witnesses have answered.
	Leads      bool // It has the turn to propose and to ask witnesses; always without a Notary.
	Full       bool // Nothing new is signed: the disk has no room to write it down.
	Held       bool // Nothing new is signed: the folder was restored, see Hold.
	Stopped    bool // Nothing will be signed: see ErrStopped.
}

// Status returns the register's figures.
func (r *Register) Status() Status {
	pub := r.published.Load()
	s := Status{
		Origin: pub.Origin, Added: r.behind.Load(), Signed: pub.Size, SignedAt: pub.at, Witnesses: len(r.panel.seats),
		Quorum: r.panel.quorum, Agreeing: r.panel.count(seatAgrees), Dissenting: r.panel.count(seatDissent),
		Audited: r.audited.events.Load(), Rounds: r.audited.rounds.Load(), Leads: r.leads.Load(), Held: r.held.Load(), Full: r.full.Load(), Waiting: !r.panel.cleared(), Stopped: r.panel.err() != nil,
	}
	if c := r.panel.confirmed.Load(); c != nil {
		s.Confirmed = c.size
	}
	if at := r.panel.agreed.Load(); at != nil {
		s.AgreedAt = *at
	}
	return s
}
