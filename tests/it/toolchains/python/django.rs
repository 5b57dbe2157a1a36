//! Django as it is, by way of WSGI and of ASGI. It refuses its databases to whoever has a loop that runs, waits for
//! asynchronous views in loops of its own, and begins a thread for each request.

use super::{ask, built, place, trials};
use crate::harness::get;

#[test]
fn a_django_application_answers_by_wsgi_and_by_asgi() {
    for file in ["main.py", "asynchronous.py"] {
        let component = built(&format!("guests/python/django/{file}"));
        for reuse in super::REUSE {
            let data = place(&format!("django-{file}-{reuse}"));
            std::fs::create_dir_all(&data).unwrap();
            let mapped = format!("{}::/data", data.display());
            let server = trials::serve(&component, &["--reuse", reuse, "--dir-rw", &mapped]);
            let counted = get(server.address, "/count");
            assert_eq!(counted.text(), r#"{"count": 1}"#);
            let cookie = counted.header("set-cookie").unwrap().split(';').next();
            let again = ask::get("/count").header("Cookie", cookie.unwrap());
            assert_eq!(again.of(server.address).text(), r#"{"count": 2}"#);
            for title in ["Gr%C3%BCn", "b"] {
                let added = ask::form("/books", &format!("title={title}")).of(server.address);
                assert!(added.text().starts_with("{\"books\""), "{}", added.text());
            }
            let books = get(server.address, "/books").text();
            assert_eq!(books, r#"{"books": ["Gr\u00fcn", "b"]}"#);
            assert_eq!(get(server.address, "/slow").text(), r#"{"books": 2}"#);
            let lines = get(server.address, "/lines").text();
            assert_eq!(lines, "line 0\nline 1\nline 2\n");
            let hello = get(server.address, "/hello/%3Cyou%3E").text();
            assert_eq!(hello, "Hello &lt;you&gt;!");
            let protected = ask::form("/protected", "").of(server.address);
            let said = protected.text();
            assert!(said.contains("403 Forbidden"), "{said}");
            assert_eq!(get(server.address, "/throw").status, 500);
            let printed = server.printed();
            assert!(!printed.contains("Exception in"), "{printed}");
        }
    }
}
