// The pages in a real Chromium, on the real system.

import { after, before, test } from "node:test";

import { chromium as playwright } from "playwright-core";

import { consoleTests } from "./console.mjs";
import { chromium, start } from "./system.mjs";
import { tryPageTests } from "./try-page.mjs";

/** As root in a container, with nothing of anybody's profile, and quiet. */
const FLAGS = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync",
];

const stage = {};

before(async () => {
  stage.system = await start();
  // Playwright gives each start a fresh profile.
  stage.browser = await playwright.launch({ executablePath: chromium(), args: FLAGS });
  stage.faults = [];
  /** A page of a new person, whose scripts must not fail and must not be refused anything by the page's policy. */
  stage.open = async (path, options = {}) => {
    const context = await stage.browser.newContext({ baseURL: stage.system.url, viewport: { width: 1280, height: 860 }, ...options });
    context.setDefaultTimeout(15_000);
    context.on("weberror", (error) => stage.faults.push(error.error().stack));
    context.on("console", (message) => {
      const isRefusal = /Content Security Policy/.test(message.text());
      if (isRefusal) stage.faults.push(message.text());
    });
    const page = await context.newPage();
    await page.goto(path);
    return page;
  };
});

after(async () => {
  await stage.browser?.close();
  await stage.system?.stop();
});

tryPageTests(stage);
consoleTests(stage);

test("no script failed, and nothing was refused by the pages' policy", (t) => {
  t.assert.deepEqual(stage.faults, []);
});
