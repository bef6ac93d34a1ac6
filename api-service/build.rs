//! A migration is compiled in; a change in one must be noticed.

fn main() {
    println!("cargo:rerun-if-changed=migrations");
}
