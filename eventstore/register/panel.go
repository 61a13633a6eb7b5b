package register

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	cosignature "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"
)

const (
	witnessTimeout  = 5 * time.Second
	witnessRetry    = 5 * time.Second // After an answer that was none.
	witnessBytesMax = 16 << 10        // Of an answer.
	witnessTries    = 3               // Until we and the witness agree on its size.
	cosignedSkew    = 5 * time.Minute // Between its clock and ours.
	witnessesMax    = 15              // With our two lines no more signatures than every verifier must accept, 16, and one.
)

// Witness is one that cosigns: where it is, and how to check it.
type Witness struct {
	Key string // As `zujian witness` prints it: name+id+key, of type cosignature/v1 or Ed25519.
	URL string // Submission prefix; POST URL/add-checkpoint.
}

// ParseWitness reads "KEY=URL" or "KEY URL".
func ParseWitness(s string) (Witness, error) {
	// The key is base64, which may end in "=", and has a name in front: the URL starts at its scheme.
	at := strings.LastIndex(s[:max(strings.Index(s, "://"), 0)], "http")
	if at < 2 || (s[at-1] != '=' && s[at-1] != ' ') {
		return Witness{}, errors.New("register: a witness is KEY=URL")
	}
	w := Witness{Key: s[:at-1], URL: strings.TrimSuffix(s[at:], "/")}
	if u, err := url.Parse(w.URL); err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") || u.User != nil || u.RawQuery != "" {
		return Witness{}, fmt.Errorf("register: witness URL %q is not http(s)://host/prefix", w.URL)
	}
	if _, err := cosignature.NewVerifierForCosignatureV1(w.Key); err != nil {
		return Witness{}, fmt.Errorf("register: witness key %q: %w", w.Key, err)
	}
	return w, nil
}

// seat is one witness at the table.
type seat struct {
	Witness
	verifier note.Verifier

	// The panel's goroutine, one at a time.
	known uint64    // Size it last cosigned, as far as we know.
	seen  time.Time // Of its last cosignature.

	state atomic.Int32
}

const (
	seatSilent  int32 = iota // Has not answered yet.
	seatAgrees               // Has cosigned in this life of the server.
	seatDissent              // Knows a log that ours does not go on from.
)

// confirmedNote is a checkpoint with enough cosignatures.
type confirmedNote struct {
	note string
	size uint64
}

// panel collects the cosignatures of all witnesses.
type panel struct {
	seats  []*seat
	quorum int
	client *http.Client
	log    *slog.Logger
	now    func() time.Time
	wake   chan struct{}

	confirmed atomic.Pointer[confirmedNote]
	agreed    atomic.Pointer[time.Time] // Reading of our clock when enough of theirs last agreed with it.

	mu    sync.Mutex
	of    string   // The note that lines belong to.
	lines []string // Cosignatures of it, by seat; "" of one that has given none.
}

func newPanel(o *Options) (*panel, error) {
	p := &panel{
		quorum: o.Quorum, log: o.Logger, now: o.Now, wake: make(chan struct{}, 1),
		client: &http.Client{Timeout: witnessTimeout, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
	}
	if len(o.Witnesses) > witnessesMax {
		return nil, fmt.Errorf("register: %d witnesses, more than %d", len(o.Witnesses), witnessesMax)
	}
	if p.quorum == 0 {
		p.quorum = len(o.Witnesses)/2 + 1
	}
	if n := len(o.Witnesses); n > 0 && (p.quorum < 1 || p.quorum > n) {
		return nil, fmt.Errorf("register: a quorum of %d of %d witnesses", p.quorum, n)
	}
	names := map[string]bool{}
	for _, w := range o.Witnesses {
		v, err := cosignature.NewVerifierForCosignatureV1(w.Key)
		if err != nil {
			return nil, fmt.Errorf("register: witness key %q: %w", w.Key, err)
		}
		if id := fmt.Sprint(v.Name(), v.KeyHash()); names[id] {
			return nil, fmt.Errorf("register: witness %s is named twice", v.Name())
		} else {
			names[id] = true
		}
		p.seats = append(p.seats, &seat{Witness: w, verifier: v})
	}
	return p, nil
}

func (p *panel) empty() bool { return len(p.seats) == 0 }

func (p *panel) count(state int32) (n int) {
	for _, s := range p.seats {
		if s.state.Load() == state {
			n++
		}
	}
	return n
}

// cleared tells whether so many witnesses have agreed that every quorum has one of them: none knows a confirmed
// checkpoint that we do not.
func (p *panel) cleared() bool {
	return p.empty() || p.count(seatAgrees) >= len(p.seats)-p.quorum+1
}

// err is ErrStopped once so many witnesses dissent that one of them alone can't be lying.
func (p *panel) err() error {
	if !p.empty() && p.count(seatDissent) >= p.quorum {
		return fmt.Errorf("%w: %d of %d witnesses have cosigned a log that this one does not go on from", ErrStopped, p.count(seatDissent), len(p.seats))
	}
	return nil
}

// submit has the last published checkpoint witnessed.
func (p *panel) submit() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// cosigned is the note with the cosignatures of it that have come.
func (p *panel) cosigned(text string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.of != text {
		return text
	}
	return text + strings.Join(p.lines, "")
}

// run submits what is published until ctx ends.
func (p *panel) run(ctx context.Context, r *Register) {
	if p.empty() {
		return
	}
	retry := time.NewTimer(0)
	defer retry.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.wake:
		case <-retry.C:
		}
		pub := r.published.Load()
		if pub.Note == "" { // Nothing was signed yet.
			continue
		}
		if !p.round(ctx, pub) {
			retry.Reset(witnessRetry)
		}
	}
}

// round asks every witness for one checkpoint. It returns whether all have cosigned it.
func (p *panel) round(ctx context.Context, pub *published) bool {
	got := make([]string, len(p.seats))
	asked := p.now()
	var asking sync.WaitGroup
	for i, s := range p.seats {
		asking.Go(func() {
			line, err := s.cosign(ctx, p, pub)
			if err != nil && ctx.Err() == nil {
				p.log.Error("witness refused or unreachable", "witness", s.verifier.Name(), "size", pub.Size, "err", err)
			}
			got[i] = line
		})
	}
	asking.Wait()
	fresh := given(got)
	p.mu.Lock()
	if p.of == pub.Note { // Who gave it in an earlier round and is silent now has given it all the same.
		for i := range got {
			got[i] = cmp.Or(got[i], p.lines[i])
		}
	}
	p.of, p.lines = pub.Note, got
	p.mu.Unlock()
	if given(got) >= p.quorum {
		p.confirmed.Store(&confirmedNote{note: pub.Note + strings.Join(got, ""), size: pub.Size})
	}
	if fresh >= p.quorum {
		p.agreed.Store(&asked)
	}
	return fresh == len(p.seats)
}

func given(lines []string) (n int) {
	for _, line := range lines {
		if line != "" {
			n++
		}
	}
	return n
}

var (
	errDissent = errors.New("the witness has cosigned another log under this name, or more of it than there is here")
	errForged  = errors.New("the answer is not a fresh cosignature of this checkpoint by this witness")
)

// cosign asks one witness, and returns its signature line.
func (s *seat) cosign(ctx context.Context, p *panel, pub *published) (string, error) {
	for range witnessTries {
		if s.known > pub.Size {
			said := s.known
			s.known = 0 // What it knows it is asked again: it may have erred, or somebody between.
			s.state.Store(seatDissent)
			return "", fmt.Errorf("%w: size %d", errDissent, said)
		}
		proof, err := pub.consistency(s.known, pub.Size)
		if err != nil {
			return "", err
		}
		status, media, answer, err := p.post(ctx, s.URL, request(s.known, proof, pub.Note))
		if err != nil {
			return "", err
		}
		switch status {
		case http.StatusOK:
			line, at, err := s.check(pub.Note, answer, p.now())
			if err != nil {
				return "", err
			}
			s.known, s.seen = pub.Size, at
			s.state.Store(seatAgrees)
			return line, nil
		case http.StatusConflict:
			size, err := strconv.ParseUint(strings.TrimSuffix(answer, "\n"), 10, 63)
			if media != "text/x.tlog.size" || err != nil || size == s.known {
				s.state.Store(seatDissent)
				return "", errDissent
			}
			s.known = size
		case http.StatusUnprocessableEntity:
			s.state.Store(seatDissent)
			return "", errDissent
		default:
			return "", fmt.Errorf("status %d", status)
		}
	}
	return "", errors.New("the witness's size does not stand still")
}

// request is the body of add-checkpoint.
func request(old uint64, proof [][32]byte, text string) []byte {
	b := fmt.Appendf(nil, "old %d\n", old)
	for _, h := range proof {
		b = append(base64.StdEncoding.AppendEncode(b, h[:]), '\n')
	}
	return append(append(b, '\n'), text...)
}

func (p *panel) post(ctx context.Context, prefix string, body []byte) (status int, media, answer string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, prefix+"/add-checkpoint", bytes.NewReader(body))
	if err != nil {
		return 0, "", "", err
	}
	res, err := p.client.Do(req)
	if err != nil {
		return 0, "", "", err
	}
	defer func() { _ = res.Body.Close() }() // Only read from.
	if res.StatusCode == http.StatusSwitchingProtocols {
		return res.StatusCode, "", "", nil // What follows is the connection itself, and no timeout ends that.
	}
	raw, err := io.ReadAll(io.LimitReader(res.Body, witnessBytesMax))
	media, _, _ = mime.ParseMediaType(res.Header.Get("Content-Type"))
	return res.StatusCode, media, string(raw), err
}

// check finds this witness's cosignature of the note among the lines: valid, not of the future, and no older than the
// one before, so that an old answer can't be played again as a new one.
func (s *seat) check(text, lines string, now time.Time) (string, time.Time, error) {
	n, err := note.Open([]byte(text+lines), note.VerifierList(s.verifier))
	if err != nil {
		return "", time.Time{}, errors.Join(errForged, err)
	}
	for _, sig := range n.Sigs {
		at, err := cosignature.CoSigV1Timestamp(sig)
		if err != nil || sig.Name != s.verifier.Name() || sig.Hash != s.verifier.KeyHash() {
			continue
		}
		if at.Before(s.seen) || now.Sub(at).Abs() > cosignedSkew {
			return "", time.Time{}, fmt.Errorf("%w: it is of %v", errForged, at.UTC())
		}
		return "— " + sig.Name + " " + sig.Base64 + "\n", at, nil
	}
	return "", time.Time{}, errForged
}

// noteText is the signed text of a note.
func noteText(text string) string {
	if i := strings.Index(text, "\n\n"); i >= 0 {
		return text[:i+1]
	}
	return ""
}
