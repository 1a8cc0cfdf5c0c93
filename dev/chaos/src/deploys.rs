//! Rolling deploys: each process is joined by a new one, which goes on alone when the old one is told to
//! end. Nothing else befalls the system.

use std::{sync::Arc, time::Duration};

use anyhow::Result;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use tokio::time::{Instant, sleep, timeout_at};

use crate::{check::Violation, history::History, settle::farewell, stage::Stage, workload::Routes};

/// How late a load balancer may notice that an api takes no requests any more.
const NOTICES_WITHIN: Duration = Duration::from_secs(1);

/// How a run is deployed to.
pub(crate) struct Deploys<'a> {
    pub(crate) seed: u64,
    pub(crate) routes: &'a Routes,
    pub(crate) history: &'a Arc<History>,
}

impl Deploys<'_> {
    /// Deploys again and again until `end`; a deploy that has begun is finished. Returns what processes
    /// did wrong when they were told to end.
    pub(crate) async fn roll(&self, stage: &mut Stage, end: Instant) -> Result<Vec<Violation>> {
        let mut rng = StdRng::seed_from_u64(self.seed ^ 0x72);
        let mut violations = Vec::new();
        let mut pause = Duration::ZERO;
        while timeout_at(end, sleep(pause)).await.is_ok() {
            self.history.struck("a deploy begins");
            stage.release()?;
            for index in 0..stage.programs.len() {
                violations.extend(self.exchange(stage, index, &mut rng).await?);
            }
            pause = Duration::from_secs_f64(rng.random_range(0.0..5.0));
        }
        Ok(violations)
    }

    async fn exchange(&self, stage: &mut Stage, index: usize, rng: &mut StdRng) -> Result<Vec<Violation>> {
        let mut old = stage.relieve(index).await?;
        let new = &stage.programs[index].role;
        if let Some(address) = new.address {
            self.routes.add(address);
        }
        self.history.struck(&format!("{} runs, {} is told to end", new.name, old.role.name));
        let gone = old.role.address;
        let notices_after = NOTICES_WITHIN.mul_f64(rng.random_range(0.0..1.0));
        let (violations, ()) = tokio::join!(farewell(&mut old), async {
            sleep(notices_after).await;
            if let Some(address) = gone {
                self.routes.remove(address);
            }
        });
        violations
    }
}
