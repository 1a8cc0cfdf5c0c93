/** How the place is doing: numbers of one moment, and the days before. */

import { useState } from "preact/hooks";

import { taken } from "../../api/failure";
import type { Schemas } from "../../api/login";
import { Chart } from "../../ui/Chart";
import { count, price } from "../../ui/format";
import { usePolled } from "../../ui/hooks";
import { Choice, Problem } from "../../ui/parts";
import { Table } from "../../ui/Table";
import { address, follow } from "../route";
import { useStaff } from "../staff";

const EVERY_MS = 30_000;
const DAYS = ["10", "30", "90"] as const;

export function Overview() {
  const { api } = useStaff();
  const [days, setDays] = useState<(typeof DAYS)[number]>("30");
  const load = () => taken(api.GET("/api/admin/metrics", { params: { query: { days: Number(days) } } }));
  const { data, failure } = usePolled(load, EVERY_MS, [days]);
  return (
    <>
      <Problem failure={failure} />
      {data && <Tiles metrics={data} />}
      <section class="panel" aria-label="Days" aria-busy={!data}>
        <div class="filters">
          <Choice label="Days" value={days} of={DAYS} onChange={(days) => setDays(days || "30")} />
        </div>
        {data && <Days metrics={data} />}
      </section>
    </>
  );
}

function Tiles({ metrics }: { metrics: Schemas["Metrics"] }) {
  const { totals, sessions, requests, revenue, jobs } = metrics;
  const money = (amount: number) => price(amount, revenue.currency);
  const parked = Object.values(jobs).reduce((sum, { parked }) => sum + parked, 0);
  const tiles: [title: string, value: string, more: string, to?: string][] = [
    ["Online now", count(totals.online), `of ${count(totals.users)} users, ${count(totals.managed)} managed`, address("users")],
    ["Sessions now", count(sessions.active), `${count(sessions.pending)} pending, ${count(sessions.completedToday)} completed today`, address("sessions")],
    ["Requests waiting", count(requests.pending), `${count(requests.requestedPeoplePending)} people asked for`, address("requests")],
    ["Revenue today", money(revenue.today), `${money(revenue.last7Days)} in 7 days, ${money(revenue.last30Days)} in 30`, address("payments")],
    ["Donations", money(revenue.donations30d), "in 30 days"],
    ["Parked jobs", count(parked), parked > 0 ? "wait for a decision" : "nothing waits for you", address("jobs", { state: "parked" })],
  ];
  return (
    <ul class="tiles" aria-label="Now">
      {tiles.map(([title, value, more, to]) => (
        <li key={title}>
          <h2>{to ? <a href={to} onClick={follow}>{title}</a> : title}</h2>
          <p class="figure">{value}</p>
          <p>{more}</p>
        </li>
      ))}
    </ul>
  );
}

function Days({ metrics: { sparkline, revenue } }: { metrics: Schemas["Metrics"] }) {
  const times = sparkline.map(({ date }) => Date.parse(date) / 1000);
  const money = (amount: number) => price(amount, revenue.currency);
  const charts: [title: string, values: number[], write: (value: number) => string][] = [
    ["Sessions", sparkline.map((day) => day.activeSessions), count],
    ["Revenue", sparkline.map((day) => day.revenue), money],
    ["Requests", sparkline.map((day) => day.requests), count],
  ];
  return (
    <>
      <div class="charts">
        {charts.map(([title, values, write]) => (
          <figure key={title}>
            <figcaption>{title}</figcaption>
            <Chart byDay label={`${title} by day; the table below has the numbers`} times={times}
              series={[{ name: title, values }]} write={write} />
          </figure>
        ))}
      </div>
      <details>
        <summary>The same as a table</summary>
        <Table caption="By day (UTC)" items={[...sparkline].reverse()} keyOf={(day) => day.date} columns={[
          { title: "Day", cell: (day) => day.date },
          { title: "Sessions", cell: (day) => count(day.activeSessions), isNumber: true },
          { title: "Revenue", cell: (day) => money(day.revenue), isNumber: true },
          { title: "Requests", cell: (day) => count(day.requests), isNumber: true },
        ]} />
      </details>
    </>
  );
}
