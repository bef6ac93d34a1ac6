//! What the documents name is there.

use std::{
    fs,
    path::{Path, PathBuf},
};

#[test]
fn every_link_leads_to_a_file_and_every_test_that_is_named_is_in_it() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap();
    let docs = fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let pages = docs.chain([root.join("README.md")]);
    let mut wrong = Vec::new();
    let mut named = 0;
    for page in pages.filter(|page| page.extension().is_some_and(|kind| kind == "md")) {
        let text = fs::read_to_string(&page).unwrap();
        for (name, target) in links(&text) {
            let file = page.parent().unwrap().join(target);
            if !file.exists() {
                wrong.push(format!("{}: there is no {target}", page.display()));
            } else if is_source(&file) && is_test(name) {
                named += 1;
                let source = fs::read_to_string(&file).unwrap();
                if !["(", "<"].iter().any(|end| source.contains(&format!("fn {name}{end}"))) {
                    wrong.push(format!("{}: {target} has no {name}", page.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(named > 100, "SECURITY.md alone names as many: {named}");
}

/// The names and targets of links to files, without the place in them.
fn links(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.split("](").zip(text.split("](").skip(1)).filter_map(|(before, after)| {
        let name = before.rsplit('[').next()?.trim_matches('`');
        let target = after.split([')', '#']).next()?;
        let is_file = !target.is_empty() && !target.contains("://") && !target.contains(' ');
        is_file.then_some((name, target))
    })
}

fn is_source(file: &Path) -> bool {
    file.extension().is_some_and(|kind| kind == "rs")
}

/// The names of tests are sentences.
fn is_test(name: &str) -> bool {
    name.matches('_').count() > 2
        && name
            .chars()
            .all(|char| char.is_ascii_lowercase() || char.is_ascii_digit() || char == '_')
}
