//! The smallest guest with more in it, and how its requests come to their instances.

use super::{HELLO, Server, finished, get, guest, root, wasmserve};
use std::fs;
use std::path::Path;

pub const RESTORED: &str =
    "each request has an instance that is put back as it was when it was made";
const MADE_ANEW: &str = "each request has an instance made for it: ";

/// Writes a number as eight digits in the place of the first bytes of the answer.
const HEX: &str = r#"
    (func $hex (param $value i32) (local $at i32) (local $digit i32)
      (local.set $at (i32.const 7))
      (loop $next
        (local.set $digit (i32.and (local.get $value) (i32.const 15)))
        (i32.store8 (local.get $at) (i32.add (local.get $digit)
          (select (i32.const 48) (i32.const 87) (i32.lt_u (local.get $digit) (i32.const 10)))))
        (local.set $value (i32.shr_u (local.get $value) (i32.const 4)))
        (local.set $at (i32.sub (local.get $at) (i32.const 1)))
        (br_if $next (i32.ge_s (local.get $at) (i32.const 0)))))"#;

/// The smallest guest, with more in it.
#[derive(Default)]
pub struct Variant<'a> {
    /// Fields of the module that is the program.
    pub declarations: &'a str,
    /// What it does before it answers.
    pub before: &'a str,
    /// Fields of the component, before the program is instantiated.
    pub component: &'a str,
    /// What the program imports of the component, and the other side of it.
    pub imports: &'a str,
    pub exports: &'a str,
}

impl Variant<'_> {
    pub fn write(&self, name: &str) -> String {
        let mut text = fs::read_to_string(root().join(HELLO)).unwrap();
        for (place, addition) in [
            ("    (data (i32.const 0) \"Hello", self.imports),
            (
                "    ;; Results are written to",
                &[HEX, self.declarations].concat(),
            ),
            ("      (call $fields (i32.const 128)", self.before),
            ("  (core instance $program (", self.component),
            ("    (export \"finish\" (func $finish))", self.exports),
        ] {
            assert_eq!(text.matches(place).count(), 1, "{place}");
            text = text.replace(place, &format!("{addition}\n{place}"));
        }
        write(name, &text)
    }
}

pub fn write(name: &str, text: &str) -> String {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("restoring-{name}.wat"));
    fs::write(&path, text).unwrap();
    path.display().to_string()
}

/// What `inspect` says of how a request comes to its instance.
pub fn freshness(path: &str) -> String {
    let mut command = wasmserve();
    command.args(["inspect", path]);
    let output = finished(command);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{text}");
    text.lines().last().unwrap().to_owned()
}

pub fn is_made_anew(path: &str, why: &str) {
    assert_eq!(freshness(path), format!("{MADE_ANEW}{why}"), "{path}");
}

/// A guest of WASI 0.3 with a built-in function more, which it never calls, and for which it is made anew for each
/// request.
pub fn made_anew(name: &str) -> String {
    // A section of canonical functions has two bytes: there is one, `backpressure.inc` (component model, Binary.md).
    const SECTION: [u8; 4] = [8, 2, 1, 0x24];
    let mut component = fs::read(guest(name)).unwrap();
    component.extend(SECTION);
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("anew-{name}.wasm"));
    fs::write(&path, component).unwrap();
    path.display().to_string()
}

/// Each request is answered with this number.
pub fn always_answers(path: &str, options: &[&str], number: u32) {
    let server = Server::component(path).args(options).start();
    for _ in 0..30 {
        let response = get(server.address, "/");
        assert_eq!(
            response.status,
            200,
            "{path} {options:?}: {}",
            server.printed()
        );
        assert_eq!(
            &response.text()[..8],
            format!("{number:08x}"),
            "{path} {options:?}"
        );
    }
}
