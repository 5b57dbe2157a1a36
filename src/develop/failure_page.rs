//! This page is served while the last build has failed, by a component that answers everything with it.

const COMPONENT: &str = include_str!("page.wat");

/// The page is here in the component's memory, of one WebAssembly page.
const AT: usize = 1024;
const ROOM: usize = 60 * 1024;

/// Makes the component, in text form, that shows what the toolchain said.
pub fn component(said: &str) -> String {
    let page = page(said);
    let escaped: String = page.bytes().map(|byte| format!("\\{byte:02x}")).collect();
    COMPONENT
        .replace("{end}", &(AT + page.len()).to_string())
        .replace("{page}", &escaped)
}

/// Asks again by itself, so that the application appears where it can be built again.
fn page(said: &str) -> String {
    let mut text = String::new();
    for c in visible(said).chars() {
        match c {
            '&' => text.push_str("&amp;"),
            '<' => text.push_str("&lt;"),
            '>' => text.push_str("&gt;"),
            c => text.push(c),
        }
    }
    // The end says most.
    let mut from = text.len().saturating_sub(ROOM);
    while !text.is_char_boundary(from) {
        from += 1;
    }
    format!(
        "<!doctype html><meta charset=utf-8><meta http-equiv=refresh content=2>\
         <title>The build has failed</title>\
         <body style=\"font-family:sans-serif;margin:2em\"><h1>The build has failed</h1>\
         <p>The last version that was built is served again as soon as a build succeeds.</p>\
         <pre style=\"background:#eee;padding:1em;white-space:pre-wrap\">{}</pre>\n",
        &text[from..]
    )
}

/// Returns a text without what colours a terminal (ECMA-48, control sequences).
fn visible(said: &str) -> String {
    let mut text = String::new();
    let mut rest = said.chars();
    while let Some(c) = rest.next() {
        match c {
            '\x1b' => {
                let _ = rest.find(|c| c.is_ascii_alphabetic());
            }
            '\n' | '\t' => text.push(c),
            c if c.is_control() => {}
            c => text.push(c),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_said_is_shown_as_text() {
        let shown = page("\x1b[31merror\x1b[0m: expected `<T>` & more\r\n");
        assert!(
            shown.contains("error: expected `&lt;T&gt;` &amp; more\n"),
            "{shown}"
        );
    }

    #[test]
    fn a_long_report_is_shown_from_its_end() {
        let said = format!("first\n{}last", "ä\n".repeat(50_000));
        let shown = page(&said);
        assert!(shown.contains("last</pre>") && !shown.contains("first"));
        assert!(AT + shown.len() < 64 * 1024);
        wat::parse_str(component(&said)).unwrap();
    }
}
