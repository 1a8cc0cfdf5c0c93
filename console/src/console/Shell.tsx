/** The frame around the views: where one is, where one can go, who one is. */

import type { FunctionComponent } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";

import type { Login } from "../api/login";
import { address, follow, useRoute } from "./route";
import { StaffContext } from "./staff";
import { Announcements } from "./views/Announcements";
import { Asked } from "./views/Asked";
import { Audit } from "./views/Audit";
import { Jobs } from "./views/Jobs";
import { Overview } from "./views/Overview";
import { Payments } from "./views/Payments";
import { Queues } from "./views/Queues";
import { Sessions } from "./views/Sessions";
import { Users } from "./views/Users";

const VIEWS: [name: string, title: string, view: FunctionComponent][] = [
  ["", "Overview", Overview],
  ["queues", "Queues", Queues],
  ["jobs", "Jobs", Jobs],
  ["users", "Users", Users],
  ["requests", "Requests", Asked],
  ["sessions", "Sessions", Sessions],
  ["payments", "Payments", Payments],
  ["announcements", "Announcements", Announcements],
  ["audit", "Audit log", Audit],
];

/** How long it is shown what was done. */
const SAID_MS = 6_000;

export function Shell({ login, onSignOut }: { login: Login; onSignOut: () => void }) {
  const { view } = useRoute();
  const [, title, View] = VIEWS.find(([name]) => name === view) ?? ["", "Nothing here", Nowhere];
  const [said, setSaid] = useState("");
  const heading = useRef<HTMLHeadingElement>(null);
  const first = useRef(true);

  useEffect(() => {
    document.title = `${title} – HumanChat console`;
    // A view that was gone to is announced by its heading; the page itself begins at its start.
    if (!first.current) heading.current?.focus();
    first.current = false;
  }, [title]);
  useEffect(() => {
    if (!said) return;
    const timer = setTimeout(() => setSaid(""), SAID_MS);
    return () => clearTimeout(timer);
  }, [said]);
  const staff = useMemo(() => ({ api: login.api, user: login.user, say: setSaid }), [login]);

  return (
    <StaffContext.Provider value={staff}>
      <a class="skip" href="#view">Skip to the content</a>
      <div class="shell">
        <header class="side">
          <p class="brand">HumanChat</p>
          <nav aria-label="Views">
            <ul>
              {VIEWS.map(([name, title]) => (
                <li key={name}>
                  <a href={address(name)} aria-current={name === view ? "page" : undefined} onClick={follow}>{title}</a>
                </li>
              ))}
            </ul>
          </nav>
          <div class="me">
            <p><bdi>{login.user.name}</bdi><br /><small>{login.user.role}</small></p>
            <button type="button" onClick={onSignOut}>Sign out</button>
          </div>
        </header>
        <main id="view" tabIndex={-1}>
          <h1 ref={heading} tabIndex={-1}>{title}</h1>
          <View key={view} />
        </main>
      </div>
      <p class="said" role="status">{said}</p>
    </StaffContext.Provider>
  );
}

function Nowhere() {
  return <p>There is no such view. <a href={address("")} onClick={follow}>Go to the overview</a></p>;
}
