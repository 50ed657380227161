// Colyseus' `RedisPresence`, asked line by line: `[method, ..arguments]` in, `{"answer": ..}` or `{"error": ".."}` out. What it hears on
// topics comes as `{"heard": [topic, data]}` in between.
import { createInterface } from "node:readline";
import { RedisPresence } from "@colyseus/redis-presence";

const presence = new RedisPresence(Number(process.argv[2]));
const tell = (what) => process.stdout.write(JSON.stringify(what) + "\n");

async function ask([method, ...args]) {
  if (method === "subscribe") {
    await presence.subscribe(args[0], (data) => tell({ heard: [args[0], data] }));
    return null;
  }
  if (method === "unsubscribe") {
    await presence.unsubscribe(args[0]);
    return null;
  }
  return (await presence[method](...args)) ?? null;
}

for await (const line of createInterface({ input: process.stdin })) {
  try {
    tell({ answer: await ask(JSON.parse(line)) });
  } catch (error) {
    tell({ error: String(error) });
  }
}
presence.shutdown();
