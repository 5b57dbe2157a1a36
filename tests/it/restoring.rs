//! Which components have their instances restored: nothing of a request is left in them, and what cannot be restored
//! (state in components inside, objects of a garbage collector, exceptions) is served all the same.

use crate::harness::{
    HELLO, RESTORED, Server, Variant, always_answers, freshness, get, guest, is_made_anew, root,
    write,
};
use std::fs;

/// A counter, which counts to one in each request.
const COUNTER: &str = r#"
  (core module $counter (global $count (mut i32) (i32.const 0))
    (func (export "count") (result i32)
      (global.set $count (i32.add (global.get $count) (i32.const 1))) (global.get $count)))"#;

fn counting<'a>(component: &'a str) -> Variant<'a> {
    Variant {
        component,
        before: "(call $hex (call $count))",
        imports: r#"(import "host" "count" (func $count (result i32)))"#,
        exports: r#"(export "count" (func $count))"#,
        ..Variant::default()
    }
}

#[test]
fn what_toolchains_make_is_restored() {
    let hello = root().join(HELLO);
    assert_eq!(freshness(&hello.display().to_string()), RESTORED);
    for name in [
        "hello",
        "behaviours",
        "behaviours-keyvalue",
        "behaviours-postgres",
        "behaviours-sqlite",
        "echo",
        "greeting",
        "service",
        "behaviours-p3",
    ] {
        assert_eq!(freshness(&guest(name)), RESTORED, "{name}");
    }
}

#[test]
fn a_global_counts_anew_in_each_request() {
    let path = Variant {
        declarations: "(global $count (mut i32) (i32.const 0))",
        before: "(global.set $count (i32.add (global.get $count) (i32.const 1)))
                 (call $hex (global.get $count))",
        ..Variant::default()
    }
    .write("own-global");
    assert_eq!(freshness(&path), RESTORED);
    always_answers(&path, &[], 1);
    let component = format!(
        r#"{COUNTER} (core instance $counter (instantiate $counter))
           (alias core export $counter "count" (core func $count))"#
    );
    let path = counting(&component).write("other-instance");
    assert_eq!(freshness(&path), RESTORED);
    always_answers(&path, &[], 1);
}

/// A component that counts, in parts: what it imports; its modules; the rest, up to what it exports.
struct Parts {
    imports: String,
    modules: String,
    rest: String,
}

const HANDLER: &str = "wasi:http/incoming-handler@0.2.0";

impl Parts {
    fn of_counter() -> Parts {
        let path = Variant {
            declarations: "(global $count (mut i32) (i32.const 0))",
            before: "(global.set $count (i32.add (global.get $count) (i32.const 1)))
                     (call $hex (global.get $count))",
            ..Variant::default()
        }
        .write("parts");
        let text = fs::read_to_string(path).unwrap();
        let (_, text) = text.split_once("(component\n").unwrap();
        let at = |what: &str| text.find(what).unwrap();
        let (memory, program) = (at("  (core module $memory"), at("  (core module $program"));
        let (of_memory, of_program) = (
            at("  (core instance $memory"),
            at("  (core instance $program"),
        );
        let export = at("  (export \"wasi:http/");
        Parts {
            imports: text[..memory].to_owned(),
            modules: [&text[memory..of_memory], &text[program..of_program]].concat(),
            rest: [&text[of_memory..program], &text[of_program..export]].concat(),
        }
    }

    /// With an instance of a component inside that exports a handler.
    fn outer(&self, inner: &str, with: &str, export: &str) -> String {
        let imports = &self.imports;
        format!(
            r#"{imports} {inner}
            (instance $inner (instantiate $Inner {with}
              (with "wasi:io/error@0.2.0" (instance $error))
              (with "wasi:io/streams@0.2.0" (instance $streams))
              (with "wasi:http/types@0.2.0" (instance $http))))
            (alias export $inner "{HANDLER}" (instance $h))
            (export "{export}" (instance $h))"#
        )
    }

    fn inner(&self, modules: &str) -> String {
        let (imports, rest) = (&self.imports, &self.rest);
        let export = format!(r#"(export "{HANDLER}" (instance $handler))"#);
        format!("(component $Inner {imports} {modules} {rest} {export})")
    }
}

/// Guards against state in components inside: only the outermost was looked at, and theirs counted on.
#[test]
fn state_in_components_inside_does_not_survive() {
    let parts = Parts::of_counter();
    let modules = &parts.modules;
    let is_fresh = |name: &str, component: &str, why: &str| {
        let path = write(name, &format!("(component {component})"));
        is_made_anew(&path, why);
        always_answers(&path, &[], 1);
    };
    let own = parts.outer(&parts.inner(modules), "", HANDLER);
    let path = write("inner", &format!("(component {own})"));
    assert_eq!(freshness(&path), RESTORED);
    always_answers(&path, &[], 1);
    always_answers(&path, &["--prime", "/"], 2);

    let again = r#"(instance (instantiate $Inner
      (with "wasi:io/error@0.2.0" (instance $error))
      (with "wasi:io/streams@0.2.0" (instance $streams))
      (with "wasi:http/types@0.2.0" (instance $http))))"#;
    let why = "it has components inside of which there is not one instance each";
    is_fresh("inner-twice", &[&own, again].concat(), why);

    let deeper = format!("(component $Inner {own})");
    let deeper = parts.outer(&deeper, "", HANDLER);
    is_fresh("deeper", &deeper, "it has components with modules inside");

    let aliases = "(alias outer 1 $memory (core module $memory))
                   (alias outer 1 $program (core module $program))";
    let inner = [modules, parts.inner(aliases).as_str()].concat();
    let aliased = parts.outer(&inner, "", HANDLER);
    is_fresh("aliased", &aliased, "it has code from elsewhere");

    let given = r#"(with "memory" (core module $memory)) (with "program" (core module $program))"#;
    let inner = [modules, parts.inner(MODULES_AS_IMPORTS).as_str()].concat();
    let imported = parts.outer(&inner, given, HANDLER);
    let why = "it imports code, or has components inside that do";
    is_fresh("imported", &imported, why);
}

const MODULES_AS_IMPORTS: &str = r#"
    (import "memory" (core module $memory
      (export "memory" (memory 1))
      (export "realloc" (func (param i32 i32 i32 i32) (result i32)))))
    (import "program" (core module $program
      (import "host" "memory" (memory 1))
      (import "host" "fields" (func (param i32 i32 i32)))
      (import "host" "response" (func (param i32) (result i32)))
      (import "host" "body" (func (param i32 i32)))
      (import "host" "set" (func (param i32 i32 i32 i32 i64 i32 i32 i32 i32)))
      (import "host" "write" (func (param i32 i32)))
      (import "host" "write-and-flush" (func (param i32 i32 i32 i32)))
      (import "host" "drop-stream" (func (param i32)))
      (import "host" "drop-request" (func (param i32)))
      (import "host" "finish" (func (param i32 i32 i32 i32)))
      (export "handle" (func (param i32 i32)))))"#;

/// Guards against numbers of handles that tell what requests before have done with theirs.
#[test]
fn handles_have_the_same_numbers_in_each_request() {
    // The number of the request's own handle is in the answer, and other handles are given up in an order that no
    // other code would have.
    let orderly = Variant {
        declarations: "",
        before: "(call $fields (i32.const 128) (i32.const 2) (i32.const 256))
                 (local.set $body (call $value))
                 (call $hex (i32.add (i32.shl (local.get $request) (i32.const 8)) (local.get $body)))
                 (local.set $response (call $response (local.get $body)))
                 (call $body (local.get $response) (i32.const 256))
                 (call $drop-response (local.get $response))
                 (drop (call $value))
                 (call $finish (call $value) (i32.const 0) (i32.const 0) (i32.const 256))",
        component: "(core func $drop-response (canon resource.drop $outgoing-response))",
        imports: r#"(import "host" "drop-response" (func $drop-response (param i32)))"#,
        exports: r#"(export "drop-response" (func $drop-response))"#,
    };
    let path = orderly.write("handles");
    let text = fs::read_to_string(&path).unwrap();
    let text = text.replace(
        r#"(alias export $http "response-outparam" (type $response-outparam))"#,
        r#"(alias export $http "response-outparam" (type $response-outparam))
           (alias export $http "outgoing-response" (type $outgoing-response))"#,
    );
    let path = write("handles", &text);
    assert_eq!(freshness(&path), RESTORED);
    is_the_same_each_time(&path);
    // Handles that are not given up.
    let path = Variant {
        before: "(call $fields (i32.const 128) (i32.const 2) (i32.const 256))
                 (call $hex (i32.add (i32.shl (local.get $request) (i32.const 8)) (call $value)))",
        ..Variant::default()
    }
    .write("handles-kept");
    assert_eq!(freshness(&path), RESTORED);
    is_the_same_each_time(&path);
}

fn is_the_same_each_time(path: &str) {
    let server = Server::component(path).start();
    let first = get(server.address, "/");
    assert_eq!(first.status, 200, "{}", server.printed());
    for _ in 0..20 {
        assert_eq!(get(server.address, "/").text(), first.text());
    }
}

/// Guards against handles to resources of the component, which are in a table of the engine's.
#[test]
fn resources_of_its_own_do_not_survive() {
    let own = r#"(type $r (resource (rep i32)))
                 (core func $new (canon resource.new $r))
                 (core module $maker (import "" "new" (func $new (param i32) (result i32)))
                   (func (export "count") (result i32) (call $new (i32.const 5))))
                 (core instance $maker (instantiate $maker
                   (with "" (instance (export "new" (func $new))))))
                 (alias core export $maker "count" (core func $count))"#;
    let path = counting(own).write("resource");
    is_made_anew(&path, "it has resources of its own");
    is_the_same_each_time(&path);
}

#[test]
fn memory_that_grows_is_as_small_again() {
    let path = Variant {
        declarations: "(global $other (mut i64) (i64.const 7))",
        before: "(call $hex (i32.add (i32.add (memory.size) (i32.load (i32.const 60000)))
                   (i32.wrap_i64 (global.get $other))))
                 (if (i32.ne (memory.grow (i32.const 37)) (i32.const 1)) (then unreachable))
                 (if (i32.load (i32.const 2400000)) (then unreachable))
                 (memory.fill (i32.const 1000000) (i32.const 255) (i32.const 1400010))
                 (memory.copy (i32.const 60000) (i32.const 1000000) (i32.const 4))
                 (global.set $other (i64.const 99))",
        ..Variant::default()
    }
    .write("memory-state");
    assert_eq!(freshness(&path), RESTORED);
    always_answers(&path, &[], 8);
}

#[test]
fn what_a_start_function_does_is_done_once_for_each_request() {
    let path = Variant {
        declarations: "(global $count (mut i32) (i32.const 0))
            (func $begin
              (global.set $count (i32.add (global.get $count) (i32.const 1)))
              (drop (memory.grow (i32.const 3)))
              (i32.store (i32.const 200000) (i32.const 4)))
            (start $begin)",
        before: "(call $hex (i32.add (i32.add (global.get $count) (memory.size))
                   (i32.load (i32.const 200000))))
                 (global.set $count (i32.const 100))
                 (i32.store (i32.const 200000) (i32.const 100))",
        ..Variant::default()
    }
    .write("start");
    assert_eq!(freshness(&path), RESTORED);
    always_answers(&path, &[], 9);
}

/// What newer WebAssembly has to keep something in, beside globals and the first memory: each program answers 1 where it
/// finds nothing of the request before.
#[test]
fn nothing_that_newer_webassembly_keeps_survives() {
    const IS_NULL: &str = "(call $hex (select (i32.const 1) (i32.const 2) (ref.is_null";
    let is_null = |what: &str, then: &str| format!("{IS_NULL} {what}))) {then}");
    let cases = [
        (
            "second-memory",
            "(memory $other 1)",
            "(i32.store $other (i32.const 8) (i32.add (i32.load $other (i32.const 8)) (i32.const 1)))
             (call $hex (i32.load $other (i32.const 8)))"
                .to_owned(),
        ),
        (
            "second-memory-grows",
            "(memory $other 1)",
            "(call $hex (memory.grow $other (i32.const 1)))".to_owned(),
        ),
        (
            "memory-of-64-bits",
            "(memory $other i64 1)",
            "(i32.store $other (i64.const 8) (i32.add (i32.load $other (i64.const 8)) (i32.const 1)))
             (call $hex (i32.load $other (i64.const 8)))"
                .to_owned(),
        ),
        (
            "vector",
            "(global $kept (mut v128) (v128.const i32x4 0 0 0 0))",
            "(global.set $kept (i32x4.add (global.get $kept) (v128.const i32x4 1 1 1 1)))
             (call $hex (i32x4.extract_lane 2 (global.get $kept)))"
                .to_owned(),
        ),
        (
            "exception",
            "(tag $thrown) (func $throws (throw $thrown)) (global $kept (mut exnref) (ref.null exn))",
            is_null(
                "(global.get $kept)",
                "(block $caught (result exnref) (try_table (catch_all_ref $caught) (call $throws)) (ref.null exn))
                 (global.set $kept)",
            ),
        ),
        (
            "small-number",
            "(global $kept (mut anyref) (ref.null any))",
            is_null(
                "(global.get $kept)",
                "(global.set $kept (ref.i31 (i32.const 7)))",
            ),
        ),
        (
            "function",
            "(elem declare func $hex) (global $kept (mut funcref) (ref.null func))",
            is_null("(global.get $kept)", "(global.set $kept (ref.func $hex))"),
        ),
        (
            "table",
            "(elem declare func $hex) (table $kept 4 funcref)",
            is_null(
                "(table.get $kept (i32.const 1))",
                "(table.set $kept (i32.const 1) (ref.func $hex))",
            ),
        ),
        (
            "table-grows",
            "(table $kept 1 100 funcref)",
            "(call $hex (table.grow $kept (ref.null func) (i32.const 1)))".to_owned(),
        ),
        (
            "dropped-segment",
            "(data $kept \"abcd\")",
            "(memory.init $kept (i32.const 60000) (i32.const 0) (i32.const 4)) (data.drop $kept)
             (call $hex (i32.const 1))"
                .to_owned(),
        ),
    ];
    for (name, declarations, before) in cases {
        let variant = Variant {
            declarations,
            before: &before,
            ..Variant::default()
        };
        always_answers(&variant.write(name), &[], 1);
    }
}
