/** One person's side of the page. */

import { useEffect, useReducer, useState } from "preact/hooks";

import { useDeed } from "../ui/hooks";
import { Problem, State } from "../ui/parts";
import { Calendar } from "./Calendar";
import { Events } from "./Events";
import { Sam } from "./Sam";
import type { Seat } from "./seat";
import { Talk } from "./Talk";

const TABS = { Talk, Calendar, Sam, Events } as const;
type Tab = keyof typeof TABS;

/** Draws again whenever the seat has changed. */
function useSeat(seat: Seat) {
  const [, redraw] = useReducer((count: number) => count + 1, 0);
  useEffect(() => seat.watch(() => redraw(undefined)), [seat]);
  return seat.state;
}

export function Pane({ seat }: { seat: Seat }) {
  const { isOpen, other } = useSeat(seat);
  const [tab, setTab] = useState<Tab>("Talk");
  const load = useDeed(() => seat.load());
  useEffect(() => void load.run(), [seat]);
  const View = TABS[tab];
  return (
    <>
      <header class="person">
        <div>
          <h2><bdi>{seat.login.user.name}</bdi></h2>
          <p><bdi>{seat.login.user.headline}</bdi></p>
        </div>
        <p class="states" aria-live="polite">
          <State of={isOpen ? "online" : "connecting"} />
        </p>
      </header>
      <nav class="tabs" aria-label={`${seat.login.user.name}'s views`}>
        {(Object.keys(TABS) as Tab[]).map((name) => (
          <button key={name} type="button" aria-pressed={name === tab} onClick={() => setTab(name)}>{name}</button>
        ))}
      </nav>
      <Problem failure={load.failure} />
      {other && <View seat={seat} other={other} />}
    </>
  );
}
