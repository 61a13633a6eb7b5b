package projections

import (
	"context"
	"fmt"
	"iter"
	"sync"

	"zujian/eventstore"
)

// Memory is the model Views: everything in memory, a snapshot is a pointer. Tests hold the other view stores to it, and
// a replay is built in it. The zero Memory is empty and ready.
type Memory struct {
	mu     sync.Mutex
	spaces map[space]keyspace
	active map[string]int
}

type space struct {
	name    string
	version int
}

type keyspace struct {
	root       *tree
	checkpoint eventstore.Position
}

var _ Views = (*Memory)(nil)

func (m *Memory) load(name string, version int) keyspace {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.spaces[space{name, version}]
}

// Batch implements Views.
func (m *Memory) Batch(ctx context.Context, name string, version int, prev, next eventstore.Position, f func(View) error) error {
	if err := CheckBatch(name, version, prev, next); err != nil {
		return err
	}
	was := m.load(name, version)
	if was.checkpoint != prev {
		return fmt.Errorf("batch %s@%d after %d: %w: it is at %d", name, version, prev, ErrFenced, was.checkpoint)
	}
	v := &memoryView{memoryReader{root: was.root, position: prev}}
	if err := f(v); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if now := m.spaces[space{name, version}]; now != was {
		return fmt.Errorf("batch %s@%d after %d: %w: it is at %d", name, version, prev, ErrFenced, now.checkpoint)
	}
	if m.spaces == nil {
		m.spaces = map[space]keyspace{}
	}
	m.spaces[space{name, version}] = keyspace{v.root, next}
	return nil
}

// Checkpoint implements Views.
func (m *Memory) Checkpoint(_ context.Context, name string, version int) (eventstore.Position, error) {
	return m.load(name, version).checkpoint, nil
}

// Active implements Views.
func (m *Memory) Active(_ context.Context, name string) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.active[name], nil
}

// Activate implements Views.
func (m *Memory) Activate(_ context.Context, name string, version int) error {
	if err := CheckBatch(name, version, 0, 0); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.active == nil {
		m.active = map[string]int{}
	}
	m.active[name] = version
	return nil
}

// Drop implements Views.
func (m *Memory) Drop(_ context.Context, name string, version int) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.active[name] == version {
		return fmt.Errorf("drop %s@%d: %w", name, version, ErrActive)
	}
	delete(m.spaces, space{name, version})
	return nil
}

// Read implements Views.
func (m *Memory) Read(_ context.Context, name string, f func(Reader) error) error {
	m.mu.Lock()
	version := m.active[name]
	k := m.spaces[space{name, version}]
	m.mu.Unlock()
	if version == 0 {
		return fmt.Errorf("read %s: %w", name, ErrNotBuilt)
	}
	return f(&memoryReader{root: k.root, position: k.checkpoint})
}

type memoryReader struct {
	root     *tree
	position eventstore.Position
}

func (r *memoryReader) Position() eventstore.Position { return r.position }

func (r *memoryReader) Get(ctx context.Context, key string) ([]byte, bool, error) {
	if err := ctx.Err(); err != nil {
		return nil, false, err
	}
	value, ok := r.root.get(key)
	return value, ok, nil
}

func (r *memoryReader) Scan(ctx context.Context, from, to string, reverse bool) iter.Seq2[Pair, error] {
	root := r.root
	walk := (*tree).walk
	if reverse {
		walk = (*tree).back
	}
	return func(yield func(Pair, error) bool) {
		walk(root, from, to, func(p Pair) bool {
			if err := ctx.Err(); err != nil {
				yield(Pair{}, err)
				return false
			}
			return yield(p, nil)
		})
	}
}

type memoryView struct{ memoryReader }

func (v *memoryView) Set(key string, value []byte) { v.root = v.root.set(key, value) }
func (v *memoryView) Delete(key string)            { v.root = v.root.remove(key) }
