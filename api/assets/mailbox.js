// Shows kept mail and looks for more every two seconds.
const list = document.getElementById("mails");
let newest = null;

function linked(text) {
  const pre = document.createElement("pre");
  for (const part of text.split(/(https?:\/\/\S+)/)) {
    if (/^https?:\/\//.test(part)) {
      const link = document.createElement("a");
      link.href = part;
      link.textContent = part;
      pre.append(link);
    } else {
      pre.append(part);
    }
  }
  return pre;
}

function attached(calendar) {
  const details = document.createElement("details");
  const file = document.createElement("summary");
  file.textContent = "invite.ics";
  details.append(file, linked(calendar));
  return details;
}

function shown(mail) {
  const article = document.createElement("article");
  const subject = document.createElement("h2");
  subject.textContent = mail.subject;
  const meta = document.createElement("p");
  meta.textContent = `to ${mail.to} · ${new Date(mail.created_at).toLocaleString()}`;
  article.append(subject, meta, linked(mail.body));
  if (mail.calendar) article.append(attached(mail.calendar));
  return article;
}

async function look() {
  const response = await fetch("/dev/mailbox.json" + location.search);
  const mails = await response.json();
  if (mails[0]?.id === newest && newest !== null) return;
  newest = mails[0]?.id ?? null;
  list.replaceChildren(...mails.map(shown));
  if (mails.length === 0) list.textContent = "No mail yet.";
}

look();
setInterval(() => look().catch(() => {}), 2000);
