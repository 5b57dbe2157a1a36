//! These options say which databases the guest may use.

use clap::Args;

#[derive(Clone, Debug, Args)]
pub struct Databases {
    /// Let the guest open this database by the name (spin:postgres): app=postgres://USER:PASSWORD@HOST/DATABASE,
    /// or app=env:VARIABLE or app=file:PATH, which hold the URL
    #[arg(
        long,
        value_name = "NAME=URL",
        env = "WASMSERVE_POSTGRES",
        help_heading = "Databases"
    )]
    pub postgres: Vec<String>,

    /// Let the guest open this file of SQLite by the name (spin:sqlite); it is made where there is none
    #[arg(
        long,
        value_name = "NAME=PATH",
        env = "WASMSERVE_SQLITE",
        help_heading = "Databases"
    )]
    pub sqlite: Vec<String>,

    /// Connections that one worker has to each database
    #[arg(
        long,
        default_value = "10",
        value_name = "COUNT",
        env = "WASMSERVE_LIMIT_SQL_CONNECTIONS",
        help_heading = "Databases"
    )]
    pub limit_sql_connections: String,

    /// Time that a statement of the guest may take
    #[arg(
        long,
        default_value = "60s",
        value_name = "DURATION",
        env = "WASMSERVE_TIMEOUT_SQL",
        help_heading = "Databases"
    )]
    pub timeout_sql: String,
}
