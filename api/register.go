package api

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"zujian/domain"
	"zujian/domain/contract"
	"zujian/eventstore"
	"zujian/eventstore/leaf"
	"zujian/eventstore/register"
	"zujian/projections"
	"zujian/projections/housing"
)

// routeRegister adds the verifiable register as C2SP tlog-tiles has it, outside /v1.
func (s *Server) routeRegister(e *echo.Echo) {
	e.GET("/checkpoint", s.open(func(c echo.Context) error {
		text := s.o.Register.Checkpoint().Note
		if text == "" { // This node's tree has not come as far as what was signed.
			return errBehind
		}
		c.Response().Header().Set("Cache-Control", "public, max-age=1")
		return c.Blob(http.StatusOK, "text/plain; charset=utf-8", []byte(text))
	}))
	e.GET("/tile/*", s.open(func(c echo.Context) error {
		// The path as it was sent: another spelling of a tile is another path.
		path, ok := strings.CutPrefix(c.Request().RequestURI, "/tile/")
		if !ok {
			return errNotFound
		}
		b, err := s.o.Register.Tile(path)
		if err != nil {
			return registerError(err)
		}
		c.Response().Header().Set("Cache-Control", "public, max-age=31536000, immutable")
		return c.Blob(http.StatusOK, "application/octet-stream", b)
	}))
}

// open lets anybody read, within the limits of one address. Any site may read it, too: it is public.
func (s *Server) open(h echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if s.o.Register == nil {
			return errNotFound
		}
		if !s.limits.take(c.Response().Header(), "addr:"+remote(c), s.o.Now()) {
			return errRate
		}
		c.Response().Header().Set("Access-Control-Allow-Origin", "*")
		c.Response().Header().Set("Cross-Origin-Resource-Policy", "cross-origin")
		return h(c)
	}
}

func registerError(err error) error {
	if errors.Is(err, register.ErrRange) {
		return errNotFound
	}
	return err
}

// readCheckpoint gives the last checkpoint, the last that witnesses confirmed, and the keys to check both with.
func readCheckpoint(_ context.Context, s *Server, _ *call) (answer, error) {
	r := s.o.Register
	if r == nil {
		return answer{}, errNotFound
	}
	last := r.Checkpoint()
	if last.Note == "" {
		return answer{}, errBehind
	}
	body := CheckpointAnswer{Checkpoint: checkpointBody(last)}
	body.Keys.Ed25519, body.Keys.Sm2 = r.VerifierKeys()
	body.Witnesses, body.Quorum = r.WitnessKeys()
	if c, ok := r.Confirmed(); ok {
		confirmed := checkpointBody(c)
		body.Confirmed = &confirmed
	}
	return answer{body: body}, nil
}

func checkpointBody(c register.Checkpoint) Checkpoint {
	return Checkpoint{Origin: c.Origin, Size: int64(c.Size), Root: register.Encode(c.Root), Note: c.Note}
}

// readInclusion proves that an event is in the register, by its ordinal or by the number of the filing it recorded.
func readInclusion(ctx context.Context, s *Server, c *call) (answer, error) {
	r := s.o.Register
	if r == nil {
		return answer{}, errNotFound
	}
	ordinal, number := c.query["ordinal"], c.query["filing_no"]
	if (ordinal == "") == (number == "") {
		return answer{}, errParameter.With("parameter", "ordinal")
	}
	index, err := strconv.ParseUint(ordinal, 10, 63)
	if number != "" {
		index, err = s.filingOrdinal(ctx, number)
	}
	if err != nil {
		return answer{}, err
	}
	if text := c.query["size"]; text != "" {
		size, err := strconv.ParseUint(text, 10, 63)
		if err != nil {
			return answer{}, errParameter.With("parameter", "size")
		}
		return s.inclusionAt(index, size)
	}
	p, err := r.Inclusion(index)
	if err != nil {
		return answer{}, registerError(err)
	}
	return answer{body: InclusionProof{
		LeafIndex: int64(p.Index), Leaf: p.Leaf, LeafHash: register.Encode(leaf.NodeHash(p.Leaf)), Size: int64(p.Size),
		Root: register.Encode(p.Root), Hashes: encoded(p.Hashes), Checkpoint: p.Note,
	}}, nil
}

// inclusionAt proves it for an earlier tree, whose checkpoint the caller has.
func (s *Server) inclusionAt(index, size uint64) (answer, error) {
	b, hashes, err := s.o.Register.InclusionAt(index, size)
	if err != nil {
		return answer{}, registerError(err)
	}
	root, err := s.o.Register.RootAt(size)
	return answer{body: InclusionProof{
		LeafIndex: int64(index), Leaf: b, LeafHash: register.Encode(leaf.NodeHash(b)), Size: int64(size),
		Root: register.Encode(root), Hashes: encoded(hashes),
	}}, registerError(err)
}

// filingOrdinal finds the event by which a filing got its number. Whoever knows the number learns that it was given, and
// where its leaf is; nothing else.
func (s *Server) filingOrdinal(ctx context.Context, number string) (uint64, error) {
	var id string
	err := s.o.Views.Read(ctx, housing.Projection{}.Name(), func(r projections.Reader) error {
		c, ok, err := housing.ContractByFilingNo(ctx, r, projections.Scope{All: true}, number)
		if id = c.ID; err == nil && !ok {
			err = errNotFound
		}
		return err
	})
	if err != nil {
		return 0, err
	}
	e, err := s.filedEvent(ctx, id, number, 0)
	return e.Ordinal, err
}

// filedEvent is the event that recorded a filing: likely at a revision, and not before it but when it is not found there.
func (s *Server) filedEvent(ctx context.Context, id, number string, likely eventstore.Revision) (found eventstore.Recorded, err error) {
	for e, err := range s.o.Store.Stream(ctx, "contract-"+id, likely) {
		if err != nil {
			return found, err
		}
		if e.Type != (contract.Filed{}).EventType() {
			continue
		}
		decoded, err := s.o.Catalogue.Decode(e.Type, e.Meta.Schema, e.Data)
		if filed, ok := decoded.(contract.Filed); err == nil && ok && filed.FilingNo == number {
			return e, nil
		}
	}
	if likely > 0 {
		return s.filedEvent(ctx, id, number, 0)
	}
	return found, errNotFound
}

// receipt is what the filer keeps: the leaf of the filing, and once a checkpoint covers it, the proof.
func (s *Server) receipt(ctx context.Context, id, number string, likely eventstore.Revision) (*FilingReceipt, error) {
	if s.o.Register == nil || number == "" {
		return nil, nil
	}
	e, err := s.filedEvent(ctx, id, number, likely)
	if errors.Is(err, errNotFound) {
		return nil, nil // Of a legacy register: it was filed there.
	}
	if err != nil {
		return nil, err
	}
	b := s.o.Register.LeafOf(&e)
	out := &FilingReceipt{
		Origin: s.o.Register.Checkpoint().Origin, Position: int64(e.Position), LeafIndex: int64(e.Ordinal), Leaf: b,
		LeafHash: register.Encode(leaf.NodeHash(b)),
	}
	p, err := s.o.Register.Inclusion(e.Ordinal)
	if errors.Is(err, register.ErrRange) {
		return out, nil
	}
	if err != nil {
		return nil, err
	}
	out.Proof = &ReceiptProof{Size: int64(p.Size), Root: register.Encode(p.Root), Hashes: encoded(p.Hashes), Checkpoint: p.Note}
	return out, nil
}

// readConsistency proves that an earlier tree is the beginning of a later one.
func readConsistency(_ context.Context, s *Server, c *call) (answer, error) {
	r := s.o.Register
	if r == nil {
		return answer{}, errNotFound
	}
	from, err := strconv.ParseUint(c.query["from"], 10, 63)
	if err != nil {
		return answer{}, errParameter.With("parameter", "from")
	}
	to, text := r.Checkpoint().Size, c.query["to"]
	if text != "" {
		if to, err = strconv.ParseUint(text, 10, 63); err != nil {
			return answer{}, errParameter.With("parameter", "to")
		}
	}
	hashes, err := r.Consistency(from, to)
	if err != nil {
		return answer{}, registerError(err)
	}
	was, err1 := r.RootAt(from)
	is, err2 := r.RootAt(to)
	return answer{body: ConsistencyProof{
		From: int64(from), To: int64(to), FromRoot: register.Encode(was), ToRoot: register.Encode(is), Hashes: encoded(hashes),
	}}, registerError(errors.Join(err1, err2))
}

// readOpenings gives whom a contract concerns what opens its leaves: the key of its tags, and for each event exactly the
// bytes that were committed to, salt included.
func readOpenings(ctx context.Context, s *Server, c *call) (answer, error) {
	r, id := s.o.Register, c.path("id")
	if r == nil {
		return answer{}, errNotFound
	}
	state, at, err := s.o.Desk.Contract(ctx, c.Actor, id, time.Time{})
	if err != nil {
		return answer{}, err
	}
	officer := regulator(c.Actor) || c.Actor.Role == domain.RoleAuditor
	if !officer && (c.Actor.Party == "" || !state.Terms.Names(c.Actor.Party)) {
		return answer{}, errNotFound
	}
	stream := "contract-" + id
	key := r.StreamKey(stream)
	body := Openings{Stream: stream, StreamKey: key[:], Leaves: []Opening{}}
	for e, err := range s.o.Store.Stream(ctx, stream, 0) {
		if err != nil {
			return answer{}, err
		}
		b := r.LeafOf(&e)
		tag := leaf.Tag(key, e.Revision)
		body.Leaves = append(body.Leaves, Opening{
			LeafIndex: int64(e.Ordinal), Revision: int64(e.Revision), Type: e.Type, Leaf: b, Tag: tag[:], Salt: e.Meta.Salt[:],
			Content: leaf.AppendContent(nil, e.Stream, &e.NewEvent),
		})
	}
	return answer{body: body, revision: &at.Revision}, nil
}

func encoded(hs [][32]byte) []string {
	out := make([]string, len(hs))
	for i, h := range hs {
		out[i] = base64.StdEncoding.EncodeToString(h[:])
	}
	return out
}
