//! This file says what a guest's statement may do beside reading and writing its database: nothing that reaches
//! another file, weakens what is promised of writes, or takes memory and time that are not the guest's.

use rusqlite::hooks::{AuthAction, AuthContext, Authorization};

/// A guest may ask about its database by these pragmas. None of them changes anything.
const READ: [&str; 25] = [
    "application_id",
    "collation_list",
    "compile_options",
    "data_version",
    "encoding",
    "foreign_key_check",
    "foreign_key_list",
    "foreign_keys",
    "freelist_count",
    "function_list",
    "index_info",
    "index_list",
    "index_xinfo",
    "integrity_check",
    "journal_mode",
    "page_count",
    "page_size",
    "quick_check",
    "read_uncommitted",
    "schema_version",
    "synchronous",
    "table_info",
    "table_list",
    "table_xinfo",
    "user_version",
];

/// These take something to ask about.
const WITH_SUBJECT: [&str; 10] = [
    "foreign_key_check",
    "foreign_key_list",
    "index_info",
    "index_list",
    "index_xinfo",
    "integrity_check",
    "quick_check",
    "table_info",
    "table_list",
    "table_xinfo",
];

/// A guest may set these: of its own connection, or numbers that mean nothing to SQLite.
const SET: [&str; 9] = [
    "application_id",
    "case_sensitive_like",
    "defer_foreign_keys",
    "foreign_keys",
    "ignore_check_constraints",
    "optimize",
    "query_only",
    "recursive_triggers",
    "user_version",
];

/// Allows or denies one thing that a statement would do.
pub fn authorize(context: AuthContext<'_>) -> Authorization {
    let allowed = match context.action {
        // VACUUM attaches a file without a name, for itself. VACUUM INTO attaches one that has a name.
        AuthAction::Attach { filename } => filename.is_empty(),
        AuthAction::Pragma {
            pragma_name,
            pragma_value,
        } => may_pragma(pragma_name, pragma_value),
        AuthAction::Function { function_name } => {
            !["load_extension", "fts3_tokenizer"].contains(&function_name)
        }
        // What is attached is not known before the statement runs where it is put together, or a parameter: ATTACH
        // comes without a name then.
        AuthAction::Unknown { .. } => false,
        _ => true,
    };
    match allowed {
        true => Authorization::Allow,
        false => Authorization::Deny,
    }
}

fn may_pragma(name: &str, value: Option<&str>) -> bool {
    let name = name.to_ascii_lowercase();
    let among = |list: &[&str]| list.contains(&name.as_str());
    match value {
        None => among(&READ) || among(&SET),
        Some(value) => among(&SET) || among(&WITH_SUBJECT) || is_so_already(&name, value),
    }
}

/// Says whether this is how a connection is anyway: applications set it where they open a database.
fn is_so_already(name: &str, value: &str) -> bool {
    let values: &[&str] = match name {
        "journal_mode" => &["wal"],
        "read_uncommitted" => &["0", "off", "false"],
        "synchronous" => &["full", "2"],
        _ => &[],
    };
    values.contains(&value.to_ascii_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_is_told_and_little_is_set() {
        assert!(may_pragma("TABLE_INFO", Some("t")) && may_pragma("foreign_keys", Some("ON")));
        assert!(may_pragma("journal_mode", None) && may_pragma("synchronous", None));
        assert!(may_pragma("journal_mode", Some("WAL")) && may_pragma("synchronous", Some("FULL")));
        for (name, value) in [
            ("journal_mode", Some("delete")),
            ("synchronous", Some("off")),
            ("temp_store_directory", Some("/tmp")),
            ("database_list", None),
            ("writable_schema", Some("1")),
            ("busy_timeout", Some("100000000")),
            ("hard_heap_limit", Some("0")),
            ("cache_size", Some("-1000000")),
            ("trusted_schema", Some("1")),
        ] {
            assert!(!may_pragma(name, value), "{name}");
        }
    }
}
