//! The loop over blocks of rows: import and wait until folded, decide, compare with what was logged, tell the outcomes of
//! what was carried out and wait until learned. What was decided otherwise than logged is reported as never sent, so that no
//! reward of it is awaited and its hold is voided.

use super::logged::{Logged, Reckoning};
use super::report::{Block, Decided, Fate};
use crate::data::Opened;
use crate::import::load::patiently;
use crate::import::mapped;
use crate::problem::{Problem, Result};
use luopan_engine::api::{
    DecideRequest, Incoming, Input, Outcome, PositionToken, RefusalKind, Unreadable, WAIT_US_MAX,
};
use luopan_kernel::event::{Origin, RECEIPT_TYPE};
use luopan_kernel::id::hash128;
use luopan_kernel::plan::{PolicyPlan, ScenePlan, Scorer};
use luopan_kernel::record::DecisionRecord;
use luopan_kernel::value::Value;
use luopan_scene::mapping::MappedOutcome;
use sha2::{Digest, Sha256};
use std::time::{Duration, Instant};

/// Longest wait until a block is learned.
const LEARN_TIME_MAX: Duration = Duration::from_secs(300);

/// The loop.
pub(super) struct Drive<'a> {
    opened: &'a Opened,
    plan: &'a ScenePlan,
    policy: &'a PolicyPlan,
    reckoning: &'a Reckoning<'a>,
    /// Content of the file.
    file: u128,
    /// Customer, decision and whether it was carried out: told with the next block, when the log surely has the decision.
    receipts: Vec<(String, String, bool)>,
}

impl<'a> Drive<'a> {
    pub(super) fn new(
        opened: &'a Opened,
        plan: &'a ScenePlan,
        policy: &'a PolicyPlan,
        reckoning: &'a Reckoning<'a>,
        file: u128,
    ) -> Self {
        Self {
            opened,
            plan,
            policy,
            reckoning,
            file,
            receipts: Vec::new(),
        }
    }

    /// Runs one block: rows of different customers, and inputs that could not be read as rows.
    pub(super) async fn block(
        &mut self,
        rows: Vec<Logged>,
        bad: Vec<Unreadable<'static>>,
    ) -> Result<Block> {
        let (rows, token, quarantined) = self.import(rows, bad).await?;
        let answers = self.decide(&rows, &token).await?;
        let mut decided = Vec::with_capacity(rows.len());
        let mut told = Vec::new();
        for (row, record) in rows.into_iter().zip(answers) {
            let action = action_of(&record, self.policy);
            let id = record.request.decision.to_string();
            let fate = match (&record.withheld, action == row.action) {
                (None, true) => Fate::AsLogged,
                (None, false) => Fate::Otherwise,
                (Some(_), _) => Fate::Withheld,
            };
            if fate == Fate::AsLogged {
                told.extend(
                    row.outcomes
                        .iter()
                        .enumerate()
                        .map(|(i, o)| Ok(self.outcome(&row.customer, &id, i, o))),
                );
            }
            self.receipts
                .push((row.customer, id, fate == Fate::AsLogged));
            decided.push(Decided {
                score: score_of(&record, &row.action),
                logged: row.action,
                rewards: row.rewards,
                fate,
            });
        }
        if !told.is_empty() {
            self.ingest(&told).await?;
        }
        self.learned().await?;
        Ok(Block {
            decided,
            quarantined,
        })
    }

    /// Tells what is left to tell and gives the samples that the policy's model has learned.
    pub(super) async fn finish(mut self) -> Result<Option<u64>> {
        self.import(Vec::new(), Vec::new()).await?;
        self.learned().await?;
        let Scorer::Model(model) = &self.policy.scorer else {
            return Ok(None);
        };
        let name = format!("{}/{model}", self.plan.name);
        let stats = self.opened.engine.stats().await?;
        Ok(stats
            .models
            .into_iter()
            .find(|(n, _)| *n == name)
            .map(|(_, samples)| samples))
    }

    /// Hands in receipts of the block before, attributes of this one and what could not be read; gives the rows that
    /// intake took, the positions to wait for, and the number in quarantine.
    async fn import(
        &mut self,
        rows: Vec<Logged>,
        bad: Vec<Unreadable<'static>>,
    ) -> Result<(Vec<Logged>, PositionToken, u64)> {
        let mut inputs: Vec<Input<'static>> = std::mem::take(&mut self.receipts)
            .into_iter()
            .map(receipt)
            .collect();
        let first = inputs.len();
        inputs.extend(rows.iter().map(|r| Ok(r.attributes.clone())));
        inputs.extend(bad.into_iter().map(Err));
        if inputs.is_empty() {
            return Ok((rows, PositionToken::default(), 0));
        }
        let (outcomes, token, quarantined) = self.ingest(&inputs).await?;
        let taken = outcomes
            .iter()
            .skip(first)
            .map(|o| matches!(o, Outcome::Accepted { .. }));
        let rows = rows
            .into_iter()
            .zip(taken)
            .filter_map(|(row, taken)| taken.then_some(row))
            .collect();
        Ok((rows, token, quarantined))
    }

    async fn ingest(
        &self,
        inputs: &[Input<'static>],
    ) -> Result<(Vec<Outcome>, PositionToken, u64)> {
        let engine = &self.opened.engine;
        let mut outcomes = Vec::with_capacity(inputs.len());
        let mut token = PositionToken::default();
        let mut quarantined = 0;
        for inputs in inputs.chunks(crate::limits::EVENTS_PER_CHUNK) {
            let receipt =
                patiently(|| engine.ingest(&self.plan.name, Origin::Import, inputs)).await?;
            for (partition, position) in &receipt.token.0 {
                token.include(*partition, *position);
            }
            quarantined += receipt.quarantined;
            outcomes.extend(receipt.outcomes);
        }
        Ok((outcomes, token, quarantined))
    }

    async fn decide(&self, rows: &[Logged], token: &PositionToken) -> Result<Vec<DecisionRecord>> {
        self.opened.engine.wait_for(token, WAIT_US_MAX).await?;
        let requests: Vec<DecideRequest> = rows.iter().map(|row| self.request(row)).collect();
        let mut records = Vec::with_capacity(rows.len());
        for answer in self.opened.engine.decide_many(&requests).await {
            records.push(answer?.record);
        }
        Ok(records)
    }

    /// Asking again for the same row of the same file gives the first decision.
    fn request(&self, row: &Logged) -> DecideRequest {
        let asked = format!(
            "{:032x}/{}/{}/{}",
            self.file, row.number, self.plan.name, self.policy.name
        );
        let body = format!("{asked}/{}/{:?}", row.customer, row.request);
        DecideRequest {
            scene: self.plan.name.clone(),
            policy: self.policy.name.clone(),
            customer: row.customer.clone(),
            idempotency_key: Some(format!("replay-{:032x}", hash128(asked.as_bytes()))),
            body_hash: Sha256::digest(body.as_bytes()).into(),
            context: row.request.clone(),
            at_least: PositionToken::default(),
            wait_us: 0,
            origin: Origin::Import,
            slots: None,
            item: None,
        }
    }

    /// What followed, with the decision it followed.
    fn outcome(
        &self,
        customer: &str,
        decision: &str,
        index: usize,
        outcome: &MappedOutcome,
    ) -> Incoming<'static> {
        let mut properties = outcome.properties.clone();
        if let Some(field) = self.reckoning.decision_field(&outcome.event) {
            properties.retain(|(name, _)| name != field);
            properties.push((field.to_owned(), Value::text(decision.to_owned())));
            properties.sort_by(|a, b| a.0.cmp(&b.0));
        }
        let id = format!("replay-{decision}-{index}");
        mapped::event(
            customer.to_owned(),
            id,
            outcome.event.clone(),
            None,
            properties,
        )
    }

    /// Waits until everything told is folded and learned.
    async fn learned(&self) -> Result<()> {
        let started = Instant::now();
        loop {
            match self.opened.engine.settle(WAIT_US_MAX).await {
                Ok(()) => return Ok(()),
                Err(refusal) if refusal.kind != RefusalKind::Timeout => return Err(refusal.into()),
                Err(refusal) => {
                    let halted = self.opened.engine.stats().await?.halted;
                    if let Some((partition, reason)) = halted.first() {
                        return Err(Problem::new(
                            "partition_halted",
                            format!("partition {partition} is halted: {reason}"),
                        ));
                    }
                    if started.elapsed() > LEARN_TIME_MAX {
                        return Err(refusal.into());
                    }
                }
            }
        }
    }
}

fn receipt((customer, decision, carried_out): (String, String, bool)) -> Input<'static> {
    let status = if carried_out { "delivered" } else { "failed" };
    let properties = vec![
        ("decision_id".to_owned(), Value::text(decision.clone())),
        ("status".to_owned(), Value::text(status)),
    ];
    Ok(mapped::event(
        customer,
        format!("receipt-{decision}"),
        RECEIPT_TYPE.to_owned(),
        None,
        properties,
    ))
}

/// What was decided, by name.
fn action_of(record: &DecisionRecord, policy: &PolicyPlan) -> String {
    record
        .decision
        .choices
        .first()
        .map_or_else(|| policy.null_action.name.clone(), |c| c.item.clone())
}

/// The score that an item had when it was decided.
fn score_of(record: &DecisionRecord, item: &str) -> Option<f64> {
    let chosen = record
        .decision
        .choices
        .iter()
        .find(|c| c.item == item)
        .map(|c| c.score);
    chosen.or_else(|| {
        record
            .decision
            .trace
            .iter()
            .find(|c| c.item.as_deref() == Some(item))?
            .score
    })
}

impl std::fmt::Debug for Drive<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Drive")
            .field("policy", &self.policy.name)
            .field("receipts", &self.receipts.len())
            .finish_non_exhaustive()
    }
}
