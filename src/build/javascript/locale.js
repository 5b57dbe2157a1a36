// Puts `Intl` in place where the engine has none, and what stands on it: `toLocaleString` and `localeCompare`.

import { DateTimeFormat, NumberFormat, canonical, offered } from "./intl.js";
import { words } from "./intl_words.js";

function define(holder, members) {
  for (const [name, value] of Object.entries(members)) {
    Object.defineProperty(holder, name, { value, configurable: true, writable: true, enumerable: false });
  }
}

class Locale {
  constructor(tag) {
    [this.baseName] = canonical(String(tag));
    [this.language] = this.baseName.split("-");
    this.region = /-([A-Z]{2}|\d{3})\b/.exec(this.baseName)?.[1];
    this.script = /-([A-Z][a-z]{3})\b/.exec(this.baseName)?.[1];
  }
  maximize() { return this; }
  minimize() { return this; }
  toString() { return this.baseName; }
}

if (typeof Intl === "undefined") {
  const intl = { __proto__: Object.prototype };
  define(intl, {
    NumberFormat: offered("NumberFormat", NumberFormat, true),
    DateTimeFormat: offered("DateTimeFormat", DateTimeFormat, true),
    ...words,
    Locale,
    getCanonicalLocales: (locales) => [...new Set(canonical(locales))],
    supportedValuesOf: (key) => (key === "timeZone" ? ["UTC"] : []),
  });
  Object.defineProperty(intl, Symbol.toStringTag, { value: "Intl", configurable: true });
  define(globalThis, { Intl: intl });

  const day = { year: "numeric", month: "numeric", day: "numeric" };
  const time = { hour: "numeric", minute: "2-digit", second: "2-digit" };
  // What is shown where the options name nothing of it.
  const shown = (usual, names, without) => function (locales, options) {
    if (options?.[without] !== undefined) throw new TypeError(`Invalid option : ${without}`);
    if (Number.isNaN(this.getTime())) return "Invalid Date";
    const isNamed = names.some((name) => options?.[name] !== undefined);
    return new DateTimeFormat(locales, isNamed ? options : { ...usual, ...options }).format(this);
  };
  const ofDay = ["weekday", "year", "month", "day", "dateStyle"];
  const ofTime = ["hour", "minute", "second", "fractionalSecondDigits", "dayPeriod", "timeStyle"];
  define(Date.prototype, {
    toLocaleString: shown({ ...day, ...time }, [...ofDay, ...ofTime]),
    toLocaleDateString: shown(day, ofDay, "timeStyle"),
    toLocaleTimeString: shown(time, ofTime, "dateStyle"),
  });
  const number = { toLocaleString(locales, options) { return new NumberFormat(locales, options).format(this.valueOf()); } };
  define(Number.prototype, number);
  define(BigInt.prototype, number);
  const usual = new words.Collator();
  define(String.prototype, {
    localeCompare(other, locales, options) {
      const collator = options === undefined ? usual : new words.Collator(locales, options);
      return collator.compare(String(this), String(other));
    },
  });
}
