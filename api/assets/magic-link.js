// Signs in with the token after the #, when the button is pressed: mail scanners open links, but
// they press nothing.
const button = document.getElementById("sign-in");
const message = document.getElementById("message");
const toConsole = document.getElementById("console");
const token = new URLSearchParams(location.hash.slice(1)).get("token");

if (!token) {
  message.textContent = "This link is incomplete. Ask for a new one.";
  button.hidden = true;
}

button.addEventListener("click", async () => {
  button.disabled = true;
  try {
    const response = await fetch("/api/auth/magic-link/verify", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ token }),
    });
    const body = await response.json();
    if (!response.ok) throw new Error(body.error.message);
    history.replaceState(null, "", location.pathname);
    localStorage.setItem("humanchat.auth", JSON.stringify(body));
    message.textContent = `Welcome, ${body.user.name}. You are signed in.`;
    button.hidden = true;
    if (body.user.role !== "user") toConsole.hidden = false;
  } catch (error) {
    message.textContent = `That did not work: ${error.message}.`;
    button.disabled = false;
  }
});
