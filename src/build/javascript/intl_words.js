// The rest of `Intl` for English: plurals, lists, relative times, the order of words. See intl.js.

import { canonical, offered, NumberFormat } from "./intl.js";

const LOCALE = "en-US";
// Languages whose plurals are as in English: one is one, and everything else is not.
const AS_IN_ENGLISH = /^(en|de|nl|sv|nb|nn|no|fi|et|el|hu|bg|af|eo|sw|ur|ta|te|ml|mr)\b/;
const ORDINAL = ["other", "one", "two", "few"];

class PluralRules {
  #options;
  constructor(locales, options = {}) {
    const [locale] = canonical(locales);
    const { type = "cardinal" } = options;
    const isKnown = locale === undefined || (type === "cardinal" ? AS_IN_ENGLISH.test(locale) : /^en\b/.test(locale));
    if (!isKnown) throw new RangeError(`this engine knows English plurals, and not those of ${locale}: import @formatjs/intl-pluralrules`);
    this.#options = { ...options, type };
  }

  select(value) {
    const text = new NumberFormat("en-US", { ...this.#options, useGrouping: false }).format(value);
    if (this.#options.type === "cardinal") return text === "1" || text === "-1" ? "one" : "other";
    const last = Math.abs(value) % 10;
    const isTeen = Math.floor((Math.abs(value) % 100) / 10) === 1;
    return (!isTeen && ORDINAL[last]) || "other";
  }

  resolvedOptions() {
    const pluralCategories = this.#options.type === "cardinal" ? ["one", "other"] : ["few", "one", "two", "other"];
    return { locale: LOCALE, minimumIntegerDigits: 1, minimumFractionDigits: 0, maximumFractionDigits: 3, ...this.#options, pluralCategories };
  }
}

class ListFormat {
  #options;
  constructor(locales, options = {}) {
    canonical(locales);
    this.#options = { type: "conjunction", style: "long", ...options };
  }

  format(list) {
    return this.formatToParts(list).map(({ value }) => value).join("");
  }

  formatToParts(list) {
    const { type, style } = this.#options;
    const word = { conjunction: style === "long" ? "and" : style === "short" ? "&" : "", disjunction: "or", unit: "" }[type];
    const items = [...list];
    const comma = type === "unit" && style === "narrow" ? " " : ", ";
    return items.flatMap((value, at) => {
      const isLast = at === items.length - 1;
      const before = !isLast || !word ? comma : items.length === 2 ? ` ${word} ` : `, ${word} `;
      return [...(at > 0 ? [{ type: "literal", value: before }] : []), { type: "element", value }];
    });
  }

  resolvedOptions() { return { locale: LOCALE, ...this.#options }; }
}

const AUTO = {
  day: { "-1": "yesterday", 0: "today", 1: "tomorrow" }, hour: { 0: "this hour" }, minute: { 0: "this minute" }, second: { 0: "now" },
};
const SHORT = { year: "yr.", quarter: "qtr.", month: "mo.", week: "wk.", hour: "hr.", minute: "min.", second: "sec." };

class RelativeTimeFormat {
  #options;
  constructor(locales, options = {}) {
    canonical(locales);
    this.#options = { style: "long", numeric: "always", ...options };
  }

  format(value, unit) {
    const { style, numeric } = this.#options;
    const one = String(unit).replace(/s$/, "");
    if (!(one in SHORT) && one !== "day") throw new RangeError(`Invalid unit argument for format() '${unit}'`);
    const number = Number(value);
    if (!Number.isFinite(number)) throw new RangeError("Invalid time value");
    if (numeric === "auto") {
      const usual = AUTO[one] ?? { "-1": `last ${one}`, 0: `this ${one}`, 1: `next ${one}` };
      if (usual[number] !== undefined) return usual[number];
    }
    const amount = new NumberFormat().format(Math.abs(number));
    const isOne = amount === "1";
    const long = isOne ? one : `${one}s`;
    const short = one === "quarter" && !isOne ? "qtrs." : (SHORT[one] ?? long);
    const text = `${amount} ${style === "long" ? long : short}`;
    return number < 0 || Object.is(number, -0) ? `${text} ago` : `in ${text}`;
  }

  formatToParts(value, unit) { return [{ type: "literal", value: this.format(value, unit) }]; }

  resolvedOptions() { return { locale: LOCALE, numberingSystem: "latn", ...this.#options }; }
}

const MARKS = /[\u0300-\u036f]+/g;
const decomposed = (text) => {
  if (/^[\x00-\x7f]*$/.test(text)) return text;
  try {
    return text.normalize("NFD");
  } catch {
    // Letters that `normalize` does not know stand for themselves.
    return text;
  }
};
// Signs, digits, letters.
const rank = (character) => (/[0-9]/.test(character) ? 1 : /[a-z]/.test(character) || character > "\u007f" ? 2 : 0);

function byCharacters(one, other, numeric) {
  const pieces = numeric ? /\d+|[^]/gu : /[^]/gu;
  const these = one.match(pieces) ?? [];
  const those = other.match(pieces) ?? [];
  for (let at = 0; at < Math.min(these.length, those.length); at++) {
    const [a, b] = [these[at], those[at]];
    if (a === b) continue;
    if (numeric && /^\d/.test(a) && /^\d/.test(b) && Number(a) !== Number(b)) return Number(a) < Number(b) ? -1 : 1;
    const difference = rank(a) - rank(b);
    if (difference !== 0) return Math.sign(difference);
    if (a !== b) return a < b ? -1 : 1;
  }
  return Math.sign(these.length - those.length);
}

class Collator {
  #options;
  constructor(locales, options = {}) {
    canonical(locales);
    this.#options = { usage: "sort", sensitivity: "variant", ignorePunctuation: false, numeric: false, caseFirst: "false", ...options };
    Object.defineProperty(this, "compare", { value: (one, other) => this.#compare(String(one), String(other)) });
  }

  #compare(one, other) {
    if (one === other) return 0;
    const { sensitivity, numeric, ignorePunctuation } = this.#options;
    const cleaned = ignorePunctuation ? (text) => text.replace(/[\s!-/:-@[-`{-~]/g, "") : (text) => text;
    const [a, b] = [decomposed(cleaned(one)), decomposed(cleaned(other))];
    const [plainA, plainB] = [a.replace(MARKS, ""), b.replace(MARKS, "")];
    const base = byCharacters(plainA.toLowerCase(), plainB.toLowerCase(), numeric);
    if (base !== 0 || sensitivity === "base") return base;
    const accents = byCharacters(a.toLowerCase(), b.toLowerCase(), numeric);
    if (sensitivity !== "case" && (accents !== 0 || sensitivity === "accent")) return accents;
    for (let at = 0; at < plainA.length; at++) {
      if (plainA[at] !== plainB[at]) return (plainA[at] === plainA[at].toLowerCase() ? -1 : 1) * (this.#options.caseFirst === "upper" ? -1 : 1);
    }
    return 0;
  }

  resolvedOptions() { return { locale: LOCALE, collation: "default", ...this.#options }; }
}

export const words = {
  PluralRules: offered("PluralRules", PluralRules),
  ListFormat: offered("ListFormat", ListFormat),
  RelativeTimeFormat: offered("RelativeTimeFormat", RelativeTimeFormat),
  Collator: offered("Collator", Collator, true),
};
