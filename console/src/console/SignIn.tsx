/** The door: a password, or a link by mail. Only staff come in. */

import { useEffect, useState } from "preact/hooks";

import { Failure, taken } from "../api/failure";
import { anonymous, Login, takeKept } from "../api/login";
import { useDeed } from "../ui/hooks";
import { Field, Problem } from "../ui/parts";

/** Where the page behind a mailed link leaves the login. */
const BY_LINK = "humanchat.auth";

/** Who isn't staff gets no further, and isn't left signed in by us. */
async function staffOnly(login: Login): Promise<Login> {
  if (login.user.role !== "user") return login;
  await login.signOut().catch(() => {});
  throw new Failure("forbidden", `${login.user.name} is no member of the staff.`);
}

export function SignIn({ word, onSignIn }: { word: string; onSignIn: (login: Login) => void }) {
  const [email, setEmail] = useState("");
  const [password, setPassword] = useState("");
  const [sentTo, setSentTo] = useState("");
  const [adopted, setAdopted] = useState<Failure>();

  const enter = useDeed(async () => onSignIn(await staffOnly(await Login.withPassword(email, password))));
  const ask = useDeed(async () => {
    await taken(anonymous.POST("/api/auth/magic-link", { body: { email } }));
    setSentTo(email);
  });

  // The link opens in a tab of its own, or has been used before this page was opened. A login has one holder: whoever
  // takes it takes it away from there.
  useEffect(() => {
    const adopt = () => {
      if (!localStorage.getItem(BY_LINK)) return;
      const login = takeKept(BY_LINK, localStorage);
      if (login) staffOnly(login).then(onSignIn, (thrown: unknown) => setAdopted(Failure.of(thrown)));
    };
    adopt();
    addEventListener("storage", adopt);
    return () => removeEventListener("storage", adopt);
  }, []);

  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    void enter.run();
  };
  return (
    <main class="door">
      <h1>HumanChat console</h1>
      <p role="status">{word}</p>
      <form onSubmit={submit}>
        <Field label="Email">
          {(id) => (
            <input id={id} type="email" autocomplete="username" required value={email}
              onInput={(event) => setEmail(event.currentTarget.value)} />
          )}
        </Field>
        <Field label="Password">
          {(id) => (
            <input id={id} type="password" autocomplete="current-password" required value={password}
              onInput={(event) => setPassword(event.currentTarget.value)} />
          )}
        </Field>
        <Problem failure={enter.failure ?? ask.failure ?? adopted} />
        <div class="actions">
          <button class="main" disabled={enter.isBusy}>Sign in</button>
          <button type="button" disabled={!email || ask.isBusy} onClick={() => void ask.run()}>Mail me a link</button>
        </div>
        <p role="status">{sentTo && `If ${sentTo} is known, a link is on its way. Open it in this browser.`}</p>
      </form>
    </main>
  );
}
