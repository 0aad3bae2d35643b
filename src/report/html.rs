//! The little that the page needs of HTML: text is escaped by the type that holds it.

use std::fmt::{self, Write};

/// Text with its mark-up taken away.
pub struct Escaped<'a>(pub &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                c if c.is_control() && c != '\n' => f.write_char('\u{fffd}')?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

/// What tells our pages from others.
pub const MARK: &str = "<meta name=\"generator\" content=\"dmran\">";

/// The whole page. It asks for nothing from outside, runs no script, and fits screens from 360 pixels on.
pub fn page(title: &str, body: &str) -> String {
    let title = Escaped(title);
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n{MARK}\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title}</title>\n\
         <link rel=\"icon\" href=\"data:,\">\n<style>{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n{body}</body>\n</html>\n"
    )
}

const STYLE: &str = "
:root { color-scheme: light; }
body { font: 16px/1.5 system-ui, sans-serif; color: #222; background: #fff; max-width: 1180px; margin: 0 auto; padding: 0 16px 48px; }
h1 { font-size: 1.6rem; overflow-wrap: anywhere; } h2 { margin-top: 2.2rem; border-bottom: 1px solid #ddd; } h3 { margin-bottom: .3rem; overflow-wrap: anywhere; }
.plots { display: flex; flex-wrap: wrap; gap: 16px; } .plots > * { flex: 1 1 340px; min-width: 0; max-width: 560px; }
svg { max-width: 100%; height: auto; }
.wide { overflow-x: auto; } table { border-collapse: collapse; margin: .5rem 0; } th, td { text-align: left; padding: .25rem .9rem .25rem 0; vertical-align: top; }
td.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; } thead th { border-bottom: 1px solid #bbb; }
.hit { background: #e3f4e8; } .quiet { color: #666; } pre { background: #f6f6f6; padding: .8rem; overflow-x: auto; }
";

/// A table; cells beyond the first of a row are numbers where `numbers` is set.
pub fn table(head: &[&str], rows: &[Vec<String>], numbers: bool) -> String {
    let mut out = String::from("<div class=\"wide\"><table>\n");
    if !head.is_empty() {
        out += "<thead><tr>";
        head.iter().for_each(|cell| out += &format!("<th>{}</th>", Escaped(cell)));
        out += "</tr></thead>\n";
    }
    for row in rows {
        out += "<tr>";
        for (at, cell) in row.iter().enumerate() {
            let class = if numbers && at > 0 { " class=\"n\"" } else { "" };
            out += &format!("<td{class}>{}</td>", Escaped(cell));
        }
        out += "</tr>\n";
    }
    out + "</table></div>\n"
}

/// Pictures beside each other where there is room.
pub fn plots(svg: &[String]) -> String {
    let mut out = String::from("<div class=\"plots\">\n");
    svg.iter().for_each(|svg| out += &format!("<div>{svg}</div>\n"));
    out + "</div>\n"
}
