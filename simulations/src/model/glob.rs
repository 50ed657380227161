//! Which topics a pattern is for: `*` stands for any bytes, `?` for one, `[abc]` for one of these. What else Redis's patterns can say is in no plan.

/// Whether a topic is one of a pattern's.
pub(crate) fn matches(pattern: &[u8], topic: &[u8]) -> bool {
    match (pattern, topic) {
        ([], []) => true,
        ([b'*', rest @ ..], _) => (0..=topic.len()).any(|taken| matches(rest, &topic[taken..])),
        ([b'?', pattern @ ..], [_, topic @ ..]) => matches(pattern, topic),
        ([b'[', pattern @ ..], [byte, topic @ ..]) => {
            let Some(end) = pattern.iter().position(|of| *of == b']') else { return false };
            pattern[..end].contains(byte) && matches(&pattern[end + 1..], topic)
        }
        ([is, pattern @ ..], [byte, topic @ ..]) => is == byte && matches(pattern, topic),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_question_marks_and_classes_stand_for_what_redis_lets_them() {
        for (pattern, topic, expected) in [
            ("topic:*", "topic:1", true),
            ("topic:*", "topic:", true),
            ("topic:*", "other:1", false),
            ("*:1", "topic:1", true),
            ("*:1", "topic:1:2", false),
            ("topic:?", "topic:1", true),
            ("topic:?", "topic:12", false),
            ("topic:[02]", "topic:2", true),
            ("topic:[02]", "topic:1", false),
            ("topic:1", "topic:1", true),
            ("topic:1", "topic:12", false),
        ] {
            assert_eq!(matches(pattern.as_bytes(), topic.as_bytes()), expected, "{pattern} on {topic}");
        }
    }
}
