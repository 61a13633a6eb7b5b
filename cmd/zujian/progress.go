package main

import (
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/mattn/go-isatty"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// progress shows how far long work has come: a bar on a terminal, a line each tenth elsewhere. It is safe for
// concurrent use.
type progress struct {
	mu          sync.Mutex
	w           io.Writer
	label       string
	done, total int64
	tenth       int64
	bars        *mpb.Progress
	bar         *mpb.Bar
}

// newProgress starts with nothing of total done.
func newProgress(w io.Writer, label string, total int64) *progress {
	p := &progress{w: w, label: label, total: max(total, 1)}
	if f, ok := w.(*os.File); ok && isatty.IsTerminal(f.Fd()) {
		p.bars = mpb.New(mpb.WithOutput(w), mpb.WithWidth(48))
		p.bar = p.bars.AddBar(p.total, mpb.PrependDecorators(decor.Name(label+" ")),
			mpb.AppendDecorators(decor.Percentage(), decor.Name(" "), decor.AverageETA(decor.ET_STYLE_GO)))
	}
	return p
}

// add counts n more as done.
func (p *progress) add(n int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done = min(p.done+n, p.total)
	if p.bar != nil {
		p.bar.SetCurrent(p.done)
		return
	}
	if tenth := p.done * 10 / p.total; tenth > p.tenth {
		p.tenth = tenth
		_, _ = fmt.Fprintf(p.w, "%s %d %%\n", p.label, tenth*10) // A lost progress line harms nobody.
	}
}

// end leaves the terminal as it was. The work may have stopped early.
func (p *progress) end() {
	if p.bar == nil {
		return
	}
	if p.done < p.total {
		p.bar.Abort(false)
	}
	p.bars.Wait()
}

// set says how much of how much is done; the total may have become known only now.
func (p *progress) set(done, total int64) {
	p.mu.Lock()
	if total > 0 && total != p.total {
		p.total = total
		if p.bar != nil {
			p.bar.SetTotal(total, false)
		}
	}
	step := done - p.done
	p.mu.Unlock()
	if step > 0 {
		p.add(step)
	}
}
