//! `docs/FAULTS.md` says truly which test shows which fault.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops here")]

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
};

/// Faults of parts that do not exist yet.
const NOT_YET: [usize; 0] = [];

#[test]
fn every_fault_is_shown_by_the_tests_that_the_table_names() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap();
    let page = root.join("docs/FAULTS.md");
    let text = fs::read_to_string(&page).unwrap();
    let shown = tests_by_fault(&root);
    let table: String = text
        .lines()
        .map(|line| {
            let mut cells = line.splitn(4, " | ");
            let number = cells.next().and_then(|cell| cell.strip_prefix("| ")?.parse().ok());
            match (number, cells.next()) {
                (Some(number), Some(fault)) => {
                    let tests = shown.get(&number).map_or("", String::as_str);
                    format!("| {number} | {} | {tests} |\n", fault.trim_end_matches(" |"))
                }
                _ => format!("{line}\n"),
            }
        })
        .collect();
    if env::var_os("EVERGREEN_WRITE_DOCS").is_some() {
        fs::write(&page, &table).unwrap();
    } else {
        assert!(table == text, "docs/FAULTS.md is out of date: EVERGREEN_WRITE_DOCS=1 writes it");
    }
    let missing: Vec<usize> = (1..=66).filter(|number| !shown.contains_key(number)).collect();
    assert_eq!(missing, NOT_YET);
}

/// The tests that claim to show a fault, as links, by its number.
fn tests_by_fault(root: &Path) -> BTreeMap<usize, String> {
    let mut found: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    for path in sources(root) {
        let place = path.strip_prefix(root).unwrap().display().to_string();
        let text = fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        for (i, line) in lines.iter().enumerate() {
            let Some(comment) = line.strip_prefix("//") else { continue };
            // The test follows its comment; one at the top of a file speaks for all in it.
            let name = if comment.starts_with('!') {
                Some(path.file_stem().unwrap().to_str().unwrap())
            } else {
                lines[i..].iter().find_map(|line| function(line))
            };
            let Some(name) = name else { continue };
            for number in numbers(comment) {
                let tests = found.entry(number).or_default();
                let link = format!("[`{name}`](../{place})");
                if !tests.contains(&link) {
                    tests.push(link);
                }
            }
        }
    }
    found.into_iter().map(|(number, tests)| (number, tests.join(", "))).collect()
}

/// The numbers after each `Fault `: `Fault 9, 10 and 11`.
fn numbers(comment: &str) -> Vec<usize> {
    let mut numbers = Vec::new();
    for rest in comment.split("Fault ").skip(1) {
        for word in rest.split_inclusive([' ', '.', ':', ';']) {
            match word.trim_end_matches([' ', ',', '.', ':', ';']).parse() {
                Ok(number) => numbers.push(number),
                Err(_) if word.trim() == "and" => {}
                Err(_) => break,
            }
            if word.ends_with(['.', ':', ';']) {
                break;
            }
        }
    }
    numbers
}

fn function(line: &str) -> Option<&str> {
    let at = line.find("fn ")?;
    let before = &line[..at];
    let is_item = before.is_empty() || before == "async " || before.starts_with("pub");
    let name = line[at + 3..].split(['(', '<']).next()?;
    (is_item && !name.is_empty()).then_some(name)
}

/// Every source of the workspace, in order.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut entries: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    let mut found = Vec::new();
    for path in entries {
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() {
            if name != "target" && !name.starts_with('.') {
                found.extend(sources(&path));
            }
        } else if name.ends_with(".rs") && name != "faults_documented.rs" {
            found.push(path);
        }
    }
    found
}

#[test]
fn numbers_are_read_wherever_they_stand() {
    assert_eq!(numbers(" Fault 9."), [9]);
    assert_eq!(numbers(" Fault 9, 10 and 11: however"), [9, 10, 11]);
    assert_eq!(numbers("/ Fault 47, in the database"), [47]);
    assert_eq!(numbers("/ Fault 46 on top of 47."), [46]);
    assert!(numbers("/ No Fault of ours").is_empty());
}
