/** Mail that the system wrote, as long as no mail server is set. */

import { when } from "../ui/format";
import { usePolled } from "../ui/hooks";
import { Problem } from "../ui/parts";

interface Mail {
  id: string;
  to: string;
  subject: string;
  body: string;
  created_at: string;
}

const EVERY_MS = 2_000;
const SHOWN = 12;

async function load(): Promise<Mail[]> {
  return (await (await fetch("/dev/mailbox.json")).json()) as Mail[];
}

export function Mailbox() {
  const { data, failure } = usePolled(load, EVERY_MS);
  return (
    <section class="panel mailbox" aria-label="Mailbox">
      <h2>Mailbox</h2>
      <Problem failure={failure} />
      {data?.length === 0 && <p class="empty">No mail yet.</p>}
      {data?.slice(0, SHOWN).map((mail) => (
        <details key={mail.id}>
          <summary><bdi>{mail.subject}</bdi> <small>to {mail.to}, {when(mail.created_at)}</small></summary>
          <p class="text"><Linked text={mail.body} /></p>
        </details>
      ))}
    </section>
  );
}

/** Text whose web addresses lead somewhere. */
function Linked({ text }: { text: string }) {
  return <>{text.split(/(https?:\/\/\S+)/).map((part, index) => (index % 2 ? <a key={index} href={part}>{part}</a> : part))}</>;
}
