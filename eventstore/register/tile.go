package register

import (
	"encoding/binary"
	"regexp"
	"strconv"
	"strings"

	"zujian/eventstore/leaf"
)

// tilePath is the one spelling of a tile's path that C2SP tlog-tiles allows, without the leading "tile/".
var tilePath = regexp.MustCompile(`^(0|[1-9][0-9]?|entries)/((?:x[0-9]{3}/)*[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?$`)

// Tile returns the tile at a path below /tile/, or ErrRange if there is none: the path is not canonical, the tile is
// not yet full, or its partial width never had a checkpoint.
func (r *Register) Tile(path string) ([]byte, error) {
	m := tilePath.FindStringSubmatch(path)
	if m == nil {
		return nil, ErrRange
	}
	n, ok := tileNumber(m[2])
	level, _ := strconv.Atoi(m[1]) // 0 for entries.
	pub := r.published.Load()
	if !ok || level >= levelsMax {
		return nil, ErrRange
	}
	full := pub.Size >> (tileHeight * level) / tileWidth // Full tiles at this level.
	width := uint64(tileWidth)
	if m[3] != "" {
		width, _ = strconv.ParseUint(m[3], 10, 64)
		if width >= tileWidth || n != full || !pub.Widths[level].has(width) || pub.Size>>(tileHeight*level)%tileWidth < width {
			return nil, ErrRange
		}
	} else if n >= full {
		return nil, ErrRange
	}
	hs, err := pub.hashes(nil, level, n*tileWidth, width)
	if err == nil {
		err = pub.holds(level, n, hs)
	}
	if err != nil {
		return nil, err
	}
	if m[1] == "entries" {
		return pub.entries(n*tileWidth, width)
	}
	out := make([]byte, 0, len(hs)*len(hash{}))
	for _, h := range hs {
		out = append(out, h[:]...)
	}
	return out, nil
}

// holds holds a tile to what was signed: it is kept for good by whoever was given it. A full one has its hash in the level
// above; one under way is under the root itself.
func (p *published) holds(level int, n uint64, hs []hash) error {
	if len(hs) == tileWidth {
		above, err := p.hashes(nil, level+1, n, 1)
		if err == nil && above[0] != perfect(hs) {
			err = damage(0, "tile %d of level %d does not have the hash above it: the tree's files are damaged", n, level)
		}
		return err
	}
	root, err := p.root(p.Size)
	if err == nil && root != hash(p.Root) {
		err = damage(0, "the tree of %d leaves does not have the root that was signed: its files are damaged", p.Size)
	}
	return err
}

// entries is a bundle: each leaf after its length, big-endian, as C2SP has it.
func (f *files) entries(from, n uint64) ([]byte, error) {
	b, err := f.leafBytes(from, n)
	if err != nil {
		return nil, err
	}
	out := make([]byte, 0, n*(2+leaf.Size))
	for ; len(b) > 0; b = b[leaf.Size:] {
		out = binary.BigEndian.AppendUint16(out, leaf.Size)
		out = append(out, b[:leaf.Size]...)
	}
	return out, nil
}

// tileNumber reads "x001/x234/067" as 1234067, and refuses needless zeroes in front.
func tileNumber(s string) (uint64, bool) {
	if strings.HasPrefix(s, "x000/") || len(s) > len("x000/x000/x000/x000/x000/000") {
		return 0, false
	}
	n, err := strconv.ParseUint(strings.NewReplacer("x", "", "/", "").Replace(s), 10, 64)
	return n, err == nil && n < 1<<56
}
