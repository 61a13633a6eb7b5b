package demo_test

import (
	"encoding/json"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/google/uuid"

	"zujian/api/desk"
	"zujian/cmd/zujian/internal/demo"
	"zujian/domain"
	"zujian/domain/apikey"
	"zujian/domain/building"
	"zujian/domain/claim"
	"zujian/domain/contract"
	"zujian/domain/escrow"
	"zujian/domain/guidance"
	"zujian/domain/listing"
	"zujian/domain/numbering"
	"zujian/domain/party"
	"zujian/domain/ruleset"
	"zujian/domain/statement"
	"zujian/domain/unit"
	"zujian/eventstore/aggregate"
	"zujian/eventstore/memory"
	"zujian/eventstore/seal"
)

// count builds a small city in memory and counts its events by type.
func count(t *testing.T, homes, months int) map[string]int {
	t.Helper()
	raw, err := os.ReadFile("../../profiles/nanjing/city.json")
	if err != nil {
		t.Fatal(err)
	}
	var city domain.City
	if err := json.Unmarshal(raw, &city); err != nil {
		t.Fatal(err)
	}
	today := domain.Date(2026, time.November, 23)
	now := today.AddMonths(-months).Start()
	store := &memory.Store{}
	vault, err := seal.Open(t.TempDir(), seal.Options{Now: func() time.Time { return now }, DeferSync: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = vault.Close() })
	catalogue := domain.NewCatalogue(apikey.Types, building.Types, claim.Types, contract.Types, escrow.Types, guidance.Types,
		listing.Types, numbering.Types, party.Types, ruleset.Types, statement.Types, unit.Types)
	d := desk.New(desk.Options{
		Runner: aggregate.Runner{Store: store, Catalogue: catalogue, Cache: aggregate.NewCache(10_000)}, Vault: vault,
		Views: nil, City: &city, Shipped: ruleset.Shipped(), Log: slog.New(slog.DiscardHandler), NewID: uuid.New,
	})
	keys, _, err := demo.Build(t.Context(), demo.Options{Homes: homes, Months: months, Today: today, City: &city, Desk: d, Clock: func(at time.Time) { now = at }})
	if err != nil {
		t.Fatal(err)
	}
	if len(keys) < 8 || keys["landlord"].PartyID == "" || keys["district"].Area != "320115" {
		t.Errorf("keys: %v", keys)
	}
	types := map[string]int{}
	for rec, err := range store.All(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		types[rec.Type]++
	}
	return types
}

func TestSmallCityHasEverything(t *testing.T) {
	types := count(t, 90, 18)
	t.Log(types)
	for _, want := range []string{
		"contract.filed", "contract.terminated", "contract.expired", "listing.published", "listing.revoked", "unit.leased",
		"escrow.funds_expected", "escrow.funds_received", "escrow.deduction_contested", "party.practitioner_rostered",
	} {
		if types[want] == 0 {
			t.Errorf("no %s", want)
		}
	}
	if filed, drafted := types["contract.filed"], types["contract.drafted"]; filed*100 < drafted*70 {
		t.Errorf("%d of %d contracts filed: the plan wants nine in ten", filed, drafted)
	}
}
