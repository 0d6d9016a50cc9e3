//! Claims on units. Takes units; gives for each its reply, or which process calls for it.

use std::{collections::BTreeMap, sync::Arc};

use heed::RwTxn;

use crate::{
    blobs::Blobs,
    digest::Digest,
    folder::now,
    lock::Owner,
    memo::{Fault, Opened, Table, value},
};

/// The answer to the claim of a unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// The unit has this reply already.
    Known(Vec<u8>),
    /// This process must call for the reply, and then keep it or release the unit.
    Ours,
    /// Another process is calling for the reply.
    Theirs(Owner),
}

/// Claims one unit inside a transaction. The claim of a dead process is taken over.
pub(super) fn claim(
    opened: &Opened,
    txn: &mut RwTxn<'_>,
    blobs: &Arc<Blobs>,
    alive: &mut BTreeMap<Owner, bool>,
    unit: &Digest,
) -> Result<Claim, Fault> {
    if let Some(entry) = opened.get(txn, Table::Replies, unit)?
        && let Some(reply) = value::decode(Table::Replies, unit, &entry, blobs)?
    {
        return Ok(Claim::Known(reply));
    }
    let us = &blobs.presence.owner;
    match holder(opened, txn, unit)? {
        Some(owner) if owner == *us => return Ok(Claim::Ours),
        Some(owner) => {
            let alive = alive.entry(owner.clone()).or_insert_with(|| owner.is_alive(&blobs.folder));
            if *alive {
                return Ok(Claim::Theirs(owner));
            }
        }
        None => {}
    }
    let name = serde_json::to_vec(us).expect("texts and numbers are JSON");
    opened.put(txn, Table::Claims, unit, &value::encode(Table::Claims, unit, &name, now(), blobs)?)?;
    Ok(Claim::Ours)
}

/// Returns who claimed a unit; a damaged claim counts as none.
pub(crate) fn holder(opened: &Opened, txn: &heed::RoTxn<'_>, unit: &Digest) -> Result<Option<Owner>, heed::Error> {
    let entry = opened.get(txn, Table::Claims, unit)?;
    Ok(entry.and_then(|entry| match value::open(Table::Claims, unit, &entry)? {
        value::Body::Value(name) => serde_json::from_slice(&name).ok(),
        value::Body::Blob(_) => None,
    }))
}

/// Releases a unit, if this process has claimed it.
pub(super) fn release(opened: &Opened, txn: &mut RwTxn<'_>, us: &Owner, unit: &Digest) -> Result<(), Fault> {
    if holder(opened, txn, unit)?.as_ref() == Some(us) {
        opened.delete(txn, Table::Claims, unit)?;
    }
    Ok(())
}
