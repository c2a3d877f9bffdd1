/** Talks to the HTTP API: submits a search and follows its job to the end. */

/**
 * @typedef {object} Result
 * @property {string} listing_id
 * @property {string} title
 * @property {string | null} price
 * @property {string | null} currency
 * @property {string | null} category
 * @property {string | null} location
 * @property {Record<string, string | number | boolean | string[]>} attributes
 * @property {{id: string, url: string} | null} photo
 * @property {number | null} similarity  the cosine, in [-1, 1]
 * @property {Record<string, number> | null} reasons  the parts of the score, in [0, 1]
 * @property {Match | null} [match]  null where labels are not calibrated
 * @property {Because | null} [because]  what led to a recommendation
 *
 * @typedef {{listing_id: string, kind: string | null, title: string | null}} Because
 *
 * @typedef {"same item" | "very similar" | "related" | "none"} Match
 *
 * @typedef {object} SearchResult
 * @property {number | null} generation
 * @property {string | null} encoder
 * @property {boolean} exact
 * @property {Record<string, number>} took_ms
 * @property {Result[]} results
 * @property {Match | null} match  that of the surest result
 * @property {{x: number, y: number, w: number, h: number} | null} region  what was searched by, in
 *   fractions of the photo; null for all of it
 * @property {import("./facets.js").Facet[]} facets
 *
 * @typedef {object} Asked  what a search is for
 * @property {File | string | null} query  a photo, or the id of a listing, if there is one
 * @property {string} text  words, if there are some
 * @property {boolean} [subject]  whether only the subject of the photo is searched for
 * @property {import("./facets.js").Filter} [filter]
 * @property {string[]} [facets]  what is counted as well
 * @property {string} [you]  whom listings are recommended to, with nothing searched for
 *
 * @typedef {object} Job
 * @property {"queued" | "running" | "succeeded" | "failed" | "cancelled"} status
 * @property {{code: string, detail: string} | null} error
 * @property {SearchResult | null} result
 *
 * @typedef {object} Readiness
 * @property {string} status
 * @property {Record<string, boolean>} checks
 * @property {string | null} encoder
 */

const KEY = "marketlens-api-key";
const USER = "marketlens-user";

/** Why something could not be done; the message is one sentence for a person. */
export class Problem extends Error {
  /**
   * @param {string} detail
   * @param {number} [status]  the HTTP status, if there was an answer
   */
  constructor(detail, status) {
    super(asSentence(detail));
    this.status = status;
  }
}

/** Keeps the API key for as long as this tab is open. @param {string} key */
export function useKey(key) {
  sessionStorage.setItem(KEY, key.trim());
}

/** Whether a key is sent with each call. */
export function hasKey() {
  return sessionStorage.getItem(KEY) !== null;
}

/** Keeps whose page this is for as long as this tab is open. @param {string} user */
export function beUser(user) {
  sessionStorage.setItem(USER, user.trim());
}

/** Whose page this is, by any name; null if nobody has said. */
export function currentUser() {
  return sessionStorage.getItem(USER);
}

/**
 * Tells what the user has done with a listing, if there is a user.
 * @param {"viewed" | "saved" | "hidden"} type
 * @param {string} listing_id
 */
export async function tell(type, listing_id) {
  const user = currentUser();
  if (!user) return;
  const event_id = Array.from(crypto.getRandomValues(new Uint32Array(4)), (part) => part.toString(16));
  const event = { event_id: event_id.join("-"), user, type, listing_id, at: new Date().toISOString() };
  await call("/v1/events", { method: "POST", ...asJson({ events: [event] }) });
}

/** What the machine says about itself, ready or not. @returns {Promise<Readiness>} */
export async function readiness() {
  const { response, body } = await exchange("/readyz", {});
  if (!body?.checks) throw problemOf(response, body);
  return body;
}

/** One search: its job is followed by one reader, and can be cancelled at any time. */
export class Search {
  #stop = new AbortController();
  /** @type {string | null} */
  #place = null;

  /**
   * Submits a search, then gives its job each time it is read, the ended one last.
   * @param {Asked} asked
   * @param {number} limit
   * @returns {AsyncGenerator<Job, void>}
   */
  async *run(asked, limit) {
    const { signal } = this.#stop;
    const { path, ...submitted } = submission(asked, limit);
    let { response, body } = await call(path, { method: "POST", signal, ...submitted });
    this.#place = response.headers.get("Location");
    yield body;
    while (isOpen(body)) {
      try {
        for await (body of events(`${this.#place}/events`, signal)) yield body;
      } catch (error) {
        if (signal.aborted || error.status) throw error;
      }
      // The stream was cut, as by a proxy: what has become of the job is asked for.
      if (isOpen(body)) {
        await pause(longestWait(response), signal);
        ({ response, body } = await call(this.#place, { signal }));
        yield body;
      }
    }
  }

  /** Stops reading, and cancels the job where there is one. */
  async cancel() {
    this.#stop.abort();
    if (this.#place) await call(this.#place, { method: "DELETE" });
  }
}

function submission({ query, text, subject, filter = {}, facets = [], you = null }, limit) {
  const user = currentUser() ?? undefined;
  if (you) return { path: "/v1/recommendations", ...asJson({ user: you, limit }) };
  const path = "/v1/searches";
  if (query instanceof File) {
    const form = new FormData();
    form.set("photo", query);
    form.set("limit", String(limit));
    form.set("filter", JSON.stringify(filter));
    form.set("facets", JSON.stringify(facets));
    if (text) form.set("text", text);
    if (subject) form.set("region", "auto");
    if (user) form.set("user", user);
    return { path, body: form };
  }
  const listing_id = query ?? undefined;
  return { path, ...asJson({ listing_id, text: text || undefined, filter, facets, user, limit }) };
}

function asJson(stated) {
  // What is undefined is left out.
  return { headers: { "Content-Type": "application/json" }, body: JSON.stringify(stated) };
}

async function call(path, options) {
  const { response, body } = await exchange(path, options);
  if (!response.ok || body === null) throw problemOf(response, body);
  return { response, body };
}

/**
 * The job of each server-sent event, until the stream ends. (EventSource can't send a key.)
 * @param {string} path
 * @param {AbortSignal} signal
 * @returns {AsyncGenerator<Job, void>}
 */
async function* events(path, signal) {
  const response = await send(path, { signal });
  if (!response.ok) throw problemOf(response, parsed(await response.text()));
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const complete = (text + value).split(/\r?\n\r?\n/);
    text = complete.pop();
    for (const event of complete) {
      const lines = event.split(/\r?\n/).filter((line) => line.startsWith("data:"));
      if (lines.length) yield JSON.parse(lines.map((line) => line.slice(5)).join("\n"));
    }
  }
}

async function exchange(path, options) {
  const response = await send(path, options);
  try {
    return { response, body: parsed(await response.text()) };
  } catch (error) {
    throw unreachable(error, options);
  }
}

async function send(path, options) {
  const headers = new Headers(options.headers);
  const key = sessionStorage.getItem(KEY);
  if (key) headers.set("Authorization", `Bearer ${key}`);
  try {
    return await fetch(path, { ...options, headers });
  } catch (error) {
    throw unreachable(error, options);
  }
}

function unreachable(error, options) {
  if (options.signal?.aborted) return error;
  return new Problem("Marketlens could not be reached; see whether it is running");
}

function isOpen(job) {
  return job.status === "queued" || job.status === "running";
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function problemOf(response, body) {
  const stated = typeof body?.detail === "string" && body.detail;
  return new Problem(stated || `The server answered with status ${response.status}`, response.status);
}

function asSentence(text) {
  const sentence = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?…]$/.test(sentence) ? sentence : `${sentence}.`;
}

function longestWait(response) {
  return 1000 * (Number(response.headers.get("Retry-After")) || 1);
}

function pause(ms, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason);
    });
  });
}
