package projections

import (
	"context"
	"errors"
	"log/slog"
	"time"
)

// In how many parts a view is kept changes as its version does: the parts wanted are built beside those in use, then readers
// move, then the old ones go.

const layoutEvery = 500 * time.Millisecond // Between two looks at which parts readers see.

// layout is what to keep of a list: the parts wanted of each view, and others that are there until readers do not see them.
func (k *Keeper) layout(ctx context.Context, list []Projection) (out []keptView) {
	for _, p := range list {
		for {
			kept, err := k.layoutOf(ctx, p)
			if err == nil {
				out = append(out, kept...)
				break
			}
			if idle(ctx, layoutEvery) != nil {
				return nil
			}
		}
	}
	return out
}

func (k *Keeper) layoutOf(ctx context.Context, p Projection) (out []keptView, err error) {
	if _, can := p.(Parted); !can {
		return wholes([]Projection{p}), nil
	}
	now, err := ReadParts(ctx, k.Views, p.Name())
	if err != nil {
		return nil, err
	}
	want := k.Parts
	if want == 0 {
		want = now
	}
	for _, part := range PartsOf(p, want) {
		out = append(out, keptView{Projection: part, whole: p, parts: want})
	}
	for of := 1; of <= PartsMax; of++ { // Those in use, and what a crash left of those before.
		if of == want {
			continue
		}
		for _, part := range PartsOf(p, of) {
			active, err := k.Views.Active(ctx, part.Name())
			if err != nil {
				return nil, err
			}
			if active != 0 && active != retired {
				out = append(out, keptView{Projection: part, whole: p, parts: of, old: true})
			}
		}
	}
	return out, nil
}

// moveReaders moves readers to the parts wanted once these are all there and where readers are. What the view store lost it
// does again; another number that other processes want it leaves alone.
func (k *Keeper) moveReaders(ctx context.Context, kept []keptView) {
	want := map[string]int{}
	for _, v := range kept {
		if _, can := v.whole.(Parted); can && !v.old {
			want[v.whole.Name()] = v.parts
		}
	}
	moved := map[string]bool{}
	for ctx.Err() == nil && len(want) > 0 {
		for name, of := range want {
			is, err := k.moved(ctx, name, of, moved[name])
			if err != nil && !errors.Is(err, ErrUnavailable) && ctx.Err() == nil {
				k.Runner.log().WarnContext(ctx, "readers not moved", slog.String("view", name), slog.Int("parts", of), slog.Any("err", err))
			}
			moved[name] = moved[name] || is
		}
		_ = idle(ctx, layoutEvery)
	}
}

// moved reports whether readers see that many parts, and moves them if they can be.
func (k *Keeper) moved(ctx context.Context, name string, of int, before bool) (bool, error) {
	mark, err := k.Views.Active(ctx, name+partsSuffix)
	if err != nil || max(mark, 1) == of {
		return err == nil, err
	}
	if before && mark != 0 {
		return true, nil
	}
	seen, err := k.Views.Position(ctx, name)
	if err != nil && !errors.Is(err, ErrNotBuilt) {
		return false, err
	}
	at, err := k.Views.partsAt(ctx, name, of)
	switch {
	case errors.Is(err, ErrNotBuilt) || err == nil && at < seen:
		return false, nil
	case err != nil:
		return false, err
	}
	if err := SetParts(ctx, k.Views, name, of); err != nil {
		return false, err
	}
	k.Runner.log().InfoContext(ctx, "view read in parts", slog.String("view", name), slog.Int("parts", of), slog.Uint64("position", uint64(at)))
	return true, nil
}

// readersMoved waits until readers no longer see the parts that v is one of. It is false if ctx ends first.
func (k *Keeper) readersMoved(ctx context.Context, v keptView) bool {
	for !k.unread(ctx, v) {
		if idle(ctx, layoutEvery) != nil {
			return false
		}
	}
	return true
}

// unread reports whether readers see another number of parts than v is one of.
func (k *Keeper) unread(ctx context.Context, v keptView) bool {
	now, err := ReadParts(ctx, k.Views, v.whole.Name())
	return err == nil && now != v.parts
}
