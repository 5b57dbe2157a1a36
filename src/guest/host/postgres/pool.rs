//! A worker keeps connections to a database, at most this many. Each is lent to one instance at a time, and is lent
//! again only after everything that the instance has left in it is gone: an open transaction first of all.

use super::PostgresSettings;
use super::connect::{Connector, PostgresSession};
use super::error::PostgresError;
use super::statement::{self, RowsWanted};
use futures_util::future::join_all;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, RwLock, Semaphore, oneshot};
use tokio::task::yield_now;
use tokio::time::timeout;
use tokio_postgres::SimpleQueryMessage;
use tokio_postgres::error::SqlState;

/// A connection that nobody wanted for this long is closed rather than lent: whoever stands between may have forgotten
/// it.
const KEPT: Duration = Duration::from_secs(300);

/// What an instance has left must be gone by then, or the connection is closed.
const CLEANING: Duration = Duration::from_secs(5);

/// What ends with a session ends here, as with DISCARD ALL, but for the statements that the client has prepared for
/// itself. Then there is one row for each statement that a guest has prepared, and one where the client's are gone.
const CLEAN: &str = "SET SESSION AUTHORIZATION DEFAULT; RESET ALL; CLOSE ALL; UNLISTEN *; \
                     SELECT 1 WHERE pg_advisory_unlock_all() IS NULL; \
                     DISCARD PLANS; DISCARD TEMP; DISCARD SEQUENCES; \
                     SELECT name FROM pg_prepared_statements WHERE from_sql; \
                     SELECT 1 WHERE NOT EXISTS (SELECT FROM pg_prepared_statements WHERE NOT from_sql)";

pub struct Pool {
    pub name: String,
    connector: Connector,
    permits: Arc<Semaphore>,
    connections: usize,
    idle: Mutex<Vec<Idle>>,
    /// Whoever cleans a connection has this for reading.
    cleaning: Arc<RwLock<()>>,
    pub answer: Duration,
}

struct Idle {
    session: PostgresSession,
    since: Instant,
}

impl Pool {
    pub fn new(name: &str, connector: Connector, settings: &PostgresSettings) -> Pool {
        Pool {
            name: name.to_owned(),
            connector,
            permits: Arc::new(Semaphore::new(settings.connections)),
            connections: settings.connections,
            idle: Mutex::default(),
            cleaning: Arc::default(),
            answer: settings.answer,
        }
    }

    /// Lends a connection, and makes it where none is idle.
    pub async fn lend(self: &Arc<Pool>) -> Result<Lent, PostgresError> {
        let permit = self.permits.clone().acquire_owned();
        let Ok(Ok(permit)) = timeout(self.connector.timeout(), permit).await else {
            return Err(PostgresError::Connection(format!(
                "all {} connections of this worker are lent, and none came back in time \
                 (--limit-sql-connections)",
                self.connections
            )));
        };
        if let Some(session) = self.idle().await {
            return Ok(Lent::new(self, session, permit));
        }
        // In a task of its own: the connection outlives the guest that waits for it, and is not the guest's memory.
        let (send, made) = oneshot::channel();
        let pool = self.clone();
        tokio::spawn(async move {
            let made = pool.connector.connect().await;
            let _ = send.send(made.map(|session| Lent::new(&pool, session, permit)));
        });
        let gone = |_| PostgresError::Connection("the worker ends".to_owned());
        made.await.map_err(gone)?
    }

    async fn idle(&self) -> Option<PostgresSession> {
        loop {
            let last = self.idle.lock().expect("nobody panics with it").pop();
            let Idle { session, since } = last?;
            // What the server has said meanwhile, such as that it goes, is heard first: the event loop looks at its
            // sockets before whoever yields goes on.
            yield_now().await;
            if !session.client.is_closed() && since.elapsed() < KEPT {
                return Some(session);
            }
        }
    }

    /// Waits until no connection is being cleaned, and closes those that nobody uses.
    pub async fn end(&self) {
        let _ = timeout(CLEANING, self.cleaning.write()).await;
        let idle = std::mem::take(&mut *self.idle.lock().expect("nobody panics with it"));
        join_all(idle.into_iter().map(|idle| idle.session.end())).await;
    }

    fn keep(&self, session: PostgresSession) {
        let mut idle = self.idle.lock().expect("nobody panics with it");
        idle.retain(|idle| idle.since.elapsed() < KEPT && !idle.session.client.is_closed());
        if !session.client.is_closed() {
            let since = Instant::now();
            idle.push(Idle { session, since });
        }
    }
}

/// A `Lent` connection belongs to an instance until it is dropped.
pub struct Lent {
    pool: Arc<Pool>,
    /// The connection is there until this is dropped, or a statement is given up on.
    held: Option<(PostgresSession, OwnedSemaphorePermit)>,
    condition: SessionCondition,
}

/// A `SessionCondition` says what an instance may have left in a connection.
#[derive(Clone, Copy, PartialEq, Eq)]
enum SessionCondition {
    /// Nothing was asked.
    Untouched,
    /// Everything that was asked was answered.
    Used,
    /// Something is being answered, or would be.
    Busy,
}

impl Lent {
    fn new(pool: &Arc<Pool>, session: PostgresSession, permit: OwnedSemaphorePermit) -> Lent {
        Lent {
            pool: pool.clone(),
            held: Some((session, permit)),
            condition: SessionCondition::Untouched,
        }
    }

    pub fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }

    /// Runs a statement.
    pub async fn run(
        &mut self,
        statement: &str,
        parameters: Vec<statement::Typed>,
        wanted: RowsWanted,
    ) -> Result<statement::StatementResult, PostgresError> {
        let given_up = "an earlier statement was given up on; open another connection";
        let (session, _) = self
            .held
            .as_ref()
            .filter(|_| self.condition != SessionCondition::Busy)
            .ok_or_else(|| PostgresError::Connection(given_up.to_owned()))?;
        self.condition = SessionCondition::Busy;
        session.bound.begin(wanted.most);
        let answer = statement::run(session, statement, parameters, wanted);
        let answer = match timeout(self.pool.answer, answer).await {
            Ok(answer) => answer,
            Err(_) => Err(PostgresError::GivenUp(format!(
                "the statement took longer than {:?} (--timeout-sql)",
                self.pool.answer
            ))),
        };
        match &answer {
            // What was not read to its end still comes. The guest may live on for long: the server is told at once.
            Err(PostgresError::GivenUp(_)) => self.give_back(),
            // Somebody has taken one of the client's own statements away (DEALLOCATE).
            Err(PostgresError::Refused(why))
                if *why.code() == SqlState::INVALID_SQL_STATEMENT_NAME => {}
            _ => self.condition = SessionCondition::Used,
        }
        answer
    }

    /// Has the connection cleaned, or closed, for others.
    fn give_back(&mut self) {
        let Some((session, permit)) = self.held.take() else {
            return;
        };
        let (pool, condition) = (self.pool.clone(), self.condition);
        if condition == SessionCondition::Untouched {
            return pool.keep(session);
        }
        // Where the process ends, the connection ends with it, and the server rolls back.
        if let Ok(runtime) = Handle::try_current() {
            let guard = pool.cleaning.clone().try_read_owned();
            runtime.spawn(async move {
                let _guard = guard;
                let cleaning = clean(&pool.connector, &session, condition);
                if timeout(CLEANING, cleaning).await == Ok(true) {
                    pool.keep(session);
                }
                drop(permit);
            });
        }
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.give_back();
    }
}

/// Has the server forget what an instance did, and says whether it has. After a statement that was given up on it is
/// never known to have: the signal that ends it may come late, and would end another's.
async fn clean(
    connector: &Connector,
    session: &PostgresSession,
    condition: SessionCondition,
) -> bool {
    if condition == SessionCondition::Busy {
        // Where the server is not reached, it notices with its next word to the connection that is closed now.
        let _ = connector.cancel(session).await;
        return false;
    }
    // What comes of random() is nobody's to choose for others.
    let seed = 2.0 * rand::random::<f64>() - 1.0;
    // The server would log a warning of each that ends nothing.
    let rollback = match session.bound.is_outside_transaction() {
        true => "",
        false => "ROLLBACK; ",
    };
    session.bound.begin(0);
    let clean = format!("{rollback}{CLEAN}; SELECT 1 WHERE setseed({seed:.17})::text IS NULL");
    let answers = session.client.simple_query(&clean).await;
    let has_rows = |answers: &[SimpleQueryMessage]| {
        let mut answers = answers.iter();
        answers.any(|answer| matches!(answer, SimpleQueryMessage::Row(_)))
    };
    answers.is_ok_and(|answers| !has_rows(&answers))
        && session.bound.is_outside_transaction()
        && !session.bound.is_worn()
}
