/** The page: takes a photo, watches its search, shows what was found. */

import { Problem, Search, beUser, currentUser, hasKey, readiness, tell, useKey } from "./client.js";
import { because, listenToUser } from "./foryou.js";
import { facetNames, learnAttributes, showFacets } from "./facets.js";

/** @import { Job, Result, SearchResult } from "./client.js" */
/** @import { Filter } from "./facets.js" */

const LIMIT = 12;
const TICK_MS = 100;
const READY_POLL_MS = 3000;

const STAGES = { sending: "Sending…", queued: "Waiting in the queue…", running: "Looking…" };
const NOTHING_ALIKE = "Nothing in the catalogue looks like this: these are the nearest";
const PARTS = {
  database: "the database",
  broker: "the queue",
  search_worker: "a search worker",
  embed_worker: "an embed worker",
  index_worker: "an index worker",
  relay: "the relay",
};

const MATCHES = {
  "same item": "Same item",
  "very similar": "Very similar",
  related: "Related",
  none: "Not alike",
};

const LIST = new Intl.ListFormat("en");
const PERCENT = new Intl.NumberFormat(undefined, { style: "percent" });
const MILLISECONDS = new Intl.NumberFormat(undefined, {
  style: "unit",
  unit: "millisecond",
  maximumFractionDigits: 0,
});
const SECONDS = new Intl.NumberFormat(undefined, {
  style: "unit",
  unit: "second",
  minimumFractionDigits: 1,
  maximumFractionDigits: 1,
});

/** @param {string} id @returns {any} the element, of whichever kind the page has there */
const element = (id) => document.getElementById(id);

/**
 * What is searched with: a photo of the user's, or the id of a listing with its title and photo, or
 * nothing but words; and what is let through.
 * @typedef {object} Wanted
 * @property {File | string | null} query
 * @property {string | null} title
 * @property {string | null} photo
 * @property {string} text
 * @property {Filter} filter
 * @property {string} [you]  whom listings are recommended to, with nothing searched for
 */

/** @type {Search | null} */
let current = null;
/** @type {Wanted | null} */
let wanted = null;
/** @type {string | null} */
let objectUrl = null;
let ticking = 0;

/** Searches with what was dropped, chosen or pasted. @param {File | undefined} photo */
async function takePhoto(photo) {
  if (photo && (await isReadable(photo))) {
    await search({ query: photo, title: null, photo: null, text: words(), filter: {} });
  } else {
    stop();
    element("preview").hidden = true;
    showProblem(new Problem("There is no photo in that: give a JPEG, PNG, WebP, HEIC, AVIF, GIF or BMP file"));
  }
}

/** The words in their box. */
function words() {
  return element("words").value.trim();
}

/** Searches for the words, with the photo or the listing that is there, if one is. */
function takeWords() {
  const text = words();
  if (wanted?.query) search({ ...wanted, text });
  else if (text) search({ query: null, title: null, photo: null, text, filter: wanted?.filter ?? {} });
}

/** Goes on without the photo. */
function forget() {
  stop();
  wanted = null;
  showIdle("");
  element("preview").hidden = true;
  element("forget").hidden = true;
  element("subject-switch").hidden = true;
  takeWords();
  element("words").focus();
}

/** A dropped folder looks like a file until it is read. @param {File} file */
async function isReadable(file) {
  try {
    await file.slice(0, 1).arrayBuffer();
    return true;
  } catch {
    return false;
  }
}

/** Runs a search to its end, in place of the one that may be running. @param {Wanted} next */
async function search(next) {
  stop();
  wanted = next;
  const mine = new Search();
  current = mine;
  showQuery(next);
  showBusy();
  try {
    for await (const job of mine.run(asked(next), LIMIT)) {
      if (current === mine) showJob(job);
    }
  } catch (error) {
    if (current === mine) showProblem(error);
  }
}

/** A search as the API is asked for it. @param {Wanted} next */
function asked({ query, text, filter, you }) {
  return { you, query, text, filter, subject: element("subject").checked, facets: facetNames() };
}

/**
 * Counts attributes that were not known when the results were asked for: of all that has the words,
 * or else of all that could be found, for which the listing does not matter.
 * @param {Wanted} shown
 * @param {SearchResult} found
 */
async function countAttributes(shown, { results }) {
  const query = shown.text ? null : results[0].listing_id;
  try {
    for await (const { result } of new Search().run({ ...asked(shown), query }, 1)) {
      if (result && wanted === shown) showFilter(result.facets);
    }
  } catch {
    // Results are there without it.
  }
}

/** Forgets the running search, if any; its answer is no longer wanted. */
function stop() {
  const old = current;
  current = null;
  // Nobody waits for it: if it can't be cancelled it ends by itself.
  old?.cancel().catch(() => {});
}

function cancel() {
  stop();
  showIdle("Cancelled.");
  element("file").focus();
}

/** @param {Job} job */
function showJob(job) {
  switch (job.status) {
    case "succeeded":
      showResults(job.result);
      break;
    case "failed":
      showProblem(new Problem(job.error?.detail || "The search failed"));
      break;
    case "cancelled":
      showIdle("Cancelled.");
      break;
    default:
      showStage(STAGES[job.status]);
  }
}

/** @param {Wanted} shown */
async function showQuery(shown) {
  const preview = element("preview");
  element("region").hidden = true;
  element("subject-switch").hidden = !(shown.query instanceof File);
  if (objectUrl) URL.revokeObjectURL(objectUrl);
  objectUrl = shown.query instanceof File ? URL.createObjectURL(shown.query) : null;
  preview.hidden = true;
  element("forget").hidden = shown.query === null;
  if (shown.query === null) return;
  preview.src = objectUrl ?? shown.photo ?? "";
  try {
    await preview.decode();
    preview.hidden = false;
  } catch {
    // Not a picture, or another one has taken its place: nothing to show.
  }
}

function showBusy() {
  element("page").dataset.state = "searching";
  element("problem").textContent = "";
  element("key-form").hidden = true;
  element("results").setAttribute("aria-busy", "true");
  showStage(STAGES.sending);
  const started = performance.now();
  const tick = () => {
    element("elapsed").textContent = SECONDS.format((performance.now() - started) / 1000);
  };
  clearInterval(ticking);
  ticking = setInterval(tick, TICK_MS);
  tick();
}

/** @param {string} text */
function showStage(text) {
  const stage = element("stage");
  if (stage.textContent !== text) stage.textContent = text;
}

/** Ends the watching, with nothing found. @param {string} stage  how it ended */
function showIdle(stage) {
  clearInterval(ticking);
  current = null;
  element("page").dataset.state = "idle";
  element("results").removeAttribute("aria-busy");
  element("results").hidden = true;
  showStage(stage);
}

/** @param {unknown} error */
function showProblem(error) {
  const problem = error instanceof Problem ? error : new Problem("Something broke in this page");
  if (problem !== error) console.error(error);
  showIdle("");
  const unasked = problem.status === 401 && !hasKey();
  element("problem").textContent = unasked ? "Searching here needs an API key." : problem.message;
  if (problem.status === 401 || problem.status === 403) {
    element("key-form").hidden = false;
    element("key").focus();
  }
}

/** @param {SearchResult} found */
function showResults(found) {
  const held = element("results").contains(document.activeElement);
  const nothing = found.match === "none";
  showIdle(nothing ? "Nothing like it was found." : tally(found.results.length));
  element("results").classList.toggle("unlike", nothing);
  element("found").textContent = nothing ? NOTHING_ALIKE : heading(wanted);
  element("cards").replaceChildren(...found.results.map(card));
  element("provenance").textContent = provenance(found);
  showRegion(found.region);
  showFilter(found.facets ?? []);
  if (!wanted.you && learnAttributes(found.results)) countAttributes(wanted, found);
  element("results").hidden = false;
  // The button that was pressed has gone with its card.
  if (held) element("found").focus({ preventScroll: true });
}

/** Frames the part of the photo that was searched by. @param {SearchResult["region"]} region */
function showRegion(region) {
  const frame = element("region");
  frame.hidden = !region;
  if (!region) return;
  const sides = { left: region.x, top: region.y, width: region.w, height: region.h };
  for (const [side, share] of Object.entries(sides)) frame.style[side] = `${100 * share}%`;
}

/** @param {SearchResult["facets"]} facets */
function showFilter(facets) {
  showFacets(element("facets"), facets, wanted.filter, (filter) => search({ ...wanted, filter }));
}

/** @param {Wanted} shown */
function heading({ query, title, text, you }) {
  if (you) return `For ${you}`;
  if (query === null) return `Listings for “${text}”`;
  const like = title ? `Listings like “${title}”` : "Listings that look like it";
  return text ? `${like}, for “${text}”` : like;
}

/** @param {number} count */
function tally(count) {
  if (!count && Object.keys(wanted.filter).length) return "No listing like this was found.";
  if (!count && wanted.query === null) return "No listing was found.";
  if (!count) return "No listing was found: there is none to compare with yet.";
  return count === 1 ? "1 listing found." : `${count} listings found.`;
}

/** @param {SearchResult} found */
function provenance({ took_ms, generation, exact, encoder }) {
  if (wanted.you) return MILLISECONDS.format(took_ms.total);
  if (encoder === null) return `${MILLISECONDS.format(took_ms.total)} · by words alone`;
  const index = generation === null ? "no index generation yet" : `index generation ${generation}`;
  const how = exact ? "exact" : "approximate";
  return `${MILLISECONDS.format(took_ms.total)} · ${index}, ${how} · encoder ${encoder}`;
}

/** @param {Result} result */
function card(result) {
  const copy = element("card").content.cloneNode(true);
  const find = (selector) => copy.querySelector(selector);
  const similarity = Math.max(0, result.similarity ?? 0);
  if (result.photo) find("img").src = result.photo.url;
  else find("img").hidden = true;
  find("h3").textContent = result.title;
  find(".price").textContent = price(result);
  find(".category").textContent = result.category;
  find(".location").textContent = result.location;
  find(".attributes").textContent = attributes(result);
  find(".track").style.setProperty("--share", String(similarity));
  find(".similarity").hidden = result.similarity === null;
  find(".percent").textContent = `${PERCENT.format(similarity)} similar`;
  find(".because").textContent = because(result);
  find(".because").hidden = !result.because;
  listenToUser(copy.firstElementChild, result, showProblem);
  showReasons(find(".reasons"), result.reasons);
  const match = find(".match");
  match.textContent = MATCHES[result.match] ?? "";
  match.hidden = !match.textContent;
  match.dataset.match = result.match;
  const more = find(".more");
  more.setAttribute("aria-label", `More like this: ${result.title}`);
  more.addEventListener("click", () => {
    window.scrollTo({ top: 0 });
    element("words").value = "";
    const photo = result.photo?.url ?? null;
    tell("viewed", result.listing_id).catch(() => {});
    search({ query: result.listing_id, title: result.title, photo, text: "", filter: {} });
  });
  return copy;
}

/** The parts of a score, each with its number. @param {any} details @param {Result["reasons"]} reasons */
function showReasons(details, reasons) {
  details.hidden = reasons === null;
  const parts = Object.entries(reasons ?? {}).flatMap(([part, value]) => {
    const name = document.createElement("dt");
    const number = document.createElement("dd");
    name.textContent = part;
    number.textContent = PERCENT.format(value);
    return [name, number];
  });
  details.querySelector("dl").replaceChildren(...parts);
}

/** @param {Result} result */
function attributes({ attributes: stated = {} }) {
  const words = (value) => (Array.isArray(value) ? value.join(", ") : String(value));
  return Object.entries(stated)
    .map(([name, value]) => `${name}: ${words(value)}`)
    .join(" · ");
}

/** @param {Result} result */
function price({ price: amount, currency }) {
  if (amount === null || currency === null) return "No price";
  return new Intl.NumberFormat(undefined, {
    style: "currency",
    currency,
    trailingZeroDisplay: "stripIfInteger",
  }).format(Number(amount));
}

/** Shows whether a search would be done now; looks again until it would. */
async function showReadiness() {
  const note = element("not-ready");
  try {
    const { status, checks, encoder } = await readiness();
    const missing = Object.keys(checks).filter((part) => !checks[part]);
    const parts = LIST.format(missing.map((part) => PARTS[part] ?? part));
    note.textContent = `Not ready yet: no answer from ${parts}.`;
    note.hidden = status !== "not ready";
    element("baseline").hidden = !encoder?.startsWith("hog");
  } catch (error) {
    note.textContent = error.message;
    note.hidden = false;
  }
  if (!note.hidden) setTimeout(showReadiness, READY_POLL_MS);
}

/** Takes drops anywhere: a miss would have the browser leave the page for the photo. */
function listenForDrops() {
  const zone = element("zone");
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    zone.classList.add("over");
  });
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) zone.classList.remove("over");
  });
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    zone.classList.remove("over");
    takePhoto(event.dataTransfer.files[0]);
  });
}

function listen() {
  listenForDrops();
  document.addEventListener("paste", (event) => {
    const [photo] = event.clipboardData.files;
    if (photo) takePhoto(photo);
  });
  const file = element("file");
  file.addEventListener("change", () => {
    const [photo] = file.files;
    file.value = ""; // so that choosing the same file again is a change
    if (photo) takePhoto(photo);
  });
  element("words-form").addEventListener("submit", (event) => {
    event.preventDefault();
    takeWords();
  });
  element("forget").addEventListener("click", forget);
  element("you").value = currentUser() ?? "";
  element("you-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const you = element("you").value.trim();
    if (!you) return;
    beUser(you);
    search({ query: null, title: null, photo: null, text: "", filter: {}, you });
  });
  element("subject").addEventListener("change", () => {
    if (wanted?.query instanceof File) search(wanted);
  });
  element("cancel").addEventListener("click", cancel);
  const key = element("key");
  element("key-form").addEventListener("submit", (event) => {
    event.preventDefault();
    useKey(key.value);
    key.value = "";
    if (wanted) search(wanted);
  });
}

listen();
showReadiness();
