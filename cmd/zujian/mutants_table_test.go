package main

// mutants are the seeded faults; TestMutants says how they are tried.
var mutants = []mutant{
	{
		name: "log acknowledges without a sync", file: "eventstore/embedded/commit.go",
		old: "\treturn g.file.SyncData()\n", new: "\treturn nil\n",
		pkg: "eventstore/embedded", test: "TestCrash",
	},
	{
		name: "log acknowledges before the sync", file: "eventstore/embedded/commit.go",
		old: "\t\tif err := s.sync(g); err != nil {\n\t\t\treturn s.fail(fmt.Errorf(\"sync group",
		new: "\t\tgo s.sync(g)\n\t\tif err := error(nil); err != nil {\n\t\t\treturn s.fail(fmt.Errorf(\"sync group",
		pkg: "eventstore/embedded", test: "TestCrash",
	},
	{
		name: "log believes what was never synced", file: "eventstore/embedded/open.go",
		old: "\tif err := g.file.SyncData(); err != nil {\n\t\treturn fmt.Errorf(\"sync %s: %w\", g.name, err)\n\t}\n\tif err := sc.resume(m)",
		new: "\tif err := sc.resume(m)",
		pkg: "eventstore/embedded", test: "TestWhatAKilledProcessLeft",
	},
	{
		name: "log keeps a torn tail", file: "eventstore/embedded/open.go",
		old: "\tif dirty > s.end.pos {", new: "\tif dirty > s.end.pos+1<<40 {",
		pkg: "eventstore/embedded", test: "TestFlipInLastGroup",
	},
	{
		name: "log appends at any expected revision", file: "eventstore/embedded/commit.go",
		old: "\tcase r.expected > head:", new: "\tcase r.expected > head+1:",
		pkg: "eventstore/embedded", test: "TestStoreSmall",
	},
	{
		name: "log forgets to compare ids of a repeat", file: "eventstore/embedded/store.go",
		old: "\t\tif [16]byte(f.id()) != ids[i] {", new: "\t\tif ids[i] == ([16]byte{}) {",
		pkg: "eventstore/embedded", test: "TestStoreSmall",
	},
	{
		name: "log writes on after a failed sync", file: "eventstore/embedded/store.go",
		old: "\ts.queue.close(err)\n\ts.durable.close(err)", new: "\ts.durable.close(err)",
		pkg: "eventstore/embedded", test: "TestFailedSyncIsFatal",
	},
	{
		name: "index runs ahead of its mark", file: "eventstore/embedded/index.go",
		old: "\tif err := setMark(b, x.id, m); err != nil {\n\t\treturn err\n\t}\n\treturn x.db.Apply(b, pebble.NoSync)",
		new: "\tif err := x.db.Apply(b, pebble.NoSync); err != nil || m.ordinal%7 != 0 {\n\t\treturn err\n\t}\n\tc := x.db.NewBatch()\n\tif err := setMark(c, x.id, mark{last: m.last, pos: m.pos + 1, ordinal: m.ordinal, storedAt: m.storedAt}); err != nil {\n\t\treturn err\n\t}\n\treturn x.db.Apply(c, pebble.NoSync)",
		pkg: "eventstore/embedded", test: "TestReopen",
	},
	{
		name: "recorded time goes back with the clock", file: "eventstore/embedded/commit.go",
		old: "\tnext.storedAt = max(next.storedAt, now)\n", new: "\tnext.storedAt = now\n",
		pkg: "eventstore/embedded", test: "TestModel",
	},
	{
		name: "leaf omits the revision", file: "eventstore/leaf/leaf.go",
		old: "\tle.PutUint64(b[24:], uint64(rev))\n\tcopy(b[32:], content[:])", new: "\tcopy(b[32:], content[:])",
		pkg: "eventstore/leaf", test: "TestGolden",
	},
	{
		name: "a lost race is appended without deciding again", file: "eventstore/aggregate/aggregate.go",
		old: "\t\tdone, err := r.Store.Append(ctx, stream, held.at(), out...)", new: "\t\tdone, err := r.Store.Append(ctx, stream, eventstore.AnyRevision, out...)",
		pkg: "eventstore/aggregate", test: "TestExecuteDecidesAgainBounded",
	},
	{
		name: "If-Match is retried", file: "eventstore/aggregate/aggregate.go",
		old: "if expect != nil && *expect != e.at() && !isRepeat {", new: "if false {",
		pkg: "eventstore/aggregate", test: "TestExecuteExpect",
	},
	{
		name: "event ids forget their stream", file: "eventstore/aggregate/aggregate.go",
		old: `append(append(room.named(command), '\n'), stream...)`, new: `append(room.named(command), '\n')`,
		pkg: "eventstore/aggregate", test: "TestIDs",
	},
	{
		name: "a bank's transaction is told by its number alone", file: "domain/escrow/receive.go",
		old: "t.AmountFen == c.AmountFen && t.ValueDate == c.ValueDate && t.PayerMask == c.PayerMask:", new: "true:",
		pkg: "domain/escrow", test: "TestMainPath",
	},
	{
		name: "a journal is off by one posting", file: "domain/escrow/receive.go",
		old: "move(unclassified, s.account(\"other\"), is.OtherFen), ", new: "",
		pkg: "domain/escrow", test: "TestMainPath",
	},
	{
		name: "a release is ordered twice", file: "domain/escrow/release.go",
		old: "\tcase t.Stage == TrancheOrdered || t.Stage == TranchePaid:\n\t\treturn nil, nil\n\tcase t.Stage != TranchePlanned:",
		new: "\tcase t.Stage != TranchePlanned && t.Stage != TrancheOrdered:",
		pkg: "domain/escrow", test: "TestLaws",
	},
	{
		name: "two leases share their last day", file: "domain/unit/occupancy.go",
		old: "o.From > b.Until || b.From > o.Until", new: "o.From >= b.Until || b.From >= o.Until",
		pkg: "domain/unit", test: "TestNoSpaceIsLetTwice",
	},
	{
		name: "a row filter lets other districts in", file: "projections/scope.go",
		old: `(s.District != "" && (s.District == at.District || s.District == at.Unit))`, new: `s.District != ""`,
		pkg: "projections", test: "TestScope",
	},
	{
		name: "a cursor is not bound to its caller", file: "api/headers.go",
		old: "parts := []string{principal(c.Actor), string(c.Actor.Role), c.Actor.Area, c.op.id}", new: "parts := []string{c.op.id}",
		pkg: "api", test: "TestCursors",
	},
	{
		name: "a cursor is taken unsigned", file: "api/headers.go",
		old: "|| !hmac.Equal(raw[:cursorMACBytes], s.cursorMAC(c, string(raw[cursorMACBytes:])))", new: "|| len(s.cursorMAC(c, \"\")) == 0 && hmac.Equal(nil, nil)",
		pkg: "api", test: "TestCursors",
	},
	{
		name: "an erasure leaves the key", file: "eventstore/seal/vault.go",
		old: "\tif err := v.slots.overwrite(s.slot, slot{status: slotErased, subject: id}); err != nil {\n\t\treturn err\n\t}\n\tv.ready.forget", new: "\tv.ready.forget",
		pkg: "eventstore/seal", test: "TestErase",
	},
	{
		name: "an erasure writes no tombstone", file: "eventstore/seal/vault.go",
		old: "\tif err := v.graves.add(id, v.now()); err != nil {\n\t\treturn err\n\t}\n", new: "",
		pkg: "eventstore/seal", test: "TestErase",
	},
	{
		name: "a key is used before it is durable", file: "eventstore/seal/slots.go",
		old: "\tif err == nil && !k.deferSync {", new: "\tif err == nil && !k.deferSync && at/slotLen%2 == 1 {",
		pkg: "eventstore/seal", test: "TestKeysAndPowerLoss",
	},
	{
		name: "keys that a killed process left unsynced are believed", file: "eventstore/seal/slots.go",
		old: "\tif err := f.Sync(); err != nil {\n\t\treturn nil, errors.Join(fmt.Errorf(\"seal: sync keys", new: "\tif err := error(nil); err != nil {\n\t\treturn nil, errors.Join(fmt.Errorf(\"seal: sync keys",
		pkg: "eventstore/seal", test: "TestWhatAKilledProcessLeft",
	},
	{
		name: "tombstones that a killed process left unsynced are believed", file: "eventstore/seal/slots.go",
		old: "\tif err := t.f.Sync(); err != nil {\n\t\treturn nil,", new: "\tif err := error(nil); err != nil {\n\t\treturn nil,",
		pkg: "eventstore/seal", test: "TestWhatAKilledProcessLeft",
	},
	{
		name: "a tombstone is acknowledged before it is durable", file: "eventstore/seal/slots.go",
		old: "\tif err == nil {\n\t\terr = t.f.Sync()\n\t}\n", new: "",
		pkg: "eventstore/seal", test: "TestKeysAndPowerLoss",
	},
	{
		name: "the key is destroyed before the tombstone stands", file: "eventstore/seal/vault.go",
		old: "\tif err := v.graves.add(id, v.now()); err != nil {\n\t\treturn err\n\t}\n\tif s == nil {", new: "\tif s != nil {\n\t\t_ = v.destroy(id, s)\n\t}\n\tif err := v.graves.add(id, v.now()); err != nil {\n\t\treturn err\n\t}\n\tif s == nil {",
		pkg: "eventstore/seal", test: "TestKeysAndPowerLoss",
	},
	{
		name: "a checkpoint is signed before its tree is durable", file: "eventstore/register/register.go",
		old: "\t} else if err := r.tree.sync(); err != nil {", new: "\t} else if err := r.tree.flush(); err != nil {",
		pkg: "eventstore/register", test: "TestPowerLoss",
	},
	{
		name: "a checkpoint is published before it is durable", file: "eventstore/register/register.go",
		old: "\tif err := next.save(r.o.FS, r.o.Dir); err != nil {\n\t\treturn fmt.Errorf(\"register: %w\", err)\n\t}\n\tr.last, r.signedAt = next, r.o.Now()\n\tr.publish()\n", new: "\tr.last, r.signedAt = next, r.o.Now()\n\tr.publish()\n\tif err := next.save(r.o.FS, r.o.Dir); err != nil {\n\t\treturn fmt.Errorf(\"register: %w\", err)\n\t}\n",
		pkg: "eventstore/register", test: "TestWhatIsHandedOutIsDurable",
	},
	{
		name: "a checkpoint that a killed process renamed is believed", file: "eventstore/register/register.go",
		old: "\t\tif err := folder.Sync(r.o.FS, r.o.Dir); err != nil {\n\t\t\treturn err\n\t\t}\n", new: "",
		pkg: "eventstore/register", test: "TestEveryStartThatIsKilled",
	},
	{
		name: "the register's folder has no durable name", file: "eventstore/register/register.go",
		old: "\tif err := folder.Sync(o.FS, o.FS.PathDir(o.Dir)); err != nil {", new: "\tif err := error(nil); err != nil {",
		pkg: "eventstore/register", test: "TestPowerLoss",
	},
	{
		name: "a tree being made again passes for a whole one", file: "eventstore/register/register.go",
		old: "leavesName + \".next\"", new: "leavesName + \"\"",
		pkg: "eventstore/register", test: "TestEveryStartThatIsKilled",
	},
	{
		name: "the root of a tree made again is not compared", file: "eventstore/register/register.go",
		old: "\tif !bytes.Equal(root[:], last.Root) {", new: "\tif !bytes.Equal(root[:], root[:]) {",
		pkg: "eventstore/register", test: "TestLogsThatDoNotGoOn",
	},
	{
		name: "the last events are not compared with their leaves", file: "eventstore/register/audit.go",
		old: "c.same = e.Ordinal == c.at.Events && bytes.Equal(c.leaf, c.chunk[:leaf.Size])", new: "c.same = e.Ordinal == c.at.Events && !bytes.Equal(c.leaf, nil)",
		pkg: "eventstore/register", test: "TestLogsThatDoNotGoOn",
	},
	{
		name: "a tile is served of a width that was never signed", file: "eventstore/register/tile.go",
		old: " || !pub.Widths[level].has(width) || ", new: " || ",
		pkg: "eventstore/register", test: "TestTiles",
	},
	{
		name: "one witness too few confirms", file: "eventstore/register/panel.go",
		old: "\tif given(got) >= p.quorum {", new: "\tif given(got) >= p.quorum-1 {",
		pkg: "eventstore/register", test: "TestTwoOfThreeWitnessesConfirm",
	},
	{
		name: "an old cosignature is played again", file: "eventstore/register/panel.go",
		old: "\t\tif at.Before(s.seen) || ", new: "\t\tif ",
		pkg: "eventstore/register", test: "TestReplayedCosignature",
	},
	{
		name: "one of the two signatures is enough", file: "eventstore/register/checkpoint.go",
		old: "\tif err != nil || len(n.Sigs) != 2 {", new: "\tif err != nil {",
		pkg: "eventstore/register", test: "TestLogsThatDoNotGoOn",
	},
	{
		name: "damaged keys are cut like torn ones", file: "eventstore/seal/slots.go",
		old: "\tif count < atLeast {", new: "\tif count < atLeast-atLeast {",
		pkg: "eventstore/seal", test: "TestTornTails",
	},
	{
		name: "a full disk takes appends", file: "eventstore/embedded/store.go",
		old: "\tif s.disk != nil && s.disk.Full() {", new: "\tif s.disk != nil && s.disk.Full() && s.opts.ReserveBytes < 0 {",
		pkg: "eventstore/embedded", test: "TestBallast",
	},
	{
		name: "a register on a full disk goes on where it was cut off", file: "eventstore/register/register.go",
		old: "\tr.unwritten = true\n", new: "",
		pkg: "eventstore/register", test: "TestFullDiskAtEveryOperation",
	},
	{
		name: "keys that found no room are left behind", file: "eventstore/seal/slots.go",
		old: "\t\treturn k.unwrite(at, len(slots))\n", new: "\t\treturn ErrFull\n",
		pkg: "eventstore/seal", test: "TestFullDisk",
	},
	{
		name: "an event is kept and the key of its fields is not", file: "cmd/zujian/vault.go",
		old: "DeferSync: o.deferSync})", new: "DeferSync: true})",
		pkg: "cmd/zujian", test: "TestWholePowerLoss",
	},
	{
		name: "a filing whose space was lost is acknowledged", file: "api/desk/contracts.go",
		old: "\tif err == nil && lost {", new: "\tif err == nil && lost && id == \"\" {",
		pkg: "cmd/zujian", test: "TestLostReservationIsNoFiling",
	},
	{
		name: "a leap of the clock is forgotten at the next start", file: "cmd/zujian/internal/wallclock/guard.go",
		old: "\t\tif n.Held && ahead >= n.Ahead {", new: "\t\tif n.Held && ahead < 0 {",
		pkg: "cmd/zujian/internal/wallclock", test: "TestStarts",
	},
	{
		name: "a sealed value may move to another field", file: "eventstore/seal/vault.go",
		old: "raw[:2], subject, stream, field)\n\tnonce", new: "raw[:2], subject, stream, \"f\")\n\tnonce",
		pkg: "eventstore/seal", test: "TestLawsUnderBothSuites",
	},
}
