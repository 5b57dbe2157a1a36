// Bodies that are read as a blob or a form, for `platform.js`. The engine's own blob has no type, and its forms have the
// numbers of a file's bytes in place of the bytes.

for (const { prototype } of [Request, Response]) {
  // Fetch standard, section 5.3.
  prototype.blob = async function blob() {
    return new Blob([await this.arrayBuffer()], { type: this.headers.get("content-type") ?? "" });
  };
  prototype.formData = async function formData() {
    const type = this.headers.get("content-type") ?? "";
    if (/^\s*application\/x-www-form-urlencoded\s*(;|$)/i.test(type)) {
      const form = new FormData();
      for (const [name, value] of new URLSearchParams(await this.text())) form.append(name, value);
      return form;
    }
    const boundary = /^\s*multipart\/form-data\s*;.*?\bboundary=(?:"([^"]+)"|([^;\s]+))/i.exec(type);
    if (!boundary) throw new TypeError(`a body of the type "${type}" is no form`);
    return formOf(new Uint8Array(await this.arrayBuffer()), boundary[1] ?? boundary[2]);
  };
}

const utf8 = new TextDecoder();
// A character for each byte: what is looked for is ASCII.
const single = new TextDecoder("latin1");

// RFC 7578, as browsers send it.
function formOf(bytes, boundary) {
  const form = new FormData();
  const text = `\r\n${single.decode(bytes)}`;
  // The text has one line end more than the bytes.
  const taken = (from, to) => bytes.subarray(from - 2, to - 2);
  const delimiter = `\r\n--${boundary}`;
  let at = text.indexOf(delimiter);
  for (;;) {
    const begin = at + delimiter.length;
    if (at < 0) throw new TypeError("the form is cut short");
    if (text.startsWith("--", begin)) return form;
    const line = text.indexOf("\r\n", begin);
    const head = text.indexOf("\r\n\r\n", line);
    // Where a part is empty, the line end before the next is the one after its head.
    at = text.indexOf(delimiter, head + 2);
    if (line < 0 || head < 0 || at < 0) throw new TypeError("the form is cut short");
    add(form, utf8.decode(taken(line, head)), taken(head + 4, Math.max(at, head + 4)));
  }
}

function add(form, head, content) {
  const { name, filename } = parametersOf(head);
  if (name === undefined) throw new TypeError("a part of the form has no name");
  if (filename === undefined) {
    form.append(name, utf8.decode(content));
    return;
  }
  const type = /\r\ncontent-type:\s*([^\r\n]*)/i.exec(head)?.[1].trim() ?? "text/plain";
  form.append(name, new File([content], filename, { type }));
}

function parametersOf(head) {
  const disposition = /\r\ncontent-disposition:\s*form-data\s*;([^\r\n]*)/i.exec(head)?.[1] ?? "";
  const found = {};
  for (const [, name, quoted, plain] of disposition.matchAll(/\b(name|filename)=(?:"([^"]*)"|([^;\s]+))/gi)) {
    // Browsers write these three so (HTML standard, "multipart form data").
    const value = (quoted ?? plain).replaceAll("%0D", "\r").replaceAll("%0A", "\n").replaceAll("%22", '"');
    found[name.toLowerCase()] ??= value;
  }
  return found;
}
