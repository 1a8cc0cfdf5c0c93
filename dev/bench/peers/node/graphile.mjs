// graphile-worker as a peer of the queue.
//
//   node graphile.mjs migrate
//   node graphile.mjs default|best|narrow --waits FILE [--provider HOST:PORT]
//
// Works on DATABASE_URL until SIGTERM; then writes to FILE how long jobs waited, in microseconds.
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { EventEmitter, once } from 'node:events';
import http from 'node:http';
import { Logger, run, runMigrations } from 'graphile-worker';

const connectionString = process.env.DATABASE_URL;
const [mode, , waitsFile, , provider] = process.argv.slice(2);
const logger = new Logger(() => (level, message) => {
  if (level === 'error') console.error(message);
});

// For throughput; see the README's chapter on performance for what each does.
const presets = {
  default: { concurrentJobs: 10 },
  best: {
    concurrentJobs: 24,
    maxPoolSize: 10,
    localQueue: { size: 500 },
    completeJobBatchDelay: 0,
    failJobBatchDelay: 0,
  },
  narrow: {
    concurrentJobs: 8,
    maxPoolSize: 10,
    localQueue: { size: 16 },
    completeJobBatchDelay: 0,
    failJobBatchDelay: 0,
  },
};

const agent = new http.Agent({ keepAlive: true });
async function ask() {
  const [host, port] = provider.split(':');
  const [response] = await once(http.get({ host, port, agent }), 'response');
  for await (const _ of response);
}
const block = Buffer.alloc(128 * 1024, 7);

if (mode === 'migrate') {
  await runMigrations({ connectionString, logger });
} else {
  const waits = [];
  const events = new EventEmitter();
  events.on('pool:listen:success', () => console.log('ready'));
  const runner = await run({
    preset: { worker: { connectionString, logger, ...presets[mode] } },
    events,
    noHandleSignals: true,
    crontab: '',
    taskList: {
      bench_nothing: async () => {},
      bench_compute: async () => {
        createHash('sha256').update(block).digest();
      },
      bench_ask: ask,
      bench_stamp: async ({ sent_micros }) => {
        waits.push(Number(process.hrtime.bigint() / 1000n) - sent_micros);
      },
    },
  });
  process.on('SIGTERM', async () => {
    await runner.stop();
    writeFileSync(waitsFile, waits.map((waited) => `${waited}\n`).join(''));
    process.exit();
  });
}
