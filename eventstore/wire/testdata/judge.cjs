// What a program in Node does with the log, through an official client. Run: node judge.cjs PACKAGE CONNECTION
// Prints "ok NAME" or "not ok NAME: why" for each check; exits 1 if one failed.
const assert = require("node:assert/strict");
const { randomUUID } = require("node:crypto");
const [, , pkg, connection] = process.argv;
const lib = require(pkg);
const Client = lib.KurrentDBClient ?? lib.EventStoreDBClient;
const { jsonEvent, binaryEvent, START, END, FORWARDS, BACKWARDS, NO_STREAM, ANY, STREAM_EXISTS, PARK, RETRY, SKIP } = lib;
const client = Client.connectionString(connection);
const name = (what) => `${what}-${randomUUID()}`;
const events = (n, type = "something-happened") => Array.from({ length: n }, (_, i) => jsonEvent({ type, data: { i, text: "租赁合同" } }));
const expect = (state) => ({ expectedRevision: state, streamState: state }); // Each generation has its own name for it.
const deadline = (ms, what) => new Promise((_, no) => setTimeout(() => no(new Error(`${what}: nothing for ${ms} ms`)), ms).unref());
const within = (p, what) => Promise.race([p, deadline(45_000, what)]);

async function collect(stream, n = Infinity) {
  const out = [];
  for await (const e of stream) {
    out.push(e);
    if (out.length === n) break;
  }
  return out;
}
async function rejects(what, promise, type) {
  try {
    await promise();
  } catch (e) {
    if (e.constructor.name !== type && e.type !== type) assert.fail(`${what}: got ${e.constructor.name} (${e.message}), want ${type}`);
    return e;
  }
  assert.fail(`${what}: nothing was thrown, want ${type}`);
}
// take reads n events of a subscription by its own iterator.
async function take(sub, n, each = async () => {}) {
  const out = [];
  for await (const e of sub) {
    await each(e);
    out.push(e);
    if (out.length === n) break;
  }
  return out;
}

const checks = {
  async appendAndRead() {
    const stream = name("judge");
    const id = randomUUID();
    const first = jsonEvent({ id, type: "made", data: { a: 1 }, metadata: { who: "you" } });
    const done = await client.appendToStream(stream, first, expect(NO_STREAM));
    assert.equal(done.success, true);
    assert.equal(done.nextExpectedRevision, 0n);
    assert.ok(done.position.commit > 0n);
    const bytes = Buffer.from([0, 1, 254, 255]);
    await client.appendToStream(stream, [binaryEvent({ type: "raw", data: bytes, metadata: bytes }), ...events(3)], expect(0n));
    const got = await collect(client.readStream(stream, { direction: FORWARDS, fromRevision: START }));
    assert.deepEqual(got.map((e) => e.event.revision), [0n, 1n, 2n, 3n, 4n]);
    assert.equal(got[0].event.id, id);
    assert.deepEqual(got[0].event.data, { a: 1 });
    assert.deepEqual(got[0].event.metadata, { who: "you" });
    assert.deepEqual(Buffer.from(got[1].event.data), bytes);
    assert.ok(Math.abs(Date.now() - new Date(got[0].event.created).getTime()) < 600_000);
    const back = await collect(client.readStream(stream, { direction: BACKWARDS, fromRevision: END, maxCount: 2 }));
    assert.deepEqual(back.map((e) => e.event.revision), [4n, 3n]);
    const again = await client.appendToStream(stream, first, expect(NO_STREAM));
    assert.equal(again.nextExpectedRevision, 0n);
  },
  async expectations() {
    const stream = name("judge");
    await rejects("no stream yet", () => client.appendToStream(stream, events(1), expect(STREAM_EXISTS)), "WrongExpectedVersionError");
    await client.appendToStream(stream, events(2), expect(ANY));
    const e = await rejects("wrong revision", () => client.appendToStream(stream, events(1), expect(7n)), "WrongExpectedVersionError");
    assert.equal(e.actualVersion ?? e.actualState ?? e.actualStreamState, 1n);
    await rejects("too large", () => client.appendToStream(stream, jsonEvent({ type: "big", data: { x: "x".repeat(2_000_000) } })), "MaxAppendSizeExceededError");
  },
  async manyAppendsAtOnce() {
    const stream = name("judge");
    const done = await Promise.all(Array.from({ length: 200 }, (_, i) => client.appendToStream(`${stream}-${i % 5}`, events(3))));
    assert.ok(done.every((d) => d.success));
    for (let i = 0; i < 5; i++) assert.equal((await collect(client.readStream(`${stream}-${i}`))).length, 120);
  },
  async deletes() {
    const stream = name("judge");
    await rejects("a stream that never was", () => client.deleteStream(stream, expect(0n)), "WrongExpectedVersionError");
    await client.appendToStream(stream, events(5));
    await client.deleteStream(stream);
    await rejects("read deleted", () => collect(client.readStream(stream)), "StreamNotFoundError");
    const more = await client.appendToStream(stream, events(1), expect(NO_STREAM));
    assert.equal(more.nextExpectedRevision, 5n);
    assert.deepEqual((await collect(client.readStream(stream))).map((e) => e.event.revision), [5n]);
    await client.tombstoneStream(stream);
    const e = await rejects("read ended", () => collect(client.readStream(stream)), "StreamDeletedError");
    assert.equal(e.streamName, stream);
    await rejects("append to ended", () => client.appendToStream(stream, events(1)), "StreamDeletedError");
  },
  async streamMetadata() {
    const stream = name("judge");
    await client.appendToStream(stream, events(10));
    await client.setStreamMetadata(stream, { maxCount: 3, acl: { readRoles: ["$all"] }, ours: "kept" });
    const { metadata } = await client.getStreamMetadata(stream);
    assert.equal(metadata.maxCount, 3);
    assert.equal(metadata.ours, "kept");
    assert.deepEqual((await collect(client.readStream(stream))).map((e) => e.event.revision), [7n, 8n, 9n]);
  },
  async readAllByFilter() {
    const type = name("type");
    await client.appendToStream(name("judge"), events(4, type));
    const all = await collect(client.readAll({ direction: BACKWARDS, fromPosition: END, maxCount: 2000 }));
    assert.ok(all.length > 4);
    assert.ok(all.every((e, i) => i === 0 || e.event.position.commit < all[i - 1].event.position.commit));
    if (lib.KurrentDBClient) {
      const some = await collect(client.readAll({ filter: lib.eventTypeFilter({ prefixes: [type] }), maxCount: 10 }));
      assert.equal(some.length, 4);
    }
  },
  async subscribeToStream() {
    const stream = name("judge");
    await client.appendToStream(stream, events(50));
    const sub = client.subscribeToStream(stream, { fromRevision: START });
    let caughtUp = 0;
    sub.on("caughtUp", () => caughtUp++);
    const all = within(take(sub, 60), "subscription");
    setTimeout(() => client.appendToStream(stream, events(10)).catch(() => {}), 200);
    assert.deepEqual((await all).map((e) => e.event.revision), Array.from({ length: 60 }, (_, i) => BigInt(i)));
    assert.equal(caughtUp, 1);
    await sub.unsubscribe();
  },
  async subscribeToAllByFilter() {
    const prefix = name("judge");
    let checkpoints = 0;
    const sub = client.subscribeToAll({
      fromPosition: START,
      filter: lib.streamNameFilter({ prefixes: [prefix], checkpointInterval: 1, maxSearchWindow: 10, checkpointReached: async () => { checkpoints++; } }),
    });
    const got = within(take(sub, 3), "filtered subscription");
    for (let i = 0; i < 3; i++) await client.appendToStream(`${prefix}-${i}`, events(1));
    assert.deepEqual((await got).map((e) => e.event.streamId), [0, 1, 2].map((i) => `${prefix}-${i}`));
    assert.ok(checkpoints > 0);
    await sub.unsubscribe();
  },
  async virtualStreams() {
    const category = name("judge").replaceAll("-", "");
    for (let i = 0; i < 3; i++) await client.appendToStream(`${category}-${i}`, events(2, category));
    for (const stream of [`$ce-${category}`, `$et-${category}`]) {
      const got = await collect(client.readStream(stream, { resolveLinkTos: true }));
      assert.equal(got.length, 6);
      assert.equal(got[5].link.streamId, stream);
      assert.equal(got[5].link.revision, 5n);
      assert.equal(got[5].event.streamId, `${category}-2`);
    }
  },
  async persistentAckRetryParkReplay() {
    const stream = name("judge"), group = "readers";
    const settings = lib.persistentSubscriptionToStreamSettingsFromDefaults({ startFrom: START, maxRetryCount: 5 });
    await client.createPersistentSubscriptionToStream(stream, group, settings);
    await rejects("twice", () => client.createPersistentSubscriptionToStream(stream, group, settings), "PersistentSubscriptionExistsError");
    await client.appendToStream(stream, events(6));
    const sub = client.subscribeToPersistentSubscriptionToStream(stream, group, { bufferSize: 10 });
    const seen = [];
    await within(take(sub, 7, async (e) => {
      seen.push([e.event.revision, e.retryCount]);
      if (e.event.revision === 1n && e.retryCount === 0) await sub.nack(RETRY, "again", e);
      else if (e.event.revision === 2n) await sub.nack(PARK, "not now", e);
      else if (e.event.revision === 3n) await sub.nack(SKIP, "never", e);
      else await sub.ack(e);
    }), "persistent subscription");
    assert.deepEqual(seen.filter(([r]) => r === 1n), [[1n, 0], [1n, 1]]);
    let info;
    for (let i = 0; i < 600; i++) { // An answer may be on its way still when the subscription is ended.
      info = await client.getPersistentSubscriptionToStreamInfo(stream, group);
      if (Number(info.stats.parkedMessageCount) === 1 && Number(info.stats.outstandingMessagesCount) === 0) break;
      await new Promise((ok) => setTimeout(ok, 50));
    }
    await sub.unsubscribe();
    const next = client.subscribeToPersistentSubscriptionToStream(stream, group, { bufferSize: 10 });
    assert.equal(Number(info.stats.parkedMessageCount), 1);
    assert.equal(info.eventSource, stream);
    assert.equal(info.settings.maxRetryCount, 5);
    await client.replayParkedMessagesToStream(stream, group);
    await within((async () => {
      for await (const e of next) { // At least once: an answer lost with the first subscription brings its event again.
        await next.ack(e);
        if (e.event.revision === 2n) break;
      }
    })(), "replay");
    await next.unsubscribe();
    assert.ok((await client.listAllPersistentSubscriptions()).some((s) => s.eventSource === stream && s.groupName === group));
    await client.updatePersistentSubscriptionToStream(stream, group, lib.persistentSubscriptionToStreamSettingsFromDefaults({ maxRetryCount: 2 }));
    await client.deletePersistentSubscriptionToStream(stream, group);
    const e = await rejects("deleted", () => client.getPersistentSubscriptionToStreamInfo(stream, group), "PersistentSubscriptionDoesNotExistError");
    assert.equal(e.streamName, stream);
  },
  async persistentToAll() {
    const group = name("group"), prefix = name("judge");
    await client.createPersistentSubscriptionToAll(group, lib.persistentSubscriptionToAllSettingsFromDefaults({ startFrom: START }), {
      filter: lib.streamNameFilter({ prefixes: [prefix] }),
    });
    await client.appendToStream(prefix, events(3));
    const sub = client.subscribeToPersistentSubscriptionToAll(group);
    const got = await within(take(sub, 3, (e) => sub.ack(e)), "persistent subscription to all");
    assert.deepEqual(got.map((e) => e.event.streamId), [prefix, prefix, prefix]);
    await sub.unsubscribe();
    await client.deletePersistentSubscriptionToAll(group);
  },
  async badLogin() {
    const bad = { credentials: { username: "nobody", password: "wrong" } };
    const e = await rejects("bad login", () => client.appendToStream(name("judge"), events(1), bad), "UnknownError").catch((why) => why);
    assert.match(`${e.message}`, /Unauthenticated|UNAUTHENTICATED|credentials|authenticat/i);
  },
};

(async () => {
  let failed = 0;
  for (const [what, check] of Object.entries(checks)) {
    const start = Date.now();
    try {
      await within(check(), what);
      console.log(`ok ${what} (${Date.now() - start} ms)`);
    } catch (e) {
      failed++;
      console.log(`not ok ${what}: ${e.stack}`);
    }
  }
  await client.dispose();
  process.exit(failed ? 1 : 0);
})();
