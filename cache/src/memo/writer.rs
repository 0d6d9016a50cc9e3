//! The thread that writes. Takes replies and claims; gives one durable commit for all that wait, because a commit takes two milliseconds
//! however much is in it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        mpsc::{self, Receiver, Sender},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use tokio::sync::oneshot;

use crate::{
    blobs::Blobs,
    digest::Digest,
    error::CacheError,
    memo::{
        Memo, Table,
        claims::{self, Claim},
    },
};

/// The most jobs in one commit, so that the first does not wait for ever for the last.
const LARGEST_BATCH: usize = 4096;

/// After a commit of at least this many jobs, the next one waits for `LINGER` for more: fewer commits cost less.
const BUSY: usize = 16;
const LINGER: Duration = Duration::from_millis(2);

/// One thread that writes what is queued, all of it in one transaction.
pub(crate) struct Writer {
    queue: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

enum Work {
    /// Units to get a reply for.
    Claim(Vec<Digest>),
    /// A unit and its reply's entry, and the name and entry of the receipt for it.
    Keep(Digest, Vec<u8>, Option<(Digest, Vec<u8>)>),
    /// The name and entry of a receipt for which there is no reply.
    Note(Digest, Vec<u8>),
    /// Units to release.
    Release(Vec<Digest>),
}

type Answer = Result<Vec<Claim>, CacheError>;

struct Job {
    work: Work,
    done: oneshot::Sender<Answer>,
}

impl Writer {
    pub(crate) fn start(memo: Arc<Memo>, blobs: Arc<Blobs>) -> Result<Self, CacheError> {
        let (queue, jobs) = mpsc::channel();
        let folder = blobs.folder.root.clone();
        let thread = thread::Builder::new()
            .name("cache writer".to_owned())
            .spawn(move || write(&memo, &blobs, &jobs))
            .map_err(|error| CacheError::io("start the writer of", &folder, error))?;
        Ok(Self { queue: Some(queue), thread: Some(thread) })
    }

    pub(crate) async fn claim(&self, units: Vec<Digest>) -> Answer {
        self.send(Work::Claim(units)).await.map_err(|_| CacheError::Closed)?
    }

    pub(crate) async fn keep(&self, unit: Digest, entry: Vec<u8>, receipt: Option<(Digest, Vec<u8>)>) -> Result<(), CacheError> {
        self.send(Work::Keep(unit, entry, receipt)).await.map_err(|_| CacheError::Closed)?.map(|_| ())
    }

    pub(crate) async fn note(&self, name: Digest, entry: Vec<u8>) -> Result<(), CacheError> {
        self.send(Work::Note(name, entry)).await.map_err(|_| CacheError::Closed)?.map(|_| ())
    }

    /// Queues the job before it returns. The receiver need not be awaited.
    pub(crate) fn release(&self, units: Vec<Digest>) -> oneshot::Receiver<Answer> {
        self.send(Work::Release(units))
    }

    fn send(&self, work: Work) -> oneshot::Receiver<Answer> {
        let (done, answer) = oneshot::channel();
        if let Some(queue) = &self.queue {
            // If the writer is gone, the job is dropped, and with it the sender, which the receiver notices.
            drop(queue.send(Job { work, done }));
        }
        answer
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // The queue closes, the thread writes what is left in it and ends.
        drop(self.queue.take());
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

fn write(memo: &Memo, blobs: &Arc<Blobs>, jobs: &Receiver<Job>) {
    let mut claimed = BTreeSet::new();
    let mut busy = false;
    while let Ok(first) = jobs.recv() {
        if busy {
            thread::sleep(LINGER);
        }
        let mut batch = vec![first];
        batch.extend(jobs.try_iter().take(LARGEST_BATCH - 1));
        busy = batch.len() >= BUSY;
        match commit(memo, blobs, &batch) {
            Ok(answers) => {
                for (job, answer) in batch.into_iter().zip(answers) {
                    note(&mut claimed, &job.work, &answer);
                    // A caller that no longer waits needs no answer; the work is done all the same.
                    drop(job.done.send(Ok(answer)));
                }
            }
            Err(error) => {
                for job in batch {
                    drop(job.done.send(Err(error.clone())));
                }
            }
        }
    }
    // Other processes may call for what this one has claimed and will not call for any more.
    let left: Vec<Digest> = claimed.into_iter().collect();
    if !left.is_empty() {
        let (done, _) = oneshot::channel();
        // If it fails, the claims end with the process.
        let release = Job { work: Work::Release(left), done };
        drop(commit(memo, blobs, &[release]));
    }
}

/// Does a batch of jobs in one durable transaction. Returns the answer to each job; after an error nothing was done.
fn commit(memo: &Memo, blobs: &Arc<Blobs>, batch: &[Job]) -> Result<Vec<Vec<Claim>>, CacheError> {
    memo.with(|opened| {
        let mut txn = opened.env.write_txn()?;
        let mut alive = BTreeMap::new();
        let mut answers = Vec::with_capacity(batch.len());
        for job in batch {
            let mut answer = Vec::new();
            match &job.work {
                Work::Claim(units) => {
                    for unit in units {
                        answer.push(claims::claim(opened, &mut txn, blobs, &mut alive, unit)?);
                    }
                }
                Work::Keep(unit, entry, receipt) => {
                    opened.put(&mut txn, Table::Replies, unit, entry)?;
                    if let Some((name, receipt)) = receipt {
                        opened.put(&mut txn, Table::Receipts, name, receipt)?;
                    }
                    opened.delete(&mut txn, Table::Claims, unit)?;
                }
                Work::Note(name, receipt) => opened.put(&mut txn, Table::Receipts, name, receipt)?,
                Work::Release(units) => {
                    for unit in units {
                        claims::release(opened, &mut txn, &blobs.presence.owner, unit)?;
                    }
                }
            }
            answers.push(answer);
        }
        txn.commit()?;
        Ok(answers)
    })
}

/// Updates the list of what this process has claimed.
fn note(claimed: &mut BTreeSet<Digest>, work: &Work, answer: &[Claim]) {
    match work {
        Work::Claim(units) => {
            claimed.extend(units.iter().zip(answer).filter(|(_, claim)| **claim == Claim::Ours).map(|(unit, _)| *unit));
        }
        Work::Keep(unit, ..) => {
            claimed.remove(unit);
        }
        Work::Note(..) => {}
        Work::Release(units) => units.iter().for_each(|unit| {
            claimed.remove(unit);
        }),
    }
}
