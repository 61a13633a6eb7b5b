package listing

import "zujian/domain"

// Event is a fact of a listing. JSON names are the storage format.
//
//sumtype:decl
type Event interface {
	domain.Event
	isEvent()
}

// Drafted means the listing exists.
type Drafted struct{ Offer }

// Edited means the listing says something else. With Reverify its code, if any, is void and it is a draft again.
type Edited struct {
	Offer
	Reverify bool `json:"reverify,omitempty"`
}

// Submitted means verification was asked for; the place is copied for scopes and figures.
type Submitted struct {
	Building   string `json:"building,omitempty"`
	AdminCode  string `json:"admin_code,omitempty"`
	ReportUnit string `json:"report_unit,omitempty"`
	Street     string `json:"street,omitempty"`
	Address    string `json:"address,omitempty"` // To building level.
}

// Verified means the listing is genuine and has its code (核验码).
type Verified struct {
	Code       string         `json:"code"`
	ValidUntil domain.Day     `json:"valid_until"` // Last day, included.
	Checks     []Check        `json:"checks,omitempty"`
	Reason     string         `json:"reason,omitempty"` // Of a human decision.
	Rules      domain.Verdict `json:"rules,omitempty"`
}

// Rejected means verification failed. Reasons are names of checks or the reviewer's words.
type Rejected struct {
	Reasons []string       `json:"reasons"`
	Human   bool           `json:"human,omitempty"` // An officer decided.
	Final   bool           `json:"final,omitempty"` // After an objection: no further one.
	Rules   domain.Verdict `json:"rules,omitempty"`
}

// Held means a human must look, before the listing is verified or, AtPublication, before it is shown.
type Held struct {
	AtPublication bool `json:"at_publication,omitempty"`

	Checks []Check        `json:"checks,omitempty"`
	Rules  domain.Verdict `json:"rules"`
}

// Published means the listing is public on these channels.
type Published struct {
	Channels []string       `json:"channels,omitempty"`
	On       domain.Day     `json:"on"`
	Rules    domain.Verdict `json:"rules,omitempty"`
}

// Suspended means it is not shown for now. By Authority, only the authority resumes it.
type Suspended struct {
	Cause     string `json:"cause"`
	Authority bool   `json:"authority,omitempty"`
}

// Resumed means it is shown again.
type Resumed struct{}

// Withdrawn means the publisher took it back.
type Withdrawn struct {
	Reason string `json:"reason,omitempty"`
}

// Let means its space is let.
type Let struct {
	Contract string         `json:"contract"`
	RentFen  domain.Fen     `json:"rent_fen,omitempty"` // Of the contract, a month.
	Rules    domain.Verdict `json:"rules,omitempty"`    // L-10.
}

// Expired means its code ended.
type Expired struct {
	On domain.Day `json:"on"`
}

// Revoked means the authority took it down.
type Revoked struct {
	Finding string `json:"finding"`
}

// CodeRenewed means it has a fresh code.
type CodeRenewed struct {
	Code       string     `json:"code"`
	ValidUntil domain.Day `json:"valid_until"`
}

// Objected means the publisher contests the rejection; the district decides by Due (L-12).
type Objected struct {
	Text string     `json:"text"`
	Due  domain.Day `json:"due,omitzero"`
}

// ObjectionDecided means the district decided.
type ObjectionDecided struct {
	Upheld bool   `json:"upheld"`
	Reason string `json:"reason,omitempty"`
}

func (Drafted) EventType() string          { return "listing.drafted" }
func (Edited) EventType() string           { return "listing.edited" }
func (Submitted) EventType() string        { return "listing.submitted" }
func (Verified) EventType() string         { return "listing.verified" }
func (Rejected) EventType() string         { return "listing.rejected" }
func (Held) EventType() string             { return "listing.held" }
func (Published) EventType() string        { return "listing.published" }
func (Suspended) EventType() string        { return "listing.suspended" }
func (Resumed) EventType() string          { return "listing.resumed" }
func (Withdrawn) EventType() string        { return "listing.withdrawn" }
func (Let) EventType() string              { return "listing.let" }
func (Expired) EventType() string          { return "listing.expired" }
func (Revoked) EventType() string          { return "listing.revoked" }
func (CodeRenewed) EventType() string      { return "listing.code_renewed" }
func (Objected) EventType() string         { return "listing.objected" }
func (ObjectionDecided) EventType() string { return "listing.objection_decided" }

func (Drafted) isEvent()          {}
func (Edited) isEvent()           {}
func (Submitted) isEvent()        {}
func (Verified) isEvent()         {}
func (Rejected) isEvent()         {}
func (Held) isEvent()             {}
func (Published) isEvent()        {}
func (Suspended) isEvent()        {}
func (Resumed) isEvent()          {}
func (Withdrawn) isEvent()        {}
func (Let) isEvent()              {}
func (Expired) isEvent()          {}
func (Revoked) isEvent()          {}
func (CodeRenewed) isEvent()      {}
func (Objected) isEvent()         {}
func (ObjectionDecided) isEvent() {}

// Types is the storage format. Names and past versions never change.
var Types = []domain.Type{
	domain.Stored[Drafted](), domain.Stored[Edited](), domain.Stored[Submitted](), domain.Stored[Verified](),
	domain.Stored[Rejected](), domain.Stored[Held](), domain.Stored[Published](), domain.Stored[Suspended](),
	domain.Stored[Resumed](), domain.Stored[Withdrawn](), domain.Stored[Let](), domain.Stored[Expired](),
	domain.Stored[Revoked](), domain.Stored[CodeRenewed](), domain.Stored[Objected](), domain.Stored[ObjectionDecided](),
}
