/** Every frame of a socket, in both directions, the newest first. */

import type { Seat } from "./seat";

export function Events({ seat }: { seat: Seat }) {
  return (
    <ol class="events" aria-label="Frames">
      {seat.state.log.map((line) => (
        <li key={`${line.at} ${line.text}`}>
          <details>
            <summary>
              <span aria-label={line.isOurs ? "sent" : "received"}>{line.isOurs ? "→" : "←"}</span> <b>{line.type}</b>{" "}
              {line.channel && <code>{line.channel.replace(/:(.{4,5}_).*(.{6})$/, ":$1…$2")}{line.seq !== undefined && ` #${line.seq}`}</code>}
            </summary>
            <pre tabIndex={0} aria-label="Frame">{line.text}</pre>
          </details>
        </li>
      ))}
    </ol>
  );
}
