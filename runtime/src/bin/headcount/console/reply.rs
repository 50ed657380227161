//! Answers as `redis-cli --no-raw` prints them.
//!
//! A value stands between double quotes with Redis's escapes, so that any bytes make one line of ASCII and can be typed
//! in again. Indices of a list are right-aligned. A map is the flat list of its fields and values, as in RESP2. Every
//! text ends with a line break.

use std::fmt::Write as _;

use bytes::Bytes;
use headcount::Reply;

/// The text of a reply.
pub(super) fn text(reply: &Reply) -> String {
    match reply {
        Reply::Ok => "OK\n".to_owned(),
        Reply::Integer(number) => integer(*number),
        Reply::Bulk(value) => bulk(value),
        Reply::Nil => "(nil)\n".to_owned(),
        Reply::Array(values) => list(values.iter().map(|value| bulk(value))),
        Reply::Map(pairs) => list(pairs.iter().flat_map(|(field, value)| [bulk(field), bulk(value)])),
    }
}

/// An error, whose text begins with its code.
pub(super) fn error(text: &str) -> String {
    format!("(error) {text}\n")
}

/// A value.
pub(super) fn bulk(value: &[u8]) -> String {
    format!("{}\n", quoted(value))
}

/// What is told of a subscription that begins or ends: what happened, to which topic, and how many there are now.
pub(super) fn subscription(what: &str, topic: Option<&Bytes>, count: usize) -> String {
    let topic = topic.map_or_else(|| "(nil)\n".to_owned(), |topic| bulk(topic));
    list([bulk(what.as_bytes()), topic, integer(count as i64)].into_iter())
}

/// A topic or pattern as a word: bare where it reads back as itself, else quoted.
pub(crate) fn word(bytes: &[u8]) -> String {
    let bare = !bytes.is_empty() && bytes.iter().all(|b| b.is_ascii_graphic() && !matches!(b, b'"' | b'\'' | b'\\'));
    if bare { bytes.escape_ascii().to_string() } else { quoted(bytes) }
}

/// Bytes between double quotes with `redis-cli`'s escapes.
pub(super) fn quoted(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() + 2);
    text.push('"');
    for &byte in bytes {
        match byte {
            b'\\' => text.push_str("\\\\"),
            b'"' => text.push_str("\\\""),
            b'\n' => text.push_str("\\n"),
            b'\r' => text.push_str("\\r"),
            b'\t' => text.push_str("\\t"),
            0x07 => text.push_str("\\a"),
            0x08 => text.push_str("\\b"),
            b' '..=b'~' => text.push(char::from(byte)),
            _ => {
                // Writing to a `String` cannot fail.
                let _ = write!(text, "\\x{byte:02x}");
            }
        }
    }
    text.push('"');
    text
}

fn integer(number: i64) -> String {
    format!("(integer) {number}\n")
}

fn list(items: impl Iterator<Item = String>) -> String {
    let items: Vec<String> = items.collect();
    if items.is_empty() {
        return "(empty array)\n".to_owned();
    }
    let width = items.len().to_string().len();
    let numbered = |text: String, (index, item): (usize, &String)| text + &format!("{:>width$}) {item}", index + 1);
    items.iter().enumerate().fold(String::new(), numbered)
}

#[cfg(test)]
mod tests {
    use headcount::Values;

    use super::*;

    fn all(values: &[&'static str]) -> Values {
        values.iter().map(|value| Bytes::from_static(value.as_bytes())).collect()
    }

    #[test]
    fn replies_look_as_in_redis_cli() {
        let table = [
            (Reply::Ok, "OK\n"),
            (Reply::Integer(1), "(integer) 1\n"),
            (Reply::Integer(-5), "(integer) -5\n"),
            (Reply::Bulk("alice".into()), "\"alice\"\n"),
            (Reply::Bulk(Bytes::new()), "\"\"\n"),
            (Reply::Nil, "(nil)\n"),
            (Reply::Array(Values::default()), "(empty array)\n"),
            (Reply::Map(vec![]), "(empty array)\n"),
            (Reply::Array(all(&["alice"])), "1) \"alice\"\n"),
            (Reply::Array(all(&["alice", "bob"])), "1) \"alice\"\n2) \"bob\"\n"),
            (
                Reply::Map(vec![("x".into(), "1".into()), ("y".into(), "2".into())]),
                "1) \"x\"\n2) \"1\"\n3) \"y\"\n4) \"2\"\n",
            ),
        ];
        for (reply, expected) in table {
            assert_eq!(text(&reply), expected);
        }
    }

    #[test]
    fn indices_are_aligned_from_ten_on() {
        let shown = text(&Reply::Array(all(&["v"; 10])));
        assert!(shown.starts_with(" 1) \"v\"\n 2) \"v\"\n"), "{shown}");
        assert!(shown.ends_with(" 9) \"v\"\n10) \"v\"\n"), "{shown}");
        let shown = text(&Reply::Array(all(&["v"; 100])));
        assert!(shown.starts_with("  1) \"v\"\n") && shown.contains("\n 99) ") && shown.ends_with("\n100) \"v\"\n"));
    }

    #[test]
    fn values_carry_redis_cli_s_escapes() {
        let table: [(&[u8], &str); 6] = [
            (b"hello all", r#""hello all""#),
            (br#"a"b\c"#, r#""a\"b\\c""#),
            (b"\n\r\t\x07\x08", r#""\n\r\t\a\b""#),
            (b"\x00\x1f\x7f\xff", r#""\x00\x1f\x7f\xff""#),
            ("ü".as_bytes(), r#""\xc3\xbc""#),
            (b"it's", r#""it's""#),
        ];
        for (value, expected) in table {
            assert_eq!(quoted(value), expected);
        }
    }

    #[test]
    fn what_is_printed_can_be_typed_in_again() {
        let every: Vec<u8> = (0..=255).collect();
        assert_eq!(super::super::line::split(quoted(&every).as_bytes()), Ok(vec![Bytes::from(every)]));
    }

    #[test]
    fn a_topic_is_quoted_only_where_it_must_be() {
        let table: [(&[u8], &str); 5] =
            [(b"chat", "chat"), (b"lobby:*", "lobby:*"), (b"a b", "\"a b\""), (b"", "\"\""), (b"\xff", "\"\\xff\"")];
        for (topic, expected) in table {
            assert_eq!(word(topic), expected);
        }
    }

    #[test]
    fn errors_and_subscriptions_look_as_in_redis_cli() {
        assert_eq!(error("WRONGTYPE no"), "(error) WRONGTYPE no\n");
        assert_eq!(
            subscription("subscribe", Some(&"chat".into()), 1),
            "1) \"subscribe\"\n2) \"chat\"\n3) (integer) 1\n"
        );
        assert_eq!(subscription("unsubscribe", None, 0), "1) \"unsubscribe\"\n2) (nil)\n3) (integer) 0\n");
    }
}
