//! Values are written in units like this (systemd.syntax(7), systemd.service(5)).
//!
//! It is our own, as crates quote for a shell, which knows neither `%` nor systemd's escapes.

/// Writes one argument of a command. What systemd would replace in it stands for itself.
pub fn argument(text: &str) -> String {
    quoted(&text.replace('%', "%%").replace('$', "$$"))
}

/// Writes one item of a list that is no command, such as `NAME=VALUE` of Environment=.
pub fn item(text: &str) -> String {
    quoted(&text.replace('%', "%%"))
}

/// Writes a value that is alone on its line, such as a path.
pub fn value(text: &str) -> String {
    text.replace('%', "%%")
}

fn quoted(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,%$@+[]*".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        return text.to_owned();
    }
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            c if c.is_control() => {
                for byte in c.to_string().bytes() {
                    quoted.push_str(&format!("\\x{byte:02x}"));
                }
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_systemd_would_replace_stands_for_itself() {
        for (text, written) in [
            ("--bind=[::]:80", "--bind=[::]:80"),
            ("A=b c", "\"A=b c\""),
            ("100%", "100%%"),
            ("$HOME", "$$HOME"),
            ("say \"hi\"\\\n", "\"say \\\"hi\\\"\\\\\\n\""),
            ("", "\"\""),
            (";", "\";\""),
            ("\u{1}", "\"\\x01\""),
        ] {
            assert_eq!(argument(text), written);
        }
        assert_eq!(item("A=$B"), "A=$B");
    }
}
