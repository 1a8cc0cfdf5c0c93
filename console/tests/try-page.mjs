// The story of two people, walked on the page to try it.

import { test } from "node:test";

import { shot } from "./shots.mjs";

export function tryPageTests(stage) {
  test("two people meet, talk, book, ask Sam, and pay", async (t) => {
    const page = await stage.open("/");
    const left = page.getByRole("region", { name: "The left person" });
    const right = page.getByRole("region", { name: "The right person" });
    const view = (pane, name) => pane.getByRole("button", { name, exact: true }).click();
    const shows = (pane, part, text) => pane.getByRole("region", { name: part }).filter({ hasText: text }).first().waitFor();

    await t.test("they see each other come online", async () => {
      await shows(left, "Meet River Lindqvist", "online");
      await shows(right, "Meet Casey Moreno", "online");
    });

    await t.test("one connects, the other accepts", async () => {
      await left.getByRole("button", { name: "Connect now" }).click();
      await shows(left, "Invite", "pending");
      await right.getByRole("button", { name: "Accept" }).click();
      for (const pane of [left, right]) await shows(pane, "Session", "in progress");
      await shows(left, "Meet River Lindqvist", "busy");
    });

    await t.test("they chat both ways, and see each other type", async () => {
      const words = "Hey River, <b>how</b> are the bees?";
      await left.getByLabel("Message to River Lindqvist").pressSequentially(words);
      await right.getByText("Casey Moreno is typing…").waitFor();
      await left.getByRole("button", { name: "Send", exact: true }).click();
      await right.getByRole("log").getByText(words).waitFor();
      await right.getByLabel("Message to Casey Moreno").fill("Busy. مرحبا!");
      await right.getByLabel("Message to Casey Moreno").press("Enter");
      await left.getByRole("log").getByText("Busy. مرحبا!").waitFor();
      await shot(page, "try-page");
    });

    await t.test("the host completes the session", async () => {
      await right.getByRole("button", { name: "Complete" }).click();
      for (const pane of [left, right]) await shows(pane, "Session", "complete");
      await shows(left, "Meet River Lindqvist", "online");
    });

    await t.test("a request is approved", async () => {
      await left.getByRole("button", { name: "Send a request" }).click();
      await right.getByRole("button", { name: "Approve" }).click();
      await shows(left, "Request", "approved");
    });

    await t.test("a time of the calendar is booked, and both get a mail", async () => {
      await view(right, "Calendar");
      await right.getByRole("button", { name: "Be there every day" }).click();
      await right.getByText("Your calendar is open").waitFor();
      await view(left, "Calendar");
      await left.getByRole("button", { name: /^Book / }).last().click();
      await left.getByText("It is booked; both get a mail.").waitFor();
      const mailbox = page.getByRole("region", { name: "Mailbox" });
      for (const address of ["casey@example.com", "river@example.com"]) await mailbox.getByText(`to ${address}`).first().waitFor();
      for (const pane of [left, right]) {
        await view(pane, "Talk");
        await pane.getByRole("region", { name: "Session" }).filter({ hasText: "Booking" }).filter({ hasText: "pending" }).waitFor();
      }
    });

    await t.test("Sam proposes a call, which is made when it is confirmed", async () => {
      await view(left, "Sam");
      await left.getByRole("button", { name: "Who knows about bees and is online now?" }).click();
      await left.getByText("River Lindqvist").first().waitFor();
      await left.getByRole("button", { name: "Confirm" }).click();
      await shows(left, "Proposal: offer call", "confirmed");
      await right.getByRole("button", { name: "Decline" }).click();
      await view(left, "Talk");
      await shows(left, "Invite", "declined");
    });

    await t.test("a paid talk is held on the simulator's card page, and taken after it", async () => {
      await right.getByLabel("Who sits here").selectOption("amara");
      await shows(left, "Meet Amara Okafor", "online");
      await left.getByRole("button", { name: "Connect now" }).click();
      await left.getByRole("button", { name: "Pay by card…" }).click();
      const opening = page.waitForEvent("popup");
      await left.getByRole("link", { name: "Open the card page" }).click();
      const cards = await opening;
      await cards.getByRole("button", { name: "Pay" }).click();
      await shows(left, "Session", "authorized");
      await cards.close();
      await right.getByRole("button", { name: "Begin" }).click();
      await right.getByRole("button", { name: "Complete" }).click();
      await shows(left, "Session", "captured");
      await view(left, "Events");
      await left.getByRole("list", { name: "Frames" }).getByText("payment.updated").first().waitFor();
    });

    await t.test("a reload keeps both signed in, and nothing overflows a small screen", async () => {
      await page.setViewportSize({ width: 360, height: 740 });
      await page.reload();
      await shows(left, "Meet Amara Okafor", "online");
      t.assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 360);
    });
    await page.context().close();
  });
}
