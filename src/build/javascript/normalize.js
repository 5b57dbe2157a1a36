// `String.prototype.normalize` for Latin and Cyrillic letters: the engine was built without the tables of Unicode, and
// the whole of them would be larger than most applications. What is not known here is refused, never passed on unchanged.

// By each mark, letters without it and the same with it.
const PAIRS = {
  "\u0300":
    "¨῭AÀEÈIÌOÒUÙaàeèiìoòuùÜǛüǜNǸnǹЕЀИЍеѐиѝĒḔēḕŌṐōṑWẀwẁÂẦâầĂẰăằÊỀêềÔỒôồƠỜơờƯỪưừYỲyỳ",
  "\u0301":
    "¨΅AÁEÉIÍOÓUÚYÝaáeéiíoóuúyýCĆcćLĹlĺNŃnńRŔrŕSŚsśZŹzźÜǗüǘGǴgǵÅǺåǻÆǼæǽØǾøǿГЃКЌгѓкќÇḈçḉĒḖēḗÏḮïḯ" +
    "KḰkḱMḾmḿÕṌõṍŌṒōṓPṔpṕŨṸũṹWẂwẃÂẤâấĂẮăắÊẾêếÔỐôốƠỚơớƯỨưứ",
  "\u0302":
    "AÂEÊIÎOÔUÛaâeêiîoôuûCĈcĉGĜgĝHĤhĥJĴjĵSŜsŝWŴwŵYŶyŷZẐzẑẠẬạậẸỆẹệỌỘọộ",
  "\u0303":
    "AÃNÑOÕaãnñoõIĨiĩUŨuũVṼvṽÂẪâẫĂẴăẵEẼeẽÊỄêễÔỖôỗƠỠơỡƯỮưữYỸyỹ",
  "\u0304":
    "AĀaāEĒeēIĪiīOŌoōUŪuūÜǕüǖÄǞäǟȦǠȧǡÆǢæǣǪǬǫǭÖȪöȫÕȬõȭȮȰȯȱYȲyȳИӢиӣУӮуӯGḠgḡḶḸḷḹṚṜṛṝ",
  "\u0306":
    "AĂaăEĔeĕGĞgğIĬiĭOŎoŏUŬuŭУЎИЙийуўЖӁжӂАӐаӑЕӖеӗȨḜȩḝẠẶạặ",
  "\u0307":
    "CĊcċEĖeėGĠgġIİZŻzżAȦaȧOȮoȯBḂbḃDḊdḋFḞfḟHḢhḣMṀmṁNṄnṅPṖpṗRṘrṙSṠsṡŚṤśṥŠṦšṧṢṨṣṩTṪtṫWẆwẇXẊxẋYẎ" +
    "yẏſẛ",
  "\u0308":
    "AÄEËIÏOÖUÜaäeëiïoöuüyÿYŸЕЁІЇеёіїАӒаӓӘӚәӛЖӜжӝЗӞзӟИӤиӥОӦоӧӨӪөӫЭӬэӭУӰуӱЧӴчӵЫӸыӹHḦhḧÕṎõṏŪṺūṻ" +
    "WẄwẅXẌxẍtẗ",
  "\u0309":
    "AẢaảÂẨâẩĂẲăẳEẺeẻÊỂêểIỈiỉOỎoỏÔỔôổƠỞơởUỦuủƯỬưửYỶyỷ",
  "\u030a":
    "AÅaåUŮuůwẘyẙ",
  "\u030b":
    "OŐoőUŰuűУӲуӳ",
  "\u030c":
    "CČcčDĎdďEĚeěLĽlľNŇnňRŘrřSŠsšTŤtťZŽzžAǍaǎIǏiǐOǑoǒUǓuǔÜǙüǚGǦgǧKǨkǩƷǮʒǯjǰHȞhȟ",
  "\u030f":
    "AȀaȁEȄeȅIȈiȉOȌoȍRȐrȑUȔuȕѴѶѵѷ",
  "\u0311":
    "AȂaȃEȆeȇIȊiȋOȎoȏRȒrȓUȖuȗ",
  "\u031b":
    "OƠoơUƯuư",
  "\u0323":
    "BḄbḅDḌdḍHḤhḥKḲkḳLḶlḷMṂmṃNṆnṇRṚrṛSṢsṣTṬtṭVṾvṿWẈwẉZẒzẓAẠaạEẸeẹIỊiịOỌoọƠỢơợUỤuụƯỰưựYỴyỵ",
  "\u0324":
    "UṲuṳ",
  "\u0325":
    "AḀaḁ",
  "\u0326":
    "SȘsșTȚtț",
  "\u0327":
    "CÇcçGĢgģKĶkķLĻlļNŅnņRŖrŗSŞsşTŢtţEȨeȩDḐdḑHḨhḩ",
  "\u0328":
    "AĄaąEĘeęIĮiįUŲuųOǪoǫ",
  "\u032d":
    "DḒdḓEḘeḙLḼlḽNṊnṋTṰtṱUṶuṷ",
  "\u032e":
    "HḪhḫ",
  "\u0330":
    "EḚeḛIḬiḭUṴuṵ",
  "\u0331":
    "BḆbḇDḎdḏKḴkḵLḺlḻNṈnṉRṞrṟTṮtṯZẔzẕhẖ",
};

// The order of marks (Unicode, canonical combining classes), where it is not 230.
const CLASSES = new Map([
  ...[..."\u0327\u0328"].map((mark) => [mark, 202]),
  ["\u031b", 216],
  ...[..."\u0323\u0324\u0325\u0326\u032d\u032e\u0330\u0331"].map((mark) => [mark, 220]),
]);

// What stands for others (compatibility decompositions), in NFKC and NFKD.
const STANDS = {
  "\u00a0": " ", "¨": " \u0308", "ª": "a", "¯": " \u0304", "²": "2", "³": "3", "´": " \u0301", "µ": "μ",
  "¸": " \u0327", "¹": "1", "º": "o", "¼": "1⁄4", "½": "1⁄2", "¾": "3⁄4", "Ĳ": "IJ", "ĳ": "ij", "Ŀ": "L·",
  "ŀ": "l·", "ŉ": "ʼn", "ſ": "s", "Ǆ": "DZ\u030c", "ǅ": "Dz\u030c", "ǆ": "dz\u030c", "Ǉ": "LJ", "ǈ": "Lj",
  "ǉ": "lj", "Ǌ": "NJ", "ǋ": "Nj", "ǌ": "nj", "Ǳ": "DZ", "ǲ": "Dz", "ǳ": "dz", "ẚ": "aʾ", "ẛ": "s\u0307",
};

const apart = new Map();
const together = new Map();
for (const [mark, letters] of Object.entries(PAIRS)) {
  for (let at = 0; at < letters.length; at += 2) {
    apart.set(letters[at + 1], letters[at] + mark);
    together.set(letters[at] + mark, letters[at + 1]);
  }
}

// Letters and marks that the tables are of, and ideographs, which no form changes.
const TABLED = `\0-\u024f\u0400-\u0482\u048a-\u052f\u1e00-\u1eff\u4e00-\u9fff${Object.keys(PAIRS).join("")}`;
// Punctuation, signs of currencies and emoji, which have other forms only in NFKC and NFKD.
const CANONICAL = `${TABLED}\u2010-\u2027\u20a0-\u20c0\ud83c-\ud83e\udc00-\udfff`;
// Kana and Hangul, which are whole without marks of their own.
const WHOLE = `${CANONICAL}\u3041-\u3096\u30a1-\u30fa\uac00-\ud7a3`;
const KNOWN = Object.fromEntries(
  Object.entries({ NFC: WHOLE, NFD: CANONICAL, NFKC: TABLED, NFKD: TABLED }).map(([form, range]) => [
    form,
    new RegExp(`^[${range}]*$`),
  ]),
);

function split(character) {
  const parts = apart.get(character);
  return parts ? split(parts[0]) + parts[1] : character;
}

const classOf = (character) => (character in PAIRS ? (CLASSES.get(character) ?? 230) : 0);

// Marks that follow each other stand in the order of their classes.
function ordered(characters) {
  for (let at = 1; at < characters.length; at++) {
    for (let back = at; back > 0; back--) {
      const [before, own] = [classOf(characters[back - 1]), classOf(characters[back])];
      if (own === 0 || before <= own) break;
      [characters[back - 1], characters[back]] = [characters[back], characters[back - 1]];
    }
  }
  return characters;
}

function composed(characters) {
  const result = [];
  let starter = -1;
  let last = 0;
  for (const character of characters) {
    const own = classOf(character);
    const whole = starter >= 0 && (last < own || last === 0) && together.get(result[starter] + character);
    if (whole) {
      result[starter] = whole;
      continue;
    }
    if (own === 0) starter = result.length;
    last = own;
    result.push(character);
  }
  return result;
}

function normalized(text, form) {
  if (/^[\0-\x7f]*$/.test(text)) return text;
  if (!KNOWN[form].test(text)) {
    const remedy = "bundle a library for others, such as unorm";
    throw new RangeError(`normalize("${form}") knows Latin and Cyrillic letters here; ${remedy}`);
  }
  const stands = form.includes("K") ? text.replace(/[^\0-\x7f]/g, (one) => STANDS[one] ?? one) : text;
  const characters = ordered([...Array.from(stands.split(""), split).join("")].flatMap((one) => [...one]));
  return (form.endsWith("C") ? composed(characters) : characters).join("");
}

String.prototype.normalize ??= function normalize(form = "NFC") {
  if (!(form in KNOWN)) throw new RangeError(`${form} is no form of normalization`);
  return normalized(String(this), String(form));
};
