/** What is recommended to a user: why, in words, and what they think of it. */

import { currentUser, tell } from "./client.js";

/** @import { Result } from "./client.js" */

const DID = { viewed: "looked at", saved: "saved", contacted: "asked about", purchased: "bought" };

/** What led to a recommendation, in words. @param {Result} result */
export function because({ because: led, listing_id }) {
  if (!led?.kind) return "";
  if (led.listing_id === listing_id) return `You ${DID[led.kind]} it`;
  return `Because you ${DID[led.kind]} ${led.title ? `“${led.title}”` : "one that is gone"}`;
}

/**
 * Lets a user keep a listing, or have it shown never again.
 * @param {any} shown  its card
 * @param {Result} result
 * @param {(error: unknown) => void} onError
 */
export function listenToUser(shown, { listing_id, title }, onError) {
  shown.querySelector(".mine").hidden = currentUser() === null;
  const save = shown.querySelector(".save");
  const hide = shown.querySelector(".hide");
  save.setAttribute("aria-label", `Save: ${title}`);
  hide.setAttribute("aria-label", `Not for me: ${title}`);
  save.addEventListener("click", () => {
    tell("saved", listing_id).then(() => Object.assign(save, { disabled: true, textContent: "Saved" }), onError);
  });
  hide.addEventListener("click", () => {
    tell("hidden", listing_id).then(() => shown.remove(), onError);
  });
}
