"""What `getpeercert` says of a certificate: DER (X.690) read as far as that needs."""

import ipaddress

NAMES = {
    "2.5.4.3": "commonName", "2.5.4.5": "serialNumber", "2.5.4.6": "countryName", "2.5.4.7": "localityName",
    "2.5.4.8": "stateOrProvinceName", "2.5.4.10": "organizationName", "2.5.4.11": "organizationalUnitName",
    "1.2.840.113549.1.9.1": "emailAddress", "0.9.2342.19200300.100.1.25": "domainComponent",
}  # fmt: skip
ALTERNATIVE_NAMES = "2.5.29.17"
MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()


def described(der):
    """A certificate (RFC 5280, section 4.1) in the form of the module `ssl`."""
    fields = _parts(_parts(_parts(der)[0][1])[0][1])
    version = 1
    if fields[0][0] == 0xA0:
        version = _parts(fields.pop(0)[1])[0][1][0] + 1
    serial, _, issuer, validity, subject, _, *rest = fields
    begins, ends = (_time(text) for _, text in _parts(validity[1]))
    found = {
        "subject": _name(subject[1]),
        "issuer": _name(issuer[1]),
        "version": version,
        "serialNumber": f"{int.from_bytes(serial[1], 'big'):0{len(serial[1]) * 2}X}",
        "notBefore": begins,
        "notAfter": ends,
    }
    for tag, extensions in rest:
        for _, extension in _parts(_parts(extensions)[0][1]) if tag == 0xA3 else ():
            kind, *_, value = _parts(extension)
            if _object(kind[1]) == ALTERNATIVE_NAMES:
                found["subjectAltName"] = tuple(_alternatives(_parts(value[1])[0][1]))
    return found


def _parts(data):
    """Each value with its tag."""
    found, at = [], 0
    while at < len(data):
        tag, length, at = data[at], data[at + 1], at + 2
        if length & 0x80:
            more = length & 0x7F
            length, at = int.from_bytes(data[at : at + more], "big"), at + more
        found.append((tag, data[at : at + length]))
        at += length
    return found


def _object(data):
    numbers, number = [], 0
    for byte in data:
        number = number << 7 | byte & 0x7F
        if not byte & 0x80:
            numbers.append(number)
            number = 0
    first = min(numbers[0] // 40, 2)
    return ".".join(map(str, [first, numbers[0] - 40 * first, *numbers[1:]]))


def _name(data):
    found = []
    for _, several in _parts(data):
        pairs = [_parts(pair) for _, pair in _parts(several)]
        found.append(tuple((NAMES.get(name := _object(kind[1]), name), _text(*value)) for kind, value in pairs))
    return tuple(found)


def _text(tag, data):
    return data.decode({0x1E: "utf-16-be", 0x0C: "utf-8"}.get(tag, "latin-1"), "replace")


def _time(data):
    text = data.decode("ascii")
    if len(text) == 13:
        # UTCTime has two digits of the year (RFC 5280, section 4.1.2.5.1).
        text = ("19" if text[0] >= "5" else "20") + text
    year, month, day, hour, minute, second = text[:4], *(int(text[at : at + 2]) for at in range(4, 14, 2))
    return f"{MONTHS[month - 1]} {day:2} {hour:02}:{minute:02}:{second:02} {year} GMT"


def _alternatives(data):
    for tag, value in _parts(data):
        if tag == 0x82:
            yield "DNS", value.decode("latin-1")
        elif tag == 0x81:
            yield "email", value.decode("latin-1")
        elif tag == 0x86:
            yield "URI", value.decode("latin-1")
        elif tag == 0x87:
            yield "IP Address", str(ipaddress.ip_address(value)).upper()
