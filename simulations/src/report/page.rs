//! The page itself: its head, its style, and the few shapes that its parts come in.

use std::fmt::Write as _;

/// A page that is being written.
pub(super) struct Page {
    html: String,
}

const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#1d2433;--paper:#fff;--soft:#667;--line:#d8dce6;--good:#1a7f4b;--bad:#c2293b;--up:#4c9a6a;--pause:#d9a520;\
--fault:#b8495a;--a:#2b6cb0;--b:#b7791f;--c:#2f855a;--d:#9b2c8f;--e:#c05621}\
@media(prefers-color-scheme:dark){:root{--ink:#e4e8f0;--paper:#14171f;--soft:#9aa3b5;--line:#2c3240;--good:#4fc587;--bad:#ff6b7d;--up:#3f8a5e;\
--pause:#c99a25;--fault:#d66a7a;--a:#6cb2f5;--b:#e5b35a;--c:#68c795;--d:#e08ad6;--e:#f09a5b}}\
*{box-sizing:border-box}body{margin:0 auto;max-width:64rem;padding:1rem;background:var(--paper);color:var(--ink);\
font:16px/1.5 system-ui,sans-serif}h1{font-size:1.4rem;margin:.5rem 0}h2{font-size:1.1rem;margin:2rem 0 .5rem}\
.good{color:var(--good)}.bad{color:var(--bad)}dl{display:flex;flex-wrap:wrap;gap:.25rem 1.5rem;margin:.5rem 0}\
dl div{display:flex;gap:.4rem}dt{color:var(--soft)}dd{margin:0}pre{overflow-x:auto;padding:.6rem;border:1px solid var(--line);border-radius:6px;\
font:13px/1.45 ui-monospace,monospace}.scroll{overflow-x:auto}table{border-collapse:collapse;width:100%}\
td,th{text-align:left;padding:.25rem .6rem .25rem 0;border-bottom:1px solid var(--line);vertical-align:top}\
svg{display:block;width:100%;min-width:32rem;height:auto}svg text{fill:var(--soft);font:11px system-ui,sans-serif}\
.legend{color:var(--soft);font-size:.85rem;margin:.3rem 0}.key{display:inline-block;width:.8em;height:.8em;margin:0 .3em 0 .9em}";

impl Page {
    pub(super) fn new(title: &str) -> Self {
        let title = escape(title);
        let html = format!(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
             <title>{title}</title><style>{STYLE}</style></head><body>\n<h1>{title}</h1>\n"
        );
        Self { html }
    }

    pub(super) fn verdict(&mut self, good: bool) {
        let (class, words) = if good { ("good", "All promises kept") } else { ("bad", "A promise was broken") };
        self.push(format_args!("<p class=\"{class}\"><strong>{words}</strong></p>\n"));
    }

    pub(super) fn facts(&mut self, facts: &[(&str, String)]) {
        self.html.push_str("<dl>");
        for (name, value) in facts {
            self.push(format_args!("<div><dt>{}</dt><dd>{}</dd></div>", escape(name), escape(value)));
        }
        self.html.push_str("</dl>\n");
    }

    pub(super) fn code(&mut self, text: &str) {
        self.push(format_args!("<pre>{}</pre>\n", escape(text)));
    }

    /// A part whose markup was written in this folder.
    pub(super) fn section(&mut self, title: &str, markup: &str) {
        self.push(format_args!("<h2>{}</h2>\n<div class=\"scroll\">{markup}</div>\n", escape(title)));
    }

    pub(super) fn table(&mut self, title: &str, heads: &[&str], rows: impl Iterator<Item = Vec<String>>) {
        self.push(format_args!("<h2>{}</h2>\n<div class=\"scroll\"><table><tr>", escape(title)));
        for head in heads {
            self.push(format_args!("<th>{}</th>", escape(head)));
        }
        self.html.push_str("</tr>\n");
        for row in rows {
            self.html.push_str("<tr>");
            for cell in row {
                self.push(format_args!("<td>{}</td>", escape(&cell)));
            }
            self.html.push_str("</tr>\n");
        }
        self.html.push_str("</table></div>\n");
    }

    /// Lines as they are; nothing when there are none.
    pub(super) fn lines(&mut self, title: &str, lines: impl Iterator<Item = String>) {
        let lines: Vec<String> = lines.collect();
        if !lines.is_empty() {
            self.push(format_args!("<h2>{}</h2>\n<pre>{}</pre>\n", escape(title), escape(&lines.join("\n"))));
        }
    }

    pub(super) fn finish(mut self) -> String {
        self.html.push_str("</body></html>\n");
        self.html
    }

    fn push(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        let _ = self.html.write_fmt(text);
    }
}

/// Text that stays text, between tags and in attributes.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}
