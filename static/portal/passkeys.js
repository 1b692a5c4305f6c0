// Passkeys: asks the server for a challenge, the browser for an answer, and sends the answer as the form it is in.
"use strict";
(() => {
  if (!window.PublicKeyCredential || !navigator.credentials) return;

  const toBytes = (text) => {
    const plain = atob(text.replace(/-/g, "+").replace(/_/g, "/"));
    return Uint8Array.from(plain, (letter) => letter.charCodeAt(0));
  };
  const toText = (buffer) => {
    const plain = String.fromCharCode(...new Uint8Array(buffer));
    return btoa(plain).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
  };
  const keysOf = (listed) => (listed || []).map((key) => ({ ...key, id: toBytes(key.id) }));

  const asked = {
    create: (options) => ({
      ...options,
      challenge: toBytes(options.challenge),
      user: { ...options.user, id: toBytes(options.user.id) },
      excludeCredentials: keysOf(options.excludeCredentials),
    }),
    get: (options) => ({
      ...options,
      challenge: toBytes(options.challenge),
      allowCredentials: keysOf(options.allowCredentials),
    }),
  };

  const answered = (credential) => {
    const response = {};
    for (const name of ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"]) {
      if (credential.response[name]) response[name] = toText(credential.response[name]);
    }
    return JSON.stringify({
      id: credential.id, rawId: toText(credential.rawId), type: credential.type, response,
      clientExtensionResults: credential.getClientExtensionResults(),
    });
  };

  const ask = async (form) => {
    const kind = form.dataset.passkey;
    const challenge = await fetch(form.dataset.challenge, {
      method: "POST", credentials: "same-origin", redirect: "error",
      headers: { "X-CSRFToken": form.elements.csrf_token.value },
    });
    if (!challenge.ok) throw new Error(String(challenge.status));
    const publicKey = asked[kind](await challenge.json());
    form.elements.answer.value = answered(await navigator.credentials[kind]({ publicKey }));
    form.submit();
  };

  for (const form of document.querySelectorAll("[data-passkey]")) {
    const problem = form.querySelector("[data-passkey-problem]");
    form.hidden = false;
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      problem.textContent = "";
      try {
        await ask(form);
      } catch {
        problem.textContent = problem.dataset.words;
      }
    });
  }
})();
