// What operators do, done on the console.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { test } from "node:test";

import { pastForPictures, shot } from "./shots.mjs";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const VIEWS = ["Overview", "Queues", "Jobs", "Users", "Requests", "Sessions", "Payments", "Announcements", "Audit log"];
const PASSWORD = "humanchat-demo";
const MARKUP = '<img src=x onerror="window.hacked=1">';
const PARKED = `${MARKUP} \u202etxet `.repeat(300).slice(0, 10_000);

async function signIn(page, name) {
  await page.getByLabel("Email").fill(`${name}@example.com`);
  await page.getByLabel("Password").fill(PASSWORD);
  await page.getByRole("button", { name: "Sign in" }).click();
}

async function view(page, title) {
  await page.getByRole("navigation", { name: "Views" }).getByRole("link", { name: title, exact: true }).click();
  await page.getByRole("heading", { name: title, level: 1 }).waitFor();
}

/** Says what keeps people from using the page, in the words of axe. */
async function obstacles(page) {
  // Through the debugger, as an extension would: the page's own policy allows no such script.
  const found = await page.evaluate(`${AXE}; axe.run(document, { resultTypes: ["violations"] })`);
  return found.violations.flatMap(({ id, nodes }) => nodes.map(({ html }) => `${id}: ${html.slice(0, 200)}`));
}

async function register(stage, name, email) {
  const body = JSON.stringify({ name, email, password: PASSWORD });
  const headers = { "Content-Type": "application/json" };
  const answer = await fetch(`${stage.system.url}/api/auth/register`, { method: "POST", headers, body });
  if (!answer.ok) throw new Error(await answer.text());
}

export function consoleTests(stage) {
  test("only staff come in", async (t) => {
    const page = await stage.open("/console");
    await signIn(page, "nobody");
    await page.getByRole("alert").getByText("invalid_credentials").waitFor();
    await signIn(page, "casey");
    await page.getByRole("alert").getByText("Casey Moreno is no member of the staff.").waitFor();
    t.assert.deepEqual(await obstacles(page), []);
    await page.context().close();
  });

  test("an operator's day", async (t) => {
    await register(stage, MARKUP, "markup@example.com");
    await register(stage, "100% human", "percent@example.com");
    await register(stage, "% off", "off@example.com");
    await register(stage, "ليلى الحسن", "layla@example.com");
    pastForPictures(stage.system.sql);
    const page = await stage.open("/console/queues");
    await signIn(page, "admin");
    const row = (text) => page.getByRole("row").filter({ hasText: text });

    await t.test("a queue is paused and goes on, seen live", async () => {
      const mail = page.getByRole("row").filter({ has: page.getByText("mail", { exact: true }) });
      await mail.getByRole("button", { name: "Pause" }).click();
      await mail.getByText("paused").waitFor();
      await page.getByText("mail is paused: what runs goes on.").waitFor();
      const headers = { "Content-Type": "application/json" };
      await fetch(`${stage.system.url}/api/auth/magic-link`, { method: "POST", headers, body: '{"email":"casey@example.com"}' });
      await mail.getByRole("link", { name: "1 available jobs of mail" }).waitFor();
      await shot(page, "console-queues");
      await mail.getByRole("button", { name: "Resume" }).click();
      await mail.getByText("open", { exact: true }).waitFor();
      await mail.getByRole("link", { name: "1 available jobs of mail" }).waitFor({ state: "hidden" });
    });

    await t.test("a parked job is read and tried again", async () => {
      stage.system.sql(`insert into jobs (id, kind, queue, priority, data, state, run_at, attempt, max_attempts, last_error, created_at, finished_at)
        values (gen_random_uuid(), 'expire_invite', 'default', 0, '{"invite_id": "inv_01jd8t6ze5fkxrv8q3w2m9n7ab"}', 'parked', now(), 5, 5,
                '${PARKED}', now(), now())`);
      await page.getByRole("link", { name: "1 parked jobs of default" }).click();
      await page.getByRole("button", { name: "expire_invite" }).click();
      const dialog = page.getByRole("dialog");
      const error = dialog.getByLabel("Last error");
      t.assert.equal(await error.textContent(), PARKED);
      t.assert.deepEqual(await obstacles(page), []);
      await page.keyboard.press("Escape");
      await dialog.waitFor({ state: "hidden" });
      await page.getByRole("button", { name: "expire_invite" }).press("Enter");
      await dialog.getByRole("button", { name: "Try again now" }).click();
      await dialog.getByText("done", { exact: true }).waitFor();
      await page.keyboard.press("Escape");
    });

    await t.test("people are found by what their names begin with, sign by sign", async () => {
      await view(page, "Users");
      await row("markup@example.com").getByText(MARKUP, { exact: true }).waitFor();
      const search = page.getByRole("searchbox");
      for (const [text, found] of [["%", "% off"], ["100%", "100% human"], ["ليلى", "layla@example.com"]]) {
        await search.fill(text);
        await page.getByRole("button", { name: "Search" }).click();
        await row(found).waitFor();
        await page.waitForURL(`**/users?search=${encodeURIComponent(text).replaceAll("%20", "+")}`);
        // The head, and nobody else.
        await page.getByRole("row").nth(2).waitFor({ state: "detached" });
      }
      await search.fill("_");
      await search.press("Enter");
      await page.getByText("Nobody is found.").waitFor();
    });

    await t.test("a member's flags are changed after a second look, and refusals are shown", async () => {
      const search = async (text) => {
        await page.getByRole("searchbox").fill(text);
        await page.getByRole("searchbox").press("Enter");
      };
      await search("100%");
      await page.getByRole("button", { name: "100% human" }).click();
      const dialog = page.getByRole("dialog");
      await dialog.getByLabel("Managed: staff answer for them").check();
      await dialog.getByRole("button", { name: "Change…" }).click();
      await dialog.getByText("no → yes").waitFor();
      await dialog.getByRole("button", { name: "Yes, change it" }).click();
      await row("100% human").getByText("managed").waitFor();
      await search("Ada");
      await page.getByRole("button", { name: "Ada Admin" }).click();
      await dialog.getByLabel("Role").selectOption("user");
      await dialog.getByRole("button", { name: "Change…" }).click();
      await dialog.getByRole("button", { name: "Yes, change it" }).click();
      await dialog.getByRole("alert").waitFor();
      await page.keyboard.press("Escape");
      await view(page, "Audit log");
      await row("user changed").getByText("managed: true").waitFor();
    });

    await t.test("an announcement reaches everybody", async () => {
      await view(page, "Announcements");
      await page.getByRole("button", { name: "Announce something…" }).click();
      const dialog = page.getByRole("dialog");
      await dialog.getByLabel("Title").fill("Maintenance on Sunday");
      await dialog.getByLabel("Text").fill(`We are away from 02:00 to 02:10 UTC. ${MARKUP}`);
      await dialog.getByLabel("By mail too").check();
      t.assert.deepEqual(await obstacles(page), []);
      await dialog.getByRole("button", { name: "Announce…" }).click();
      await dialog.getByText("This goes to everybody, in their notifications and by mail. It can't be taken back.").waitFor();
      await dialog.getByRole("button", { name: "Yes, announce it" }).click();
      await row("Maintenance on Sunday").getByText(/^100 % · (\d+) of \1$/).waitFor();
    });

    await t.test("everybody can use every view, by day and by night, on a small screen", async () => {
      for (const colorScheme of ["light", "dark"]) {
        await page.emulateMedia({ colorScheme });
        for (const title of VIEWS) {
          await view(page, title);
          await page.locator("[aria-busy=true]").first().waitFor({ state: "detached" });
          t.assert.deepEqual(await obstacles(page), [], `${title}, ${colorScheme}`);
          if (title === "Overview") await shot(page, `console-${colorScheme}`);
        }
      }
      await page.setViewportSize({ width: 360, height: 740 });
      for (const title of VIEWS) {
        await view(page, title);
        await page.locator("[aria-busy=true]").first().waitFor({ state: "detached" });
        t.assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 360, title);
      }
      await view(page, "Queues");
      await page.getByRole("button", { name: "Pause mail" }).waitFor();
      await shot(page, "console-small");
    });
    t.assert.equal(await page.evaluate(() => window.hacked), undefined, "what people call themselves is text");
    await page.context().close();
  });

  // The last one: the first proof of an address voids the password from before it.
  test("a mailed link signs in where it was asked for, and is held by one page", async (t) => {
    const page = await stage.open("/console");
    await page.getByLabel("Email").fill("admin@example.com");
    await page.getByRole("button", { name: "Mail me a link" }).click();
    await page.getByText("a link is on its way").waitFor();
    const mailbox = await page.context().newPage();
    await mailbox.goto("/dev/mailbox?to=admin%40example.com");
    await mailbox.getByRole("link", { name: /magic-link/ }).first().click();
    await mailbox.getByRole("button", { name: "Sign in" }).click();
    await page.getByRole("heading", { name: "Overview" }).waitFor();
    t.assert.equal(await page.evaluate(() => localStorage.length + sessionStorage.length), 0);
    await page.reload();
    await page.getByRole("heading", { name: "Overview" }).waitFor();
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByText("You are signed out.").waitFor();
    await page.reload();
    await page.getByRole("button", { name: "Sign in" }).waitFor();
    await page.context().close();
  });
}
