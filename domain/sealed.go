package domain

// Sealed is a personal field encrypted under its subject's key (eventstore/seal), in base64url. Aggregates and views
// carry it and never look inside; the API opens and masks it for those who may read it. "" is absent.
type Sealed string

// BlindIndex is a keyed hash of a normalised identifier (盲索引), in hex: equal identifiers, equal indexes.
type BlindIndex string
