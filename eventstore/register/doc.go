// Package register is the verifiable register (可验证登记簿) over an event log: an RFC 6962 SHA-256 tree whose n-th leaf is
// that of the event with ordinal n (package leaf), served as C2SP tlog-tiles, with signed checkpoints, cosignatures of
// witnesses, and proofs. It follows a log and owns the folder of its tree; it decides nothing and appends nothing.
//
// The tree is a function of the log: everything in the folder but the checkpoint can be deleted and is made again. The
// checkpoint cannot: it says what was signed, and is what the log is held to.
//
//	leaves      58 bytes for each event (package leaf), in order
//	level1 …    32 bytes for each full subtree of 256, 256², … leaves
//	checkpoint  what was signed last, with its checksum; replaced whole
//
// # Decisions
//
// A checkpoint is signed each second in which there were events, at once when 256 wait (but at most two a second, so
// that a flood of appends does not share its disk with a flood of syncs), and every ten minutes when nothing happens.
// Order: leaves and levels durable, then the checkpoint durable, then published. So no size is ever signed whose tree
// could be lost, and since the tree is a function of the log no size ever has two roots.
//
// At the start the log is held to the last signed checkpoint: the tree must have its root, and the events under its last
// 4,096 leaves or more must be there and unchanged. That takes milliseconds; older events are compared in the background,
// 1,024 each second, round and round, going on after a restart where it was. What does not agree ends [Register.Run] with
// the position. [Verify] compares every leaf at once. A folder and a log restored together from an old backup
// look sound to themselves, so a register with witnesses signs nothing new until enough of them to include one of every
// quorum have said that they know no more than we do.
//
// Where several processes serve one register ([Notary]), each makes the tree from the log for itself, since it is a
// function of the log, and one process that holds the keys signs for all. It signs a tree only with a proof that it goes
// on from the last it has signed, and keeps that durably before it answers: so two trees are never signed, whoever asks,
// and the lease that says who proposes spares work but is not what safety hangs on. Each process publishes what was signed
// once its own tree has that root. The price: 58 bytes and two hashes for each event in each process.
//
// Partial tiles are served only for sizes that had a checkpoint, and until their full tile is there; the widths that
// were signed are kept in the checkpoint as one bit each.
//
// The signature others check is Ed25519. The second line is SM2 with SM3 (GB/T 32918.2, user id 1234567812345678) for
// 密评; C2SP has no type for it, so its key id uses type 0xff and the name "zujian/sm2-sm3", and standard tools pass
// over it. Dependencies: golang.org/x/mod for notes and proofs, transparency-dev/formats for cosignature/v1; both BSD or
// Apache-2.0, small, and replaceable by the formats they implement. Pebble is used for its file system alone, which
// tests can crash.
package register
