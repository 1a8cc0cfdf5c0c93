/** The page to try it on: two people side by side, and the mailbox. It uses the api as any client would. */

import "../ui/base.css";
import "./try.css";

import { render } from "preact";
import { useEffect, useMemo, useState } from "preact/hooks";

import { keepOverReload, Login, takeKept } from "../api/login";
import { Problem } from "../ui/parts";
import { useDeed } from "../ui/hooks";
import { Mailbox } from "./Mailbox";
import { Pane } from "./Pane";
import { Seat } from "./seat";
import { SettingsContext, type PageSettings } from "./settings";

/** The demo people that `bin/dev` makes. */
const PEOPLE: [name: string, about: string][] = [
  ["casey", "Casey, a guest"],
  ["river", "River, a free host"],
  ["amara", "Amara, a paid host"],
  ["kenji", "Kenji, a host for charity"],
];
const PASSWORD = "humanchat-demo";
const SIDES = ["left", "right"] as const;
type Side = (typeof SIDES)[number];

const logins: Partial<Record<Side, Login>> = {};
for (const side of SIDES) {
  logins[side] = takeKept(`humanchat.try.${side}`);
  keepOverReload(`humanchat.try.${side}`, () => logins[side]);
}

function TryPage() {
  const [people, setPeople] = useState(logins);
  const [settings, setSettings] = useState<PageSettings>({ cardPages: null });
  useEffect(() => {
    const load = async () => setSettings((await (await fetch("/dev/settings.json")).json()) as PageSettings);
    load().catch(() => {});
  }, []);
  const sitDown = (side: Side, login: Login) => {
    login.onEnd = () => setPeople((before) => ({ ...before, [side]: undefined }));
    setPeople((before) => ({ ...before, [side]: login }));
  };
  Object.assign(logins, people);

  return (
    <SettingsContext.Provider value={settings}>
      <header class="top">
        <h1>Try HumanChat</h1>
        <p>Two people in one window, each with a login and a socket of their own.</p>
        <nav aria-label="More">
          <a href="/docs/">API</a> <a href="/console">Console</a>
          {settings.cardPages && <> <a href={settings.cardPages}>Payments</a></>}
        </nav>
      </header>
      <main class="panes">
        {SIDES.map((side) => (
          <Place key={side} side={side} login={people[side]} other={people[side === "left" ? "right" : "left"]}
            onLogin={(login) => sitDown(side, login)} />
        ))}
      </main>
      <Mailbox />
    </SettingsContext.Provider>
  );
}

function Place({ side, login, other, onLogin }: {
  side: Side;
  login: Login | undefined;
  other: Login | undefined;
  onLogin: (login: Login) => void;
}) {
  const enter = useDeed(async (name: string) => onLogin(await Login.withPassword(`${name}@example.com`, PASSWORD)));
  useEffect(() => {
    if (!login) void enter.run(side === "left" ? "casey" : "river");
  }, []);
  const seat = useMemo(() => (login && other && login.user.id !== other.user.id ? new Seat(login, other.user.id) : undefined), [login, other]);
  useEffect(() => () => seat?.socket.close(), [seat]);
  const name = PEOPLE.find(([name]) => login?.user.email.startsWith(`${name}@`))?.[0] ?? "";
  return (
    <section class="panel pane" aria-label={`The ${side} person`}>
      <label class="who">
        <span class="visually-hidden">Who sits here</span>
        <select value={name} disabled={enter.isBusy} onChange={(event) => void enter.run(event.currentTarget.value)}>
          {!name && <option value="">nobody yet</option>}
          {PEOPLE.map(([name, about]) => <option key={name} value={name}>{about}</option>)}
        </select>
      </label>
      <Problem failure={enter.failure} />
      {seat ? <Pane key={`${seat.id} ${seat.otherId}`} seat={seat} /> : <p class="empty">{login && other ? "Nobody talks with themselves: choose two people." : "Waiting for both people…"}</p>}
    </section>
  );
}

const page = document.getElementById("page");
if (page) render(<TryPage />, page);
