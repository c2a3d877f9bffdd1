/** What may be narrowed beside results: categories, prices and attributes, each with its count. */

/**
 * @typedef {object} Filter  what a listing must be, as the API takes it
 * @property {string} [category]
 * @property {string} [price_min]
 * @property {string} [price_max]
 * @property {string} [currency]
 * @property {Record<string, string | boolean | {min?: number, max?: number}>} [attributes]
 *
 * @typedef {{at_least: number | null, below: number | null, count: number}} Band
 *
 * @typedef {object} Facet
 * @property {string} name
 * @property {{category: string, count: number}[]} categories
 * @property {{value: string | boolean, count: number}[]} values
 * @property {{currency: string | null, bands: Band[]}[]} bands
 *
 * @typedef {{label: string, count: number | null, part: Filter}} Choice
 */

const ATTRIBUTE = "attributes.";
const MOST_ATTRIBUTES = 8;
/** Prices have two decimals: the greatest below a bound is one of these less. */
const CENT = 0.01;
const COUNT = new Intl.NumberFormat();

/** @type {Set<string>} names of attributes that results have had */
const known = new Set();

/** What to count beside a search. @returns {string[]} */
export function facetNames() {
  return ["category", "price", ...[...known].map((name) => ATTRIBUTE + name)];
}

/**
 * Notes which attributes listings have, up to a few.
 * @param {import("./client.js").Result[]} results
 * @returns {boolean} whether there was a new one
 */
export function learnAttributes(results) {
  const before = known.size;
  for (const name of results.flatMap(({ attributes = {} }) => Object.keys(attributes))) {
    if (known.size < MOST_ATTRIBUTES) known.add(name);
  }
  return known.size > before;
}

/**
 * Shows facets as buttons, those that are chosen pressed; a chosen one stays where nothing has it.
 * @param {HTMLElement} place
 * @param {Facet[]} facets
 * @param {Filter} filter
 * @param {(filter: Filter) => void} choose  called with the filter after a press
 */
export function showFacets(place, facets, filter, choose) {
  const chosen = chosenOf(filter);
  const groups = facets.map((facet) => ({ name: facet.name, choices: choicesOf(facet) }));
  for (const choice of chosen) {
    const group = groups.find(({ name }) => name === nameOf(choice.part));
    if (!group) groups.push({ name: nameOf(choice.part), choices: [choice] });
    else if (!group.choices.some(({ part }) => isSame(part, choice.part))) group.choices.unshift(choice);
  }
  const shown = groups.filter(({ choices }) => choices.length);
  place.replaceChildren(...shown.map((group) => section(group, chosen, filter, choose)));
  place.hidden = !shown.length;
}

function section({ name, choices }, chosen, filter, choose) {
  const box = document.createElement("section");
  const title = document.createElement("h3");
  const list = document.createElement("ul");
  title.textContent = name.startsWith(ATTRIBUTE) ? name.slice(ATTRIBUTE.length) : name;
  for (const { label, count, part } of choices) {
    const isChosen = chosen.some((one) => isSame(one.part, part));
    const button = document.createElement("button");
    const number = document.createElement("span");
    button.type = "button";
    button.setAttribute("aria-pressed", String(isChosen));
    button.append(label, " ", number);
    number.className = "number";
    number.textContent = count === null ? "" : COUNT.format(count);
    button.addEventListener("click", () => choose(isChosen ? without(filter, part) : joined(filter, part)));
    const item = document.createElement("li");
    item.append(button);
    list.append(item);
  }
  box.append(title, list);
  return box;
}

/** @param {Facet} facet @returns {Choice[]} */
function choicesOf({ name, categories, values, bands }) {
  const attribute = name.slice(ATTRIBUTE.length);
  return [
    ...categories.map(({ category, count }) => ({ label: category, count, part: { category } })),
    ...values.map(({ value, count }) => ({
      label: String(value),
      count,
      part: { attributes: { [attribute]: value } },
    })),
    ...bands.flatMap(({ currency, bands: all }) =>
      all
        .filter(({ count }) => count)
        .map((band) => {
          const part = name === "price" ? pricePart(band, currency) : numberPart(band, attribute);
          return { label: labelOf(part), count: band.count, part };
        }),
    ),
  ];
}

/** @returns {Filter} */
function pricePart({ at_least: least, below }, currency) {
  return {
    currency,
    ...(least !== null && { price_min: least.toFixed(2) }),
    ...(below !== null && { price_max: (below - CENT).toFixed(2) }),
  };
}

/** Bounds are inclusive: the greatest number below a bound is the next that a double can be. */
function numberPart({ at_least: least, below }, attribute) {
  const range = {
    ...(least !== null && { min: least }),
    ...(below !== null && { max: below - Math.max(Math.abs(below) * Number.EPSILON, Number.MIN_VALUE) }),
  };
  return { attributes: { [attribute]: range } };
}

/** The parts of a filter, one for each choice. @param {Filter} filter @returns {Choice[]} */
function chosenOf({ category, attributes = {}, ...price }) {
  const parts = [
    ...(category === undefined ? [] : [{ category }]),
    ...(price.currency === undefined ? [] : [price]),
    ...Object.entries(attributes).map(([name, value]) => ({ attributes: { [name]: value } })),
  ];
  return parts.map((part) => ({ label: labelOf(part), count: null, part }));
}

function nameOf(part) {
  if (part.attributes) return ATTRIBUTE + Object.keys(part.attributes)[0];
  return part.category === undefined ? "price" : "category";
}

function labelOf(part) {
  if (part.category !== undefined) return part.category;
  if (part.attributes) {
    const [value] = Object.values(part.attributes);
    return typeof value === "object" ? span(value.min, value.max, "under") : String(value);
  }
  return `${span(part.price_min, part.price_max)} ${part.currency}`;
}

function span(least, most, before = "up to") {
  const text = (number) => COUNT.format(Number(number));
  if (least === undefined) return most === undefined ? "any" : `${before} ${text(most)}`;
  return most === undefined ? `from ${text(least)}` : `${text(least)} – ${text(most)}`;
}

function isSame(one, other) {
  return JSON.stringify(one, sortedKeys) === JSON.stringify(other, sortedKeys);
}

function sortedKeys(_, value) {
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/**
 * The filter with a part of it: of a price all bounds are replaced, of attributes one is.
 * @param {Filter} filter
 * @param {Filter} part
 * @returns {Filter}
 */
function joined(filter, part) {
  const rest = without(filter, part);
  return part.attributes
    ? { ...rest, attributes: { ...rest.attributes, ...part.attributes } }
    : { ...rest, ...part };
}

/** @param {Filter} filter @param {Filter} part @returns {Filter} */
function without(filter, part) {
  const rest = { ...filter };
  const names = part.currency ? ["currency", "price_min", "price_max"] : Object.keys(part);
  for (const name of names) delete rest[name];
  if (!part.attributes) return rest;
  const attributes = { ...filter.attributes };
  for (const name of Object.keys(part.attributes)) delete attributes[name];
  return Object.keys(attributes).length ? { ...rest, attributes } : rest;
}
