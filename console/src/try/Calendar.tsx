/** Booking a time of the other one's calendar, and opening one's own. */

import { useState } from "preact/hooks";

import { taken } from "../api/failure";
import type { Schemas } from "../api/login";
import { price } from "../ui/format";
import { useDeed, usePolled } from "../ui/hooks";
import { Choice, Problem } from "../ui/parts";
import type { Seat } from "./seat";

const LENGTHS = ["30", "60"] as const;
const EVERY_MS = 30_000;
const DAY_MS = 86_400_000;
const ZONE = Intl.DateTimeFormat().resolvedOptions().timeZone;

interface Props {
  seat: Seat;
  other: Schemas["User"];
}

export function Calendar({ seat, other }: Props) {
  const [length, setLength] = useState<(typeof LENGTHS)[number]>("30");
  const [booked, setBooked] = useState("");
  const minutes = Number(length);
  const cost = costOf(other, minutes);
  const load = () => {
    const query = { durationMinutes: minutes, timezone: ZONE, to: new Date(Date.now() + 2 * DAY_MS).toISOString() };
    return taken(seat.api.GET("/api/availability/{userId}", { params: { path: { userId: other.id }, query } }));
  };
  const { data, failure, reload } = usePolled(load, EVERY_MS, [other.id, length]);
  const book = useDeed(async (startTime: string) => {
    const body = { hostUserId: other.id, startTime, durationMinutes: minutes, price: cost };
    const { session } = await taken(seat.api.POST("/api/sessions", { body }));
    seat.take("sessions", session);
    setBooked(session.payment_status === "requires_payment" ? "It is held for you: pay for it under Talk." : "It is booked; both get a mail.");
    await reload();
  });
  const slots = data?.slots.slice(0, 48) ?? [];
  return (
    <div class="talk">
      <section aria-label={`${other.name}'s calendar`}>
        <h3><bdi>{other.name}</bdi>'s calendar</h3>
        <div class="filters">
          <Choice label="Minutes" value={length} of={LENGTHS} onChange={(length) => setLength(length || "30")} />
          <p>{cost === 0 ? "free" : price(cost, other.currency)}</p>
        </div>
        <Problem failure={failure ?? book.failure} />
        <p role="status">{booked}</p>
        {data && slots.length === 0 && <p class="empty">Nothing is offered in the next two days.</p>}
        {days(slots).map(([day, slots]) => (
          <div key={day}>
            <h4>{day}</h4>
            <ul class="slots">
              {slots.map(({ start }) => (
                <li key={start}>
                  <button type="button" disabled={book.isBusy} onClick={() => void book.run(start)}
                    aria-label={`Book ${new Date(start).toLocaleString()}`}>{time(start)}</button>
                </li>
              ))}
            </ul>
          </div>
        ))}
      </section>
      <OwnCalendar seat={seat} />
    </div>
  );
}

/** The server prices; a client says what it showed. */
function costOf(host: Schemas["User"], minutes: number): number {
  if (host.conversation_type === "free") return 0;
  return host.scheduled_rates?.[String(minutes)] ?? (host.instant_rate_per_minute ?? 0) * minutes;
}

function time(start: string): string {
  return new Date(start).toLocaleTimeString(undefined, { timeStyle: "short" });
}

function days(slots: Schemas["Slot"][]): [string, Schemas["Slot"][]][] {
  const byDay = new Map<string, Schemas["Slot"][]>();
  for (const slot of slots) {
    const day = new Date(slot.start).toLocaleDateString(undefined, { weekday: "long", day: "numeric", month: "long" });
    byDay.set(day, [...(byDay.get(day) ?? []), slot]);
  }
  return [...byDay];
}

function OwnCalendar({ seat }: { seat: Seat }) {
  const [word, setWord] = useState("");
  const open = useDeed(async () => {
    const weekly = [0, 1, 2, 3, 4, 5, 6].map((weekday) => ({ weekday, start: "00:00", end: "24:00" }));
    await taken(seat.api.PUT("/api/availability", { body: { timezone: ZONE, slotMinutes: 30, weekly } }));
    setWord("Your calendar is open, day and night.");
  });
  return (
    <section class="card" aria-label="My calendar">
      <p role="status">{word || "Others can book you when you say when you are there."}</p>
      <div class="actions"><button type="button" disabled={open.isBusy} onClick={() => void open.run()}>Be there every day</button></div>
      <Problem failure={open.failure} />
    </section>
  );
}
