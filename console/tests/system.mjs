// The real system, started as bin/dev starts it: api, worker, Postgres, Redis, the Stripe simulator, demo people.
// It has a folder and ports of its own, and ends with the tests.

import { execFileSync, spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const PROGRAM = join(process.env.HC_TARGET_DIR ?? join(ROOT, "target"), "debug", "humanchat-local");
const PATIENCE_MS = 60_000;

/** What a developer may have set for themselves must not decide what is tested: empty is unset, and wins. */
const UNSET = [
  "DATABASE_URL", "REDIS_URL", "PUBLIC_URL", "SMTP_URL", "STRIPE_SECRET_KEY", "STRIPE_API_BASE", "GEMINI_API_KEY", "ALLOWED_ORIGINS",
  "TRUSTED_PROXIES",
];

/** Where Chromium is, if it is anywhere. */
export function chromium() {
  const names = ["chromium", "chromium-browser", "google-chrome"];
  const folders = (process.env.PATH ?? "").split(delimiter);
  return folders.flatMap((folder) => names.map((name) => join(folder, name))).find((file) => existsSync(file));
}

function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer().once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

/** Starts it and waits until it answers. */
export async function start() {
  const data = mkdtempSync("/tmp/humanchat-browser.");
  const settings = Object.fromEntries(UNSET.map((name) => [name, ""]));
  // Everybody here has one address, and a click is faster than a person.
  const limits = { RATE_LIMIT_ANON: "0", RATE_LIMIT_USER: "0", RATE_LIMIT_ADMIN: "0" };
  const env = { ...process.env, ...settings, ...limits, BIND_ADDR: `127.0.0.1:${await freePort()}` };
  const child = spawn(PROGRAM, ["up", "--data", data], { cwd: ROOT, env, stdio: ["ignore", "pipe", "pipe"] });
  let log = "";
  const ended = new Promise((resolve) => child.once("exit", resolve));
  // However the tests end, it doesn't go on without them.
  const end = () => child.kill("SIGTERM");
  process.once("exit", end);
  process.once("SIGTERM", () => process.exit(143));
  const stop = async () => {
    process.removeListener("exit", end);
    end();
    await ended;
    rmSync(data, { recursive: true, force: true });
  };
  const url = await new Promise((resolve, reject) => {
    const fail = (why) => reject(new Error(`${why}\n${log}`));
    const timer = setTimeout(() => fail("the system does not come up"), PATIENCE_MS);
    const read = (chunk) => {
      log += chunk;
      // The summary's last lines are the logins.
      const found = /Console +(http:\S+)\/console[\s\S]*admin@example\.com/.exec(log);
      if (!found) return;
      clearTimeout(timer);
      resolve(found[1]);
    };
    child.stdout.on("data", read);
    child.stderr.on("data", read);
    void ended.then(() => fail("the system has ended"));
  }).catch(async (error) => {
    await stop();
    throw error;
  });
  const [, database] = /psql '([^']+)'/.exec(log) ?? [];
  return {
    url,
    stop,
    log: () => log,
    /** Asks the database, for what only time or misfortune would bring about. */
    sql: (statement) => execFileSync("psql", [database, "-v", "ON_ERROR_STOP=1", "-qtAc", statement], { encoding: "utf8" }).trim(),
  };
}
