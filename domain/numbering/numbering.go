// Package numbering owns the serial numbers of one kind, district and month: each is issued at most once, in blocks, so
// that many writers can number without meeting. Gaps are allowed, twice never. The stream is "numbering-HY-320115-2611".
//
// Kinds: HY 核验码 (verification code), BA 备案号 (filing number), XM 认定书号 (recognition), JG 监管账户, TS 投诉, SJ 检查,
// AJ 案件, BT 补贴, GX 共享协议.
package numbering

import (
	"zujian/domain"
)

// Decider is the numbering aggregate.
var Decider = domain.Decider[State, Command, Event]{Category: "numbering", Decide: decide, Evolve: evolve}

// Limits: the serial part has six digits, and a block is what one writer uses up within minutes.
const (
	SeqMax   = 999_999
	BlockMax = 10_000
)

// Rejections. The codes are public API.
var (
	ErrExhausted = domain.Reject("numbering.exhausted", "all 999,999 numbers of this kind, district and month are issued")
	ErrCount     = domain.Reject("numbering.count", "a block has 1 to 10,000 numbers")
)

// ID names the stream of one kind, district and month: "HY-320115-2611".
func ID(kind, district string, month domain.Month) string {
	return kind + "-" + district + "-" + yymm(month)
}

// Format is the number with its check character (ISO 7064 MOD 37-2), 19 characters: "HY3201042601000001A". It is ""
// when a part is out of form: kind two letters, district six digits, seq 1 to SeqMax.
func Format(kind, district string, month domain.Month, seq int64) string {
	if seq < 1 || seq > SeqMax || len(kind) != 2 || len(district) != 6 || month <= 0 {
		return ""
	}
	b := append(append(make([]byte, 0, len("HY3201042601000001A")), kind...), district...)
	b = append(b, yymm(month)...)
	for unit := int64(100_000); unit > 0; unit /= 10 {
		b = append(b, '0'+byte(seq/unit%10))
	}
	check, ok := domain.CheckChar37(string(b))
	if !ok {
		return ""
	}
	return string(append(b, check))
}

func yymm(m domain.Month) string {
	y, month, _ := m.First().Date()
	return string([]byte{'0' + byte(y%100/10), '0' + byte(y%10), '0' + byte(month/10), '0' + byte(month%10)})
}

// State is the last number issued; the zero State has issued none.
type State struct{ Last int64 }

// Next is the first number of the next block.
func (s State) Next() int64 { return s.Last + 1 }

func decide(s State, r domain.Request[Command]) ([]Event, error) {
	switch c := r.Command.(type) {
	case Issue:
		switch {
		case c.Count < 1 || c.Count > BlockMax:
			return nil, ErrCount.At("/count").With("max", int64(BlockMax))
		case c.Count > SeqMax-s.Last:
			return nil, ErrExhausted.With("left", SeqMax-s.Last)
		}
		return []Event{BlockIssued{First: s.Next(), Count: c.Count}}, nil
	}
	panic("numbering: unhandled command") // Sealed set: only a programming error gets here.
}

func evolve(s State, e Event) State {
	if e, ok := e.(BlockIssued); ok {
		s.Last = max(s.Last, e.First+e.Count-1)
	}
	return s
}
