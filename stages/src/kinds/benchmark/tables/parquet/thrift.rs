//! A parser of Thrift's compact protocol, as far as the checks need it. Takes bytes; gives values by field number.

use std::collections::BTreeMap;

/// A value. Only numbers, lists and structures are kept; all else is `Other`.
#[derive(Debug)]
pub(super) enum Value {
    Number(i64),
    List(Vec<Self>),
    Fields(Fields),
    Other,
}

/// The values of a structure by field number.
pub(super) type Fields = BTreeMap<i16, Value>;

/// Returns the value of a field, if it is there and is a number.
pub(super) fn number(fields: &Fields, field: i16) -> Option<i64> {
    if let Some(Value::Number(number)) = fields.get(&field) { Some(*number) } else { None }
}

/// Returns the structures in a field that is a list; none if it is not.
pub(super) fn list(fields: &Fields, field: i16) -> impl Iterator<Item = &Fields> {
    let items = if let Some(Value::List(items)) = fields.get(&field) { items.as_slice() } else { &[] };
    items.iter().filter_map(|item| if let Value::Fields(fields) = item { Some(fields) } else { None })
}

/// Nesting of structures and lists that is parsed; Parquet has fewer than ten levels.
const DEPTH: usize = 32;

/// Parses a structure at the front of the bytes and advances them. Returns nothing if it is malformed.
pub(super) fn structure(rest: &mut &[u8]) -> Option<Fields> {
    fields(rest, DEPTH)
}

fn fields(rest: &mut &[u8], depth: usize) -> Option<Fields> {
    let (mut fields, mut field) = (Fields::new(), 0_i16);
    loop {
        let [head] = take(rest)?;
        if head == 0 {
            return Some(fields);
        }
        field = match head >> 4 {
            0 => signed(rest)?.try_into().ok()?,
            more => field.checked_add(more.into())?,
        };
        // A boolean has its value in the field header.
        let value = if matches!(head & 15, 1 | 2) { Value::Other } else { value(rest, head & 15, depth.checked_sub(1)?)? };
        fields.insert(field, value);
    }
}

fn value(rest: &mut &[u8], kind: u8, depth: usize) -> Option<Value> {
    Some(match kind {
        1..=3 => skipped(rest, 1)?,
        4..=6 => Value::Number(signed(rest)?),
        7 => skipped(rest, 8)?,
        8 => {
            let length = unsigned(rest)?;
            skipped(rest, length)?
        }
        9 | 10 => {
            let [head] = take(rest)?;
            let size = if head >> 4 == 15 { unsigned(rest)? } else { u64::from(head >> 4) };
            // Every item takes at least a byte.
            if size > rest.len() as u64 {
                return None;
            }
            let items = (0..size).map(|_| value(rest, head & 15, depth.checked_sub(1)?));
            Value::List(items.collect::<Option<_>>()?)
        }
        11 => {
            let size = unsigned(rest)?;
            if size > 0 {
                let [kinds] = take(rest)?;
                for _ in 0..size {
                    value(rest, kinds >> 4, depth.checked_sub(1)?)?;
                    value(rest, kinds & 15, depth.checked_sub(1)?)?;
                }
            }
            Value::Other
        }
        12 => Value::Fields(fields(rest, depth)?),
        13 => skipped(rest, 16)?,
        _ => return None,
    })
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (bytes, behind) = rest.split_first_chunk()?;
    *rest = behind;
    Some(*bytes)
}

fn skipped(rest: &mut &[u8], length: u64) -> Option<Value> {
    *rest = rest.get(usize::try_from(length).ok()?..)?;
    Some(Value::Other)
}

/// Parses a varint (seven bits a byte) at the front of the bytes and advances them.
pub(super) fn unsigned(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..u64::BITS).step_by(7) {
        let [byte] = take(rest)?;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

fn signed(rest: &mut &[u8]) -> Option<i64> {
    unsigned(rest).map(|number| (number >> 1) as i64 ^ -((number & 1) as i64))
}
