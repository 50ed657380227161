//! A line into words, by the rules of `redis-cli`.
//!
//! Words are separated by blanks. Between double quotes `\n \r \t \b \a \\ \"` and `\xHH` stand for their bytes, and a
//! backslash before anything else for nothing; between single quotes only `\'` is special. A closing quote ends the
//! word, so what follows it must be a blank. Bytes that are not UTF-8 pass as they are.

use bytes::Bytes;

/// A quote is not closed, or something touches a closing quote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("ERR unbalanced quotes in the line")]
pub(super) struct Unbalanced;

/// The words of a line; none for a blank one.
///
/// # Errors
/// [`Unbalanced`].
pub(super) fn split(line: &[u8]) -> Result<Vec<Bytes>, Unbalanced> {
    let mut words = Vec::new();
    let mut rest = line.trim_ascii_start();
    while !rest.is_empty() {
        let (word, after) = word(rest)?;
        words.push(word.into());
        rest = after.trim_ascii_start();
    }
    Ok(words)
}

/// The word that a text without leading blanks begins with, and what comes after it.
fn word(mut rest: &[u8]) -> Result<(Vec<u8>, &[u8]), Unbalanced> {
    let mut word = Vec::new();
    while let Some((&byte, after)) = rest.split_first() {
        match byte {
            b'"' => return closed(double_quoted(after, word)?),
            b'\'' => return closed(single_quoted(after, word)?),
            _ if byte.is_ascii_whitespace() => break,
            _ => word.push(byte),
        }
        rest = after;
    }
    Ok((word, rest))
}

/// Checks that a quoted word is followed by a blank or nothing.
fn closed((word, rest): (Vec<u8>, &[u8])) -> Result<(Vec<u8>, &[u8]), Unbalanced> {
    match rest.first() {
        Some(byte) if !byte.is_ascii_whitespace() => Err(Unbalanced),
        Some(_) | None => Ok((word, rest)),
    }
}

fn double_quoted(mut rest: &[u8], mut word: Vec<u8>) -> Result<(Vec<u8>, &[u8]), Unbalanced> {
    loop {
        let (byte, after) = match rest {
            [] => return Err(Unbalanced),
            [b'"', after @ ..] => return Ok((word, after)),
            [b'\\', b'x', high, low, after @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                (digit(*high) << 4 | digit(*low), after)
            }
            [b'\\', escaped, after @ ..] => (unescape(*escaped), after),
            [byte, after @ ..] => (*byte, after),
        };
        word.push(byte);
        rest = after;
    }
}

fn single_quoted(mut rest: &[u8], mut word: Vec<u8>) -> Result<(Vec<u8>, &[u8]), Unbalanced> {
    loop {
        let (byte, after) = match rest {
            [] => return Err(Unbalanced),
            [b'\'', after @ ..] => return Ok((word, after)),
            [b'\\', b'\'', after @ ..] => (b'\'', after),
            [byte, after @ ..] => (*byte, after),
        };
        word.push(byte);
        rest = after;
    }
}

fn unescape(escaped: u8) -> u8 {
    match escaped {
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'b' => 0x08,
        b'a' => 0x07,
        other => other,
    }
}

/// The value of a hexadecimal digit.
fn digit(byte: u8) -> u8 {
    match byte {
        b'0'..=b'9' => byte - b'0',
        b'a'..=b'f' => byte - b'a' + 10,
        _ => byte - b'A' + 10,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_splits_as_in_redis_cli() {
        let table: [(&[u8], &[&[u8]]); 19] = [
            (b"", &[]),
            (b"  \t \r", &[]),
            (b"SADD lobby alice", &[b"SADD", b"lobby", b"alice"]),
            (b"  a   b\r", &[b"a", b"b"]),
            (br#"publish chat "hello all""#, &[b"publish", b"chat", b"hello all"]),
            (br#""""#, &[b""]),
            (b"''", &[b""]),
            (br#"a "" b"#, &[b"a", b"", b"b"]),
            (br#""\n\r\t\b\a""#, &[b"\n\r\t\x08\x07"]),
            (br#""\x00\xff\xAb""#, &[b"\x00\xff\xab"]),
            (br#""\\ \" \q""#, &[b"\\ \" q"]),
            (br#""\xg1 \x1""#, &[b"xg1 x1"]),
            (br"'it\'s'", &[b"it's"]),
            (br"'a\nb \x41'", &[br"a\nb \x41"]),
            (br#"'"' "'""#, &[b"\"", b"'"]),
            (br#"foo"bar" x"#, &[b"foobar", b"x"]),
            (br"a\nb", &[br"a\nb"]),
            (b"\xff\xfe x", &[b"\xff\xfe", b"x"]),
            ("grüß dich".as_bytes(), &["grüß".as_bytes(), b"dich"]),
        ];
        for (line, expected) in table {
            let words = split(line).unwrap_or_else(|_| panic!("{}", line.escape_ascii()));
            assert_eq!(words, expected, "{}", line.escape_ascii());
        }
    }

    #[test]
    fn unbalanced_quotes_are_an_error() {
        for line in
            [&br#""open"#[..], b"'open", br#""a"b"#, b"'a'b", br#""a""b""#, br#""ends with \""#, br#""\"#, br"'\'"]
        {
            assert_eq!(split(line), Err(Unbalanced), "{}", line.escape_ascii());
        }
    }
}
