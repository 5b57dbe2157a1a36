// `Intl` for English (United States) and UTC, as the engine was built without it: what libraries ask of it most, and what
// `toLocaleString` and `localeCompare` stand on. Every other locale is one without data, which falls back to this one
// (ECMA-402, section 9.2), and a time zone that is none of UTC's is a RangeError. Plurals of other languages are one, too,
// as words that are wrong are worse than an error.

const LOCALE = "en-US";
const MONTHS = "January February March April May June July August September October November December".split(" ");
const DAYS = "Sunday Monday Tuesday Wednesday Thursday Friday Saturday".split(" ");
const CURRENCIES = { USD: "$", EUR: "€", GBP: "£", JPY: "¥", INR: "₹", CNY: "CN¥", KRW: "₩", BRL: "R$", CAD: "CA$", AUD: "A$" };
const WITHOUT_CENTS = new Set(["JPY", "KRW", "VND", "CLP", "ISK"]);
const UNITS = {
  year: ["yr", "y"], month: ["mth", "m"], week: ["wk", "w"], day: ["day", "d"], hour: ["hr", "h"], minute: ["min", "m"],
  second: ["sec", "s"], millisecond: ["ms", "ms"], byte: ["byte", "B"], kilobyte: ["kB", "kB"], megabyte: ["MB", "MB"],
  gigabyte: ["GB", "GB"], percent: ["%", "%"], kilometer: ["km", "km"], meter: ["m", "m"], kilogram: ["kg", "kg"],
};
const COUNTED = new Set(["yr", "mth", "wk", "day"]);

const joined = (parts) => parts.map(({ value }) => value).join("");
const isEnglish = (locale) => /^en(-US)?$/i.test(String(locale));

export function canonical(locales) {
  const list = locales === undefined ? [] : typeof locales === "string" ? [locales] : [...locales];
  return list.map((locale) => {
    if (!/^[a-z]{2,8}([-_][a-z0-9]{1,8})*$/i.test(String(locale))) throw new RangeError(`Incorrect locale information provided: ${locale}`);
    const [language, ...rest] = String(locale).split(/[-_]/);
    const subtags = rest.map((it) => (it.length === 2 ? it.toUpperCase() : it.length === 4 ? it[0].toUpperCase() + it.slice(1).toLowerCase() : it));
    return [language.toLowerCase(), ...subtags].join("-");
  });
}

// What all of them have: each is called without `new` where the standard allows that.
export function offered(name, Kind, isCallable) {
  Object.defineProperty(Kind.prototype, Symbol.toStringTag, { value: `Intl.${name}`, configurable: true });
  Kind.supportedLocalesOf = (locales) => canonical(locales).filter(isEnglish);
  const kind = isCallable ? new Proxy(Kind, { apply: (target, self, given) => new target(...given) }) : Kind;
  if (isCallable) Kind.prototype.constructor = kind;
  return kind;
}

export class NumberFormat {
  #options;
  constructor(locales, options = {}) {
    canonical(locales);
    const { style = "decimal", currency, unit, notation = "standard" } = options ?? {};
    if (style === "currency" && currency === undefined) throw new TypeError("Currency code is required with currency style.");
    if (style === "unit" && unit === undefined) throw new TypeError("Unit is required with unit style.");
    const code = currency?.toUpperCase();
    const cents = style === "currency" ? (WITHOUT_CENTS.has(code) ? 0 : 2) : undefined;
    const least = options.minimumFractionDigits ?? cents ?? 0;
    const usual = cents ?? (style === "percent" || notation === "compact" ? 0 : 3);
    const most = options.maximumFractionDigits ?? Math.max(least, usual);
    const low = options.minimumFractionDigits === undefined ? Math.min(least, most) : least;
    for (const digits of [low, most]) {
      if (!(digits >= 0 && digits <= 100)) throw new RangeError("fraction digits are out of range");
    }
    if (low > most) throw new RangeError("maximumFractionDigits value is out of range.");
    this.#options = { useGrouping: "auto", signDisplay: "auto", ...options, style, currency: code, notation, low, most };
    const format = (value) => joined(this.formatToParts(value));
    Object.defineProperty(this, "format", { value: format });
  }

  formatToParts(value) {
    const o = this.#options;
    const number = typeof value === "bigint" ? value : Number(value);
    const isNegative = number < 0 || Object.is(number, -0);
    const parts = this.#digits(isNegative ? -number : number);
    const isZero = !/[1-9]/.test(joined(parts)) && Number.isFinite(Number(number));
    if (o.style === "percent") parts.push({ type: "percentSign", value: "%" });
    if (o.style === "currency") this.#addCurrency(parts, number);
    if (o.style === "unit") this.#addUnit(parts, number);
    const shows = { never: false, always: true, exceptZero: !isZero, negative: isNegative && !isZero }[o.signDisplay] ?? isNegative;
    if (shows && !Number.isNaN(number)) {
      parts.unshift(isNegative ? { type: "minusSign", value: "-" } : { type: "plusSign", value: "+" });
      if (o.signDisplay === "negative" && !isNegative) parts.shift();
    }
    if (isNegative && o.currencySign === "accounting" && o.style === "currency" && shows) {
      parts[0] = { type: "literal", value: "(" };
      parts.push({ type: "literal", value: ")" });
    }
    return parts;
  }

  #digits(number) {
    const o = this.#options;
    if (Number.isNaN(number)) return [{ type: "nan", value: "NaN" }];
    if (number === Infinity) return [{ type: "infinity", value: "∞" }];
    const amount = decimal(number, o.style === "percent" ? 2 : 0);
    let suffix;
    if (o.notation === "compact") {
      const stepOf = ({ at }) => Math.min(Math.max(Math.floor((at - 1) / 3), 0), 4);
      let step = stepOf(amount);
      // What is rounded to a thousand of these is one of the next.
      step = stepOf(rounded(amount, Math.min(2 - amount.at, -3 * step)));
      amount.at -= 3 * step;
      suffix = (o.compactDisplay === "long" ? ["", " thousand", " million", " billion", " trillion"] : ["", "K", "M", "B", "T"])[step];
    }
    const [whole, part] = this.#rounded(amount);
    const grouped = o.useGrouping === false || o.useGrouping === "false" ? [whole] : whole.replace(/\B(?=(\d{3})+$)/g, ",").split(",");
    const parts = grouped.flatMap((value, at) => (at ? [{ type: "group", value: "," }] : []).concat({ type: "integer", value }));
    if (part) parts.push({ type: "decimal", value: "." }, { type: "fraction", value: part });
    if (suffix) parts.push({ type: "compact", value: suffix });
    return parts;
  }

  // The digits before and after the point.
  #rounded(amount) {
    const o = this.#options;
    const { minimumIntegerDigits = 1, minimumSignificantDigits: fewest, maximumSignificantDigits: all } = o;
    const isBySignificance = fewest !== undefined || all !== undefined;
    const isCompact = o.notation === "compact" && !isBySignificance && o.maximumFractionDigits === undefined && o.minimumFractionDigits === undefined;
    let most = o.most;
    let low = o.low;
    if (isBySignificance) {
      most = (all ?? 21) - amount.at;
      low = Math.max((fewest ?? 1) - Math.max(amount.at, amount.digits === "" ? 1 : amount.at), 0);
    } else if (isCompact) {
      most = Math.max(0, 2 - Math.max(amount.at, 1));
      // Two digits, and all that are before the point.
      if (amount.at < 1) most = 2 - amount.at;
      low = 0;
    }
    const { digits, at } = rounded(amount, most);
    const whole = (at > 0 ? digits.padEnd(at, "0").slice(0, at) : "").padStart(minimumIntegerDigits, "0");
    const part = (at > 0 ? digits.slice(at) : digits && "0".repeat(-at) + digits).padEnd(low, "0");
    return [whole, part];
  }

  #addCurrency(parts, number) {
    const { currency, currencyDisplay = "symbol" } = this.#options;
    if (currencyDisplay === "name") parts.push({ type: "literal", value: " " }, { type: "currency", value: currency });
    else {
      const symbol = currencyDisplay === "code" ? undefined : CURRENCIES[currency]?.slice(currencyDisplay === "narrowSymbol" ? -1 : 0);
      const hasLetters = symbol === undefined && Number.isFinite(Number(number));
      if (hasLetters) parts.unshift({ type: "literal", value: "\u00a0" });
      parts.unshift({ type: "currency", value: symbol ?? currency });
    }
  }

  #addUnit(parts, number) {
    const { unit, unitDisplay = "short" } = this.#options;
    const isOne = joined(parts) === "1";
    const [short, narrow] = UNITS[unit] ?? [unit, unit];
    const value = { long: isOne ? unit : `${unit}s`, narrow }[unitDisplay] ?? (COUNTED.has(short) && !isOne ? `${short}s` : short);
    if (unitDisplay !== "narrow" && value !== "%") parts.push({ type: "literal", value: " " });
    parts.push({ type: "unit", value });
  }

  formatRange(from, to) { return `${this.format(from)}–${this.format(to)}`; }

  resolvedOptions() {
    const { low, most, ...rest } = this.#options;
    return { locale: LOCALE, numberingSystem: "latn", minimumIntegerDigits: 1, minimumFractionDigits: low, maximumFractionDigits: most, ...rest };
  }
}

// The digits of a number that is not negative, as it is written in the shortest way, and how many of them are before the
// point; so many more of them where it counts hundredths.
function decimal(number, hundredfold) {
  const [mantissa, exponent = "0"] = String(number).split("e");
  const [whole, part = ""] = mantissa.split(".");
  const all = whole + part;
  const digits = all.replace(/^0+/, "");
  const at = whole.length - (all.length - digits.length) + Number(exponent) + hundredfold;
  return { digits: digits.replace(/0+$/, ""), at: digits === "" ? 0 : at };
}

// The same with so many digits after the point, and halves away from nought.
function rounded({ digits, at }, most) {
  const kept = at + most;
  if (kept >= digits.length) return { digits, at };
  if (kept < 0) return { digits: "", at: 0 };
  const isUp = digits[kept] >= "5";
  const text = String(BigInt(`1${digits.slice(0, kept)}`) + (isUp ? 1n : 0n));
  const carries = text[0] === "2";
  const left = (carries ? `1${text.slice(1)}` : text.slice(1)).replace(/0+$/, "");
  return { digits: left, at: left === "" ? 0 : carries ? at + 1 : at };
}

const ZONE = /^(utc|gmt|etc\/(utc|gmt|uct|zulu|universal|greenwich)|zulu|universal)$/i;
const STYLES = {
  full: { weekday: "long", year: "numeric", month: "long", day: "numeric" },
  long: { year: "numeric", month: "long", day: "numeric" },
  medium: { year: "numeric", month: "short", day: "numeric" },
  short: { year: "2-digit", month: "numeric", day: "numeric" },
};
const TIMES = {
  full: { hour: "numeric", minute: "2-digit", second: "2-digit", timeZoneName: "long" },
  long: { hour: "numeric", minute: "2-digit", second: "2-digit", timeZoneName: "short" },
  medium: { hour: "numeric", minute: "2-digit", second: "2-digit" },
  short: { hour: "numeric", minute: "2-digit" },
};
const OF_DATES = ["weekday", "year", "month", "day"];
const OF_TIMES = ["dayPeriod", "hour", "minute", "second", "fractionalSecondDigits"];

export class DateTimeFormat {
  #asked;
  #shown;
  #zone;
  #offset = 0;
  constructor(locales, options = {}) {
    canonical(locales);
    this.#asked = options ?? {};
    const { timeZone = "UTC", dateStyle, timeStyle } = this.#asked;
    const offset = /^([+-])(\d\d):?(\d\d)?$/.exec(timeZone);
    if (offset) this.#offset = (offset[1] === "-" ? -1 : 1) * (Number(offset[2]) * 60 + Number(offset[3] ?? 0));
    else if (!ZONE.test(timeZone)) throw new RangeError(`Invalid time zone specified: ${timeZone}: this engine knows UTC, and no other`);
    this.#zone = offset ? `${offset[1]}${offset[2]}:${offset[3] ?? "00"}` : "UTC";
    const names = [...OF_DATES, ...OF_TIMES];
    const isStyled = dateStyle !== undefined || timeStyle !== undefined;
    if (isStyled && names.some((name) => this.#asked[name] !== undefined)) {
      throw new TypeError("dateStyle and timeStyle cannot be used beside what they stand for");
    }
    const isEmpty = !isStyled && names.every((name) => this.#asked[name] === undefined);
    this.#shown = { ...(isEmpty ? NUMERIC : {}), ...STYLES[dateStyle], ...TIMES[timeStyle], ...this.#asked };
    const format = (date) => joined(this.formatToParts(date));
    Object.defineProperty(this, "format", { value: format });
  }

  formatToParts(date) {
    const time = date === undefined ? Date.now() : Number(date);
    if (!(Math.abs(time) <= 8.64e15)) throw new RangeError("Invalid time value");
    const at = new Date(time + this.#offset * 60_000);
    const day = this.#dateParts(at);
    const clock = this.#timeParts(at);
    if (day.length === 0 || clock.length === 0) return [...day, ...clock];
    const isWorded = this.#shown.month === "long";
    const value = isWorded ? " at " : day.length === 1 && day[0].type === "weekday" ? " " : ", ";
    return [...day, { type: "literal", value }, ...clock];
  }

  #dateParts(at) {
    const { weekday, year, month, day } = this.#shown;
    const pad = (value, how) => (how === "2-digit" ? String(value).padStart(2, "0").slice(-2) : String(value));
    const parts = [];
    const add = (type, value, between) => {
      if (parts.length > 0 && between) parts.push({ type: "literal", value: between });
      parts.push({ type, value });
    };
    const isWorded = /long|short|narrow/.test(month);
    const name = weekday && shortened(DAYS[at.getUTCDay()], weekday);
    if (weekday && !month && !year && day) return [{ type: "day", value: pad(at.getUTCDate(), day) }, { type: "literal", value: " " }, { type: "weekday", value: name }];
    if (weekday) add("weekday", name);
    const between = weekday ? ", " : "";
    if (month) add("month", isWorded ? shortened(MONTHS[at.getUTCMonth()], month) : pad(at.getUTCMonth() + 1, month), between);
    if (day) add("day", pad(at.getUTCDate(), day), month ? (isWorded ? " " : "/") : between);
    if (year) add("year", pad(at.getUTCFullYear(), year), isWorded ? (day ? ", " : " ") : month || day ? "/" : between);
    return parts;
  }

  #timeParts(at) {
    const { hour, minute, second, fractionalSecondDigits: digits, timeZoneName, hourCycle } = this.#shown;
    const is12 = this.#is12();
    const parts = [];
    const add = (type, value, between) => {
      if (parts.length > 0 && between) parts.push({ type: "literal", value: between });
      parts.push({ type, value });
    };
    const two = (value) => String(value).padStart(2, "0");
    const hours = at.getUTCHours();
    if (hour) {
      const shown = is12 ? hours % 12 || 12 : hours === 0 && (this.#shown.hour12 === false || hourCycle === "h24") && hourCycle !== "h23" ? 24 : hours;
      add("hour", hour === "2-digit" || !is12 ? two(shown) : String(shown));
    }
    if (minute) add("minute", hour || second ? two(at.getUTCMinutes()) : String(at.getUTCMinutes()), ":");
    if (second) add("second", minute ? two(at.getUTCSeconds()) : String(at.getUTCSeconds()), ":");
    if (digits) add("fractionalSecond", String(at.getUTCMilliseconds()).padStart(3, "0").slice(0, digits), ".");
    if (hour && is12) add("dayPeriod", hours < 12 ? "AM" : "PM", " ");
    if (timeZoneName) add("timeZoneName", this.#zoneName(timeZoneName), " ");
    return parts;
  }

  #is12() {
    const { hour12, hourCycle } = this.#shown;
    return hour12 ?? (hourCycle === undefined || hourCycle === "h12" || hourCycle === "h11");
  }

  #zoneName(how) {
    if (this.#zone === "UTC") return how.startsWith("long") && !how.includes("Offset") ? "Coordinated Universal Time" : how.includes("Offset") ? "GMT" : "UTC";
    return `GMT${this.#zone}`;
  }

  formatRange(from, to) { return `${this.format(from)} – ${this.format(to)}`; }
  formatRangeToParts(from, to) { return [...this.formatToParts(from), { type: "literal", value: " – " }, ...this.formatToParts(to)]; }

  resolvedOptions() {
    const { timeZone, locale, ...shown } = this.#shown;
    const cycle = shown.hour === undefined ? {} : { hourCycle: this.#is12() ? "h12" : "h23", hour12: this.#is12() };
    return { locale: LOCALE, calendar: "gregory", numberingSystem: "latn", timeZone: this.#zone, ...shown, ...cycle };
  }
}

const NUMERIC = { year: "numeric", month: "numeric", day: "numeric" };
const shortened = (name, how) => ({ short: name.slice(0, 3), narrow: name[0] })[how] ?? name;
