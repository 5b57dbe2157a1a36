//! A `Cause` says why a request is recorded, and tells failures apart: one that was recorded is not recorded again.

use super::answered::Answered;
use super::request::WrittenHead;
use crate::guest::failure::Failure;

/// A `Cause` is what a request has failed by.
pub struct Cause {
    pub failure: String,
    /// Causes with the same signature are the same failure.
    pub signature: String,
    pub backtrace: Option<String>,
}

impl Cause {
    /// The guest has failed.
    pub fn of(failure: &Failure) -> Cause {
        Cause {
            failure: failure.in_one_line(),
            signature: failure.signature(),
            backtrace: failure.backtrace(),
        }
    }

    /// The guest has answered this, and has written these lines before.
    pub fn answer(answered: &Answered, said: &[String], head: &WrittenHead) -> Cause {
        let shape = match shape(said) {
            shape if shape.is_empty() => route(head),
            shape => shape,
        };
        Cause {
            failure: answered.to_string(),
            signature: signature(&format!("{}\n{shape}", answered.status)),
            backtrace: None,
        }
    }

    /// The time of the request was up, while the guest waited for the answer of another server to this, if it did.
    pub fn time_out(awaited: Option<&str>, head: &WrittenHead) -> Cause {
        let told = awaited.map(|asked| format!(" while it waited for `{asked}`"));
        let awaited = awaited.map(without_numbers).unwrap_or_default();
        Cause {
            failure: format!("{}{}", Failure::TimedOut, told.unwrap_or_default()),
            signature: signature(&format!("time-out\n{}\n{awaited}", route(head))),
            backtrace: None,
        }
    }
}

fn signature(text: &str) -> String {
    blake3::hash(text.as_bytes()).to_hex()[..16].to_owned()
}

/// Finds what distinguishes what a guest has written from what it writes when it fails elsewhere: the indented lines,
/// which name functions in the tracebacks of all languages, and the last one, which says what is wrong. Numbers and what
/// is quoted in the last differ from request to request.
fn shape(said: &[String]) -> String {
    let is_told = |line: &&String| !line.trim().is_empty();
    let Some(last) = said.iter().rfind(is_told) else {
        return String::new();
    };
    let indented = said.iter().filter(is_told);
    let indented = indented.filter(|line| line.starts_with([' ', '\t']));
    let mut shape: Vec<String> = indented.map(|line| without_numbers(line)).collect();
    shape.push(without_numbers(&without_quoted(last)));
    shape.join("\n")
}

/// The route of a request, as far as it can be seen from outside.
fn route(head: &WrittenHead) -> String {
    let target = head.target.split(['?', '#']).next().unwrap_or_default();
    let parts = target.split('/').map(|part| {
        let is_value = part.bytes().any(|byte| byte.is_ascii_digit());
        if is_value { "*" } else { part }
    });
    let parts: Vec<&str> = parts.collect();
    format!("{} {}", head.method, parts.join("/"))
}

/// Puts a sign in the place of each number, decimal or hexadecimal.
fn without_numbers(text: &str) -> String {
    let mut shape = String::with_capacity(text.len());
    for word in text.split_inclusive(|character: char| !character.is_ascii_alphanumeric()) {
        let (stem, end) = match word.char_indices().next_back() {
            Some((at, last)) if !last.is_ascii_alphanumeric() => word.split_at(at),
            _ => (word, ""),
        };
        let is_number = stem.bytes().any(|byte| byte.is_ascii_digit())
            && stem
                .trim_start_matches("0x")
                .bytes()
                .all(|byte| byte.is_ascii_hexdigit());
        shape.push_str(if is_number { "#" } else { stem });
        shape.push_str(end);
    }
    shape
}

/// Leaves out what stands in quotation marks.
fn without_quoted(text: &str) -> String {
    let mut shape = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(begin) = rest.find(['\'', '"', '`']) {
        let (before, quoted) = rest.split_at(begin);
        shape.push_str(before);
        // What is opened and not closed is an apostrophe.
        let mark = &quoted[..1];
        match quoted[1..].find(mark) {
            Some(end) => rest = &quoted[end + 2..],
            None => {
                shape.push_str(quoted);
                return shape;
            }
        }
    }
    shape + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(target: &str) -> WrittenHead {
        WrittenHead {
            method: "GET".to_owned(),
            target: target.to_owned(),
            http2: false,
            fields: Vec::new(),
            masked: Vec::new(),
        }
    }

    fn signature_of(said: &str, target: &str) -> String {
        let said: Vec<String> = said.lines().map(str::to_owned).collect();
        let answered = Answered {
            status: 500,
            body: None,
        };
        Cause::answer(&answered, &said, &head(target)).signature
    }

    #[test]
    fn the_same_traceback_is_the_same_failure_whatever_was_asked() {
        let one = "user 17 logs in\nTraceback:\n  File \"main.py\", line 7, in read\n    raise\nKeyError: 'ann'";
        let other = one.replace("17", "4").replace("ann", "bob");
        assert_eq!(signature_of(one, "/a"), signature_of(&other, "/b"));
        for (from, to) in [("in read", "in write"), ("KeyError", "ValueError")] {
            let elsewhere = one.replace(from, to);
            assert_ne!(signature_of(one, "/a"), signature_of(&elsewhere, "/a"));
        }
    }

    #[test]
    fn without_a_word_failures_are_told_apart_by_their_routes() {
        let silent = |target| signature_of("", target);
        assert_eq!(silent("/items/7?q=1"), silent("/items/8a?q=2"));
        assert_ne!(silent("/items/7"), silent("/users/7"));
        assert_eq!(signature_of("\n \n", "/a"), silent("/a"));
    }

    #[test]
    fn time_outs_are_told_apart_by_route_and_by_what_was_awaited() {
        let of = |awaited, target| Cause::time_out(awaited, &head(target));
        let (one, other) = (Some("GET http://a/1"), Some("GET http://a/2"));
        assert_eq!(of(one, "/1").signature, of(other, "/2").signature);
        assert_ne!(of(one, "/1").signature, of(None, "/1").signature);
        assert_eq!(
            of(one, "/").failure,
            "the guest ran past its time while it waited for `GET http://a/1`"
        );
    }

    #[test]
    fn numbers_and_quotations_count_for_nothing() {
        assert_eq!(
            without_numbers("\tmain.go:12 +0x1d4 {7}"),
            "\tmain.go:# +# {#}"
        );
        assert_eq!(without_numbers("item7 é 3"), "item7 é #");
        assert_eq!(without_quoted("no 'x' in \"y\" of it"), "no  in  of it");
        assert_eq!(without_quoted("it's gone"), "it's gone");
        assert_eq!(without_quoted("`a` 'b"), " 'b");
    }
}
