//! Statements as bytes: what an entry of a log says.

use rusqlite::types::Value;

use crate::writing::Statement;

/// Writes down statements of a store that has this schema.
pub(crate) fn encode(schema: u32, statements: &[Statement]) -> Vec<u8> {
    let mut bytes = schema.to_be_bytes().to_vec();
    put_count(&mut bytes, statements.len());
    for Statement { sql, values } in statements {
        put(&mut bytes, sql.as_bytes());
        put_count(&mut bytes, values.len());
        for value in values {
            match value {
                Value::Null => bytes.push(NULL),
                Value::Integer(number) => {
                    bytes.push(INTEGER);
                    bytes.extend_from_slice(&number.to_be_bytes());
                }
                Value::Real(number) => {
                    bytes.push(REAL);
                    bytes.extend_from_slice(&number.to_be_bytes());
                }
                Value::Text(text) => {
                    bytes.push(TEXT);
                    put(&mut bytes, text.as_bytes());
                }
                Value::Blob(blob) => {
                    bytes.push(BLOB);
                    put(&mut bytes, blob);
                }
            }
        }
    }
    bytes
}

/// The schema that bytes were written for, and what follows.
pub(crate) fn schema(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (schema, rest) = bytes.split_first_chunk()?;
    Some((u32::from_be_bytes(*schema), rest))
}

/// Reads what follows the schema; `None` if it is anything else than whole statements.
pub(crate) fn decode(mut bytes: &[u8]) -> Option<Vec<Statement>> {
    let rest = &mut bytes;
    let count = take_count(rest)?;
    let mut statements = Vec::new();
    for _ in 0..count {
        let sql = take_text(rest)?;
        let mut values = Vec::new();
        for _ in 0..take_count(rest)? {
            let [kind] = take_chunk(rest)?;
            values.push(match kind {
                NULL => Value::Null,
                INTEGER => Value::Integer(i64::from_be_bytes(take_chunk(rest)?)),
                REAL => Value::Real(f64::from_be_bytes(take_chunk(rest)?)),
                TEXT => Value::Text(take_text(rest)?),
                BLOB => Value::Blob(take(rest)?.to_vec()),
                _ => return None,
            });
        }
        statements.push(Statement { sql, values });
    }
    rest.is_empty().then_some(statements)
}

const NULL: u8 = 0;
const INTEGER: u8 = 1;
const REAL: u8 = 2;
const TEXT: u8 = 3;
const BLOB: u8 = 4;

fn put_count(bytes: &mut Vec<u8>, count: usize) {
    let count = u32::try_from(count).expect("what one transaction changes is bounded");
    bytes.extend_from_slice(&count.to_be_bytes());
}

fn put(bytes: &mut Vec<u8>, part: &[u8]) {
    put_count(bytes, part.len());
    bytes.extend_from_slice(part);
}

fn take_chunk<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (chunk, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*chunk)
}

fn take_count(bytes: &mut &[u8]) -> Option<usize> {
    usize::try_from(u32::from_be_bytes(take_chunk(bytes)?)).ok()
}

fn take<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = take_count(bytes)?;
    let (part, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(part)
}

fn take_text(bytes: &mut &[u8]) -> Option<String> {
    String::from_utf8(take(bytes)?.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_are_read_as_they_were_written() {
        let statements = vec![
            Statement {
                sql: "INSERT INTO a VALUES (?1, ?2, ?3, ?4, ?5)".into(),
                values: vec![
                    Value::Null,
                    Value::Integer(-7),
                    Value::Real(0.5),
                    Value::Text("a\0b".into()),
                    Value::Blob(vec![0, 255]),
                ],
            },
            Statement {
                sql: "DELETE FROM a".into(),
                values: Vec::new(),
            },
        ];
        let bytes = encode(7, &statements);
        let (version, rest) = schema(&bytes).unwrap();
        assert_eq!(version, 7);
        assert_eq!(decode(rest), Some(statements));
        for length in 0..rest.len() {
            assert_eq!(decode(&rest[..length]), None);
        }
        assert_eq!(decode(&[rest, &[0]].concat()), None);
    }
}
