//! Compiles anew when the committed build of `console/` has other files; the macro that embeds them can't say so.

fn main() {
    println!("cargo::rerun-if-changed=assets/web");
}
