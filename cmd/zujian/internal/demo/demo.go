// Package demo makes the demo city (示例数据): a small rental market with a known truth, entered through the real
// commands of the desk, deterministic by seed. It is loaded into a fresh folder only.
//
// # Truth
//
// ln(rent per ㎡) = unit level + street effect N(0, 0.10) + estate effect N(0, 0.06) + size, fit-out, floor, age, metro and
// let-mode effects + month effect (drift, season, one shock) + noise N(0, 0.12). Rents are rounded as people do. The
// effects are in truth.go, so that a test can hold an index to them.
//
// # Decisions
//
// The past is written at its own dates: the caller's clock follows the simulated day, so both time axes show three years.
package demo

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/google/uuid"

	"zujian/api/desk"
	"zujian/domain"
)

// Options of a demo city. The zero value of a number means its default.
type Options struct {
	Homes  int        // Flats; 2,000.
	Months int        // Months of history; 36.
	Seed   uint64     // 1.
	Today  domain.Day // The day the history ends.
	City   *domain.City
	Desk   *desk.Desk
	Log    *slog.Logger
	Clock  func(time.Time)       // Told each simulated instant before the commands of it.
	Views  func() error          // Waits until the views know everything written; banks compare their days with them.
	Step   func(done, total int) // Progress; may be nil.
	// Watch evaluates a day's warnings at an instant of it, as the process does in a running product; nil leaves them out.
	Watch func(at time.Time, id string) error
}

// Key is one line of demo-keys.json.
type Key struct {
	Key     string `json:"key"`
	PartyID string `json:"party_id,omitempty"`
	Area    string `json:"area,omitempty"`
}

// generator is one run.
type generator struct {
	o     Options
	ctx   context.Context
	rnd   *rand.Rand
	at    time.Time
	seq   int
	ids   int
	city  actor // City regulator.
	banks []*bank
	truth *Truth
	plan  agenda // What happens when.

	firms     []*firm
	subletter *firm
	private   []member // Owners of flats.
	brokers   []member
	estates   []*estate
	flats     []*flat
	done      int
	total     int

	withheld    bool // One deposit is.
	differences int  // Between a bank's books and the ledgers, so far.
}

type actor = domain.Actor

// member is a party and the actor it acts as.
type member struct {
	id    string
	actor actor
}

// Build makes the city and returns the keys that demo-keys.json holds.
func Build(ctx context.Context, o Options) (map[string]Key, *Truth, error) {
	if o.Homes == 0 {
		o.Homes = 2000
	}
	if o.Months == 0 {
		o.Months = 36
	}
	if o.Seed == 0 {
		o.Seed = 1
	}
	if o.Step == nil {
		o.Step = func(int, int) {}
	}
	g := &generator{o: o, ctx: ctx, rnd: rand.New(rand.NewPCG(o.Seed, 0x7a75)), city: actor{ID: "demo:city", Role: domain.RoleCity}}
	g.truth = newTruth(g.rnd, o.City, o.Today, o.Months)
	g.day(g.truth.Start.AddDays(-leadDays))
	if o.Views != nil { // Some commands read a view: it must be there.
		if err := o.Views(); err != nil {
			return nil, nil, err
		}
	}
	steps := []func() error{g.makeInstitutions, g.makeEstates, g.makeFlats, g.makeSubletter, g.makeHistory, g.makeTrouble}
	for _, step := range steps {
		if err := step(); err != nil {
			return nil, nil, err
		}
	}
	g.day(o.Today)
	keys, err := g.makeKeys()
	return keys, g.truth, err
}

// day moves the simulated clock to nine in the morning of a day; each call after it comes a second later.
func (g *generator) day(d domain.Day) {
	t := d.Start().Add(9 * time.Hour)
	if t.After(g.at) {
		g.at = t
	}
	g.o.Clock(g.at)
}

// call makes the next command's request: its id follows from the seed and its number, so a run is deterministic.
func (g *generator) call(a actor) desk.Call {
	g.ids++
	g.at = g.at.Add(time.Second)
	g.o.Clock(g.at)
	id := uuid.NewSHA1(uuid.NameSpaceOID, fmt.Appendf(nil, "demo %d %d", g.o.Seed, g.ids)).String()
	return desk.Call{ID: id, At: g.at, Actor: a, Correlation: id}
}

func (g *generator) step() {
	g.done++
	if g.done%100 == 0 {
		g.o.Step(g.done, g.total)
	}
}

func (g *generator) chance(p float64) bool { return g.rnd.Float64() < p }

// person registers a synthetic natural person: birth years of the 1880s, so that nobody living is meant.
func (g *generator) person(role domain.Role) (member, error) {
	g.seq++
	no := syntheticID(g.seq)
	id, _, err := g.o.Desk.RegisterParty(g.ctx, g.call(g.city), desk.NewParty{
		Kind: "PERSON", Name: syntheticName(g.rnd), DocType: domain.DocCNID, DocNo: no, Phone: fmt.Sprintf("138%08d", g.seq),
	})
	if err != nil {
		return member{}, fmt.Errorf("register person %d: %w", g.seq, err)
	}
	m := member{id: id, actor: actor{ID: "demo:" + id[:8], Role: role, Party: id}}
	return m, g.verify(id, 2)
}

// syntheticID is a valid CN_ID number for each n: dates of the 1880s, serial and check digit.
func syntheticID(n int) string {
	districts := []string{"320102", "320104", "320105", "320106", "320111", "320113", "320114", "320115", "320116", "320117", "320118"}
	day := domain.Date(1880, time.January, 1).AddDays(n % 3600)
	serial := n/3600*7%997 + 1
	body := districts[n%len(districts)] + string(appendDigits(day)) + fmt.Sprintf("%03d", serial)
	weights := [17]int{7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2}
	sum := 0
	for i, w := range weights {
		sum += int(body[i]-'0') * w
	}
	return body + "10X98765432"[sum%11:][:1]
}

func appendDigits(d domain.Day) []byte {
	var out []byte
	for _, c := range []byte(d.String()) {
		if c != '-' {
			out = append(out, c)
		}
	}
	return out
}

func syntheticName(r *rand.Rand) string {
	family := []rune("赵钱孙李周吴郑王冯陈褚卫蒋沈韩杨朱秦尤许何吕施张孔曹严华金魏陶姜")
	given := []rune("安宁平和青云山川文明思远子涵雨晨晓东建国丽华春秋冬夏一诺欣然")
	name := []rune{family[r.IntN(len(family))], given[r.IntN(len(given))]}
	if r.IntN(3) > 0 {
		name = append(name, given[r.IntN(len(given))])
	}
	return string(name)
}

// syntheticUSCC is a valid made-up code; bodies are never sent anywhere.
func syntheticUSCC(n int) string {
	const symbols = "0123456789ABCDEFGHJKLMNPQRTUWXY"
	inner := fmt.Sprintf("MA9%05d", n%100000)
	weights := [8]int{3, 7, 9, 10, 5, 8, 4, 2}
	sum := 0
	for i, w := range weights {
		c := int(inner[i] - '0')
		if inner[i] >= 'A' {
			c = int(inner[i]-'A') + 10
		}
		sum += c * w
	}
	check := "X"
	if c := (11 - sum%11) % 11; c < 10 {
		check = fmt.Sprint(c)
	}
	body := "91320100" + inner + check
	outer := [17]int{1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28}
	sum = 0
	for i, w := range outer {
		for v := range symbols {
			if symbols[v] == body[i] {
				sum += v * w
			}
		}
	}
	return body + symbols[(31-sum%31)%31:][:1]
}
