//! A database of some size, an api on it, and what may be asked for there.

use anyhow::{Context as _, Result};
use sqlx::{Connection as _, PgConnection};

use crate::{
    http::request,
    product::{Api, IDS, Person},
    stage::Stage,
};

/// How many people ask. The last of them never reads.
const CALLERS: usize = 16;
/// Everybody gets this one's password; an admin.
const FIRST: &str = "first@bench.test";
/// At most so many pages back is the page that is called old.
const PAGES_BACK: i64 = 50;

/// A database of some size.
pub struct Place {
    /// The database's name.
    pub database: String,
    /// An api of its own.
    pub api: Api,
    /// Who asks for numbers.
    pub admin: Person,
    /// Who asks for conversations; the last never reads.
    pub callers: Vec<Person>,
    /// Theirs.
    pub targets: Vec<Target>,
}

/// A conversation of a caller's.
pub struct Target {
    /// Whose.
    pub caller: usize,
    /// Whether it is the one that grows.
    pub is_longest: bool,
    /// How many messages it had at first.
    pub size: i64,
    /// Its id.
    pub id: String,
    /// The cursor of a page far back, where it is the one that grows.
    pub far_back: Option<String>,
}

impl Place {
    /// Stores about that many messages.
    ///
    /// # Errors
    /// The database's and the api's.
    pub async fn store(stage: &Stage, messages: usize) -> Result<Self> {
        let database = format!("growth_{messages}");
        let url = stage.product_database(&database).await?;
        let api = Api::start(stage, &url).await?;
        let admin = api.register(FIRST).await?;
        stage.as_superuser(&database, IDS).await?;
        stage.as_superuser(&database, include_str!("seed.sql")).await?;
        // That the rows fit each other is checked by nobody: it takes many times as long.
        let seed = format!(
            "set session_replication_role = replica; update users set role = 'admin' where email = '{FIRST}';
             select bench.grow({messages}, {CALLERS}, '{FIRST}')"
        );
        stage.as_superuser(&database, &seed).await.context("the messages could not be stored")?;
        stage.as_superuser(&database, "vacuum analyze").await?;
        let mut connection = PgConnection::connect(&stage.postgres().superuser_url(&database)).await?;
        let rows: Vec<(i64, i64, i64, String)> = sqlx::query_as(
            "select person, rank, size, bench.typeid('conv', conversation) from bench.targets order by n",
        )
        .fetch_all(&mut connection)
        .await?;
        connection.close().await?;
        let target = |(person, rank, size, id): (i64, i64, i64, String)| {
            Ok(Target { caller: usize::try_from(person)? - 1, is_longest: rank == 1, size, id, far_back: None })
        };
        let targets = rows.into_iter().map(target).collect::<Result<_>>()?;
        Ok(Self { database, api, admin, callers: Vec::new(), targets })
    }

    /// Signs everybody in and looks up cursors: tokens last for minutes, and the other places took longer.
    ///
    /// # Errors
    /// The api's.
    pub async fn open(&mut self) -> Result<()> {
        self.admin = self.api.sign_in(FIRST).await?;
        for number in 1..=CALLERS {
            self.callers.push(self.api.sign_in(&format!("person-{number}@bench.test")).await?);
        }
        let mut connection = self.api.connect().await?;
        for target in self.targets.iter_mut().filter(|target| target.is_longest) {
            let messages = format!("/api/conversations/{}/messages?limit=100", target.id);
            let token = Some(self.callers[target.caller].token.as_str());
            let mut path = messages.clone();
            for _ in 0..(target.size / 200).min(PAGES_BACK) {
                let page = connection.json(&request("GET", &path, token, None)).await?;
                let cursor = page["nextCursor"].as_str().context("no page before this one")?.to_owned();
                path = format!("{messages}&cursor={cursor}");
                target.far_back = Some(cursor);
            }
        }
        Ok(())
    }
}
