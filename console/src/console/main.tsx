/** `/console`: who is signed in sees it, everybody else a way to sign in. */

import "uplot/dist/uPlot.min.css";
import "../ui/base.css";
import "./console.css";

import { render } from "preact";
import { useEffect, useState } from "preact/hooks";

import { keepOverReload, Login, takeKept } from "../api/login";
import { Shell } from "./Shell";
import { SignIn } from "./SignIn";

const KEPT = "humanchat.console";
let current: Login | undefined = takeKept(KEPT);
keepOverReload(KEPT, () => current);

function Console() {
  const [login, setLogin] = useState(current);
  const [word, setWord] = useState("");
  current = login;
  useEffect(() => {
    if (!login) return;
    login.onEnd = () => {
      setLogin(undefined);
      setWord("Your login has ended. Sign in again.");
    };
  }, [login]);

  if (!login) {
    return (
      <SignIn
        word={word}
        onSignIn={(login) => {
          setWord("");
          setLogin(login);
        }}
      />
    );
  }
  const signOut = async () => {
    // What the api says to it changes nothing here: this tab forgets the tokens.
    await login.signOut().catch(() => {});
    setLogin(undefined);
    setWord("You are signed out.");
  };
  return <Shell login={login} onSignOut={() => void signOut()} />;
}

const page = document.getElementById("page");
if (page) render(<Console />, page);
