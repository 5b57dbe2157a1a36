//! A step before the start, for the tests: what it does is said by the variable STEP.

use std::process::exit;
use std::time::Duration;
use wasi::keyvalue::atomics;
use wasi::keyvalue::store::open;

wit_bindgen::generate!({
    path: "../../wit",
    world: "wasmserve:guest/with-keyvalue",
    generate_all,
});

fn main() {
    match std::env::var("STEP").as_deref() {
        Ok("fail") => {
            eprintln!("the table is there already");
            exit(3);
        }
        Ok("panic") => panic!("as asked"),
        Ok("wait") => {
            println!("waiting");
            std::thread::sleep(Duration::from_secs(3600));
        }
        Ok("leave") => exit(0),
        _ => {
            let bucket = open("default").expect("a bucket");
            let times = atomics::increment(&bucket, "steps", 1).expect("a number");
            println!("step {times}");
        }
    }
}
