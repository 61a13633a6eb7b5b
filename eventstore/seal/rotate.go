package seal

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
)

// ErrRotate means the key wrapper makes no new versions itself: an HSM's operator does, and the wrapper then names it.
var ErrRotate = errors.New("seal: this key wrapper makes no new key version")

// Rotator is a KeyWrapper that can make and destroy its own versions.
type Rotator interface {
	KeyWrapper
	// Rotate makes a new KEK version durable and wraps with it from now on.
	Rotate(ctx context.Context) error
	// Retire destroys every version but the current one. What only they unwrap is lost for ever.
	Retire(ctx context.Context) error
}

// Rewrap wraps every key of the folder under the wrapper's current KEK version and gives how many there were. Sealed
// values stay as they are: the version in them only dates them. The key file is written anew beside the old one and
// renamed, so a crash leaves one or the other, and both open. No other use of the vault may be under way. progress may
// be nil.
func (v *Vault) Rewrap(ctx context.Context, progress func(done, total int64)) (int, error) {
	v.erasing.Lock()
	defer v.erasing.Unlock()
	v.mu.Lock()
	defer v.mu.Unlock()
	if err := v.slots.sync(); err != nil {
		return 0, err
	}
	rewrapped, err := v.rewrapSubjects(ctx, progress)
	if err != nil {
		return 0, err
	}
	for _, b := range bundles {
		if err := b.rewrap(ctx, v.folder, v.wrapper); err != nil {
			return 0, err
		}
	}
	return rewrapped, nil
}

func (v *Vault) rewrapSubjects(ctx context.Context, progress func(done, total int64)) (int, error) {
	const next = slotsName + ".tmp"
	f, err := v.folder.fs.Create(v.folder.path(next), "keys")
	if err == nil {
		err = v.folder.hide(f, next)
	}
	if err != nil {
		return 0, fmt.Errorf("seal: rewrap keys: %w", err)
	}
	moved := map[subjectID]slot{}
	err = func() error {
		out := bufio.NewWriterSize(f, 1<<20)
		total := int64(v.slots.done)
		var raw [slotLen]byte
		for n := range v.slots.done {
			if err := ctx.Err(); err != nil {
				return err
			}
			if _, err := v.slots.f.ReadAt(raw[:], int64(n)*slotLen); err != nil {
				return err
			}
			b := raw
			if s, ok := decodeSlot(raw[:]); ok && s.status == slotLive {
				if s, err = v.rewrapSlot(ctx, s); err != nil {
					return fmt.Errorf("slot %d: %w", n, err)
				}
				moved[s.subject], b = s, s.encode()
			}
			if _, err := out.Write(b[:]); err != nil {
				return err
			}
			if progress != nil && n%1024 == 0 {
				progress(int64(n), total)
			}
		}
		return errors.Join(out.Flush(), f.Sync())
	}()
	if err == nil {
		err = v.folder.fs.Rename(v.folder.path(next), v.folder.path(slotsName))
	}
	if err == nil {
		err = v.folder.sync()
	}
	if err != nil {
		return 0, errors.Join(fmt.Errorf("seal: rewrap keys: %w", err), f.Close())
	}
	renamed, err := v.folder.open(slotsName) // A file made by Create takes no WriteAt.
	if err != nil {
		return 0, errors.Join(fmt.Errorf("seal: rewrap keys: %w", err), f.Close())
	}
	err = errors.Join(f.Close(), v.slots.f.Close())
	v.slots.f, v.slots.size = renamed, int64(v.slots.done)*slotLen
	for id, s := range moved {
		subject := v.subjects.get(id)
		subject.suite, subject.kek, subject.sealed = s.suite, s.kek, s.wrapped
	}
	return len(moved), err
}

func (v *Vault) rewrapSlot(ctx context.Context, s slot) (slot, error) {
	key, err := v.wrapper.Unwrap(ctx, s.kek, s.suite, label(s.subject), s.wrapped[:])
	if err != nil {
		return s, err
	}
	defer clear(key)
	s.suite, s.kek = v.suite, v.wrapper.KeyID()
	wrapped, err := v.wrapper.Wrap(ctx, s.suite, label(s.subject), key)
	if err == nil && len(wrapped) != wrappedLen {
		err = fmt.Errorf("seal: the wrapper gave %d bytes, not %d", len(wrapped), wrappedLen)
	}
	copy(s.wrapped[:], wrapped)
	return s, err
}

// Rotate makes a new KEK version where the wrapper can, wraps every key under it, and destroys the older versions if
// retire says so. It gives the version in use and how many keys were wrapped anew.
func (v *Vault) Rotate(ctx context.Context, retire bool, progress func(done, total int64)) (kek byte, rewrapped int, err error) {
	r, ok := v.wrapper.(Rotator)
	if !ok {
		return 0, 0, ErrRotate
	}
	if err := r.Rotate(ctx); err != nil {
		return 0, 0, err
	}
	if rewrapped, err = v.Rewrap(ctx, progress); err != nil {
		return 0, 0, err
	}
	if retire {
		err = r.Retire(ctx)
	}
	return r.KeyID(), rewrapped, err
}

var _ Rotator = (*fileWrapper)(nil)

// Rotate implements Rotator: one more line in the file.
func (w *fileWrapper) Rotate(context.Context) error {
	if w.id == 255 {
		return errors.New("seal: 255 key versions are the most: retire the old ones") // A retired folder still counts on.
	}
	var key secret
	if _, err := io.ReadFull(w.rand, key[:]); err != nil {
		return fmt.Errorf("seal: make key-encryption key: %w", err)
	}
	next, err := newKEK(&key)
	if err != nil {
		return err
	}
	w.keys[w.id+1] = next
	if err := w.write(); err != nil {
		delete(w.keys, w.id+1)
		return err
	}
	w.id++
	return nil
}

// Retire implements Rotator.
func (w *fileWrapper) Retire(context.Context) error {
	for id, key := range w.keys {
		if id != w.id {
			*key.key = secret{}
			delete(w.keys, id)
		}
	}
	return w.write()
}

func (w *fileWrapper) write() error {
	var ids []byte
	for id := range w.keys {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	var data []byte
	for _, id := range ids {
		data = w.keys[id].key.appendLine(data, id)
	}
	return w.folder.write(kekName, data)
}
