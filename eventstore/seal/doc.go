// Package seal keeps personal data readable only while its subject's key exists (数据主体密钥). It seals single fields
// with a random key per subject, makes blind indexes for equality search, signs certificates, and masks for display.
// It knows neither events nor aggregates: the edge seals before a command is built and opens after a view is read.
//
// # Decisions
//
//   - Additional data of each field are suite ‖ subject ‖ stream ‖ field, each with its length, so a value can't be cut
//     from one field, stream or person and pasted into another. The stream revision is not in it: sealing happens at
//     the edge, before the decision whose retry may land on any revision, and a replay must give the same bytes.
//   - One suite byte leads every sealed value and wrapped key (0x01 INTL: AES-256-GCM; 0x02 GM: SM4-GCM, GB/T 32907,
//     GM/T 0002). All registered suites are read, the configured one is written, and none is ever tried blindly.
//   - Keys live in fixed slots of one file. Erasing writes the tombstone first, then overwrites the slot in place, so
//     a crash between the two is finished at the next opening, and restoring an old key file can't bring a key back.
//     On storage that copies on write the old block may survive under the key-encryption key; destroying that key
//     version is the stronger way, and backups of this folder must expire (trust: 30 days).
//   - The file of slots grows in pieces of zeroes, so that most groups are synced without anything of the file system's own:
//     a third less waiting, and more where it keeps a journal. A sector is written whole or not at all, so a slot is, and those beside it that were acknowledged before
//     are in either. Zeroes behind the last slot are room, before it a group that was never acknowledged.
//   - A failed sync is never retried: the vault refuses new keys until it is opened again from the disk.
//     A full disk is no failure: what found no room is zeroed, as a subject asked for again gets another slot, and ErrFull
//     says that nothing was written.
//   - What is read at the opening is synced before anybody relies on it: a process killed between write and sync leaves
//     keys and tombstones that the next one sees and a power loss would take. The folder is on Pebble's file-system
//     layer, of which nothing else is used, so that tests can lose the power at each of its operations.
//   - Blind indexes take the suite the folder was created with, as an index that changes its hash finds nothing.
//   - Software keys are no certified module (GB/T 39786): [KeyWrapper] is where an HSM or 密码机 goes.
package seal
