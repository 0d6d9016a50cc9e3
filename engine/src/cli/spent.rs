//! The command `spent`. Takes a day or none; gives what was paid since then, to whom, over all runs that used this cache.

use std::collections::BTreeMap;

use clap::Args;
use jiff::{Timestamp, civil::Date, tz::TimeZone};
use serde::Serialize;
use serde_json::json;

use super::{
    Common, Format, data,
    exit::{Exit, Failure},
};
use crate::{
    budget::{Lost, Receipt, Spent, dollars},
    contract::context::KeptReceipt,
};

/// Print what was paid, by provider and model
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct SpentCommand {
    /// Count only calls since this day, such as 2026-11-24
    #[arg(long, value_name = "DATE")]
    since: Option<Date>,
}

const EXAMPLES: &str = "\
Examples:
  fingerpost spent
  fingerpost spent --since 2026-11-24

`fingerpost plan MANIFEST` shows what a run would pay.";

#[derive(Default, Serialize)]
struct Line {
    calls: u64,
    #[serde(flatten)]
    spent: Spent,
    seconds: f64,
}

impl Line {
    /// Returns the line of one receipt. A call without a reply is no call that was paid for, but may have been.
    fn of(kept: &KeptReceipt<'_>) -> Self {
        let Receipt { cost, seconds, .. } = *kept.receipt;
        let spent = match &kept.lost {
            Some(_) => Spent { lost: Lost::one(kept.at_most), ..Spent::default() },
            None => Spent { nano_dollars: cost.unwrap_or(0), unpriced: u64::from(cost.is_none()), ..Spent::default() },
        };
        Self { calls: u64::from(kept.lost.is_none()), spent, seconds }
    }
}

impl SpentCommand {
    pub(super) fn run(&self, common: &Common) -> Result<Exit, Failure> {
        let cache = common.open_cache()?;
        let since = match self.since {
            None => 0,
            Some(day) => {
                let start = day.to_zoned(TimeZone::UTC).map_err(|error| Failure::new(Exit::Usage, error))?;
                Timestamp::from(start).as_second().unsigned_abs()
            }
        };
        let mut lines: BTreeMap<String, Line> = BTreeMap::new();
        let mut total = Line::default();
        for kept in cache.receipts()?.into_iter().filter(|kept| kept.time >= since) {
            let Ok(receipt) = serde_json::from_slice::<KeptReceipt<'_>>(&kept.receipt) else { continue };
            let line = Line::of(&receipt);
            for sum in [lines.entry(receipt.receipt.payee.clone()).or_default(), &mut total] {
                sum.calls += line.calls;
                sum.spent += line.spent;
                sum.seconds += line.seconds;
            }
        }
        match common.format {
            Format::Json => data(&format!("{:#}\n", json!({ "version": 1, "payees": lines, "total": total })))?,
            Format::Text | Format::Github => data(&text(&lines, &total))?,
        }
        Ok(Exit::Done)
    }
}

fn text(lines: &BTreeMap<String, Line>, total: &Line) -> String {
    let width = lines.keys().map(String::len).max().unwrap_or(0).max("total".len());
    let row = |name: &str, line: &Line| {
        let unpriced = (line.spent.unpriced > 0).then(|| format!("{} of unknown price", line.spent.unpriced));
        let lost = (!line.spent.lost.is_nothing()).then(|| line.spent.lost.to_string());
        let unknown = unpriced.into_iter().chain(lost).fold(String::new(), |texts, text| texts + "   " + &text);
        format!("{name:width$} {:>10} calls {:>14}{unknown}\n", line.calls, dollars(line.spent.nano_dollars))
    };
    let rows: String = lines.iter().map(|(name, line)| row(name, line)).collect();
    rows + &row("total", total)
}
