//! These tests show what is kept of a component, and what cannot be.

use super::*;
use wasmparser::{Parser, Payload, Validator, WasmFeatures};

pub fn instrumented(text: &str) -> Result<Vec<u8>> {
    instrument(&wat::parse_str(text).unwrap())
}

fn refusal(text: &str) -> String {
    format!("{:#}", instrumented(text).unwrap_err())
}

/// Every component exports these.
pub const PLAIN: [&str; 8] = [SAVE, RESTORE, ORDER, READ, WRITE, RELEASE, TAKE, GIVE];

#[test]
fn a_component_exports_how_its_state_is_kept_and_is_sound() {
    let component = instrumented(
        r#"(component
             (core module $one
               (memory 1)
               (global (mut i32) (i32.const 1))
               (global i64 (i64.const 2))
               (global (export "f") (mut f64) (f64.const 3))
               (func (export "run")))
             (core module $other
               (import "one" "f" (global (mut f64)))
               (global (mut i64) (i64.const 4)))
             (core instance $one (instantiate $one))
             (core instance $again (instantiate $one))
             (core instance (export "f" (global $again "f")))
             (core instance (instantiate $other (with "one" (instance $one))))
             (func (export "run") (canon lift (core func $one "run"))))"#,
    )
    .unwrap();
    Validator::new_with_features(WasmFeatures::all())
        .validate_all(&component)
        .unwrap();
    let text = exports(&component);
    assert_eq!(text[0], "run");
    assert_eq!(text[1..], PLAIN);
    // What was kept is the state of three instances of two modules.
    let state_module = last_module(&component);
    assert_eq!(
        (
            state_module.imported_globals,
            state_module.imported_memories
        ),
        (5, 2)
    );
    // Beside it are the sizes of both memories, and what is known of handles.
    assert_eq!(state_module.globals.len(), 9);
}

fn last_module(component: &[u8]) -> ModuleState {
    let mut module = ModuleState::default();
    for payload in Parser::new(0).parse_all(component) {
        match payload.unwrap() {
            Payload::ModuleSection { .. } => module = ModuleState::default(),
            section @ (Payload::ImportSection(_) | Payload::GlobalSection(_)) => {
                module.read(&section).unwrap();
            }
            _ => {}
        }
    }
    module
}

pub fn exports(component: &[u8]) -> Vec<String> {
    let payloads = Parser::new(0).parse_all(component);
    let exports = payloads.filter_map(|payload| match payload.unwrap() {
        Payload::ComponentExportSection(exports) => Some(exports),
        _ => None,
    });
    let names = exports.flat_map(|exports| exports.into_iter());
    names
        .map(|export| export.unwrap().name.name.to_owned())
        .collect()
}

/// Builds a component whose functions are of these types, of which each takes `$r`, a handle.
fn with_functions(types: &[&str]) -> Vec<u8> {
    let functions = types.iter().zip(["one", "other"]);
    let lifts: String = functions
        .map(|(ty, name)| {
            format!(r#"(func (export "{name}") {ty} (canon lift (core func $m "f")))"#)
        })
        .collect();
    instrumented(&format!(
        r#"(component
             (import "resource" (type $r (sub resource)))
             (core module $m
               (global (mut i32) (i32.const 1))
               (func (export "f") (param i32 i32)))
             (core instance $m (instantiate $m))
             {lifts})"#
    ))
    .unwrap()
}

#[test]
fn what_answers_requests_is_exported_with_the_state_restored_before() {
    const HANDLES: &str = r#"(param "request" (own $r)) (param "out" (own $r))"#;
    const NUMBERS: &str = r#"(param "one" u32) (param "other" u32)"#;
    let one = with_functions(&[HANDLES, NUMBERS]);
    Validator::new_with_features(WasmFeatures::all())
        .validate_all(&one)
        .unwrap();
    let answering = [EXPECT, HANDLE_IN_ORDER];
    assert_eq!(exports(&one)[2..], [&PLAIN[..], &answering].concat());
    // Which of two it is, nobody knows.
    let other = HANDLES.replace("out", "response");
    let two = with_functions(&[HANDLES, &other]);
    assert_eq!(exports(&two)[2..], PLAIN);
}

#[test]
fn state_that_cannot_be_put_back_is_a_refusal() {
    let module = |text: &str| refusal(&format!("(component (core module {text}))"));
    let table = "(table 1 funcref) (func (table.set (i32.const 0) (ref.null func)))";
    assert_eq!(module(table), "it changes its tables");
    let data = r#"(memory 1) (data $d "x") (func (data.drop $d))"#;
    assert_eq!(module(data), "it drops its segments");
    let global = "(global (mut funcref) (ref.null func))";
    assert_eq!(module(global), "it has globals that are no numbers");
    assert_eq!(module("(memory 1 1 shared)"), "it shares memory");
    let inside =
        refusal("(component (component (component (core module))) (instance (instantiate 0)))");
    assert_eq!(inside, "it has components with modules inside");
    let resource = refusal("(component (type (resource (rep i32))))");
    assert_eq!(resource, "it has resources of its own");
    let import = refusal(r#"(component (import "m" (core module)))"#);
    assert_eq!(import, "it imports code, or has components inside that do");
    let ours = r#"(core module (func (export "wasmserve-state:global:0")))"#;
    let ours = refusal(&format!("(component {ours})"));
    assert_eq!(ours, "it has exports of the names that are added here");
    let memory = r#"(core module (memory (export "wasmserve-state:memory:0") 1))"#;
    assert_eq!(refusal(&format!("(component {memory})")), ours);
    // As wit-component names what a component exports (wit/deps).
    let lifecycle =
        r#"(core module (func (export "wasmserve:lifecycle/application@0.1.0#start")))"#;
    assert!(instrumented(&format!("(component {lifecycle})")).is_ok());
    let inner = |text: &str| {
        let module = r#"(core module $m (func (export "f")))"#;
        refusal(&format!("(component {module} (component {text}))"))
    };
    let alias = inner("(alias outer 1 $m (core module $n)) (core instance (instantiate $n))");
    assert_eq!(alias, "it has code from elsewhere");
    assert_eq!(
        inner("(type (resource (rep i32)))"),
        "it has resources of its own"
    );
    let import = inner(r#"(import "m" (core module $n)) (core instance (instantiate $n))"#);
    assert_eq!(import, "it imports code, or has components inside that do");
    let deeper = inner(r#"(component (import "c" (component)))"#);
    assert_eq!(deeper, "it imports code, or has components inside that do");
}

/// Builds a component of a module that asks the host for something when it begins, and of these modules after it.
fn of_go(later: &str) -> Result<Vec<u8>> {
    instrumented(&format!(
        r#"(component
             (core module $go (@custom "go:buildid" "x") (memory 1)
               (global (mut i32) (i32.const 1)) (func (export "_initialize")))
             (core instance $go (instantiate $go))
             (core module $begin (import "" "" (func)) (start 0))
             (core instance (instantiate $begin (with ""
               (instance (export "" (func $go "_initialize"))))))
             {later})"#
    ))
}

#[test]
fn what_asks_the_host_when_it_begins_is_run_when_the_instance_is_whole() {
    let component = of_go("").unwrap();
    Validator::new_with_features(WasmFeatures::all())
        .validate_all(&component)
        .unwrap();
    let starts = Parser::new(0).parse_all(&component);
    let mut starts = starts.filter(|it| matches!(it, Ok(Payload::StartSection { .. })));
    assert!(starts.next().is_none());
    // Whether it was run is one more number.
    assert_eq!(last_module(&component).globals.len(), 6);
    let passive = "(core module $more (func)) (core instance (instantiate $more))";
    for later in [passive, &passive.replace("(func)", "(memory 1)")] {
        let error = of_go(later).unwrap_err().to_string();
        assert!(error.contains("while an instance is made"), "{error}");
    }
}

/// Writes an import of a version of the interface of streams, and one of what gives one of them.
fn stream_import(version: u32, giver: Option<(&str, &str)>) -> String {
    let types = "(export \"output-stream\" (type (sub resource))) (export \"input-stream\" (type (sub resource)))";
    let import =
        format!("(import \"wasi:io/streams@0.2.{version}\" (instance $s{version} {types}))");
    let Some((name, ty)) = giver else {
        return import;
    };
    format!(
        "{import} (alias export $s{version} \"{ty}\" (type $t{version}))
         (import \"wasi:cli/{name}@0.2.{version}\" (instance
           (alias outer 1 $t{version} (type $t)) (export \"get-{name}\" (func (result (own $t))))))"
    )
}

/// The names of what is added for the streams that a component imports.
fn stream_exports(imports: &[String]) -> Vec<String> {
    let imports = imports.concat();
    let component = instrumented(&format!(
        "(component (import \"other\" (instance)) {imports})"
    ))
    .unwrap();
    Validator::new_with_features(WasmFeatures::all())
        .validate_all(&component)
        .unwrap();
    exports(&component)[PLAIN.len()..].to_vec()
}

#[test]
fn streams_are_taken_over_and_closed_where_it_is_clear_which_type_they_have() {
    const OUT: Option<(&str, &str)> = Some(("stdout", "output-stream"));
    const ERROR: Option<(&str, &str)> = Some(("stderr", "output-stream"));
    const IN: Option<(&str, &str)> = Some(("stdin", "input-stream"));
    assert_eq!(
        stream_exports(&[stream_import(6, OUT)]),
        [ADOPT[0], CLOSE[0]]
    );
    assert_eq!(
        stream_exports(&[stream_import(6, IN)]),
        [ADOPT[2], CLOSE[2]]
    );
    assert!(stream_exports(&[stream_import(6, None)]).is_empty());
    let network = "(import \"wasi:sockets/network@0.2.3\" (instance $n (export \"network\" (type (sub resource)))))
        (alias export $n \"network\" (type $network))
        (import \"wasi:sockets/instance-network@0.2.3\" (instance (alias outer 1 $network (type $t))
          (export \"instance-network\" (func (result (own $t))))))";
    let with_network = stream_exports(&[stream_import(6, OUT), network.to_owned()]);
    assert_eq!(with_network, [ADOPT[0], CLOSE[0], ADOPT[3], CLOSE[3]]);
    // What else imports the interface of streams in another version does not matter.
    let bodies = stream_import(0, None);
    let one = stream_exports(&[bodies, stream_import(6, OUT)]);
    assert_eq!(one, [ADOPT[0], CLOSE[0]]);
    // Each has its own version.
    let both = stream_exports(&[stream_import(0, OUT), stream_import(6, ERROR)]);
    assert_eq!(both, [ADOPT[0], CLOSE[0], ADOPT[1], CLOSE[1]]);
    // Of one stream in two versions nobody knows which was opened.
    assert!(stream_exports(&[stream_import(0, OUT), stream_import(6, OUT)]).is_empty());
}

#[test]
fn globals_of_every_number_are_kept() {
    let globals = "(global (mut v128) (v128.const i64x2 1 2)) (global (mut f32) (f32.const 1))";
    let text = format!("(component (core module $m {globals}) (core instance (instantiate $m)))");
    let component = instrumented(&text).unwrap();
    assert_eq!(last_module(&component).globals.len(), 4);
}

#[test]
fn a_library_is_made_to_forget_its_directories_where_that_takes_nothing() {
    let module = |ty: &str| {
        let module = format!("(core module $m (func (export \"{FORGET}\") {ty}))");
        let component = format!("(component {module} (core instance (instantiate $m)))");
        let component = instrumented(&component).unwrap();
        Validator::new_with_features(WasmFeatures::all())
            .validate_all(&component)
            .unwrap();
        component
    };
    assert!(module("").len() > module("(param i32)").len() - 1);
    assert!(StateScan::of(&wat::parse_str("(component)").unwrap()).is_ok());
}

#[test]
fn of_what_is_asynchronous_only_what_ends_with_a_request_is_restored() {
    for (function, name) in [
        ("backpressure.inc", "BackpressureInc"),
        ("backpressure.dec", "BackpressureDec"),
        ("error-context.drop", "ErrorContextDrop"),
        ("thread.index", "ThreadIndex"),
        ("thread.resume-later", "ThreadResumeLater"),
    ] {
        let said = refusal(&format!("(component (core func (canon {function})))"));
        let why = "which is not known to leave no state";
        assert_eq!(said, format!("it uses the built-in function {name}, {why}"));
    }
    for function in [
        "task.cancel",
        "subtask.drop",
        "waitable-set.new",
        "waitable.join",
        "context.get i32 0",
        "context.set i32 0",
        "thread.yield",
    ] {
        let text = format!("(component (core func (canon {function})))");
        assert!(instrumented(&text).is_ok(), "{function}");
    }
}

/// Guards against a handler that is called by a further call for each request, and against numbers of handles that are
/// put in order before the handler has come to its end.
#[test]
fn a_handler_of_either_version_is_found() {
    let component = |ty: &str, core: &str, options: &str| {
        let component = instrumented(&format!(
            r#"(component
                 (import "in" (type $in (sub resource)))
                 (import "out" (type $out (sub resource)))
                 (core module $m
                   (memory (export "m") 1)
                   (func (export "after"))
                   (func (export "called") (param i32 i32 i32) (result i32) (i32.const 0))
                   (func (export "handle") {core}))
                 (core instance $m (instantiate $m))
                 (alias core export $m "m" (core memory $memory))
                 (alias core export $m "after" (core func $after))
                 (alias core export $m "called" (core func $called))
                 (alias core export $m "handle" (core func $core))
                 (type $answer (result (own $out) (error u32)))
                 (func (export "f") {ty} (canon lift (core func $core) {options})))"#
        ));
        let component = component.unwrap();
        Validator::new_with_features(WasmFeatures::all())
            .validate_all(&component)
            .unwrap();
        let exports = exports(&component);
        let names = [HANDLE, HANDLE_IN_ORDER].into_iter();
        let names = names.filter(|name| exports.contains(&(*name).to_owned()));
        names.collect::<Vec<_>>()
    };
    let earlier = r#"(param "a" (own $in)) (param "b" (own $out))"#;
    let in_order = [HANDLE_IN_ORDER];
    assert_eq!(component(earlier, "(param i32 i32)", ""), in_order);
    let cleans_up = component(
        earlier,
        "(param i32 i32)",
        "(post-return (core func $after))",
    );
    assert_eq!(cleans_up, [HANDLE]);
    let later = r#"async (param "a" (own $in)) (result $answer)"#;
    let core = "(param i32) (result i32) (i32.const 0)";
    let options = "async (callback (core func $called)) (memory $memory)";
    assert_eq!(component(later, core, options), in_order);
    assert_eq!(component(later, core, "(memory $memory)"), [HANDLE]);
    let other = r#"(param "a" (own $in)) (result $answer)"#;
    assert!(component(other, core, "(memory $memory)").is_empty());
}
