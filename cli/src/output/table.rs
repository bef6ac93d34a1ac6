//! Tables that fit.

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use super::clean;
use crate::paint;

/// Rows under headings. Columns are as wide as they need to be; where that is too much for the
/// terminal, those that matter less are cut, and then the others, the widest first.
#[derive(Debug)]
pub(crate) struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<String>>,
}

#[derive(Debug)]
struct Column {
    heading: &'static str,
    cut: Cut,
}

/// When a column is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cut {
    First,
    Last,
    Never,
}

impl Table {
    /// A column whose heading begins with `=` is never cut, and with `-` before the others.
    pub(crate) fn new(headings: &[&'static str]) -> Self {
        let columns = headings.iter().map(|heading| match heading.split_at(1) {
            ("=", heading) => Column { heading, cut: Cut::Never },
            ("-", heading) => Column { heading, cut: Cut::First },
            _ => Column { heading, cut: Cut::Last },
        });
        Self { columns: columns.collect(), rows: vec![] }
    }

    /// Adds a row of as many cells as there are columns.
    pub(crate) fn row<const N: usize>(&mut self, cells: [&str; N]) {
        debug_assert_eq!(N, self.columns.len());
        self.rows.push(cells.into_iter().map(clean::line).collect());
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// All of it, in lines of at most `width` columns.
    pub(crate) fn render(&self, width: Option<usize>) -> String {
        let widths = self.widths(width);
        let headings: Vec<_> = self.columns.iter().map(|c| c.heading.to_owned()).collect();
        let mut lines = vec![paint::styled(paint::HEADING, line(&headings, &widths))];
        lines.extend(self.rows.iter().map(|row| line(row, &widths)));
        lines.join("\n")
    }

    fn widths(&self, limit: Option<usize>) -> Vec<usize> {
        let mut widths: Vec<_> = self.columns.iter().map(|c| c.heading.width()).collect();
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.width());
            }
        }
        let Some(limit) = limit else { return widths };
        let gaps = GAP.len() * widths.len().saturating_sub(1);
        let mut excess = (widths.iter().sum::<usize>() + gaps).saturating_sub(limit);
        for cut in [Cut::First, Cut::Last] {
            while excess > 0 {
                let columns = self.columns.iter().zip(&mut widths);
                let cuttable = columns.filter(|(column, _)| column.cut == cut);
                match cuttable.map(|(_, width)| width).max_by_key(|width| **width) {
                    Some(width) if *width > LEAST => *width -= 1,
                    _ => break,
                }
                excess -= 1;
            }
        }
        widths
    }
}

fn line(cells: &[String], widths: &[usize]) -> String {
    let mut line = String::new();
    for (i, (cell, &width)) in cells.iter().zip(widths).enumerate() {
        if i > 0 {
            line.push_str(GAP);
        }
        let cell = cut(cell, width);
        line.push_str(&cell);
        line.extend(std::iter::repeat_n(' ', width.saturating_sub(cell.width())));
    }
    line.truncate(line.trim_end().len());
    line
}

/// `text` in at most `width` columns, with `…` where something is missing.
pub(crate) fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let (mut kept, mut used) = (String::new(), 1);
    for c in text.chars() {
        used += c.width().unwrap_or(0);
        if used > width {
            break;
        }
        kept.push(c);
    }
    kept.truncate(kept.trim_end().len());
    kept.push('…');
    kept
}

const GAP: &str = "  ";
/// No column is cut to less.
const LEAST: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new(&["=ID", "TITLE", "TAGS"]);
        table.row(["0192f0c1", "Why the printer does not print", "printer"]);
        table.row(["0192f0c2", "日本語の題名はここに", "a\x1bb"]);
        table
    }

    fn plain(text: &str) -> String {
        anstream::adapter::strip_str(text).to_string()
    }

    #[test]
    fn it_is_as_wide_as_it_needs_to_be() {
        let expected = "\
ID        TITLE                           TAGS
0192f0c1  Why the printer does not print  printer
0192f0c2  日本語の題名はここに            a�b";
        assert_eq!(plain(&table().render(None)), expected);
    }

    #[test]
    fn what_does_not_fit_is_cut_at_its_widest() {
        let expected = "\
ID        TITLE              TAGS
0192f0c1  Why the printer…   printer
0192f0c2  日本語の題名はこ…  a�b";
        assert_eq!(plain(&table().render(Some(36))), expected);
        for width in 28..60 {
            for line in plain(&table().render(Some(width))).lines() {
                assert!(line.width() <= width, "{width}");
            }
        }
    }

    #[test]
    fn what_matters_less_is_cut_first() {
        let mut table = Table::new(&["TITLE", "-FOLDER"]);
        table.row(["Why the printer does not print", "/Service desk/Second line"]);
        let lines = |width| plain(&table.render(Some(width))).lines().nth(1).unwrap().to_owned();
        assert_eq!(lines(44), "Why the printer does not print  /Service de…");
        assert_eq!(lines(30), "Why the printer doe…  /Servic…");
    }

    #[test]
    fn a_cut_keeps_to_its_width_whatever_the_letters() {
        assert_eq!(cut("abc", 3), "abc");
        assert_eq!(cut("abcd", 3), "ab…");
        assert_eq!(cut("日本語", 4), "日…");
    }
}
