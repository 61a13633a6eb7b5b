package leaf_test

import (
	"fmt"
	"testing"

	"zujian/eventstore/leaf"
)

// BenchmarkAppend makes leaves of runs of so many events of a stream.
func BenchmarkAppend(b *testing.B) {
	r := recorded(1)
	for _, run := range []int{1, 2, 4} {
		b.Run(fmt.Sprint(run), func(b *testing.B) {
			tagger, c := leaf.NewTagger([32]byte{1}), leaf.Of(&r)
			var room []byte
			for n := 0; b.Loop(); n++ {
				c.Stream = fmt.Appendf(c.Stream[:0], "contract-%036d", n/run)
				room = tagger.Append(room[:0], &c)
			}
		})
	}
}
