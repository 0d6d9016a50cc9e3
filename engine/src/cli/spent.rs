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
    budget::{Spent, dollars},
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
            let receipt = receipt.receipt;
            for line in [lines.entry(receipt.payee.clone()).or_default(), &mut total] {
                line.calls += 1;
                line.spent += Spent { nano_dollars: receipt.cost.unwrap_or(0), unpriced: u64::from(receipt.cost.is_none()) };
                line.seconds += receipt.seconds;
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
        let unknown =
            if line.spent.unpriced > 0 { format!("   {} of unknown price", line.spent.unpriced) } else { String::new() };
        format!("{name:width$} {:>10} calls {:>14}{unknown}\n", line.calls, dollars(line.spent.nano_dollars))
    };
    let rows: String = lines.iter().map(|(name, line)| row(name, line)).collect();
    rows + &row("total", total)
}
