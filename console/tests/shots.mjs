// Pictures for the documents: made where SHOTS names a folder for them.

import { join } from "node:path";

const FOLDER = process.env.SHOTS;

export async function shot(page, name) {
  if (FOLDER) await page.screenshot({ path: join(FOLDER, `${name}.png`) });
}

/** Gives charts a month to show: sessions and requests of the story, again and again on earlier days. */
export function pastForPictures(sql) {
  if (!FOLDER) return;
  const again = "generate_series(1, 30) day, lateral generate_series(1, 5 + (day * day * 7 + day * 3) % 8 - day / 8) round";
  const moment = "now() - day * interval '1 day' - round * interval '1 minute'";
  const record = (table, times) => `insert into ${table} select (jsonb_populate_record(null::${table}, to_jsonb(old) || jsonb_build_object(
    'id', gen_random_uuid(), ${times.map((name) => `'${name}', ${moment}`).join(", ")}))).* from (`;
  sql(`${record("sessions", ["created_at", "updated_at", "confirmed_at", "start_time", "started_at", "end_time", "ended_at"])}
    select * from sessions where status = 'complete' and payment_mode = 'free' limit 1) old, ${again}`);
  sql(`${record("requests", ["created_at", "updated_at", "decided_at"])}
    select * from requests where status = 'approved' limit 1) old, ${again}`);
}
