//! Trees drawn with lines.

/// Draws a forest, given each entry's depth in the order of a walk from the top: the entries' texts
/// with lines before them. Further lines of a text are indented below it.
///
/// Entries at depth 0 get no lines, so that several roots stand side by side.
pub(crate) fn forest(entries: &[(usize, String)]) -> String {
    let mut drawn = Vec::new();
    for (i, (depth, text)) in entries.iter().enumerate() {
        let below = &entries[i + 1..];
        let mut before = String::new();
        for level in 1..*depth {
            before.push_str(if goes_on(below, level) { "│  " } else { "   " });
        }
        let last = !goes_on(below, *depth);
        let (first, rest) = match (*depth, last) {
            (0, _) => ("", ""),
            (_, false) => ("├─ ", "│  "),
            (_, true) => ("└─ ", "   "),
        };
        let has_children = below.first().is_some_and(|(next, _)| next > depth);
        for (n, line) in text.lines().enumerate() {
            let lead = match n {
                0 => first.to_owned(),
                _ if has_children => format!("{rest}│  "),
                _ => format!("{rest}   "),
            };
            drawn.push(format!("{before}{lead}{line}").trim_end().to_owned());
        }
    }
    drawn.join("\n")
}

/// Whether another entry of this depth follows under the same parent.
fn goes_on(below: &[(usize, String)], depth: usize) -> bool {
    below.iter().find(|(other, _)| *other <= depth).is_some_and(|(other, _)| *other == depth)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_lead_from_each_parent_to_its_children() {
        let entries = [
            (0, "root\nwith a body"),
            (1, "a"),
            (2, "a1\nsaid\ntwice"),
            (2, "a2"),
            (1, "b"),
            (2, "b1\nalone"),
            (0, "another"),
        ];
        let entries: Vec<_> = entries.iter().map(|&(d, t)| (d, t.to_owned())).collect();
        let expected = "\
root
│  with a body
├─ a
│  ├─ a1
│  │     said
│  │     twice
│  └─ a2
└─ b
   └─ b1
         alone
another";
        assert_eq!(forest(&entries), expected);
        assert_eq!(forest(&[]), "");
    }
}
