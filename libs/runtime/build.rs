//! Compiles what tells the system's allocator how to keep memory.

fn main() {
    println!("cargo::rerun-if-changed=src/allocator.c");
    cc::Build::new().file("src/allocator.c").cargo_metadata(false).compile("t4t_allocator");
    let out = std::env::var("OUT_DIR").expect("cargo sets it");
    println!("cargo::rustc-link-search=native={out}");
    // Nothing calls it: it runs before `main`.
    println!("cargo::rustc-link-lib=static:+whole-archive=t4t_allocator");
}
