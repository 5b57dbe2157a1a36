//! Components that are large enough for a zygote.

use super::{Server, guest, root};
use std::fs;
use wasm_encoder::{CustomSection, Encode, Section};

/// Adds five megabytes to a component: a custom section, which means nothing.
pub fn pad(component: &mut Vec<u8>) {
    let padding = CustomSection {
        name: "pad".into(),
        data: vec![0; 5 << 20].into(),
    };
    component.push(padding.id());
    padding.encode(component);
}

/// A guest of the tests as a component of five megabytes.
fn large(name: &str) -> String {
    let mut component = fs::read(guest(name)).unwrap();
    pad(&mut component);
    let path = root().join(format!(
        "target/tmp/large-{name}-{:?}.wasm",
        std::thread::current().id()
    ));
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, component).unwrap();
    path.to_str().unwrap().to_owned()
}

/// Once compiled, so that the code is found from here on.
pub fn compiled(name: &str) -> String {
    let component = large(name);
    Server::compile(&component);
    component
}
