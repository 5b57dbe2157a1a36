//! Files of variables are read as python-dotenv reads them, and with it uvicorn and FastAPI: values stay as they are,
//! but for escapes within quotes, comments after a blank, and `${NAME}`. It is our own, as the crates mean other
//! things by these files.

use crate::sys::regular::LARGEST_TEXT;
use anyhow::{Context, Result, bail};

/// The values of a file may have this many bytes together, which is what a file is read of. What stands in braces could
/// be doubled with each line.
const LARGEST: usize = LARGEST_TEXT as usize;

/// Reads the variables of a file, in its order. `outer` tells what is set outside of it.
pub fn parse(text: &str, outer: impl Fn(&str) -> Option<String>) -> Result<Vec<(String, String)>> {
    let mut found: Vec<(String, String)> = Vec::new();
    let mut length = 0;
    let mut reader = Reader {
        rest: text.strip_prefix('\u{feff}').unwrap_or(text),
    };
    while let Some(start) = reader.next_line() {
        let line = 1 + text[..text.len() - start.len()].matches('\n').count();
        // Not the line itself, which may hold a secret.
        let (name, value) = reader
            .pair()
            .with_context(|| format!("it has a line that is not NAME=VALUE, line {line}"))?;
        let value = interpolated(&value, |name| {
            let inner = found.iter().rev().find(|(known, _)| known == name);
            outer(name).or_else(|| inner.map(|(_, value)| value.clone()))
        });
        length += value.len();
        if length > LARGEST {
            bail!("its values are longer than {LARGEST} bytes, line {line}");
        }
        found.push((name, value));
    }
    Ok(found)
}

struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    /// Goes to the next line that says something, and returns what is left from there on.
    fn next_line(&mut self) -> Option<&'a str> {
        loop {
            self.rest = self.rest.trim_start();
            if self.rest.is_empty() {
                return None;
            }
            if !self.rest.starts_with('#') {
                return Some(self.rest);
            }
            self.rest = self.rest.find('\n').map_or("", |end| &self.rest[end..]);
        }
    }

    fn pair(&mut self) -> Result<(String, String)> {
        if let Some(after) = self.rest.strip_prefix("export")
            && after.starts_with([' ', '\t'])
        {
            self.rest = after.trim_start_matches([' ', '\t']);
        }
        let name = self.name()?;
        self.skip_blanks();
        let Some(value) = self.rest.strip_prefix('=') else {
            bail!("it has no `=`");
        };
        let is_apart = value.starts_with(char::is_whitespace);
        self.rest = value;
        self.skip_blanks();
        let value = match self.rest.chars().next() {
            Some(quote @ ('\'' | '"')) => self.quoted(quote)?,
            _ => self.plain(is_apart),
        };
        Ok((name, value))
    }

    fn name(&mut self) -> Result<String> {
        let (name, rest) = match self.rest.strip_prefix('\'') {
            Some(quoted) => quoted.split_once('\'').context("a quote is not closed")?,
            None => {
                let ends = |c: char| c == '=' || c == '#' || c.is_whitespace();
                let end = self.rest.find(ends).unwrap_or(self.rest.len());
                self.rest.split_at(end)
            }
        };
        if name.is_empty() {
            bail!("it has no name");
        }
        // Nobody could tell where its value begins.
        if name.contains('=') {
            bail!("its name has `=` in it");
        }
        self.rest = rest;
        Ok(name.to_owned())
    }

    /// Reads to the end of the line, or to a comment, which may stand first where the `=` is apart.
    fn plain(&mut self, is_apart: bool) -> String {
        let end = self.rest.find(['\r', '\n']).unwrap_or(self.rest.len());
        let (line, rest) = self.rest.split_at(end);
        self.rest = rest;
        let comment = line.match_indices('#').find(|(at, _)| {
            let before = line[..*at].chars().next_back();
            before.map_or(is_apart, char::is_whitespace)
        });
        let value = comment.map_or(line, |(at, _)| &line[..at]);
        value.trim_end().to_owned()
    }

    /// Reads to the closing quote, over lines where need be; nothing but a comment may follow it.
    fn quoted(&mut self, quote: char) -> Result<String> {
        let mut value = String::new();
        let mut chars = self.rest.char_indices().skip(1).peekable();
        let end = loop {
            match chars.next() {
                None => bail!("a quote is not closed"),
                Some((at, c)) if c == quote => break at + 1,
                Some((_, '\\')) => {
                    let escaped = chars.peek().and_then(|(_, c)| unescaped(quote, *c));
                    match escaped {
                        Some(c) => {
                            value.push(c);
                            chars.next();
                        }
                        None => value.push('\\'),
                    }
                }
                Some((_, c)) => value.push(c),
            }
        };
        self.rest = &self.rest[end..];
        self.skip_blanks();
        let over = self.rest.is_empty() || self.rest.starts_with(['\r', '\n', '#']);
        if !over {
            bail!("something follows the closing quote");
        }
        Ok(value)
    }

    fn skip_blanks(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t']);
    }
}

/// Finds what a backslash and this character stand for within such quotes.
fn unescaped(quote: char, c: char) -> Option<char> {
    Some(match (quote, c) {
        (_, '\\' | '\'') => c,
        ('\'', _) => return None,
        (_, '"') => c,
        (_, 'a') => '\u{7}',
        (_, 'b') => '\u{8}',
        (_, 'f') => '\u{c}',
        (_, 'n') => '\n',
        (_, 'r') => '\r',
        (_, 't') => '\t',
        (_, 'v') => '\u{b}',
        _ => return None,
    })
}

/// Replaces `${NAME}` and `${NAME:-DEFAULT}`; what is not set is empty.
fn interpolated(value: &str, known: impl Fn(&str) -> Option<String>) -> String {
    let mut made = String::with_capacity(value.len());
    let mut rest = value;
    while let Some(start) = rest.find("${") {
        let Some(end) = rest[start..].find('}').map(|end| start + end) else {
            break;
        };
        made.push_str(&rest[..start]);
        let inside = &rest[start + 2..end];
        let (name, default) = inside.split_once(":-").unwrap_or((inside, ""));
        match name.contains(':') {
            true => made.push_str(&rest[start..=end]),
            false => made.push_str(&known(name).unwrap_or_else(|| default.to_owned())),
        }
        rest = &rest[end + 1..];
    }
    made.push_str(rest);
    made
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<(String, String)> {
        let outer = |name: &str| (name == "OUTER").then(|| "outside".to_owned());
        parse(text, outer).unwrap()
    }

    fn value(line: &str) -> String {
        let [(_, value)] = &read(line)[..] else {
            panic!("{line}");
        };
        value.clone()
    }

    #[test]
    fn values_stay_as_they_are() {
        for (line, expected) in [
            ("A=p@$$w0rd!", "p@$$w0rd!"),
            ("A=pa$word", "pa$word"),
            ("A={\"a\":1}", "{\"a\":1}"),
            ("A=$(id)", "$(id)"),
            ("A=\\$x", "\\$x"),
            ("A=a b  ", "a b"),
            ("A=a#b", "a#b"),
            ("A=a #b", "a"),
            ("A= #b", ""),
            ("A=\t#b #c", ""),
            ("A=#b", "#b"),
            ("A=", ""),
            ("export A = b", "b"),
            ("A='a\\n$x \\' #'", "a\\n$x ' #"),
            ("A=\"a\\n\\\"b\\\" \\x\" # c", "a\n\"b\" \\x"),
            ("A=\"two\nlines\"", "two\nlines"),
            ("A=https://a/?b=c&d=e", "https://a/?b=c&d=e"),
        ] {
            assert_eq!(value(line), expected, "{line}");
        }
    }

    #[test]
    fn names_in_braces_are_replaced() {
        assert_eq!(value("A=${OUTER}/${MISSING}/${MISSING:-x}"), "outside//x");
        assert_eq!(value("A=${OUTER"), "${OUTER");
        let pairs = read("\u{feff}# c\r\n\nA=1\r\nB=${A}2\n");
        assert_eq!(pairs[1], ("B".to_owned(), "12".to_owned()));
    }

    /// Guards against files of a few lines that take all memory.
    #[test]
    fn values_that_double_with_each_line_are_refused() {
        let text = format!("A=0123456789abcdef\n{}", "A=${A}${A}\n".repeat(60));
        let error = parse(&text, |_| None).unwrap_err().to_string();
        assert!(error.contains("longer than"), "{error}");
    }

    #[test]
    fn a_mistake_is_told_with_its_line_and_without_what_it_holds() {
        for text in [
            "A=1\nSECRET",
            "A=1\n=SECRET",
            "A=1\nB=\"SECRET",
            "A=1\n'B=C'=SECRET",
            "A=1\nB='x'SECRET",
        ] {
            let error = format!("{:#}", parse(text, |_| None).unwrap_err());
            assert!(error.contains("not NAME=VALUE, line 2: "), "{error}");
            assert!(!error.contains("SECRET"), "{error}");
        }
    }
}
