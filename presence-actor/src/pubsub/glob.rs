//! Redis's globs: `*`, `?`, `[a-c]`, `[^a]`, `\x`.
//!
//! Written without recursion: after a mismatch only the latest `*` takes one byte more. That is enough, because
//! what an earlier `*` could take instead, the later one can too; so `a*a*a*a*b` costs length times length at most,
//! not a power of it.
//!
//! As in Redis an empty text matches the empty pattern only, `*` does not.

/// Whether `text` matches `pattern`, byte by byte.
pub(crate) fn matches(pattern: &[u8], text: &[u8]) -> bool {
    if text.is_empty() {
        return pattern.is_empty();
    }
    let (mut p, mut t) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while t < text.len() {
        if pattern.get(p) == Some(&b'*') {
            p += 1;
            retry = Some((p, t));
            continue;
        }
        if let Some(width) = matches_one(&pattern[p..], text[t]) {
            p += width;
            t += 1;
            continue;
        }
        let Some((after_star, taken)) = retry else { return false };
        retry = Some((after_star, taken + 1));
        (p, t) = (after_star, taken + 1);
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

/// Matches one byte against the first element of a pattern; returns the element's length.
fn matches_one(pattern: &[u8], byte: u8) -> Option<usize> {
    match pattern {
        [b'?', ..] => Some(1),
        [b'[', ..] => matches_class(pattern, byte),
        [b'\\', escaped, ..] => (*escaped == byte).then_some(2),
        [literal, ..] => (*literal == byte).then_some(1),
        [] => None,
    }
}

/// Matches a class. As in Redis one that is not closed ends with the pattern, and a range may be given backwards.
fn matches_class(pattern: &[u8], byte: u8) -> Option<usize> {
    let negated = pattern.get(1) == Some(&b'^');
    let mut at = if negated { 2 } else { 1 };
    let mut found = false;
    loop {
        match pattern[at.min(pattern.len())..] {
            [] => break,
            [b']', ..] => {
                at += 1;
                break;
            }
            [b'\\', escaped, ..] => {
                found |= escaped == byte;
                at += 2;
            }
            [from, b'-', to, ..] => {
                found |= (from.min(to)..=from.max(to)).contains(&byte);
                at += 3;
            }
            [literal, ..] => {
                found |= literal == byte;
                at += 1;
            }
        }
    }
    (found != negated).then_some(at.min(pattern.len()))
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn globs_match_as_in_redis() {
        for (pattern, text, expected) in [
            ("", "", true),
            ("", "a", false),
            ("*", "", false),
            ("**", "", false),
            ("*", "anything", true),
            ("a*", "abc", true),
            ("a*c", "abcabc", true),
            ("a*c", "abcab", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("[abc]x", "bx", true),
            ("[^abc]x", "bx", false),
            ("[^abc]x", "dx", true),
            ("[a-c]x", "bx", true),
            ("[c-a]x", "bx", true),
            ("[a-c]x", "dx", false),
            (r"a\*c", "a*c", true),
            (r"a\*c", "abc", false),
            (r"[\]]", "]", true),
            ("[abc", "a", true),
            ("room:*:chat", "room:7:chat", true),
            ("socket.io#/#*", "socket.io#/#abc#", true),
            ("**a", "bba", true),
            ("*a*b", "aab", true),
            (r"a\", "a\\", true),
        ] {
            assert_eq!(matches(pattern.as_bytes(), text.as_bytes()), expected, "{pattern:?} on {text:?}");
        }
    }

    #[test]
    fn bytes_that_are_not_text_match_too() {
        assert!(matches(b"\xff*", b"\xff\x00\xfe"));
    }

    #[test]
    fn a_pattern_of_many_stars_is_cheap() {
        let pattern = "a*".repeat(500) + "b";
        assert!(!matches(pattern.as_bytes(), "a".repeat(1000).as_bytes()));
    }
}
