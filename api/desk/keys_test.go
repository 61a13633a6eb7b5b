package desk

import (
	"context"
	"errors"
	"iter"
	"testing"
	"time"

	"github.com/google/uuid"

	"zujian/domain"
	"zujian/domain/apikey"
	"zujian/eventstore"
	"zujian/eventstore/aggregate"
	"zujian/eventstore/memory"
)

// between is a store in which something happens after a stream was read.
type between struct {
	eventstore.Store
	stream string
	then   func()
}

func (b *between) Stream(ctx context.Context, stream string, from eventstore.Revision) iter.Seq2[eventstore.Recorded, error] {
	return func(yield func(eventstore.Recorded, error) bool) {
		b.Store.Stream(ctx, stream, from)(yield)
		if then := b.then; then != nil && stream == b.stream {
			b.then = nil
			then()
		}
	}
}

func TestAKeyRevokedWhileItIsReadWorksNoMore(t *testing.T) {
	store := &between{Store: new(memory.Store)}
	d := New(Options{
		Runner: aggregate.Runner{Store: store, Catalogue: domain.NewCatalogue(apikey.Types)}, City: &domain.City{ID: "c"}, NewID: uuid.New,
	})
	now := time.Date(2026, 11, 23, 2, 0, 0, 0, time.UTC)
	call := func() Call {
		return Call{ID: uuid.NewString(), At: now, Actor: domain.Actor{ID: "key:1", Role: domain.RoleCity}}
	}
	key, id, _, err := d.IssueKey(t.Context(), call(), NewKey{Role: domain.RoleAuditor})
	if err != nil {
		t.Fatal(err)
	}
	store.stream, store.then = aggregate.Stream(apikey.Decider.Category, id), func() {
		if _, err := d.RevokeKey(t.Context(), call(), id, ""); err != nil {
			t.Error(err)
		}
	}
	if _, err := d.Authenticate(t.Context(), key, now); err != nil {
		t.Fatalf("the key it was when it was read: %v", err)
	}
	if _, err := d.Authenticate(t.Context(), key, now); !errors.Is(err, ErrKey) {
		t.Errorf("after its revocation: %v, want %v", err, ErrKey)
	}
}
