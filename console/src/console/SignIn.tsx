/** The door: a password, or a link by mail. Only staff come in. */

import { useEffect, useState } from "preact/hooks";

import { Failure, taken } from "../api/failure";
import { anonymous, type Auth, kept, Login } from "../api/login";
import { useDeed } from "../ui/hooks";
import { Field, Problem } from "../ui/parts";

/** Where the page behind a mailed link leaves the login. */
const BY_LINK = "humanchat.auth";

function noStaff({ user }: Auth): Failure | undefined {
  return user.role === "user" ? new Failure("forbidden", `${user.name} is no member of the staff.`) : undefined;
}

/** Who isn't staff gets no further, and isn't left signed in by us. */
async function withPassword(email: string, password: string): Promise<Login> {
  const login = await Login.withPassword(email, password);
  const failure = noStaff(login.auth);
  if (!failure) return login;
  await login.signOut().catch(() => {});
  throw failure;
}

export function SignIn({ word, onSignIn }: { word: string; onSignIn: (login: Login) => void }) {
  const [email, setEmail] = useState("");
  const [password, setPassword] = useState("");
  const [sentTo, setSentTo] = useState("");
  const [adopted, setAdopted] = useState<Failure>();

  const enter = useDeed(async () => onSignIn(await withPassword(email, password)));
  const ask = useDeed(async () => {
    await taken(anonymous.POST("/api/auth/magic-link", { body: { email } }));
    setSentTo(email);
  });

  // The link opens in a tab of its own, or was used before this page was opened. A login has one holder: a member of the
  // staff takes theirs away from there, and anybody else's stays where it is.
  useEffect(() => {
    const adopt = () => {
      const auth = kept(BY_LINK, localStorage);
      const failure = auth && noStaff(auth);
      setAdopted(failure);
      if (!auth || failure) return;
      localStorage.removeItem(BY_LINK);
      onSignIn(new Login(auth));
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
