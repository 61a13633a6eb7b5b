package seal

import "fmt"

// Buried tells whether a tombstone says that the subject's key was destroyed. A key that is gone without one was not
// erased: it was lost.
func (v *Vault) Buried(name string) bool {
	return v.says(name, func(s *subject) bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.buried
	})
}

// Inspect looks at a sealed value without any key: whether it has the form of one, of a suite that this program has.
func Inspect(sealed string) error {
	raw, err := encoding.DecodeString(sealed)
	if err != nil || len(raw) <= 2+nonceLen+tagLen {
		return fmt.Errorf("%w: it has not the form of one", ErrForged)
	}
	if s := Suite(raw[0]); s != INTL && s != GM {
		return fmt.Errorf("%w: 0x%02x", ErrSuite, raw[0])
	}
	return nil
}
