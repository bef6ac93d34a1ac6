//! Tells the shared sources which primitives to use.

fn main() {
    println!("cargo::rustc-cfg=interleaved");
    // The features of the SDK that are not compiled here.
    println!(
        "cargo::rustc-check-cfg=cfg(feature, values(\"auth-service\", \"guard\", \"keyring\", \"metrics\"))"
    );
    println!("cargo::rerun-if-changed=build.rs");
}
