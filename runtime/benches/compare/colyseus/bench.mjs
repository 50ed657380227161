// Colyseus' LocalPresence under the benchmark `compare`: says its versions, then for each line `operation count` on
// standard input runs so many awaited calls and answers with the seconds that they took.
//
// What it works on is what `speed.rs` works on: the same names, values and numbers of them. Each operation has a
// presence and a loop of its own, so that the engine can make the best of each.
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';
import { LocalPresence } from '@colyseus/core/presence/LocalPresence';

const room = 'room-0';
const players = Array.from({ length: 4096 }, (_, n) => `player-${n}`);
const last = players.length - 1;
let heard = 0;

const operations = {
  hset: {
    prepare() {},
    async run(presence, count) {
      for (let n = 0; n < count; n++) await presence.hset(room, players[n & last], 'lobby');
    },
  },
  hget: {
    prepare(presence) {
      for (const player of players) presence.hset(room, player, 'lobby');
    },
    async run(presence, count) {
      let found = 0;
      for (let n = 0; n < count; n++) if ((await presence.hget(room, players[n & last])) !== null) found++;
      expect(found, count);
    },
  },
  incr: {
    prepare() {},
    async run(presence, count) {
      for (let n = 0; n < count; n++) await presence.incr(players[n & last]);
    },
  },
  set: {
    prepare() {},
    async run(presence, count) {
      for (let n = 0; n < count; n++) await presence.set(players[n & last], 'lobby');
    },
  },
  get: {
    prepare(presence) {
      for (const player of players) presence.set(player, 'lobby');
    },
    async run(presence, count) {
      let found = 0;
      for (let n = 0; n < count; n++) if ((await presence.get(players[n & last])) !== undefined) found++;
      expect(found, count);
    },
  },
  sadd: {
    prepare() {},
    async run(presence, count) {
      for (let n = 0; n < count; n++) await presence.sadd(room, players[n & last]);
    },
  },
  'sadd-few': {
    prepare() {},
    async run(presence, count) {
      for (let n = 0; n < count; n++) await presence.sadd(room, players[n & 15]);
    },
  },
  smembers: {
    prepare(presence) {
      for (const player of players.slice(0, 1000)) presence.sadd(room, player);
    },
    async run(presence, count) {
      let members = 0;
      for (let n = 0; n < count; n++) members += (await presence.smembers(room)).length;
      expect(members, count * 1000);
    },
  },
  publish: {
    prepare(presence) {
      presence.subscribe(room, () => heard++);
    },
    async run(presence, count) {
      const before = heard;
      for (let n = 0; n < count; n++) await presence.publish(room, 'hello all');
      expect(heard - before, count);
    },
  },
};

function expect(actual, expected) {
  if (actual !== expected) throw new Error(`${actual} instead of ${expected}`);
}

for (const operation of Object.values(operations)) {
  operation.presence = new LocalPresence();
  operation.prepare(operation.presence);
}

const { version } = createRequire(import.meta.url)('@colyseus/core/package.json');
console.log(`@colyseus/core ${version} on Node ${process.version}`);
for await (const line of createInterface({ input: process.stdin })) {
  const [name, count] = line.split(' ');
  const { presence, run } = operations[name];
  const start = process.hrtime.bigint();
  await run(presence, Number(count));
  console.log(Number(process.hrtime.bigint() - start) / 1e9);
}
