package desk

import (
	"context"
	"slices"
	"time"

	"zujian/domain"
	"zujian/domain/access"
	"zujian/domain/party"
	"zujian/eventstore"
	"zujian/eventstore/aggregate"
)

// Disclosed is what somebody was given to read in clear.
type Disclosed struct{ Name, DocType, DocNo, Phone string }

// Disclose opens personal data for a case. That it was read is in the log before anything is opened.
func (d *Desk) Disclose(ctx context.Context, call Call, id string, cmd access.Disclose) (Disclosed, Receipt, error) {
	var out Disclosed
	s, _, found, err := load(ctx, d, party.Decider, id)
	switch {
	case err != nil || !found:
		return out, Receipt{}, orNotFound(err)
	case s.Erased:
		return out, Receipt{}, party.ErrErased
	case s.Registered.Kind == party.KindOrg:
		return out, Receipt{}, party.ErrPersonRequired
	}
	r, err := exec(ctx, d, call, access.Decider, id, access.Command(cmd))
	if err != nil {
		return out, r, err
	}
	if slices.Contains(cmd.Fields, access.FieldName) {
		if out.Name, err = d.open(ctx, id, "name", s.Name); err != nil {
			return out, r, err
		}
	}
	if slices.Contains(cmd.Fields, access.FieldDocNo) {
		out.DocType = s.Registered.DocType
		if out.DocNo, err = d.open(ctx, id, "doc_no", s.Registered.DocNo); err != nil {
			return out, r, err
		}
	}
	if slices.Contains(cmd.Fields, access.FieldPhone) {
		out.Phone, err = d.open(ctx, id, "phone", s.Phone)
	}
	return out, r, err
}

// Access is one row of an access log.
type Access struct {
	access.Disclosed
	Revision eventstore.Revision
	At       time.Time
}

// Accesses reads who read a party's data in clear, oldest first, from a revision on. The party itself may, and an auditor.
func (d *Desk) Accesses(ctx context.Context, actor domain.Actor, id string, from eventstore.Revision, limit int) ([]Access, error) {
	if actor.Party != id && actor.Role != domain.RoleAuditor {
		return nil, ErrNotFound
	}
	if _, _, found, err := load(ctx, d, party.Decider, id); err != nil || !found {
		return nil, orNotFound(err)
	}
	var out []Access
	for e, err := range d.o.Runner.Store.Stream(ctx, aggregate.Stream(access.Decider.Category, id), from) {
		if err != nil {
			return nil, err
		}
		decoded, err := d.o.Runner.Catalogue.Decode(e.Type, e.Meta.Schema, e.Data)
		if err != nil {
			return nil, err
		}
		if x, ok := decoded.(access.Disclosed); ok {
			out = append(out, Access{Disclosed: x, Revision: e.Revision, At: e.StoredAt})
		}
		if len(out) == limit {
			break
		}
	}
	return out, nil
}
