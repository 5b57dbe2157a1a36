//! These tests chain components that have nothing in them but what is to be seen of them.

use super::*;

const P2: &str = "wasi:http/incoming-handler@0.2";
const P3: &str = "wasi:http/handler@0.3.0";
const LIFECYCLE: &str = "wasmserve:lifecycle/application@0.1.0";

fn part(name: &str, text: &str) -> Part {
    let binary = wat::parse_str(format!("(component {text})")).unwrap();
    Part {
        name: name.into(),
        info: ComponentInfo::of(&binary).unwrap(),
        binary,
    }
}

/// Makes a component that imports and exports these interfaces, which have nothing in them.
fn passing(name: &str, imports: &[&str], exports: &[&str]) -> Part {
    let imports = imports
        .iter()
        .map(|name| format!(r#"(import "{name}" (instance))"#));
    let exports = exports
        .iter()
        .map(|name| format!(r#"(export "{name}" (instance $own))"#));
    let text: String = imports
        .chain(["(instance $own)".into()])
        .chain(exports)
        .collect();
    part(name, &text)
}

fn composed(application: Part, middleware: Vec<Part>) -> Result<ComponentInfo> {
    let chain = Chain {
        application,
        middleware,
    };
    match chain.compose()? {
        ComponentFile::Component { info, .. } => Ok(info),
        ComponentFile::Precompiled(_) => unreachable!("nothing was compiled"),
    }
}

fn p2(patch: u32) -> String {
    format!("{P2}.{patch}")
}

#[test]
fn only_the_outermost_handler_is_seen_from_outside() {
    let (old, new) = (p2(0), p2(8));
    let application = || {
        passing(
            "app",
            &[],
            &[&old, P3, websocket::HANDLER, LIFECYCLE, "a:b/c"],
        )
    };
    let gate = || passing("gate", &[&new], &[&new]);
    let info = composed(application(), vec![gate(), gate()]).unwrap();
    assert_eq!(info.exports, ["a:b/c", &new, LIFECYCLE]);
    assert_eq!(info.imports, [] as [String; 0]);
    // It hands on requests of one generation only: those of the other do not get past it, nor to it.
    let both = passing("both", &[P3], &[&new, P3]);
    let info = composed(application(), vec![both]).unwrap();
    assert_eq!(info.exports, ["a:b/c", P3, LIFECYCLE]);
}

#[test]
fn websockets_pass_where_all_middleware_takes_part_in_them() {
    let handler = p2(0);
    let application = || passing("app", &[], &[&handler, websocket::HANDLER]);
    let gate = || passing("gate", &[&handler], &[&handler]);
    let sees = || {
        let both = [&handler, websocket::HANDLER];
        passing("sees", &both, &both)
    };
    let withheld = |middleware: Vec<Part>| {
        let chain = Chain {
            application: application(),
            middleware,
        };
        let by = chain.without_websockets().map(Path::to_owned);
        let Ok(ComponentFile::Component { info, .. }) = chain.compose() else {
            panic!("it cannot be composed");
        };
        let taken = info.exports.iter().any(|it| it == websocket::HANDLER);
        (by, taken)
    };
    assert_eq!(withheld(vec![sees(), sees()]), (None, true));
    for middleware in [vec![sees(), gate()], vec![gate(), sees()], vec![gate()]] {
        let (by, _) = withheld(middleware);
        assert_eq!(by, Some("gate".into()));
    }
    assert!(!withheld(vec![gate(), sees()]).1);
}

#[test]
fn middleware_hides_nothing_but_the_handler() {
    let handler = p2(0);
    let application = || passing("app", &[], &[&handler, LIFECYCLE]);
    let hides = passing("hides", &[&handler], &[&handler, LIFECYCLE]);
    let error = composed(application(), vec![hides]).unwrap_err();
    let error = format!("{error:#}");
    assert!(
        error.starts_with("middleware `hides`: it exports `wasmserve:lifecycle"),
        "{error}"
    );
    let both = [&handler, LIFECYCLE];
    let info = composed(application(), vec![passing("asks", &both, &both)]);
    assert_eq!(info.unwrap().exports, [&handler, LIFECYCLE]);
}

#[test]
fn what_several_import_is_imported_once_by_its_newest_version_after_what_it_uses() {
    let poll = r#"(import "wasi:io/poll@0.2.9" (instance $poll (export "pollable" (type (sub resource)))))
                  (alias export $poll "pollable" (type $pollable))"#;
    let streams = |patch: u32, with: &str| {
        format!(
            r#"(import "wasi:io/streams@0.2.{patch}" (instance $streams
                 (export "input-stream" (type $input (sub resource)))
                 {with}
                 (type $borrowed (borrow $input))
                 (export "[method]input-stream.read" (func (param "self" $borrowed) (result u64)))))"#
        )
    };
    let subscribe = r#"(alias outer 1 $pollable (type $of))
                       (export "pollable" (type $of' (eq $of)))
                       (export "[method]input-stream.subscribe" (func (param "self" (borrow $input)) (result (own $of'))))"#;
    let handler = p2(0);
    let own = format!(r#"(instance $own) (export "{handler}" (instance $own))"#);
    let application = part("app", &format!("{} {own}", streams(4, "")));
    let gate = format!(
        r#"{poll} {} (import "{handler}" (instance)) {own}"#,
        streams(3, subscribe)
    );
    let info = composed(application, vec![part("gate", &gate)]).unwrap();
    assert_eq!(
        info.imports,
        ["wasi:io/poll@0.2.9", "wasi:io/streams@0.2.4"]
    );
}

#[test]
fn what_does_not_agree_is_told_and_not_composed() {
    let handler = p2(0);
    let text = |ty: &str, more: &str| {
        format!(
            r#"(import "a:b/c@1.0.0" (instance (export "f" (func (result {ty}))))) {more}
               (instance $own) (export "{handler}" (instance $own))"#
        )
    };
    let next = format!(r#"(import "{handler}" (instance))"#);
    let error = composed(
        part("app", &text("u32", "")),
        vec![part("gate", &text("string", &next))],
    );
    let error = format!("{:#}", error.unwrap_err());
    assert!(error.contains("against the same versions"), "{error}");
    let function = format!(
        r#"(import "f" (func)) {next} (instance $own) (export "{handler}" (instance $own))"#
    );
    let error = composed(part("app", &text("u32", "")), vec![part("gate", &function)]);
    let error = format!("{:#}", error.unwrap_err());
    assert!(
        error.contains("middleware `gate`: its import `f` is no interface"),
        "{error}"
    );
}
