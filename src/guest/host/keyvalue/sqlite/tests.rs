//! These tests show what the store promises, without a guest.

use super::*;

/// Opens a store in a file that nobody else has.
fn store(name: &str) -> (Sqlite, std::path::PathBuf) {
    let path = std::env::temp_dir().join(format!("wasmserve-{name}-{}.db", std::process::id()));
    for suffix in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{}{suffix}", path.display()));
    }
    (Sqlite::open(&path).unwrap(), path)
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(future)
}

#[test]
fn what_is_set_is_there_until_it_is_deleted() {
    let (store, path) = store("set");
    block_on(async {
        let pair = |key: &str, value: &[u8]| (key.to_owned(), value.to_vec());
        store
            .set("a", vec![pair("k", b"1"), pair("l", b"\0\xff")])
            .await
            .unwrap();
        store.set("b", vec![pair("k", b"2")]).await.unwrap();
        store.set("a", vec![pair("k", b"3")]).await.unwrap();
        let keys = ["k", "none", "l"].map(str::to_owned).to_vec();
        let values = store.get("a", keys, usize::MAX).await.unwrap();
        assert_eq!(
            values,
            [Some(b"3".to_vec()), None, Some(b"\0\xff".to_vec())]
        );
        assert!(store.exists("b", "k".to_owned()).await.unwrap());
        store
            .delete("b", vec!["k".to_owned(), "none".to_owned()])
            .await
            .unwrap();
        assert!(!store.exists("b", "k".to_owned()).await.unwrap());
        assert_eq!(
            store.keys("a", None, usize::MAX).await.unwrap(),
            (vec!["k".to_owned(), "l".to_owned()], None)
        );
    });
    drop(store);
    let store = Sqlite::open(&path).unwrap();
    assert!(block_on(store.exists("a", "k".to_owned())).unwrap());
}

#[test]
fn all_keys_are_listed_once_page_by_page() {
    let (store, _) = store("list");
    block_on(async {
        let pairs = (0..2500).map(|number| (format!("key {number}"), Vec::new()));
        store.set("a", pairs.collect()).await.unwrap();
        let (mut all, mut cursor) = (Vec::new(), None);
        loop {
            let (keys, next) = store.keys("a", cursor, usize::MAX).await.unwrap();
            all.extend(keys);
            // What is deleted meanwhile hides nothing else.
            store.delete("a", all[..10].to_vec()).await.unwrap();
            cursor = next;
            if cursor.is_none() {
                break;
            }
        }
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 2500);
    });
}

#[test]
fn only_numbers_are_incremented() {
    let (store, _) = store("increment");
    block_on(async {
        let increment = |delta| store.increment("a", "n".to_owned(), delta);
        assert_eq!(increment(5).await.unwrap(), 5);
        assert_eq!(increment(-7).await.unwrap(), -2);
        assert_eq!(increment(i64::MAX).await.unwrap(), i64::MAX - 2);
        assert!(increment(3).await.is_err());
        assert_eq!(increment(2).await.unwrap(), i64::MAX);
        let text = vec![("n".to_owned(), b"many".to_vec())];
        store.set("a", text).await.unwrap();
        let StoreFailure(why) = increment(1).await.unwrap_err();
        assert_eq!(why, "the value is not a whole number");
    });
}

#[test]
fn a_file_that_is_none_is_told() {
    let path = std::env::temp_dir().join(format!("wasmserve-none-{}.db", std::process::id()));
    std::fs::write(
        &path,
        "no database, but long enough to be looked at as one".repeat(100),
    )
    .unwrap();
    let error = format!("{:#}", Sqlite::open(&path).err().unwrap());
    assert!(
        error.contains("it is a SQLite file that wasmserve may write"),
        "{error}"
    );
}
