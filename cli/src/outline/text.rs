//! Text on lines, with what would be mistaken escaped.

use crate::output::clean;

/// A text that stands on a line with other things: as it is, or as a JSON string.
pub(super) fn write_value(text: &str) -> String {
    let plain = text.trim() == text && !text.starts_with('"') && !text.contains(clean::is_unsafe);
    if plain { text.to_owned() } else { quoted(text) }
}

/// What such a text says.
pub(super) fn read_value(text: &str) -> Result<String, String> {
    if text.starts_with('"') { unquoted(text) } else { Ok(text.to_owned()) }
}

/// Several such texts, separated by commas.
pub(super) fn write_list(texts: &[String]) -> String {
    let write = |text: &String| match text.contains(',') || text.is_empty() {
        true => quoted(text),
        false => write_value(text),
    };
    texts.iter().map(write).collect::<Vec<_>>().join(", ")
}

pub(super) fn read_list(text: &str) -> Result<Vec<String>, String> {
    let mut texts = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let end = if rest.starts_with('"') { end_of_string(rest)? } else { 0 };
        let comma = rest[end..].find(',').map_or(rest.len(), |comma| end + comma);
        let one = rest[..comma].trim();
        // `a, , b` is a slip of the pen.
        if !one.is_empty() {
            texts.push(read_value(one)?);
        }
        rest = rest.get(comma + 1..).unwrap_or("").trim();
    }
    Ok(texts)
}

/// Lines of text, each after `indent`.
pub(super) fn write_block(text: &str, indent: &str, out: &mut Vec<String>) {
    if text.is_empty() {
        return;
    }
    let lines: Vec<_> = text.split('\n').collect();
    for (i, line) in lines.iter().enumerate() {
        let at_edge = i == 0 || i + 1 == lines.len();
        let start = line.trim_start();
        let escaped = if line.contains(|c| c != '\t' && clean::is_unsafe(c)) {
            format!("\\{}", quoted(line))
        } else if (line.is_empty() && at_edge)
            || (start.is_empty() && !line.is_empty())
            || start.starts_with(['\\', '-'])
        {
            format!("\\{line}")
        } else {
            (*line).to_owned()
        };
        out.push(if escaped.is_empty() { escaped } else { format!("{indent}{escaped}") });
    }
}

/// What a line of a block says, without its indent.
pub(super) fn read_block_line(line: &str) -> Result<String, String> {
    match line.strip_prefix('\\') {
        Some(rest) if rest.starts_with('"') => unquoted(rest),
        Some(rest) => Ok(rest.to_owned()),
        None => Ok(line.to_owned()),
    }
}

fn quoted(text: &str) -> String {
    // A string cannot fail to be written.
    clean::json(&serde_json::to_string(text).unwrap_or_default())
}

fn unquoted(text: &str) -> Result<String, String> {
    serde_json::from_str(text.trim_end()).map_err(|_| {
        "a text that begins with \" is a JSON string: end it with \", and write \\\" for a \" in it"
            .to_owned()
    })
}

/// Where the JSON string at the beginning of `text` ends.
fn end_of_string(text: &str) -> Result<usize, String> {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            b'"' if !escaped => return Ok(at + 1),
            byte => escaped = byte == b'\\' && !escaped,
        }
    }
    Err("a \" is missing at the end of a text that begins with one".to_owned())
}
